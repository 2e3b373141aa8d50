// From 23 angles to rotations and points of a left hand, and their fit to seen points by damped Gauss-Newton steps, see
// signgen/pose_image/solid/kinematics.py and solve.py. A (3, 3) matrix is a Float64Array of 9.
import { clamp, range } from "./skeleton.js";

export const ANGLES = 23, PIXELS = 300;
const DEGREE = Math.PI / 180, SLOPE = DEGREE * PIXELS;

const vectors = (count, size) => range(0, count).map(() => new Float64Array(size));

function rotation(axis, degrees, out) {
  const [x, y, z] = axis, s = Math.sin(degrees * DEGREE), c = Math.cos(degrees * DEGREE), t = 1 - c;
  out[0] = t * x * x + c, out[1] = t * x * y - s * z, out[2] = t * x * z + s * y;
  out[3] = t * x * y + s * z, out[4] = t * y * y + c, out[5] = t * y * z - s * x;
  out[6] = t * x * z - s * y, out[7] = t * y * z + s * x, out[8] = t * z * z + c;
}

export function multiply(a, b, out) {
  for (let i = 0; i < 9; i += 3) {
    for (let j = 0; j < 3; j++) out[i + j] = a[i] * b[j] + a[i + 1] * b[3 + j] + a[i + 2] * b[6 + j];
  }
}

export function turn(matrix, vector, out) {
  const x = vector[0], y = vector[1], z = vector[2];
  for (let i = 0; i < 3; i++) out[i] = matrix[3 * i] * x + matrix[3 * i + 1] * y + matrix[3 * i + 2] * z;
}

/** What posing a hand fills: rotation of the palm, fingers' joints and tips, bones' rotations, axes of the angles. */
export class PosedHand {
  constructor() {
    this.palm = new Float64Array(9);
    this.wristSlopes = vectors(3, 3);
    this.points = vectors(20, 3);
    this.turns = vectors(15, 9);
    this.slopes = vectors(20, 3);
    this.work = vectors(3, 9);
  }

  /** Rotation of the palm: forearm, twist, then the swing whose axis times angle is the wrist's bend. */
  turnWrist(angles, forearm, axes) {
    const [first_, second_] = this.work, slopes = this.wristSlopes;
    rotation(axes[0], angles[0], first_);
    multiply(forearm, first_, second_);
    turn(forearm, axes[0], slopes[0]);
    const u = [0, 1, 2].map((k) => angles[1] * axes[1][k] + angles[2] * axes[2][k]);
    const degrees = Math.hypot(...u);
    const [ux, uy, uz] = u.map((part) => part / Math.max(degrees, 1e-9));
    const radians = Math.max(degrees * DEGREE, 1e-6);
    const first = Math.sin(radians) / radians, second = (1 - Math.cos(radians)) / radians;
    for (let k = 1; k < 3; k++) {
      const [x, y, z] = axes[k], along = (1 - first) * (ux * x + uy * y + uz * z);
      slopes[k][0] = first * x + along * ux + second * (uy * z - uz * y);
      slopes[k][1] = first * y + along * uy + second * (uz * x - ux * z);
      slopes[k][2] = first * z + along * uz + second * (ux * y - uy * x);
      turn(second_, slopes[k], slopes[k]);
    }
    rotation([ux, uy, uz], degrees, first_);
    multiply(second_, first_, this.palm);
  }

  /** Fingers of a hand whose palm stays at rest. */
  bendFingers(angles, joints, axes) {
    const [whole, bone, product] = this.work, { points, turns, slopes } = this;
    for (let finger = 0; finger < 5; finger++) {
      const first = 4 * finger;
      points[first].set(joints[finger][0]);
      whole.set([1, 0, 0, 0, 1, 0, 0, 0, 1]);
      for (let angle = 0; angle < 4; angle++) {
        turn(whole, axes[finger][angle], slopes[first + angle]);
        rotation(axes[finger][angle], angles[3 + first + angle], bone);
        multiply(whole, bone, product);
        whole.set(product);
        if (angle === 0) continue;
        const at = points[first + angle], before = points[first + angle - 1];
        for (let i = 0; i < 3; i++) at[i] = joints[finger][angle][i] - joints[finger][angle - 1][i];
        turn(whole, at, at);
        for (let i = 0; i < 3; i++) at[i] += before[i];
        turns[3 * finger + angle - 1].set(whole);
      }
    }
  }

  pose(angles, forearm, anatomy) {
    this.turnWrist(angles, forearm, anatomy.wrist);
    this.bendFingers(angles, anatomy.joints, anatomy.axes);
    return this;
  }
}

/** The rotation of a bone about an axis. */
export function aboutAxis(axis, degrees) {
  const out = new Float64Array(9);
  rotation(axis, degrees, out);
  return out;
}

