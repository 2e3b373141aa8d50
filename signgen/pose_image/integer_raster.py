"""OpenCV's integer drawing of filled circles, ellipse polygons and convex polygons, pixel for pixel.

Only the picture is reproduced, into a mask; OpenCV itself is not needed. Lines are 8-connected Bresenham lines drawn
from left to right, polygon edges are stepped in 16-bit fixed point, halves are rounded to even as C's ``rint`` does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True)
ONE = 1 << 16
HALF = ONE >> 1


def _sines() -> np.ndarray:
    """Sines of 0 to 450 degrees as float32 of seven printed decimals, so that rounding falls as in OpenCV."""
    return np.round(np.sin(np.radians(np.arange(451))), 7).astype(np.float32).astype(np.float64)


SINES = _sines()


@_compiled
def _row(mask, y, left, right):  # type: ignore[no-untyped-def]
    """Sets columns left to right, both included, of one row, as far as they are in the picture."""
    if 0 <= y < mask.shape[0]:
        for x in range(max(left, 0), min(right, mask.shape[1] - 1) + 1):
            mask[y, x] = 1


@_compiled
def fill_circle(mask, cx, cy, radius):  # type: ignore[no-untyped-def]
    """The midpoint circle, filled row by row."""
    error, dx, dy, plus, minus = 0, radius, 0, 1, 2 * radius - 1
    while dx >= dy:
        for sign in (-1, 1):
            _row(mask, cy + sign * dy, cx - dx, cx + dx)
            _row(mask, cy + sign * dx, cx - dy, cx + dy)
        dy += 1
        error += plus
        plus += 2
        if error > 0:
            error -= minus
            dx -= 1
            minus -= 2


@_compiled
def _quotient(a, b):  # type: ignore[no-untyped-def]
    """Integer division towards zero."""
    q = abs(a) // abs(b)
    return q if (a >= 0) == (b >= 0) else -q


@_compiled
def _outside(value, last):  # type: ignore[no-untyped-def]
    return -1 if value < 0 else (1 if value > last else 0)


@_compiled
def _clip_axis(ends, axis, last):  # type: ignore[no-untyped-def]
    """Moves both ends (2,2) along their line until coordinate ``axis`` is within 0 to ``last``."""
    other = 1 - axis
    for k in range(2):
        beyond = _outside(ends[k, axis], last)
        if beyond:
            edge = 0 if beyond < 0 else last
            rise, run = ends[1, other] - ends[0, other], ends[1, axis] - ends[0, axis]
            ends[k, other] += _quotient((edge - ends[k, axis]) * rise, run)
            ends[k, axis] = edge


@_compiled
def _misses(ends, width, height):  # type: ignore[no-untyped-def]
    """Whether both ends lie beyond the same side of the picture."""
    for axis, last in ((0, width - 1), (1, height - 1)):
        first = _outside(ends[0, axis], last)
        if first and first == _outside(ends[1, axis], last):
            return True
    return False


@_compiled
def draw_line(mask, ax, ay, bx, by):  # type: ignore[no-untyped-def]
    """An 8-connected line, clipped first (rows, then columns), so that its steps count from the clipped ends."""
    height, width = mask.shape
    ends = np.array([[ax, ay], [bx, by]])
    for axis, last in ((1, height - 1), (0, width - 1)):
        if _misses(ends, width, height):
            return
        _clip_axis(ends, axis, last)
    if _misses(ends, width, height):
        return
    if ends[0, 0] > ends[1, 0]:
        ends = ends[::-1].copy()
    x, y = ends[0]
    dx, dy = ends[1, 0] - x, abs(ends[1, 1] - y)
    down = 1 if ends[1, 1] >= y else -1
    steep = dy > dx
    long, short = (dy, dx) if steep else (dx, dy)
    error = long - 2 * short
    for _ in range(long + 1):
        mask[y, x] = 1
        aside = error < 0
        error += (2 * long if aside else 0) - 2 * short
        if steep:
            y += down
            x += 1 if aside else 0
        else:
            x += 1
            y += down if aside else 0


@_compiled
def ellipse_polygon(cx, cy, half_length, half_width, degrees, sines):  # type: ignore[no-untyped-def]
    """Corners (N,2) of an ellipse turned by whole degrees (-360 to 360), one per degree, repeated ones left out."""
    degrees = degrees + 360 if degrees < 0 else degrees
    cosine, sine = sines[450 - degrees], sines[degrees]
    corners, count = np.empty((361, 2), np.int64), 0
    for k in range(361):
        x, y = half_length * sines[450 - k], half_width * sines[k]
        px, py = int(np.rint(cx + x * cosine - y * sine)), int(np.rint(cy + x * sine + y * cosine))
        if count == 0 or corners[count - 1, 0] != px or corners[count - 1, 1] != py:
            corners[count, 0], corners[count, 1] = px, py
            count += 1
    if count == 1:
        corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1], count = cx, cy, cx, cy, 2
    return corners[:count]


@_compiled
def fill_convex(mask, corners):  # type: ignore[no-untyped-def]
    """Draws the outline and fills between the polygon's two sides, from its topmost corner down."""
    count, height = corners.shape[0], mask.shape[0]
    for k in range(count):
        before = corners[k - 1]
        draw_line(mask, before[0], before[1], corners[k, 0], corners[k, 1])
    if count < 3:
        return
    top = np.argmin(corners[:, 1])
    y, bottom = corners[top, 1], min(corners[:, 1].max(), height - 1)
    # Per side: current corner, row where its edge ends, x in fixed point, step of x per row.
    corner, ends = np.array([top, top]), np.array([y, y])
    x, step = np.array([-ONE, -ONE]), np.zeros(2, np.int64)
    left_over = count
    while y <= bottom:
        for side in range(2):
            if y < ends[side]:
                continue
            turn = 1 if side == 0 else count - 1
            here = corner[side]
            while left_over > 0:
                left_over -= 1
                there = (here + turn) % count
                rows = corners[there, 1] - y
                if rows > 0:
                    run = (corners[there, 0] - corners[here, 0]) * ONE
                    step[side] = _quotient(2 * run + rows, 2 * rows)
                    x[side], ends[side], corner[side] = corners[here, 0] * ONE, corners[there, 1], there
                    break
                here = there
            else:
                return
        _row(mask, y, (min(x[0], x[1]) + HALF) >> 16, (max(x[0], x[1]) + HALF) >> 16)
        x += step
        y += 1


