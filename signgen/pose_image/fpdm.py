"""Style ``fpdm``: the 133-point drawing of FPDM's released code, its defects included, pixel for pixel.

Weights trained on those pictures expect them: one "limb" of six points, a missing edge in the right little finger,
brows joined to each other, jaw edges drawn twice, sizes that do not grow with the picture, scores unused.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

POINT_RADIUS = 2
MISSING = -1.0  # a coordinate of a point that is not there
FARTHEST = 1e5  # pixels; OpenCV walks along the whole of a polygon, seen or not


def _run(first: int, last: int) -> list[tuple[int, int]]:
    """The chain first-last in numbers from 1."""
    return [(k, k + 1) for k in range(first, last)]


def _fingers(wrist: int, first: int) -> list[tuple[int, int]]:
    """Four edges of the finger whose knuckle is ``first``, from the tip to the wrist."""
    return [(k + 1, k) for k in range(first + 2, first - 1, -1)] + [(first, wrist)]


def limb_list() -> list[tuple[int, ...]]:
    """The reference's 117 limbs, points numbered from 1."""
    arms = [(11, 9), (9, 7), (7, 6), (6, 8), (8, 10)]
    trunk = [(7, 13), (6, 12), (13, 12), (13, 15), (15, 17), (12, 14), (14, 16)]
    jaw = [*_run(24, 27), *_run(24, 40)]
    eyes_nose = [*_run(41, 50), *_run(51, 59), (59, 54), *_run(60, 65), (65, 60), *_run(66, 71), (71, 66)]
    mouth = [*_run(72, 88), (83, 72, 72, 84, 88, 78)]
    left = [edge for first in (93, 97, 101, 105) for edge in _fingers(92, first)]
    left += [*_fingers(92, 109)[:3], (92, 109)]
    right = [edge for first in (130, 126, 122, 118, 114) for edge in _fingers(113, first)]
    right.remove((132, 131))
    return arms + trunk + jaw + eyes_nose + mouth + left + right


def colour_table() -> np.ndarray:
    """(133,3) uint8 in the reference's drawing order, without touching numpy's global generator."""
    return np.random.RandomState(777).choice(np.arange(256), 399).reshape(133, 3).astype(np.uint8)


def draw_clip(
    xy: np.ndarray,
    confidence: np.ndarray,
    frame_size: tuple[int, int],
    size: tuple[int, int],
    stick: int = 1,
    tables: tuple[list[tuple[int, ...]], np.ndarray] | None = None,
    radius: int = POINT_RADIUS,
) -> np.ndarray:
    """(T,133,2) pixels of ``frame_size`` and (T,133) -> (T,H,W,3) uint8 RGB pictures of ``size``.

    Args:
        xy, confidence: a point is missing where its confidence is 0 or a coordinate is exactly 0.
        stick: half width of a limb in pixels, whatever the size.
        tables: (limbs, points numbered from 1; colours (133,3), in BGR); the reference's own if None.
        radius: of the points in pixels, whatever the size.
    """
    limbs, colours = tables or (limb_list(), colour_table())
    known = np.isfinite(xy).all(-1) & (np.asarray(confidence) > 0)
    points = np.where(known[..., None], np.nan_to_num(np.asarray(xy, np.float64)), 0)
    points = np.clip(points * size / frame_size, -FARTHEST, FARTHEST)
    points[points == 0] = MISSING
    out = np.zeros((len(points), size[1], size[0], 3), np.uint8)
    for picture, pose in zip(out, points, strict=True):
        paint(picture, pose, limbs, colours[:, ::-1].tolist(), radius, stick)
    return out


def paint(
    picture: np.ndarray, points: np.ndarray, limbs: Sequence[tuple[int, ...]], colours: list, radius: int, stick: int
) -> None:
    """Points, then limbs, each limb blended ``0.4 old + 0.6 new``; point i and limb i both have colour i.

    Args:
        picture: (H,W,3) uint8, changed in place.
        points: (J,2) pixels; a point with a coordinate of exactly `MISSING` is not there.
        limbs: their points numbered from 1; colours: RGB.
    """
    there = (points != MISSING).all(-1)
    for (x, y), seen, colour in zip(points, there, colours, strict=True):
        if seen:
            cv2.circle(picture, (int(x), int(y)), radius, colour, thickness=-1)
    painted = picture.copy()
    for limb, colour in zip(limbs, colours, strict=False):
        joints = np.array(limb) - 1
        if not there[joints].all():
            continue
        outline = ellipse(points[joints], stick)
        cv2.fillConvexPoly(painted, outline, colour)
        box = _around(outline, picture.shape)  # elsewhere nothing changes
        if picture[box].size:
            painted[box] = picture[box] = cv2.addWeighted(picture[box], 0.4, painted[box], 0.6, 0)


def ellipse(joints: np.ndarray, stick: int) -> np.ndarray:
    """Corners (N,2) of a limb: an ellipse about the middle of its joints (2,2), along the first two of them."""
    middle = joints.mean(0)
    dx, dy = joints[0] - joints[1]
    axes, degrees = (int(np.hypot(dx, dy) / 2), stick), int(np.degrees(np.arctan2(dy, dx)))
    return np.asarray(cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, degrees, 0, 360, 1))


def _around(outline: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold the corners (N,2) of a polygon."""
    low, high = np.maximum(outline.min(0), 0), np.maximum(outline.max(0) + 1, 0)
    return slice(low[1], min(high[1], shape[0])), slice(low[0], min(high[0], shape[1]))
