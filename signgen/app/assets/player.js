// The player: draws the skeleton of a clip and, beside it, the rendered frames as they come from the server.
// Given by Gradio: element, props, watch. STROKES and the numbers are put in by the server.
const STROKES = /*STROKES*/ [];
const POINTS = 133, PER_PIXEL = 4, MISSING = -32768, ROWS = 260;
const part = (name) => element.querySelector(`[data-sg="${name}"]`);
const player = part("player"), pose = part("pose"), video = part("video"), hint = part("hint");
const play = part("play"), seek = part("seek"), where = part("where");
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

let clip = null; // what is shown
let points = null; // Int16Array (frames, 133, 2)
let rendered = []; // images, in order
let over = true; // no more of them will come
let at = 0; // frame shown
let playing = false;
let due = 0; // time of the next frame, ms
let turn = 0; // counts clips, so that answers for an older one are dropped

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true));
}

function open(text) {
  turn += 1;
  const content = text ? JSON.parse(text) : null;
  clip = content;
  rendered = [];
  at = 0;
  over = !(content && content.live);
  player.dataset.state = content ? (content.live ? "live" : "skeleton") : "empty";
  player.dataset.rendered = "0";
  play.disabled = seek.disabled = !content;
  if (!content) {
    points = null;
    return;
  }
  points = unpack(content.points);
  const scale = Math.min(3, Math.max(1, 720 / Math.max(content.width, content.height)));
  pose.width = Math.round(content.width * scale);
  pose.height = Math.round(content.height * scale);
  pose.setAttribute("aria-label", `Skeleton of ${content.title}, ${content.frames} frames`);
  seek.max = String(content.frames - 1);
  blank(content);
  setPlaying(!calm.matches || Boolean(content.live));
  if (content.live) {
    follow(content.live, turn);
    const box = player.getBoundingClientRect();
    if (box.top < 0 || box.bottom > window.innerHeight) player.scrollIntoView({ block: "center" });
  }
  show();
}

function blank(content) {
  video.width = content.width;
  video.height = content.height;
  video.getContext("2d").clearRect(0, 0, video.width, video.height);
  hint.hidden = false;
  hint.textContent = content.live ? "The first frames are on their way" : "Press Render";
  video.setAttribute("aria-label", "Generated video: nothing rendered yet");
}

async function follow(key, mine) {
  let failures = 0;
  while (mine === turn && failures < 5) {
    try {
      const address = new URL(`live/${key}?start=${rendered.length}`, document.baseURI);
      const answer = await fetch(address);
      if (!answer.ok) break;
      const { frames, over: last } = await answer.json();
      const images = await Promise.all(frames.map(decoded));
      if (mine !== turn) return;
      const first = images.length && !rendered.length;
      rendered.push(...images);
      if (first) begin();
      player.dataset.rendered = String(rendered.length);
      failures = 0;
      if (last) break;
    } catch {
      failures += 1;
      await new Promise((go) => setTimeout(go, 500));
    }
  }
  if (mine !== turn) return;
  over = true;
  player.dataset.state = rendered.length === clip.frames ? "whole" : "part";
  if (!rendered.length) hint.textContent = "Nothing was rendered";
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

// The first frames are there: both panels start over with them.
function begin() {
  at = 0;
  due = 0;
  video.width = rendered[0].naturalWidth;
  video.height = rendered[0].naturalHeight;
  hint.hidden = true;
  video.setAttribute("aria-label", `Generated video of ${clip.title}`);
  show();
}

// Frames that can be shown: all, or as many as are rendered while more are to come.
function reach() {
  return rendered.length ? rendered.length : clip.frames;
}

function show() {
  if (!clip) return;
  drawPose();
  if (at < rendered.length) video.getContext("2d").drawImage(rendered[at], 0, 0, video.width, video.height);
  seek.value = String(at);
  seek.setAttribute("aria-valuetext", `frame ${at + 1} of ${clip.frames}`);
  where.textContent = `${at + 1} / ${clip.frames}`;
  player.dataset.frame = String(at);
}

function drawPose() {
  const paper = pose.getContext("2d");
  const scale = pose.width / clip.width / PER_PIXEL, thick = pose.height / ROWS;
  paper.fillStyle = "#000";
  paper.fillRect(0, 0, pose.width, pose.height);
  paper.lineCap = "round";
  const first = at * POINTS * 2;
  for (const [a, b, colour, width] of STROKES) {
    const ax = points[first + 2 * a], ay = points[first + 2 * a + 1];
    const bx = points[first + 2 * b], by = points[first + 2 * b + 1];
    if (ax === MISSING || bx === MISSING) continue;
    paper.strokeStyle = colour;
    paper.lineWidth = width * thick;
    paper.beginPath();
    paper.moveTo(ax * scale, ay * scale);
    paper.lineTo(bx * scale, by * scale);
    paper.stroke();
  }
}

function setPlaying(value) {
  playing = value;
  due = 0;
  play.textContent = playing ? "Pause" : "Play";
}

function tick(now) {
  if (!element.isConnected) return;
  if (clip && playing && now >= due) {
    if (due) {
      const end = reach();
      if (at + 1 < end) at += 1;
      else if (over || !rendered.length) at = 0; // else: the next window is being rendered
    }
    due = Math.max(due + 1000 / clip.fps, now);
    show();
  }
  requestAnimationFrame(tick);
}

play.addEventListener("click", () => setPlaying(!playing));
seek.addEventListener("input", () => {
  setPlaying(false);
  at = Math.min(Number(seek.value), reach() - 1);
  show();
});
watch("value", () => open(props.value));
if (props.value) open(props.value);
requestAnimationFrame(tick);
