// Solid hands: an anatomy fitted to the points of both hands, frame after frame, and drawn as normals and places on the
// hand. See signgen/pose_image/solid: arms.py, person.py, tracking.py, order.py, surface.py, drawing.py.
import { ANGLES, FOLLOWED, HandSolver, NONE, PIXELS, PosedHand, aboutAxis, limit, multiply, turn } from "./kinematics.js";
import { ARMS, HANDS, HAND_POINTS, LEFT_SHOULDER, RIGHT_SHOULDER, clamp, mean, median, nested, quantile, range, sum } from "./skeleton.js";

// ---- forearms ------------------------------------------------------------------------------------------------------
const CAMERA = 3, STILL = 0.03, JUMP = 8, REACH_LOW = 0.12, REACH_HIGH = 0.27, ELBOW_LOW = -0.03, ELBOW_HIGH = 0.06;
const LOW = -0.45, HIGH = -0.15, WAY_MEMORY = 0.8, WAY_SWITCH = 1, ARM_EASE = 0.6, POLE = [0.5, 0.85, -0.2];

const near = (depth) => CAMERA / (CAMERA + depth);
const raised = (height) => clamp((height - LOW) / (HIGH - LOW), 0, 1);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const less = (a, along, b) => a.map((value, k) => value - along * b[k]);
const unit = (a) => a.map((value) => value / (Math.sqrt(dot(a, a)) + 1e-9));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

function boneEnd(x, y, px, py, depth, length, sign) {
  let z = depth;
  for (let k = 0; k < 3; k++) {
    const larger = near(z), aside = (px / larger - x) ** 2 + (py / larger - y) ** 2;
    z = depth + sign * Math.sqrt(Math.max(length * length - aside, 0));
  }
  return z;
}

/** One arm from frame to frame: the depth of its wrist, and the directions of its forearm. */
class ArmTrack {
  constructor() {
    this.forget();
  }

  forget() {
    Object.assign(this, { costs: [0, 0, 0, 0], elbows: [0, 0, 0, 0], wrists: [0, 0, 0, 0], elbow: 0, wrist: 0, way: 0 });
    Object.assign(this, { bend: [0, 0, 0], past: false });
  }

  /** Returns [depth of the wrist, (3, 3) columns: along the forearm, out of the bend of the elbow, across both]. */
  step([sx, sy], elbow, wrist, elbowSeen, [, upper, lower]) {
    const fresh = !this.past, ease = fresh ? 1 : ARM_EASE;
    let elbowZ = 0, wristZ;
    if (elbowSeen) {
      [elbowZ, wristZ] = this.choose(sx, sy, elbow, wrist, fresh, upper, lower);
    } else {
      const usual = REACH_LOW + (REACH_HIGH - REACH_LOW) * raised(sy - wrist[1]);
      const aside = (wrist[0] - sx) ** 2 + (wrist[1] - sy) ** 2;
      wristZ = -Math.min(usual, Math.sqrt(Math.max((0.97 * (upper + lower)) ** 2 - aside, 0)));
    }
    this.past = true;
    this.elbow += ease * (elbowZ - this.elbow);
    this.wrist += ease * (wristZ - this.wrist);
    const larger = near(this.wrist), w = [wrist[0] / larger, wrist[1] / larger, this.wrist], start = [sx, sy, 0];
    const line = less(w, 1, start), length = Math.sqrt(dot(line, line)) + 1e-9, l = line.map((part) => part / length);
    const pole = less(POLE, dot(POLE, l), l);
    let e, b;
    if (elbowSeen) {
      const at = near(this.elbow);
      e = [elbow[0] / at, elbow[1] / at, this.elbow];
      const off = less(e, 1, start);
      b = less(off, dot(off, l), l);
    } else { // two bones over the line from shoulder to wrist
      const reach = clamp(length, Math.abs(upper - lower) + 0.02, 0.995 * (upper + lower));
      const along = (upper * upper + reach * reach - lower * lower) / (2 * reach);
      const off = Math.sqrt(Math.max(upper * upper - along * along, 0)) / (Math.sqrt(dot(pole, pole)) + 1e-9);
      b = pole.map((part) => off * part);
      e = start.map((part, k) => part + along * l[k] + b[k]);
    }
    this.bend = this.bend.map((part, k) => part + ease * (b[k] - part));
    b = this.bend.map((part, k) => part + 0.02 * pole[k]);
    const f = unit(less(w, 1, e));
    let n = cross(b, l);
    n = unit(less(n, dot(n, f), f));
    const c = cross(f, n);
    return [this.wrist, Float64Array.of(f[0], n[0], c[0], f[1], n[1], c[1], f[2], n[2], c[2])];
  }

