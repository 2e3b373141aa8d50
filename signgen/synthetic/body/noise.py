"""Smooth value noise on points, the same numbers from numpy (whole arrays) and from numba (one point)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np


@nb.njit(fastmath=True, cache=True, inline="always")
def lattice(x, y, z):
    """Pseudo-random number 0..1 of an integer lattice point."""
    mixed = (int(x) * 73856093) ^ (int(y) * 19349663) ^ (int(z) * 83492791)
    mixed = (mixed ^ (mixed >> 13)) & 0xFFFFFF
    return ((mixed * 40503 + (mixed >> 7) * 977) & 0xFFFF) / 65535.0


@nb.njit(fastmath=True, cache=True)
def value_noise(x, y, z):
    """Noise 0..1 at one point: smooth interpolation of the eight lattice points around it."""
    xi, yi, zi = math.floor(x), math.floor(y), math.floor(z)
    fx, fy, fz = x - xi, y - yi, z - zi
    fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                share = (fx if a else 1 - fx) * (fy if b else 1 - fy) * (fz if c else 1 - fz)
                total += share * lattice(xi + a, yi + b, zi + c)
    return total


@nb.njit(fastmath=True, cache=True)
def _over(points, out):
    for i in range(points.shape[0]):
        out[i] = value_noise(points[i, 0], points[i, 1], points[i, 2])


def noise_at(points: np.ndarray, frequency: float | tuple[float, float, float], seed: float = 0.0) -> np.ndarray:
    """Noise (n,) in 0..1 at points (n, 3), with `frequency` cycles a metre (one, or one an axis)."""
    out = np.empty(len(points))
    _over(np.asarray(points, np.float64) * np.asarray(frequency) + 17.31 * seed, out)
    return out


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; `low` > `high` turns it round."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
