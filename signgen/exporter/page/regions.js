// Hands, faces and trunk: crops of a frame, and what the source picture shows of them, brought to where the driving
// points want it. See signgen/model/regions.py and guide.py. Points are Float64Array (133, 3): x, y, confidence.
import { CONFIDENT, FACE, FACE_POINTS, HANDS, HAND_POINTS, JOINTS, LEFT_ELBOW, LEFT_SHOULDER, LEFT_WRIST, MIDDLE_KNUCKLE, RIGHT_ELBOW, RIGHT_SHOULDER, RIGHT_WRIST, clamp, range } from "./skeleton.js";

export const REGIONS = { hand_refiner: "hand", face_refiner: "face" }; // refiners, and what they paint again
const LEAST_HAND = 6, LEAST_FACE = 20, OUTSIDE = 10, UP = 3, PALM = [0, 1, 5, 9, 13, 17], LEAST_PALM = 4;
const SCALES = [0.4, 2.5], INSIDE = 0.7, SPREAD = 5, STEP = 4, HOLD = 0.3, FEATHER = 8, GUESSED = 0.2;
const WIDE = 6, NECK = 0.35, BORDER = 4, HULL = 3, SOFT = 6, DIRECTIONS = 24, FOREHEAD = 0.4, CHIN = 8;
const TURN = [0.15, 0.45], NOD = 2.5, CELL = 2, NOTHING = 128, SHOWN = 6;
const THICK = 0.2, SHORT = 0.3, RIM = 0.35;
const UPPER = [[LEFT_SHOULDER, LEFT_ELBOW], [RIGHT_SHOULDER, RIGHT_ELBOW]], FORE = [[LEFT_ELBOW, LEFT_WRIST], [RIGHT_ELBOW, RIGHT_WRIST]];
// Which bone is shown like which of the source's, one over the other, how sure that is, and whether it hides what is behind.
const SLEEVES = [...UPPER.map((bone) => [bone, bone, 1, true]), ...FORE.map((bone, n) => [bone, UPPER[n], 0.5, true]), ...FORE.map((bone) => [bone, bone, 1, false])];
const REACH = 5; // px that a refiner may go beyond the person

const FACE_JOINTS = range(FACE, FACE + FACE_POINTS), SHOULDERS = [LEFT_SHOULDER, RIGHT_SHOULDER];
const handJoints = (side) => range(HANDS[side], HANDS[side] + HAND_POINTS);
const at = (points, joint) => [points[3 * joint], points[3 * joint + 1]];
const sure = (points, joint, least = CONFIDENT) => points[3 * joint + 2] >= least;

/** Middle of a hand (side 0 or 1) or of the face (2); null where it is not seen. */
function centre(points, region, width, height) {
  const face = region === 2, joints = face ? FACE_JOINTS : handJoints(region);
  const seen = joints.filter((joint) => sure(points, joint)).map((joint) => at(points, joint));
  const enough = face ? seen.length >= LEAST_FACE : seen.length >= LEAST_HAND && sure(points, HANDS[region] + MIDDLE_KNUCKLE);
  if (!enough) return null;
  const middle = [0, 1].map((k) => {
    const values = seen.map((one) => one[k]);
    return (Math.min(...values) + Math.max(...values)) / 2 - (face && k ? UP : 0);
  });
  const near = middle.every((value, k) => value > -OUTSIDE && value < [width, height][k] + OUTSIDE);
  return near ? middle : null;
}

/** Left and top of a crop of `side` pixels about a middle, moved to lie in the frame. */
const corner = (middle, side, size) => middle.map((value, k) => clamp(Math.floor(value + 0.5) - Math.floor(side / 2), 0, size[k] - side));

/** How far a head is turned and tilted; NaN where the points are not seen. */
function headTurn(points) {
  const face = (k) => (sure(points, FACE + k) ? at(points, FACE + k) : [NaN, NaN]);
  const mouth = range(48, 60).map(face), nose = (k) => face(27 + k), first = face(0), last = face(16);
  const across = [last[0] - first[0], last[1] - first[1]], length = Math.max(Math.hypot(...across), 1e-6);
  const middle = [0, 1].map((k) => {
    const lips = mouth.reduce((total, one) => total + one[k], 0) / 12;
    return (nose(3)[k] + nose(6)[k] + lips) / 3 - (first[k] + last[k]) / 2;
  });
  const down = [face(8)[0] - nose(0)[0], face(8)[1] - nose(0)[1]];
  const pitch = (nose(3)[0] - nose(0)[0]) * down[0] + (nose(3)[1] - nose(0)[1]) * down[1];
  return [(middle[0] * across[0] + middle[1] * across[1]) / length ** 2, pitch / Math.max(down[0] ** 2 + down[1] ** 2, 1e-6)];
}

