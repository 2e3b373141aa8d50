"""Hands from a picture: forearm twist, wrist bend and 20 finger angles that put the 21 points where they were seen.

A damped least-squares fit of all frames at once, from several first guesses. What the picture leaves open (depth) is
decided by how hands are built and used: bones keep their lengths, joints their ranges, and the finger angles stay
near those of the table of hand shapes (their mean and covariance). Then the best run over time is chosen and the fit
is repeated with each frame drawn towards its neighbours.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from signgen.synthetic.motion.collisions import smooth
from signgen.synthetic.motion.handshapes import HANDSHAPES, LIMITS, N_ANGLES, clamp_angles, shape_angles
from signgen.synthetic.motion.posing import Poser, limit_hand
from signgen.synthetic.replay.arms import likeliest
from signgen.synthetic.replay.view import View, continued

_TURNS, _BENDS = (-100.0, -50.0, 0.0, 50.0, 100.0), (-25.0, 25.0)  # degrees: first guesses of twist and flexion
_LOOSE, _SHAPE_WEIGHT = 6.0, 0.45  # degrees added to the table's spread; weight of the prior against 1 pixel
_BEND_SPREAD, _BEND_WEIGHT = (90.0, 35.0, 18.0), 0.5
_ROBUST = 2.5  # pixels from where on an error counts linearly
_ROUNDS, _REFINED, _PASSES = 9, 4, 2
_DRAWN_TO = 0.06  # weight a degree of the neighbours in time
_FREEDOM = 1.35
_STEP = 0.5  # degrees, of the numeric derivative
_LEAST_POINTS = 8
_SIZES = (0.75, 1.35)
_SPANS = ((0, 5), (0, 9), (0, 13), (0, 17), (5, 17), (0, 9, 10, 11, 12), (0, 5, 6, 7, 8))  # chains of hand points
# Columns of the finger angles that may be changed together since they move different fingers.
_GROUPS = [[0, 3, 6, 9, 16], [1, 4, 7, 10, 17], [2, 5, 8, 11, 18], [12, 13, 14, 15, 19]]
_FINGER_OF = np.array([1] * 3 + [2] * 3 + [3] * 3 + [4] * 3 + [1, 2, 3, 4] + [0] * 4)  # row of `hand_points`


@lru_cache(maxsize=1)
def _prior() -> tuple[np.ndarray, np.ndarray]:
    """Mean (20,) and precision (20, 20) of the finger angles."""
    table = np.stack(list(HANDSHAPES.values())).astype(float)
    covariance = np.cov(table.T) + _LOOSE**2 * np.eye(N_ANGLES)
    return table.mean(0), _SHAPE_WEIGHT**2 * np.linalg.inv(covariance)


class _Hand:
    """One hand before the camera: channels (N, 23) to points relative to the wrist, native pixels."""

    def __init__(self, poser: Poser, side: str, view: View) -> None:
        self.poser, self.side = poser, side
        axes = view.turned(np.eye(3)).T  # columns: world axes in the view
        self.to_pixels = np.stack([axes[0], -axes[2]]) * view.scale[:, None]

    def _turned(self, hand: np.ndarray, lower: np.ndarray, near: np.ndarray) -> np.ndarray:
        twist, swing = self.poser.hand_parts(self.side, hand)
        return near[:, None, None] * (self.to_pixels @ (lower @ twist @ swing))

    def points(self, q: np.ndarray, lower: np.ndarray, near: np.ndarray) -> np.ndarray:
        """(N, 5, 4, 2)."""
        local = self.poser.hand_points(self.side, q[:, 3:])
        return np.einsum("nij,nfkj->nfki", self._turned(q[:, :3], lower, near), local)

    def derivative(self, q: np.ndarray, lower: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 40) and their derivative (N, 40, 23) per degree."""
        local = self.poser.hand_points(self.side, q[:, 3:])
        turned = self._turned(q[:, :3], lower, near)
        base = np.einsum("nij,nfkj->nfki", turned, local)
        out = np.zeros((len(q), 5, 4, 2, 23))
        for k in range(3):
            moved = q[:, :3] + _STEP * np.eye(3)[k]
            out[..., k] = np.einsum("nij,nfkj->nfki", self._turned(moved, lower, near) - turned, local) / _STEP
        for group in _GROUPS:
            step = np.where(q[:, 3:][:, group] + _STEP > LIMITS[group, 1], -_STEP, _STEP)
            moved = q[:, 3:].copy()
            moved[:, group] += step
            change = np.einsum("nij,nfkj->nfki", turned, self.poser.hand_points(self.side, moved) - local)
            for k, column in enumerate(group):
                finger = _FINGER_OF[column]
                out[:, finger, :, :, 3 + column] = change[:, finger] / step[:, k, None, None]
        return base.reshape(len(q), 40), out.reshape(len(q), 40, 23)


