"""What pieces of hair that leave the scalp are made of: grids of vertices that move with the head."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body import bone_index
from signgen.synthetic.looks import Look
from signgen.synthetic.mesh import HAIR, Patch, plain_patch
from signgen.synthetic.noise import noise_at


def hair_bump(points: np.ndarray, seed: int, amount: float) -> np.ndarray:
    """Disturbance (n, 3) of the normals that makes strands catch the light."""
    frequency = (240, 240, 40)
    return amount * np.stack([noise_at(points, frequency, seed + k) - 0.5 for k in (11, 12, 13)], 1)


def on_head(vertices: np.ndarray, faces: np.ndarray, look: Look, canonical: np.ndarray) -> Patch:
    """A hair patch that moves rigidly with the head."""
    weights, bones = np.zeros((len(vertices), 8), np.float32), np.full((len(vertices), 8), bone_index["head"])
    weights[:, 0] = 1
    patch = plain_patch(vertices, faces, HAIR, look.hair_colour, canonical, weights, bones)
    patch.bump = hair_bump(canonical, look.seed, 0.5)
    return patch


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Triangles (F, 3) over a grid of rows x columns vertices."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def smoothed(values: np.ndarray, passes: int) -> np.ndarray:
    """A grid blurred by repeated (1 2 1) means along both axes, edges repeated."""
    for _ in range(passes):
        for axis in (0, 1):
            padded = np.concatenate([np.take(values, [0], axis), values, np.take(values, [-1], axis)], axis)
            n = values.shape[axis]
            parts = [np.take(padded, range(k, k + n), axis) for k in range(3)]
            values = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    return values
