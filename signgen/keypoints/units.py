"""Finding units, frame size and rate, where the file leaves them open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from signgen.errors import Empty, Mismatch, Unsupported
from signgen.keypoints.clip import FARTHEST, Keypoints, check_fps, check_size, clean_points
from signgen.keypoints.orientation import View, turn_warnings
from signgen.keypoints.raw import RawClip
from signgen.keypoints.skeleton import FACE, HIPS, LEFT_HAND, RIGHT_HAND, SHOULDERS, UPPER_BODY

COMMON_FRAMES = ((210, 260), (256, 256), (512, 512), (640, 480), (1280, 720), (1920, 1080))
DEFAULT_FPS = 25.0

# Face width (jaw end to jaw end) over face height (nasion to chin), measured on several signers: 1.14 to 1.26.
_FACE_RATIO = 1.2
_NARROW = 4.0  # pixels between the shoulders of somebody who cannot be seen
_SHAPES = {4 / 3: (640, 480), 16 / 9: (1280, 720)}  # shape of a frame -> a frame for fractional coordinates

# Where PHOENIX14T's signers stand in 210x260 (medians of three clips): shoulder width, and the point midway between
# the shoulders, which `.skels` calls neck and has as its origin.
_SHOULDERS, _NECK = 86.0, (107.0, 125.0)


@dataclass(frozen=True)
class ReadResult:
    """What a file held.

    Args:
        keypoints: the signer's points.
        format: the format's name, as `--from` takes it.
        people: the largest number of people in a frame.
        warnings: what was assumed, changed or left out, each with figures.
        size_known: whether the file (or the caller) gives the frame size; False if it is a guess.
        fps_known: the same for the rate.
        placed: whether the file says where in the frame the signer stands and how large; False for `.skels`, and
            wherever points lie around the neck or the hips.
        crowded: share of the frames that show several people.
    """

    keypoints: Keypoints
    format: str
    people: int
    warnings: list[str]
    size_known: bool
    fps_known: bool
    placed: bool = True
    crowded: float = 0.0


def finish(
    raw: RawClip, name: str, subject: str, frame_size: tuple[int, int] | None, fps: float | None, view: View
) -> ReadResult:
    """Points in pixels of a definite frame at a definite rate; the caller's size and rate win over the file's."""
    raw = without_place(raw, subject)
    seen = any((np.nan_to_num(scores) > 0).any() for _, scores in raw.blocks())
    if not seen:
        raise Empty(subject, "no confident keypoint in any frame", "check the estimator's output, or the clip")
    size, rate = frame_size or raw.size, fps or raw.fps
    size = check_size(size, subject) if size else None
    rate = check_fps(rate, subject) if rate else None
    to_pixels, frame, assumed = placing(raw, size)
    crowd = [] if raw.crowd is None else [raw.crowd.line(to_pixels, frame[0])]
    xy, scores = raw.sample()
    parts, seen_size, said = view.look(
        lambda: ((to_pixels(xy), scores) for xy, scores in raw.blocks()), frame, subject, (to_pixels(xy), scores)
    )
    xy, confidence, warnings = clean_points(parts)
    keypoints = Keypoints(xy, confidence, *seen_size, rate or DEFAULT_FPS, raw.name)
    if not any((part.confidence > 0).any() for part in keypoints.blocks()):
        raise Empty(subject, "no usable keypoint in any frame", f"check the file ({'; '.join(warnings)})")
    if (apart := _shoulders_apart(keypoints)) < _NARROW:
        told = f"the shoulders are {apart:.1f} px apart in {frame[0]}x{frame[1]}"
        warnings.append(f"{told}: is the file normalised, or of another frame size (--frame-size)?")
    if rate is None or assumed:
        warnings.append(_assumption(assumed, frame, rate, known_size=size is not None))
    warnings = [*raw.warnings, *crowd, *warnings, *said, *turn_warnings(keypoints)]
    crowded = 0.0 if raw.crowd is None else float((raw.crowd.counts > 1).mean())
    known = size is not None, rate is not None
    return ReadResult(keypoints, name, raw.people, warnings, *known, raw.placed, crowded)


def _shoulders_apart(clip: Keypoints) -> float:
    """Pixels between them, the median of the frames that show both; infinite where none does."""
    shown = clip.sample()
    ends = shown.xy[(shown.confidence[:, SHOULDERS] > 0).all(1)][:, SHOULDERS]
    return float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))) if len(ends) else math.inf


def check_placed(read: ReadResult | RawClip, subject: str, pictures: str) -> None:
    """For keypoints that belong to pictures ("the video's", "the source's"): whether they lie where the person does.

    Raises:
        Mismatch: the file does not say where in the frame the signer stands.
    """
    if not read.placed:
        got = "its points lie around the neck or the hips, and do not say where in the frame the person stands"
        raise Mismatch(subject, got, f"give {pictures} own keypoints, in pixels")


def _assumption(assumed: str, frame: tuple[int, int], rate: float | None, *, known_size: bool) -> str:
    size = f"{frame[0]}x{frame[1]}"
    if rate is None and not known_size:
        what = f"{size}{assumed} and {DEFAULT_FPS:g} fps"
        return f"the file says neither frame size nor rate; assumed {what} (--frame-size, --fps)"
    if rate is None:
        return f"the file says no frame rate; assumed {DEFAULT_FPS:g} fps (--fps){assumed}"
    if not known_size:
        return f"the file says no frame size; assumed {size}{assumed} at {rate:g} fps (--frame-size)"
    return assumed.strip(" ,")


# --- points that lie in no frame ------------------------------------------------------------------------------
def without_place(raw: RawClip, subject: str) -> RawClip:
    """The clip, with ``placed`` False where its points lie around the neck or the hips, as models of text to pose and
    pose-format's `Pose.normalize` write them, in whatever scale.

    In a frame nobody stands half outside of its upper left corner. Where coordinates are -1 to 1 that corner is the
    middle: what is exactly in it, or as large as `normalize` makes people, is no picture either.

    Raises:
        Unsupported: each point lies around (0,0), as `Pose.normalize_distribution` writes them.
    """
    if not raw.placed:
        return raw
    ends, hips = _ends(raw)  # (N,2,2), (M,2,2)
    if not len(ends):
        return raw
    width = float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)))
    if not width > 0:
        return raw
    neck = np.median(ends.mean(1), axis=0)
    off = float(np.linalg.norm(neck)) / width
    if off < 0.5 and np.linalg.norm(np.diff(np.median(ends, axis=0), axis=0)) < 0.25 * width:
        got = "each point lies around (0,0): normalize_distribution has taken the person's shape away"
        raise Unsupported(subject, got, "write the file after unnormalize_distribution, or without it")
    off_hips = float(np.linalg.norm(np.median(hips.mean(1), axis=0))) / width if len(hips) else np.inf
    normal = 0.9 <= width <= 1.1 and off < 0.5
    if raw.signed and not raw.around_neck:  # -1 to 1 is as likely
        normal = 0.97 <= width <= 1.03 and off < 0.02
    outside = not 0.05 <= width <= 2 and min(off, off_hips) < 0.5
    if not (normal or outside or min(off, off_hips) < 0.005):
        return raw
    return replace(raw, placed=False, shoulders=width, neck=(float(neck[0]), float(neck[1])))


def _ends(raw: RawClip) -> tuple[np.ndarray, np.ndarray]:
    """Both shoulders (N,2,2) of the frames that show them, and both hips (M,2,2)."""
    found: tuple[list[np.ndarray], ...] = ([], [])
    for xy, scores in raw.blocks():
        for joints, there in zip((SHOULDERS, HIPS), found, strict=True):
            both = xy[:, joints]
            there.append(both[(scores[:, joints] > 0).all(1) & np.isfinite(both).all((1, 2))])
    return np.concatenate(found[0]), np.concatenate(found[1])


# --- units ----------------------------------------------------------------------------------------------------
def placing(
    raw: RawClip, size: tuple[int, int] | None
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int, int], str]:
    """What brings points into pixels, the frame, and a phrase for what was assumed (empty if nothing was)."""
    if not raw.placed:
        frame = size or COMMON_FRAMES[0]
        shares = np.divide(frame, COMMON_FRAMES[0])
        shoulders = _SHOULDERS * shares.min()
        assumed = f", its points around the body placed as a PHOENIX14T signer ({shoulders:.0f} px shoulders)"
        scale, neck = shoulders / raw.shoulders, np.array(_NECK) / COMMON_FRAMES[0] * frame
        return lambda xy: (xy - raw.neck) * scale + neck, frame, assumed
    xy, scores = raw.sample()
    unit = _unit(xy, scores, raw.signed)
    if unit == "pixels":
        frame = size or _smallest_frame(xy, scores)
        return lambda xy: xy, frame, "" if size else ", the smallest common frame that holds the confident points"
    frame = size or _frame_of_shape((xy + 1) / 2 if unit == "signed" else xy, scores)
    assumed = "" if size else ", which gives the face its usual shape (its coordinates are fractions of a frame)"
    sides = np.array(frame, np.float64)
    return lambda xy: ((xy + 1) / 2 if unit == "signed" else xy) * sides, frame, assumed


def _usable(xy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Points to rely on: score of 0.5, or of half of the best where none is that high, and not too far out."""
    finite = np.nan_to_num(scores, posinf=0.0, neginf=0.0)
    confident = (finite >= min(0.5, 0.5 * finite.max(initial=0))) & (scores > 0)
    return confident & (np.abs(np.nan_to_num(xy, nan=np.inf)) < FARTHEST).all(-1)


