"""Filters along time on raw arrays: xy (T,J,2) and confidence (T,J), where confidence 0 means a missing point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from signgen.keypoints.skeleton import ARMS, FACE, HEAD, HIPS, LEFT_ELBOW, LEFT_KNEE, NUM_JOINTS, RIGHT_ELBOW, SHOULDERS

FILLED = 0.5  # a filled point is half as sure as the less sure of the two points it was drawn between


def resample(xy: np.ndarray, confidence: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sample at fractional frame positions (N,) in [0, T-1], linearly.

    A point seen on both sides is interpolated, and so is its confidence. Seen on one side only, it is taken from
    there if that side is the nearer one, else it is missing: no point is ever mixed with a missing one.
    """
    low = np.clip(np.floor(positions).astype(int), 0, len(xy) - 1)
    high = np.minimum(low + 1, len(xy) - 1)
    weight = (positions - low)[:, None]  # (N,1) share of the later frame
    seen_low, seen_high = confidence[low] > 0, confidence[high] > 0
    share = np.where(seen_low & seen_high, weight, np.where(weight < 0.5, 0.0, 1.0))
    score = (1 - share) * confidence[low] + share * confidence[high]
    points = (1 - share)[..., None] * xy[low] + share[..., None] * xy[high]
    return np.where((score > 0)[..., None], points, 0).astype(np.float32), score.astype(np.float32)


