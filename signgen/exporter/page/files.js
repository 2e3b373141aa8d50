// Keypoint files: MMPose JSON, OpenPose JSON (one file, or one a frame) and .pose, read to a clip of one person. See
// signgen/keypoints/formats and units.py, which know more formats, and more of what can be wrong.
import { CONFIDENT, FACE, FACE_POINTS, HAND_POINTS, JOINTS, LEFT_HAND, LEFT_HIP, LEFT_SHOULDER, RIGHT_HAND, RIGHT_HIP, RIGHT_SHOULDER, emptyClip, mean, median, point, quantile, range, score, sum } from "./skeleton.js";

const COMMON_FRAMES = [[210, 260], [256, 256], [512, 512], [640, 480], [1280, 720], [1920, 1080]];
const FACE_RATIO = 1.2; // of width to height, as in signgen/keypoints/units.py
const SHOULDERS = 86, NECK = [107, 125]; // of PHOENIX14T's signers in 210x260, from there
const SMALLEST_SIDE = 16; // pixels, as in signgen/keypoints/formats/pose.py
const DEFAULT_FPS = 25, SLOWEST = 0.001, FASTEST = 1000, FARTHEST = 1e5, MOST_FRAMES = 20000, MOST_PEOPLE = 100;
const FAR = 1.5, LOST_AFTER = 50; // shoulder widths from frame to frame; frames after which somebody is no longer expected
const UPPER = [...range(0, 11), ...range(FACE, JOINTS)]; // what a signing frame shows

/** A file that cannot be read, in words for whoever gave it. */
export class BadFile extends Error {}

/**
 * Reads files {name, bytes: Uint8Array}: one clip, or OpenPose's files of its frames.
 * `tables`: orders of points, see `orders` in signgen/exporter/web.py. `wish`: {fps, width, height}; fps is for files that do not say it.
 * Returns {clip, format, warnings, rated: whether the rate is the file's}.
 */
export function readKeypoints(files, tables, wish = {}) {
  if (!files.length) throw new BadFile("no file was given");
  const [first] = files, warnings = [];
  const raw = isPose(first.bytes) ? readPose(first.bytes, tables) : readJson(files, tables, first.name);
  if (raw.numbers) raw.frames = inTime(raw.frames, raw.numbers, warnings);
  if (!raw.frames.length) throw new BadFile(`${first.name}: no frames`);
  const frames = raw.frames.map((people) => people.filter((one) => one.some((value, k) => k % 3 === 2 && value > 0)));
  const people = Math.max(...frames.map((frame) => frame.length));
  if (people > 1) warnings.push(`up to ${people} people in a frame: the one who is seen best at first is followed`);
  const points = follow(frames);
  const size = wish.width ? [wish.width, wish.height] : raw.size;
  const rates = [raw.fps, wish.fps].filter(Boolean), fps = rates.find((one) => one >= SLOWEST && one <= FASTEST); // the file's, first
  if (rates.length && !fps) throw new BadFile(`${first.name}: ${rates.join(" or ")} frames a second; a rate is ${SLOWEST} to ${FASTEST}`);
  const clip = place(points, size, fps, warnings, raw.format === ".pose", first.name);
  if (!clip.confidence.some((value) => value > 0)) throw new BadFile(`${first.name}: no confident keypoint in any frame`);
  return { clip, format: raw.format, warnings, rated: fps !== undefined && fps === raw.fps };
}

// ---- formats ---------------------------------------------------------------------------------------------------------
// Each gives {format, frames: [[person: Float64Array (133, 3)]], size or null, fps or null}, and numbers of the frames.

/** Refuses what is too much, before anything is built of it. */
function checkCounts(frames, people) {
  if (frames > MOST_FRAMES) throw new BadFile(`${frames} frames; at most ${MOST_FRAMES} are read`);
  if (people > MOST_PEOPLE) throw new BadFile(`${people} people in a frame; at most ${MOST_PEOPLE} are read`);
}

function readJson(files, tables, name) {
  try {
    return jsonFrames(files, tables);
  } catch (error) {
    if (error instanceof TypeError) throw new BadFile(`${name}: not as MMPose or OpenPose write keypoints`); // null, or no list
    throw error;
  }
}

