// The page's worker: loads the model, reads files, renders. Messages in: load, read, picture, render, stop; out: progress,
// ready, clip, picture, frame, done, and error with words for whoever watches. A render has a number, which its frames, its
// done and its error carry: some may be on their way when it is stopped.
import { BadFile, readKeypoints } from "./files.js";
import { Model } from "./model.js";

const BASE = new URL("./", self.location);
const MOST_THREADS = 8;
let model = null, clip = null, running = 0;
let before = Promise.resolve(); // resolves when the render before has ended

/** ONNX Runtime for WebGPU where there is an adapter and it is not ruled out, else for WebAssembly. */
async function loadModel(device) {
  const tell = (bytes, total) => self.postMessage({ type: "progress", bytes, total });
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
  if (device !== "wasm" && (await navigator.gpu?.requestAdapter().catch(() => null))) {
    try {
      return [await start("ort.webgpu.min.mjs", ["webgpu", "wasm"], threads, tell), "WebGPU", threads];
    } catch (error) {
      console.warn("WebGPU cannot be used:", error);
    }
  }
  return [await start("ort.wasm.min.mjs", ["wasm"], threads, tell), "WebAssembly", threads];
}

async function start(file, providers, threads, tell) {
  const ort = await import(new URL(`ort/${file}`, BASE));
  ort.env.wasm.wasmPaths = new URL("ort/", BASE).href;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return Model.load(ort, BASE, providers, tell);
}

async function renderFrames(asked, number, signer, first, stop) {
  for await (const { index, frame } of model.render(asked, signer, { first, stop })) {
    if (number !== running) return; // stopped, or another one was asked for
    self.postMessage({ type: "frame", number, index, pixels: frame });
    await new Promise((resolve) => setTimeout(resolve)); // lets a stop come in
  }
  if (number === running) self.postMessage({ type: "done", number });
}

const tasks = {
  async load({ device }) {
    const [made, engine, threads] = await loadModel(device);
    model = made;
    const { frame_size: size, pixel_aspect: aspect, signers, model: name } = model.about;
    self.postMessage({ type: "ready", engine, threads, size, aspect, signers: Object.keys(signers), model: name });
  },

  async read({ files, wish }) {
    const found = readKeypoints(files, model.about.orders, wish);
    clip = found.clip;
    const { length, fps, width, height } = clip;
    self.postMessage({ type: "clip", length, fps, width, height, format: found.format, warnings: found.warnings, rated: found.rated });
  },

  async picture({ signer }) {
    self.postMessage({ type: "picture", signer, pixels: (await model.signer(signer)).image });
  },

  async render({ number, signer, first, stop }) {
    running = number;
    const asked = clip, last = before; // one that was stopped is in the middle of a window: a graph runs once at a time
    let end;
    before = new Promise((resolve) => (end = resolve));
    await last;
    try {
      if (number === running) await renderFrames(asked, number, signer, first, stop);
    } finally {
      end();
    }
  },

  async stop() {
    running = 0;
  },
};

self.onmessage = async ({ data }) => {
  try {
    await tasks[data.type](data);
  } catch (error) {
    console.warn(error);
    const message = error instanceof BadFile ? error.message : `${data.type}: ${error.message ?? error}`;
    self.postMessage({ type: "error", task: data.type, number: data.number, message });
  }
};
