"""The fit of one hand in one frame: damped Gauss-Newton steps with analytic derivatives and a 23 x 23 Cholesky.

It minimises, over the angles q within the joints' limits,

    0.25 sum_k w_k rho(|x_k(q) - y_k - o|) + 0.5 (q - m)' P (q - m) + 0.5 p |q - q'|^2 + 0.5 c |o|^2

with x the projected points, y the seen ones, rho Huber's loss, m and P the prior over hand shapes, q' the angles of the
frame before, and o what the seen wrist is off.
"""

from __future__ import annotations

import math

import numpy as np

from signgen.pose_image.solid.kinematics import DEGREE, bend_fingers, compiled, limit, turn, wrist_turn

ROBUST = 2.5  # pixels (`hand.PIXELS` a metre) from where on an error counts linearly
DATA = 0.5  # weight of a point's square error
SHIFT_COST = 2.0  # of the wrist's own error, in points
_ENOUGH = 1e-3  # relative gain of a step below which the fit ends
N = 23


@compiled
def _slopes(angles, forearm, anatomy, scale, points, jacobian, space):  # type: ignore[no-untyped-def]
    """Projected points (20,2) and their derivatives (20,2,7) by the wrist's three angles and the finger's four."""
    work, palm, wrist, local, turns, axes = space
    wrist_turn(angles, forearm, anatomy.wrist, palm, wrist, work)
    bend_fingers(angles, anatomy.joints, anatomy.axes, local, turns, axes, work)
    for k in range(20):
        turn(palm, local[k], local[k])
        turn(palm, axes[k], axes[k])
    for k in range(20):
        first = k - k % 4
        x, y, z = local[k, 0], local[k, 1], local[k, 2]
        points[k, 0], points[k, 1] = scale * x, scale * y
        for a in range(3):
            jacobian[k, 0, a] = DEGREE * scale * (wrist[a, 1] * z - wrist[a, 2] * y)
            jacobian[k, 1, a] = DEGREE * scale * (wrist[a, 2] * x - wrist[a, 0] * z)
        for a in range(4):
            pivot = first + max(a - 1, 0)
            if k <= pivot:
                jacobian[k, 0, 3 + a] = jacobian[k, 1, 3 + a] = 0.0
                continue
            dx, dy, dz = x - local[pivot, 0], y - local[pivot, 1], z - local[pivot, 2]
            axis = axes[first + a]
            jacobian[k, 0, 3 + a] = DEGREE * scale * (axis[1] * dz - axis[2] * dy)
            jacobian[k, 1, 3 + a] = DEGREE * scale * (axis[2] * dx - axis[0] * dz)


@compiled
def _step(matrix, right, damping, factor, step):  # type: ignore[no-untyped-def]
    """Solves (matrix + damping mean(diagonal) I) step = right; lower triangle of ``matrix`` (23,23) only."""
    level = 0.0
    for i in range(N):
        level += matrix[i, i] / N
    for i in range(N):
        for j in range(i + 1):
            total = matrix[i, j]
            if i == j:
                total += damping * level
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = math.sqrt(max(total, 1e-12)) if i == j else total / factor[j, j]
    for i in range(N):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * step[k]
        step[i] = total / factor[i, i]
    for i in range(N - 1, -1, -1):
        total = step[i]
        for k in range(i + 1, N):
            total -= factor[k, i] * step[k]
        step[i] = total / factor[i, i]


@compiled
def _shift(points, seen, weights, shift):  # type: ignore[no-untyped-def]
    """Updates ``shift`` (2,), how far all points are seen off together: one step of a weighted mean."""
    total, x, y = SHIFT_COST, 0.0, 0.0
    for k in range(20):
        ex, ey = seen[k, 0] - points[k, 0], seen[k, 1] - points[k, 1]
        far = math.sqrt((ex - shift[0]) ** 2 + (ey - shift[1]) ** 2)
        weight = weights[k] * min(1.0, ROBUST / max(far, 1e-6))
        total += weight
        x += weight * ex
        y += weight * ey
    shift[0], shift[1] = x / total, y / total


@compiled
def solve(start, forearm, seen, weights, pull, rounds, scale, anatomy, best, shift):  # type: ignore[no-untyped-def]
    """Fits the angles; returns the cost without what draws it to ``start``.

    Args:
        start: (23,) degrees, first guess, to which ``pull`` (a square degree) draws.
        forearm: (3,3) rotation of the forearm.
        seen: (20,2) finger points from the wrist, in a hand of the rest's size times ``scale``.
        weights: (20,) of the points, 0 to 1.
        rounds: most steps.
        best, shift: (23,) and (2,), the result.
    """
    points, jacobian = np.empty((20, 2)), np.empty((20, 2, 7))
    space = (
        np.empty((3, 3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((20, 3)), np.empty((15, 3, 3)),
        np.empty((20, 3)),
    )  # fmt: skip
    ahead, down = np.empty((N, N)), np.empty(N)
    matrix, right, factor, step = np.empty((N, N)), np.empty(N), np.empty((N, N)), np.empty(N)
    angles = start.copy()
    best[:] = start
    damping, lowest, own = 1e-2, 1e300, 1e300
    for round_ in range(rounds + 1):
        _slopes(angles, forearm, anatomy, scale, points, jacobian, space)
        if round_ == 0:
            shift[0] = shift[1] = 0.0
        _shift(points, seen, weights, shift)
        cost = 0.5 * DATA * SHIFT_COST * (shift[0] ** 2 + shift[1] ** 2)
        for i in range(N):
            total = 0.0
            for j in range(N):
                total += anatomy.precision[i, j] * (angles[j] - anatomy.mean[j])
                ahead[i, j] = anatomy.precision[i, j]
            down[i] = -total
            cost += 0.5 * (angles[i] - anatomy.mean[i]) * total
        for k in range(20):
            if weights[k] <= 0.0:
                continue
            ex, ey = points[k, 0] + shift[0] - seen[k, 0], points[k, 1] + shift[1] - seen[k, 1]
            far = math.sqrt(ex * ex + ey * ey)
            cost += 0.5 * DATA * weights[k] * (far * far if far < ROBUST else 2 * ROBUST * far - ROBUST * ROBUST)
            weight = DATA * weights[k] * min(1.0, ROBUST / max(far, 1e-6))
            finger = 4 * (k // 4)
            for a in range(7):
                i = a if a < 3 else finger + a
                jx, jy = weight * jacobian[k, 0, a], weight * jacobian[k, 1, a]
                down[i] -= jx * ex + jy * ey
                for b in range(a + 1):
                    ahead[i, b if b < 3 else finger + b] += jx * jacobian[k, 0, b] + jy * jacobian[k, 1, b]
        drawn = 0.0
        for i in range(N):
            off = angles[i] - start[i]
            drawn += 0.5 * pull * off * off
            ahead[i, i] += pull
            down[i] -= pull * off
        if cost + drawn < lowest:
            done = lowest - cost - drawn < _ENOUGH * lowest
            lowest, own = cost + drawn, cost
            damping = max(damping * 0.4, 1e-4)
            best[:], right[:], matrix[:] = angles, down, ahead
            if done:
                break
        else:
            damping = min(damping * 6.0, 1e3)
        if round_ == rounds:
            break
        _step(matrix, right, damping, factor, step)
        for i in range(N):
            angles[i] = best[i] + step[i]
        limit(angles, anatomy.low, anatomy.high)
    return own
