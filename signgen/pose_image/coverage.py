"""The kernel of style ``signgen``: round-ended lines and filled palms with analytic coverage, no supersampling.

Strokes of one layer do not add up where they overlap (the larger opacity wins), so that joints of a half-transparent
finger show no knots; layers are then laid over each other.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True, fastmath=True)


@_compiled
def _grow(box: np.ndarray, x0: float, y0: float, x1: float, y1: float, margin: float) -> None:
    """Sets box[0] to the pixels that the stroke may touch and widens box[1], the layer's, by them (x0, y0, x1, y1)."""
    limits = box[2]
    box[0, 0] = int(min(max(min(x0, x1) - margin, 0.0), float(limits[2])))
    box[0, 1] = int(min(max(min(y0, y1) - margin, 0.0), float(limits[3])))
    box[0, 2] = int(min(max(max(x0, x1) + margin + 1.0, 0.0), float(limits[2])))
    box[0, 3] = int(min(max(max(y0, y1) + margin + 1.0, 0.0), float(limits[3])))
    if box[0, 0] < box[0, 2] and box[0, 1] < box[0, 3]:
        for k in range(2):
            box[1, k] = min(box[1, k], box[0, k])
            box[1, 2 + k] = max(box[1, 2 + k], box[0, 2 + k])


@_compiled
def _stroke(layer, box, ends, radius, opacity, colours):  # type: ignore[no-untyped-def]
    """One line into ``layer`` (H,W,4: RGB, opacity). ``ends`` (2,2), ``opacity`` (2,), ``colours`` (2,3)."""
    x0, y0, x1, y1 = ends[0, 0], ends[0, 1], ends[1, 0], ends[1, 1]
    _grow(box, x0, y0, x1, y1, radius + 0.5)
    dx, dy = x1 - x0, y1 - y0
    inverse = 1.0 / max(dx * dx + dy * dy, 1e-12)
    reach = (radius + 0.5) ** 2
    for row in range(box[0, 1], box[0, 3]):
        py = row + 0.5 - y0
        for column in range(box[0, 0], box[0, 2]):
            px = column + 0.5 - x0
            t = min(max((px * dx + py * dy) * inverse, 0.0), 1.0)
            ex, ey = px - t * dx, py - t * dy
            square = ex * ex + ey * ey
            if square >= reach:
                continue
            # Overlap of the line's width with a pixel at this distance from its middle.
            distance = math.sqrt(square)
            cover = min(radius, distance + 0.5) - max(-radius, distance - 0.5)
            alpha = cover * ((1.0 - t) * opacity[0] + t * opacity[1])
            if alpha > layer[row, column, 3]:
                for c in range(3):
                    layer[row, column, c] = (1.0 - t) * colours[0, c] + t * colours[1, c]
                layer[row, column, 3] = alpha


@_compiled
def _lay_over(canvas, layer, box):  # type: ignore[no-untyped-def]
    """Lays the layer's box over the canvas (H,W,3) and empties it."""
    for row in range(box[1, 1], box[1, 3]):
        for column in range(box[1, 0], box[1, 2]):
            alpha = layer[row, column, 3]
            if alpha > 0.0:
                for c in range(3):
                    canvas[row, column, c] += alpha * (layer[row, column, c] - canvas[row, column, c])
                layer[row, column, 3] = 0.0
    box[1] = np.array([box[2, 2], box[2, 3], 0, 0])


@_compiled
def _palm(canvas, box, corners, colour, opacity):  # type: ignore[no-untyped-def]
    """Fills the outline ``corners`` (N,2) by non-zero winding; its edge is smoothed over one pixel."""
    low_x, high_x, low_y, high_y = corners[:, 0].min(), corners[:, 0].max(), corners[:, 1].min(), corners[:, 1].max()
    _grow(box, low_x, low_y, high_x, high_y, 0.5)
    count = corners.shape[0]
    for row in range(box[0, 1], box[0, 3]):
        py = row + 0.5
        for column in range(box[0, 0], box[0, 2]):
            px = column + 0.5
            winding, nearest = 0, 1e18
            for k in range(count):
                ax, ay = corners[k, 0], corners[k, 1]
                bx, by = corners[(k + 1) % count, 0], corners[(k + 1) % count, 1]
                dx, dy = bx - ax, by - ay
                t = min(max(((px - ax) * dx + (py - ay) * dy) / max(dx * dx + dy * dy, 1e-12), 0.0), 1.0)
                ex, ey = px - ax - t * dx, py - ay - t * dy
                nearest = min(nearest, ex * ex + ey * ey)
                side = dx * (py - ay) - dy * (px - ax)
                if ay <= py < by and side > 0.0:
                    winding += 1
                elif by <= py < ay and side < 0.0:
                    winding -= 1
            depth = math.sqrt(nearest) if winding != 0 else -math.sqrt(nearest)
            cover = min(max(depth + 0.5, 0.0), 1.0) * opacity
            if cover > 0.0:
                for c in range(3):
                    canvas[row, column, c] += cover * (colour[c] - canvas[row, column, c])


@_compiled
def _palm_of(canvas, box, points, opacity, corners, colour, strength):  # type: ignore[no-untyped-def]
    """One palm, fainter where its corners are less sure; not drawn if one is missing."""
    seen = 0.0
    outline = np.empty((corners.shape[0], 2))
    for k in range(corners.shape[0]):
        if opacity[corners[k]] <= 0.0:
            return
        seen += opacity[corners[k]] / corners.shape[0]
        outline[k] = points[corners[k]]
    _palm(canvas, box, outline, colour, strength * seen)


@_compiled
def draw_layers(xy, opacity, facing, table, palm_opacity, out):  # type: ignore[no-untyped-def]
    """Draws a clip: ``xy`` (T,133,2) finite, ``opacity`` (T,133), ``facing`` (T,2) -> ``out``.

    ``out`` is (T,H,W,3) uint8 and overwritten. ``table`` is a `palette.Table` with ``radii`` in pixels and the
    ``orders`` (T,M) of these frames.
    """
    ends, first = table.ends, table.first
    height, width = out.shape[1], out.shape[2]
    canvas = np.empty((height, width, 3), np.float32)
    layer = np.zeros((height, width, 4), np.float32)
    box = np.array([[0, 0, 0, 0], [width, height, 0, 0], [0, 0, width, height]])
    for frame in range(out.shape[0]):
        canvas[:] = 0.0
        for n in table.orders[frame]:
            if n < 0:
                side = -n - 1
                mix = 0.5 + 0.5 * facing[frame, side]
                colour = (1.0 - mix) * table.palm_colours[side, 0] + mix * table.palm_colours[side, 1]
                _palm_of(canvas, box, xy[frame], opacity[frame], table.palms[side], colour, palm_opacity)
                box[1] = np.array([width, height, 0, 0])
                continue
            for s in range(first[n], first[n + 1]):
                visible = opacity[frame][ends[s]]
                if visible[0] > 0.0 and visible[1] > 0.0:
                    _stroke(layer, box, xy[frame][ends[s]], table.radii[s], visible, table.colours[s])
            _lay_over(canvas, layer, box)
        for row in range(height):
            for column in range(width):
                for c in range(3):
                    out[frame, row, column, c] = np.uint8(canvas[row, column, c] + 0.5)