/** How far a place lies inside of the convex hull of some points: 1, fading to 0 around it. */
function hull(places) {
  const normals = range(0, DIRECTIONS).map((k) => [Math.cos((2 * Math.PI * k) / DIRECTIONS), Math.sin((2 * Math.PI * k) / DIRECTIONS)]);
  const reach = normals.map(([nx, ny]) => Math.max(-Infinity, ...places.map(([x, y]) => x * nx + y * ny)));
  return (x, y) => {
    let beyond = -Infinity;
    for (let k = 0; k < DIRECTIONS; k++) beyond = Math.max(beyond, x * normals[k][0] + y * normals[k][1] - reach[k]);
    return clamp((HULL + SOFT - beyond) / SOFT, 0, 1);
  };
}

/** The map [a, b, tx, c, d, ty] that takes wanted points to own ones by turning, scaling and moving; least squares. */
function similarity(wanted, own) {
  const count = Math.max(wanted.length, 1), base = [0, 0], middle = [0, 0];
  wanted.forEach((_, n) => {
    for (let k = 0; k < 2; k++) {
      base[k] += wanted[n][k] / count;
      middle[k] += own[n][k] / count;
    }
  });
  let re = 0, im = 0, power = 0;
  wanted.forEach((_, n) => {
    const tx = wanted[n][0] - base[0], ty = wanted[n][1] - base[1], sx = own[n][0] - middle[0], sy = own[n][1] - middle[1];
    re += tx * sx + ty * sy;
    im += tx * sy - ty * sx;
    power += tx * tx + ty * ty;
  });
  re /= Math.max(power, 1e-6);
  im /= Math.max(power, 1e-6);
  const size = Math.hypot(re, im), factor = clamp(size, ...SCALES) / Math.max(size, 1e-6);
  re *= factor;
  im *= factor;
  return [re, -im, middle[0] - re * base[0] + im * base[1], im, re, middle[1] - im * base[0] - re * base[1]];
}

/** The affine map [a, b, tx, c, d, ty] that takes wanted points to own ones, by least squares. */
function affine(wanted, own) {
  const square = range(0, 3).map((i) => range(0, 3).map((j) => (i === j ? 1e-6 : 0))), right = [[0, 0], [0, 0], [0, 0]];
  wanted.forEach(([x, y], n) => {
    const here = [x, y, 1];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) square[i][j] += here[i] * here[j];
      for (let k = 0; k < 2; k++) right[i][k] += here[i] * own[n][k];
    }
  });
  for (let i = 0; i < 3; i++) { // Gauss and Jordan, with the largest pivot
    const pivot = range(i, 3).reduce((best, row) => (Math.abs(square[row][i]) > Math.abs(square[best][i]) ? row : best), i);
    [square[i], square[pivot], right[i], right[pivot]] = [square[pivot], square[i], right[pivot], right[i]];
    for (let row = 0; row < 3; row++) {
      if (row === i) continue;
      const factor = square[row][i] / square[i][i];
      for (let j = i; j < 3; j++) square[row][j] -= factor * square[i][j];
      for (let k = 0; k < 2; k++) right[row][k] -= factor * right[i][k];
    }
  }
  const of = (i, k) => right[i][k] / square[i][i];
  return [of(0, 0), of(1, 0), of(2, 0), of(0, 1), of(1, 1), of(2, 1)];
}

const mapped = ([a, b, tx, c, d, ty], x, y) => [a * x + b * y + tx, c * x + d * y + ty];

