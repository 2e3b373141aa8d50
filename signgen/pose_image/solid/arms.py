"""Forearms from shoulder, elbow and wrist in the picture: depths from the bones' lengths, frame after frame.

A bone that looks shorter than it is leads towards the camera or away from it. Of the four ways that two bones can take,
the one with the least cost so far is kept: elbows near the plane of the shoulders, hands before the body, nothing that
jumps. A right arm is given mirrored, as a left one.
"""

from __future__ import annotations

import math

import numpy as np

from signgen.pose_image.solid.kinematics import compiled

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


@compiled
def _end(x, y, px, py, depth, length, sign):  # type: ignore[no-untyped-def]
    """Depth at which a bone ends that begins at (x, y, depth) and is seen to end at metres (px, py) of the picture."""
    z = depth
    for _ in range(3):
        larger = near(z)
        aside = (px / larger - x) ** 2 + (py / larger - y) ** 2
        z = depth + sign * math.sqrt(max(length * length - aside, 0.0))
    return z


@compiled
def _raised(height):  # type: ignore[no-untyped-def]
    """0 for a low hand .. 1 for a raised one."""
    return min(max((height - _LOW) / (_HIGH - _LOW), 0.0), 1.0)


@compiled
def arm(shoulder, elbow, wrist, elbow_seen, lengths, memory, frame):  # type: ignore[no-untyped-def]
    """Depth of a wrist, and the directions of its forearm.

    Args:
        shoulder, elbow, wrist: (2,) metres in the picture, at the shoulders' depth, from the middle of the shoulders.
        elbow_seen: False for an elbow that is to be placed.
        lengths: of upper arm and forearm.
        memory: (SIZE,), changed.
        frame: (3,3), becomes columns: along the forearm, out of the bend of the elbow, across both.
    """
    sx, sy = shoulder
    fresh = memory[PAST] == 0.0
    memory[PAST] = 1.0
    if elbow_seen:
        elbow_z, wrist_z = _choose(shoulder, elbow, wrist, fresh, lengths, memory)
    else:
        lift = _raised(sy - wrist[1])
        usual = _REACH_LOW + (_REACH_HIGH - _REACH_LOW) * lift
        aside = (wrist[0] - sx) ** 2 + (wrist[1] - sy) ** 2
        most = math.sqrt(max((0.97 * (lengths[0] + lengths[1])) ** 2 - aside, 0.0))
        elbow_z, wrist_z = 0.0, -min(usual, most)
    if fresh:
        memory[ELBOW], memory[WRIST] = elbow_z, wrist_z
    memory[ELBOW] += _EASE * (elbow_z - memory[ELBOW])
    memory[WRIST] += _EASE * (wrist_z - memory[WRIST])
    wx, wy, wz = wrist[0] / near(memory[WRIST]), wrist[1] / near(memory[WRIST]), memory[WRIST]
    line = np.array([wx - sx, wy - sy, wz])
    length = math.sqrt((line**2).sum()) + 1e-9
    line /= length
    pole = np.array(_POLE)
    pole -= (pole * line).sum() * line
    if elbow_seen:
        ex, ey, ez = elbow[0] / near(memory[ELBOW]), elbow[1] / near(memory[ELBOW]), memory[ELBOW]
        bend = np.array([ex - sx, ey - sy, ez])
        bend = bend - (bend * line).sum() * line
    else:  # two bones over the line from shoulder to wrist
        a, b = lengths[0], lengths[1]
        reach = min(max(length, abs(a - b) + 0.02), 0.995 * (a + b))
        along = (a * a + reach * reach - b * b) / (2 * reach)
        pole /= math.sqrt((pole**2).sum()) + 1e-9
        bend = math.sqrt(max(a * a - along * along, 0.0)) * pole
        ex, ey, ez = sx + along * line[0] + bend[0], sy + along * line[1] + bend[1], along * line[2] + bend[2]
    if fresh:
        memory[BEND : BEND + 3] = bend
    memory[BEND : BEND + 3] += _EASE * (bend - memory[BEND : BEND + 3])
    bend = memory[BEND : BEND + 3] + 0.02 * pole
    forearm = np.array([wx - ex, wy - ey, wz - ez])
    forearm /= math.sqrt((forearm**2).sum()) + 1e-9
    normal = _cross(bend, line)
    normal -= (normal * forearm).sum() * forearm
    normal /= math.sqrt((normal**2).sum()) + 1e-9
    frame[:, 0], frame[:, 1], frame[:, 2] = forearm, normal, _cross(forearm, normal)
    return memory[WRIST]


@compiled
def _cross(a, b):  # type: ignore[no-untyped-def]
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@compiled
def _choose(shoulder, elbow, wrist, fresh, lengths, memory):  # type: ignore[no-untyped-def]
    """Depths of elbow and wrist: the likeliest of four ways, which is left only for a clearly better one."""
    sx, sy = shoulder
    elbows, wrists, costs = np.empty(4), np.empty(4), np.empty(4)
    for way in range(4):
        elbow_sign, wrist_sign = -1.0 if way < 2 else 1.0, -1.0 if way % 2 == 0 else 1.0
        z = _end(sx, sy, elbow[0], elbow[1], 0.0, lengths[0], elbow_sign)
        hand = _end(elbow[0] / near(z), elbow[1] / near(z), wrist[0], wrist[1], z, lengths[1], wrist_sign)
        elbows[way], wrists[way] = z, hand
    lift = _raised(sy - wrist[1] / near(wrists[0]))
    usual = _REACH_LOW + (_REACH_HIGH - _REACH_LOW) * lift
    usual_elbow = _ELBOW_LOW + (_ELBOW_HIGH - _ELBOW_LOW) * lift
    for way in range(4):
        before = -wrists[way]
        cost = ((elbows[way] + usual_elbow) / 0.1) ** 2 + (max(0.08 - before, 0.0) / 0.05) ** 2
        cost += ((before - usual) / 0.2) ** 2 + (max(wrists[way] - elbows[way], 0.0) / 0.1) ** 2
        costs[way] = cost
        if not fresh:
            least = 1e9
            for old in range(4):
                jump = abs(elbows[way] - memory[ELBOWS + old]) + abs(wrists[way] - memory[WRISTS + old])
                least = min(least, _MEMORY * memory[COSTS + old] + min(jump / _STILL, _MOST))
            costs[way] += least
    best = int(np.argmin(costs))
    if not fresh and costs[int(memory[WAY])] < costs[best] + _SWITCH:
        best = int(memory[WAY])
    memory[WAY] = best
    memory[COSTS : COSTS + 4] = costs - costs.min()
    memory[ELBOWS : ELBOWS + 4], memory[WRISTS : WRISTS + 4] = elbows, wrists
    # A forearm that looks as long as it is, or longer, says nothing of the depth: hands are then before the shoulders.
    z, hand = elbows[best], wrists[best]
    aside = math.sqrt((wrist[0] / near(z) - elbow[0] / near(z)) ** 2 + (wrist[1] / near(z) - elbow[1] / near(z)) ** 2)
    unsaid = min(max((aside / lengths[1] - 0.88) / 0.1, 0.0), 1.0)
    return z, hand + unsaid * (min(-usual, hand) - hand)
