"""Arms from a picture: depth of elbows and wrists from the lengths of bones, bent the way arms can bend.

A bone that looks shorter than it is leads towards the camera or away from it. Of the four ways that two bones can take
in each frame, the likeliest run over time is chosen: elbows near the plane of the shoulders, hands before the body,
nothing that jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.synthetic.body.rotations import normalise, rotate, transpose
from signgen.synthetic.motion.collisions import smooth
from signgen.synthetic.motion.posing import Poser
from signgen.synthetic.motion.posture import Joint
from signgen.synthetic.replay.view import View, continued

_SIGNS = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])  # elbow, wrist: -1 towards the camera
_STILL = 0.03  # metres of depth a frame that cost as much as an unlikely pose
_SMOOTHING = 1.2  # frames
_USUAL_REACH = (0.12, 0.27)  # metres of a hand before the shoulders: of a low one, of a raised one
_USUAL_ELBOW = (-0.03, 0.06)  # and of its elbow
_LOW, _HIGH = -0.45, -0.15  # metres over the shoulders
_ROUNDS = 3


@dataclass(frozen=True)
class ArmTargets:
    """One arm in the picture: native pixels (T, 2) of elbow and wrist, and whether (T,) they were seen; `beside` (3,)
    leads from the bones' joint to the elbow's keypoint, rest axes of the upper arm."""

    elbow: np.ndarray
    wrist: np.ndarray
    elbow_seen: np.ndarray
    wrist_seen: np.ndarray
    beside: np.ndarray


def fit_arm(
    poser: Poser, side: str, chest: Joint, shift: np.ndarray, view: View, targets: ArmTargets
) -> tuple[np.ndarray, np.ndarray]:
    """Wrist and elbow direction of one arm.

    Args:
        chest: posed chest of T instants.
        shift: (T, 3) metres by which the whole body is moved.

    Returns:
        `wrist` and `pole` of `posture.ArmTrack`: (T, 3) each, chest frame.
    """
    rest, sign = poser.rest[side], 1.0 if side == "L" else -1.0
    upper, lower = float(np.linalg.norm(rest.upper)), float(np.linalg.norm(rest.lower))
    wrist = np.tile([sign * 0.2, -0.5, -0.3], (len(shift), 1)) * poser.arm_length
    pole = np.tile(normalise(np.array([0.5 * sign, -0.2, -0.85])), (len(shift), 1))
    if not targets.wrist_seen.any():
        return np.tile(np.array([0.42 * sign, -0.17, -0.8]) * poser.arm_length, (len(shift), 1)), pole
    elbow_pixels = continued(targets.elbow, targets.elbow_seen)
    wrist_pixels = continued(targets.wrist, targets.wrist_seen)
    for _ in range(_ROUNDS):
        arm = poser.reach_arm(side, chest, wrist, pole)
        shoulder = chest.head + rotate(chest.rotation, rest.shoulder) + rotate(arm.shoulder, rest.clavicle)
        start = view.turned(shoulder + shift)
        if targets.elbow_seen.any():
            beside = view.turned(rotate(arm.upper, targets.beside))
            bent = elbow_pixels - np.stack([beside[:, 0], -beside[:, 2]], -1) * view.scale
            elbow, hand = _choose(start, bent, wrist_pixels, upper, lower, view)
        else:
            elbow, hand = None, _alone(start, wrist_pixels, 0.97 * (upper + lower), view)
        wrist = poser.to_chest(chest, view.back(hand) - shift)
        if elbow is not None:
            pole = _pole(view.back(elbow), view.back(start), view.back(hand), chest, pole)
    return wrist, pole


def _pole(elbow: np.ndarray, shoulder: np.ndarray, wrist: np.ndarray, chest: Joint, usual: np.ndarray) -> np.ndarray:
    """Direction of the elbow off the line from shoulder to wrist; the usual one where the arm is straight."""
    line = normalise(wrist - shoulder)
    off = elbow - shoulder
    off = rotate(transpose(chest.rotation), off - np.sum(off * line, -1, keepdims=True) * line)
    return normalise(smooth(off + 0.02 * usual, _SMOOTHING))


def _alone(start: np.ndarray, pixels: np.ndarray, reach: float, view: View) -> np.ndarray:
    """A wrist whose elbow is never seen: as far before the shoulder as hands usually are, within reach."""
    point = view.at_depth(pixels, start[:, 1] - _USUAL_REACH[1])
    usual = _USUAL_REACH[0] + (_USUAL_REACH[1] - _USUAL_REACH[0]) * _raised(point, start)
    aside = np.linalg.norm((point - start)[:, [0, 2]], axis=-1)
    most = np.sqrt(np.maximum(reach**2 - aside**2, 0.0))
    return view.at_depth(pixels, smooth((start[:, 1] - np.minimum(usual, most))[:, None], _SMOOTHING)[:, 0])


def _raised(wrist: np.ndarray, shoulder: np.ndarray) -> np.ndarray:
    """0 for a low hand .. 1 for a raised one, (T,)."""
    return np.clip((wrist[:, 2] - shoulder[:, 2] - _LOW) / (_HIGH - _LOW), 0.0, 1.0)


def _bone(start: np.ndarray, pixels: np.ndarray, length: float, sign: np.ndarray, view: View) -> np.ndarray:
    """Ends (T, 3) of bones that begin at `start` and are seen to end at `pixels`, towards or away from the camera."""
    depth = start[:, 1]
    for _ in range(4):
        aside = np.linalg.norm((view.at_depth(pixels, depth) - start)[:, [0, 2]], axis=-1)
        depth = start[:, 1] + sign * np.sqrt(np.maximum(length**2 - aside**2, 0.0))
    return view.at_depth(pixels, depth)


def _choose(
    start: np.ndarray, elbow: np.ndarray, wrist: np.ndarray, upper: float, lower: float, view: View
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest elbows and wrists (T, 3) in view axes."""
    count = len(start)
    elbows = np.stack([_bone(start, elbow, upper, np.full(count, s), view) for s in _SIGNS[:, 0]], 1)
    wrists = np.stack([_bone(elbows[:, k], wrist, lower, np.full(count, _SIGNS[k, 1]), view) for k in range(4)], 1)
    raised = _raised(wrists[:, 0], start)[:, None]
    usual_elbow = _USUAL_ELBOW[0] + (_USUAL_ELBOW[1] - _USUAL_ELBOW[0]) * raised
    usual_reach = _USUAL_REACH[0] + (_USUAL_REACH[1] - _USUAL_REACH[0]) * raised
    behind_elbow = elbows[..., 1] - start[:, None, 1]
    before = start[:, None, 1] - wrists[..., 1]
    cost = (
        ((behind_elbow + usual_elbow) / 0.1) ** 2
        + (np.maximum(0.08 - before, 0) / 0.05) ** 2
        + ((before - usual_reach) / 0.2) ** 2
        + (np.maximum(wrists[..., 1] - elbows[..., 1], 0) / 0.1) ** 2
    )
    depths = np.stack([elbows[..., 1], wrists[..., 1]], -1)
    change = np.abs(depths[1:, None, :, :] - depths[:-1, :, None, :]).sum(-1) / _STILL
    path = likeliest(cost, np.minimum(change, 8.0))
    rows = np.arange(count)
    # A forearm that looks as long as it is, or longer, says nothing of the depth: hands are then before the shoulders,
    # or else the arm would have to lift its elbow aside to fold so far.
    aside = np.linalg.norm((view.at_depth(wrist, elbows[rows, path, 1]) - elbows[rows, path])[:, [0, 2]], axis=-1)
    unsaid = np.clip((aside / lower - 0.88) / 0.1, 0.0, 1.0)
    usual = np.minimum(start[:, 1] - usual_reach[:, 0], wrists[rows, path, 1])
    wrists[rows, path, 1] += unsaid * (usual - wrists[rows, path, 1])
    even = lambda points, pixels: view.at_depth(pixels, smooth(points[rows, path][:, 1:2], _SMOOTHING)[:, 0])  # noqa: E731
    return even(elbows, elbow), even(wrists, wrist)


def likeliest(cost: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The run of states (T,) with the least sum of costs (T, K) and of changes (T - 1, K, K) from state to state."""
    best, came = cost[0], np.zeros(cost.shape, int)
    for t in range(1, len(cost)):
        ways = best[:, None] + change[t - 1]
        came[t] = np.argmin(ways, 0)
        best = ways[came[t], np.arange(cost.shape[1])] + cost[t]
    path = np.empty(len(cost), int)
    path[-1] = int(np.argmin(best))
    for t in range(len(cost) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path
