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


class Studio(NamedTuple):
    """The coloured lights of content version 5: unit directions towards them, linear powers of red, green and blue."""

    key: Triple
    key_power: Triple
    floor: float  # share of the key light that reaches its shadows
    spread: float  # radians by which the key light's area is wide: how soft shadows are
    fill: Triple
    fill_power: Triple
    rim: Triple  # from behind
    rim_power: Triple
    sky: Triple  # ambient light from above
    ground: Triple  # and from below


# kind: key's azimuth range (degrees, negative the viewer's left), elevation, key, fill and ambient power, rim, spread
_STUDIOS = {
    "television": ((-42, -18), (28, 46), 0.74, 0.36, 0.34, 0.10, (0.03, 0.10)),
    "soft box": ((-60, 60), (15, 45), 0.70, 0.30, 0.40, 0.10, (0.14, 0.30)),
    "window": ((-86, -52), (5, 28), 0.86, 0.14, 0.36, 0.02, (0.18, 0.32)),
    "lamp": ((-50, 50), (30, 60), 0.84, 0.12, 0.30, 0.06, (0.02, 0.06)),
    "overcast": ((-20, 20), (40, 75), 0.40, 0.26, 0.62, 0.02, (0.25, 0.40)),
    "ring": ((-8, 8), (2, 16), 0.66, 0.20, 0.40, 0.02, (0.08, 0.16)),
    "rim": ((-45, 45), (20, 40), 0.64, 0.26, 0.32, 0.50, (0.08, 0.16)),
}
_STUDIO_ODDS = (0.26, 0.26, 0.12, 0.10, 0.10, 0.08, 0.08)


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector (3,) at degrees from the camera towards the person's left, and up."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


def _temperature(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Factors (3,) of a light's colour, warm below 0, cold above; green hardly differs."""
    cold = rng.uniform(low, high)
    return np.array([1 - 0.5 * cold, 1 + rng.normal(0, 0.008), 1 + 0.6 * cold])


def drawn_studio(seed: int) -> Studio:
    """Lights of one recording: where they stand, how soft, how strong and of what colour."""
    rng = np.random.default_rng([seed, 73])
    kind = str(rng.choice(list(_STUDIOS), p=_STUDIO_ODDS))
    azimuths, elevations, key, fill, ambient, rim, spread = _STUDIOS[kind]
    azimuth = float(rng.uniform(*azimuths)) * (-1 if kind == "window" and rng.random() < 0.5 else 1)
    gain = float(np.exp(np.clip(rng.normal(0, 0.07), -0.15, 0.15)))
    warm, cold = {"lamp": (-0.22, -0.06), "window": (-0.02, 0.14), "overcast": (0.0, 0.12)}.get(kind, (-0.06, 0.06))
    key_colour, fill_colour = _temperature(rng, warm, cold), _temperature(rng, -0.08, 0.10)
    room = _temperature(rng, -0.06, 0.08)
    below = np.array([1.0, 0.96, 0.92]) * rng.uniform(0.45, 0.8)
    return Studio(
        triple(_direction(azimuth, float(rng.uniform(*elevations)))),
        triple(gain * key * key_colour),
        float(rng.uniform(0.12, 0.40)),
        float(rng.uniform(*spread)),
        triple(_direction(float(-np.sign(azimuth) * rng.uniform(35, 70)), float(rng.uniform(-5, 20)))),
        triple(gain * fill * rng.uniform(0.7, 1.3) * fill_colour),
        triple(_direction(float(np.sign(azimuth) * -rng.uniform(120, 150)), float(rng.uniform(15, 45)))),
        triple(gain * rim * rng.uniform(0.5, 1.5) * _temperature(rng, -0.12, 0.16)),
        triple(gain * ambient * rng.uniform(0.85, 1.15) * room),
        triple(gain * ambient * below * room),
    )


def aimed(studio: Studio, place: tuple[float, float]) -> Light:
    """The key light seen from one place (2,) in -1..1 of its area, for the shadow map of one sample."""
    key = np.array(studio.key)
    right = unit(np.cross([0.0, 0.0, 1.0], key))
    direction = unit(key + studio.spread * (place[0] * right + place[1] * np.cross(key, right)))
    return Light(triple(direction), studio.fill, 0.0, 0.0, 0.0)


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
