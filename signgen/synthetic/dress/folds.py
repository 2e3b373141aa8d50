"""Folds of cloth that follow the pose: where skinning squeezes the cloth along the limb it buckles, where it is
stretched it lies smooth."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from signgen.synthetic.body.mesh import Patch
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.template import bone_index, template, vertex_normals

REST_SHARE = 0.35  # of the folds that cloth shows when nothing squeezes it
GAIN = 3.5  # folds' height over the squeeze, until they are fully grown
STEEPER = 1.3  # by which light sees folds steeper than they are, for lack of finer ones
HOLLOW = 0.55  # share of the light that the bottom of a full fold loses


@dataclass(frozen=True)
class Folds:
    """What one garment of m vertices needs to be creased; the first n <= m of them have folds of their own.

    `across` (F, 2) writes the unit direction along the limb in terms of a face's two edges at rest, `height` (n,) is
    how far a full fold lifts the cloth, metres, negative in the valleys. Rows of `tied` (k, 3) name a vertex and the
    two whose mean lift it takes, in order: hanging middles of edges, and the backs of vertices.
    """

    faces: np.ndarray
    across: np.ndarray
    height: np.ndarray
    tied: np.ndarray


def arm_axes() -> tuple[np.ndarray, np.ndarray]:
    """Canonical shoulder joint and unit direction from it to the wrist of the person's left arm."""
    heads = template().heads
    shoulder = heads[bone_index["upperarm01.L"]]
    along = heads[bone_index["wrist.L"]] - shoulder
    return shoulder, along / np.linalg.norm(along)


def _ridges(points: np.ndarray, frequency: tuple[float, float, float], seed: float) -> np.ndarray:
    """Noise (n,) -0.5..0.5 with round crests and narrower valleys, as of folds."""
    return 0.5 - np.abs(2 * noise_at(points, frequency, seed) - 1) ** 1.3


