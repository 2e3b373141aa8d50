// The driving person on the model's canvas, where the source person stands. See signgen/rendering/framing.py, scene.py,
// and signgen/keypoints/repair: proportions.py, align.py. What lies outside of the canvas is not shown.
import { ARMS, CONFIDENT, FACE, FACE_POINTS, HANDS, JOINTS, LEFT_HIP, LEFT_SHOULDER, NOSE, RIGHT_HIP, RIGHT_SHOULDER, copyClip, mean, median, point, quantile, range, score, sum } from "./skeleton.js";

const STRETCH = [0.7, 1.4], ZOOM = [0.1, 8], NARROW = 4, SAME_SHAPE = 0.01, FACING = 1.5, TURNED = 0.75;
const COMPLETED = 0.5;
const SHOULDERS = [LEFT_SHOULDER, RIGHT_SHOULDER], HIPS = [LEFT_HIP, RIGHT_HIP];
const HEAD_JOINTS = [...range(0, 5), ...range(FACE, FACE + FACE_POINTS)];
const HEADS = { face: [0, 16, 36, 39, 42, 45, 8].map((k) => FACE + k), ears: [1, 2, 3, 4], eyes: [1, 2, 0], nose: [NOSE] };

const frames = (clip) => range(0, clip.length);
const facingWidth = (width, head) => (head !== null && width < TURNED * head ? FACING * head : width);
const apart = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);
const between = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];

/** Frames that show all of the joints with this confidence, or more. */
const showing = (clip, joints, least) => frames(clip).filter((t) => joints.every((joint) => score(clip, t, joint) >= least));

/** Where a person stands: {x, y, width, head}, medians over the clip; null where no frame shows two shoulders. */
export function findStance(clip, facing = false) {
  let least = CONFIDENT, both = showing(clip, SHOULDERS, least);
  if (!both.length) both = showing(clip, SHOULDERS, (least = Number.MIN_VALUE));
  if (!both.length) return null;
  const ends = both.map((t) => SHOULDERS.map((joint) => point(clip, t, joint)));
  const middles = ends.map(([a, b]) => between(a, b));
  let width = median(ends.map(([a, b]) => apart(a, b)));
  const heights = both.flatMap((t, n) => (score(clip, t, NOSE) >= least ? [middles[n][1] - point(clip, t, NOSE)[1]] : []));
  let head = heights.length ? median(heights) : null;
  if (head !== null && head < NARROW) head = null;
  if (facing) width = facingWidth(width, head);
  if (width < NARROW) return null;
  return { x: median(middles.map(([x]) => x)), y: median(middles.map(([, y]) => y)), width, head };
}

/** The canvas as a rectangle {x, y, width, height} of the driving frame. */
export function chooseFraming(clip, reference, [width, height], pixelAspect) {
  const whole = { x: 0, y: 0, width: clip.width, height: clip.height };
  if (Math.abs((clip.width * height) / (clip.height * width) - 1) <= SAME_SHAPE) return whole;
  const stance = findStance(clip);
  const framing = stance && fitted(clip, stance, reference, [width, height], pixelAspect);
  if (framing) return framing;
  const wide = Math.max(1, Math.round((clip.height * width) / (height * pixelAspect)));
  return { x: Math.floor((clip.width - wide) / 2), y: 0, width: wide, height: clip.height };
}

function fitted(clip, stance, reference, canvas, pixelAspect) {
  let sx = reference.width / stance.width, sy = sx / pixelAspect;
  if (stance.head !== null && reference.head !== null) {
    sy = reference.head / stance.head;
    if (sx > sy * STRETCH[1]) sx = sy * STRETCH[1]; // shoulders this narrow are turned away: the head gives the scale
    else sy = Math.min(sy, sx / STRETCH[0]); // a nose this low is bent forwards: the shoulders give it
  }
  const width = Math.round(canvas[0] / sx), height = Math.round(canvas[1] / sy);
  const x = Math.round(stance.x - reference.x / sx), y = Math.round(stance.y - reference.y / sy);
  const sensible = [width / clip.width, height / clip.height].every((share) => share >= ZOOM[0] && share <= ZOOM[1]);
  const overlaps = -width < x && x < clip.width && -height < y && y < clip.height;
  return sensible && overlaps ? { x, y, width, height } : null;
}

/** A clip in canvas pixels. */
export function toCanvas(clip, framing, [width, height]) {
  const out = { ...copyClip(clip), width, height }, sx = width / framing.width, sy = height / framing.height;
  if (sx === 1 && sy === 1 && framing.x === 0 && framing.y === 0) return out;
  for (let k = 0; k < out.xy.length; k += 2) {
    out.xy[k] = (out.xy[k] + 0.5) * sx - framing.x * sx - 0.5;
    out.xy[k + 1] = (out.xy[k + 1] + 0.5) * sy - framing.y * sy - 0.5;
  }
  for (let k = 0; k < out.confidence.length; k++) if (!(out.confidence[k] > 0)) out.xy[2 * k] = out.xy[2 * k + 1] = 0;
  return out;
}

