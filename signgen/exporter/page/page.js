// What the page shows: a file in, a signer, frames as they come, a video out.

const find = (id) => document.getElementById(id);
const [drop, file, example, signer, rate, start, halt, save, canvas, status, about, notes, picture] = [
  "drop", "file", "example", "signer", "rate", "start", "halt", "save", "canvas", "status", "about", "notes", "picture",
].map(find);
const EVERY = 500; // ms between two lines about progress
const BITS = 4_000_000; // a second, of the video

/** All that happens, for whoever drives the page by a program, too. */
const state = (globalThis.signgen = { ready: false, clip: null, frames: [], rendering: false, done: false, error: null, asked: 0, first: 0, last: 0, engine: "", threads: 0 });
let worker, model, playing = 0, told = 0;

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
  state.error = wrong ? text : null;
}

/** Loads the page again under a service worker that gives it threads, once; true if that happens. */
async function isolate() {
  const wanted = !crossOriginIsolated && "serviceWorker" in navigator && isSecureContext && !new URLSearchParams(location.search).has("alone");
  if (!wanted || sessionStorage.getItem("isolated")) return false;
  try {
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
    say(`Loading the model: ${Math.round((100 * bytes) / total)} % of ${(total / 1e6).toFixed(1)} MB`);
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

  frame({ index, pixels }) {
    const now = performance.now();
    state.frames[index] = pixels;
    state.first ||= now;
    state.last = now;
    show(index);
    if (now - told < EVERY) return;
    told = now;
    say(`Frame ${index + 1} of ${state.clip.length}, ${pace().toFixed(1)} frames a second`);
  },

  done() {
    Object.assign(state, { rendering: false, done: true });
    halt.disabled = true;
    save.disabled = start.disabled = false;
    say(`${state.frames.length} frames in ${((state.last - state.asked) / 1000).toFixed(1)} s, ${pace().toFixed(1)} a second; the first after ${((state.first - state.asked) / 1000).toFixed(1)} s.`);
    play();
  },

  error({ task, message }) {
    say(message, true);
    if (task === "render") Object.assign(state, { rendering: false }), (start.disabled = false), (halt.disabled = true);
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

/** Plays the frames in a loop; `once`: to the end, and resolves then. */
function play(once = false) {
  const mine = ++playing, begun = performance.now();
  return new Promise((resolve) => {
    const step = () => {
      if (mine !== playing) return resolve();
      const index = Math.floor(((performance.now() - begun) / 1000) * state.clip.fps);
      if (once && index >= state.frames.length) return resolve();
      show(index % state.frames.length);
      requestAnimationFrame(step);
    };
    step();
  });
}

async function read(files) {
  if (!files.length || !state.ready) return;
  stop();
  Object.assign(state, { clip: null, done: false, frames: [] });
  start.disabled = save.disabled = true;
  notes.replaceChildren();
  const read_ = await Promise.all(Array.from(files, async (one) => ({ name: one.name, bytes: new Uint8Array(await one.arrayBuffer()) })));
  worker.postMessage({ type: "read", files: read_, wish: { fps: Number(rate.value) || null } });
}

function render() {
  playing++;
  setSize();
  Object.assign(state, { frames: [], rendering: true, done: false, asked: performance.now(), first: 0, last: 0 });
  start.disabled = save.disabled = true;
  halt.disabled = false;
  say("Rendering");
  worker.postMessage({ type: "render", signer: signer.value, first: 0, stop: state.clip.length });
}

function stop() {
  playing++;
  if (!state.rendering) return;
  worker.postMessage({ type: "stop" });
  state.rendering = false;
  halt.disabled = true;
  start.disabled = !state.clip;
  say(`Stopped after ${state.frames.length} frames.`);
  save.disabled = !state.frames.length;
}

/** Plays the clip once and records it as WebM. */
async function record() {
  const kind = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"].find((one) => globalThis.MediaRecorder?.isTypeSupported(one));
  if (!kind) return say("this browser cannot record WebM", true);
  save.disabled = start.disabled = true;
  say("Recording: the video plays once.");
  const parts = [], recorder = new MediaRecorder(canvas.captureStream(state.clip.fps), { mimeType: kind, videoBitsPerSecond: BITS });
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  show(0);
  recorder.start();
  await play(true);
  recorder.stop();
  await ended;
  state.video = new Blob(parts, { type: "video/webm" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(state.video), download: `${signer.value}_generated.webm` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  save.disabled = start.disabled = false;
  say(`Saved: ${link.download}, ${(state.video.size / 1e6).toFixed(1)} MB.`);
  play();
}

drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => (event.preventDefault(), drop.classList.remove("over"), read(event.dataTransfer.files)));
file.addEventListener("change", () => read(file.files));
example.addEventListener("click", async () => read([new File([await (await fetch("weather.pose")).blob()], "weather.pose")]));
signer.addEventListener("change", () => worker.postMessage({ type: "picture", signer: signer.value }));
start.addEventListener("click", render);
halt.addEventListener("click", stop);
save.addEventListener("click", record);

if (!(await isolate())) {
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => answers[data.type](data);
  worker.onerror = (event) => say(`the page cannot start: ${event.message ?? "its modules were not loaded"}`, true);
  worker.postMessage({ type: "load", device: new URLSearchParams(location.search).get("device") ?? "auto" });
}
