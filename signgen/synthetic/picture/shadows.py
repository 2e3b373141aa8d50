"""The studio's lights, and what keeps their light away: a shadow map of the key light, and screen-space occlusion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from signgen.synthetic.body.rotations import Triple, triple, unit
from signgen.synthetic.picture.raster import box_blur, cast

SHADOW_SIZE, SHADOW_METRES = 104, 1.35  # pixels and metres a side of the shadow map
SHADOW_CENTRE = np.array([0.0, -0.10, 0.70])
BACKDROP_DEPTH = 0.30  # metres behind the signer


class Light(NamedTuple):
    """Unit directions towards the key and the fill light, and the strengths of these and of ambient light."""

    key: Triple
    fill: Triple
    key_power: float
    fill_power: float
    ambient: float


def studio_light(seed: int) -> Light:
    """Key light from the viewer's upper left, with a little variation by seed."""
    rng = np.random.default_rng([seed, 47])
    key = unit(np.array([-0.45, -0.75, 0.62]) + rng.normal(0, 0.06, 3))
    gain = float(rng.uniform(0.94, 1.06))
    return Light(
        triple(key),
        triple(unit([0.75, -0.65, 0.10])),
        0.78 * gain,
        float(rng.uniform(0.30, 0.38)),
        float(rng.uniform(0.28, 0.32)),
    )


class Shadow(NamedTuple):
    """Orthographic depth map seen from the key light."""

    depth: np.ndarray  # (S, S)
    axes: tuple[Triple, Triple, Triple]  # right, down, away from the light
    origin: tuple[float, float]
    scale: float  # pixels a metre


def shadow_map(vertices: np.ndarray, faces: np.ndarray, light: Light) -> Shadow:
    """Depth of the posed faces (C, 3) seen from the key light."""
    away = -np.array(light.key)
    right = unit(np.cross([0, 0, 1], away))
    down = np.cross(away, right)
    scale = SHADOW_SIZE / SHADOW_METRES
    origin = np.array([SHADOW_CENTRE @ right, SHADOW_CENTRE @ down]) - SHADOW_METRES / 2
    axes = np.stack([right, down, away]).astype(np.float32)
    points = vertices @ axes.T
    points[:, :2] = (points[:, :2] - origin.astype(np.float32)) * np.float32(scale)
    depth = np.empty((SHADOW_SIZE, SHADOW_SIZE), np.float32)
    cast(points, faces, depth)
    return Shadow(
        depth, (triple(axes[0]), triple(axes[1]), triple(axes[2])), (float(origin[0]), float(origin[1])), scale
    )


def occlusion(depth: np.ndarray, pixel: float) -> np.ndarray:
    """Factor (H, W) that darkens what lies behind its surroundings; `pixel` = buffer pixels of one native pixel."""
    clamped = np.minimum(depth, np.float32(BACKDROP_DEPTH))
    total = np.zeros_like(clamped)
    for radius, strength in ((4, 11.0), (12, 5.0)):
        behind = clamped - box_blur(clamped, max(1, round(radius * pixel)))
        total += np.float32(strength) * np.clip(behind, 0, np.float32(0.15))
    return np.exp(-total)