/** Values (rows, columns, channels) at every `step`-th pixel -> at every pixel of (height, width), linear between. */
function finer(values, columns, channels, step, width, height) {
  const out = new Float32Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / step), v = (y % step) / step;
    for (let x = 0; x < width; x++) {
      const column = Math.floor(x / step), u = (x % step) / step, from = (row * columns + column) * channels;
      const right = u > 0 ? channels : 0, below = v > 0 ? columns * channels : 0;
      for (let c = 0; c < channels; c++) {
        const k = from + c, upper = values[k] + u * (values[k + right] - values[k]);
        const lower = values[k + below] + u * (values[k + below + right] - values[k + below]);
        out[(y * width + x) * channels + c] = upper + v * (lower - upper);
      }
    }
  }
  return out;
}

/** What a source picture shows of hands, face and trunk. */
export class SourceRegions {
  /**
   * `image`: Uint8Array (H, W, 3); `points`: Float64Array (133, 3); `mirror`: the joints' partners; `matte`: Uint8Array
   * (H, W), how far the picture is the person, or undefined.
   */
  constructor(image, points, mirror, width, height, matte) {
    Object.assign(this, { width, height, matte });
    const mirrored = new Float64Array(points.length);
    for (let joint = 0; joint < JOINTS; joint++) {
      const from = 3 * mirror[joint];
      mirrored.set([width - 1 - points[from], points[from + 1], points[from + 2]], 3 * joint);
    }
    this.points = [points, mirrored];
    this.pictures = [false, true].map((flip, n) => this.picture(image, flip, this.points[n]));
    this.turn = headTurn(points);
    this.shown = [0, 1].map((side) => this.shownHand(side));
  }

