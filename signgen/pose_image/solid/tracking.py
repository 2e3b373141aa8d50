"""One hand over time: where it is, which of several solutions is shown, and how far it is to be believed.

Causal: a frame's result depends on the frames up to it. A hand that is lost goes on with its arm and fades; so does one
whose points no hand could have made.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from signgen.keypoints.skeleton import ARMS
from signgen.pose_image.solid import arms
from signgen.pose_image.solid.hand import ANGLES, PIXELS, anatomy
from signgen.pose_image.solid.kinematics import bend_fingers, compiled, limit, turn, wrist_turn
from signgen.pose_image.solid.person import JOINT_LEAST, Person
from signgen.pose_image.solid.solve import FOLLOWED, NONE, follow

_LEAST, _SURE = 0.1, 0.5  # confidence from which a point is used, and from which it counts in full
_LEAST_POINTS = 8  # of a hand
_EASE = 0.55  # of the difference to a new solution that is left a frame later
_GOOD, _BAD = 2.5, 6.0  # pixels of mean error up to which a fit is shown in full, and from which it is not
_BELIEVED = 8.0  # and up to which it tells the size of the hand
_HELD, _GONE = 4, 12  # frames for which a lost hand stays, and after which it is gone
_CHANGE = 0.34  # of strength from one frame to the next
_SOFT, _SOFT_ELBOW = 1.5, 30.0  # pixels beyond which what is left over at a point is not followed
_RAISED = np.array([-0.05, -0.1])  # metres from a raised wrist to its shoulder, where no body is seen


class Poses(NamedTuple):
    """Both hands of T frames, left first; a right hand's angles and rotations are those of its mirror image.

    Attributes:
        angles: (T, 2, 23) degrees.
        forearm: (T, 2, 3, 3) rotations from the rest hand's axes.
        scale: (T, 2, 2) pixels a metre of the rest hand, right and down; negative along columns for a right hand.
        wrist: (T, 2, 2) pixels.
        depth: (T, 2) metres of the wrist away from the camera, from the shoulders.
        length: (T, 2) of the hand over the neutral one.
        strength: (T, 2) 0 to 1, how far the hand is to be believed.
        points: (T, 2, 21, 3) pixels of the fitted hand's points, before it is bent, and their depth as `depth`.
        bend: (T, 2, 22, 2) pixels by which wrist, finger points and elbow are moved towards where they were seen.
    """

    angles: np.ndarray
    forearm: np.ndarray
    scale: np.ndarray
    wrist: np.ndarray
    depth: np.ndarray
    length: np.ndarray
    strength: np.ndarray
    points: np.ndarray
    bend: np.ndarray

    @classmethod
    def empty(cls, frames: int) -> Poses:
        """Poses to be filled."""
        shapes = ((ANGLES,), (3, 3), (2,), (2,), (), (), (), (21, 3), (22, 2))
        return cls(*(np.zeros((frames, 2, *shape)) for shape in shapes))


@compiled
def pose_points(angles, forearm, scale, anatomy, points):  # type: ignore[no-untyped-def]
    """Points (21,3) of a posed hand as seen from its wrist, pixels; angles, forearm and scale as in `Poses`."""
    work, palm, slopes = np.empty((3, 3, 3)), np.empty((3, 3)), np.empty((3, 3))
    turns, axes = np.empty((15, 3, 3)), np.empty((20, 3))
    wrist_turn(angles, forearm, anatomy.wrist, palm, slopes, work)
    bend_fingers(angles, anatomy.joints, anatomy.axes, points[1:], turns, axes, work)
    points[0, 0] = points[0, 1] = points[0, 2] = 0.0
    for k in range(1, 21):
        turn(palm, points[k], points[k])
        points[k, 0] *= scale[0]
        points[k, 1] *= scale[1]
        points[k, 2] *= abs(scale[1])


@compiled
def _place(angles, forearm, scale, xy, weights, elbow, anatomy, points, bend):  # type: ignore[no-untyped-def]
    """Puts a posed hand where its points were seen; returns the mean error of the fit, `hand.PIXELS` to a metre.

    Args:
        angles, forearm, scale: see `Poses`.
        xy, weights: (21,2) pixels and (21,), 0 where nothing was seen.
        elbow: (3,) pixels, and whether it was seen.
        points, bend: (21,3) and (22,2) of `Poses`, filled; depths of points are from the wrist.
    """
    pose_points(angles, forearm, scale, anatomy, points)
    rest, unit = np.empty(3), abs(scale[1]) / PIXELS
    shift_x, shift_y = xy[0, 0], xy[0, 1]
    for _ in range(3):  # a mean that outliers hardly move
        total, x, y = 0.5, 0.5 * xy[0, 0], 0.5 * xy[0, 1]
        for k in range(1, 21):
            ex, ey = xy[k, 0] - points[k, 0], xy[k, 1] - points[k, 1]
            far = math.sqrt((ex - shift_x) ** 2 + (ey - shift_y) ** 2) / unit
            weight = weights[k] * min(1.0, _SOFT / max(far, 1e-6))
            total += weight
            x += weight * ex
            y += weight * ey
        shift_x, shift_y = x / total, y / total
    error, total = 0.0, 1e-9
    turn(forearm, anatomy.elbow, rest)
    for k in range(22):
        if k < 21:
            points[k, 0] += shift_x
            points[k, 1] += shift_y
            ex, ey, weight, most = xy[k, 0] - points[k, 0], xy[k, 1] - points[k, 1], weights[k], _SOFT * unit
        else:
            ex, ey = elbow[0] - shift_x - scale[0] * rest[0], elbow[1] - shift_y - scale[1] * rest[1]
            weight, most = elbow[2], _SOFT_ELBOW * unit
        far = math.sqrt(ex * ex + ey * ey)
        share = min(weight, 1.0) * min(1.0, most / max(far, 1e-6))
        bend[k, 0], bend[k, 1] = share * ex, share * ey
        if k < 21:
            error += weight * far / unit
            total += weight
    return error / total


class HandTrack:
    """What is known of one hand and its arm from the frames before; ``side`` 0 is the left one."""

    def __init__(self, side: int) -> None:
        self._side, self._joints = side, ARMS[side]
        self._mirror = np.array([1.0 if side == 0 else -1.0, 1.0])
        self._arm = np.zeros(arms.SIZE)
        self._solutions, self._costs = np.zeros((FOLLOWED, ANGLES)), np.full(FOLLOWED, NONE)
        self._main = -1  # the solution that is shown
        self._angles, self._left_over = np.zeros(ANGLES), np.zeros(ANGLES)
        self._lost: int | None = None  # frames since it was seen; None: never, or gone
        self._fits, self._strength = 0, -1.0
        self._wrist, self._from_wrist = np.zeros(2), np.zeros(2)
        self._shoulder: np.ndarray | None = None  # from the middle of the shoulders, pixels

    def step(self, xy: np.ndarray, confidence: np.ndarray, person: Person, out: Poses, frame: int) -> np.ndarray | None:
        """Takes one frame, (133,2) pixels and (133,), into account, and fills the frame of ``out``.

        Returns the spans by which the person's hands may be measured, if the fit is to be believed.
        """
        points, scores = xy[self._joints.hand], confidence[self._joints.hand]
        weights = np.where(scores >= _LEAST, np.minimum(scores / _SURE, 1.0), 0.0)
        known = weights[0] > 0 and np.count_nonzero(weights) >= _LEAST_POINTS
        if not known and self._lost is not None:
            self._lost = self._lost + 1 if self._lost < _GONE else None
        metre = person.metre
        if metre is None or not (known or self._lost is not None):
            self._forget()
            return None
        wrist = self._wrist_at(xy, confidence, points[0] if known else None)
        forearm, depth = self._forearm(xy, confidence, wrist, person, metre)
        larger = arms.near(depth)
        scale = self._mirror * metre * larger * person.length
        if known:
            self._fit((points[1:] - points[0]) / scale * PIXELS, weights[1:], forearm)
        else:
            points, weights = np.broadcast_to(wrist, (21, 2)), np.zeros(21)
        elbow = np.append(xy[self._joints.elbow], float(confidence[self._joints.elbow] >= JOINT_LEAST))
        places = out.points[frame, self._side]
        error = _place(
            self._angles, forearm, scale, points, weights, elbow, anatomy(), places, out.bend[frame, self._side]
        )
        places[:, 2] = depth + places[:, 2] / metre[1] / larger
        self._believe(error if known else None)
        values = self._angles, forearm, scale, places[0, :2], depth, person.length, self._strength
        for name, value in zip(Poses._fields, values, strict=False):
            getattr(out, name)[frame, self._side] = value
        return person.spans(points, scores, larger) if known and error < _BELIEVED else None

    def _forget(self) -> None:
        self._lost, self._main, self._strength = None, -1, 0.0
        self._costs[:], self._left_over[:], self._arm[:] = NONE, 0, 0

    def _wrist_at(self, xy: np.ndarray, confidence: np.ndarray, root: np.ndarray | None) -> np.ndarray:
        """The hand's root, or where the body's wrist has it, or where it was."""
        bodily = confidence[self._joints.wrist] >= JOINT_LEAST
        if root is not None:
            self._wrist = root
            if bodily:
                self._from_wrist = root - xy[self._joints.wrist]
        elif bodily:
            self._wrist = xy[self._joints.wrist] + self._from_wrist
        return self._wrist

    def _forearm(
        self, xy: np.ndarray, confidence: np.ndarray, wrist: np.ndarray, person: Person, metre: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Rotation (3,3) of the forearm from the rest hand's axes, and the wrist's depth."""
        shoulder, elbow, *_ = self._joints
        if confidence[shoulder] >= JOINT_LEAST and person.middle is not None:
            self._shoulder = xy[shoulder] - person.middle
        if self._shoulder is None or person.middle is None:
            middle, start = wrist, _RAISED
        else:
            middle, start = person.middle, self._shoulder * self._mirror / metre
        from_middle = lambda place: (place - middle) * self._mirror / metre  # noqa: E731
        seen, columns = bool(confidence[elbow] >= JOINT_LEAST), np.empty((3, 3))
        body = anatomy().body
        depth = arms.arm(*start, from_middle(xy[elbow]), from_middle(wrist), seen, body, self._arm, columns)
        return columns @ anatomy().forearm, depth

    def _fit(self, seen: np.ndarray, weights: np.ndarray, forearm: np.ndarray) -> None:
        main = follow(seen, weights, forearm, self._main, self._fits, anatomy(), self._solutions, self._costs)
        self._fits += 1
        if self._main < 0:
            self._left_over[:] = 0
        elif main != self._main:  # a new solution comes in over some frames
            self._left_over = self._angles - self._solutions[main]
        self._left_over *= _EASE
        self._main, self._lost = main, 0
        self._angles = self._solutions[main] + self._left_over
        limit(self._angles, anatomy().low, anatomy().high)

    def _believe(self, error: float | None) -> None:
        """Strength from the error of the fit, or from how long the hand has been lost."""
        if error is not None:
            wanted = (_BAD - error) / (_BAD - _GOOD)
        else:
            wanted = (_GONE - (self._lost or 0)) / (_GONE - _HELD)
        wanted = min(max(wanted, 0.0), 1.0)
        if self._strength < 0:  # a clip begins with its hands
            self._strength = wanted
        self._strength += min(max(wanted - self._strength, -_CHANGE), _CHANGE)