def _solve(
    hand: _Hand,
    q: np.ndarray,
    lower: np.ndarray,
    near: np.ndarray,
    seen: np.ndarray,
    weight: np.ndarray,
    rounds: int,
    drawn: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Damped Gauss-Newton steps of N fits; returns channels (N, 23) and costs (N,)."""
    mean, precision = _prior()
    prior, centre = np.zeros((23, 23)), np.concatenate([np.zeros(3), mean])
    prior[:3, :3] = np.diag(_BEND_WEIGHT**2 / np.square(_BEND_SPREAD))
    prior[3:, 3:] = precision
    damping, cost, best = np.full(len(q), 1e-2), np.full(len(q), np.inf), q
    left, right = np.zeros((len(q), 23, 23)), np.zeros((len(q), 23))
    for _ in range(rounds + 1):
        points, slope = hand.derivative(q, lower, near)
        error = points - seen
        length = np.repeat(np.linalg.norm(error.reshape(-1, 20, 2), axis=-1), 2, -1)
        loss = np.where(length < _ROBUST, length**2, 2 * _ROBUST * length - _ROBUST**2)
        off = q - centre
        now = 0.5 * (weight * loss).sum(-1) + np.einsum("ni,ij,nj->n", off, prior, off)
        if drawn is not None:
            now = now + (_DRAWN_TO * (q - drawn) ** 2 * _DRAWN_TO).sum(-1)
        better = now < cost
        damping = np.clip(np.where(better, damping * 0.4, damping * 6.0), 1e-4, 1e3)
        cost, best = np.where(better, now, cost), np.where(better[:, None], q, best)
        w = 0.5 * weight * np.minimum(1.0, _ROBUST / np.maximum(length, 1e-6))
        weighted = slope * w[..., None]
        ahead = np.swapaxes(slope, 1, 2) @ weighted + prior
        down = -np.einsum("nia,ni->na", weighted, error) - off @ prior
        if drawn is not None:
            ahead = ahead + _DRAWN_TO**2 * np.eye(23)
            down = down - _DRAWN_TO**2 * (q - drawn)
        left, right = np.where(better[:, None, None], ahead, left), np.where(better[:, None], down, right)
        level = np.trace(left, axis1=1, axis2=2)[:, None, None] / 23
        step = np.linalg.solve(left + damping[:, None, None] * level * np.eye(23), right[..., None])[..., 0]
        q = _limited(best + step)
    return best, cost


def _limited(q: np.ndarray) -> np.ndarray:
    """Channels within what joints reach; the hand a little farther, since a forearm's depth is only estimated."""
    return np.concatenate([_FREEDOM * limit_hand(q[:, :3] / _FREEDOM), clamp_angles(q[:, 3:])], -1)


def fit_hand(
    poser: Poser, side: str, lower: np.ndarray, near: np.ndarray, view: View, points: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Wrist angles and finger angles of one hand over a clip.

    Args:
        lower: world rotation of the forearm (T, 3, 3).
        near: how much larger the hand appears for its depth (T,).
        points: the hand's 21 points, native pixels (T, 21, 2), wrist first.
        seen: bool (T, 21).

    Returns:
        (T, 3) and (T, 20) degrees as in `posture.ArmTrack`. Frames without the hand continue between their
        neighbours; a hand that is never seen hangs relaxed.
    """
    known = seen[:, 0] & (seen.sum(1) >= _LEAST_POINTS)
    count = len(points)
    if not known.any():
        return np.zeros((count, 3)), np.tile(shape_angles("relax").astype(float), (count, 1))
    hand = _Hand(poser, side, view)
    target = (points[:, 1:] - points[:, :1]).reshape(count, 40)
    weight = np.repeat(seen[:, 1:].astype(float), 2, -1) * known[:, None]
    starts = np.array([[turn, bend, 0.0, *_prior()[0]] for turn in _TURNS for bend in _BENDS])
    k = len(starts)
    rows = np.repeat(known, k)
    spread = lambda a: np.repeat(a, k, 0)[rows]  # noqa: E731 - one row per known frame and first guess
    guesses, costs = np.tile(starts, (count, 1)), np.zeros(count * k)
    guesses[rows], costs[rows] = _solve(
        hand, guesses[rows], spread(lower), spread(near), spread(target), spread(weight), _ROUNDS
    )
    q, cost = guesses.reshape(count, k, 23), costs.reshape(count, k)
    jump = np.abs(q[1:, None] - q[:-1, :, None]) * np.array([2.0, 2.0, 2.0] + [1.0] * 20)
    change = np.where((known[1:] & known[:-1])[:, None, None], np.minimum(jump.mean(-1) * 2.0, 60.0), 0.0)
    path = q[np.arange(count), likeliest(cost, change)]
    path = continued(path, known)
    for _ in range(_PASSES):
        drawn = smooth(path, 1.0)
        path[known], _ = _solve(
            hand, drawn[known], lower[known], near[known], target[known], weight[known], _REFINED, drawn[known]
        )
        path = continued(path, known)
    path = _limited(smooth(path, 0.6))
    return path[:, :3], path[:, 3:]


def scaled_hand(
    poser: Poser, side: str, near: np.ndarray, view: View, points: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """The driver's hand (T, 21, 2) at the size of the signer's, about the wrist.

    The longest that parts of the palm and the whole hand ever look is compared with how long they are. What is never
    seen in full looks too short, so of the parts' ratios a low one counts.
    """
    seen = seen & seen[:, :1]
    joints = np.concatenate([np.zeros((1, 3)), poser.rest[side].joints.reshape(20, 3)])
    ratios = []
    for chain in _SPANS:
        both = seen[:, chain[0]] & seen[:, chain[-1]]
        if both.any():
            offset = (points[both, chain[-1]] - points[both, chain[0]]) / view.scale / near[both, None]
            mine = np.linalg.norm(np.diff(joints[list(chain)], axis=0), axis=-1).sum()
            ratios.append(mine / max(float(np.quantile(np.linalg.norm(offset, axis=-1), 0.97)), 1e-6))
    factor = float(np.clip(np.quantile(ratios, 0.25), *_SIZES)) if ratios else 1.0
    return points[:, :1] + factor * (points - points[:, :1])
