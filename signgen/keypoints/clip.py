"""`Keypoints`: one signer's points over time, the one noun that crosses every border of signgen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from signgen.errors import BadValue, Empty
from signgen.keypoints import filters
from signgen.keypoints.rows import Rows, blocks, evenly, is_mapped, release
from signgen.keypoints.skeleton import KNUCKLES, MIRROR, NUM_JOINTS, SHOULDERS

FARTHEST = 1e5  # pixels; a coordinate beyond this is a broken file, not a point outside the frame
_MANY_ABOVE_ONE = 0.05  # share of scores above 1 from which a warning says so


def as_points(xy: object, confidence: object, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """float64 (T,133,2) and (T,133) from array-likes; InputError for any other shape or for non-numbers."""
    try:
        points = np.array(xy, dtype=np.float64)
        scores = np.array(confidence, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        got = f"points that are not numbers ({error})"
        raise BadValue(subject, got, "give arrays (T,133,2) and (T,133)") from None
    if points.ndim != 3 or points.shape[1:] != (NUM_JOINTS, 2) or scores.shape != points.shape[:2]:
        got = f"points of shape {points.shape} with scores of shape {scores.shape}"
        raise BadValue(subject, got, "give (T,133,2) with (T,133), the COCO-WholeBody points")
    return points, scores


def clean_points(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Make every value finite, every confidence lie in [0, 1] and every missing point lie at the origin.

    A point with a coordinate or score that is not finite, or farther out than 100,000 pixels, becomes missing.
    Scores above 1 (SimCC heads such as RTMPose give them) are clipped: a score is used as a confidence, for which
    "1 or more" and "sure" mean the same. Scores below 0 become 0.

    Args:
        parts: float64 (T,133,2) and (T,133) of successive frames.

    Returns:
        float32 (T,133,2), float32 (T,133), and warnings with figures.
    """
    points, scores = Rows((NUM_JOINTS, 2)), Rows((NUM_JOINTS,))
    broken = far = kept = above = 0
    highest = 0.0
    for xy, confidence in parts:
        present = ~(confidence <= 0)
        infinite = ~(np.isfinite(xy).all(-1) & np.isfinite(confidence)) & present
        away = np.abs(np.where(infinite[..., None], 0, xy)).max(-1, initial=0) > FARTHEST
        away &= present & ~infinite
        keep = present & ~infinite & ~away
        high = keep & (confidence > 1)
        broken, far, kept, above = broken + infinite.sum(), far + away.sum(), kept + keep.sum(), above + high.sum()
        highest = max(highest, confidence.max(initial=0, where=high))
        sure = np.where(keep, np.clip(np.where(keep, confidence, 0), 0, 1), 0).astype(np.float32)
        scores.append(sure)
        points.append(np.where((sure > 0)[..., None], np.where(keep[..., None], xy, 0), 0).astype(np.float32))
    warnings = []
    if broken:
        warnings.append(f"{broken} points were NaN or infinite; they count as missing")
    if far:
        warnings.append(f"{far} points lay more than {FARTHEST:.0f} pixels away; they count as missing")
    if above > _MANY_ABOVE_ONE * max(kept, 1):
        warnings.append(f"{above} of {kept} scores exceed 1 (up to {highest:.3g}); clipped to 1")
    return points.array(), scores.array(), warnings