/** A JSON text; Python writes numbers that are none as NaN and Infinity, and such points are missing. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) => (found.startsWith('"') ? found : `"${found}"`)));
  }
}

function jsonFrames(files, tables) {
  const sorted = [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const values = sorted.map(({ name, bytes }) => {
    try {
      return parsed(new TextDecoder().decode(bytes));
    } catch {
      throw new BadFile(`${name}: neither JSON nor .pose; give MMPose JSON, OpenPose JSON or a .pose file`);
    }
  });
  if (values.every((value) => Array.isArray(value?.people))) {
    checkCounts(values.length, values.reduce((most, value) => Math.max(most, value.people.length), 0));
    checkOneClip(sorted.map(({ name }) => name));
    const frames = values.map((value) => value.people.map((one) => openposePerson(one, tables)));
    return { format: "OpenPose JSON", frames, size: null, fps: null, numbers: numbersInNames(sorted.map(({ name }) => name)) };
  }
  if (values.length > 1) throw new BadFile(`${values.length} files that are not all OpenPose frames; give one file`);
  return { format: "MMPose JSON", ...mmposeFrames(values[0], files[0].name), size: null, fps: null };
}

/** Refuses OpenPose's files of several clips, which are called <clip>_<number>_keypoints.json. */
function checkOneClip(names) {
  const clips = [...new Set(names.map((name) => /^(.*?)_?\d+_keypoints\.json$/.exec(name)?.[1] ?? ""))];
  if (clips.length > 1) throw new BadFile(`files of ${clips.length} clips (${clips.slice(0, 3).join(", ")}); give those of one`);
}

// ---- when each frame comes, see signgen/keypoints/frame_numbers.py ---------------------------------------------------
/** Of names that differ in one number alone, that number; null where nothing, or more than that, changes. */
function numbersInNames(names) {
  const pieces = names.map((name) => name.split(/([0-9]+)/)), changing = range(0, pieces[0].length).filter((k) => pieces.some((one) => one[k] !== pieces[0][k]));
  const alike = pieces.every((one) => one.length === pieces[0].length) && changing.length === 1 && changing[0] % 2 === 1;
  return alike ? pieces.map((one) => Number(one[changing[0]])) : null;
}

/** Frames in the order of their numbers, without anybody where these jump; as they come where they have no usable ones. */
function inTime(frames, numbers, warnings) {
  if (frames.length < 2 || !numbers.every(Number.isSafeInteger)) return frames;
  const order = range(0, frames.length).sort((a, b) => numbers[a] - numbers[b]), ordered = order.map((k) => numbers[k]);
  let steps = ordered.slice(1).map((number, k) => number - ordered[k]);
  if (steps.includes(0)) {
    warnings.push(`frame number ${ordered[steps.indexOf(0)]} occurs twice: frames are taken in the file's order`);
    return frames;
  }
  const step = commonStep(steps);
  if (step > 1) {
    warnings.push(`frames are numbered in steps of ${step}: taken as one after the other`);
    steps = steps.map((one) => Math.max(Math.round(one / step), 1));
  }
  checkCounts(sum(steps) + 1, 0);
  const out = [frames[order[0]]];
  steps.forEach((one, k) => out.push(...range(1, one).map(() => []), frames[order[k + 1]]));
  const missing = out.length - frames.length, after = ordered[steps.findIndex((one) => one > 1)];
  if (missing) warnings.push(`${missing} of ${out.length} frames are not there, the first after number ${after}: time without a person`);
  return out;
}

/** The step of numbers that count something finer than frames, such as milliseconds; else 1. */
function commonStep(steps) {
  const step = Math.trunc(median(steps));
  if (step < 2 || steps.length < 7) return 1;
  const regular = steps.filter((one) => Math.abs(one - step * Math.max(Math.round(one / step), 1)) <= Math.floor(step / 4));
  return regular.length / steps.length >= 0.9 ? step : 1;
}

