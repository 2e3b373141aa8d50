"""The fit of one hand in one frame: damped Gauss-Newton steps with analytic derivatives and a 23 x 23 Cholesky.

It minimises, over the angles q within the joints' limits,

    0.15 sum_k w_k rho(|x_k(q) - y_k - o|) + 0.5 (q - m)' P (q - m) + 0.5 p |q - q'|^2 + 0.5 c |o|^2

with x the projected points, y the seen ones, rho Huber's loss, m and P the prior over hand shapes, q' the angles of the
frame before, and o what the seen wrist is off.
"""

from __future__ import annotations

import math

import numpy as np

from signgen.pose_image.solid.hand import ANGLES, PIXELS
from signgen.pose_image.solid.kinematics import (
    DEGREE,
    bend_fingers,
    compiled,
    copy,
    copy_row,
    inner,
    limit,
    turn,
    wrist_turn,
)

SLOPE = DEGREE * PIXELS
ROBUST = 2.5  # pixels (`hand.PIXELS` a metre) from where on an error counts linearly
DATA = 0.3  # weight of a point's square error
SHIFT_COST = 2.0  # of the wrist's own error, in points
_ENOUGH = 1e-3  # relative gain of a step below which the fit ends


@inner
def _slopes(angles, forearm, anatomy, points, jacobian, space):  # type: ignore[no-untyped-def]
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
        points[k, 0], points[k, 1] = PIXELS * x, PIXELS * y
        for a in range(3):
            jacobian[k, 0, a] = SLOPE * (wrist[a, 1] * z - wrist[a, 2] * y)
            jacobian[k, 1, a] = SLOPE * (wrist[a, 2] * x - wrist[a, 0] * z)
        for a in range(4):
            pivot = first + max(a - 1, 0)
            if k <= pivot:
                jacobian[k, 0, 3 + a] = jacobian[k, 1, 3 + a] = 0.0
                continue
            dx, dy, dz = x - local[pivot, 0], y - local[pivot, 1], z - local[pivot, 2]
            axis = axes[first + a]
            jacobian[k, 0, 3 + a] = SLOPE * (axis[1] * dz - axis[2] * dy)
            jacobian[k, 1, 3 + a] = SLOPE * (axis[2] * dx - axis[0] * dz)


@inner
def _step(matrix, right, damping, factor, step):  # type: ignore[no-untyped-def]
    """Solves (matrix + damping mean(diagonal) I) step = right; lower triangle of ``matrix`` (23,23) only."""
    level = 0.0
    for i in range(ANGLES):
        level += matrix[i, i] / ANGLES
    for i in range(ANGLES):
        for j in range(i + 1):
            total = matrix[i, j]
            if i == j:
                total += damping * level
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = math.sqrt(max(total, 1e-12)) if i == j else total / factor[j, j]
    for i in range(ANGLES):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * step[k]
        step[i] = total / factor[i, i]
    for i in range(ANGLES - 1, -1, -1):
        total = step[i]
        for k in range(i + 1, ANGLES):
            total -= factor[k, i] * step[k]
        step[i] = total / factor[i, i]


@inner
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


