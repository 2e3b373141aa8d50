"""Vectors and rotations of many frames at once, in numpy: functions take leading batch axes (...,)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

Triple = tuple[float, float, float]  # tuples, not arrays: compiled loops read them without counting references
_TINY = 1e-9


def triple(values: Iterable[float]) -> Triple:
    """Three numbers of any kind as plain floats."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def unit(vector: ArrayLike) -> np.ndarray:
    """A single vector (3,), not zero, at length 1."""
    vector = np.asarray(vector, np.float64)
    return vector / np.linalg.norm(vector)


def normalise(v: np.ndarray) -> np.ndarray:
    """Unit vectors along the last axis, (..., 3) -> (..., 3); zero stays zero."""
    v = np.asarray(v, float)
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), _TINY)


def axis_angle(axis: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Rodrigues' formula R = I + sin(a) K + (1 - cos(a)) K^2.

    Args:
        axis: unit axes (..., 3).
        degrees: right-handed angles (...), broadcast against the axes.

    Returns:
        (..., 3, 3).
    """
    axis = np.asarray(axis, float)
    angle = np.radians(np.asarray(degrees, float))
    axis, angle = np.broadcast_arrays(axis, angle[..., None])
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    s, c = np.sin(angle[..., 0]), np.cos(angle[..., 0])
    t = 1.0 - c
    out = np.empty((*x.shape, 3, 3))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = t * x * x + c, t * x * y - s * z, t * x * z + s * y
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = t * x * y + s * z, t * y * y + c, t * y * z - s * x
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = t * x * z - s * y, t * y * z + s * x, t * z * z + c
    return out


def rotation_vector(degrees: np.ndarray) -> np.ndarray:
    """Rotation whose axis times angle is `degrees` (..., 3); returns (..., 3, 3)."""
    degrees = np.asarray(degrees, float)
    angle = np.linalg.norm(degrees, axis=-1)
    return axis_angle(degrees / np.maximum(angle, _TINY)[..., None], angle)


def to_vector(rotation: np.ndarray) -> np.ndarray:
    """Inverse of `rotation_vector`, for angles below 180 degrees: (..., 3, 3) -> (..., 3)."""
    q = quaternion(rotation)
    norm = np.linalg.norm(q[..., 1:], axis=-1)
    angle = 2.0 * np.degrees(np.arctan2(norm, q[..., 0]))
    return q[..., 1:] * (angle / np.maximum(norm, _TINY))[..., None]


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternions (w, x, y, z) with w >= 0 of rotations (..., 3, 3).

    Builds the 4x4 outer product of the quaternion with itself from the matrix and takes its longest row, which is
    accurate at every angle.
    """
    r = rotation
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    wx, wy, wz = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    xy, xz, yz = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    rows = np.stack(
        [
            np.stack([1 + xx + yy + zz, wx, wy, wz], -1),
            np.stack([wx, 1 + xx - yy - zz, xy, xz], -1),
            np.stack([wy, xy, 1 - xx + yy - zz, yz], -1),
            np.stack([wz, xz, yz, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    best = np.argmax(np.linalg.norm(rows, axis=-1), -1)
    q = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def twist_angle(rotation: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Signed part of a rotation about `axis` (swing-twist decomposition), degrees in [-180, 180]."""
    q = quaternion(rotation)
    along = np.sum(q[..., 1:] * axis, -1)
    return np.degrees(2.0 * np.arctan2(along, q[..., 0]))


def direction_frame(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Right-handed frames with columns (d, n', d x n'), n' = the part of n orthogonal to d; (..., 3, 3)."""
    d = normalise(direction)
    n = normalise(normal - np.sum(normal * d, -1, keepdims=True) * d)
    return np.stack([d, n, np.cross(d, n)], -1)


def between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotations that take unit vectors `start` to unit vectors `end`; (..., 3, 3)."""
    start, end = np.broadcast_arrays(start, end)
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1)
    angle = np.degrees(np.arctan2(sine, np.sum(start * end, -1)))
    return axis_angle(axis / np.maximum(sine, _TINY)[..., None], angle)


def rotate(rotation: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Applies rotations (..., 3, 3) to vectors (..., 3)."""
    return np.einsum("...ij,...j->...i", rotation, v)


def transpose(rotation: np.ndarray) -> np.ndarray:
    """Inverse rotations (..., 3, 3)."""
    return np.swapaxes(rotation, -1, -2)
