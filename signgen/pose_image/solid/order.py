"""Which of two hands lies in front where they overlap in the picture: decided from depths and confidences, and held.

The picture's points say little of depth. But a point that another hand covers is doubted by whoever found it, so the
hand whose points within the other are surer is the front one. What one frame says is added up over time.
"""

from __future__ import annotations

import math

import numpy as np

from signgen.pose_image.solid.kinematics import compiled
from signgen.pose_image.solid.tracking import Poses

# Bones of a hand's 21 points: the fingers with their palm bones, and across the knuckles.
_BONES = np.array(
    [(0 if k % 4 == 1 else k - 1, k) for k in range(1, 21)] + [(k, k + 4) for k in (1, 5, 9, 13)], np.int64
)
_RADIUS = 0.012  # metres around a bone that are hand
_LEAST = 3  # points of both hands within the other from which they overlap
# Log-odds for the left hand: of its share of points within the other hand; of their confidence, and of that against the
# confidence of its other points, over those of the right hand; of metres by which it is nearer. From drawn clips.
_SHARE, _INSIDE, _DOUBT, _NEARER = 3.2, 2.6, 4.7, 7.0
_FARTHEST = 0.1  # metres
_MEMORY, _MOST = 0.55, 6.0  # of log-odds from frame to frame; their bound
_SWITCH = 0.8  # log-odds by which the other hand must be in front
_APART, _WHOLE = 0.03, 0.1  # metres between them; share of points that may still be behind
_RETURN = 0.7  # of a move towards the camera that is left a frame after it is not needed


@compiled
def _within(points, others, bones, radius, depths, nearest):  # type: ignore[no-untyped-def]
    """Metres (21,) by which each point (21,3) lies before the other hand's nearest bone, and its distance from it over
    ``radius`` pixels: below 1 within the other hand."""
    for k in range(points.shape[0]):
        nearest[k], depths[k] = 1e9, 0.0
        for bone in range(bones.shape[0]):
            a, b = bones[bone, 0], bones[bone, 1]
            dx, dy = others[b, 0] - others[a, 0], others[b, 1] - others[a, 1]
            ex, ey = points[k, 0] - others[a, 0], points[k, 1] - others[a, 1]
            t = min(max((ex * dx + ey * dy) / max(dx * dx + dy * dy, 1e-9), 0.0), 1.0)
            away = math.sqrt((ex - t * dx) ** 2 + (ey - t * dy) ** 2) / radius
            if away < nearest[k]:
                nearest[k] = away
                depths[k] = (1 - t) * others[a, 2] + t * others[b, 2] - points[k, 2]


class Order:
    """The order of both hands from the frames so far."""

    def __init__(self) -> None:
        self._odds, self._left_in_front, self._moved = 0.0, True, 0.0
        self._undecided = True

    def step(self, confidence: np.ndarray, out: Poses, frame: int) -> None:
        """Moves the front hand of a frame towards the camera, as far as the order needs it.

        ``confidence``: (2,21) of the points of the left and of the right hand.
        """
        self._moved *= _RETURN
        self._odds *= _MEMORY
        if out.strength[frame].min() > 0:
            depths, away = np.empty((2, 21)), np.empty((2, 21))
            for side in range(2):
                own, other = out.points[frame, side], out.points[frame, 1 - side]
                radius = _RADIUS * out.scale[frame, 1 - side, 1]
                _within(own, other, _BONES, radius, depths[side], away[side])
            within = away < 1
            if within.sum() >= _LEAST:
                self._decide(confidence, within, depths)
                self._apart(within, depths)
        if self._moved > 0:
            front = 0 if self._left_in_front else 1
            out.depth[frame, front] -= self._moved
            out.points[frame, front, :, 2] -= self._moved

    def _decide(self, confidence: np.ndarray, within: np.ndarray, depths: np.ndarray) -> None:
        signs = np.array([1.0, -1.0])
        count = within.sum(1)
        inside = (confidence * within).sum(1) / np.maximum(count, 1)
        outside = (confidence * ~within).sum(1) / np.maximum(21 - count, 1)
        both = (count > 0) & (count < 21)
        usual = confidence[within].mean()
        odds = signs @ (_SHARE * count / 21 + _INSIDE * np.where(count > 0, inside, usual))
        odds += signs @ (_DOUBT * np.where(both, inside - outside, 0))
        nearer = (signs[:, None] * depths)[within]
        odds += _NEARER * min(max(float(np.median(nearer)), -_FARTHEST), _FARTHEST)
        self._odds = min(max(self._odds + odds, -_MOST), _MOST)
        if self._undecided:
            self._left_in_front, self._undecided = self._odds > 0, False
        elif (self._odds if self._left_in_front else -self._odds) < -_SWITCH:
            self._left_in_front, self._moved = not self._left_in_front, 0.0

    def _apart(self, within: np.ndarray, depths: np.ndarray) -> None:
        before = np.concatenate([depths[0][within[0]], -depths[1][within[1]]])  # metres of the left hand
        if not self._left_in_front:
            before = -before
        self._moved = max(self._moved, _APART - float(np.quantile(before, _WHOLE)))
