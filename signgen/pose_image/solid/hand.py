"""The hand that is fitted and drawn: mesh, joints, limits and the prior over its shapes, read once a process.

Only the left hand is stored; a right hand is its mirror image, and is fitted and posed as a left one in a mirrored
picture. Axes are the picture's: right, down, away from the camera. Metres, the wrist at 0. Vertices are numbered 0 to
n - 1; `HandMesh.ids` are their numbers in the template that all drawn signers share.

A pose is 23 angles in degrees: the forearm's twist, the wrist's flexion and deviation, then four a finger, thumb first:
spread (the thumb's opposition) and flexion of the three joints (the thumb: abduction, and two joints).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FILE = Path(__file__).parent / "hand.npz"
ANGLES = 23
PIXELS = 300.0  # of a metre, in which errors of a fit are counted: about those of a PHOENIX frame
# Chains of hand points (wrist 0, then four a finger) whose lengths tell how large a hand is.
SPANS = ((0, 5), (0, 9), (0, 13), (0, 17), (5, 17), (0, 9, 10, 11, 12), (0, 5, 6, 7, 8))
_FREEDOM = 1.35  # of the wrist's limits, since a forearm's depth is only estimated
_SHAPE_WEIGHT = 0.45  # of the prior over hand shapes against one pixel
_WRIST_SPREAD, _WRIST_WEIGHT = (90.0, 35.0, 18.0), 0.5  # degrees


class Anatomy(NamedTuple):
    """What the fit needs, as compiled loops want it: contiguous float64 arrays.

    Attributes:
        joints: (5, 4, 3) three joints and the tip of each finger, thumb first.
        axes: (5, 4, 3) rotation axes of a finger's four angles.
        wrist: (3, 3) axes of twist, flexion and deviation.
        forearm: (3, 3) rows: from the elbow to the wrist, out of the bend of the elbow, and across both.
        elbow: (3,) the elbow's keypoint.
        low, high: (23,) limits of the angles; those of flexion and deviation are half axes of an ellipse.
        mean, precision: (23,) and (23, 23) of the prior.
        body: metres: width of the shoulders, upper arm, forearm.
        spans: (7,) lengths of `SPANS`.
    """

    joints: np.ndarray
    axes: np.ndarray
    wrist: np.ndarray
    forearm: np.ndarray
    elbow: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    body: np.ndarray
    spans: np.ndarray


class HandMesh(NamedTuple):
    """What posing and drawing need; n vertices, F faces.

    Attributes:
        ids: (2, n) the vertices' numbers in the template of drawn signers, left hand first.
        faces: (F, 3) int64, counter-clockwise from outside for a left hand.
        attributes: (n, 3) float32, -1 to 1: place along the hand (wrist 0, tips 1, forearm below 0), across it (thumb's
            side above 0), and palm (above 0) or back.
        rest: (n, 3) float32; foot: (n, 3) the places on the bones that the skin lies around.
        weights, groups: (n, 4) the bones that move a vertex: 0 forearm, 1 its lower half, 2 palm, 3 to 17 fingers.
        followed, follow: (n, 6) the seen points (wrist, 20 of the fingers, elbow) that bend it, and how far.
        twist_share: of the twist, that the forearm's lower half takes.
    """

    ids: np.ndarray
    faces: np.ndarray
    attributes: np.ndarray
    rest: np.ndarray
    foot: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    followed: np.ndarray
    follow: np.ndarray
    twist_share: float


@lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return {name: file[name] for name in file.files}


@lru_cache(maxsize=1)
def anatomy() -> Anatomy:
    """The hand's joints, limits and prior."""
    raw = _arrays()
    limits = _FREEDOM * raw["wrist_limits"]
    precision = np.zeros((ANGLES, ANGLES))
    precision[:3, :3] = np.diag(_WRIST_WEIGHT**2 / np.square(_WRIST_SPREAD))
    points = np.concatenate([np.zeros((1, 3)), raw["joints"].reshape(20, 3)])
    precision[3:, 3:] = _SHAPE_WEIGHT**2 * raw["precision"]
    return Anatomy(
        joints=raw["joints"],
        axes=raw["axes"],
        wrist=raw["wrist_axes"],
        forearm=np.ascontiguousarray(raw["forearm"].T),
        elbow=raw["elbow"],
        low=np.concatenate([-limits, raw["limits"][:, 0]]),
        high=np.concatenate([limits, raw["limits"][:, 1]]),
        mean=np.concatenate([np.zeros(3), raw["mean"]]),
        precision=precision,
        body=raw["body"],
        spans=np.array([np.linalg.norm(np.diff(points[list(chain)], axis=0), axis=-1).sum() for chain in SPANS]),
    )


@lru_cache(maxsize=1)
def hand_mesh() -> HandMesh:
    """The hand's surface."""
    raw = _arrays()
    single = {name: raw[name].astype(np.float32) for name in ("attributes", "rest", "foot", "weights", "follow")}
    whole = {name: raw[name].astype(np.int64) for name in ("ids", "faces", "groups", "followed")}
    return HandMesh(**single, **whole, twist_share=float(raw["twist_share"]))
