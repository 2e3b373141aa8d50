// What the page shows: a file in, a signer, frames as they come, a video out.

const find = (id) => document.getElementById(id);
const [drop, file, example, signer, rate, start, halt, pause, save, canvas, said, wrong, progress, about, notes, picture] = [
  "drop", "file", "example", "signer", "rate", "start", "halt", "pause", "save", "canvas", "said", "wrong", "progress", "about", "notes", "picture",
].map(find);
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const EVERY = 500; // ms between two lines about progress
const BITS = 4_000_000; // a second, of the video

/** All that happens, for whoever drives the page by a program, too. */
const state = (globalThis.signgen = { ready: false, clip: null, frames: [], signer: "", rendering: false, recording: false, done: false, error: null, asked: 0, first: 0, last: 0, engine: "", threads: 0 });
let worker, model, told = 0;
let renders = 0, current = 0; // renders that were asked for; the number of the one that goes on, or 0
let reads = 0, given = []; // how often files were given; the last ones
let playing = 0, ended = () => {}; // times that playing began or ended; told how it ended

/** Says how things stand, or what is `bad`; screen readers read it out. */
function say(text, bad = false) {
  [said.textContent, wrong.textContent, progress.textContent] = bad ? ["", text, ""] : [text, "", ""];
  state.error = bad ? text : null;
}

/** Loads the page again under a service worker that gives it threads, once; true if that happens. */
async function isolate() {
  const wanted = !crossOriginIsolated && "serviceWorker" in navigator && isSecureContext && !new URLSearchParams(location.search).has("alone");
  try {
    if (!wanted || sessionStorage.getItem("isolated")) return false;
    await navigator.serviceWorker.register("isolate.js");
    await navigator.serviceWorker.ready;
    sessionStorage.setItem("isolated", "tried");
    location.reload();
    return true;
  } catch {
    return false; // one thread it is
  }
}

