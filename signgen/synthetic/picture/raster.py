"""A deferred rasteriser: for each pixel the nearest face, its barycentric weights and its depth.

Faces are counter-clockwise seen from outside; with rows counted downwards a front face has a negative signed area, and
the others are culled. Interpolation is affine in the picture, which is enough at this distance.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from signgen.synthetic.body.mesh import HAIR
from signgen.synthetic.body.noise import value_noise

FAR = np.float32(1e9)  # depth of an empty pixel


@nb.njit(fastmath=True, cache=True, inline="always")
def _strand(strand, canonical, a, b, c, w0, w1, w2):
    """How far hair reaches beyond its edge here, metres: noise drawn out along z."""
    x = w0 * canonical[a, 0] + w1 * canonical[b, 0] + w2 * canonical[c, 0]
    y = w0 * canonical[a, 1] + w1 * canonical[b, 1] + w2 * canonical[c, 1]
    z = w0 * canonical[a, 2] + w1 * canonical[b, 2] + w2 * canonical[c, 2]
    length, across, down = strand
    return length * (value_noise(x * across + z * 90, y * across, z * down) - 0.5)


@nb.njit(fastmath=True, cache=True)
def rasterise(points, faces, material, cut, canonical, strand, depth, face, weights):
    """Fill depth (H, W), face (H, W; -1 where empty) and weights (H, W, 2) from points (n, 3): column, row, depth.

    `cut` (n,) removes what lies at or below 0 once interpolated (plus strands, for hair, placed by `canonical` (n, 3)):
    `strand` is how long they are, metres, and how many noise has in a metre, across and down.
    """
    height, width = depth.shape
    depth[:] = FAR
    face[:] = -1
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        x0, y0, x1, y1, x2, y2 = (points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1])
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0:
            continue
        left, right = (
            max(0, int(math.ceil(min(x0, x1, x2) - 0.5))),
            min(width - 1, int(math.floor(max(x0, x1, x2) - 0.5))),
        )
        upper, lower = (
            max(0, int(math.ceil(min(y0, y1, y2) - 0.5))),
            min(height - 1, int(math.floor(max(y0, y1, y2) - 0.5))),
        )
        if left > right or upper > lower:
            continue
        hair = material[i] == HAIR
        margin = strand[0] * 0.5 if hair else 0.0
        lowest, highest = min(cut[a], cut[b], cut[c]), max(cut[a], cut[b], cut[c])
        if highest <= -margin:
            continue
        tested = lowest <= margin
        inverse = 1.0 / area
        step0, step1 = (y1 - y2) * inverse, (y2 - y0) * inverse
        for y in range(upper, lower + 1):
            px, py = left + 0.5, y + 0.5
            w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse
            w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse
            for x in range(left, right + 1):
                w2 = 1 - w0 - w1
                if w0 >= 0 and w1 >= 0 and w2 >= 0:
                    z = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                    if z < depth[y, x]:
                        there = 1.0
                        if tested:
                            there = w0 * cut[a] + w1 * cut[b] + w2 * cut[c]
                            if hair:
                                there += _strand(strand, canonical, a, b, c, w0, w1, w2)
                        if there > 0:
                            depth[y, x] = z
                            face[y, x] = i
                            weights[y, x, 0], weights[y, x, 1] = w0, w1
                w0 += step0
                w1 += step1


@nb.njit(fastmath=True, cache=True)
def cast(points, faces, depth):
    """Fill depth (S, S) with the nearest of the faces at points (n, 3): column, row, depth; whole faces, no cuts.

    A face smaller than a pixel gives the pixel of its first corner its depth, which is enough for soft shadows.
    """
    height, width = depth.shape
    depth[:] = FAR
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        x0, y0, x1, y1, x2, y2 = (points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1])
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0:
            continue
        if area > -0.5:
            column, row = int(x0), int(y0)
            if 0 <= column < width and 0 <= row < height and points[a, 2] < depth[row, column]:
                depth[row, column] = points[a, 2]
            continue
        left, right = max(0, int(math.ceil(min(x0, x1, x2) - 0.5))), min(width - 1, int(max(x0, x1, x2) - 0.5))
        upper, lower = max(0, int(math.ceil(min(y0, y1, y2) - 0.5))), min(height - 1, int(max(y0, y1, y2) - 0.5))
        inverse = 1.0 / area
        for y in range(upper, lower + 1):
            py = y + 0.5
            for x in range(left, right + 1):
                px = x + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse
                w2 = 1 - w0 - w1
                if w0 >= 0 and w1 >= 0 and w2 >= 0:
                    z = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                    if z < depth[y, x]:
                        depth[y, x] = z


@nb.njit(fastmath=True, cache=True)
def box_blur(values, radius):
    """Mean over a square of 2 radius + 1 pixels, edges repeated; values (H, W) float32."""
    height, width = values.shape
    rows, out = np.empty_like(values), np.empty_like(values)
    share = np.float32(1.0 / (2 * radius + 1))
    for y in range(height):
        total = np.float32(0.0)
        for x in range(-radius, radius + 1):
            total += values[y, min(max(x, 0), width - 1)]
        for x in range(width):
            rows[y, x] = total * share
            total += values[y, min(x + radius + 1, width - 1)] - values[y, max(x - radius, 0)]
    sums = np.zeros(width, np.float32)
    for y in range(-radius, radius + 1):
        sums += rows[min(max(y, 0), height - 1)]
    for y in range(height):
        low, high = max(y - radius, 0), min(y + radius + 1, height - 1)
        for x in range(width):
            out[y, x] = sums[x] * share
            sums[x] += rows[high, x] - rows[low, x]
    return out