  /** Depths of elbow and wrist: the likeliest of four ways, which is left only for a clearly better one. */
  choose(sx, sy, elbow, wrist, fresh, upper, lower) {
    const elbows = [], wrists = [], costs = [];
    for (let way = 0; way < 4; way++) {
      const z = boneEnd(sx, sy, elbow[0], elbow[1], 0, upper, way < 2 ? -1 : 1);
      elbows.push(z);
      wrists.push(boneEnd(elbow[0] / near(z), elbow[1] / near(z), wrist[0], wrist[1], z, lower, way % 2 ? 1 : -1));
    }
    const lift = raised(sy - wrist[1] / near(wrists[0]));
    const usual = REACH_LOW + (REACH_HIGH - REACH_LOW) * lift, usualElbow = ELBOW_LOW + (ELBOW_HIGH - ELBOW_LOW) * lift;
    let best = 0;
    for (let way = 0; way < 4; way++) {
      const before = -wrists[way];
      let cost = ((elbows[way] + usualElbow) / 0.1) ** 2 + (Math.max(0.08 - before, 0) / 0.05) ** 2;
      cost += ((before - usual) / 0.2) ** 2 + (Math.max(wrists[way] - elbows[way], 0) / 0.1) ** 2;
      let least = fresh ? 0 : 1e9;
      for (let old = 0; old < 4 && !fresh; old++) {
        const jump = Math.abs(elbows[way] - this.elbows[old]) + Math.abs(wrists[way] - this.wrists[old]);
        least = Math.min(least, WAY_MEMORY * this.costs[old] + Math.min(jump / STILL, JUMP));
      }
      costs.push(cost + least);
      if (costs[way] < costs[best]) best = way;
    }
    const lowest = costs[best];
    if (!fresh && costs[this.way] < lowest + WAY_SWITCH) best = this.way;
    Object.assign(this, { way: best, costs: costs.map((cost) => cost - lowest), elbows, wrists });
    // A forearm that looks as long as it is, or longer, says nothing of the depth: hands are then before the shoulders.
    const z = elbows[best], hand = wrists[best], a = near(z);
    const aside = Math.hypot(wrist[0] / a - elbow[0] / a, wrist[1] / a - elbow[1] / a);
    const unsaid = clamp((aside / lower - 0.88) / 0.1, 0, 1);
    return [z, hand + unsaid * (Math.min(-usual, hand) - hand)];
  }
}

// ---- the person ------------------------------------------------------------------------------------------------------
const JOINT_LEAST = 0.2, SPAN_SURE = 0.5, AVERAGED = 100, OUTLIER = 0.15, SIZES = [0.7, 1.4], HALF_LONGER = 4;
const HALF_SHORTER = 30, LONGER = 0.3, SHORTER = 0.0005, LARGE = 0.75;
const SPAN_ENDS = [[0, 5], [0, 9], [0, 13], [0, 17], [5, 17], [0, 12], [0, 8]];

/** How large the signer is in the picture, and how large the hands, from the frames so far. */
class Person {
  constructor(aspect, anatomy) {
    Object.assign(this, { aspect, anatomy, value: 0, count: 0, alone: 0, middle: null, hands: 0, length: 1 });
    this.longest = SPAN_ENDS.map(() => 0);
  }

  /** Pixels of a metre right and down, at the depth of the shoulders; null where nothing tells it. */
  get metre() {
    const across = this.value || this.alone;
    return across ? [across, across / this.aspect] : null;
  }

  see(points) {
    if (Math.min(points[3 * LEFT_SHOULDER + 2], points[3 * RIGHT_SHOULDER + 2]) < JOINT_LEAST) {
      if (this.count) return;
      for (const hand of HANDS) { // the hands are the measure
        const spans = this.spansOf(points, hand, [1, 1 / this.aspect]);
        this.alone = Math.max(this.alone, ...spans.map((span, k) => span / this.anatomy.spans[k]));
      }
      return;
    }
    const [lx, ly, , rx, ry] = points.subarray(3 * LEFT_SHOULDER);
    this.middle = [(lx + rx) / 2, (ly + ry) / 2];
    let width = Math.abs(lx - rx) / this.anatomy.body[0];
    if (Math.abs(lx - rx) <= 1) return;
    this.count = Math.min(this.count + 1, AVERAGED);
    if (this.count > 1) width = clamp(width, (1 - OUTLIER) * this.value, (1 + OUTLIER) * this.value);
    this.value += (width - this.value) / this.count;
  }