def _unit(xy: np.ndarray, scores: np.ndarray, signed: bool) -> str:
    """pixels, fractions (of the frame) or, where they may be, signed (-1 to 1), known by size: no signer is two pixels
    large."""
    points = xy[_usable(xy, scores)]
    if not len(points) or np.quantile(np.abs(points), 0.9) > 2 or not (points % 1).any():
        return "pixels"
    return "signed" if signed and np.quantile(points, 0.05) < -0.1 else "fractions"


def _smallest_frame(xy: np.ndarray, scores: np.ndarray) -> tuple[int, int]:
    """The smallest common frame for the confident points of head, arms and hands.

    Hips and legs are left out: estimators place them below the frame of a half-length picture. One in fifty points
    may lie up to a fiftieth of a side outside for the same reason.
    """
    usable = _usable(xy, scores)
    parts = np.zeros(xy.shape[1], bool)
    for part in (UPPER_BODY, FACE, LEFT_HAND, RIGHT_HAND):
        parts[part] = True
    points = xy[usable & parts] if (usable & parts).any() else xy[usable]
    if not len(points):
        return COMMON_FRAMES[0]
    right, bottom = np.quantile(points, 0.98, axis=0)
    for width, height in COMMON_FRAMES:
        if right <= 1.02 * width and bottom <= 1.02 * height:
            return width, height
    return tuple(min(2 * math.ceil(max(side, 2) / 2), 16384) for side in points.max(axis=0))  # type: ignore[return-value]