/** Proportions of a signer: {middle, shoulders, heads, upperArm, forearm, palm}; null if no frame shows both shoulders. */
export function measure(clip) {
  let least = Math.min(CONFIDENT, clip.confidence.reduce((most, value) => Math.max(most, value), 0));
  let both = showing(clip, SHOULDERS, least);
  if (!both.length) both = showing(clip, SHOULDERS, (least = Number.MIN_VALUE));
  if (!both.length) return null;
  const middles = both.map((t) => between(point(clip, t, 5), point(clip, t, 6)));
  const heights = both.flatMap((t, n) => (score(clip, t, NOSE) >= least ? [middles[n][1] - point(clip, t, NOSE)[1]] : []));
  const width = median(both.map((t) => apart(point(clip, t, 5), point(clip, t, 6))));
  const longest = (sides) => {
    const lengths = sides.flatMap((bones) => {
      const seen = both.filter((t) => bones.flat().every((joint) => score(clip, t, joint) >= least));
      return seen.length ? [quantile(seen.map((t) => mean(bones.map(([a, b]) => apart(point(clip, t, a), point(clip, t, b))))), 0.9)] : [];
    });
    const most = Math.max(0, ...lengths);
    return most > 0 ? most : null;
  };
  return {
    middle: [0, 1].map((k) => median(middles.map((one) => one[k]))),
    shoulders: Math.max(facingWidth(width, heights.length ? median(heights) : null), 1e-3),
    heads: Object.keys(HEADS).filter((kind) => both.some((t) => HEADS[kind].every((joint) => score(clip, t, joint) >= least))),
    upperArm: longest(ARMS.map((arm) => [[arm.shoulder, arm.elbow]])),
    forearm: longest(ARMS.map((arm) => [[arm.elbow, arm.wrist]])),
    palm: longest(HANDS.map((hand) => [5, 9, 17].map((knuckle) => [hand, hand + knuckle]))),
  };
}

/** (T, 2) values with the unknown frames filled linearly from the known ones. */
function overTime(values, known) {
  const there = frames({ length: values.length }).filter((t) => known[t]);
  if (!there.length) return values;
  let next = 0;
  return values.map((_, t) => {
    while (next < there.length && there[next] < t) next++;
    const b = there[Math.min(next, there.length - 1)], a = next > 0 && b !== t && next < there.length ? there[next - 1] : b;
    const share = a === b ? 0 : (t - a) / (b - a);
    return values[a].map((value, k) => value + share * (values[b][k] - value));
  });
}

/** Head, face and hip points that no frame has, taken from the source person's proportions. */
export function completeFrom(clip, person) {
  const ours = measure(clip), theirs = measure(person);
  const never = (joint) => frames(clip).every((t) => !(score(clip, t, joint) > 0));
  const known = (joint) => score(person, 0, joint) > 0;
  const wanted = [HEAD_JOINTS, HIPS].map((joints) => joints.filter((joint) => known(joint) && never(joint)));
  if (!wanted.some((joints) => joints.length)) return clip;
  const scale = ours.shoulders / theirs.shoulders, out = copyClip(clip);
  const template = (joint) => point(person, 0, joint).map((value, k) => value - theirs.middle[k]);
  const shoulders = frames(clip).map((t) => between(point(clip, t, 5), point(clip, t, 6)));
  const middle = overTime(shoulders, frames(clip).map((t) => SHOULDERS.every((joint) => score(clip, t, joint) > 0)));
  const guides = HEAD_JOINTS.filter((joint) => known(joint) && !never(joint));
  wanted.forEach((joints, part) => {
    for (const t of frames(clip)) {
      const seen = part === 0 ? guides.filter((joint) => score(clip, t, joint) > 0) : [];
      const place = carried(seen.map(template), seen.map((joint) => point(clip, t, joint)), middle[t], scale);
      for (const joint of joints) {
        const to = t * JOINTS + joint;
        out.xy.set(place(template(joint)), 2 * to);
        out.confidence[to] = COMPLETED;
      }
    }
  });
  return out;
}

/** Where a place of the template goes: by a least-squares similarity for two guides or more. */
function carried(source, target, middle, scale) {
  if (!source.length) return (place) => place.map((value, k) => middle[k] + scale * value);
  const [a, b] = [source, target].map((points) => [0, 1].map((k) => mean(points.map((one) => one[k]))));
  const z = source.map(([x, y]) => [x - a[0], y - a[1]]), w = target.map(([x, y]) => [x - b[0], y - b[1]]);
  const power = sum(z.map(([x, y]) => x * x + y * y));
  let turn = [scale, 0];
  if (source.length > 1 && power > 1e-9) {
    turn = [sum(w.map(([x, y], n) => x * z[n][0] + y * z[n][1])) / power, sum(w.map(([x, y], n) => y * z[n][0] - x * z[n][1])) / power];
  }
  return ([x, y]) => [b[0] + turn[0] * (x - a[0]) - turn[1] * (y - a[1]), b[1] + turn[1] * (x - a[0]) + turn[0] * (y - a[1])];
}

/** Frames in which nobody was found show the last pose found before (at the start: the first one found). */
export function holdMissing(clip) {
  const found = frames(clip).map((t) => clip.confidence.subarray(t * JOINTS, (t + 1) * JOINTS).some((value) => value > 0));
  let last = found.indexOf(true);
  if (last < 0 || found.every(Boolean)) return clip;
  const out = copyClip(clip);
  for (const t of frames(clip)) {
    if (found[t]) last = t;
    out.xy.set(clip.xy.subarray(2 * last * JOINTS, 2 * (last + 1) * JOINTS), 2 * t * JOINTS);
    out.confidence.set(clip.confidence.subarray(last * JOINTS, (last + 1) * JOINTS), t * JOINTS);
  }
  return out;
}

/** The clip on the canvas of a model, for a source person (a clip of one frame on the canvas). */
export function buildScene(clip, person, canvas, pixelAspect) {
  const framing = chooseFraming(clip, findStance(person, true), canvas, pixelAspect);
  let driving = toCanvas(clip, framing, canvas);
  if (findStance(driving)) driving = completeFrom(driving, person);
  return { driving, framing };
}