  /** Lengths that a hand shows, in units of (x, y) pixels; 0 where an end is not sure. */
  spansOf(points, hand, [ux, uy]) {
    return SPAN_ENDS.map(([a, b]) => {
      const p = 3 * (hand + a), q = 3 * (hand + b);
      if (points[p + 2] < SPAN_SURE || points[q + 2] < SPAN_SURE) return 0;
      return Math.hypot((points[q] - points[p]) / ux, (points[q + 1] - points[p + 1]) / uy);
    });
  }

  /** Takes the spans of the hands of one frame into account. */
  seeHands(spans) {
    if (!spans.length) return;
    const longest = SPAN_ENDS.map((_, k) => Math.max(...spans.map((one) => one[k])));
    this.longest = this.longest.map((before, k) => {
      const longer = longest[k] - before, share = before === 0 ? 1 : longer > 0 ? LONGER : SHORTER;
      return longest[k] > 0 ? before + longer * share : before;
    });
    const ratios = this.longest.map((span, k) => span / this.anatomy.spans[k]).filter((ratio) => ratio > 0);
    if (!ratios.length) return;
    this.hands += mean(longest.map((span) => (span > 0 ? 1 : 0))) * spans.length;
    const ratio = quantile(ratios, LARGE);
    const believed = this.hands / (this.hands + (ratio > 1 ? HALF_LONGER : HALF_SHORTER));
    this.length = clamp(Math.exp(believed * Math.log(ratio)), ...SIZES);
  }
}

// ---- one hand over time ----------------------------------------------------------------------------------------------
const LEAST = 0.1, SURE = 0.5, LEAST_POINTS = 8, EASE = 0.55, GOOD = 2.5, BAD = 6, BELIEVED = 8, HELD = 4, GONE = 12;
const CHANGE = 0.34, SOFT = 1.5, SOFT_ELBOW = 30, RAISED = [-0.05, -0.1];

class HandTrack {
  constructor(side, anatomy, solver) {
    Object.assign(this, { side, anatomy, solver, joints: ARMS[side], mirror: [side === 0 ? 1 : -1, 1] });
    this.arm = new ArmTrack();
    this.posed = new PosedHand();
    this.solutions = range(0, FOLLOWED).map(() => new Float64Array(ANGLES));
    this.costs = new Float64Array(FOLLOWED).fill(NONE);
    this.angles = new Float64Array(ANGLES);
    this.leftOver = new Float64Array(ANGLES);
    Object.assign(this, { main: -1, lost: null, fits: 0, strength: -1, wrist: [0, 0], fromWrist: [0, 0], shoulder: null });
  }

  /** Takes one frame into account. Returns [pose or null, spans by which hands may be measured or null]. */
  step(points, person) {
    const { hand } = this.joints;
    let xy = range(0, HAND_POINTS).map((k) => [points[3 * (hand + k)], points[3 * (hand + k) + 1]]);
    const scores = range(0, HAND_POINTS).map((k) => points[3 * (hand + k) + 2]);
    let weights = scores.map((score) => (score >= LEAST ? Math.min(score / SURE, 1) : 0));
    const known = weights[0] > 0 && weights.filter((weight) => weight > 0).length >= LEAST_POINTS;
    if (!known && this.lost !== null) this.lost = this.lost < GONE ? this.lost + 1 : null;
    const { metre } = person;
    if (!metre || !(known || this.lost !== null)) {
      this.forget();
      return [null, null];
    }
    const wrist = this.wristAt(points, known ? xy[0] : null);
    const [forearm, depth] = this.forearm(points, wrist, person, metre);
    const larger = near(depth), scale = [0, 1].map((k) => this.mirror[k] * metre[k] * larger * person.length);
    if (known) {
      const seen = new Float64Array(40);
      for (let k = 0; k < 20; k++) {
        for (let c = 0; c < 2; c++) seen[2 * k + c] = ((xy[k + 1][c] - xy[0][c]) / scale[c]) * PIXELS;
      }
      this.fit(seen, weights.slice(1), forearm);
    } else {
      xy = xy.map(() => wrist);
      weights = weights.map(() => 0);
    }
    const { elbow } = this.joints, elbowSeen = points[3 * elbow + 2] >= JOINT_LEAST ? 1 : 0;
    const [error, placed, bend] = this.place(forearm, scale, xy, weights, [points[3 * elbow], points[3 * elbow + 1], elbowSeen]);
    for (const one of placed) one[2] = depth + one[2] / metre[1] / larger;
    this.believe(known ? error : null);
    const pose = {
      angles: this.angles.slice(), forearm, scale, wrist: placed[0].slice(0, 2), depth, length: person.length,
      strength: this.strength, points: placed, bend,
    };
    const spans = known && error < BELIEVED ? person.spansOf(points, hand, metre.map((one) => one * larger)) : null;
    return [pose, spans];
  }