def _frame_of_shape(fractions: np.ndarray, scores: np.ndarray) -> tuple[int, int]:
    """The frame, among common shapes, in which a face is as wide and high as faces are.

    Where that is square (or nothing is known): 210x260 if the signer stands in it as in PHOENIX14T, else 512x512.
    PHOENIX14T's frames show a square view squeezed to 210x260, so the face alone cannot tell the two apart.
    """
    usable = _usable(fractions, scores)
    aspect = _FACE_RATIO / (_face_ratio(fractions, usable) or _FACE_RATIO)
    nearest = min((1.0, *_SHAPES), key=lambda shape: abs(math.log(aspect / shape)))
    if nearest != 1.0:
        return _SHAPES[nearest]
    return COMMON_FRAMES[0] if _stands_as_in_phoenix(fractions, usable) else (512, 512)


def _face_ratio(fractions: np.ndarray, usable: np.ndarray) -> float | None:
    """Width over height of the face, in fractions of the frame's width and height."""
    jaw_right, jaw_left, nasion, chin = joints = [FACE.start + i for i in (0, 16, 27, 8)]
    frames = usable[:, joints].all(-1)
    if not frames.any():
        return None
    width = np.median(np.abs(fractions[frames, jaw_right, 0] - fractions[frames, jaw_left, 0]))
    height = np.median(np.abs(fractions[frames, chin, 1] - fractions[frames, nasion, 1]))
    return float(width / height) if min(width, height) > 1e-6 else None


def _stands_as_in_phoenix(fractions: np.ndarray, usable: np.ndarray) -> bool:
    """Shoulders about two fifths of the frame wide, at about half of its height."""
    shoulders = [*SHOULDERS]
    frames = usable[:, shoulders].all(-1)
    if not frames.any():
        return False
    width = np.median(np.abs(np.diff(fractions[frames][:, shoulders, 0], axis=1)))
    height = np.median(fractions[frames][:, shoulders, 1])
    return 0.32 <= width <= 0.52 and 0.36 <= height <= 0.60
