// Runs the page's modules in Node: a request {page, model, task, ...} as JSON on standard input, arrays as lists, and an
// answer on standard output. What tests/test_export_web.py asks.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const request = JSON.parse(readFileSync(0, "utf-8"));
const module = (name) => import(`${request.page}/${name}.js`);
const clipOf = ({ xy, confidence, width, height, fps }) => ({
  xy: Float32Array.from(xy), confidence: Float32Array.from(confidence), width, height, fps, length: confidence.length / 133,
});
const unpacked = (name) => new Uint8Array(gunzipSync(readFileSync(`${request.model}/${name}.bin.gz`)));

async function model() {
  const { Model, unpackArrays, unpackGroups } = await module("model");
  const about = JSON.parse(readFileSync(`${request.model}/model.json`, "utf-8"));
  const made = new Model(null, about, unpackGroups(about.tables, unpacked("tables")), {}, "");
  for (const [name, index] of Object.entries(about.signers)) {
    made.signers[name] = { ...unpackArrays(index, unpacked(name)), length: 1, width: made.width, height: made.height };
  }
  return made;
}

const tasks = {
  async noise() {
    const { SOURCE, frameNoise } = await module("noise");
    return request.frames.map((frame) => Array.from(frameNoise(request.seed, frame === "source" ? SOURCE : frame, request.count)));
  },

  async read() {
    const { readKeypoints } = await module("files");
    const files = request.files.map((path) => ({ name: path.split("/").at(-1), bytes: new Uint8Array(readFileSync(path)) }));
    const orders = JSON.parse(readFileSync(`${request.model}/model.json`, "utf-8")).orders;
    try {
      const { clip, format, warnings } = readKeypoints(files, orders, request.wish);
      return { ...clip, xy: Array.from(clip.xy), confidence: Array.from(clip.confidence), format, warnings };
    } catch (error) {
      return { error: error.constructor.name, message: error.message };
    }
  },

  async repair() {
    const { fillMissing } = await module("repair"), clip = fillMissing(clipOf(request.clip));
    return { xy: Array.from(clip.xy), confidence: Array.from(clip.confidence) };
  },

  async scene() {
    const made = await model(), driving = made.scene(clipOf(request.clip), await made.signer(request.signer));
    return { xy: Array.from(driving.xy), confidence: Array.from(driving.confidence) };
  },

  /** Of each frame: the pose image with guides, the solid hands, and the refiners' crops of a given picture. */
  async draw() {
    const made = await model(), { regionCrops, REGIONS } = await module("regions");
    const { framePoints } = await module("skeleton");
    const clip = clipOf(request.clip), signer = await made.signer(request.signer), source = made.regions(signer), hands = made.hands();
    return Array.from({ length: clip.length }, (_, t) => {
      const points = framePoints(clip, t), pose = made.pose(points), solid = hands.picture(hands.fit(points));
      const crops = Object.fromEntries(Object.entries(made.about.refiners).map(([name, side]) => [
        name,
        regionCrops(REGIONS[name], side, signer.image, made.inner(pose), points, solid, source, [made.width, made.height])
          .map(({ x, y, input }) => ({ x, y, input: Array.from(input) })),
      ]));
      return { seen: Array.from(made.seen(pose, solid, made.cells(points, source))), solid: Array.from(solid), crops };
    });
  },

  /** Of each frame: the cells of the source's body with its arms before them. */
  async arms() {
    const made = await model(), { framePoints } = await module("skeleton"), clip = clipOf(request.clip);
    const source = made.regions({ ...(await made.signer(request.signer)), matte: Uint8Array.from(request.matte) });
    return request.cells.map((cells, t) => Array.from(made.dressed(Uint8Array.from(cells), framePoints(clip, t), source)));
  },

  /** Of each frame: the solid hands, fast ones smeared. */
  async smear() {
    const made = await model(), { framePoints } = await module("skeleton"), clip = clipOf(request.clip), hands = made.hands();
    let last = [null, null];
    return Array.from({ length: clip.length }, (_, t) => {
      const poses = hands.fit(framePoints(clip, t)), out = hands.smeared(poses, last, hands.picture(poses), request.shutter);
      last = poses;
      return Array.from(out);
    });
  },

  async paste() {
    const { paste } = await module("regions");
    const frame = Uint8Array.from(request.frame);
    paste(frame, request.crops, request.size);
    return Array.from(frame);
  },

  /** A composed frame with its face as it was painted. */
  async face() {
    const { keepFace } = await module("regions"), { framePoints } = await module("skeleton");
    const composed = Uint8Array.from(request.composed);
    keepFace(composed, Uint8Array.from(request.painted), Uint8Array.from(request.matte), framePoints(clipOf(request.clip), 0), request.size);
    return Array.from(composed);
  },

  /** The check of a machine that computes the proofs, but for one number that is `off`. */
  async prove() {
    const made = await model();
    made.ort = { Tensor: class {} };
    for (const [name, { inputs }] of Object.entries(made.about.graphs)) {
      const outputs = Object.fromEntries(Object.entries(made.about.proofs[name]).map(([key, data]) => [key, { data: [...data] }]));
      if (name === "denoiser") outputs.prediction.data[7] += request.off;
      made.sessions[name] = { inputNames: Object.keys(inputs), run: async () => outputs };
    }
    return made.prove().then(() => null, (error) => error.message);
  },

  /** What the worker answers: a render that is stopped after its first frame, one that ends, one that fails, two at once. */
  async worker() {
    const { Model } = await module("model"), said = [], read = (path) => new Uint8Array(readFileSync(path));
    const about = { ...JSON.parse(readFileSync(`${request.model}/model.json`, "utf-8")), signers: { alma: {} } };
    let atOnce = 0;
    Model.load = async () => ({
      about,
      async *render(clip, signer, { stop }) {
        for (let index = 0; index < stop; index++) {
          if (atOnce) throw new Error("a graph runs already");
          atOnce++;
          await new Promise((resolve) => setTimeout(resolve, 5));
          atOnce--;
          yield { index, frame: [index] };
        }
        if (signer === "nobody") throw new Error("no such signer");
      },
    });
    globalThis.self = { location: `file://${request.runtime}/`, postMessage: (message) => said.push(message) };
    await module("worker");
    const send = (data) => self.onmessage({ data });
    await send({ type: "load", device: "wasm" });
    await send({ type: "read", files: [{ name: "clip.pose", bytes: read(request.clip) }], wish: {} });
    const first = send({ type: "render", number: 7, signer: "alma", stop: 3 });
    await Promise.resolve().then(() => send({ type: "stop" }));
    await first;
    await send({ type: "render", number: 8, signer: "alma", stop: 2 });
    await send({ type: "render", number: 9, signer: "nobody", stop: 0 });
    const stopped = send({ type: "render", number: 10, signer: "alma", stop: 3 });
    await send({ type: "stop" });
    await Promise.all([stopped, send({ type: "render", number: 11, signer: "alma", stop: 1 })]);
    return said.filter(({ number }) => number).map(({ type, number }) => `${type} ${number}`);
  },

  /** What the page sends its worker: a file is given, read at an assumed rate, and the rate is typed; then the file says one. */
  async page() {
    const elements = {}, sent = [], wait = () => new Promise((resolve) => setTimeout(resolve, 5));
    const element = () => ({ on: {}, value: "", replaceChildren() {}, addEventListener(name, action) { this.on[name] = action; } });
    globalThis.document = { getElementById: (id) => (elements[id] ??= element()), addEventListener() {}, createElement: element };
    Object.assign(globalThis, { matchMedia: () => ({ matches: true }), location: { search: "?alone" }, crossOriginIsolated: true });
    globalThis.Worker = class {
      constructor() { globalThis.worker = this; }
      postMessage(message) { sent.push(message); }
    };
    await module("page");
    const tell = (data) => globalThis.worker.onmessage({ data });
    Object.assign(globalThis.signgen, { ready: true });
    elements.file.on.click?.();
    elements.file.on.change?.(Object.assign(elements.file, { files: [new File(["{}"], "a.json")] }));
    await wait();
    const clip = { type: "clip", length: 1, fps: 25, width: 4, height: 4, format: "test", warnings: [] };
    for (const [rated, typed] of [[false, "50"], [true, "30"]]) {
      tell({ ...clip, rated });
      elements.rate.value = typed;
      elements.rate.on.change?.();
      await wait();
    }
    return sent.filter(({ type }) => type === "read").map(({ files, wish }) => [files[0].name, wish.fps]);
  },

  async reach() {
    const { personReach } = await module("regions");
    return Array.from(personReach(Uint8Array.from(request.matte), Uint8Array.from(request.solid), request.size));
  },

  async weights() {
    const { unpackWeights } = await module("model");
    const about = JSON.parse(readFileSync(`${request.model}/model.json`, "utf-8"));
    return Array.from(new Float32Array(unpackWeights(about.weights[request.graph], unpacked("weights")).buffer));
  },
};

process.stdout.write(JSON.stringify(await tasks[request.task]()));
