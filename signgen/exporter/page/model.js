// The model in a browser: its graphs with their weights, and the walk through a clip in windows of views. See
// signgen/model/pipeline.py and signgen/rendering/sample_windows.py.
import { PoseDrawing } from "./drawing.js";
import { SolidHands } from "./hands.js";
import { SOURCE, frameNoise } from "./noise.js";
import { REGIONS, SourceRegions, armCells, bodyCells, drawGuides, keepFace, paste, personReach, regionCrops } from "./regions.js";
import { fillMissing } from "./repair.js";
import { buildScene, holdMissing } from "./scene.js";
import { JOINTS, framePoints, range } from "./skeleton.js";

// What is tried when a model is loaded, see `_proof` in signgen/exporter/web.py; of the largest number, what it may be off.
const TRIED = 100, TRIED_VIEWS = 2, TRIED_TIMESTEP = 500n, ALLOWED = 0.02;
const BYTES = ["poses", "frames", "body"]; // inputs that are bytes
const POSE = 3, NOTHING = 128, LOWER_BODY = [11, 23], AT_ONCE = { decoder: 4, refiner: 8 };
const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };

/** A file of the page, unpacked where it is called .gz; `tell` gets the bytes that came. */
async function load(base, name, tell) {
  const answer = await fetch(new URL(name, base));
  if (!answer.ok) throw new Error(`${name}: the server answers ${answer.status}`);
  const counted = answer.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      tell(chunk.length);
      controller.enqueue(chunk);
    },
  }));
  const plain = name.endsWith(".gz") ? counted.pipeThrough(new DecompressionStream("gzip")) : counted;
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** Arrays {name: typed array} of an index {name: {dtype, at, length} or a number} and their bytes. */
export function unpackArrays(index, bytes) {
  const array = ({ dtype, at, length }) => new ARRAYS[dtype](bytes.buffer, bytes.byteOffset + at, length);
  return Object.fromEntries(Object.entries(index).map(([name, value]) => [name, value?.dtype ? array(value) : value]));
}

/** The same of groups {group: index}. */
export const unpackGroups = (groups, bytes) => Object.fromEntries(Object.entries(groups).map(([name, index]) => [name, unpackArrays(index, bytes)]));

