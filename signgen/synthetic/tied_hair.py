"""Tied hair: a bun on the crown, a pony tail over one shoulder."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body import Shape, bone_index, template
from signgen.synthetic.hair_grids import grid_faces, on_head, smoothed
from signgen.synthetic.looks import Look
from signgen.synthetic.mesh import Patch
from signgen.synthetic.noise import noise_at


def bun(look: Look, rest: np.ndarray) -> Patch:
    """A knot on the crown."""
    head = rest[template().part("head")]
    centre = np.array([0.0, head[:, 1].mean() + 0.045, head[:, 2].max() + 0.006])
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(-np.pi / 2, np.pi / 2, 14), indexing="ij")
    ball = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)], 2).reshape(-1, 3)
    uneven = 1 + 0.18 * (noise_at(ball + 5, 3, look.seed) - 0.5)
    canonical = ball * 0.05 + np.array([0, 0.0, 1.12])
    return on_head(
        centre + ball * uneven[:, None] * np.array([0.040, 0.038, 0.030]), grid_faces(25, 14), look, canonical
    )


def tail(look: Look, shape: Shape) -> Patch:
    """A pony tail that hangs over one shoulder."""
    head = shape.rest[template().part("head")]
    back, eyes = float(head[:, 1].max()), float(shape.heads[bone_index["eye.L"], 2])
    side = -1.0 if look.seed % 2 else 1.0
    path = np.array(
        [[0.02, 0.0, 0.06], [0.07, 0.01, 0.03], [0.09, -0.04, -0.06], [0.088, -0.075, -0.15], [0.08, -0.105, -0.24]]
    )
    t = np.linspace(0, 4, 22)
    line = np.stack([np.interp(t, range(5), path[:, axis]) for axis in range(3)], 1)
    line = smoothed(line[:, :, None], 1)[:, :, 0] * np.array([side, 1, 1]) + np.array([0, back, eyes])
    radius = np.interp(t, [0, 0.4, 1.5, 3, 4], [0.012, 0.020, 0.021, 0.016, 0.003])
    turn = np.linspace(0, 2 * np.pi, 15)
    ring = np.stack([np.cos(turn), 0.7 * np.sin(turn), np.zeros(15)], 1)
    uneven = 1 + 0.25 * np.sin(3 * turn[None] + 1.5 * t[:, None])
    vertices = line[:, None] + ring[None] * (radius[:, None] * uneven)[:, :, None]
    across, along = np.broadcast_arrays(turn[None], t[:, None])
    canonical = np.stack([0.08 * np.sin(across), 0.08 * np.cos(across), 1 - 0.02 * along], 2)
    return on_head(vertices.reshape(-1, 3), grid_faces(22, 15)[:, ::-1], look, canonical.reshape(-1, 3))
