// Hands, faces and elbows that an estimator lost for some frames, or never found, completed: see
// signgen/keypoints/repair/missing.py and carry.py. Points are complex numbers [re, im] here, as they are there.
import { measure } from "./scene.js";
import { ARMS, FACE, FACE_POINTS, HAND_POINTS, JOINTS, MIDDLE_KNUCKLE, clamp, copyClip, mean, median, point, quantile, range, score, sum } from "./skeleton.js";

const FOUND = 0.15, USABLE = 0.2, SURENESS = 0.6, UPPER_ARM = 1, FOREARM = 0.83, EASE = 0.25, CLOSE = 0.25, HANGING = [0.9, 0.44], FOLLOW = [0.6, 1];
const FARTHEST_BEND = 1, ENOUGH = 0.5, MARGIN = 0.08, BRIDGE = 0.25, SPARSE = 0.25, BRIEF = 0.12, NEAR = 4, FAR = 0.9;
const SIZES = [0.4, 2.2], SURE = [0.35, 0.55], SHORT = 0.4, STEADY = 5, CALM = 3, FILLED = 0.5, PALM_OF_SHOULDERS = 0.29;

// A relaxed left hand in lengths of the palm: x runs on from the forearm, y to the thumb's side.
const RELAXED = [
  [0, 0], [0.3, 0.25], [0.58, 0.4], [0.82, 0.45], [1.02, 0.44], [0.99, 0.22], [1.3, 0.24], [1.46, 0.2], [1.56, 0.14],
  [1, 0.02], [1.35, 0.03], [1.53, -0.01], [1.63, -0.06], [0.94, -0.16], [1.26, -0.18], [1.43, -0.2], [1.53, -0.23],
  [0.84, -0.32], [1.07, -0.37], [1.21, -0.39], [1.3, -0.4],
];
// A part hangs on a joint and turns with a limb.
const HANDS = ARMS.map((arm, side) => ({ left: side === 0, first: arm.hand, count: HAND_POINTS, joint: arm.wrist, limb: [arm.elbow, arm.wrist] }));
const HEAD = { head: true, first: FACE, count: FACE_POINTS, joint: 0, limb: [2, 1] };

const add = (a, b) => [a[0] + b[0], a[1] + b[1]], less = (a, b) => [a[0] - b[0], a[1] - b[1]];
const times = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]], scaled = (a, s) => [a[0] * s, a[1] * s];
const turned = (angle) => [Math.cos(angle), Math.sin(angle)], abs = (a) => Math.hypot(a[0], a[1]), arg = (a) => Math.atan2(a[1], a[0]);
const mix = (a, b, share) => add(scaled(a, 1 - share), scaled(b, share));
const everyFrame = (clip) => range(0, clip.length);
const rounded = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)); // halves to even, as Python's
const framesIn = (clip, seconds) => Math.max(1, rounded(seconds * clip.fps));

/** For each frame the last known one up to it (-1: none), and the next from it on (T: none). */
function neighbours(known) {
  const before = [], after = [];
  known.forEach((one, t) => before.push(one ? t : t ? before[t - 1] : -1));
  for (let t = known.length - 1; t >= 0; t--) after[t] = known[t] ? t : t + 1 < known.length ? after[t + 1] : known.length;
  return [before, after];
}

/** The known frames around a frame; beyond the first or last, twice the nearest. */
function around(known) {
  const [before, after] = neighbours(known);
  return (t) => [before[t] < 0 ? after[t] : before[t], after[t] >= known.length ? before[t] : after[t]];
}

/** [start, stop] of every stretch of true values. */
function runs(mask) {
  const found = [];
  mask.forEach((one, t) => {
    if (!one) return;
    if (t && mask[t - 1]) found.at(-1)[1] = t + 1;
    else found.push([t, t + 1]);
  });
  return found;
}