def to_decide_by(xy: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A copy of (T,133,2) and (T,133) in which each point that `clean_points` makes missing has score and place 0."""
    sure = (confidence > 0) & (confidence < np.inf) & (np.abs(xy) <= FARTHEST).all(-1)  # NaN is neither
    return np.where(sure[..., None], xy, 0), np.where(sure, confidence, 0)


LARGEST_SIDE = 16384  # pixels
SLOWEST, FASTEST = 0.001, 1000.0  # frames per second


@dataclass(frozen=True, eq=False)
class Keypoints:
    """A clip of COCO-WholeBody points of one person. Immutable: every operation returns a new one.

    Args:
        xy: float32 (T,133,2), pixels, x to the right and y down, (0,0) is the centre of the top-left pixel. Points
            may lie outside of the frame. A missing point becomes (0,0), whatever is given.
        confidence: float32 (T,133) in [0,1]; 0 means missing.
        width, height: the frame in pixels, 1 to 16384.
        fps: frames per second, 0.001 to 1000.
        name: the clip's name, for messages and output files.

    Raises:
        InputError: for another shape, values that are not finite, confidences outside [0,1], no frame at all, or
            an impossible size or rate. `clean` takes raw values instead.

    Example:
        >>> import numpy as np
        >>> from signgen import Keypoints
        >>> clip = Keypoints(np.full((10, 133, 2), 50.0), np.ones((10, 133)), width=210, height=260, fps=25)
        >>> len(clip), len(clip[2:6]), clip.resized(420, 520).width
        (10, 4, 420)
    """

    xy: np.ndarray
    confidence: np.ndarray
    width: int
    height: int
    fps: float
    name: str = ""

    def __post_init__(self) -> None:
        subject = self.name or "keypoints"
        xy, confidence = _checked_arrays(self.xy, self.confidence, subject)
        width, height = check_size((self.width, self.height), subject)
        values = {"xy": xy, "confidence": confidence, "width": width, "height": height}
        for field, value in {**values, "fps": check_fps(self.fps, subject)}.items():
            object.__setattr__(self, field, value)

    @classmethod
    def clean(
        cls, xy: object, confidence: object, width: int, height: int, fps: float, name: str = ""
    ) -> tuple[Keypoints, list[str]]:
        """From raw values: NaN, infinity and scores outside [0,1] are allowed. Returns it and warnings."""
        given = as_points(xy, confidence, name or "keypoints")
        points, scores, warnings = clean_points((given[0][part], given[1][part]) for part in blocks(len(given[0])))
        return cls(points, scores, width, height, fps, name), warnings

    # --- looking ----------------------------------------------------------------------------------------------
    @property
    def points(self) -> np.ndarray:
        """x, y and confidence as one array, float32 (T,133,3)."""
        return np.concatenate([self.xy, self.confidence[..., None]], axis=-1)

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, frames: slice) -> Keypoints:
        """`kp[a:b]` or `kp[a:b:step]`; the rate follows a step, a negative step plays backwards."""
        if not isinstance(frames, slice):
            raise TypeError(f"frames are taken with a slice such as [3:7], not {frames!r}")
        step = abs(frames.step or 1)
        xy, confidence = np.array(self.xy[frames]), np.array(self.confidence[frames])
        release(self.xy, self.confidence)
        if not len(xy):
            got = f"frames {frames.start}:{frames.stop} of a clip of {len(self)}"
            raise Empty(self.name or "keypoints", got, "choose a range that holds a frame")
        return replace(self, xy=xy, confidence=confidence, fps=self.fps / step)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Keypoints):
            return NotImplemented
        same = (self.width, self.height, self.fps, self.name) == (other.width, other.height, other.fps, other.name)
        return same and np.array_equal(self.xy, other.xy) and np.array_equal(self.confidence, other.confidence)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Keypoints({self.name!r}, {len(self)} frames, {self.width}x{self.height}, {self.fps:g} fps)"

    def blocks(self) -> Iterator[Keypoints]:
        """The clip in pieces, one after the other: going through them takes little memory, however long it is."""
        return (self[part] for part in blocks(len(self)))

    def sample(self, most: int = 20_000) -> Keypoints:
        """The clip itself; of one of more frames than ``most`` that many, evenly spread, for medians and the like."""
        chosen = evenly(len(self), most)
        if isinstance(chosen, slice):
            return self
        parts = []
        for part in np.array_split(chosen, max(len(chosen) // 512, 1)):
            parts.append((self.xy[part], self.confidence[part]))
            release(self.xy, self.confidence)  # around each frame that is looked at much more of the file is mapped
        xy, confidence = (np.concatenate(side) for side in zip(*parts, strict=True))
        return replace(self, xy=xy, confidence=confidence)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def seconds(self) -> float:
        return len(self) / self.fps

    def hand_boxes(self, size: int = 60, least: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
        """Square crops centred on the middle-finger knuckles, moved to stay inside the frame.

        Returns:
            int32 (T,2,4) boxes x0, y0, x1, y1 (ends excluded) of the left and right hand, and bool (T,2): whether
            the knuckle's confidence is at least `least`. A box whose hand is absent holds zeros.
        """
        present = self.confidence[:, KNUCKLES] >= max(least, 1e-9)
        corner = window_corners(self.xy[:, KNUCKLES], size, self.size)
        boxes = np.concatenate([corner, np.minimum(corner + size, self.size)], axis=-1)
        return np.where(present[..., None], boxes, 0).astype(np.int32), present

    # --- place and size ---------------------------------------------------------------------------------------
    def with_size(self, width: int, height: int) -> Keypoints:
        """The same points in a frame of another size: nothing moves, only the declared frame changes."""
        return replace(self, width=width, height=height)

    def scaled(self, sx: float, sy: float) -> Keypoints:
        """Points times (sx, sy) about the origin; the declared frame stays (see `resized`)."""
        return replace(self, xy=self.xy * np.array([sx, sy], np.float32))

    def shifted(self, dx: float, dy: float) -> Keypoints:
        """Points moved by (dx, dy) pixels; the declared frame stays."""
        return replace(self, xy=self.xy + np.array([dx, dy], np.float32))

    def resized(self, width: int, height: int) -> Keypoints:
        """Points and frame scaled together, as an image resize does: pixel centres map to pixel centres."""
        width, height = check_size((width, height), self.name or "keypoints")
        factor = np.array([width / self.width, height / self.height], np.float32)
        return replace(self, xy=(self.xy + 0.5) * factor - 0.5, width=width, height=height)

    def mirror(self) -> Keypoints:
        """As in a picture flipped left to right: x -> width - 1 - x, and each point takes its partner's name."""
        xy = self.xy[:, MIRROR] * np.array([-1, 1], np.float32) + np.array([self.width - 1, 0], np.float32)
        return replace(self, xy=xy, confidence=self.confidence[:, MIRROR])

    # --- along time -------------------------------------------------------------------------------------------
    def resample(self, fps: float) -> Keypoints:
        """The same seconds at another rate, linearly; see `filters.resample` for missing points."""
        fps = check_fps(fps, self.name or "keypoints")
        if fps == self.fps:
            return self
        count = max(1, round(len(self) * fps / self.fps))
        positions = np.minimum(np.arange(count) * (self.fps / fps), len(self) - 1)
        xy, confidence = filters.resample(self.xy, self.confidence, positions)
        return replace(self, xy=xy, confidence=confidence, fps=fps)

    def fill_gaps(self, max_frames: int) -> Keypoints:
        """Fill gaps of up to `max_frames` frames of a point by a straight line, at half the confidence."""
        if max_frames < 0:
            raise BadValue("gap length", f"{max_frames} frames", "give 0 (no filling) or more")
        xy, confidence = filters.fill_gaps(self.xy, self.confidence, max_frames)
        return replace(self, xy=xy, confidence=confidence)

    def smooth(self, hz: float | str) -> Keypoints:
        """Zero-phase low-pass with -3 dB at `hz`, weighted by confidence; missing points stay missing.

        A cut at or above half the frame rate changes nothing. ``"auto"`` is `filters.OneEuro`: hands at rest do not
        tremble, and fast ones stay as they are.
        """
        if hz == "auto":
            return self._steadied()
        if not (isinstance(hz, Real) and math.isfinite(hz) and hz > 0):
            raise BadValue("smoothing cut", f"{hz} Hz", "give a frequency above 0, or auto")
        hz = float(hz)
        if hz >= self.fps / 2 or len(self) < 3:
            return self
        return replace(self, xy=filters.low_pass(self.xy, self.confidence, self.fps, hz))

    def _steadied(self) -> Keypoints:
        """Smoothed by speed, block by block."""
        shown = self.sample()
        both = (shown.confidence[:, SHOULDERS] > 0).all(1)
        across = np.linalg.norm(np.diff(shown.xy[both][:, SHOULDERS], axis=1)[:, 0], axis=-1)
        width = float(np.median(across)) if both.any() else self.width / 3
        euro, xy = filters.OneEuro(self.fps, max(width, 1.0)), Rows(self.xy.shape[1:])
        for part in self.blocks():
            xy.append(euro.smooth(part.xy, part.confidence))
        return replace(self, xy=xy.array())


def window_corners(centres: np.ndarray, size: int | tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Where windows about points begin: the rule of all crops.

    Args:
        centres: (...,2) pixels; the pixel nearest to a point is the window's middle.
        size: (width, height) of the windows in pixels, or the side of square ones.
        frame: (width, height); windows are moved to stay inside of it.

    Returns:
        int64 (...,2) first column and row.
    """
    window = np.array(size)
    corner = np.floor(np.asarray(centres) + 0.5).astype(np.int64) - window // 2
    return np.clip(corner, 0, np.maximum(np.array(frame) - window, 0))


def check_size(size: tuple[object, object], subject: str) -> tuple[int, int]:
    """(width, height) as ints of 1 to 16384, or InputError."""
    for side in size:
        if not isinstance(side, Integral) or not 1 <= int(side) <= LARGEST_SIDE:
            raise BadValue(subject, f"frame size {size[0]}x{size[1]}", f"give whole pixels from 1 to {LARGEST_SIDE}")
    return int(size[0]), int(size[1])  # type: ignore[call-overload]


def check_fps(fps: object, subject: str) -> float:
    """A frame rate of 0.001 to 1000, or InputError."""
    if not isinstance(fps, Real) or not SLOWEST <= float(fps) <= FASTEST:  # false for NaN, too
        raise BadValue(subject, f"{fps} frames per second", f"give a rate from {SLOWEST:g} to {FASTEST:g} (--fps)")
    return float(fps)


def _checked_arrays(xy: object, confidence: object, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Read-only float32 copies of valid arrays, or InputError."""
    if is_mapped(xy) and is_mapped(confidence):  # of `clean_points` or of another clip: seen to be as they should
        return xy, confidence  # type: ignore[return-value]
    points, scores = as_points(xy, confidence, subject)
    if not len(points):
        raise Empty(subject, "no frames", "give at least one frame")
    if not (np.isfinite(points).all() and np.isfinite(scores).all()):
        raise BadValue(subject, "values that are NaN or infinite", "use Keypoints.clean for raw values")
    if scores.min() < 0 or scores.max() > 1:
        got = f"confidences from {scores.min():.3g} to {scores.max():.3g}"
        raise BadValue(subject, got, "give values from 0 to 1, or use Keypoints.clean for raw values")
    scores32 = scores.astype(np.float32)
    points32 = np.where((scores32 > 0)[..., None], points, 0).astype(np.float32)
    if not np.isfinite(points32).all():
        raise BadValue(subject, "coordinates too large for float32", "use Keypoints.clean for raw values")
    points32.flags.writeable = scores32.flags.writeable = False
    return points32, scores32
