"""`Keypoints`: one signer's points over time, the one noun that crosses every border of signgen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import _clean, _filters
from signgen.keypoints.skeleton import LEFT_KNUCKLE, MIRROR, NUM_JOINTS, RIGHT_KNUCKLE

if TYPE_CHECKING:
    from signgen.keypoints._align import AlignReport, Misfit

LARGEST_SIDE = 16384  # pixels
FASTEST = 1000.0  # frames per second


@dataclass(frozen=True, eq=False)
class Keypoints:
    """A clip of COCO-WholeBody points of one person. Immutable: every operation returns a new one.

    Args:
        xy: float32 (T,133,2), pixels, x to the right and y down, (0,0) is the centre of the top-left pixel. Points
            may lie outside of the frame. A missing point is (0,0).
        confidence: float32 (T,133) in [0,1]; 0 means missing.
        width, height: the frame in pixels, 1 to 16384.
        fps: frames per second, above 0 and at most 1000.
        name: the clip's name, for messages and output files.

    Raises:
        InputError: for another shape, values that are not finite, confidences outside [0,1], no frame at all, or
            an impossible size or rate. `clean` takes raw values instead.
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
        points, scores = _clean.as_points(xy, confidence, name or "keypoints")
        points, scores, warnings = _clean.clean_points(points, scores)
        return cls(points, scores, width, height, fps, name), warnings

    # --- looking ----------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, frames: slice) -> Keypoints:
        """`kp[a:b]` or `kp[a:b:step]`; the rate follows a step, a negative step plays backwards."""
        if not isinstance(frames, slice):
            raise TypeError(f"frames are taken with a slice such as [3:7], not {frames!r}")
        step = abs(frames.step or 1)
        xy, confidence = self.xy[frames], self.confidence[frames]
        if not len(xy):
            got = f"frames {frames.start}:{frames.stop} of a clip of {len(self)}"
            raise InputError(self.name or "keypoints", got, "choose a range that holds a frame")
        return replace(self, xy=xy, confidence=confidence, fps=self.fps / step)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Keypoints):
            return NotImplemented
        same = (self.width, self.height, self.fps, self.name) == (other.width, other.height, other.fps, other.name)
        return same and np.array_equal(self.xy, other.xy) and np.array_equal(self.confidence, other.confidence)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Keypoints({self.name!r}, {len(self)} frames, {self.width}x{self.height}, {self.fps:g} fps)"

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
        knuckles = [LEFT_KNUCKLE, RIGHT_KNUCKLE]
        present = self.confidence[:, knuckles] >= max(least, 1e-9)
        room = np.maximum(np.array(self.size) - size, 0)
        corner = np.clip(np.rint(self.xy[:, knuckles]).astype(np.int64) - size // 2, 0, room)
        boxes = np.concatenate([corner, np.minimum(corner + size, self.size)], axis=-1)
        return np.where(present[..., None], boxes, 0).astype(np.int32), present

    # --- place and size ---------------------------------------------------------------------------------------
    def _moved(self, xy: np.ndarray, **changes: Any) -> Keypoints:
        """A copy with other points; missing ones stay at the origin."""
        return replace(self, xy=np.where(self.confidence[..., None] > 0, xy, 0).astype(np.float32), **changes)

    def with_size(self, width: int, height: int) -> Keypoints:
        """The same points in a frame of another size: nothing moves, only the declared frame changes."""
        return replace(self, width=width, height=height)

    def scaled(self, sx: float, sy: float) -> Keypoints:
        """Points times (sx, sy) about the origin; the declared frame stays (see `resized`)."""
        return self._moved(self.xy * np.array([sx, sy], np.float32))

    def shifted(self, dx: float, dy: float) -> Keypoints:
        """Points moved by (dx, dy) pixels; the declared frame stays."""
        return self._moved(self.xy + np.array([dx, dy], np.float32))

    def resized(self, width: int, height: int) -> Keypoints:
        """Points and frame scaled together, as an image resize does: pixel centres map to pixel centres."""
        width, height = check_size((width, height), self.name or "keypoints")
        factor = np.array([width / self.width, height / self.height], np.float32)
        return self._moved((self.xy + 0.5) * factor - 0.5, width=width, height=height)

    def mirror(self) -> Keypoints:
        """As in a picture flipped left to right: x -> width - 1 - x, and each point takes its partner's name."""
        xy = self.xy[:, MIRROR] * np.array([-1, 1], np.float32) + np.array([self.width - 1, 0], np.float32)
        flipped = replace(self, confidence=self.confidence[:, MIRROR], xy=self.xy[:, MIRROR])
        return flipped._moved(xy)

    # --- along time -------------------------------------------------------------------------------------------
    def resample(self, fps: float) -> Keypoints:
        """The same seconds at another rate, linearly; see `_filters.resample` for missing points."""
        fps = check_fps(fps, self.name or "keypoints")
        if fps == self.fps:
            return self
        count = max(1, round(len(self) * fps / self.fps))
        positions = np.minimum(np.arange(count) * (self.fps / fps), len(self) - 1)
        xy, confidence = _filters.resample(self.xy, self.confidence, positions)
        return replace(self, xy=xy, confidence=confidence, fps=fps)

    def fill_gaps(self, max_frames: int) -> Keypoints:
        """Fill gaps of up to `max_frames` frames of a point by a straight line, at half the confidence."""
        if max_frames < 0:
            raise InputError("gap length", f"{max_frames} frames", "give 0 (no filling) or more")
        xy, confidence = _filters.fill_gaps(self.xy, self.confidence, max_frames)
        return replace(self, xy=xy, confidence=confidence)

    def fill_missing(self) -> tuple[Keypoints, list[str]]:
        """Hands and faces that were lost for some frames, carried on with arm and head; see `_missing.fill_missing`."""
        from signgen.keypoints import _missing

        return _missing.fill_missing(self)

    def smooth(self, hz: float) -> Keypoints:
        """Zero-phase low-pass with -3 dB at `hz`, weighted by confidence; missing points stay missing.

        A cut at or above half the frame rate changes nothing.
        """
        if not (math.isfinite(hz) and hz > 0):
            raise InputError("smoothing cut", f"{hz} Hz", "give a frequency above 0")
        if hz >= self.fps / 2 or len(self) < 3:
            return self
        return self._moved(_filters.low_pass(self.xy, self.confidence, self.fps, hz))

    # --- another person ---------------------------------------------------------------------------------------
    def align(self, reference: Keypoints) -> tuple[Keypoints, AlignReport]:
        """The same signing with the reference person's place and proportions; see `_align.align`."""
        from signgen.keypoints import _align

        return _align.align(self, reference)

    def misfit(self, reference: Keypoints) -> Misfit:
        """How far this person's place and proportions are from the reference's; see `_align.misfit`."""
        from signgen.keypoints import _align

        return _align.misfit(self, reference)

    def complete_from(self, reference: Keypoints) -> tuple[Keypoints, list[str]]:
        """Fill parts never seen (hips, head, face) in the reference's proportions; see `_align.complete`."""
        from signgen.keypoints import _align

        return _align.complete(self, reference)


def check_size(size: tuple[object, object], subject: str) -> tuple[int, int]:
    """(width, height) as ints of 1 to 16384, or InputError."""
    for side in size:
        if not isinstance(side, Integral) or not 1 <= int(side) <= LARGEST_SIDE:
            raise InputError(subject, f"frame size {size[0]}x{size[1]}", f"give whole pixels from 1 to {LARGEST_SIDE}")
    return int(size[0]), int(size[1])  # type: ignore[call-overload]


def check_fps(fps: object, subject: str) -> float:
    """A frame rate above 0 and at most 1000, or InputError."""
    if not isinstance(fps, Real) or not 0 < float(fps) <= FASTEST:  # false for NaN, too
        raise InputError(subject, f"{fps} frames per second", f"give a rate above 0 and up to {FASTEST:g} (--fps)")
    return float(fps)


def _checked_arrays(xy: object, confidence: object, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Read-only float32 copies of valid arrays, or InputError."""
    points, scores = _clean.as_points(xy, confidence, subject)
    if not len(points):
        raise InputError(subject, "no frames", "give at least one frame")
    if not (np.isfinite(points).all() and np.isfinite(scores).all()):
        raise InputError(subject, "values that are NaN or infinite", "use Keypoints.clean for raw values")
    if scores.min() < 0 or scores.max() > 1:
        got = f"confidences from {scores.min():.3g} to {scores.max():.3g}"
        raise InputError(subject, got, "give values from 0 to 1, or use Keypoints.clean for raw values")
    scores32 = scores.astype(np.float32)
    points32 = np.where((scores32 > 0)[..., None], points, 0).astype(np.float32)
    if not np.isfinite(points32).all():
        raise InputError(subject, "coordinates too large for float32", "use Keypoints.clean for raw values")
    assert points32.shape[1] == NUM_JOINTS
    points32.flags.writeable = scores32.flags.writeable = False
    return points32, scores32
