"""From 23 angles to rotations and points of a left hand, in compiled loops over arrays that the caller keeps."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

# Loops over numbers compile in a tenth of the time that assignments and sums of whole arrays take. What only compiled
# functions call needs no way in from Python, which would take most of its time of compilation.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
compiled: Any = njit(**_OPTIONS)
inner: Any = njit(**_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})
DEGREE = math.pi / 180


@inner
def copy(values, out):  # type: ignore[no-untyped-def]
    """Copies a matrix."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = values[i, j]


@inner
def copy_row(values, out):  # type: ignore[no-untyped-def]
    """Copies a vector."""
    for i in range(out.shape[0]):
        out[i] = values[i]


@inner
def rotation(x, y, z, degrees, out):  # type: ignore[no-untyped-def]
    """Rodrigues' formula about a unit axis, into ``out`` (3,3)."""
    s, c = math.sin(degrees * DEGREE), math.cos(degrees * DEGREE)
    t = 1.0 - c
    out[0, 0], out[0, 1], out[0, 2] = t * x * x + c, t * x * y - s * z, t * x * z + s * y
    out[1, 0], out[1, 1], out[1, 2] = t * x * y + s * z, t * y * y + c, t * y * z - s * x
    out[2, 0], out[2, 1], out[2, 2] = t * x * z - s * y, t * y * z + s * x, t * z * z + c


@inner
def multiply(a, b, out):  # type: ignore[no-untyped-def]
    """The product of two (3,3), into a third."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@inner
def turn(matrix, vector, out):  # type: ignore[no-untyped-def]
    """A (3,3) times a (3,), into ``out`` (3,), which may be the vector."""
    x, y, z = vector[0], vector[1], vector[2]
    for i in range(3):
        out[i] = matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] * z


@inner
def wrist_turn(angles, forearm, axes, out, slopes, work):  # type: ignore[no-untyped-def]
    """Rotation ``out`` (3,3) of the palm: forearm, twist, then the swing whose axis times angle is the wrist's bend.

    ``slopes`` (3,3) become the axes, in the picture, about which the hand turns with each of the three angles: for the
    bend those are columns of J = I sin(a)/a + (1 - sin(a)/a) u u' + (1 - cos(a))/a [u], the left Jacobian of SO(3).
    ``work`` is (2,3,3).
    """
    rotation(axes[0, 0], axes[0, 1], axes[0, 2], angles[0], work[0])
    multiply(forearm, work[0], work[1])
    turn(forearm, axes[0], slopes[0])
    ux = angles[1] * axes[1, 0] + angles[2] * axes[2, 0]
    uy = angles[1] * axes[1, 1] + angles[2] * axes[2, 1]
    uz = angles[1] * axes[1, 2] + angles[2] * axes[2, 2]
    degrees = math.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux / max(degrees, 1e-9), uy / max(degrees, 1e-9), uz / max(degrees, 1e-9)
    radians = max(degrees * DEGREE, 1e-6)
    first, second = math.sin(radians) / radians, (1.0 - math.cos(radians)) / radians
    for k in range(1, 3):
        x, y, z = axes[k, 0], axes[k, 1], axes[k, 2]
        along = (1.0 - first) * (ux * x + uy * y + uz * z)
        slopes[k, 0] = first * x + along * ux + second * (uy * z - uz * y)
        slopes[k, 1] = first * y + along * uy + second * (uz * x - ux * z)
        slopes[k, 2] = first * z + along * uz + second * (ux * y - uy * x)
        turn(work[1], slopes[k], slopes[k])
    rotation(ux, uy, uz, degrees, work[0])
    multiply(work[1], work[0], out)


@inner
def bend_fingers(angles, joints, axes, points, turns, slopes, work):  # type: ignore[no-untyped-def]
    """Fingers of a hand whose palm stays at rest.

    ``points`` (20,3) become joints and tips, ``turns`` (15,3,3) the bones' rotations, ``slopes`` (20,3) the axes about
    which each angle turns what lies beyond its joint. ``work`` is (3,3,3).
    """
    for finger in range(5):
        first = 4 * finger
        for i in range(3):
            points[first, i] = joints[finger, 0, i]
            for j in range(3):
                work[0, i, j] = 1.0 if i == j else 0.0
        for angle in range(4):
            axis = axes[finger, angle]
            turn(work[0], axis, slopes[first + angle])
            rotation(axis[0], axis[1], axis[2], angles[3 + first + angle], work[1])
            multiply(work[0], work[1], work[2])
            copy(work[2], work[0])
            if angle > 0:
                at = first + angle
                for i in range(3):
                    points[at, i] = joints[finger, angle, i] - joints[finger, angle - 1, i]
                turn(work[0], points[at], points[at])
                for i in range(3):
                    points[at, i] += points[at - 1, i]
                copy(work[0], turns[3 * finger + angle - 1])


@compiled
def limit(angles, low, high):  # type: ignore[no-untyped-def]
    """Brings angles (23,) within their limits; flexion and deviation of the wrist into an ellipse."""
    for k in range(angles.shape[0]):
        if k != 1 and k != 2:
            angles[k] = min(max(angles[k], low[k]), high[k])
    over = math.sqrt((angles[1] / high[1]) ** 2 + (angles[2] / high[2]) ** 2)
    if over > 1.0:
        angles[1] /= over
        angles[2] /= over