def along_curves(xy: np.ndarray, confidence: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `resample`, but where a point is seen on both sides along the cubic of Catmull and Rom, which has no corners.

    A frame's speed is half the way from the frame before to the one after; where one of the two lacks the point, it is
    the speed between the frames that are left.
    """
    points, score = resample(xy, confidence, positions)
    low = np.clip(np.floor(positions).astype(int), 0, len(xy) - 1)
    before, high, after = np.maximum(low - 1, 0), np.minimum(low + 1, len(xy) - 1), np.minimum(low + 2, len(xy) - 1)
    seen = confidence > 0
    weight = (positions - low)[:, None, None]
    way = (xy[high] - xy[low]).astype(np.float64)
    out = np.where((seen[before] & (before < low)[:, None])[..., None], (xy[high] - xy[before]) / 2, way) - way
    into = np.where((seen[after] & (after > high)[:, None])[..., None], (xy[after] - xy[low]) / 2, way) - way
    bent = weight * (1 - weight) * ((1 - weight) * out - weight * into)
    both = (seen[low] & seen[high])[..., None]
    return np.where(both, points + bent, points).astype(np.float32), score


def fill_gaps(xy: np.ndarray, confidence: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw straight lines through gaps of at most `longest` frames that have a seen point on both sides."""
    seen = confidence > 0
    before, after = neighbours(seen)
    fillable = ~seen & (before >= 0) & (after < len(seen)) & (after - before - 1 <= longest)
    t, j = np.nonzero(fillable)
    a, b = before[t, j], after[t, j]
    weight = ((t - a) / np.maximum(b - a, 1))[:, None]
    points, scores = xy.copy(), confidence.copy()
    points[t, j] = (1 - weight) * xy[a, j] + weight * xy[b, j]
    scores[t, j] = FILLED * np.minimum(confidence[a, j], confidence[b, j])
    return points, scores


def neighbours(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each frame of bool (T,...): the last known frame up to it (-1: none) and the next from it on (T: none)."""
    frames = np.arange(len(known)).reshape(-1, *[1] * (known.ndim - 1))
    before = np.maximum.accumulate(np.where(known, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, frames, len(known))[::-1], axis=0)[::-1]
    return before, after


def low_pass(xy: np.ndarray, confidence: np.ndarray, fps: float, hz: float) -> np.ndarray:
    """Zero-phase Gaussian low-pass with -3 dB at `hz`, as a confidence-weighted local line fit.

    The line fit (rather than a mean) keeps the ends of a movement where they are. Only frames of the same
    uninterrupted run of a point are used, so nothing leaks across a gap; missing points stay as they are.
    """
    sigma = math.sqrt(math.log(2)) / (2 * math.pi * hz) * fps  # frames; |H(hz)|^2 = 1/2 for a Gaussian
    radius = min(math.ceil(3 * sigma), len(xy) - 1)
    seen = confidence > 0
    run = np.cumsum(np.diff(seen, axis=0, prepend=False), axis=0) * seen  # number of the run, 0 if missing
    sums = np.zeros((5, *xy.shape), np.float64)  # s0, s1, s2, m0, m1; last axis is x, y
    for offset in range(-radius, radius + 1):
        gauss = math.exp(-0.5 * (offset / sigma) ** 2)
        here, there = _overlap(len(xy), offset)
        same = (run[here] == run[there]) & seen[here]
        weight = (gauss * confidence[there] * same)[..., None]
        value = xy[there].astype(np.float64)
        terms = (weight, weight * offset, weight * offset**2, weight * value, weight * offset * value)
        for moment, term in enumerate(terms):
            sums[moment, here] += term
    return np.where(seen[..., None], _line_at_zero(sums), xy).astype(np.float32)


def _overlap(frames: int, offset: int) -> tuple[slice, slice]:
    """Frames t, and frames t + offset, for all t for which both exist."""
    return slice(max(0, -offset), frames - max(0, offset)), slice(max(0, offset), frames - max(0, -offset))


def _line_at_zero(sums: np.ndarray) -> np.ndarray:
    """Intercept of the weighted least-squares line; the weighted mean where only one frame took part."""
    s0, s1, s2, m0, m1 = sums
    determinant = s0 * s2 - s1 * s1
    flat = determinant <= 1e-9 * np.maximum(s0 * s2, 1e-12)
    line = (s2 * m0 - s1 * m1) / np.where(flat, 1, determinant)
    return np.where(flat, m0 / np.maximum(s0, 1e-12), line)


# --- fast hands kept ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Steadiness:
    """How a part is smoothed: with a cut of ``low`` Hz at rest, and ``gain`` Hz more for each width of the shoulders a
    second at which it moves. ``own``: how much of a single point's speed counts beside that of its part.

    Measured by ``benchmarks/smoothing.py`` on drawn signers with exact keypoints and added errors.
    """

    joints: tuple[int, ...]
    low: float
    gain: float
    own: float


_LEFT, _RIGHT = ((arm.wrist, *range(arm.hand.start, arm.hand.stop)) for arm in ARMS)
STEADINESS = (
    Steadiness(_LEFT, 0.5, 28.0, 0.15),
    Steadiness(_RIGHT, 0.5, 28.0, 0.15),
    Steadiness((*range(HEAD.start, HEAD.stop), *range(FACE.start, FACE.stop)), 0.5, 30.0, 0.3),
    Steadiness((*SHOULDERS, *HIPS), 0.5, 20.0, 0.3),
    Steadiness((LEFT_ELBOW,), 0.5, 15.0, 1.0),
    Steadiness((RIGHT_ELBOW,), 0.5, 15.0, 1.0),
    Steadiness(tuple(range(LEFT_KNEE, FACE.start)), 0.5, 20.0, 0.3),
)
SPEED_CUT = 20.0  # Hz, of the speeds


class OneEuro:
    """Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012: what rests is smoothed much, what moves hardly at all.

    Of each point x, frame by frame at f frames a second,

        x'[t] = x'[t-1] + a(c) (x[t] - x'[t-1]),   a(c) = 1 / (1 + f / (2 pi c)),   c = low + gain |v|

    with |v| the speed of the part that the point belongs to, or a share of the point's own where that is more. A part's
    speed is the mean over its points, in widths of the shoulders a second: single points tremble, and all together they
    tremble less, so that the gain can be large. Causal; blocks of a clip give what the whole gives. A point that was
    missing starts anew, without a past.

    Args:
        fps: frames a second.
        width: of the shoulders, pixels.
    """

    def __init__(self, fps: float, width: float) -> None:
        self._rate = fps / width
        self._ease = fps / (2 * math.pi)
        self._last, self._seen = np.zeros((NUM_JOINTS, 2)), np.zeros(NUM_JOINTS, bool)
        self._before, self._speed = np.zeros((NUM_JOINTS, 2)), np.zeros((NUM_JOINTS, 2))
        parts = np.zeros((len(STEADINESS), NUM_JOINTS))
        self._low, self._gain, self._own = np.zeros((3, NUM_JOINTS))
        for number, part in enumerate(STEADINESS):
            joints = list(part.joints)
            parts[number, joints] = 1
            self._low[joints], self._gain[joints], self._own[joints] = part.low, part.gain, part.own
        self._parts, self._of = parts, parts.argmax(0)

    def smooth(self, xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """The next frames (T,133,2), smoothed, float32; missing points stay as they are."""
        out = np.array(xy, np.float32)
        follow = 1 / (1 + self._ease / SPEED_CUT)
        for t, (points, seen) in enumerate(zip(xy.astype(np.float64), confidence > 0, strict=True)):
            known = seen & self._seen
            speed = (points - self._before) * self._rate
            self._speed = np.where(known[:, None], self._speed + follow * (speed - self._speed), 0)
            counts = np.maximum(self._parts @ known, 1)[:, None]
            of_parts = np.linalg.norm(self._parts @ self._speed / counts, axis=1)
            fastest = np.maximum(of_parts[self._of], self._own * np.linalg.norm(self._speed, axis=1))
            share = 1 / (1 + self._ease / (self._low + self._gain * fastest))
            self._last = np.where(known[:, None], self._last + share[:, None] * (points - self._last), points)
            self._before, self._seen = points, seen
            out[t] = self._last
        return out