  /** Float32Array (H, W, 6): colours in [-1, 1], 1 where a hand may lie, 1 where a hand or a forearm may, the person. */
  picture(image, flip, points) {
    const { width, height } = this, out = new Float32Array(width * height * SHOWN);
    const nodes = Math.floor(Math.max(width, height) / STEP) + 2, shares = new Float32Array(nodes * nodes * 2);
    const seen = (joints) => joints.filter((joint) => sure(points, joint)).map((joint) => at(points, joint));
    const hulls = [0, 1].map((side) => hull(seen(handJoints(side))));
    const arms = [LEFT_ELBOW, RIGHT_ELBOW].map((elbow, side) => hull(seen([...handJoints(side), elbow])));
    for (let row = 0; row < nodes; row++) {
      for (let column = 0; column < nodes; column++) {
        const x = column * STEP, y = row * STEP, k = 2 * (row * nodes + column);
        shares[k] = Math.max(hulls[0](x, y), hulls[1](x, y));
        shares[k + 1] = Math.max(arms[0](x, y), arms[1](x, y));
      }
    }
    const covered = finer(shares, nodes, 2, STEP, width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const to = SHOWN * (y * width + x), from = y * width + (flip ? width - 1 - x : x);
        for (let c = 0; c < 3; c++) out[to + c] = image[3 * from + c] / 127.5 - 1;
        out[to + 5] = this.matte ? this.matte[from] / 255 : 1;
        for (let c = 0; c < 2; c++) out[to + 3 + c] = covered[2 * (y * width + x) + c];
      }
    }
    return out;
  }

  /** The pixels of a picture at a place, linear between them, the border repeated, into `out` (6,). */
  sample(picture, x, y, out) {
    const { width, height } = this, px = clamp(x, 0, width - 1), py = clamp(y, 0, height - 1);
    const left = Math.min(Math.floor(px), width - 2), top = Math.min(Math.floor(py), height - 2), u = px - left, v = py - top;
    const from = SHOWN * (top * width + left), below = from + SHOWN * width;
    for (let c = 0; c < SHOWN; c++) {
      const upper = picture[from + c] + u * (picture[from + SHOWN + c] - picture[from + c]);
      const lower = picture[below + c] + u * (picture[below + SHOWN + c] - picture[below + c]);
      out[c] = upper + v * (lower - upper);
    }
  }

  /** The same, with zeros beyond the picture. */
  sampleInside(picture, x, y, out) {
    const left = Math.floor(x), top = Math.floor(y), u = x - left, v = y - top;
    out.fill(0);
    for (const [dx, dy, share] of [[0, 0, (1 - u) * (1 - v)], [1, 0, u * (1 - v)], [0, 1, (1 - u) * v], [1, 1, u * v]]) {
      const column = left + dx, row = top + dy;
      if (column < 0 || row < 0 || column >= this.width || row >= this.height) continue;
      const from = SHOWN * (row * this.width + column);
      for (let c = 0; c < SHOWN; c++) out[c] += share * picture[from + c];
    }
  }

  /** [picture, points] of the one that shows a hand of this side: the picture itself, or its mirror image; or null. */
  shownHand(side) {
    for (const n of [0, 1]) {
      const points = this.points[n], joints = handJoints(side);
      const inside = joints.filter((joint) => {
        const [x, y] = at(points, joint);
        return x >= 0 && y >= 0 && x <= this.width - 1 && y <= this.height - 1;
      });
      if (sure(points, HANDS[side] + MIDDLE_KNUCKLE) && inside.length / HAND_POINTS > INSIDE) return [this.pictures[n], points];
    }
    return null;
  }

  /** The source's hand where another is, Float32Array (S, S, 4): colours times how far they are known, and that. */
  hand(points, side, [left, top], size) {
    const out = new Float32Array(size * size * 4), found = this.shown[side], pixel = new Float64Array(SHOWN);
    if (!found) return out;
    const [picture, own] = found, joints = PALM.map((k) => HANDS[side] + k).filter((j) => sure(points, j) && sure(own, j));
    if (joints.length < LEAST_PALM) return out;
    const map = similarity(joints.map((j) => at(points, j)), joints.map((j) => at(own, j)));
    for (let k = 0; k < size * size; k++) {
      this.sample(picture, ...mapped(map, left + (k % size), top + Math.floor(k / size)), pixel);
      out.set([pixel[0], pixel[1], pixel[2], 1], 4 * k);
    }
    return out;
  }

  /** [face joints seen here and there, how far the source's face is like this one: 0 to 1]. */
  faceStrength(points) {
    const both = FACE_JOINTS.filter((joint) => sure(points, joint) && sure(this.points[0], joint));
    const turn = headTurn(points);
    const apart = Math.max(Math.abs(turn[0] - this.turn[0]), NOD * Math.abs(turn[1] - this.turn[1]));
    const strength = clamp((TURN[1] - apart) / (TURN[1] - TURN[0]), 0, 1);
    return [both, both.length >= LEAST_FACE && strength > 0 ? strength : 0];
  }

  /** The source's face where another is, as `hand`: an affine map, and what it leaves over spread around the points. */
  face(points, [left, top], size) {
    const out = new Float32Array(size * size * 4), [both, strength] = this.faceStrength(points), pixel = new Float64Array(SHOWN);
    if (!strength) return out;
    const wanted = both.map((joint) => at(points, joint)), own = both.map((joint) => at(this.points[0], joint));
    const map = affine(wanted, own), nodes = Math.floor(size / STEP) + 1, places = new Float32Array(nodes * nodes * 3);
    const over = wanted.map(([x, y], n) => mapped(map, x, y).map((value, k) => own[n][k] - value));
    const mask = faceMask(points);
    for (let k = 0; k < nodes * nodes; k++) {
      const x = left + STEP * (k % nodes), y = top + STEP * Math.floor(k / nodes);
      let total = HOLD, dx = 0, dy = 0;
      for (let n = 0; n < wanted.length; n++) {
        const near = Math.exp(-((x - wanted[n][0]) ** 2 + (y - wanted[n][1]) ** 2) / (2 * SPREAD ** 2));
        total += near, dx += near * over[n][0], dy += near * over[n][1];
      }
      const [px, py] = mapped(map, x, y);
      places.set([px + dx / total, py + dy / total, strength * mask(x, y)], 3 * k);
    }
    const fine = finer(places, nodes, 3, STEP, size, size);
    for (let k = 0; k < size * size; k++) {
      this.sample(this.pictures[0], fine[3 * k], fine[3 * k + 1], pixel);
      const share = fine[3 * k + 2] * (1 - pixel[3]);
      for (let c = 0; c < 3; c++) out[4 * k + c] = pixel[c] * share;
      out[4 * k + 3] = share;
    }
    return out;
  }

  /** The source's head and trunk where another pose has them, in cells of two pixels: Float32Array (H / 2, W / 2, 4). */
  body(points, [left, top], [width, height]) {
    const down = Math.ceil(height / WIDE) + 1, across = Math.ceil(width / WIDE) + 1, own = this.points[0];
    const seen = SHOULDERS.filter((joint) => sure(points, joint, GUESSED) && sure(own, joint, GUESSED));
    const trunk = similarity(seen.map((joint) => at(points, joint)), seen.map((joint) => at(own, joint)));
    const [both, strength] = this.faceStrength(points), there = seen.length === 2 ? 1 : 0;
    const shoulderRows = SHOULDERS.map((joint) => points[3 * joint + 1]);
    let head = null, border = 0;
    if (strength && there) {
      const wanted = both.map((joint) => at(points, joint)), source = both.map((joint) => at(own, joint));
      const turned = similarity(wanted, source), bent = affine(wanted, source);
      head = turned.map((value, k) => (value + bent[k]) / 2);
      const low = Math.max(...wanted.map(([, y]) => y)); // the chin, mostly
      border = low + NECK * ((shoulderRows[0] + shoulderRows[1]) / 2 - low);
    }
    const values = new Float32Array(down * across * 3);
    for (let row = 0; row < down; row++) {
      for (let column = 0; column < across; column++) {
        const x = left + 0.5 + WIDE * column, y = top + 0.5 + WIDE * row;
        let [px, py] = mapped(trunk, x, y), known = there;
        if (head) {
          const above = 1 / (1 + Math.exp((y - border) / BORDER)), [hx, hy] = mapped(head, x, y);
          px += above * (hx - px), py += above * (hy - py);
          known *= 1 - above * (1 - strength);
        }
        if (strength === 0 && !(y > Math.max(...shoulderRows))) known = 0;
        values.set([px, py, known], 3 * (row * across + column));
      }
    }
    const w = width / CELL, h = height / CELL, fine = finer(values, across, 3, WIDE / CELL, w, h);
    const out = new Float32Array(w * h * 4), pixel = new Float64Array(SHOWN);
    for (let k = 0; k < w * h; k++) {
      const x = fine[3 * k], y = fine[3 * k + 1];
      if (!(fine[3 * k + 2] > 0)) continue;
      if (x < -0.5 || y < -0.5 || x > this.width - 0.5 || y > this.height - 0.5) continue;
      this.sample(this.pictures[0], x, y, pixel);
      const share = fine[3 * k + 2] * (1 - pixel[4]);
      for (let c = 0; c < 3; c++) out[4 * k + c] = pixel[c] * share;
      out[4 * k + 3] = share;
    }
    return out;
  }

  /** Head and trunk as `body` gives them, with the source's upper arms and forearms before them, stretched to the pose. */
  withArms(body, points, [left, top], [width, height]) {
    const out = body.slice(), here = across(points), own = across(this.points[0]);
    for (const [bone, like, known, alone] of here && own ? SLEEVES : []) {
      const picture = [0, 1].find((n) => like.every((joint) => {
        const [x, y] = at(this.points[n], joint);
        return sure(this.points[n], joint) && x >= 0 && y >= 0 && x <= this.width - 1 && y <= this.height - 1;
      }));
      if (picture === undefined || !bone.every((joint) => sure(points, joint, GUESSED))) continue;
      const wanted = bone.map((joint) => at(points, joint)).map(([x, y]) => [x - left, y - top]);
      const ends = like.map((joint) => at(this.points[picture], joint));
      this.stretch(out, wanted, ends, THICK * here, own / here, this.pictures[picture], known, alone, width / CELL, height / CELL);
    }
    return out;
  }

  /** Puts one bone of a source picture before what cells (h, w, 4) show. */
  stretch(out, wanted, own, thick, scale, picture, known, alone, w, h) {
    const low = [0, 1].map((k) => Math.min(wanted[0][k], wanted[1][k]) - thick), high = [0, 1].map((k) => Math.max(wanted[0][k], wanted[1][k]) + thick);
    const [x0, y0] = low.map((value, k) => clamp(Math.floor(value / 2), 0, [w, h][k])), [x1, y1] = high.map((value, k) => clamp(Math.floor(value / 2) + 1, 0, [w, h][k]));
    let [ax, ay] = [0, 1].map((k) => wanted[1][k] - wanted[0][k]), [bx, by] = [0, 1].map((k) => own[1][k] - own[0][k]);
    const length = Math.hypot(ax, ay), ownLength = Math.hypot(bx, by), pixel = new Float64Array(SHOWN);
    if (x0 >= x1 || y0 >= y1 || Math.min(length, ownLength / scale) < SHORT * thick) return; // what points at the camera
    ax /= length, ay /= length, bx /= ownLength, by /= ownLength;
    for (let row = y0; row < y1; row++) {
      for (let column = x0; column < x1; column++) {
        const dx = 2 * column + 0.5 - wanted[0][0], dy = 2 * row + 0.5 - wanted[0][1];
        const far = dx * ax + dy * ay, beside = dy * ax - dx * ay, beyond = Math.hypot(beside, Math.max(-far, far - length, 0));
        const cover = clamp((thick - beyond) / (RIM * thick), 0, 1), along = clamp(far / length, 0, 1) * ownLength;
        if (!cover) continue;
        const x = own[0][0] + along * bx - scale * beside * by, y = own[0][1] + along * by + scale * beside * bx;
        this.sampleInside(picture, x, y, pixel);
        const share = cover * (1 - pixel[3]) * pixel[5], k = 4 * (row * w + column);
        for (let c = 0; c < 4; c++) out[k + c] = out[k + c] * (1 - (alone ? cover : share)) + known * share * (c < 3 ? pixel[c] : 1);
      }
    }
  }
}