/** The weights of a graph as ONNX Runtime takes them, float32 one after the other, from how they are stored. */
export function unpackWeights(tensors, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const total = tensors.reduce((most, one) => Math.max(most, one.offset + 4 * one.count), 0), out = new Float32Array(total / 4);
  for (const { offset, count, stored, at, scales, channels, inner } of tensors) {
    const to = out.subarray(offset / 4, offset / 4 + count);
    if (stored === "float32") {
      for (let k = 0; k < count; k++) to[k] = view.getFloat32(at + 4 * k, true);
    } else if (stored === "float16") {
      for (let k = 0; k < count; k++) to[k] = half(view.getUint16(at + 2 * k, true));
    } else { // eight bits, with a scale for each output channel
      const factors = range(0, channels).map((k) => view.getFloat32(scales + 4 * k, true));
      const whole = new Int8Array(bytes.buffer, bytes.byteOffset + at, count);
      for (let k = 0; k < count; k++) to[k] = whole[k] * factors[Math.floor(k / inner) % channels];
    }
  }
  return new Uint8Array(out.buffer);
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/** A model whose graphs are ready to run. */
export class Model {
  /**
   * Loads what `signgen export --web` wrote. `ort`: ONNX Runtime; `base`: the page's address; `providers`: of ONNX
   * Runtime, the best first; `tell(bytes, total)`: what has come.
   */
  static async load(ort, base, providers, tell = () => {}) {
    const about = JSON.parse(new TextDecoder().decode(await load(base, "model.json", () => {})));
    let come = 0;
    const told = (bytes) => tell((come += bytes), about.bytes);
    const [weights, tables] = await Promise.all(["weights.bin.gz", "tables.bin.gz"].map((name) => load(base, name, told)));
    const sessions = {};
    for (const name of Object.keys(about.graphs)) {
      const graph = await load(base, `${name}.onnx.gz`, told);
      const external = [{ path: `${name}.data`, data: unpackWeights(about.weights[name], weights) }];
      sessions[name] = await ort.InferenceSession.create(graph, { executionProviders: providers, externalData: external });
    }
    const model = new Model(ort, about, unpackGroups(about.tables, tables), sessions, base);
    await model.prove();
    return model;
  }

  constructor(ort, about, tables, sessions, base) {
    Object.assign(this, { ort, about, tables, sessions, base, signers: {} });
    const [width, height] = about.frame_size, [left, right, top, bottom] = about.canvas_padding;
    Object.assign(this, { width, height, left, top, wide: width + left + right, high: height + top + bottom });
    this.drawing = new PoseDrawing({ ...tables.palette, reference: about.reference }, this.wide, this.high);
  }

  /**
   * Runs each graph once, for browsers compile what they run, and compares what it makes with what it should: throws where
   * this machine computes something else, as some drivers of WebGPU do.
   */
  async prove() {
    for (const [name, { inputs }] of Object.entries(this.about.graphs)) {
      const given = {};
      for (const key of this.sessions[name].inputNames) {
        const count = inputs[key].map((side) => (side < 0 ? TRIED_VIEWS : side)).reduce((a, b) => a * b, 1);
        if (key === "timestep") given[key] = BigInt64Array.of(TRIED_TIMESTEP);
        else if (BYTES.includes(key)) given[key] = Uint8Array.from({ length: count }, (_, k) => (37 * k) % 256);
        else given[key] = Float32Array.from({ length: key === "tokens" ? TRIED_VIEWS * inputs[key][2] : count }, (_, k) => ((37 * k) % 101) / 101 - 0.5);
      }
      const made = await this.run(name, given, TRIED_VIEWS);
      for (const [key, wanted] of Object.entries(this.about.proofs[name])) {
        const step = Math.max(Math.floor(made[key].length / TRIED), 1), most = Math.max(...wanted.map(Math.abs));
        const off = wanted.reduce((worst, value, k) => Math.max(worst, Math.abs(value - made[key][k * step])), 0);
        if (!(off <= ALLOWED * Math.max(most, 1e-3))) throw new Error(`${name} computes ${key} that is ${off.toPrecision(2)} off`);
      }
    }
  }

  /** Runs a graph; inputs that are not given are zeros, and those that it does not look at are left out. */
  async run(name, inputs, views) {
    const given = {};
    for (const key of this.sessions[name].inputNames) {
      const shape = this.about.graphs[name].inputs[key].map((side) => (side < 0 ? views : side));
      const width = shape.at(-1), own = inputs[key]?.length; // of several sources there are more tokens
      const dims = key === "tokens" ? [1, own ? own / width : 1, width] : shape;
      const values = inputs[key] ?? new Float32Array(dims.reduce((a, b) => a * b, 1));
      const type = values instanceof Uint8Array ? "uint8" : values instanceof BigInt64Array ? "int64" : "float32";
      given[key] = new this.ort.Tensor(type, values, dims);
    }
    const made = await this.sessions[name].run(given);
    return Object.fromEntries(Object.entries(made).map(([key, tensor]) => [key, tensor.data]));
  }

  /** Pose image of a frame's points, Uint8Array (H', W', 3). */
  pose(points) {
    const moved = points.slice();
    for (let joint = 0; joint < JOINTS; joint++) {
      moved[3 * joint] += this.left;
      moved[3 * joint + 1] += this.top;
      if (!this.about.lower_body && joint >= LOWER_BODY[0] && joint < LOWER_BODY[1]) moved[3 * joint + 2] = 0;
    }
    return this.drawing.draw(moved);
  }

  /** The source moved to the pose of a frame's points: Uint8Array (H' / 2, W' / 2, 4). */
  cells(points, source) {
    return bodyCells(points, source, this.wide, this.high, this.left, this.top);
  }

  /** The same, with the source's arms. */
  dressed(cells, points, source) {
    return armCells(cells, points, source, this.wide, this.high, this.left, this.top);
  }

  /** What the model sees of a frame: Uint8Array (H', W', 3 or 13). */
  seen(pose, solid, cells) {
    if (!this.about.guided) return pose;
    const channels = this.about.graphs.conditions.inputs.poses[3], out = new Uint8Array(this.wide * this.high * channels).fill(NOTHING);
    for (let k = 0; k < this.wide * this.high; k++) for (let c = 0; c < POSE; c++) out[channels * k + c] = pose[POSE * k + c];
    drawGuides(out, cells, solid, [this.width, this.height], this.about.canvas_padding);
    return out;
  }

  noPose() {
    const channels = this.about.graphs.conditions.inputs.poses[3], out = new Uint8Array(this.wide * this.high * channels);
    for (let k = 0; k < out.length; k++) if (k % channels >= POSE) out[k] = NOTHING;
    return out;
  }

  /** A pose image without the canvas's padding. */
  inner(pose) {
    const out = new Uint8Array(this.width * this.height * 3);
    for (let y = 0; y < this.height; y++) {
      const from = 3 * ((y + this.top) * this.wide + this.left);
      out.set(pose.subarray(from, from + 3 * this.width), 3 * y * this.width);
    }
    return out;
  }

  /** A signer by name: image, latents, tokens, embedding, and the keypoints, a clip of one frame. */
  async signer(name) {
    const { width, height } = this, index = this.about.signers[name];
    if (!index) throw new Error(`no signer is called ${name}`);
    this.signers[name] ??= { ...unpackArrays(index, await load(this.base, `${name}.bin.gz`, () => {})), length: 1, width, height };
    return this.signers[name];
  }

  /** The clip on the canvas, as this signer will sign it. */
  scene(clip, signer) {
    return buildScene(holdMissing(fillMissing(clip)), signer, [this.width, this.height], this.about.pixel_aspect).driving;
  }

  /** What the signer's picture shows of hands, face and trunk. */
  regions(signer) {
    return new SourceRegions(signer.image, framePoints(signer, 0), this.tables.skeleton.mirror, this.width, this.height, signer.matte);
  }

  /** What fits and draws the hands of a clip. */
  hands() {
    return new SolidHands(this.tables.anatomy, this.tables.mesh, this.width, this.height, this.about.pixel_aspect);
  }

  /**
   * Frames of a clip, signed by the signer called `name`: yields {index, frame: Uint8Array (H, W, 3)} one by one.
   * `options`: first and stop of the frames, seed.
   */
  async *render(clip, name, { first = 0, stop = clip.length, seed = 0 } = {}) {
    const { about } = this, signer = await this.signer(name), driving = this.scene(clip, signer);
    const [channels, rows, columns] = about.latents, size = channels * rows * columns, cells = rows * columns;
    const source = this.regions(signer), plate = about.composes && Float32Array.from(signer.plate, (value) => value / 127.5 - 1);
    const looks = about.guided || about.composes || Object.keys(about.refiners).length > 0;
    const hands = looks && this.hands();
    let last = [null, null]; // the hands of the frame before
    for (let t = 0; looks && t < first; t++) last = hands.fit(framePoints(driving, t)); // a frame's depend on all before it
    let kept = []; // the last frames: what the model saw, and their latents
    for (let done = first; done < stop;) {
      const known = kept.slice(Math.max(kept.length - about.overlap, 0));
      const most = done > first ? about.window : Math.min(about.window, Math.max(about.first_views, 2));
      const count = Math.min(stop - done, most - 1 - known.length);
      const drawn = range(done, done + count).map((index) => {
        const points = framePoints(driving, index), pose = this.pose(points);
        const fitted = looks && hands.fit(points), crisp = looks ? hands.picture(fitted) : null;
        const solid = looks && about.shutter ? hands.smeared(fitted, last, crisp, about.shutter) : crisp; // for the refiners
        const cells = about.guided || about.composes ? this.cells(points, source) : null;
        const clothed = about.arms ? this.dressed(cells, points, source) : cells; // as the composer sees it
        last = fitted;
        return { index, points, pose, solid, clothed, seen: this.seen(pose, crisp, cells) };
      });
      const views = 1 + known.length + count, clean = [signer.latents, ...known.map((one) => one.latents)];
      const poses = joined([this.noPose(), ...known.map((one) => one.seen), ...drawn.map((one) => one.seen)], Uint8Array);
      const conditions = await this.run("conditions", { poses, embedding: signer.embedding }, views);
      const numbers = [SOURCE, ...known.map((one) => one.index), ...drawn.map((one) => one.index)];
      const noise = joined(numbers.map((number) => frameNoise(seed, number, size)), Float32Array);
      const latents = await this.sample(conditions, signer, clean, noise, views, size, cells);
      const own = drawn.map((_, k) => latents.slice((views - count + k) * size, (views - count + k + 1) * size));
      for (let start = 0, part; start < count; start += part.length) {
        part = own.slice(start, start + (done + start === first ? 1 : AT_ONCE.decoder)); // the first one at once
        const { frames } = await this.run("decoder", { latents: joined(part, Float32Array) }, part.length);
        const area = this.width * this.height * 3, some = drawn.slice(start, start + part.length);
        some.forEach((one, k) => (one.frame = frames.slice(k * area, (k + 1) * area)));
        if (about.composes) await this.compose(some, plate);
        await this.refine(some, source);
        for (const one of some) yield { index: one.index, frame: one.frame };
      }
      drawn.forEach((one, k) => (one.latents = own[k]));
      kept = [...kept, ...drawn].slice(-Math.max(about.overlap, 1)).map(({ index, seen, latents }) => ({ index, seen, latents }));
      done += count;
    }
  }

  /** Latents (V, C, h, w) from noise; the first views are known. */
  async sample(conditions, signer, clean, noise, views, size, cells) {
    const { about } = this, start = clean.length * size;
    const given = { known: joined([...clean, ...range(clean.length, views).map(() => (about.fill === "source" ? signer.latents : new Float32Array(size)))], Float32Array) };
    given.flag = Float32Array.from({ length: views * cells }, (_, k) => (k < clean.length * cells ? 1 : 0));
    given.present = new Float32Array(views).fill(1);
    const source = { ...given, pose_features: conditions.pose_features, tokens: signer.tokens };
    const branches = { null: given, source, full: { ...source, fusion: conditions.fusion } };
    let latents = noise.map((value) => value * about.first_noise);
    for (const step of about.steps) {
      const noisy = latents.map((value, k) => (k < start ? step.signal * given.known[k] + step.noise * noise[k] : value * step.scale));
      let prediction = null;
      for (const [name, weight] of Object.entries(about.branches)) {
        const made = (await this.run("denoiser", { noisy, timestep: BigInt64Array.of(BigInt(step.timestep)), ...branches[name] }, views)).prediction;
        prediction = made.map((value, k) => (prediction ? prediction[k] : 0) + weight * value);
      }
      latents = latents.map((value, k) => step.keep * value + step.take * prediction[k]);
    }
    return latents;
  }

  /** Puts some frames before the source's backdrop, and tells how far refiners may change them. */
  async compose(some, plate) {
    const size = [this.width, this.height], area = this.width * this.height;
    const given = { frames: "frame", body: "clothed", poses: "pose" };
    const inputs = Object.fromEntries(Object.entries(given).map(([key, of]) => [key, joined(some.map((one) => one[of]), Uint8Array)]));
    const { composed, mattes } = await this.run("composer", { ...inputs, plate }, some.length);
    some.forEach((one, k) => {
      const painted = one.frame, matte = mattes.slice(k * area, (k + 1) * area);
      one.frame = composed.slice(3 * k * area, 3 * (k + 1) * area);
      keepFace(one.frame, painted, matte, one.points, size);
      one.reach = personReach(matte, one.solid, size);
    });
  }

  /** Paints hands and faces of some frames again. */
  async refine(some, source) {
    const size = [this.width, this.height], found = some.map(() => []);
    for (const [name, side] of Object.entries(this.about.refiners)) {
      const crops = some.flatMap((one, k) =>
        regionCrops(REGIONS[name], side, one.frame, this.inner(one.pose), one.points, one.solid, source, size).map((crop) => ({ ...crop, k, side })));
      for (let start = 0; start < crops.length; start += AT_ONCE.refiner) {
        const part = crops.slice(start, start + AT_ONCE.refiner), area = 3 * side * side;
        const { refined } = await this.run(name, { crops: joined(part.map((crop) => crop.input), Float32Array) }, part.length);
        part.forEach((crop, n) => found[crop.k].push({ ...crop, refined: refined.slice(n * area, (n + 1) * area) }));
      }
    }
    some.forEach((one, k) => paste(one.frame, found[k], size, one.reach));
  }
}

/** Arrays one after the other. */
function joined(parts, kind) {
  const out = new kind(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