@inner
def _solve(start, forearm, seen, weights, pull, rounds, anatomy, best):  # type: ignore[no-untyped-def]
    """Fits the angles; returns the cost without what draws it to ``start``.

    Args:
        start: (23,) degrees, first guess, to which ``pull`` (a square degree) draws.
        forearm: (3,3) rotation of the forearm.
        seen: (20,2) finger points from the wrist, `hand.PIXELS` to a metre of the rest hand.
        weights: (20,) of the points, 0 to 1.
        rounds: most steps.
        best: (23,) degrees, the result.
    """
    points, jacobian, shift = np.empty((20, 2)), np.empty((20, 2, 7)), np.empty(2)
    space = (
        np.empty((3, 3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((20, 3)), np.empty((15, 3, 3)),
        np.empty((20, 3)),
    )  # fmt: skip
    ahead, down = np.empty((ANGLES, ANGLES)), np.empty(ANGLES)
    matrix, factor = np.empty((ANGLES, ANGLES)), np.empty((ANGLES, ANGLES))
    right, step = np.empty(ANGLES), np.empty(ANGLES)
    angles = np.empty(ANGLES)
    copy_row(start, angles)
    copy_row(start, best)
    damping, lowest, own = 1e-2, 1e300, 1e300
    shift[0] = shift[1] = 0.0
    for round_ in range(rounds + 1):
        _slopes(angles, forearm, anatomy, points, jacobian, space)
        _shift(points, seen, weights, shift)
        cost = 0.5 * DATA * SHIFT_COST * (shift[0] ** 2 + shift[1] ** 2)
        for i in range(ANGLES):
            total = 0.0
            for j in range(ANGLES):
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
        for i in range(ANGLES):
            off = angles[i] - start[i]
            drawn += 0.5 * pull * off * off
            ahead[i, i] += pull
            down[i] -= pull * off
        if cost + drawn < lowest:
            done = lowest - cost - drawn < _ENOUGH * lowest
            lowest, own = cost + drawn, cost
            damping = max(damping * 0.4, 1e-4)
            copy_row(angles, best)
            copy_row(down, right)
            copy(ahead, matrix)
            if done:
                break
        else:
            damping = min(damping * 6.0, 1e3)
        if round_ == rounds:
            break
        _step(matrix, right, damping, factor, step)
        for i in range(ANGLES):
            angles[i] = best[i] + step[i]
        limit(angles, anatomy.low, anatomy.high)
    return own


# ---- several solutions side by side ----------------------------------------------------------------------------------
# A picture leaves open which of some hands it shows. Each solution is fitted again from its own last angles, and its
# costs are remembered for some frames; one is shown until another has clearly been the better one.
FOLLOWED = 4  # solutions of a hand
NONE = 1e30  # cost of no solution
_STARTS = np.array([[turned, bent] for turned in (-100.0, -50.0, 0.0, 50.0, 100.0) for bent in (-25.0, 25.0)])
_COLD_ROUNDS, _WARM_ROUNDS, _TRIES = 9, 5, 4  # steps; new guesses a frame
_PULL = 0.03**2  # a square degree: what draws a solution to its own angles of the frame before
_MEMORY = 0.75  # of a solution's cost from frame to frame
_SWITCH = 3.0  # by how much another solution's remembered cost must be lower
_SAME = 9.0  # degrees of mean difference below which two solutions are one


@inner
def _apart(a, b):  # type: ignore[no-untyped-def]
    """Mean difference of two solutions, degrees; the wrist counts twice."""
    total = 0.0
    for k in range(ANGLES):
        total += abs(a[k] - b[k]) * (2.0 if k < 3 else 1.0)
    return total / ANGLES


@inner
def _keep(angles, cost, main, solutions, costs):  # type: ignore[no-untyped-def]
    """Puts a new solution in the place of the same one, or of the worst, where it is better."""
    place = -1
    for k in range(FOLLOWED):
        if costs[k] < NONE and _apart(angles, solutions[k]) < _SAME:
            place = k
            break
        if k != main and (place < 0 or costs[k] > costs[place]):
            place = k
    if cost < costs[place]:
        copy_row(angles, solutions[place])
        costs[place] = cost


@compiled
def follow(seen, weights, forearm, main, guess, anatomy, solutions, costs):  # type: ignore[no-untyped-def]
    """Fits one hand in one frame; returns which solution is to be shown.

    Args:
        seen, weights, forearm: see `_solve`.
        main: the solution that is shown, -1 for a hand without a past.
        guess: a number that grows from frame to frame: which first guesses are tried.
        solutions, costs: (FOLLOWED, 23) degrees and (FOLLOWED,), `NONE` for none; changed.
    """
    start, angles = np.empty(ANGLES), np.empty(ANGLES)
    before = 0.0 if main < 0 else costs[main]
    tries = len(_STARTS) if main < 0 else _TRIES
    for k in range(FOLLOWED + tries):
        known = k < FOLLOWED
        if known and costs[k] >= NONE:
            continue
        copy_row(solutions[k] if known else anatomy.mean, start)
        if not known:
            start[0], start[1] = _STARTS[(guess * tries + k) % len(_STARTS)]
        rounds = _COLD_ROUNDS if main < 0 else _WARM_ROUNDS
        cost = _solve(start, forearm, seen, weights, _PULL if known else 0.0, rounds, anatomy, angles)
        if known:
            copy_row(angles, solutions[k])
            costs[k] = _MEMORY * costs[k] + cost
        else:
            _keep(angles, _MEMORY * before + cost, main, solutions, costs)
    for k in range(FOLLOWED):  # two that have become one
        for other in range(k):
            if costs[k] < NONE and costs[other] < NONE and _apart(solutions[k], solutions[other]) < _SAME:
                costs[other if k == main else k] = NONE
    best = max(main, 0)
    for k in range(FOLLOWED):
        if costs[k] + (_SWITCH if best == main else 0.0) < costs[best]:
            best = k
    return best