/** A low-pass with -3 dB at `hz`, as a local line fit within each stretch of known values. */
function steady(values, known, fps, hz = STEADY) {
  if (fps / 2 <= hz || values.length < 3) return values;
  const sigma = (Math.sqrt(Math.log(2)) / (2 * Math.PI * hz)) * fps, radius = Math.min(Math.ceil(3 * sigma), values.length - 1);
  const out = values.slice();
  for (const [start, stop] of runs(known)) {
    for (let t = start; t < stop; t++) {
      let s0 = 0, s1 = 0, s2 = 0, m0 = [0, 0], m1 = [0, 0];
      for (let k = Math.max(t - radius, start); k < Math.min(t + radius + 1, stop); k++) {
        const off = k - t, weight = Math.exp(-0.5 * (off / sigma) ** 2);
        s0 += weight, s1 += weight * off, s2 += weight * off * off;
        m0 = add(m0, scaled(values[k], weight));
        m1 = add(m1, scaled(values[k], weight * off));
      }
      const determinant = s0 * s2 - s1 * s1, flat = determinant <= 1e-9 * Math.max(s0 * s2, 1e-12);
      const line = flat ? scaled(m0, 1 / Math.max(s0, 1e-12)) : scaled(less(scaled(m0, s2), scaled(m1, s1)), 1 / determinant);
      out[t] = line.map(Math.fround);
    }
  }
  return out;
}

/** The direction from start to end without jumps, radians; a limb that points at the camera says little. */
function angles(start, end, known, fps) {
  const limb = end.map((one, t) => less(one, start[t])), lengths = limb.filter((_, t) => known[t]).map(abs);
  const least = lengths.length ? SHORT * quantile(lengths, 0.9) : Infinity;
  const there = range(0, limb.length).filter((t) => known[t] && abs(limb[t]) >= least);
  if (!there.length) return limb.map(() => 0);
  const straight = [arg(limb[there[0]])];
  for (let n = 1; n < there.length; n++) {
    const step = arg(limb[there[n]]) - arg(limb[there[n - 1]]);
    straight.push(straight[n - 1] + step - 2 * Math.PI * Math.round(step / (2 * Math.PI)));
  }
  let next = 0;
  const filled = limb.map((_, t) => {
    while (next < there.length && there[next] < t) next++;
    if (next === 0 || next === there.length) return [straight[clamp(next, 0, there.length - 1)], 0];
    const share = (t - there[next - 1]) / (there[next] - there[next - 1]);
    return [straight[next - 1] + share * (straight[next] - straight[next - 1]), 0];
  });
  return steady(filled, limb.map(() => true), fps, CALM).map(([angle]) => angle);
}

/** Fills gaps of at most `longest` frames by cubic curves: [values, known]. */
function bridge(values, known, longest) {
  const [before, after] = neighbours(known), filled = values.slice(), now = known.slice();
  known.forEach((one, t) => {
    const a = before[t], b = after[t], span = b - a;
    if (one || a < 0 || b >= known.length || span - 1 > longest) return;
    const chord = scaled(less(values[b], values[a]), 1 / span);
    const fast = a > 0 && known[a - 1] ? less(values[a], values[a - 1]) : chord;
    const slow = b + 1 < known.length && known[b + 1] ? less(values[b + 1], values[b]) : chord;
    const [leave, arrive] = [fast, slow].map((speed) => scaled(add(speed, chord), span / 2)), s = (t - a) / span;
    filled[t] = add(
      add(scaled(values[a], (1 + 2 * s) * (1 - s) ** 2), scaled(leave, s * (1 - s) ** 2)),
      add(scaled(values[b], s ** 2 * (3 - 2 * s)), scaled(arrive, s ** 2 * (s - 1))),
    );
    now[t] = true;
  });
  return [filled, now];
}

// ---- what the clip has -----------------------------------------------------------------------------------------------
const track = (clip, joint) => everyFrame(clip).map((t) => point(clip, t, joint));
const isWhole = (found) => found.map((row) => row.filter(Boolean).length / row.length >= ENOUGH);

function readPart(clip, part) {
  const joints = range(part.first, part.first + part.count);
  const confidence = everyFrame(clip).map((t) => joints.map((joint) => score(clip, t, joint)));
  const found = confidence.map((row) => row.map((value) => value >= FOUND));
  return { points: everyFrame(clip).map((t) => joints.map((joint) => point(clip, t, joint))), confidence, found, whole: isWhole(found) };
}

/** The state with the part missing in some frames (booleans). */
const without = (state, frames) => ({
  points: state.points,
  confidence: state.confidence.map((row, t) => (frames[t] ? row.map(() => 0) : row)),
  found: state.found.map((row, t) => (frames[t] ? row.map(() => false) : row)),
  whole: state.whole.map((one, t) => one && !frames[t]),
});

const middles = (state) => state.points.map((row, t) => {
  const seen = row.filter((_, n) => state.found[t][n]);
  return seen.length ? scaled(seen.reduce(add), 1 / seen.length) : [0, 0];
});

