"""Both hands over time: whose size they have, where they are, and which of several solutions is shown.

Causal: a frame's result depends on the frames up to it. A few solutions a hand are followed side by side, each from its
own last angles; one is shown until another has clearly been the better one for a while, and then becomes it over some
frames. A hand that is lost goes on with its arm and fades; so does one whose points no hand could have made.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from signgen.keypoints.skeleton import ARMS, EYES, SHOULDERS
from signgen.pose_image.solid import arms
from signgen.pose_image.solid.hand import ANGLES, PIXELS
from signgen.pose_image.solid.kinematics import bend_fingers, compiled, limit, multiply, turn, wrist_turn
from signgen.pose_image.solid.solve import solve

_JOINTS = tuple((arm.shoulder, arm.elbow, arm.wrist, arm.hand.start) for arm in ARMS)
_EYE_CORNERS = (59, 68)
_LEAST, _SURE = 0.1, 0.5  # confidence from which a point is used, and from which it counts in full
_JOINT_LEAST = 0.2  # of shoulders, elbows, eyes and wrists
_LEAST_POINTS = 8  # of a hand

_STARTS = np.array([[turn, bend] for turn in (-100.0, -50.0, 0.0, 50.0, 100.0) for bend in (-25.0, 25.0)])
_FOLLOWED = 3  # solutions of a hand that are followed
_COLD_ROUNDS, _WARM_ROUNDS, _TRY_ROUNDS = 9, 5, 5
_PULL = 0.03**2  # a square degree: what draws a solution to its own angles of the frame before
_MEMORY = 0.75  # of a solution's cost from frame to frame
_SWITCH = 6.0  # by how much another solution's remembered cost must be lower
_SAME = 9.0  # degrees of mean difference below which two solutions are one
_EASE = 0.55  # of the difference to a new solution that is left a frame later

_SPANS = ((0, 5), (0, 9), (0, 13), (0, 17), (5, 17), (0, 9, 10, 11, 12), (0, 5, 6, 7, 8))  # chains of hand points
_SPAN_POINTS = np.array([[chain[0], chain[-1]] for chain in _SPANS])
_SIZES = (0.7, 1.4)  # of a hand against the neutral one, by the width of the shoulders
_SHRINK = 8.0  # frames after which a hand's size is believed to a half
_AVERAGED = 100.0  # frames over which the width of the shoulders is averaged
_ASPECTS = (0.7, 1.15)

_GOOD, _BAD = 2.5, 6.0  # pixels of mean error up to which a fit is shown in full, and from which it is not
_BELIEVED = 4.0  # and up to which it tells the size of the hand
_HELD, _GONE = 4, 12  # frames for which a lost hand stays, and after which it is gone
_CHANGE = 0.34  # of strength from one frame to the next
_SOFT, _SOFT_ELBOW = 1.5, 30.0  # pixels beyond which what is left over at a point is not followed

# Memory of the person: pixels a metre along columns, shown over true width, their counts, middle of the shoulders,
# whether it is known, frames with a hand, longest spans, frames.
ACROSS, ASPECT, SEEN, SEEN_ASPECT, MIDDLE, KNOWN, HANDS, LONGEST, FRAMES, PERSON = 0, 1, 2, 3, 4, 6, 7, 8, 15, 16
# Memory of a hand: index of the solution that is shown, frames since it was seen (-1: never), strength, wrist's place
# from the body's wrist (2), shoulder (2) from the middle, whether that is known, index of the next guess, last
# place (2).
SHOWN, LOST, STRENGTH, OFFSET, SHOULDER, PLACED, NEXT, LAST, HOLD = 0, 1, 2, 3, 5, 7, 8, 9, 11


class Memory(NamedTuple):
    """What is known of the frames before; a right hand and its arm are mirrored."""

    person: np.ndarray  # (PERSON,)
    arms: np.ndarray  # (2, arms.SIZE)
    hold: np.ndarray  # (2, HOLD)
    solutions: np.ndarray  # (2, _FOLLOWED, 23)
    costs: np.ndarray  # (2, _FOLLOWED), inf: none
    shown: np.ndarray  # (2, 23)
    left_over: np.ndarray  # (2, 23) of an older solution


def blank() -> Memory:
    """The memory before the first frame."""
    hold = np.zeros((2, HOLD))
    hold[:, LOST] = -1
    return Memory(
        np.zeros(PERSON),
        np.zeros((2, arms.SIZE)),
        hold,
        np.zeros((2, _FOLLOWED, ANGLES)),
        np.full((2, _FOLLOWED), np.inf),
        np.zeros((2, ANGLES)),
        np.zeros((2, ANGLES)),
    )


class Poses(NamedTuple):
    """Both hands of T frames, left first; a right hand's angles and rotations are those of its mirror image.

    Attributes:
        angles: (T, 2, 23) degrees.
        forearm: (T, 2, 3, 3) rotations from the rest hand's axes.
        scale: (T, 2, 2) pixels a metre of the rest hand, right and down; negative along columns for a right hand.
        wrist: (T, 2, 2) pixels.
        depth: (T, 2) metres of the wrist away from the camera, from the shoulders.
        strength: (T, 2) 0 to 1, how far the hand is to be believed.
        points: (T, 2, 21, 2) pixels of the fitted hand's points, before it is bent.
        bend: (T, 2, 22, 2) pixels by which wrist, finger points and elbow are moved towards where they were seen.
    """

    angles: np.ndarray
    forearm: np.ndarray
    scale: np.ndarray
    wrist: np.ndarray
    depth: np.ndarray
    strength: np.ndarray
    points: np.ndarray
    bend: np.ndarray


def empty(frames: int) -> Poses:
    """Poses to be filled."""
    shapes = ((ANGLES,), (3, 3), (2,), (2,), (), (), (21, 2), (22, 2))
    return Poses(*(np.zeros((frames, 2, *shape)) for shape in shapes))


@compiled
def _average(memory, value, at, count):  # type: ignore[no-untyped-def]
    """A running mean of the last frames that outliers hardly move."""
    memory[count] = min(memory[count] + 1.0, _AVERAGED)
    if memory[count] > 1.0:
        value = min(max(value, 0.85 * memory[at]), 1.15 * memory[at])
    memory[at] += (value - memory[at]) / memory[count]


@compiled
def _measure(xy, seen, aspect, anatomy, person):  # type: ignore[no-untyped-def]
    """Takes from one frame how large the person is in the picture, and where."""
    left, right = SHOULDERS
    if seen[left] >= _JOINT_LEAST and seen[right] >= _JOINT_LEAST:
        width = abs(xy[left, 0] - xy[right, 0])
        x, y = 0.5 * (xy[left, 0] + xy[right, 0]), 0.5 * (xy[left, 1] + xy[right, 1])
        person[MIDDLE], person[MIDDLE + 1], person[KNOWN] = x, y, 1.0
        if width > 1.0:
            _average(person, width / anatomy.body[0], ACROSS, SEEN)
        if aspect <= 0.0 and person[SEEN] > 0.0:
            for k in range(2):
                a, b = _EYE_CORNERS if k == 0 else EYES
                if seen[a] >= _JOINT_LEAST and seen[b] >= _JOINT_LEAST:
                    height = y - 0.5 * (xy[a, 1] + xy[b, 1])
                    if height > 1.0:
                        shown = person[ACROSS] * anatomy.body[3 + k] / height
                        _average(person, min(max(shown, _ASPECTS[0]), _ASPECTS[1]), ASPECT, SEEN_ASPECT)
                    break
    if aspect > 0.0:
        person[ASPECT] = aspect
    elif person[SEEN_ASPECT] == 0.0:
        person[ASPECT] = 1.0


@compiled
def _size(person, rest):  # type: ignore[no-untyped-def]
    """The person's hand against the neutral one, from the longest that its parts ever looked.

    What is never seen in full looks too short, so of the parts' ratios a low one counts.
    """
    ratios = np.sort(person[LONGEST : LONGEST + 7] / rest)
    largest = 0.5 * (ratios[4] + ratios[5])
    if largest <= 0.0:
        return 1.0
    believed = person[HANDS] / (person[HANDS] + _SHRINK)
    return min(max(math.exp(believed * math.log(largest)), _SIZES[0]), _SIZES[1])


@compiled
def _lengthen(points, weights, person):  # type: ignore[no-untyped-def]
    """Takes the spans of a hand (21,2), metres, into account."""
    for k in range(7):
        a, b = _SPAN_POINTS[k]
        if weights[a] >= 1.0 and weights[b] >= 1.0:
            span = math.sqrt((points[a, 0] - points[b, 0]) ** 2 + (points[a, 1] - points[b, 1]) ** 2)
            longer = span - person[LONGEST + k]
            person[LONGEST + k] += longer * (0.3 if longer > 0.0 else 0.0005)
    person[HANDS] += 1.0


@compiled
def _alone(points, weights, rest, aspect):  # type: ignore[no-untyped-def]
    """Pixels a metre along columns by the hand itself."""
    most = 0.0
    for k in range(7):
        a, b = _SPAN_POINTS[k]
        if weights[a] >= 1.0 and weights[b] >= 1.0:
            x, y = points[a, 0] - points[b, 0], aspect * (points[a, 1] - points[b, 1])
            most = max(most, math.sqrt(x * x + y * y) / rest[k])
    return most


@compiled
def _rest_spans(anatomy):  # type: ignore[no-untyped-def]
    out = np.zeros(7)
    for k in range(7):
        a, b = _SPAN_POINTS[k]
        if b - a == 12 and a == 5:
            out[k] = math.sqrt(((anatomy.joints[4, 0] - anatomy.joints[1, 0]) ** 2).sum())
            continue
        finger = (b - 1) // 4
        out[k] = math.sqrt((anatomy.joints[finger, 0] ** 2).sum())
        for joint in range((b - 1) % 4):
            bone = anatomy.joints[finger, joint + 1] - anatomy.joints[finger, joint]
            out[k] += math.sqrt((bone**2).sum())
    return out


@compiled
def _apart(a, b):  # type: ignore[no-untyped-def]
    """Mean difference of two solutions, degrees; the wrist counts twice."""
    total = 0.0
    for k in range(ANGLES):
        total += abs(a[k] - b[k]) * (2.0 if k < 3 else 1.0)
    return total / ANGLES


@compiled
def _offer(solution, cost, solutions, costs, shown):  # type: ignore[no-untyped-def]
    """Puts a new solution among those that are followed: in the place of the same one, or of the worst."""
    worst = 0
    for k in range(_FOLLOWED):
        if costs[k] < np.inf and _apart(solution, solutions[k]) < _SAME:
            if cost < costs[k]:
                solutions[k], costs[k] = solution, cost
            return
        if k != shown and (worst == shown or costs[k] > costs[worst]):
            worst = k
    if worst != shown and cost < costs[worst]:
        solutions[worst], costs[worst] = solution, cost


@compiled
def _follow(seen, weights, forearm, anatomy, hold, solutions, costs, shown, left_over):  # type: ignore[no-untyped-def]
    """Fits one hand in one frame; ``shown`` (23,) becomes what is drawn."""
    solution, shift = np.empty(ANGLES), np.empty(2)
    cold = hold[LOST] < 0
    if cold:
        costs[:] = np.inf
        left_over[:] = 0.0
        hold[SHOWN] = -1
    first = costs[int(hold[SHOWN])] if not cold else 0.0  # what the shown solution cost before
    for k in range(_FOLLOWED):
        if costs[k] < np.inf:
            now = solve(solutions[k], forearm, seen, weights, _PULL, _WARM_ROUNDS, PIXELS, anatomy, solution, shift)
            solutions[k] = solution
            costs[k] = _MEMORY * costs[k] + now
    main = int(hold[SHOWN])
    for k in range(_FOLLOWED):  # two that have become one
        for other in range(k):
            if costs[k] < np.inf and costs[other] < np.inf and _apart(solutions[k], solutions[other]) < _SAME:
                costs[other if k == main else k] = np.inf
    guesses = len(_STARTS) if cold else 1
    start = anatomy.mean.copy()
    for k in range(guesses):
        number = k if cold else int(hold[NEXT]) % len(_STARTS)
        start[:2] = _STARTS[number]
        rounds = _COLD_ROUNDS if cold else _TRY_ROUNDS
        now = solve(start, forearm, seen, weights, 0.0, rounds, PIXELS, anatomy, solution, shift)
        past = now / (1.0 - _MEMORY) if cold else _MEMORY * first + now
        _offer(solution, past, solutions, costs, main)
        hold[NEXT] += 0.0 if cold else 1.0
    best = int(np.argmin(costs))
    if cold:
        hold[SHOWN] = best
    elif best != main and costs[best] + _SWITCH < costs[main]:
        for k in range(ANGLES):
            left_over[k] = shown[k] - solutions[best, k]
        hold[SHOWN] = best
    else:
        best = main
    for k in range(ANGLES):
        left_over[k] *= _EASE
        shown[k] = solutions[best, k] + left_over[k]
    limit(shown, anatomy.low, anatomy.high)


@compiled
def _points(angles, forearm, anatomy, out):  # type: ignore[no-untyped-def]
    """Finger points (20,3) of a pose, metres from the wrist."""
    work, palm, wrist = np.empty((3, 3, 3)), np.empty((3, 3)), np.empty((3, 3))
    turns, axes = np.empty((15, 3, 3)), np.empty((20, 3))
    wrist_turn(angles, forearm, anatomy.wrist, palm, wrist, work)
    bend_fingers(angles, anatomy.joints, anatomy.axes, out, turns, axes, work)
    for k in range(20):
        turn(palm, out[k], out[k])


@compiled
def _residuals(xy, weights, elbow, elbow_seen, unit, out, frame, side, local, forearm, anatomy):  # type: ignore[no-untyped-def]
    """Shifts the whole hand to its points and says what is left over; returns the mean error in pixels of the fit.

    ``unit``: pixels of the picture for one of `hand.PIXELS`.
    """
    scale, wrist = out.scale[frame, side], out.wrist[frame, side]
    error = np.zeros((22, 2))
    for k in range(20):
        for i in range(2):
            error[k + 1, i] = xy[k + 1, i] - xy[0, i] - scale[i] * local[k, i]
    shift = np.zeros(2)
    for _ in range(3):
        total, x, y = 0.5, 0.0, 0.0
        for k in range(1, 21):
            far = math.sqrt((error[k, 0] - shift[0]) ** 2 + (error[k, 1] - shift[1]) ** 2) / unit
            weight = weights[k] * min(1.0, 1.5 / max(far, 1e-6))
            total += weight
            x += weight * error[k, 0]
            y += weight * error[k, 1]
        shift[0], shift[1] = x / total, y / total
    mean, total = 0.0, 1e-9
    for i in range(2):
        wrist[i] = xy[0, i] + shift[i]
        error[0, i] = -shift[i]
    for k in range(21):
        for i in range(2):
            if k > 0:
                error[k, i] -= shift[i]
        if weights[k] > 0.0:
            mean += weights[k] * math.sqrt(error[k, 0] ** 2 + error[k, 1] ** 2) / unit
            total += weights[k]
    if elbow_seen:
        rest = np.empty(3)
        turn(forearm, anatomy.elbow, rest)
        for i in range(2):
            error[21, i] = elbow[i] - wrist[i] - scale[i] * rest[i]
    for k in range(22):
        most = (_SOFT if k < 21 else _SOFT_ELBOW) * unit
        far = math.sqrt(error[k, 0] ** 2 + error[k, 1] ** 2)
        share = min(1.0, most / max(far, 1e-6))
        if k < 21:
            share *= min(weights[k], 1.0)
        for i in range(2):
            out.bend[frame, side, k, i] = share * error[k, i]
    return mean / total


@compiled
def _arm(xy, seen, side, wrist, person, hold, memory, anatomy, metre, columns):  # type: ignore[no-untyped-def]
    """Depth of a wrist, and its forearm's directions in ``columns`` (3,3); also whether the elbow was seen."""
    sign = 1.0 if side == 0 else -1.0
    joints = _JOINTS[side]
    middle = person[MIDDLE : MIDDLE + 2]
    at = np.empty((3, 2))
    if seen[joints[0]] >= _JOINT_LEAST and person[KNOWN] > 0.0:
        for i in range(2):
            hold[SHOULDER + i] = xy[joints[0], i] - middle[i]
        hold[PLACED] = 1.0
    for i in range(2):
        flip = sign if i == 0 else 1.0
        if hold[PLACED] > 0.0:
            at[0, i] = flip * hold[SHOULDER + i] / metre[i]
            at[2, i] = flip * (wrist[i] - middle[i]) / metre[i]
            at[1, i] = flip * (xy[joints[1], i] - middle[i]) / metre[i]
        else:  # no body: as if the hand were raised before its shoulder
            at[2, i] = 0.0
            at[0, i] = -0.05 if i == 0 else -0.1
            at[1, i] = flip * (xy[joints[1], i] - wrist[i]) / metre[i]
    elbow_seen = seen[joints[1]] >= _JOINT_LEAST
    return arms.arm(at[0], at[1], at[2], elbow_seen, anatomy.body[1:3], memory, columns), elbow_seen