  forget() {
    Object.assign(this, { lost: null, main: -1, strength: 0 });
    this.costs.fill(NONE);
    this.leftOver.fill(0);
    this.arm.forget();
  }

  /** The hand's root, or where the body's wrist has it, or where it was. */
  wristAt(points, root) {
    const at = 3 * this.joints.wrist, body = [points[at], points[at + 1]], bodily = points[at + 2] >= JOINT_LEAST;
    if (root) {
      this.wrist = root;
      if (bodily) this.fromWrist = [root[0] - body[0], root[1] - body[1]];
    } else if (bodily) {
      this.wrist = [body[0] + this.fromWrist[0], body[1] + this.fromWrist[1]];
    }
    return this.wrist;
  }

  /** Rotation of the forearm from the rest hand's axes, and the wrist's depth. */
  forearm(points, wrist, person, metre) {
    const at = 3 * this.joints.shoulder, elbow = 3 * this.joints.elbow;
    if (points[at + 2] >= JOINT_LEAST && person.middle) {
      this.shoulder = [points[at] - person.middle[0], points[at + 1] - person.middle[1]];
    }
    let middle = wrist, start = RAISED;
    if (this.shoulder && person.middle) {
      middle = person.middle;
      start = this.shoulder.map((part, k) => (part * this.mirror[k]) / metre[k]);
    }
    const fromMiddle = (place) => [0, 1].map((k) => ((place[k] - middle[k]) * this.mirror[k]) / metre[k]);
    const seen = points[elbow + 2] >= JOINT_LEAST;
    const elbowAt = fromMiddle([points[elbow], points[elbow + 1]]);
    const [depth, columns] = this.arm.step(start, elbowAt, fromMiddle(wrist), seen, this.anatomy.body);
    const forearm = new Float64Array(9);
    multiply(columns, this.anatomy.forearm, forearm);
    return [forearm, depth];
  }

  fit(seen, weights, forearm) {
    const main = this.solver.follow(seen, weights, forearm, this.main, this.fits++, this.solutions, this.costs);
    const { angles, leftOver, anatomy } = this;
    if (this.main < 0) leftOver.fill(0);
    else if (main !== this.main) leftOver.set(angles.map((angle, k) => angle - this.solutions[main][k]));
    for (let k = 0; k < ANGLES; k++) {
      leftOver[k] *= EASE;
      angles[k] = this.solutions[main][k] + leftOver[k];
    }
    this.main = main;
    this.lost = 0;
    limit(angles, anatomy.low, anatomy.high);
  }

  /** Puts the posed hand where its points were seen: [mean error, points (21, 3), bend (22, 2)]. */
  place(forearm, scale, xy, weights, elbow) {
    const { posed, anatomy } = this, unitLength = Math.abs(scale[1]) / PIXELS;
    posed.pose(this.angles, forearm, anatomy);
    const placed = [new Float64Array(3)];
    for (const local of posed.points) {
      const at = new Float64Array(3);
      turn(posed.palm, local, at);
      placed.push(Float64Array.of(at[0] * scale[0], at[1] * scale[1], at[2] * Math.abs(scale[1])));
    }
    let [sx, sy] = xy[0];
    for (let round = 0; round < 3; round++) { // a mean that outliers hardly move
      let total = 0.5, x = 0.5 * xy[0][0], y = 0.5 * xy[0][1];
      for (let k = 1; k < 21; k++) {
        const ex = xy[k][0] - placed[k][0], ey = xy[k][1] - placed[k][1];
        const far = Math.hypot(ex - sx, ey - sy) / unitLength;
        const weight = weights[k] * Math.min(1, SOFT / Math.max(far, 1e-6));
        total += weight, x += weight * ex, y += weight * ey;
      }
      [sx, sy] = [x / total, y / total];
    }
    let error = 0, total = 1e-9;
    const rest = new Float64Array(3), bend = [];
    turn(forearm, anatomy.elbow, rest);
    for (let k = 0; k < 22; k++) {
      let ex, ey, weight, most;
      if (k < 21) {
        placed[k][0] += sx;
        placed[k][1] += sy;
        [ex, ey, weight, most] = [xy[k][0] - placed[k][0], xy[k][1] - placed[k][1], weights[k], SOFT * unitLength];
      } else {
        [ex, ey] = [elbow[0] - sx - scale[0] * rest[0], elbow[1] - sy - scale[1] * rest[1]];
        [weight, most] = [elbow[2], SOFT_ELBOW * unitLength];
      }
      const far = Math.hypot(ex, ey), share = Math.min(weight, 1) * Math.min(1, most / Math.max(far, 1e-6));
      bend.push([share * ex, share * ey]);
      if (k < 21) {
        error += (weight * far) / unitLength;
        total += weight;
      }
    }
    return [error / total, placed, bend];
  }