/** The distance of the shoulders; 0: they are not seen. */
const across = (points) => {
  const [left, right] = SHOULDERS.map((joint) => at(points, joint));
  return SHOULDERS.every((joint) => sure(points, joint, GUESSED)) ? Math.hypot(left[0] - right[0], left[1] - right[1]) : 0;
};

/** 1 inside of a face, forehead included, fading to 0. */
function faceMask(points) {
  const face = (k) => at(points, FACE + k), brows = range(17, 27).map(face);
  const middle = [0, 1].map((k) => brows.reduce((total, one) => total + one[k], 0) / 10);
  const raised = brows.map((brow) => brow.map((value, k) => value + (middle[k] - face(CHIN)[k]) * FOREHEAD));
  return hull([...FACE_JOINTS.filter((joint) => sure(points, joint)).map((joint) => at(points, joint)), ...raised]);
}

/** The source moved to a pose, as bytes: Uint8Array (H' / 2, W' / 2, 4), 128 for 0. */
export const bodyCells = (points, source, wide, high, left, top) =>
  Uint8Array.from(source.body(points, [-left, -top], [wide, high]), (value) => Math.round(value * 127 + NOTHING));

/** As `bodyCells`, with the source's arms before what `cells` show. */
export function armCells(cells, points, source, wide, high, left, top) {
  const values = Float32Array.from(cells, (value) => (value - NOTHING) / 127);
  return Uint8Array.from(source.withArms(values, points, [-left, -top], [wide, high]), (value) => Math.round(value * 127 + NOTHING));
}