/** The joint where it is usable, else where the part itself says that it must be, else a short bridge. */
function carrierOf(clip, part, state) {
  const margin = MARGIN * Math.max(clip.width, clip.height), joint = track(clip, part.joint), [start, end] = part.limb;
  const known = joint.map(([x, y], t) => score(clip, t, part.joint) >= USABLE
    && x > -margin && y > -margin && x < clip.width + margin && y < clip.height + margin);
  const limb = everyFrame(clip).map((t) => score(clip, t, start) >= USABLE && score(clip, t, end) >= USABLE);
  const angle = angles(track(clip, start), track(clip, end), limb, clip.fps), middle = middles(state);
  let place = steady(joint, known, clip.fps);
  const usual = everyFrame(clip).filter((t) => known[t] && state.whole[t]).map((t) => times(less(middle[t], place[t]), turned(-angle[t])));
  const offset = usual.length ? [0, 1].map((k) => median(usual.map((one) => one[k]))) : [0, 0];
  place = place.map((one, t) => (state.whole[t] && !known[t] ? less(middle[t], times(offset, turned(angle[t]))) : one));
  const [filled, now] = bridge(place, known.map((one, t) => one || state.whole[t]), framesIn(clip, BRIDGE));
  return { place: filled, known: now, angle };
}

// ---- what is not believed --------------------------------------------------------------------------------------------
const cutClip = (clip, first, stop) => ({
  ...clip, length: stop - first, xy: clip.xy.subarray(2 * first * JOINTS, 2 * stop * JOINTS), confidence: clip.confidence.subarray(first * JOINTS, stop * JOINTS),
});

/** The state without brief detections that lie far from where the arm has the hand, or are of another size. */
function believe(clip, part, state) {
  const longest = Math.min(framesIn(clip, BRIEF), clip.length - 1), doubted = state.whole.map(() => false);
  for (const [start, stop] of runs(state.whole)) {
    if (stop - start > longest) continue;
    const first = Math.max(start - framesIn(clip, NEAR), 0), last = Math.min(stop + framesIn(clip, NEAR), clip.length);
    const near = Object.fromEntries(Object.entries(without(state, doubted)).map(([name, values]) => [name, values.slice(first, last)]));
    if (unlikely(cutClip(clip, first, last), part, near, range(start - first, stop - first))) doubted.fill(true, start, stop);
  }
  return without(state, doubted);
}

function unlikely(clip, part, state, frames) {
  const others = without(state, everyFrame(clip).map((t) => frames.includes(t))), middle = middles(state);
  const lengths = state.points.map((row, t) => Math.max(0, ...row.filter((_, n) => state.found[t][n]).map((one) => abs(less(one, middle[t])))));
  const carrier = carrierOf(clip, part, others), usable = frames.filter((t) => carrier.known[t]);
  if (!others.whole.some(Boolean)) { // nothing to compare it with but the wrist
    return usable.length > 0 && median(usable.map((t) => abs(less(middle[t], carrier.place[t])) / lengths[t])) > 1 + FAR;
  }
  const usual = median(lengths.filter((_, t) => others.whole[t])), size = median(frames.map((t) => lengths[t])) / usual;
  if (!(SIZES[0] <= size && size <= SIZES[1])) return true;
  const [expected] = carriedPart(clip, part, others, carrier, frames);
  const away = frames.flatMap((t, k) => (carrier.known[t] && state.found[t][0] ? [abs(less(expected[k][0], state.points[t][0]))] : []));
  return away.length > 0 && median(away) > FAR * usual;
}

