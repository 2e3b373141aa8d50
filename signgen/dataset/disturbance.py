"""Drawn signers have exact keypoints; here they get the faults that estimators and text-to-pose models have.

What a network is to draw stays as it was: only the driving signal is disturbed. Errors of position are therefore kept
small where they would ask for a picture that the signal cannot tell, and large where the signal says it twice: the
body's wrist may lie far from the hand's root, the hand's own points may not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.keypoints.skeleton import (
    BOTH_HANDS,
    BROWS,
    EYELIDS,
    FACE,
    FACE_NOSE,
    HEAD,
    INNER_LIPS,
    JAW,
    LEFT_SHOULDER,
    LEFT_WRIST,
    LOWER_BODY,
    MIDDLE_KNUCKLE,
    OUTER_LIPS,
    RIGHT_HIP,
    RIGHT_WRIST,
)

ARMS_AND_HIPS = slice(LEFT_SHOULDER, RIGHT_HIP + 1)
WRISTS = slice(LEFT_WRIST, RIGHT_WRIST + 1)
FACE_PARTS = (JAW, BROWS, FACE_NOSE, EYELIDS, OUTER_LIPS, INNER_LIPS)

GUESSED = (0.2, 0.95)  # confidence of a joint that is placed by extrapolation: some estimators are quite sure
KEPT = 0.8  # of a drifting error, from one frame to the next
BURST = 2.5  # px, deviation of a finger's points in a burst of jitter
ASTRAY = 6.0  # px, deviation of a hand that is found in the wrong place
SURE = 0.92  # confidence of a point that drawn signers show plainly
UNSURE = (0.1, 0.5)  # what is left of the confidence of points that are right and doubted
STALE = (0.45, 0.6)  # what is left of the confidence of a hand whose shape is carried over from another frame
CORNER = 2.0  # px; a point this near to the frame's corner is one whose place nobody knows
CLOSE = 1.0  # distance of two hands, in lengths of a hand, below which an estimator may take one for the other


@dataclass(frozen=True)
class Disturbance:
    """How much of each fault there is. Positions are in pixels of the frame; shares lie between 0 and 1.

    "For a run" means in consecutive frames of the window, from one of them to all; a share of hands is drawn for each
    hand of each window by itself.

    Attributes:
        share: windows that get any fault. The others keep their keypoints as they are, but for ``drop_legs``.
        jitter: largest deviation of each coordinate, new in every frame. Some clips are cleaner than others: each
            window's own deviation is drawn evenly from 0 to this.
        drift: the same for an error that lasts, of which `KEPT` stays from frame to frame.
        wrist_offset: largest deviation of the body's wrists from the hands' roots, which stays the same over a window;
            MediaPipe's lie half a palm apart.
        hand_offset: deviation of each hand as a whole, one for a window.
        hand_scale: deviation of the logarithm of each hand's size about its root, one for a window.
        burst: share of hands of which one finger shakes for a run.
        astray: share of hands that are found in the wrong place for a run, with high confidence.
        swap_hands: share of windows in which, for a run, hands close to each other change sides.
        stale_hand: share of hands that keep, for a run, the shape they had before it and only follow their root, with
            half the confidence: how `signgen render` completes a missing hand.
        drop_hand: share of hands lost in the whole window.
        gap_hand: share of hands lost for a run.
        drop_finger: share of hands without one finger, for a run.
        drop_point: share of the points of hands and face lost, each by itself.
        drop_face: share of windows without the 68 face points and without nose, eyes and ears; gap_face: for a run.
        drop_legs: share of windows without hips, knees and feet.
        bare: share of windows as text-to-pose models write them (`.skels`): no face, eyes, ears, hips and legs, every
            other confidence 1.
        fade: confidences are multiplied by a number from 1 - fade to 1, one for each window.
        unsure: share of hands and of faces that are right and doubted for a run.
        binary: share of windows in which a point is either missing or fully sure, as MediaPipe's hands and faces are.
        beyond_body, beyond_hands: share of windows whose joints outside of the frame are guessed instead of
            missing: most estimators extrapolate an elbow, some a hand.
        face_layout: share of windows with another estimator's face, converted to 68 points: every part of it displaced
            by about `face_offset` in the whole window.
        face_offset: deviation of the parts of such a face; that of its single points is a third of it.
        face_part: share of such faces that lack the jaw, the nose, the inner lips, or the body's nose, eyes and ears,
            each drawn by itself.
    """

    share: float = 1.0
    jitter: float = 0.6
    drift: float = 0.5
    wrist_offset: float = 8.0
    hand_offset: float = 0.4
    hand_scale: float = 0.03
    burst: float = 0.05
    astray: float = 0.01
    swap_hands: float = 0.04
    stale_hand: float = 0.05
    drop_hand: float = 0.06
    gap_hand: float = 0.08
    drop_finger: float = 0.06
    drop_point: float = 0.01
    drop_face: float = 0.04
    gap_face: float = 0.02
    drop_legs: float = 0.3
    bare: float = 0.04
    fade: float = 0.3
    unsure: float = 0.08
    binary: float = 0.15
    beyond_body: float = 0.6
    beyond_hands: float = 0.25
    face_layout: float = 0.3
    face_offset: float = 0.9
    face_part: float = 0.15


def disturb(keypoints: np.ndarray, rng: np.random.Generator, how: Disturbance) -> np.ndarray:
    """(B, V, 133, 3) x, y, confidence of windows of V frames -> the same shape, disturbed; the input stays as it is.

    A lost point has confidence 0. What comes out depends on the input, ``how`` and the state of ``rng`` alone.
    """
    points = np.array(keypoints, np.float32)
    _guess_beyond(points, rng, how)
    hands = points[:, :, BOTH_HANDS].reshape(*points.shape[:2], 2, 21, 3)  # (B, V, side, 21, 3)
    _move_hands(hands, rng, how)
    _doubt_hands(hands, rng, how)
    _swap_hands(hands, rng, how)
    points[:, :, BOTH_HANDS] = hands.reshape(*points.shape[:2], 42, 3)
    _other_faces(points, rng, how)
    _shake(points, rng, how)
    _doubt(points, rng, how)
    _lose(points, rng, how)
    if how.share < 1:
        _spare(points, keypoints, rng, how)
    return points


def _spare(points: np.ndarray, before: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Some windows as they were ``before``; where there are no legs to be drawn, these have none either."""
    spared = rng.random(len(points)) >= how.share
    legs = (rng.random((len(points), 1, 1)) >= how.drop_legs)[spared]
    points[spared] = before[spared]
    points[spared, :, LOWER_BODY, 2] *= legs


