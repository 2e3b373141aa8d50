"""Style ``fpdm``: the 133-point drawing of FPDM's released code, its defects included, pixel for pixel.

Weights trained on those pictures expect them: one "limb" of six points, a missing edge in the right little finger,
brows joined to each other, jaw edges drawn twice, sizes that do not grow with the picture, scores unused.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from signgen.pose_image.integer_raster import SINES, draw_reference

POINT_RADIUS = 2
FARTHEST = 1e5  # pixels; the row loop of a polygon is as long as the polygon


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


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    return padded(limb_list()), colour_table()


def padded(limbs: list[tuple[int, ...]]) -> np.ndarray:
    """Limbs numbered from 1 -> (L,K) int64 numbered from 0, padded with -1."""
    table = np.full((len(limbs), max(map(len, limbs))), -1, np.int64)
    for row, limb in zip(table, limbs, strict=True):
        row[: len(limb)] = np.asarray(limb) - 1
    return table


def draw_clip(
    xy: np.ndarray,
    confidence: np.ndarray,
    frame_size: tuple[int, int],
    size: tuple[int, int],
    stick: int = 1,
    tables: tuple[np.ndarray, np.ndarray] | None = None,
    radius: int = POINT_RADIUS,
) -> np.ndarray:
    """(T,133,2) pixels of ``frame_size`` and (T,133) -> (T,H,W,3) uint8 RGB pictures of ``size``.

    Args:
        xy, confidence: a point is missing where its confidence is 0 or a coordinate is exactly 0.
        stick: half width of a limb in pixels, whatever the size.
        tables: (limbs as `padded` gives them, colours (133,3)); the reference's own if None.
        radius: of the points in pixels, whatever the size.
    """
    limbs, colours = tables or _tables()
    known = np.isfinite(xy).all(-1) & (np.asarray(confidence) > 0)
    points = np.where(known[..., None], np.nan_to_num(np.asarray(xy, np.float64)), 0)
    points = np.clip(points * size / frame_size, -FARTHEST, FARTHEST)
    points[points == 0] = -1
    out = np.zeros((len(points), size[1], size[0], 3), np.uint8)
    draw_reference(points, limbs, np.asarray(colours, np.uint8)[:, ::-1].copy(), radius, stick, SINES, out)
    return out