/** Writes the guides of a frame behind its pose image: `out` Uint8Array (H', W', 13), see signgen/model/guide.py. */
export function drawGuides(out, cells, solid, [width, height], [left, right, top, bottom]) {
  const wide = width + left + right, high = height + top + bottom, channels = 13;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = ((y + top) * wide + x + left) * channels + 3, from = (y * width + x) * 6;
      for (let c = 0; c < 6; c++) out[to + c] = solid[from + c];
    }
  }
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      const from = 4 * ((y >> 1) * (wide / 2) + (x >> 1)), to = (y * wide + x) * channels + 9;
      for (let c = 0; c < 4; c++) out[to + c] = cells[from + c];
    }
  }
}

/** The crops of hands or faces of a frame: [{x, y, input: Float32Array (16, S, S)}]. */
export function regionCrops(kind, side, frame, pose, points, solid, source, [width, height]) {
  const crops = [], area = side * side;
  for (const region of kind === "hand" ? [0, 1] : [2]) {
    const middle = centre(points, region, width, height);
    if (!middle) continue;
    const [x, y] = corner(middle, side, [width, height]), input = new Float32Array(16 * area);
    const reference = kind === "hand" ? source.hand(points, region, [x, y], side) : source.face(points, [x, y], side);
    for (let k = 0; k < area; k++) {
      const from = (y + Math.floor(k / side)) * width + x + (k % side);
      for (let c = 0; c < 3; c++) {
        input[c * area + k] = frame[3 * from + c] / 127.5 - 1;
        input[(3 + c) * area + k] = pose[3 * from + c] / 127.5 - 1;
      }
      for (let c = 0; c < 4; c++) input[(6 + c) * area + k] = reference[4 * k + c];
      for (let c = 0; c < 6; c++) input[(10 + c) * area + k] = (solid[6 * from + c] - NOTHING) / 127;
    }
    crops.push({ x, y, input });
  }
  return crops;
}