  /** Strength from the error of the fit, or from how long the hand has been lost. */
  believe(error) {
    const wanted = clamp(error === null ? (GONE - (this.lost ?? 0)) / (GONE - HELD) : (BAD - error) / (BAD - GOOD), 0, 1);
    if (this.strength < 0) this.strength = wanted; // a clip begins with its hands
    this.strength += clamp(wanted - this.strength, -CHANGE, CHANGE);
  }
}

// ---- which hand lies in front ----------------------------------------------------------------------------------------
const BONES = [...range(1, 21).map((k) => [k % 4 === 1 ? 0 : k - 1, k]), ...[1, 5, 9, 13].map((k) => [k, k + 4])];
const RADIUS = 0.012, LEAST_WITHIN = 3, SHARE = 3.2, INSIDE = 2.6, DOUBT = 4.7, NEARER = 7, FARTHEST = 0.1;
const ODDS_MEMORY = 0.55, MOST_ODDS = 6, ORDER_SWITCH = 0.8, APART = 0.03, WHOLE = 0.1, RETURN = 0.7;

/** By point, metres that it lies before the other hand's nearest bone, and its distance from it over `radius`. */
function withinOther(points, others, radius) {
  const depths = [], away = [];
  for (const [x, y, z] of points) {
    let nearest = 1e9, depth = 0;
    for (const [a, b] of BONES) {
      const dx = others[b][0] - others[a][0], dy = others[b][1] - others[a][1];
      const ex = x - others[a][0], ey = y - others[a][1];
      const t = clamp((ex * dx + ey * dy) / Math.max(dx * dx + dy * dy, 1e-9), 0, 1);
      const far = Math.hypot(ex - t * dx, ey - t * dy) / radius;
      if (far < nearest) {
        nearest = far;
        depth = (1 - t) * others[a][2] + t * others[b][2] - z;
      }
    }
    depths.push(depth);
    away.push(nearest);
  }
  return [depths, away];
}

class Order {
  odds = 0;
  leftInFront = true;
  moved = 0;
  undecided = true;

  /** Moves the front hand of a frame towards the camera, as far as the order needs it. */
  step(points, poses) {
    this.moved *= RETURN;
    this.odds *= ODDS_MEMORY;
    if (poses.every((pose) => pose && pose.strength > 0)) {
      const found = [0, 1].map((side) => {
        const other = poses[1 - side];
        return withinOther(poses[side].points, other.points, RADIUS * other.scale[1]);
      });
      const within = found.map(([, away]) => away.map((far) => far < 1));
      if (sum(within.flat().map(Number)) >= LEAST_WITHIN) {
        const depths = found.map(([depth]) => depth);
        this.decide(points, within, depths);
        const before = [...depths[0].filter((_, k) => within[0][k]), ...depths[1].filter((_, k) => within[1][k]).map((d) => -d)];
        const least = quantile(this.leftInFront ? before : before.map((d) => -d), WHOLE);
        this.moved = Math.max(this.moved, APART - least);
      }
    }
    const front = poses[this.leftInFront ? 0 : 1];
    if (this.moved > 0 && front) {
      front.depth -= this.moved;
      for (const one of front.points) one[2] -= this.moved;
    }
  }

  decide(points, within, depths) {
    const scores = HANDS.map((hand) => range(0, 21).map((k) => points[3 * (hand + k) + 2]));
    const usual = mean(scores.flatMap((of, side) => of.filter((_, k) => within[side][k])));
    let odds = 0;
    const nearer = [];
    for (let side = 0; side < 2; side++) {
      const sign = side === 0 ? 1 : -1, count = within[side].filter(Boolean).length;
      const inside = sum(scores[side].filter((_, k) => within[side][k])) / Math.max(count, 1);
      const outside = sum(scores[side].filter((_, k) => !within[side][k])) / Math.max(21 - count, 1);
      odds += sign * ((SHARE * count) / 21 + INSIDE * (count > 0 ? inside : usual));
      odds += sign * DOUBT * (count > 0 && count < 21 ? inside - outside : 0);
      depths[side].forEach((depth, k) => within[side][k] && nearer.push(sign * depth));
    }
    odds += NEARER * clamp(median(nearer), -FARTHEST, FARTHEST);
    this.odds = clamp(this.odds + odds, -MOST_ODDS, MOST_ODDS);
    if (this.undecided) {
      this.leftInFront = this.odds > 0;
      this.undecided = false;
    } else if ((this.leftInFront ? this.odds : -this.odds) < -ORDER_SWITCH) {
      this.leftInFront = !this.leftInFront;
      this.moved = 0;
    }
  }
}

