"""Forearms from shoulder, elbow and wrist in the picture: depths from the bones' lengths, frame after frame.

A bone that looks shorter than it is leads towards the camera or away from it. Of the four ways that two bones can take,
the one with the least cost so far is kept: elbows near the plane of the shoulders, hands before the body, nothing that
jumps. A right arm is given mirrored, as a left one.
"""

from __future__ import annotations

import math

import numpy as np

from signgen.pose_image.solid.kinematics import compiled, inner

CAMERA = 3.0  # metres from the shoulders, as broadcasts are; hands nearer to it appear larger
_STILL, _MOST = 0.03, 8.0  # metres of depth a frame that cost as much as an unlikely pose; the most that a jump costs
_REACH_LOW, _REACH_HIGH = 0.12, 0.27  # metres of a hand before the shoulders: of a low one, of a raised one
_ELBOW_LOW, _ELBOW_HIGH = -0.03, 0.06  # and of its elbow
_LOW, _HIGH = -0.45, -0.15  # metres over the shoulders
_MEMORY, _SWITCH = 0.8, 1.0  # of costs from frame to frame; by how much another way must be cheaper
_EASE = 0.6  # share of a frame's new depth
_POLE = (0.5, 0.85, -0.2)  # where a left elbow usually points: aside, down, a little to the camera

# One arm's memory, float64 (SIZE,).
COSTS, ELBOWS, WRISTS, ELBOW, WRIST, WAY, BEND, PAST, SIZE = 0, 4, 8, 12, 13, 14, 15, 18, 19


@compiled
def near(depth):  # type: ignore[no-untyped-def]
    """How much larger things appear at a depth."""
    return CAMERA / (CAMERA + depth)


@inner
def _end(x, y, px, py, depth, length, sign):  # type: ignore[no-untyped-def]
    """Depth at which a bone ends that begins at (x, y, depth) and is seen to end at metres (px, py) of the picture."""
    z = depth
    for _ in range(3):
        larger = near(z)
        aside = (px / larger - x) ** 2 + (py / larger - y) ** 2
        z = depth + sign * math.sqrt(max(length * length - aside, 0.0))
    return z


@inner
def _raised(height):  # type: ignore[no-untyped-def]
    """0 for a low hand .. 1 for a raised one."""
    return min(max((height - _LOW) / (_HIGH - _LOW), 0.0), 1.0)


@compiled
def arm(sx, sy, elbow, wrist, elbow_seen, lengths, memory, frame):  # type: ignore[no-untyped-def]
    """Depth of a wrist, and the directions of its forearm.

    Args:
        sx, sy: the shoulder; elbow, wrist: (2,). Metres in the picture, at the shoulders' depth, from their middle.
        elbow_seen: False for an elbow that is to be placed.
        lengths: of upper arm and forearm, two of `Anatomy.body`.
        memory: (SIZE,), changed.
        frame: (3,3), becomes columns: along the forearm, out of the bend of the elbow, across both.
    """
    upper, lower = lengths[1], lengths[2]
    fresh = memory[PAST] == 0.0
    ease = 1.0 if fresh else _EASE
    if elbow_seen:
        elbow_z, wrist_z = _choose(sx, sy, elbow, wrist, fresh, upper, lower, memory)
    else:
        usual = _REACH_LOW + (_REACH_HIGH - _REACH_LOW) * _raised(sy - wrist[1])
        aside = (wrist[0] - sx) ** 2 + (wrist[1] - sy) ** 2
        most = math.sqrt(max((0.97 * (upper + lower)) ** 2 - aside, 0.0))
        elbow_z, wrist_z = 0.0, -min(usual, most)
    memory[PAST] = 1.0
    memory[ELBOW] += ease * (elbow_z - memory[ELBOW])
    memory[WRIST] += ease * (wrist_z - memory[WRIST])
    wx, wy, wz = wrist[0] / near(memory[WRIST]), wrist[1] / near(memory[WRIST]), memory[WRIST]
    lx, ly, lz = wx - sx, wy - sy, wz
    length = math.sqrt(lx * lx + ly * ly + lz * lz) + 1e-9
    lx, ly, lz = lx / length, ly / length, lz / length
    px, py, pz = _POLE
    along = px * lx + py * ly + pz * lz
    px, py, pz = px - along * lx, py - along * ly, pz - along * lz
    if elbow_seen:
        ex, ey, ez = elbow[0] / near(memory[ELBOW]), elbow[1] / near(memory[ELBOW]), memory[ELBOW]
        along = (ex - sx) * lx + (ey - sy) * ly + ez * lz
        bx, by, bz = ex - sx - along * lx, ey - sy - along * ly, ez - along * lz
    else:  # two bones over the line from shoulder to wrist
        reach = min(max(length, abs(upper - lower) + 0.02), 0.995 * (upper + lower))
        along = (upper * upper + reach * reach - lower * lower) / (2 * reach)
        off = math.sqrt(max(upper * upper - along * along, 0.0)) / (math.sqrt(px * px + py * py + pz * pz) + 1e-9)
        bx, by, bz = off * px, off * py, off * pz
        ex, ey, ez = sx + along * lx + bx, sy + along * ly + by, along * lz + bz
    memory[BEND] += ease * (bx - memory[BEND])
    memory[BEND + 1] += ease * (by - memory[BEND + 1])
    memory[BEND + 2] += ease * (bz - memory[BEND + 2])
    bx, by, bz = memory[BEND] + 0.02 * px, memory[BEND + 1] + 0.02 * py, memory[BEND + 2] + 0.02 * pz
    fx, fy, fz = wx - ex, wy - ey, wz - ez
    length = math.sqrt(fx * fx + fy * fy + fz * fz) + 1e-9
    fx, fy, fz = fx / length, fy / length, fz / length
    nx, ny, nz = by * lz - bz * ly, bz * lx - bx * lz, bx * ly - by * lx
    along = nx * fx + ny * fy + nz * fz
    nx, ny, nz = nx - along * fx, ny - along * fy, nz - along * fz
    length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    nx, ny, nz = nx / length, ny / length, nz / length
    frame[0, 0], frame[1, 0], frame[2, 0] = fx, fy, fz
    frame[0, 1], frame[1, 1], frame[2, 1] = nx, ny, nz
    frame[0, 2], frame[1, 2], frame[2, 2] = fy * nz - fz * ny, fz * nx - fx * nz, fx * ny - fy * nx
    return memory[WRIST]


