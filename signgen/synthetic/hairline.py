"""The hairline of every cut, as a signed height over the template's head."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.noise import noise_at, smoothstep

# Height z of the hairline at canonical depth y, front to back, on the template man (eyes at z .988).
_DEPTH = np.array([-0.20, -0.165, -0.15, -0.125, -0.105, -0.085, -0.07, -0.05, -0.03, 0.0, 0.06])
_SHORT = np.array([1.062, 1.062, 1.058, 1.045, 1.010, 0.985, 0.985, 1.000, 0.960, 0.915, 0.905])
_FULL = np.array([1.055, 1.055, 1.048, 1.030, 0.985, 0.965, 0.985, 0.990, 0.940, 0.905, 0.900])
_BOB = np.array([1.055, 1.055, 1.045, 1.025, 0.980, 0.955, 0.940, 0.940, 0.930, 0.905, 0.900])
_FRINGE = np.array([1.022, 1.022, 1.020, 1.015, 0.995, 0.965, 0.950, 0.950, 0.935, 0.905, 0.900])
_HIGH = np.array([1.085, 1.085, 1.080, 1.062, 1.015, 0.985, 0.985, 1.002, 0.965, 0.915, 0.905])
_LINES = {
    "cropped": _SHORT,
    "short": _SHORT,
    "side": _FULL,
    "full": _FULL,
    "curly": _FULL,
    "receding": _HIGH,
    "bald": _HIGH,
    "bob": _BOB,
    "long": _BOB,
    "fringe": _FRINGE,
    "tied": _SHORT,
    "pony": _SHORT,
    "bun": _SHORT,
    "quiff": _FULL,
    "afro": _FULL,
    "wavy": _BOB,
}
_STRAY = {
    "curly": 0.016,
    "afro": 0.014,
    "short": 0.009,
    "full": 0.009,
    "side": 0.008,
    "tied": 0.005,
    "bun": 0.005,
}  # unevenness, m
LOWERED = 0.007  # metres by which the hairline over the forehead is lower than in the tables


def hairline(style: str, parting: float, points: np.ndarray, seed: int) -> np.ndarray:
    """Signed height (n,) in metres above the hairline at canonical points (n, 3): above 0 grows hair."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    stray = _STRAY.get(style, 0.007)
    above = z - np.interp(y, _DEPTH, _LINES[style]) + LOWERED * smoothstep(-0.08, -0.12, y)
    above = above + stray * (noise_at(points, 140, seed + 3) - 0.5) + stray * (noise_at(points, 60, seed + 5) - 0.5)
    if parting:
        front = smoothstep(-0.09, -0.13, y)
        swept = np.exp(-(((x - parting) / 0.022) ** 2))
        above = above - front * 0.016 * swept + front * 0.010 * smoothstep(0.0, 0.05, -x * np.sign(parting))
    ear = (np.abs(x) > 0.072) & (z < 1.0) & (y > -0.085) & (y < -0.02)
    return np.where(ear, -0.02, above)
