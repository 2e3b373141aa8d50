// The COCO-WholeBody skeleton of 133 points, see signgen/keypoints/skeleton.py. A clip is {xy: Float32Array of
// (T, 133, 2) pixels, confidence: Float32Array of (T, 133), width, height, fps, length: T}; confidence 0 is missing.

export const JOINTS = 133;
export const NOSE = 0, LEFT_SHOULDER = 5, RIGHT_SHOULDER = 6, LEFT_ELBOW = 7, RIGHT_ELBOW = 8;
export const LEFT_WRIST = 9, RIGHT_WRIST = 10, LEFT_HIP = 11, RIGHT_HIP = 12;
export const FACE = 23, FACE_POINTS = 68, LEFT_HAND = 91, RIGHT_HAND = 112, HAND_POINTS = 21;
export const HANDS = [LEFT_HAND, RIGHT_HAND];
export const MIDDLE_KNUCKLE = 9; // of a hand's points
export const CONFIDENT = 0.3;
export const ARMS = [
  { shoulder: 5, elbow: 7, wrist: 9, hand: LEFT_HAND },
  { shoulder: 6, elbow: 8, wrist: 10, hand: RIGHT_HAND },
];

export const range = (first, stop) => Array.from({ length: stop - first }, (_, k) => first + k);
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;

/** The q-quantile of numbers, linear between two of them. */
export function quantile(values, q) {
  const sorted = Float64Array.from(values).sort();
  const at = q * (sorted.length - 1);
  const low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

export const median = (values) => quantile(values, 0.5);

/** A clip of `length` frames without points. */
export function emptyClip(length, width, height, fps) {
  return { xy: new Float32Array(length * JOINTS * 2), confidence: new Float32Array(length * JOINTS), width, height, fps, length };
}

export const copyClip = (clip) => ({ ...clip, xy: clip.xy.slice(), confidence: clip.confidence.slice() });

/** x and y of a point. */
export const point = (clip, frame, joint) => {
  const at = 2 * (frame * JOINTS + joint);
  return [clip.xy[at], clip.xy[at + 1]];
};

export const score = (clip, frame, joint) => clip.confidence[frame * JOINTS + joint];

/** A frame as signgen/model/regions.py takes it: Float64Array of (133, 3) x, y, confidence. */
export function framePoints(clip, frame) {
  const out = new Float64Array(JOINTS * 3);
  for (let joint = 0; joint < JOINTS; joint++) {
    const at = frame * JOINTS + joint;
    out[3 * joint] = clip.xy[2 * at];
    out[3 * joint + 1] = clip.xy[2 * at + 1];
    out[3 * joint + 2] = clip.confidence[at];
  }
  return out;
}

/** Nested arrays of a flat one: the innermost are typed arrays. */
export function nested(flat, shape) {
  if (shape.length === 1) return flat;
  const [count, ...rest] = shape;
  const step = flat.length / count;
  return range(0, count).map((k) => nested(flat.subarray(k * step, (k + 1) * step), rest));
}