@_compiled
def draw_reference(xy, limbs, colours, radius, stick, sines, out):  # type: ignore[no-untyped-def]
    """Points, then limbs, each limb blended ``0.4 old + 0.6 new``.

    Args:
        xy: (T,133,2) float64 pixels; a point with a coordinate of exactly -1 is missing.
        limbs: (L,K) int64 zero-based points of a limb, padded with -1; the first two give its direction.
        colours: (>= max(133, L), 3) uint8; point i and limb i both have colour i.
        radius, stick: of the points and half the width of the limbs, pixels.
        out: (T,H,W,3) uint8, zeros.
    """
    mask = np.zeros(out.shape[1:3], np.uint8)
    for t in range(out.shape[0]):
        for j in range(xy.shape[1]):
            if xy[t, j, 0] != -1 and xy[t, j, 1] != -1:
                x, y = int(xy[t, j, 0]), int(xy[t, j, 1])
                fill_circle(mask, x, y, radius)
                _paint(out[t], mask, x - radius, y - radius, x + radius, y + radius, colours[j], True)
        for n in range(limbs.shape[0]):
            count = 0
            mx, my, missing = 0.0, 0.0, False
            while count < limbs.shape[1] and limbs[n, count] >= 0:
                px, py = xy[t, limbs[n, count]]
                missing = missing or px == -1 or py == -1
                mx, my, count = mx + px, my + py, count + 1
            if missing:
                continue
            dx, dy = xy[t, limbs[n, 0]] - xy[t, limbs[n, 1]]
            half, degrees = int(np.hypot(dx, dy) / 2), int(np.degrees(np.arctan2(dy, dx)))
            outline = ellipse_polygon(int(mx / count), int(my / count), half, stick, degrees, sines)
            fill_convex(mask, outline)
            low_x, low_y, high_x, high_y = _bounds(outline)
            _paint(out[t], mask, low_x, low_y, high_x, high_y, colours[n], False)


@_compiled
def _bounds(corners):  # type: ignore[no-untyped-def]
    return corners[:, 0].min(), corners[:, 1].min(), corners[:, 0].max(), corners[:, 1].max()


@_compiled
def _paint(picture, mask, low_x, low_y, high_x, high_y, colour, opaque):  # type: ignore[no-untyped-def]
    """Paints where the mask is set within the bounds, and clears the mask there."""
    for y in range(max(low_y, 0), min(high_y, mask.shape[0] - 1) + 1):
        for x in range(max(low_x, 0), min(high_x, mask.shape[1] - 1) + 1):
            if mask[y, x]:
                mask[y, x] = 0
                for c in range(3):
                    old = int(picture[y, x, c])
                    picture[y, x, c] = colour[c] if opaque else (2 * old + 3 * int(colour[c]) + 2) // 5