def fold_height(points: np.ndarray, arm: np.ndarray, neck: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Height (n,) in metres of full folds at canonical points (n, 3) with their shares of arm and neck.

    On the trunk they slant from the armpits to the waist, on the sleeves they lie across, wider towards the shoulder.
    """
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    slanted = np.stack([0.62 * x - 0.78 * z, y, 0.78 * x + 0.62 * z], 1)
    trunk = _ridges(slanted, (13, 6, 4), seed + 21) + 0.5 * _ridges(slanted, (27, 9, 7), seed + 22)
    shoulder, axis = arm_axes()
    from_shoulder = np.stack([x, y, z], 1) - shoulder
    along = from_shoulder @ axis
    side = from_shoulder - along[:, None] * axis
    slant = along + 0.35 * side[:, 2] + 0.25 * np.sign(points[:, 0]) * side[:, 1]  # they wind round the arm a little
    sleeve_points = np.stack([slant, side[:, 1], side[:, 2] + 0.3 * points[:, 0]], 1)
    sleeve = _ridges(sleeve_points, (19, 7, 7), seed + 23) + 0.55 * _ridges(sleeve_points, (38, 11, 11), seed + 24)
    share = smoothstep(0.3, 0.8, arm)
    return size * (0.9 * trunk * (1 - share) + sleeve * share) * (1 - smoothstep(0.05, 0.4, neck))


def _across(patch: Patch, arm: np.ndarray) -> np.ndarray:
    """Coefficients (F, 2): the direction along the limb, within each face, of its edges 0-1 and 0-2."""
    _, axis = arm_axes()
    side = np.sign(patch.canonical[:, :1])
    limb = np.concatenate([side * axis[0], np.broadcast_to(axis[1:], (len(side), 2))], 1)
    wanted = np.array([0.0, 0.0, -1.0]) + (limb - [0.0, 0.0, -1.0]) * smoothstep(0.2, 0.6, arm)[:, None]
    corners = patch.vertices[patch.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    direction = wanted[patch.faces].mean(1)
    aa, ab, bb = (first**2).sum(1), (first * second).sum(1), (second**2).sum(1)
    u, v = (first * direction).sum(1), (second * direction).sum(1)
    square = np.maximum(aa * bb - ab * ab, 1e-16)
    out = np.stack([(bb * u - ab * v) / square, (aa * v - ab * u) / square], 1)
    inside = out[:, :1] * first + out[:, 1:] * second
    return out / np.maximum(np.linalg.norm(inside, axis=1, keepdims=True), 1e-6)


def folds_of(patch: Patch, arm: np.ndarray, height: np.ndarray, tied: np.ndarray) -> Folds:
    """The folds of a garment in the rest pose, from its vertices' shares of arm and heights of full folds (n,)."""
    return Folds(
        np.ascontiguousarray(patch.faces, np.int64),
        np.ascontiguousarray(_across(patch, arm), np.float32),
        np.ascontiguousarray(height, np.float32),
        np.ascontiguousarray(tied, np.int64),
    )


@nb.njit(fastmath=True, cache=True)
def _squeeze(vertices, faces, across, total, count):
    """Add to `total` (n,) how much shorter than at rest each face is along the limb, and to `count` one a corner."""
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        u, v = across[i, 0], across[i, 1]
        square = np.float32(0.0)
        for axis in range(3):
            first = vertices[b, axis] - vertices[a, axis]
            second = vertices[c, axis] - vertices[a, axis]
            long = u * first + v * second
            square += long * long
        short = min(max(np.float32(1.0) - np.sqrt(square), np.float32(-0.5)), np.float32(0.6))
        for corner in range(3):
            total[faces[i, corner]] += short
            count[faces[i, corner]] += np.float32(1.0)


def squeeze(folds: Folds, vertices: np.ndarray) -> np.ndarray:
    """How much the posed vertices (n, 3) are squeezed along the limb, (n,): 0 at rest, negative when stretched."""
    total, count = np.zeros(len(folds.height), np.float32), np.zeros(len(folds.height), np.float32)
    _squeeze(vertices, folds.faces, folds.across, total, count)
    return total / np.maximum(count, 1)


@nb.njit(fastmath=True, cache=True)
def _lift(vertices, normals, lift, tied, moves, light, deepest):
    """Move the garment's vertices (m, 3) in place; `moves` (m, 3) and `light` (m,) come as 0 and 1."""
    for i in range(lift.shape[0]):
        for axis in range(3):
            moves[i, axis] = normals[i, axis] * lift[i]
        light[i] = min(max(1 + HOLLOW * lift[i] / deepest, 0.4), 1.2)
    for k in range(tied.shape[0]):
        i, a, b = tied[k, 0], tied[k, 1], tied[k, 2]
        for axis in range(3):
            moves[i, axis] = np.float32(0.5) * (moves[a, axis] + moves[b, axis])
        light[i] = np.float32(0.5) * (light[a] + light[b])
    for i in range(vertices.shape[0]):
        for axis in range(3):
            vertices[i, axis] += moves[i, axis]


def crease(folds: Folds, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crease the garment's posed vertices (m, 3) float32 in place.

    Returns the unit normals (n, 3) without folds of its first n vertices, and the light (m,) 0.4..1.2 that stays in
    hollows.
    """
    normals = vertex_normals(vertices[: len(folds.height)], folds.faces)
    grown = np.clip(np.float32(REST_SHARE) + np.float32(GAIN) * squeeze(folds, vertices), 0, 1)
    light = np.ones(len(vertices), np.float32)
    deepest = np.float32(max(float(np.abs(folds.height).max()), 1e-6))
    _lift(vertices, normals, folds.height * grown, folds.tied, np.zeros_like(vertices), light, deepest)
    return normals, light


@nb.njit(fastmath=True, cache=True)
def _dress_light(normals, bump, colour, start, smooth, light, out):
    for i in range(normals.shape[0]):
        share = light[i - start] if i >= start else np.float32(1.0)
        folded = start <= i < start + smooth.shape[0]
        for axis in range(3):
            if folded:
                normals[i, axis] += np.float32(STEEPER) * (normals[i, axis] - smooth[i - start, axis])
            normals[i, axis] += bump[i, axis]
            out[i, axis] = colour[i, axis] * share


def creased_look(
    normals: np.ndarray, bump: np.ndarray, colour: np.ndarray, start: int, smooth: np.ndarray, light: np.ndarray
) -> np.ndarray:
    """Steepen the folds in a surface's unit normals (N, 3) in place and add `bump` to them.

    Returns its colours (N, 3) in the light of the folds. The garment begins at vertex `start`; `smooth` and `light` are
    those of `crease`.
    """
    out = np.empty_like(colour)
    _dress_light(normals, bump, colour, start, smooth, light, out)
    return out