function openposePerson(one, tables) {
  const out = new Float64Array(JOINTS * 3);
  const fill = (key, counts, targets) => {
    const given = one[key] ?? [];
    if (!given.length) return;
    if (!counts.includes(given.length / 3)) throw new BadFile(`${given.length} numbers in ${key}; OpenPose writes ${counts.map((n) => 3 * n).join(" or ")}`);
    for (const [joint, source] of targets(given.length / 3)) out.set(given.slice(3 * source, 3 * source + 3), 3 * joint);
  };
  const from = (start, count) => () => range(0, count).map((k) => [start + k, k]);
  fill("pose_keypoints_2d", [25, 18], (count) => tables[count === 25 ? "body_25" : "body_18"].map((source, joint) => [joint, source]));
  fill("face_keypoints_2d", [68, 70], from(FACE, FACE_POINTS));
  fill("hand_left_keypoints_2d", [HAND_POINTS], from(LEFT_HAND, HAND_POINTS));
  fill("hand_right_keypoints_2d", [HAND_POINTS], from(RIGHT_HAND, HAND_POINTS));
  return out;
}

function mmposeFrames(value, name) {
  const unknown = () => new BadFile(`${name}: no MMPose or OpenPose keypoints in it`);
  let frames = value?.predictions ?? value?.instance_info ?? value?.frames ?? value;
  if (!Array.isArray(frames) || !frames.length) throw unknown();
  if (frames[0]?.keypoints) frames = [frames]; // one picture
  checkCounts(frames.length, 0);
  const numbers = frames.map((frame) => Number(frame?.frame_id ?? NaN));
  const read = frames.map((frame) => {
    const people = Array.isArray(frame) ? frame : frame?.instances;
    if (!Array.isArray(people)) throw unknown();
    checkCounts(0, people.length);
    return people.map((one) => {
      const places = one?.keypoints?.__ndarray__ ?? one?.keypoints, scores = one?.keypoint_scores?.__ndarray__ ?? one?.keypoint_scores;
      if (!Array.isArray(places)) throw unknown();
      if (places.length !== JOINTS) throw new BadFile(`${name}: ${places.length} keypoints per person; give the 133 of COCO-WholeBody`);
      if (scores && scores.length !== JOINTS) throw new BadFile(`${name}: ${scores.length} scores for ${JOINTS} keypoints`);
      const out = new Float64Array(JOINTS * 3), marks = [0, -1]; // both numbers of a missing point where there are no scores
      places.forEach(([x, y, own], joint) => {
        const score = scores ? scores[joint] : own ?? (x === y && marks.includes(x) ? 0 : 1);
        out.set([x, y, score ?? NaN], 3 * joint); // null is how JSON has what is no number
      });
      return out;
    });
  });
  return { frames: read, numbers };
}

function isPose(bytes) {
  if (bytes.length < 12) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset), version = view.getFloat32(0, true), parts = view.getUint16(10, true);
  return [0.1, 0.2].some((known) => Math.abs(version - known) < 1e-6) && parts >= 1 && parts <= 64;
}

/** A .pose file of version 0.1 or 0.2. */
function readPose(bytes, tables) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return poseFrames(view, tables);
  } catch (error) {
    if (error instanceof RangeError) throw new BadFile("a cut or damaged .pose file: write or download it again");
    throw error;
  }
}

