"""Carrying a part of the body (a hand, the face) through frames in which only the joint that it hangs on is known.

Points are complex numbers x + iy here, so that turning a point by an angle is one multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import filters
from signgen.keypoints.repair.proportions import measure

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

# The shape of a hand that hangs or rests, for hands that a clip never shows.


PALM_OF_SHOULDERS = 0.29  # wrist to middle knuckle over the width of the shoulders, where no hand can be measured

# A left hand's 21 points, fingers a little curled, seen from the back, in lengths of the palm: x runs on from the
# forearm, y to the thumb's side. (The picture's y points down: a left forearm that points to the picture's left has
# the thumb above.)
_LEFT = (
    (0.00, 0.00),
    (0.30, 0.25), (0.58, 0.40), (0.82, 0.45), (1.02, 0.44),
    (0.99, 0.22), (1.30, 0.24), (1.46, 0.20), (1.56, 0.14),
    (1.00, 0.02), (1.35, 0.03), (1.53, -0.01), (1.63, -0.06),
    (0.94, -0.16), (1.26, -0.18), (1.43, -0.20), (1.53, -0.23),
    (0.84, -0.32), (1.07, -0.37), (1.21, -0.39), (1.30, -0.40),
)  # fmt: skip


def relaxed_hand(clip: Keypoints, *, left: bool) -> np.ndarray | None:
    """complex (21,) pixels from the wrist, the real axis along the forearm; None if no shoulders say how large it is.

    Its palm is as long as that of the other hand, or in proportion to the shoulders.
    """
    try:
        person = measure(clip)
    except InputError:
        return None
    x, y = np.array(_LEFT).T
    return (x + 1j * (y if left else -y)) * (person.palm or PALM_OF_SHOULDERS * person.shoulders)


SHORT = 0.4  # of a limb's usual length in the picture
STEADY = 5.0  # Hz, cut-off for the joint that carries a part: it is found frame by frame, with jitter
CALM = 3.0  # Hz, the same for the direction of the limb


@dataclass(frozen=True)
class Carrier:
    """What a part hangs on.

    Attributes:
        place: complex (T,) the joint, anything where unknown.
        known: bool (T,) whether it is known.
        angle: radians (T,) without jumps, the direction of the limb that ends in the joint.
    """

    place: np.ndarray
    known: np.ndarray
    angle: np.ndarray


def as_complex(xy: np.ndarray) -> np.ndarray:
    """float (...,2) -> complex128 (...)."""
    return xy[..., 0].astype(np.float64) + 1j * xy[..., 1]


def as_points(values: np.ndarray) -> np.ndarray:
    """complex (...) -> float64 (...,2)."""
    return np.stack([values.real, values.imag], -1)


def angles(start: np.ndarray, end: np.ndarray, known: np.ndarray, fps: float) -> np.ndarray:
    """Radians (T,) without jumps: the direction from ``start`` to ``end``, complex (T,), where known; else between.

    A limb that points at the camera is short and its direction says little: it counts as unknown there.
    """
    limb = end - start
    if known.any():
        known = known & (np.abs(limb) >= SHORT * np.quantile(np.abs(limb[known]), 0.9))
    if not known.any():
        return np.zeros(len(known))
    frames = np.arange(len(known))
    angle = np.interp(frames, frames[known], np.unwrap(np.angle(limb[known])))
    return steady(angle, np.ones_like(known), fps, CALM).real


def steady(values: np.ndarray, known: np.ndarray, fps: float, hz: float = STEADY) -> np.ndarray:
    """complex (T,) without the jitter of a detector; unknown frames keep their value."""
    if fps / 2 <= hz or len(values) < 3:
        return values
    xy = as_points(values)[:, None]
    return as_complex(filters.low_pass(xy, known[:, None].astype(np.float64), fps, hz))[:, 0]


def bridge(values: np.ndarray, known: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Fills gaps of at most ``longest`` frames of complex (T,) by cubic curves that leave and arrive as the track does.

    Returns:
        The filled values and where they are known now.
    """
    before, after = filters.neighbours(known)
    inside = ~known & (before >= 0) & (after < len(known)) & (after - before - 1 <= longest)
    t = np.flatnonzero(inside)
    if not len(t):
        return values, known
    a, b = before[t], after[t]
    span = b - a
    chord = (values[b] - values[a]) / span
    speed_a = np.where((a > 0) & known[a - 1], values[a] - values[a - 1], chord)
    after_b = np.minimum(b + 1, len(known) - 1)
    speed_b = np.where((after_b > b) & known[after_b], values[after_b] - values[b], chord)
    # Half the measured speed, half the mean one: the difference of two frames is a noisy speed.
    speed_a, speed_b = (speed_a + chord) / 2 * span, (speed_b + chord) / 2 * span
    s = (t - a) / span
    curve = (1 + 2 * s) * (1 - s) ** 2 * values[a] + s * (1 - s) ** 2 * speed_a
    curve += s**2 * (3 - 2 * s) * values[b] + s**2 * (s - 1) * speed_b
    filled = values.copy()
    filled[t] = curve
    return filled, known | inside


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of every stretch of true values of bool (T,)."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def carry(
    points: np.ndarray, found: np.ndarray, whole: np.ndarray, carrier: Carrier, frames: np.ndarray, follow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The part in frames without it: from the shape before to the shape after, turned the shorter way round.

    Both shapes move with the joint and turn with the limb; then one becomes the other, turning about its first point
    (a hand's root) or about the middle where that is missing. Beyond the first and the last frame that has the part,
    the nearest shape is held. A point that only one of the two shapes has follows that one.

    Args:
        points: complex (T,N).
        found: bool (T,N), which of them there are.
        whole: bool (T,), the frames to take shapes from; at least one, the carrier is known in all.
        carrier: what the part hangs on.
        frames: (K,) the frames wanted, in which the carrier is known.
        follow: (K,) the share of the limb's turn since the known shape that the part makes.

    Returns:
        complex (K,N) and bool (K,N): which points could be placed.
    """
    a, b = around(whole, frames)
    share = (frames - a) / np.maximum(b - a, 1)
    share = np.where(a == b, 0, share * share * (3 - 2 * share))[:, None]
    before, after = (_turned(points, carrier, shown, frames, follow) for shown in (a, b))
    both = found[a] & found[b]
    root_a, root_b = _root(before, both), _root(after, both)
    before, after = before - root_a, after - root_b
    turn = (before.conj() * after * both).sum(1, keepdims=True)
    angle = np.angle(np.where(np.abs(turn) > 1e-9, turn, 1))
    after = after * np.exp(-1j * angle)
    mixed = (1 - share) * np.where(found[a], before, after) + share * np.where(found[b], after, before)
    root = carrier.place[frames, None] + (1 - share) * root_a + share * root_b
    return root + mixed * np.exp(1j * share * angle), found[a] | found[b]


def around(known: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of the frames (K,) the known ones before and after it; beyond the first or last, twice the nearest."""
    before, after = (frame[frames] for frame in filters.neighbours(known))
    return np.where(before < 0, after, before), np.where(after >= len(known), before, after)


def _turned(
    points: np.ndarray, carrier: Carrier, shown: np.ndarray, frames: np.ndarray, follow: np.ndarray
) -> np.ndarray:
    """complex (K,N): the points of frames ``shown``, seen from the joint, turned as the limb until ``frames``."""
    turn = follow * (carrier.angle[frames] - carrier.angle[shown])
    return (points[shown] - carrier.place[shown, None]) * np.exp(1j * turn)[:, None]


def _root(points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(K,1) the first point of each row, or the mean of the chosen ones where it is none of them."""
    middle = (points * chosen).sum(1, keepdims=True) / np.maximum(chosen.sum(1, keepdims=True), 1)
    return np.where(chosen[:, :1], points[:, :1], middle)