def _placed(xy: np.ndarray) -> np.ndarray:
    """(..., 2) -> (...): whether a place is known. Drawn signers have one for each point, estimators only for those
    that they have found; the others lie at (0, 0)."""
    return np.abs(xy).max(-1) > CORNER


def _runs(rng: np.random.Generator, share: float, windows: int, frames: int, parts: int = 1) -> np.ndarray:
    """bool (B, V, parts): true for consecutive frames of about ``share`` of the parts of the windows."""
    first, last = np.sort(rng.integers(0, frames, (2, windows, 1, parts)), axis=0)
    frame = np.arange(frames)[:, None]
    return (rng.random((windows, 1, parts)) < share) & (first <= frame) & (frame <= last)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float | np.ndarray) -> np.ndarray:
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


# --- places ---------------------------------------------------------------------------------------------------
def _guess_beyond(points: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Joints outside of the frame, which drawn signers have at confidence 0 in their true place."""
    for part, share in ((ARMS_AND_HIPS, how.beyond_body), (BOTH_HANDS, how.beyond_hands)):
        guessed = rng.random((len(points), 1, 1)) < share
        sureness = rng.uniform(*GUESSED, (len(points), 1, 1))
        confidence = points[:, :, part, 2]
        unseen = (confidence == 0) & _placed(points[:, :, part, :2])
        points[:, :, part, 2] = np.where(guessed & unseen, sureness, confidence)


def _move_hands(hands: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Stale shapes, wrong sizes, wrong places, and a finger that shakes."""
    windows, frames = hands.shape[:2]
    xy, roots = hands[..., :2], hands[..., :1, :2].copy()
    stale = _runs(rng, how.stale_hand, windows, frames, 2)
    before = np.maximum(stale.argmax(1) - 1, 0)[:, None, :, None, None]  # the frame before the run, else its first
    stale &= _placed(np.take_along_axis(roots[..., 0, :], before[..., 0, 0, None], 1))
    shape = xy - roots
    xy += stale[..., None, None] * (np.take_along_axis(shape, before, 1) - shape)
    hands[..., 2] *= np.where(stale, rng.uniform(*STALE, (windows, 1, 2)), 1)[..., None]
    xy += (xy - roots) * np.expm1(_normal(rng, (windows, 1, 2, 1, 1), how.hand_scale))
    xy += _normal(rng, (windows, 1, 2, 1, 2), how.hand_offset)
    astray = _runs(rng, how.astray, windows, frames, 2)
    xy += astray[..., None, None] * _normal(rng, (windows, 1, 2, 1, 2), ASTRAY)
    found = astray[..., None] & (hands[..., 2] > 0)
    hands[..., 2] = np.where(found, np.maximum(hands[..., 2], SURE), hands[..., 2])
    shaking = _finger(rng, windows) & _runs(rng, how.burst, windows, frames, 2)[..., None]
    xy += shaking[..., None] * _normal(rng, xy.shape, BURST)


def _finger(rng: np.random.Generator, windows: int) -> np.ndarray:
    """bool (B, 1, side, 21): the four points of one finger of each hand."""
    point = np.arange(21)
    return (point > 0) & ((point - 1) // 4 == rng.integers(0, 5, (windows, 1, 2, 1)))


def _swap_hands(hands: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Left for right and right for left where both are seen and close to each other."""
    middle = hands[:, :, :, MIDDLE_KNUCKLE]
    length = np.linalg.norm(hands[..., :2] - hands[..., :1, :2], axis=-1).max(-1).mean(-1)  # (B, V)
    close = np.linalg.norm(middle[:, :, 0, :2] - middle[:, :, 1, :2], axis=-1) < CLOSE * length
    seen = (middle[..., 2] > 0).all(-1)
    swapped = _runs(rng, how.swap_hands, *hands.shape[:2])[..., 0] & close & seen
    hands[swapped] = hands[swapped][:, ::-1]


def _other_faces(points: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Another estimator's idea of where the 68 points lie, constant over the window, and parts that it does not have.

    MediaPipe's mesh, reduced to 68 of its vertices, puts the jaw and the brows elsewhere; its 178-point variant has no
    nose and no head in the body; other face models have no jaw, or no inner lips.
    """
    windows = len(points)
    other = rng.random((windows, 1, 1)) < how.face_layout
    for part in FACE_PARTS:
        count = part.stop - part.start
        place = _normal(rng, (windows, 1, 1, 2), how.face_offset)
        place = place + _normal(rng, (windows, 1, count, 2), how.face_offset / 3)
        points[:, :, part, :2] += other[..., None] * place
    for part in (JAW, FACE_NOSE, INNER_LIPS, HEAD):
        points[:, :, part, 2] *= ~(other & (rng.random((windows, 1, 1)) < how.face_part))


def _shake(points: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """White jitter, drift, and body wrists beside the hands' roots."""
    shape = points[..., :2].shape
    wrists = _normal(rng, (len(points), 1, 2, 2), how.wrist_offset)
    points[:, :, WRISTS, :2] += wrists * rng.random((len(points), 1, 1, 1), np.float32)
    drift = _normal(rng, shape, 1)
    for frame in range(1, shape[1]):
        drift[:, frame] = KEPT * drift[:, frame - 1] + np.sqrt(1 - KEPT**2) * drift[:, frame]
    points[..., :2] += drift * how.drift * rng.random((len(points), 1, 1, 1), np.float32)
    points[..., :2] += _normal(rng, shape, how.jitter) * rng.random((len(points), 1, 1, 1), np.float32)


# --- confidences ----------------------------------------------------------------------------------------------
def _doubt_hands(hands: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    unsure = _runs(rng, how.unsure, *hands.shape[:3])
    hands[..., 2] *= np.where(unsure, rng.uniform(*UNSURE, (len(hands), 1, 2)), 1)[..., None]


def _doubt(points: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    """Doubted faces, fading, and confidences of 0 and 1 only."""
    windows, frames = points.shape[:2]
    unsure = _runs(rng, how.unsure, windows, frames)
    points[:, :, FACE, 2] *= np.where(unsure, rng.uniform(*UNSURE, (windows, 1, 1)), 1)
    points[..., 2] *= 1 - how.fade * rng.random((windows, 1, 1), np.float32)
    binary = rng.random((windows, 1, 1)) < how.binary
    points[..., 2] = np.where(binary, points[..., 2] > 0, points[..., 2])


# --- losses ---------------------------------------------------------------------------------------------------
def _lose(points: np.ndarray, rng: np.random.Generator, how: Disturbance) -> None:
    windows, frames = points.shape[:2]
    confidence = points[..., 2]
    bare = rng.random((windows, 1, 1)) < how.bare
    confidence[:] = np.where(bare, confidence > 0, confidence)
    hands = (rng.random((windows, 1, 2)) < how.drop_hand) | _runs(rng, how.gap_hand, windows, frames, 2)
    fingers = _finger(rng, windows) & _runs(rng, how.drop_finger, windows, frames, 2)[..., None]
    lost = hands[..., None] | fingers  # (B, V, side, 21)
    confidence[:, :, BOTH_HANDS] *= ~lost.reshape(windows, frames, 42)
    face_and_hands = confidence[:, :, FACE.start :]
    face_and_hands *= rng.random(face_and_hands.shape, np.float32) >= how.drop_point
    faceless = (rng.random((windows, 1, 1)) < how.drop_face) | _runs(rng, how.gap_face, windows, frames)
    confidence[:, :, FACE] *= ~(faceless | bare)
    confidence[:, :, HEAD] *= ~faceless  # an estimator that loses the face usually loses nose, eyes and ears as well
    confidence[:, :, HEAD.start + 1 : HEAD.stop] *= ~bare
    confidence[:, :, LOWER_BODY] *= ~((rng.random((windows, 1, 1)) < how.drop_legs) | bare)