function poseFrames(view, tables) {
  let at = 10;
  const version = view.getFloat32(0, true), size = [view.getUint16(4, true), view.getUint16(6, true)];
  const short = () => view.getUint16((at += 2) - 2, true);
  const text = () => {
    const length = short();
    at += length;
    return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at - length, length));
  };
  const targets = [];
  let points = 0, columns = 0, imported = false;
  for (let left = short(); left > 0; left--) {
    const name = text(), format = text(), count = short(), limbs = short(), colours = short();
    const names = range(0, count).map(text);
    at += 4 * limbs + 6 * colours;
    for (const [joint, source] of poseJoints(name, names, tables)) targets.push([joint, points + source]);
    points += count;
    columns = Math.max(columns, format.length);
    imported ||= name === "pose_keypoints_2d" || name.includes("_13");
  }
  if (!targets.length) throw new BadFile("a .pose file of unknown components: Holistic, OpenPose, AlphaPose and COCO-WholeBody are read");
  const old = version < 0.15, fps = old ? short() : view.getFloat32((at += 4) - 4, true);
  const declared = old ? short() : view.getUint32((at += 4) - 4, true), people = short();
  const each = 4 * people * points, width = columns - 1;
  if (!people || columns < 3) throw new BadFile("a .pose file without people, or without x, y and a confidence");
  // 16 bits hold no more than 65535 frames: of the old version the bytes are counted.
  const count = old ? Math.floor((view.byteLength - at) / (each * columns)) : declared;
  checkCounts(count, people);
  const scores = at + count * each * width;
  if (count < declared || scores + count * each > view.byteLength) throw new RangeError();
  const frames = range(0, count).map((t) => range(0, people).flatMap((person) => {
    const out = new Float64Array(JOINTS * 3);
    let seen = false;
    for (const [joint, source] of targets) {
      const n = (t * people + person) * points + source, score = view.getFloat32(scores + 4 * n, true);
      out.set([view.getFloat32(at + 4 * n * width, true), view.getFloat32(at + 4 * (n * width + 1), true), score], 3 * joint);
      seen ||= score > 0;
    }
    return seen ? [out] : [];
  }));
  const known = Math.min(...size) >= SMALLEST_SIDE && !(imported && size[0] === 1000 && size[1] === 1000);
  return { format: ".pose", frames, size: known ? size : null, fps: fps || null };
}

/** Pairs [joint, point of this component]. */
function poseJoints(name, names, tables) {
  const inOrder = (start, count) => range(0, count).map((k) => [start + k, k]);
  const named = (wanted, start) => wanted.flatMap((one, k) => (names.includes(String(one)) ? [[start + k, names.indexOf(String(one))]] : []));
  if (name === "POSE_LANDMARKS") return named(tables.holistic_body, 0);
  if (name === "FACE_LANDMARKS") return named(tables.face_mesh, FACE);
  if (name === "pose_keypoints_2d" && names.length === 25) return tables.body_25.map((source, joint) => [joint, source]);
  if (name === "face_keypoints_2d" && [68, 70].includes(names.length)) return inOrder(FACE, FACE_POINTS);
  if (names.length === HAND_POINTS && /^(LEFT_HAND|hand_left)/.test(name)) return inOrder(LEFT_HAND, HAND_POINTS);
  if (names.length === HAND_POINTS && /^(RIGHT_HAND|hand_right)/.test(name)) return inOrder(RIGHT_HAND, HAND_POINTS);
  if (/^BODY(_133)?$/.test(name) && names.length === 23) return inOrder(0, 23);
  if (name === "BODY_136" && names.length === 26) return tables.body_136.map((source, joint) => [joint, source]);
  if (/^FACE(_133|_136)?$/.test(name) && names.length === FACE_POINTS) return inOrder(FACE, FACE_POINTS);
  if (names.length === JOINTS) return inOrder(0, JOINTS);
  if (name === "pose_keypoints_2d") return named(tables.openpose_names, 0); // without legs, say
  return /^BODY(_133|_136)?$/.test(name) ? named(tables.body_names, 0) : [];
}

// ---- one person, in pixels -------------------------------------------------------------------------------------------
/** x, y of somebody's middle, the width of the shoulders (else of all that is seen), and the mean score. */
function whereabouts(person) {
  const scores = range(0, JOINTS).map((joint) => person[3 * joint + 2] || 0), least = CONFIDENT * Math.min(1, Math.max(...scores));
  const seen = range(0, JOINTS).filter((joint) => scores[joint] > least && Number.isFinite(person[3 * joint] + person[3 * joint + 1]));
  const along = (joints, k) => joints.map((joint) => person[3 * joint + k]);
  const body = seen.filter((joint) => joint < 11), middle = [0, 1].map((k) => (body.length ? median(along(body, k)) : 0));
  const spread = [0, 1].map((k) => (seen.length ? Math.max(...along(seen, k)) - Math.min(...along(seen, k)) : 0));
  const both = [LEFT_SHOULDER, RIGHT_SHOULDER].every((joint) => seen.includes(joint));
  const reach = both ? Math.hypot(person[15] - person[18], person[16] - person[19]) : Math.max(...spread);
  return { middle, reach, mean: mean(scores) };
}

/**
 * One person of each frame, zeros where that one is not seen: the best seen at first, then the nearest. In a clip of
 * several people, whoever is far from where that one was last is somebody else, unless that is long ago.
 */