// ---- the surface, drawn ----------------------------------------------------------------------------------------------
const SAMPLES = 2, CHANNELS = 6, NOTHING = 128, FAR = 1e9;
const STAYS = 1.5, BETWEEN = 3, MOST_DRAWN = 7, LEAP = 0.25;

/** Pixels that the fastest point of a hand moved since the frame before; 0 where that is not known. */
function speed(pose, before) {
  if (!(pose?.strength > 0 && before?.strength > 0)) return 0;
  const at = (one, k, c) => one.points[k][c] + one.bend[k][c];
  const most = Math.max(...pose.points.map((_, k) => Math.hypot(at(pose, k, 0) - at(before, k, 0), at(pose, k, 1) - at(before, k, 1))));
  return most < LEAP * Math.abs(pose.scale[1]) ? most : 0;
}

const apart = (now, before) => now.map((value, k) => value - before[k]);

/** A surface some frames later, by what it moves a frame. */
function moved(surface, step, frames) {
  if (!surface || !step) return surface;
  const later = (part) => surface[part].map((value, k) => value + frames * step[part][k]);
  return { ...surface, pixels: later("pixels"), depths: later("depths") };
}

/** Fits and draws the hands of a clip, frame after frame. */
export class SolidHands {
  /** `anatomy`, `mesh`: arrays of `hand.Anatomy` and `hand.HandMesh`. */
  constructor(anatomy, mesh, width, height, aspect) {
    this.anatomy = {
      ...anatomy, joints: nested(anatomy.joints, [5, 4, 3]), axes: nested(anatomy.axes, [5, 4, 3]),
      wrist: nested(anatomy.wrist, [3, 3]), precision: nested(anatomy.precision, [ANGLES, ANGLES]),
    };
    Object.assign(this, { mesh, width, height, count: mesh.rest.length / 3, posed: new PosedHand(), order: new Order() });
    this.person = new Person(aspect, this.anatomy);
    const solver = new HandSolver(this.anatomy);
    this.tracks = [0, 1].map((side) => new HandTrack(side, this.anatomy, solver));
    this.surfaces = new WeakMap(); // by pose, for as long as anybody keeps it
  }

  /** The next frame, Float64Array (133, 3) -> poses of the left and of the right hand, null for none. */
  fit(points) {
    this.person.see(points);
    const found = this.tracks.map((track) => track.step(points, this.person));
    this.person.seeHands(found.map(([, spans]) => spans).filter(Boolean));
    const poses = found.map(([pose]) => pose);
    this.order.step(points, poses);
    return poses;
  }

  /** Uint8Array (H, W, 6) of a frame's poses, 128 where nothing is. */
  picture(poses) {
    const out = new Uint8Array(this.width * this.height * CHANNELS).fill(NOTHING), shown = this.shown(poses), box = this.box(shown);
    if (box) this.lay(this.draw(shown, poses, box), box, out);
    return out;
  }

  /**
   * `crisp`, the `picture` of a frame's poses, with fast hands as a camera sees them over the share `shutter` of a frame's
   * time: the mean of some drawings, between which a hand goes on as it came from `before`, the poses of the frame before.
   */
  smeared(poses, before, crisp, shutter) {
    const travel = poses.map((pose, side) => shutter * speed(pose, before?.[side]));
    if (Math.max(...travel) <= STAYS) return crisp;
    const now = this.shown(poses), was = this.shown(before), out = crisp.slice();
    const steps = now.map((one, side) => (travel[side] > STAYS ? { pixels: apart(one.pixels, was[side].pixels), depths: apart(one.depths, was[side].depths) } : null));
    const count = Math.min(Math.floor(Math.max(Math.ceil(Math.max(...travel) / BETWEEN), 2) / 2) * 2 + 1, MOST_DRAWN); // odd: one is crisp
    const drawn = range(0, count).map((k) => now.map((one, side) => moved(one, steps[side], shutter * ((k + 0.5) / count - 0.5))));
    steps.forEach((step, side) => {
      const box = step && this.box([drawn[0][side], drawn[count - 1][side]]);
      if (!box) return;
      const total = Uint16Array.from(this.cut(crisp, box));
      drawn.forEach((shown, k) => {
        if (k !== (count - 1) / 2) this.draw(shown, poses, box).forEach((value, at) => (total[at] += value));
      });
      this.lay(Uint8Array.from(total, (sum) => Math.floor((2 * sum + count) / (2 * count))), box, out);
    });
    return out;
  }