@compiled
def fit_frames(xy, seen, aspect, size, memory, anatomy, out, lengths):  # type: ignore[no-untyped-def]
    """Fits both hands of T frames, one after the other.

    Args:
        xy, seen: float64 (T,133,2) pixels and (T,133) confidence.
        aspect: shown width over true width; 0 to find it from the person.
        size: length of the person's hand against the neutral one; 0 to find it from the points.
        memory: `Memory`, changed.
        out, lengths: `Poses` of T frames, and the length of the person's hands in each (T,), filled.
    """
    person, rest = memory.person, _rest_spans(anatomy)
    columns, local, metre = np.empty((3, 3)), np.empty((20, 3)), np.empty(2)
    target, weights, forearm = np.empty((20, 2)), np.empty(21), np.empty((3, 3))
    for frame in range(xy.shape[0]):
        _measure(xy[frame], seen[frame], aspect, anatomy, person)
        length = size if size > 0.0 else _size(person, rest)
        lengths[frame] = length
        for side in range(2):
            hold, sign = memory.hold[side], 1.0 if side == 0 else -1.0
            root, wrist_joint = _JOINTS[side][3], _JOINTS[side][2]
            points = xy[frame, root : root + 21]
            count = 0
            for k in range(21):
                confidence = seen[frame, root + k]
                weights[k] = min(confidence / _SURE, 1.0) if confidence >= _LEAST else 0.0
                count += confidence >= _LEAST
            known = weights[0] > 0.0 and count >= _LEAST_POINTS
            if person[SEEN] == 0.0 and known:  # no shoulders: the hand itself is the measure
                person[ACROSS] = max(person[ACROSS], _alone(points, weights, rest, person[ASPECT]))
            bodily = seen[frame, wrist_joint] >= _JOINT_LEAST
            if known:
                hold[LOST] = 0.0 if hold[LOST] >= 0 else -1.0
            elif hold[LOST] >= 0:
                hold[LOST] += 1.0
            if person[ACROSS] <= 0.0 or (not known and (hold[LOST] < 0 or hold[LOST] > _GONE)):
                hold[LOST] = -1.0
                hold[STRENGTH] = max(hold[STRENGTH] - _CHANGE, 0.0)
                continue
            metre[0], metre[1] = person[ACROSS], person[ACROSS] / person[ASPECT]
            if known:
                wrist = points[0].copy()
                if bodily:
                    for i in range(2):
                        hold[OFFSET + i] = wrist[i] - xy[frame, wrist_joint, i]
            elif bodily:
                wrist = xy[frame, wrist_joint] + hold[OFFSET : OFFSET + 2]
            else:
                wrist = hold[LAST : LAST + 2].copy()
            hold[LAST : LAST + 2] = wrist
            depth, elbow_seen = _arm(
                xy[frame], seen[frame], side, wrist, person, hold, memory.arms[side], anatomy, metre, columns
            )
            multiply(columns, anatomy.forearm, forearm)
            larger = arms.near(depth)
            scale = out.scale[frame, side]
            scale[0], scale[1] = sign * metre[0] * larger * length, metre[1] * larger * length
            unit = abs(scale[1]) / PIXELS
            strength = 0.0
            if known:
                for k in range(20):
                    for i in range(2):
                        target[k, i] = (points[k + 1, i] - points[0, i]) / scale[i] * PIXELS
                _follow(
                    target, weights[1:], forearm, anatomy, hold, memory.solutions[side], memory.costs[side],
                    memory.shown[side], memory.left_over[side],
                )  # fmt: skip
                hold[LOST] = 0.0
            _points(memory.shown[side], forearm, anatomy, local)
            out.wrist[frame, side] = wrist
            if known:
                elbow = xy[frame, _JOINTS[side][1]]
                error = _residuals(points, weights, elbow, elbow_seen, unit, out, frame, side, local, forearm, anatomy)
                strength = min(max((_BAD - error) / (_BAD - _GOOD), 0.0), 1.0)
                if error < _BELIEVED:
                    _lengthen((points - points[0]) / metre / larger, weights, person)
            else:
                strength = min(max((_GONE - hold[LOST]) / (_GONE - _HELD), 0.0), 1.0)
            change = strength - hold[STRENGTH]
            if person[FRAMES] > 0.0:  # a clip begins with its hands
                change = min(max(change, -_CHANGE), _CHANGE)
            hold[STRENGTH] += change
            out.angles[frame, side], out.forearm[frame, side] = memory.shown[side], forearm
            out.depth[frame, side], out.strength[frame, side] = depth, hold[STRENGTH]
            for i in range(2):
                out.points[frame, side, 0, i] = out.wrist[frame, side, i]
                for k in range(20):
                    out.points[frame, side, k + 1, i] = out.wrist[frame, side, i] + scale[i] * local[k, i]
        person[FRAMES] = 1.0