function follow(frames) {
  const several = frames.some((people) => people.length > 1);
  let last = null, seen = 0;
  return frames.map((people, t) => {
    const found = people.map((person) => ({ person, ...whereabouts(person) }));
    if (!found.length) return new Float64Array(JOINTS * 3);
    const far = (one) => Math.hypot(one.middle[0] - last.middle[0], one.middle[1] - last.middle[1]);
    const worth = (one) => one.mean * Math.sqrt(Math.max(one.reach, 1e-9));
    const best = found.reduce((a, b) => ((last ? far(b) < far(a) : worth(b) > worth(a)) ? b : a));
    const expected = last && several && t - seen <= LOST_AFTER;
    if (expected && far(best) > FAR * Math.max(best.reach, last.reach)) return new Float64Array(JOINTS * 3);
    [last, seen] = [best, t];
    return best.person;
  });
}

/**
 * Where the neck is, and how far the shoulders are apart, in frames of one person whose points lie around the neck or the hips
 * and in no frame; null for any others. See `without_place` in signgen/keypoints/units.py. `pose`: whether the file is a .pose file.
 */
function aroundBody(frames, pose, name) {
  const pairs = (a, b) => frames.map((frame) => [a, b].map((joint) => frame.subarray(3 * joint, 3 * joint + 3)))
    .filter((ends) => ends.every(([x, y, score]) => score > 0 && Number.isFinite(x) && Number.isFinite(y)));
  const middle = (ends) => [0, 1].map((k) => median(ends.map(([one, other]) => (one[k] + other[k]) / 2)));
  const ends = pairs(LEFT_SHOULDER, RIGHT_SHOULDER), hips = pairs(LEFT_HIP, RIGHT_HIP);
  if (!ends.length) return null;
  const width = median(ends.map(([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1])));
  if (!(width > 0)) return null;
  const neck = middle(ends), off = Math.hypot(...neck) / width, least = Math.min(off, hips.length ? Math.hypot(...middle(hips)) / width : Infinity);
  const sides = [0, 1].map((side) => [0, 1].map((k) => median(ends.map((one) => one[side][k]))));
  if (off < 0.5 && Math.hypot(sides[0][0] - sides[1][0], sides[0][1] - sides[1][1]) < 0.25 * width) {
    throw new BadFile(`${name}: each point lies around (0, 0): normalize_distribution has taken the person's shape away; write it without that`);
  }
  const normal = pose ? width >= 0.9 && width <= 1.1 && off < 0.5 : width >= 0.97 && width <= 1.03 && off < 0.02;
  if (!normal && !((width < 0.05 || width > 2) && least < 0.5) && !(least < 0.005)) return null;
  return { neck, width };
}

/** Frames of points around the body, moved to where a signer of PHOENIX14T stands in `frame`; says so. */
function placedAsInPhoenix(frames, { neck, width }, frame, warnings) {
  const shares = [0, 1].map((k) => frame[k] / COMMON_FRAMES[0][k]), wide = SHOULDERS * Math.min(...shares);
  warnings.push(`the file does not say where the person stands: placed as a PHOENIX14T signer (${wide.toFixed()} px shoulders)`);
  return frames.map((points) => points.map((value, k) => (k % 3 < 2 ? ((value - neck[k % 3]) * wide) / width + NECK[k % 3] * shares[k % 3] : value)));
}