// ---- completing ------------------------------------------------------------------------------------------------------
/** The part in frames without it, from the shape before to the shape after: [points (K, N), which there are]. */
function carriedPart(clip, part, state, carrier, frames) {
  const shapes = around(state.whole), points = [], there = [];
  for (const t of frames) {
    const [a, b] = shapes(t), since = Math.min(Math.abs(t - a), Math.abs(b - t)) / clip.fps;
    const follow = part.head ? 1 : FOLLOW[0] + (FOLLOW[1] - FOLLOW[0]) * Math.min(since, 1);
    const linear = a === b ? 0 : (t - a) / Math.max(b - a, 1), share = linear * linear * (3 - 2 * linear);
    const [before, after] = [a, b].map((shown) => state.points[shown].map((one) =>
      times(less(one, carrier.place[shown]), turned(follow * (carrier.angle[t] - carrier.angle[shown])))));
    const both = state.found[a].map((one, n) => one && state.found[b][n]);
    const root = (row) => (both[0] ? row[0] : scaled(row.filter((_, n) => both[n]).reduce(add, [0, 0]), 1 / Math.max(both.filter(Boolean).length, 1)));
    const rootA = root(before), rootB = root(after);
    let turn = [0, 0];
    both.forEach((one, n) => {
      const [x, y] = less(before[n], rootA);
      if (one) turn = add(turn, times([x, -y], less(after[n], rootB)));
    });
    const angle = abs(turn) > 1e-9 ? arg(turn) : 0, base = add(carrier.place[t], mix(rootA, rootB, share));
    let row = before.map((_, n) => {
      const first = less(before[n], rootA), last = times(less(after[n], rootB), turned(-angle));
      const mixed = mix(state.found[a][n] ? first : last, state.found[b][n] ? last : first, share);
      return add(base, times(mixed, turned(share * angle)));
    });
    if (!part.head) row = straightened(row, carrier.angle[t], Math.max(...[a, b].map((shown) => Math.abs(bendOf(state.points[shown], carrier.angle[shown])))), since);
    points.push(row);
    there.push(state.found[a].map((one, n) => one || state.found[b][n]));
  }
  return [points, there];
}

/** Radians from the direction of the forearm to that of the hand. */
function bendOf(hand, forearm) {
  const along = times(less(hand[MIDDLE_KNUCKLE], hand[0]), turned(-forearm));
  return abs(along) ? arg(along) : 0;
}

/** A hand turned about its root so far that its bend is a believable one. */
function straightened(row, forearm, shown, since) {
  const bend = bendOf(row, forearm), least = Math.max(FARTHEST_BEND, shown * (1 - Math.min(since, 1)));
  const back = turned(clamp(bend, -least, least) - bend);
  return row.map((one) => add(row[0], times(less(one, row[0]), back)));
}

/** The state with the part in every frame that can have it. */
function complete(clip, part, state) {
  const carrier = carrierOf(clip, part, state), brief = framesIn(clip, BRIEF);
  state = fillSparse(state, carrier, framesIn(clip, SPARSE));
  const anybody = everyFrame(clip).map((t) => clip.confidence.subarray(t * JOINTS, (t + 1) * JOINTS).some((value) => value > 0));
  const wanted = everyFrame(clip).map((t) => !state.whole[t] && carrier.known[t] && anybody[t]);
  for (const [start, stop] of runs(wanted)) { // a part that would show for a moment and touches no detection stays away
    const alone = !state.whole[Math.max(start - 1, 0)] && !state.whole[Math.min(stop, clip.length - 1)];
    if (alone && stop - start <= brief && brief < clip.length) wanted.fill(false, start, stop);
  }
  const frames = everyFrame(clip).filter((t) => wanted[t]);
  if (!frames.length) return state;
  let placed, there, sureness;
  if (state.whole.some(Boolean)) {
    const shapes = around(state.whole), seen = state.confidence.map((row, t) => {
      const scores = row.filter((_, n) => state.found[t][n]);
      return scores.length ? mean(scores) : 0;
    });
    [placed, there] = carriedPart(clip, part, state, carrier, frames);
    sureness = frames.map((t) => {
      const least = Math.min(...shapes(t).map((shown) => seen[shown]));
      return Math.min(clamp(SURENESS * least, ...SURE), least);
    });
  } else {
    const person = part.head ? null : measure(clip);
    if (!person) return state;
    const palm = person.palm ?? PALM_OF_SHOULDERS * person.shoulders;
    placed = frames.map((t) => RELAXED.map(([x, y]) => add(carrier.place[t], times([x * palm, (part.left ? y : -y) * palm], turned(carrier.angle[t])))));
    there = placed.map((row) => row.map(() => true));
    sureness = frames.map(() => SURE[0]);
  }
  const points = state.points.slice(), confidence = state.confidence.slice();
  frames.forEach((t, k) => {
    points[t] = placed[k];
    confidence[t] = there[k].map((one) => (one ? sureness[k] : 0));
  });
  return { ...state, points, confidence };
}

