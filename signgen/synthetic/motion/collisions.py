"""Keeps hands out of the face, the trunk and each other.

Hands and forearms are sets of spheres. Where they enter something, the wrist is moved by the depth of the deepest one;
the corrections are smoothed over time and the step is repeated, so hands glide along instead of jumping.
"""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body.rotations import normalise, rotate, transpose
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.posture import SIDES, Joint, Posture

# Radii in metres of the spheres: four per finger from knuckle to tip (thumb first), wrist, palm, two on the forearm.
_RADII = np.array([0.015, 0.012, 0.011, 0.010] + [0.014, 0.011, 0.010, 0.009] * 4 + [0.027, 0.022, 0.034, 0.040])
_HAND = slice(0, 22)
_FACE_MARGIN, _TOUCH = 0.003, 0.004
_ROUNDS = 12


def separate(anatomy: Anatomy, posture: Posture, ease: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Posture:
    """The posture with wrists moved so that neither hand enters head, trunk or the other hand.

    `ease` are shares of the moves along the world's axes: a small one keeps hands where they are seen along that axis.
    """
    chest = anatomy.poser.chest(posture.torso)
    head = anatomy.poser.head(chest, posture.head)
    shapes = {side: _shape_points(anatomy, side, posture) for side in SIDES}
    for _ in range(_ROUNDS):
        spheres = {side: _spheres(anatomy, side, posture, chest, shapes[side]) for side in SIDES}
        apart = _apart(spheres["R"], spheres["L"])
        for side, sign in (("R", 1.0), ("L", -1.0)):
            push = sign * apart + _out_of_body(anatomy, spheres[side], chest, head)
            # Smoothed and enlarged, so that a hand begins to give way before it would touch.
            push = 1.25 * smooth(rotate(transpose(chest.rotation), push * ease), 3.0)
            posture = posture.with_arm(side, wrist=posture.arms[side].wrist + push)
    return posture


def _shape_points(anatomy: Anatomy, side: str, posture: Posture) -> np.ndarray:
    """Finger joints, wrist and palm (N, 22, 3), from the wrist in the rest hand's axes."""
    points = anatomy.poser.hand_points(side, posture.arms[side].fingers)
    flat = points.reshape(len(points), 20, 3)
    palm = 0.5 * points[:, 2:3, 0]
    return np.concatenate([flat, np.zeros_like(palm), palm], 1)


def _spheres(anatomy: Anatomy, side: str, posture: Posture, chest: Joint, shape: np.ndarray) -> np.ndarray:
    """World centres of all spheres of one arm: (N, 24, 3)."""
    track, poser = posture.arms[side], anatomy.poser
    arm = poser.turn_hand(side, poser.reach_arm(side, chest, track.wrist, track.pole), track.hand)
    hand = np.einsum("nij,npj->npi", arm.hand, shape) + arm.wrist[:, None]
    forearm = [arm.wrist + share * (arm.elbow - arm.wrist) for share in (0.25, 0.55)]
    return np.concatenate([hand, np.stack(forearm, 1)], 1)


def _out_of_body(anatomy: Anatomy, spheres: np.ndarray, chest: Joint, head: Joint) -> np.ndarray:
    hand, radii = spheres[:, _HAND], _RADII[_HAND]
    push = anatomy.out_of_head(hand, radii, head, _FACE_MARGIN)
    n, p = hand.shape[:2]
    spread = Joint(np.repeat(chest.rotation, p, 0), np.repeat(chest.head, p, 0))
    local = anatomy.poser.to_chest(spread, hand.reshape(-1, 3)).reshape(n, p, 3)
    forward = rotate(chest.rotation, anatomy.out_of_torso(local, radii))
    return np.where(
        np.linalg.norm(forward, axis=-1, keepdims=True) > np.linalg.norm(push, axis=-1, keepdims=True), forward, push
    )


def _apart(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """World push (N, 3) for the right hand, half the depth; the left one gets its negative."""
    delta = right[:, :, None] - left[:, None]
    gap = np.linalg.norm(delta, axis=-1) - (_RADII[:, None] + _RADII[None]) + _TOUCH
    flat = gap.reshape(len(gap), -1)
    worst = np.argmin(flat, 1)
    rows = np.arange(len(flat))
    depth = np.maximum(-flat[rows, worst], 0.0)
    centres = right[:, 21] - left[:, 21]
    direction = normalise(0.5 * normalise(delta.reshape(len(flat), -1, 3)[rows, worst]) + normalise(centres))
    return 0.5 * depth[:, None] * direction


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter along time (N, C), ends repeated; sigma in samples."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return windows @ (kernel / kernel.sum())