/** Brings angles within their limits; flexion and deviation of the wrist into an ellipse. */
export function limit(angles, low, high) {
  for (let k = 0; k < ANGLES; k++) if (k !== 1 && k !== 2) angles[k] = clamp(angles[k], low[k], high[k]);
  const over = Math.hypot(angles[1] / high[1], angles[2] / high[2]);
  if (over > 1) angles[1] /= over, angles[2] /= over;
}

// ---- the fit of one hand in one frame --------------------------------------------------------------------------------
const ROBUST = 2.5, DATA = 0.3, SHIFT_COST = 2, ENOUGH = 1e-3;
export const FOLLOWED = 4, NONE = 1e30;
const STARTS = [-100, -50, 0, 50, 100].flatMap((turned) => [-25, 25].map((bent) => [turned, bent]));
const COLD_ROUNDS = 9, WARM_ROUNDS = 5, TRIES = 4, PULL = 0.03 ** 2, MEMORY = 0.75, SWITCH = 3, SAME = 9;

/** Fits angles, and keeps several solutions side by side from frame to frame. */
export class HandSolver {
  constructor(anatomy) {
    this.anatomy = anatomy;
    this.hand = new PosedHand();
    this.projected = vectors(20, 2);
    this.jacobian = range(0, 20).map(() => vectors(2, 7));
    for (const name of ["ahead", "matrix", "factor"]) this[name] = vectors(ANGLES, ANGLES);
    for (const name of ["down", "right", "step", "angles", "best", "start"]) this[name] = new Float64Array(ANGLES);
    this.shift = new Float64Array(2);
  }

  /** Projected points and their derivatives by the wrist's three angles and the finger's four. */
  project(forearm) {
    const { hand, projected, jacobian } = this;
    hand.pose(this.angles, forearm, this.anatomy);
    const { points, slopes, wristSlopes: wrist, palm } = hand;
    for (let k = 0; k < 20; k++) {
      turn(palm, points[k], points[k]);
      turn(palm, slopes[k], slopes[k]);
    }
    for (let k = 0; k < 20; k++) {
      const first = k - (k % 4), [x, y, z] = points[k], [jx, jy] = jacobian[k];
      projected[k][0] = PIXELS * x, projected[k][1] = PIXELS * y;
      for (let a = 0; a < 3; a++) {
        jx[a] = SLOPE * (wrist[a][1] * z - wrist[a][2] * y);
        jy[a] = SLOPE * (wrist[a][2] * x - wrist[a][0] * z);
      }
      for (let a = 0; a < 4; a++) {
        const pivot = first + Math.max(a - 1, 0);
        if (k <= pivot) {
          jx[3 + a] = jy[3 + a] = 0;
          continue;
        }
        const dx = x - points[pivot][0], dy = y - points[pivot][1], dz = z - points[pivot][2], axis = slopes[first + a];
        jx[3 + a] = SLOPE * (axis[1] * dz - axis[2] * dy);
        jy[3 + a] = SLOPE * (axis[2] * dx - axis[0] * dz);
      }
    }
  }

  /** Updates how far all points are seen off together: one step of a weighted mean. */
  shiftBy(seen, weights) {
    const { projected, shift } = this;
    let total = SHIFT_COST, x = 0, y = 0;
    for (let k = 0; k < 20; k++) {
      const ex = seen[2 * k] - projected[k][0], ey = seen[2 * k + 1] - projected[k][1];
      const far = Math.hypot(ex - shift[0], ey - shift[1]);
      const weight = weights[k] * Math.min(1, ROBUST / Math.max(far, 1e-6));
      total += weight, x += weight * ex, y += weight * ey;
    }
    shift[0] = x / total, shift[1] = y / total;
  }

  /** Solves (matrix + damping mean(diagonal) I) step = right by Cholesky, from the lower triangle. */
  solveStep(damping) {
    const { matrix, factor, right, step } = this;
    let level = 0;
    for (let i = 0; i < ANGLES; i++) level += matrix[i][i] / ANGLES;
    for (let i = 0; i < ANGLES; i++) {
      const row = factor[i];
      for (let j = 0; j <= i; j++) {
        let total = matrix[i][j] + (i === j ? damping * level : 0);
        for (let k = 0; k < j; k++) total -= row[k] * factor[j][k];
        row[j] = i === j ? Math.sqrt(Math.max(total, 1e-12)) : total / factor[j][j];
      }
    }
    for (let i = 0; i < ANGLES; i++) {
      let total = right[i];
      for (let k = 0; k < i; k++) total -= factor[i][k] * step[k];
      step[i] = total / factor[i][i];
    }
    for (let i = ANGLES - 1; i >= 0; i--) {
      let total = step[i];
      for (let k = i + 1; k < ANGLES; k++) total -= factor[k][i] * step[k];
      step[i] = total / factor[i][i];
    }
  }