/** Fills single missing points of frames that have the part, seen from the joint, from the frames about them. */
function fillSparse(state, carrier, longest) {
  const points = state.points.map((row) => row.slice()), confidence = state.confidence.map((row) => row.slice());
  const found = state.found.map((row) => row.slice());
  for (let n = 0; n < points[0].length; n++) {
    const seen = state.confidence.map((row, t) => state.whole[t] && row[n] > 0), [before, after] = neighbours(seen);
    seen.forEach((one, t) => {
      const a = before[t], b = after[t];
      if (one || !state.whole[t] || state.confidence[t][n] !== 0 || a < 0 || b >= seen.length || b - a - 1 > longest) return;
      const local = (k) => less(state.points[k][n], carrier.place[k]);
      points[t][n] = add(mix(local(a), local(b), (t - a) / Math.max(b - a, 1)), carrier.place[t]);
      confidence[t][n] = FILLED * Math.min(state.confidence[a][n], state.confidence[b][n]);
      found[t][n] = true;
    });
  }
  return { ...state, points, confidence, found };
}

// ---- elbows ----------------------------------------------------------------------------------------------------------
/** Puts lost elbows of `out` where upper arm and forearm have their lengths, on the outer side of the arm. */
function fillElbows(clip, out) {
  const sure = (t, joint) => score(clip, t, joint) >= USABLE;
  const lost = ARMS.map((arm) => everyFrame(clip).filter((t) => sure(t, arm.shoulder) && sure(t, arm.wrist) && score(clip, t, arm.elbow) < FOUND));
  const person = lost.some((frames) => frames.length) && measure(clip);
  if (!person) return;
  const upper = person.upperArm ?? UPPER_ARM * person.shoulders, forearm = person.forearm ?? FOREARM * person.shoulders;
  ARMS.forEach((arm, side) => {
    const bent = everyFrame(clip).map((t) => elbowOf(point(clip, t, arm.shoulder), point(clip, t, arm.wrist), upper, forearm, side === 0 ? 1 : -1));
    const known = everyFrame(clip).map((t) => [arm.shoulder, arm.elbow, arm.wrist].every((joint) => sure(t, joint)));
    const off = (t) => less(point(clip, t, arm.elbow), bent[t]), shapes = known.some(Boolean) ? around(known) : null;
    for (const t of lost[side]) {
      let eased = [0, 0];
      if (shapes) {
        const [a, b] = shapes(t), near = [a, b].map((other) => clamp(1 - Math.abs(t - other) / Math.max(EASE * clip.fps, 1), 0, 1));
        eased = a === b ? scaled(off(a), near[0]) : scaled(add(scaled(off(a), near[0]), scaled(off(b), near[1])), 1 / Math.max(sum(near), 1));
      }
      const to = t * JOINTS + arm.elbow;
      out.xy.set(add(bent[t], eased), 2 * to);
      out.confidence[to] = SURENESS * Math.min(score(clip, t, arm.shoulder), score(clip, t, arm.wrist));
    }
  });
}

/** Where two bones of these lengths meet; on the line between their ends where it is too long, out and down where it says little. */
function elbowOf(shoulder, wrist, upper, forearm, outwards) {
  const line = less(wrist, shoulder), reach = upper + forearm, distance = Math.max(abs(line), 1e-6), straight = distance >= reach;
  const along = straight ? (distance * upper) / reach : clamp((distance ** 2 + upper ** 2 - forearm ** 2) / 2 / distance, -upper, upper);
  const aside = straight ? 0 : Math.sqrt(Math.max(upper ** 2 - along ** 2, 0)), unit = scaled(line, 1 / distance);
  const normal = scaled([-unit[1], unit[0]], aside), below = normal[1] + 0.5 * outwards * normal[0] >= 0;
  const bent = add(add(shoulder, scaled(unit, along)), below ? normal : scaled(normal, -1));
  const hanging = add(scaled(add(shoulder, wrist), 0.5), scaled([outwards * HANGING[0], HANGING[1]], reach / 2));
  return add(bent, scaled(less(hanging, bent), clamp(1 - (distance - Math.abs(upper - forearm)) / (CLOSE * reach), 0, 1)));
}

/** The clip with hands, elbows and face completed; frames without anybody stay empty. */
export function fillMissing(clip) {
  const elbows = copyClip(clip);
  fillElbows(clip, elbows);
  const out = copyClip(elbows);
  for (const part of [...HANDS, HEAD]) {
    let state = readPart(elbows, part);
    if (!part.head) state = believe(elbows, part, state);
    state = complete(elbows, part, state);
    state.points.forEach((row, t) => row.forEach((one, n) => {
      const to = t * JOINTS + part.first + n;
      out.xy.set(one, 2 * to);
      out.confidence[to] = state.confidence[t][n];
    }));
  }
  return out;
}
