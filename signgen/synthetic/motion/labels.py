"""Which hand shape each hand holds in each frame, from the score and the angles that the fingers really have."""

from __future__ import annotations

import numpy as np

from signgen.keypoints.skeleton import HANDS
from signgen.synthetic.motion.handshapes import HANDSHAPES
from signgen.synthetic.motion.posture import SIDES
from signgen.synthetic.motion.score import Score

NONE = -1
_IDLE_PLACES = ("thigh", "clasp")
_SHARE, _SLACK, _FARTHEST = 0.15, 0.8, 6.0  # of the way between two shapes; degrees, mean over the 20 angles
_HELD = 4.5  # degrees around a shape that stays: fluttering fingers, small unrest
_LEAST_POINTS = 16  # of a hand's 21 that must lie within the picture


def held_shapes(score: Score, fingers: dict[str, np.ndarray], times: np.ndarray) -> np.ndarray:
    """The hand shape that each hand holds, or is within 15 % of reaching or leaving.

    Args:
        score: the sentence; its keys say which shapes are meant.
        fingers: angles (N, 20) that the fingers really have, per side.
        times: instants (N,), frames.

    Returns:
        int16 (N, 2), left and right: index into `handshapes.HANDSHAPES`, or -1 in a transition between shapes, where
        another shape of the table is nearer, and while the hand rests below or is clasped.
    """
    table, number = np.stack(list(HANDSHAPES.values())).astype(float), {name: i for i, name in enumerate(HANDSHAPES)}
    gap = np.clip(np.searchsorted([cue.time for cue in score.cues], times, "right") - 1, 0, len(score.cues) - 2)
    out = np.full((len(times), 2), NONE, np.int16)
    for column, side in enumerate(SIDES):
        keys = [cue.hand if side == score.dominant else cue.other for cue in score.cues]
        shape = np.array([number[key.shape] for key in keys])
        idle = np.array([key.place in _IDLE_PLACES for key in keys])
        ends = np.stack([gap, gap + 1])  # (2, N) keys
        far = np.abs(table[None] - fingers[side][:, None]).mean(-1)  # (N, shapes)
        distance = np.take_along_axis(far, shape[ends].T, 1).T
        rows = np.arange(len(times))
        key = ends[np.argmin(distance, 0), rows]
        apart = np.abs(table[shape[gap]] - table[shape[gap + 1]]).mean(-1)
        limit = np.where(apart == 0, _HELD, np.minimum(_SHARE * apart + _SLACK, _FARTHEST))
        close = (distance.min(0) <= limit) & (far[rows, shape[key]] <= far.min(1) + 1e-6)
        out[:, column] = np.where(close & ~idle[key], shape[key], NONE)
    return out


def visible_hands(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool (T, 2), left and right: at least 16 of the hand's 21 points lie within the picture.

    Args:
        keypoints: (T, 133, 3), x, y in pixels and confidence.
        size: (width, height) of the picture.
    """
    inside = np.all((keypoints[..., :2] >= -0.5) & (keypoints[..., :2] < np.array(size) - 0.5), axis=-1)
    return np.stack([inside[:, hand].sum(-1) >= _LEAST_POINTS for hand in HANDS], -1)