  /** Fits from `start` into `best`; returns the cost without what draws it to `start`. */
  solve(forearm, seen, weights, pull, rounds) {
    const { anatomy, angles, ahead, best, down, jacobian, matrix, projected, right, shift, start, step } = this;
    angles.set(start);
    best.set(start);
    shift.fill(0);
    let damping = 1e-2, lowest = 1e300, own = 1e300;
    for (let round = 0; round <= rounds; round++) {
      this.project(forearm);
      this.shiftBy(seen, weights);
      let cost = 0.5 * DATA * SHIFT_COST * (shift[0] ** 2 + shift[1] ** 2);
      for (let i = 0; i < ANGLES; i++) {
        const precision = anatomy.precision[i];
        let total = 0;
        for (let j = 0; j < ANGLES; j++) total += precision[j] * (angles[j] - anatomy.mean[j]);
        ahead[i].set(precision);
        down[i] = -total;
        cost += 0.5 * (angles[i] - anatomy.mean[i]) * total;
      }
      for (let k = 0; k < 20; k++) {
        if (weights[k] <= 0) continue;
        const ex = projected[k][0] + shift[0] - seen[2 * k], ey = projected[k][1] + shift[1] - seen[2 * k + 1];
        const far = Math.sqrt(ex * ex + ey * ey), [along, across] = jacobian[k], finger = 4 * (k >> 2);
        cost += 0.5 * DATA * weights[k] * (far < ROBUST ? far * far : 2 * ROBUST * far - ROBUST * ROBUST);
        const weight = DATA * weights[k] * Math.min(1, ROBUST / Math.max(far, 1e-6));
        for (let a = 0; a < 7; a++) {
          const row = a < 3 ? a : finger + a, jx = weight * along[a], jy = weight * across[a];
          down[row] -= jx * ex + jy * ey;
          for (let b = 0; b <= a; b++) ahead[row][b < 3 ? b : finger + b] += jx * along[b] + jy * across[b];
        }
      }
      let drawn = 0;
      for (let i = 0; i < ANGLES; i++) {
        const off = angles[i] - start[i];
        drawn += 0.5 * pull * off * off;
        ahead[i][i] += pull;
        down[i] -= pull * off;
      }
      if (cost + drawn < lowest) {
        const done = lowest - cost - drawn < ENOUGH * lowest;
        lowest = cost + drawn;
        own = cost;
        damping = Math.max(damping * 0.4, 1e-4);
        best.set(angles);
        right.set(down);
        for (let i = 0; i < ANGLES; i++) matrix[i].set(ahead[i]);
        if (done) break;
      } else {
        damping = Math.min(damping * 6, 1e3);
      }
      if (round === rounds) break;
      this.solveStep(damping);
      for (let i = 0; i < ANGLES; i++) angles[i] = best[i] + step[i];
      limit(angles, anatomy.low, anatomy.high);
    }
    return own;
  }

  /** Fits one hand in one frame; returns which of the `solutions` is to be shown. */
  follow(seen, weights, forearm, main, guess, solutions, costs) {
    const before = main < 0 ? 0 : costs[main], tries = main < 0 ? STARTS.length : TRIES;
    for (let k = 0; k < FOLLOWED + tries; k++) {
      const known = k < FOLLOWED;
      if (known && costs[k] >= NONE) continue;
      this.start.set(known ? solutions[k] : this.anatomy.mean);
      if (!known) [this.start[0], this.start[1]] = STARTS[(guess * tries + k) % STARTS.length];
      const rounds = main < 0 ? COLD_ROUNDS : WARM_ROUNDS;
      const cost = this.solve(forearm, seen, weights, known ? PULL : 0, rounds);
      if (known) {
        solutions[k].set(this.best);
        costs[k] = MEMORY * costs[k] + cost;
      } else {
        keep(this.best, MEMORY * before + cost, main, solutions, costs);
      }
    }
    for (let k = 0; k < FOLLOWED; k++) { // two that have become one
      for (let other = 0; other < k; other++) {
        if (costs[k] < NONE && costs[other] < NONE && apart(solutions[k], solutions[other]) < SAME) {
          costs[k === main ? other : k] = NONE;
        }
      }
    }
    let best = Math.max(main, 0);
    for (let k = 0; k < FOLLOWED; k++) if (costs[k] + (best === main ? SWITCH : 0) < costs[best]) best = k;
    return best;
  }
}

/** Mean difference of two solutions in degrees; the wrist counts twice. */
function apart(a, b) {
  let total = 0;
  for (let k = 0; k < ANGLES; k++) total += Math.abs(a[k] - b[k]) * (k < 3 ? 2 : 1);
  return total / ANGLES;
}

/** Puts a new solution in the place of the same one, or of the worst, where it is better. */
function keep(angles, cost, main, solutions, costs) {
  let place = -1;
  for (let k = 0; k < FOLLOWED; k++) {
    if (costs[k] < NONE && apart(angles, solutions[k]) < SAME) {
      place = k;
      break;
    }
    if (k !== main && (place < 0 || costs[k] > costs[place])) place = k;
  }
  if (cost < costs[place]) {
    solutions[place].set(angles);
    costs[place] = cost;
  }
}