/** Clean points in pixels of a definite frame at a definite rate. `pose`: whether the file is a .pose file. */
function place(frames, size, fps, warnings, pose, name) {
  const clip = emptyClip(frames.length, 0, 0, fps || DEFAULT_FPS), usable = [];
  for (const frame of frames) { // a place of (0, 0) is how estimators mark a missing point, whatever its score
    for (let k = 0; k < frame.length; k += 3) if (frame[k] === 0 && frame[k + 1] === 0) frame[k + 2] = 0;
  }
  const around = aroundBody(frames, pose, name);
  if (around) frames = placedAsInPhoenix(frames, around, size ?? COMMON_FRAMES[0], warnings);
  const best = Math.max(...frames.map((frame) => range(0, JOINTS).reduce((most, joint) => Math.max(most, frame[3 * joint + 2] || 0), 0)));
  frames.forEach((frame, t) => {
    for (let joint = 0; joint < JOINTS; joint++) {
      const [x, y, score] = frame.subarray(3 * joint, 3 * joint + 3), to = t * JOINTS + joint;
      if (!(score > 0) || ![x, y, score].every(Number.isFinite) || Math.max(Math.abs(x), Math.abs(y)) > FARTHEST) continue;
      clip.confidence[to] = Math.min(score, 1);
      clip.xy.set([x, y], 2 * to);
      if (score >= Math.min(0.5, 0.5 * best)) usable.push([x, y, joint]);
    }
  });
  const numbers = usable.flatMap(([x, y]) => [x, y]);
  const fractions = numbers.length > 0 && quantile(numbers.map(Math.abs), 0.9) <= 2 && numbers.some((value) => value % 1);
  const signed = fractions && quantile(numbers, 0.05) < -0.1;
  const frame = size ?? (around ? COMMON_FRAMES[0] : fractions ? frameOfShape(clip, signed, Math.min(0.5, 0.5 * best)) : smallestFrame(usable));
  [clip.width, clip.height] = frame;
  if (!size) warnings.push(`the file says no frame size: ${frame.join("x")} is assumed`);
  if (!fps) warnings.push(`the file says no frame rate: ${DEFAULT_FPS} frames a second are assumed`);
  if (fractions) {
    for (let k = 0; k < clip.xy.length; k++) {
      if (clip.confidence[k >> 1] > 0) clip.xy[k] = (signed ? (clip.xy[k] + 1) / 2 : clip.xy[k]) * frame[k % 2];
    }
  }
  return clip;
}

/**
 * The frame, among common shapes, in which a face has its usual shape; where that is square (or nothing is known) 210x260 if
 * the signer stands in it as in PHOENIX14T. `clip`: fractions of a frame, `signed` ones from -1 to 1.
 */
function frameOfShape(clip, signed, least) {
  const at = (t, joint) => point(clip, t, joint).map((value) => (signed ? (value + 1) / 2 : value));
  const showing = (joints) => range(0, clip.length).filter((t) => joints.every((joint) => score(clip, t, joint) >= least));
  const apart = (frames, a, b, k) => median(frames.map((t) => Math.abs(at(t, a)[k] - at(t, b)[k])));
  const [right, left, nasion, chin] = [0, 16, 27, 8].map((k) => FACE + k), faces = showing([right, left, nasion, chin]);
  const sides = faces.length ? [apart(faces, right, left, 0), apart(faces, nasion, chin, 1)] : [0, 0];
  const aspect = Math.min(...sides) > 1e-6 ? FACE_RATIO / (sides[0] / sides[1]) : 1;
  const off = (width, height) => Math.abs(Math.log((aspect * height) / width));
  const shape = [[1, 1], [640, 480], [1280, 720]].reduce((a, b) => (off(...b) < off(...a) ? b : a));
  if (shape[0] > 1) return shape;
  const both = showing([LEFT_SHOULDER, RIGHT_SHOULDER]);
  if (!both.length) return [512, 512];
  const across = apart(both, LEFT_SHOULDER, RIGHT_SHOULDER, 0);
  const height = median(both.flatMap((t) => [at(t, LEFT_SHOULDER)[1], at(t, RIGHT_SHOULDER)[1]]));
  return across >= 0.32 && across <= 0.52 && height >= 0.36 && height <= 0.6 ? COMMON_FRAMES[0] : [512, 512];
}

/** The smallest common frame for the confident points of head, arms and hands. */
function smallestFrame(usable) {
  const shown = usable.filter(([, , joint]) => UPPER.includes(joint)), points = shown.length ? shown : usable;
  if (!points.length) return COMMON_FRAMES[0];
  const [right, bottom] = [0, 1].map((k) => quantile(points.map((one) => one[k]), 0.98));
  const found = COMMON_FRAMES.find(([width, height]) => right <= 1.02 * width && bottom <= 1.02 * height);
  return found ?? [0, 1].map((k) => Math.min(2 * Math.ceil(Math.max(points.reduce((most, one) => Math.max(most, one[k]), 2)) / 2), 16384));
}