  /** What of a frame's poses is drawn: the surfaces of the left and of the right hand, null for none. */
  shown(poses) {
    return poses.map((pose) => {
      if (!pose || pose.strength <= 0) return null;
      if (!this.surfaces.has(pose)) this.surfaces.set(pose, this.surface(pose));
      return this.surfaces.get(pose);
    });
  }

  /** [left, top, width, height] of the part of a picture that shows a hand; null: there is none. */
  box(shown) {
    const { width, height } = this, ends = [Infinity, Infinity, -Infinity, -Infinity];
    for (const one of shown) {
      for (let v = 0; one && v < this.count; v++) {
        for (let k = 0; k < 2; k++) {
          ends[k] = Math.min(ends[k], one.pixels[2 * v + k]);
          ends[2 + k] = Math.max(ends[2 + k], one.pixels[2 * v + k]);
        }
      }
    }
    const left = clamp(Math.floor(ends[0]), 0, width), top = clamp(Math.floor(ends[1]), 0, height);
    const right = clamp(Math.ceil(ends[2]), left, width), bottom = clamp(Math.ceil(ends[3]), top, height);
    return right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
  }

  /** A part of a picture with both hands in it, Uint8Array (h, w, 6). */
  draw(shown, poses, [left, top, w, h]) {
    const buffer = new Float32Array(w * h * SAMPLES ** 2).fill(FAR), out = new Uint8Array(w * h * CHANNELS);
    const samples = new Float32Array(buffer.length * CHANNELS);
    shown.forEach((one, side) => {
      if (one) this.rasterise(one, side === 1, poses[side].strength, left, top, w * SAMPLES, h * SAMPLES, buffer, samples);
    });
    const scale = 127 / SAMPLES ** 2, row = w * SAMPLES * CHANNELS;
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const from = y * SAMPLES * row + x * SAMPLES * CHANNELS, to = (y * w + x) * CHANNELS;
        for (let k = 0; k < CHANNELS; k++) {
          const at = from + k;
          const total = samples[at] + samples[at + CHANNELS] + samples[at + row] + samples[at + row + CHANNELS];
          out[to + k] = total * scale + 128.5;
        }
      }
    }
    return out;
  }

  /** Puts a part of a picture into it. */
  lay(part, [left, top, w, h], picture) {
    const row = w * CHANNELS;
    for (let y = 0; y < h; y++) picture.set(part.subarray(y * row, (y + 1) * row), ((top + y) * this.width + left) * CHANNELS);
  }

  /** A part of a picture, a copy. */
  cut(picture, [left, top, w, h]) {
    const row = w * CHANNELS, out = new Uint8Array(h * row);
    for (let y = 0; y < h; y++) {
      const at = ((top + y) * this.width + left) * CHANNELS;
      out.set(picture.subarray(at, at + row), y * row);
    }
    return out;
  }

  /** Rotations and moves of the 18 groups of bones: x becomes R x + t. */
  bones(pose) {
    const { anatomy, posed } = this;
    posed.pose(pose.angles, pose.forearm, anatomy);
    const lower = new Float64Array(9), none = new Float64Array(3);
    multiply(pose.forearm, aboutAxis(anatomy.wrist[0], this.mesh.twist_share * pose.angles[0]), lower);
    const turns = [pose.forearm, lower, posed.palm], moves = [none, none, none];
    for (let k = 0; k < 15; k++) {
      const finger = Math.floor(k / 3), joint = k % 3, bone = new Float64Array(9);
      const away = new Float64Array(3), move = new Float64Array(3);
      multiply(posed.palm, posed.turns[k], bone);
      turn(bone, anatomy.joints[finger][joint], away);
      turn(posed.palm, posed.points[4 * finger + joint], move);
      turns.push(bone);
      moves.push(move.map((part, i) => part - away[i]));
    }
    return [turns, moves];
  }

  /** A hand as it is drawn: pixels (n, 2), depths (n,), normals (n, 3) right, down, to the camera. */
  surface(pose) {
    const { mesh, count } = this, [turns, moves] = this.bones(pose), { scale, wrist, bend } = pose;
    const vertices = new Float32Array(3 * count), pixels = new Float32Array(2 * count), depths = new Float32Array(count);
    for (let v = 0; v < count; v++) {
      const x = mesh.rest[3 * v], y = mesh.rest[3 * v + 1], z = mesh.rest[3 * v + 2];
      let a = 0, b = 0, c = 0;
      for (let k = 0; k < 4; k++) {
        const weight = mesh.weights[4 * v + k];
        if (weight <= 0) break;
        const r = turns[mesh.groups[4 * v + k]], t = moves[mesh.groups[4 * v + k]];
        a += weight * (r[0] * x + r[1] * y + r[2] * z + t[0]);
        b += weight * (r[3] * x + r[4] * y + r[5] * z + t[1]);
        c += weight * (r[6] * x + r[7] * y + r[8] * z + t[2]);
      }
      vertices[3 * v] = a, vertices[3 * v + 1] = b, vertices[3 * v + 2] = c;
    }
    const normals = this.normals(vertices), mirrored = scale[0] < 0;
    for (let v = 0; v < count; v++) {
      let x = scale[0] * vertices[3 * v] + wrist[0], y = scale[1] * vertices[3 * v + 1] + wrist[1];
      for (let k = 0; k < 6; k++) {
        const share = mesh.follow[6 * v + k];
        if (share <= 0) break;
        const [bx, by] = bend[mesh.followed[6 * v + k]];
        x += share * bx, y += share * by;
      }
      pixels[2 * v] = x, pixels[2 * v + 1] = y, depths[v] = pose.depth + pose.length * vertices[3 * v + 2];
      if (mirrored) normals[3 * v] = -normals[3 * v];
      normals[3 * v + 2] = -normals[3 * v + 2];
    }
    return { pixels, depths, normals };
  }

  normals(vertices) {
    const { faces } = this.mesh, normals = new Float32Array(vertices.length);
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const u = [0, 1, 2].map((i) => vertices[b + i] - vertices[a + i]);
      const n = cross(u, [0, 1, 2].map((i) => vertices[c + i] - vertices[a + i]));
      for (const at of [a, b, c]) for (let i = 0; i < 3; i++) normals[at + i] += n[i];
    }
    for (let v = 0; v < normals.length; v += 3) {
      const scale = 1 / Math.sqrt(normals[v] ** 2 + normals[v + 1] ** 2 + normals[v + 2] ** 2 + 1e-24);
      for (let i = 0; i < 3; i++) normals[v + i] *= scale;
    }
    return normals;
  }

  /** Draws one hand where it is nearer than the buffer (h, w); both in samples. */
  rasterise({ pixels, depths, normals }, flip, strength, left, top, w, h, buffer, out) {
    const { faces, attributes } = this.mesh;
    for (let f = 0; f < faces.length; f += 3) {
      const a = faces[f], b = faces[f + (flip ? 2 : 1)], c = faces[f + (flip ? 1 : 2)];
      const ax = (pixels[2 * a] - left) * SAMPLES, ay = (pixels[2 * a + 1] - top) * SAMPLES;
      const bx = (pixels[2 * b] - left) * SAMPLES, by = (pixels[2 * b + 1] - top) * SAMPLES;
      const cx = (pixels[2 * c] - left) * SAMPLES, cy = (pixels[2 * c + 1] - top) * SAMPLES;
      const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
      if (area >= 0) continue;
      const first = Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 0.5)), last = Math.min(w - 1, Math.floor(Math.max(ax, bx, cx) - 0.5));
      const upper = Math.max(0, Math.ceil(Math.min(ay, by, cy) - 0.5)), lower = Math.min(h - 1, Math.floor(Math.max(ay, by, cy) - 0.5));
      for (let row = upper; row <= lower; row++) {
        const y = row + 0.5;
        for (let column = first; column <= last; column++) {
          const x = column + 0.5;
          const u = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area;
          const v = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area, t = 1 - u - v;
          if (u < 0 || v < 0 || t < 0) continue;
          const z = u * depths[a] + v * depths[b] + t * depths[c], at = row * w + column;
          if (z >= buffer[at]) continue;
          buffer[at] = z;
          for (let k = 0; k < 3; k++) {
            const normal = u * normals[3 * a + k] + v * normals[3 * b + k] + t * normals[3 * c + k];
            const place = u * attributes[3 * a + k] + v * attributes[3 * b + k] + t * attributes[3 * c + k];
            out[6 * at + k] = strength * normal;
            out[6 * at + 3 + k] = strength * place;
          }
        }
      }
    }
  }
}