const answers = {
  progress({ bytes, total }) {
    progress.textContent = `Loading the model: ${Math.round((100 * bytes) / total)} % of ${(total / 1e6).toFixed(1)} MB`;
  },

  ready(message) {
    model = message;
    Object.assign(state, { ready: true, engine: message.engine, threads: message.threads });
    for (const name of message.signers) signer.add(new Option(name[0].toUpperCase() + name.slice(1), name));
    signer.disabled = example.disabled = file.disabled = false;
    const threads = message.threads > 1 ? `${message.threads} threads` : "one thread";
    about.textContent = `${message.model}, ${message.engine}, ${threads}`;
    if (message.threads === 1) about.textContent += crossOriginIsolated ? "" : " (more need a server with cross-origin isolation)";
    say("Ready: give a keypoint file.");
    worker.postMessage({ type: "picture", signer: signer.value });
  },

  clip(message) {
    state.clip = message;
    say(`${message.format}: ${message.length} frames of ${message.width}x${message.height} at ${message.fps} frames a second.`);
    notes.replaceChildren(...message.warnings.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    start.disabled = false;
  },

  picture({ signer: name, pixels }) {
    if (name === signer.value) paint(picture, pixels, model.size);
  },

  frame({ number, index, pixels }) {
    if (number !== current) return; // of a render that was stopped
    const now = performance.now();
    state.frames[index] = pixels;
    state.first ||= now;
    state.last = now;
    show(index);
    if (now - told < EVERY) return;
    told = now;
    progress.textContent = `Frame ${index + 1} of ${state.clip.length}, ${pace().toFixed(1)} frames a second`;
  },

  done({ number }) {
    if (number !== current) return;
    current = 0;
    Object.assign(state, { rendering: false, done: true });
    halt.disabled = true;
    save.disabled = start.disabled = pause.disabled = false;
    say(`${state.frames.length} frames in ${((state.last - state.asked) / 1000).toFixed(1)} s, ${pace().toFixed(1)} a second; the first after ${((state.first - state.asked) / 1000).toFixed(1)} s.`);
    loop();
  },

  error({ task, number, message }) {
    if (task === "render" && number !== current) return;
    say(message, true);
    if (task !== "render") return;
    current = 0;
    state.rendering = false;
    start.disabled = false;
    halt.disabled = true;
  },
};

/** Frames a second, from the moment they were asked for. */
const pace = () => (1000 * state.frames.length) / Math.max(state.last - state.asked, 1);

/** Draws RGB pixels on a canvas, as wide as things are in them. */
function paint(target, pixels, [width, height]) {
  const image = new ImageData(width, height);
  for (let k = 0; k < width * height; k++) image.data.set([pixels[3 * k], pixels[3 * k + 1], pixels[3 * k + 2], 255], 4 * k);
  const own = new OffscreenCanvas(width, height);
  own.getContext("2d").putImageData(image, 0, 0);
  target.getContext("2d").drawImage(own, 0, 0, target.width, target.height);
}

function show(index) {
  if (state.frames[index]) paint(canvas, state.frames[index], model.size);
}

/** The size of the video: the model's, or with square pixels where the clip has them. */
function setSize() {
  const [width, height] = model.size, { clip } = state;
  const same = Math.abs((clip.width * height) / (clip.height * width) - 1) <= 0.01;
  canvas.width = same ? width : 2 * Math.round(width / model.aspect / 2);
  canvas.height = height;
}

/** Plays the frames in a loop; `once`: to the end. Resolves to whether it came to its end. */
function play(once = false) {
  endPlaying();
  const mine = playing, begun = performance.now();
  return new Promise((resolve) => {
    ended = resolve;
    const step = () => {
      if (mine !== playing) return;
      const index = Math.floor(((performance.now() - begun) / 1000) * state.clip.fps);
      if (once && index >= state.frames.length) return resolve(true);
      show(index % state.frames.length);
      requestAnimationFrame(step);
    };
    step();
  });
}

function endPlaying() {
  playing++;
  ended(false);
  pause.textContent = "Play";
}

/** Plays on and on, unless whoever watches wants no movement: they press Play. */
function loop() {
  if (STILL.matches) show(0);
  else repeat();
}

function playOrPause() {
  if (pause.textContent === "Pause") endPlaying();
  else repeat();
}

function repeat() {
  play();
  pause.textContent = "Pause";
}

async function read(files) {
  if (!files.length || !state.ready) return;
  stop();
  Object.assign(state, { clip: null, done: false, frames: [] });
  start.disabled = save.disabled = pause.disabled = true;
  notes.replaceChildren();
  const mine = ++reads;
  given = Array.from(files);
  try {
    const content = await Promise.all(given.map(async (one) => ({ name: one.name, bytes: new Uint8Array(await one.arrayBuffer()) })));
    if (mine !== reads) return; // another file was given meanwhile
    worker.postMessage({ type: "read", files: content, wish: { fps: Number(rate.value) || null } });
  } catch {
    if (mine === reads) say(`${given[0].name} cannot be read: give files, no folder`, true);
  }
}

async function readExample() {
  try {
    const answer = await fetch("weather.pose");
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
    await read([new File([await answer.blob()], "weather.pose")]);
  } catch (error) {
    say(`the example cannot be loaded: ${error.message}`, true);
  }
}

function render() {
  endPlaying();
  setSize();
  current = ++renders;
  told = -Infinity; // the first frame is told
  Object.assign(state, { frames: [], signer: signer.value, rendering: true, done: false, asked: performance.now(), first: 0, last: 0 });
  start.disabled = save.disabled = pause.disabled = true;
  halt.disabled = false;
  say("Rendering");
  worker.postMessage({ type: "render", number: current, signer: state.signer, first: 0, stop: state.clip.length });
}

function stop() {
  endPlaying();
  if (!current) return;
  current = 0;
  worker.postMessage({ type: "stop" });
  state.rendering = false;
  halt.disabled = true;
  start.disabled = !state.clip;
  say(`Stopped after ${state.frames.length} frames.`);
  save.disabled = pause.disabled = !state.frames.length;
}

/** Plays the clip once and records it as WebM. */
async function record() {
  const kind = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"].find((one) => globalThis.MediaRecorder?.isTypeSupported(one));
  if (!kind) return say("this browser cannot record WebM", true);
  save.disabled = start.disabled = pause.disabled = true;
  say("Recording: the video plays once.");
  const { clip } = state, parts = [], recorder = new MediaRecorder(canvas.captureStream(clip.fps), { mimeType: kind, videoBitsPerSecond: BITS });
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const over = new Promise((resolve) => (recorder.onstop = resolve));
  show(0);
  recorder.start();
  state.recording = true;
  const whole = !document.hidden && (await play(true));
  state.recording = false;
  recorder.stop();
  await over;
  if (clip !== state.clip) return say("Not saved: another file was given.", true);
  save.disabled = start.disabled = pause.disabled = false;
  if (!whole) return say("Not saved: the page was hidden, and nothing is drawn then. Save it again, and stay here until it ends.", true);
  state.video = new Blob(parts, { type: "video/webm" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(state.video), download: `${state.signer}_generated.webm` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved: ${link.download}, ${(state.video.size / 1e6).toFixed(1)} MB.`);
  loop();
}

drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => (event.preventDefault(), drop.classList.remove("over"), read(event.dataTransfer.files)));
file.addEventListener("click", () => (file.value = "")); // the same file may be chosen again
file.addEventListener("change", () => read(file.files));
rate.addEventListener("change", () => state.clip?.rated || read(given)); // a clip that was read at an assumed rate
example.addEventListener("click", readExample);
signer.addEventListener("change", () => worker.postMessage({ type: "picture", signer: signer.value }));
start.addEventListener("click", render);
halt.addEventListener("click", stop);
pause.addEventListener("click", playOrPause);
save.addEventListener("click", record);
document.addEventListener("visibilitychange", () => document.hidden && state.recording && endPlaying());

if (!(await isolate())) {
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => answers[data.type](data);
  worker.onerror = (event) => say(`the page cannot start: ${event.message ?? "its modules were not loaded"}`, true);
  worker.postMessage({ type: "load", device: new URLSearchParams(location.search).get("device") ?? "auto" });
}
