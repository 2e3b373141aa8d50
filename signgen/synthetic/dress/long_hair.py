"""Hair that leaves the scalp: a sheet around the head, a bun, a pony tail; grids that move with the head."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body.mesh import HAIR, Patch, grid_faces, lined, plain_patch, rigid_weights
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.template import Shape, bone_index, template
from signgen.synthetic.dress.looks import Look

HEAD_AXIS_Y = -0.065  # metres, of the vertical axis through the head
LOFT_ANGLES, LOFT_ROWS = 49, 22  # vertices around and down the sheet


def hair_bump(points: np.ndarray, seed: int, amount: float) -> np.ndarray:
    """Disturbance (n, 3) of the normals that makes strands catch the light."""
    frequency = (240, 240, 40)
    return amount * np.stack([noise_at(points, frequency, seed + k) - 0.5 for k in (11, 12, 13)], 1)


def on_head(vertices: np.ndarray, faces: np.ndarray, look: Look, canonical: np.ndarray) -> Patch:
    """A hair patch that moves rigidly with the head."""
    weights, bones = rigid_weights(len(vertices), bone_index["head"])
    patch = plain_patch(vertices, faces, HAIR, look.hair_colour, canonical, weights, bones)
    patch.bump = hair_bump(canonical, look.seed, 0.5)
    return patch


def smoothed(values: np.ndarray, passes: int) -> np.ndarray:
    """A grid blurred by repeated (1 2 1) means along both axes, edges repeated."""
    for _ in range(passes):
        for axis in (0, 1):
            padded = np.concatenate([np.take(values, [0], axis), values, np.take(values, [-1], axis)], axis)
            n = values.shape[axis]
            parts = [np.take(padded, range(k, k + n), axis) for k in range(3)]
            values = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    return values


def _head_radius(rest: np.ndarray, eye_z: float, angles: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Median radius (angles, heights) of the head around its vertical axis, ears left out; nan where there is none."""
    head = rest[template().part("head")]
    x, y, z = head.T
    ear = (np.abs(x) > 0.074) & (z < eye_z + 0.02) & (y > -0.10) & (y < 0)
    x, y, z = x[~ear], y[~ear] - HEAD_AXIS_Y, z[~ear]
    radius, around = np.hypot(x, y), np.arctan2(x, y)
    out = np.full((len(angles), len(heights)), np.nan)
    for i, angle in enumerate(angles):
        near = np.abs(np.angle(np.exp(1j * (around - angle)))) < 0.22
        for j, height in enumerate(heights):
            close = near & (np.abs(z - max(height, eye_z)) < 0.012)
            out[i, j] = np.median(radius[close]) if close.any() else np.nan
    return out


def loft(look: Look, rest: np.ndarray, eye_z: float) -> Patch:
    """Long hair: a two-sided sheet around the back and sides of the head, frayed at its edges."""
    opening = np.radians(113 if look.hair == "bob" else 122)
    top = rest[template().part("head")][:, 2].max()
    angles = np.linspace(-opening, opening, LOFT_ANGLES)
    heights = np.linspace(top - 0.030, eye_z - look.hair_length, LOFT_ROWS)
    radius = _head_radius(rest, eye_z, angles, heights)
    for j in range(LOFT_ROWS):  # where the head has no vertices, go on from above
        radius[:, j] = np.where(np.isnan(radius[:, j]), radius[:, max(j - 1, 0)], radius[:, j])
    radius = np.nan_to_num(radius, nan=0.05)
    grown = np.clip((top - 0.05 - heights) / 0.06, 0, 1)
    radius = radius + 0.002 + look.hair_volume * (0.4 + 1.0 * grown)
    below = np.clip(eye_z - heights, 0, None)
    radius = np.maximum.accumulate(radius, 1) - 0.06 * below**1.5
    radius = np.minimum(radius, np.where(below > 0.02, 0.116, 0.134))
    wave = 0.012 * np.sin(angles[:, None] * 5 + heights * 75 + look.seed) if look.hair == "wavy" else 0.0
    wave = wave + 0.004 * np.sin(angles * 9 + look.seed)[:, None] + 0.003 * np.sin(angles[:, None] * 23 + heights * 30)
    radius = smoothed(radius + wave, 2)
    ripple = 0.006 * np.sin(angles * 31 + look.seed)[:, None] * np.linspace(0, 1, LOFT_ROWS)
    vertices = np.stack(
        [
            np.sin(angles)[:, None] * (radius + ripple),
            HEAD_AXIS_Y + np.cos(angles)[:, None] * (radius + ripple),
            np.broadcast_to(heights, radius.shape),
        ],
        2,
    ).reshape(-1, 3)
    around, down = np.repeat(angles, LOFT_ROWS), np.tile(heights, LOFT_ANGLES)
    canonical = np.stack([0.1 * np.sin(around), -0.05 + 0.1 * np.cos(around), 1.08 + 0.3 * (down - top)], 1)
    faces = grid_faces(LOFT_ANGLES, LOFT_ROWS)
    patch = on_head(vertices, faces, look, canonical)
    inside = np.minimum((opening - np.abs(around)) * 0.10, (down - heights[-1]) * 0.30)
    patch.cut = inside - 0.004 + 0.004 * noise_at(canonical, (180, 180, 1), look.seed)
    patch.colour *= (0.86 + 0.14 * smoothstep(-0.10, 0.05, down - eye_z))[:, None]
    return lined(patch, np.ones(len(faces), bool))


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