/** Puts refined crops [{x, y, side, input, refined}] into a frame Uint8Array (H, W, 3); they fade into it. */
export function paste(frame, crops, [width, height], reach = null) {
  if (!crops.length) return;
  const total = new Float32Array(frame.length), weight = new Float32Array(width * height);
  for (const { x, y, side, input, refined } of crops) {
    const across = fade(x, side, width), down = fade(y, side, height), area = side * side;
    for (let k = 0; k < area; k++) {
      const row = Math.floor(k / side), column = k % side, share = down[row] * across[column];
      const to = (y + row) * width + x + column;
      for (let c = 0; c < 3; c++) total[3 * to + c] += share * (refined[c * area + k] - input[c * area + k]) * 127.5;
      weight[to] += share;
    }
  }
  for (let k = 0; k < weight.length; k++) {
    if (weight[k] <= 0) continue;
    const share = (reach ? reach[k] : 1) / Math.max(weight[k], 1);
    for (let c = 0; c < 3; c++) frame[3 * k + c] = clamp(Math.round(frame[3 * k + c] + total[3 * k + c] * share), 0, 255);
  }
}

/** Lays the face that is seen back onto a composed frame, Uint8Array (H, W, 3), as it was painted; on the person alone. */
export function keepFace(composed, painted, matte, points, [width, height]) {
  if (FACE_JOINTS.filter((joint) => sure(points, joint)).length < LEAST_FACE) return;
  const mask = faceMask(points), nodes = Math.floor(Math.max(width, height) / STEP) + 2;
  const cover = finer(Float32Array.from({ length: nodes * nodes }, (_, k) => mask(STEP * (k % nodes), STEP * Math.floor(k / nodes))), nodes, 1, STEP, width, height);
  for (let k = 0; k < composed.length; k++) {
    const at_ = Math.floor(k / 3), share = (cover[at_] * matte[at_]) / 255;
    if (share > 0) composed[k] = Math.floor(composed[k] + share * (painted[k] - composed[k]) + 0.5);
  }
}

/** How far refiners may change a pixel, Float32Array (H, W): 1 on the person and the fitted hands, less beside. */
export function personReach(matte, solid, [width, height]) {
  const shown = matte.slice();
  for (let k = 0; k < solid.length; k++) if (solid[k] !== NOTHING) shown[Math.floor(k / 6)] = 255;
  const grown = new Uint8Array(shown.length), out = new Float32Array(shown.length);
  const spans = range(-REACH, REACH + 1).map((dy) => [dy, Math.round(Math.sqrt(REACH ** 2 - dy ** 2))]); // of a disc
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (const [dy, dx] of spans) {
        if (y + dy < 0 || y + dy >= height) continue;
        for (let k = Math.max(x - dx, 0); k <= Math.min(x + dx, width - 1); k++) most = Math.max(most, shown[(y + dy) * width + k]);
      }
      grown[y * width + x] = most;
    }
  }
  const reflected = (at_, length) => (at_ < 0 ? -at_ : at_ >= length ? 2 * length - 2 - at_ : at_), half = (REACH - 1) / 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let total = 0;
      for (let dy = -half; dy <= half; dy++) {
        const row = reflected(y + dy, height) * width;
        for (let dx = -half; dx <= half; dx++) total += grown[row + reflected(x + dx, width)];
      }
      out[y * width + x] = Math.round(total / REACH ** 2) / 255;
    }
  }
  return out;
}

/** 1, falling at both ends that do not lie on the frame's border. */
function fade(start, side, length) {
  const ramp = range(0, side).map((k) => 0.5 - 0.5 * Math.cos(Math.PI * clamp((k + 0.5) / FEATHER, 0, 1)));
  return ramp.map((value, k) => Math.min(start <= 0 ? 1 : value, start + side >= length ? 1 : ramp[side - 1 - k]));
}
