"""Long hair: a sheet lofted around the back and sides of the head."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body import template
from signgen.synthetic.hair_grids import grid_faces, on_head, smoothed
from signgen.synthetic.looks import Look
from signgen.synthetic.mesh import Patch, lined
from signgen.synthetic.noise import noise_at, smoothstep

HEAD_AXIS_Y = -0.065
LOFT_ANGLES, LOFT_ROWS = 49, 22


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