@inner
def _choose(sx, sy, elbow, wrist, fresh, upper, lower, memory):  # type: ignore[no-untyped-def]
    """Depths of elbow and wrist: the likeliest of four ways, which is left only for a clearly better one."""
    elbows, wrists, costs = np.empty(4), np.empty(4), np.empty(4)
    for way in range(4):
        z = _end(sx, sy, elbow[0], elbow[1], 0.0, upper, -1.0 if way < 2 else 1.0)
        x, y = elbow[0] / near(z), elbow[1] / near(z)
        elbows[way], wrists[way] = z, _end(x, y, wrist[0], wrist[1], z, lower, -1.0 if way % 2 == 0 else 1.0)
    lift = _raised(sy - wrist[1] / near(wrists[0]))
    usual = _REACH_LOW + (_REACH_HIGH - _REACH_LOW) * lift
    usual_elbow = _ELBOW_LOW + (_ELBOW_HIGH - _ELBOW_LOW) * lift
    best = 0
    for way in range(4):
        before = -wrists[way]
        cost = ((elbows[way] + usual_elbow) / 0.1) ** 2 + (max(0.08 - before, 0.0) / 0.05) ** 2
        cost += ((before - usual) / 0.2) ** 2 + (max(wrists[way] - elbows[way], 0.0) / 0.1) ** 2
        least = 0.0 if fresh else 1e9
        if not fresh:
            for old in range(4):
                jump = abs(elbows[way] - memory[ELBOWS + old]) + abs(wrists[way] - memory[WRISTS + old])
                least = min(least, _MEMORY * memory[COSTS + old] + min(jump / _STILL, _MOST))
        costs[way] = cost + least
        if costs[way] < costs[best]:
            best = way
    lowest = costs[best]
    if not fresh and costs[int(memory[WAY])] < lowest + _SWITCH:
        best = int(memory[WAY])
    memory[WAY] = best
    for way in range(4):
        memory[COSTS + way] = costs[way] - lowest
        memory[ELBOWS + way], memory[WRISTS + way] = elbows[way], wrists[way]
    # A forearm that looks as long as it is, or longer, says nothing of the depth: hands are then before the shoulders.
    z, hand = elbows[best], wrists[best]
    aside = math.sqrt((wrist[0] / near(z) - elbow[0] / near(z)) ** 2 + (wrist[1] / near(z) - elbow[1] / near(z)) ** 2)
    unsaid = min(max((aside / lower - 0.88) / 0.1, 0.0), 1.0)
    return z, hand + unsaid * (min(-usual, hand) - hand)
