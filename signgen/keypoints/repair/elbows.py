"""Elbows that an estimator lost between a shoulder and a wrist that it found, most often outside of the picture.

Without an elbow no arm is drawn at all, and the hand floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.repair.carry import FOUND, SURENESS, USABLE, around, as_complex
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.skeleton import ARMS, LEFT_ARM

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

UPPER_ARM, FOREARM = 1.0, 0.83  # lengths over the width of the shoulders, where no arm can be measured
EASE = 0.25  # seconds in which the place where an elbow was seen becomes the one where it must be


def fill_elbows(clip: Keypoints, xy: np.ndarray, confidence: np.ndarray) -> int:
    """Puts lost elbows where upper arm and forearm have their lengths, on the outer side of the arm.

    Args:
        clip: the clip.
        xy, confidence: (T,133,2) and (T,133), changed in place.

    Returns:
        In how many frames an elbow was lost and is there now.
    """
    sure = clip.confidence >= USABLE
    lost = [
        sure[:, arm.shoulder] & sure[:, arm.wrist] & (clip.confidence[:, arm.elbow] < FOUND) for arm in ARMS
    ]  # (T,) of each arm
    if not np.any(lost):
        return 0
    try:
        person = measure(clip)
    except InputError:  # no shoulders, no arms
        return 0
    lengths = person.upper_arm or UPPER_ARM * person.shoulders, person.forearm or FOREARM * person.shoulders
    for arm, missing in zip(ARMS, lost, strict=True):
        frames = np.flatnonzero(missing)
        if not len(frames):
            continue
        joints = arm[:3]
        shoulder, elbow, wrist = (as_complex(clip.xy[:, joint]) for joint in joints)
        bent = _bent(shoulder, wrist, *lengths, outwards=1 if arm is LEFT_ARM else -1)
        placed = bent[frames] + _eased(elbow - bent, np.all(sure[:, joints], axis=1), frames, clip.fps)
        xy[frames, arm.elbow] = np.stack([placed.real, placed.imag], -1)
        confidence[frames, arm.elbow] = SURENESS * clip.confidence[frames][:, (arm.shoulder, arm.wrist)].min(1)
    return int(np.logical_or(*lost).sum())


def _bent(shoulder: np.ndarray, wrist: np.ndarray, upper: float, forearm: float, outwards: int) -> np.ndarray:
    """complex (T,): where two bones of these lengths meet; on the line between their ends where it is too long.

    Of the two places the one that lies lower is taken, and of two equally low ones the one farther out
    (``outwards``: 1 towards larger x, -1 towards smaller).
    """
    line = wrist - shoulder
    distance = np.maximum(np.abs(line), 1e-6)
    straight = distance >= upper + forearm
    along = np.where(
        straight, distance * upper / (upper + forearm), (distance**2 + upper**2 - forearm**2) / 2 / distance
    )
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0)) * ~straight
    middle, normal = shoulder + line / distance * along, 1j * line / distance * aside
    below = normal.imag + 0.5 * outwards * normal.real >= 0
    return middle + np.where(below, normal, -normal)


def _eased(offset: np.ndarray, known: np.ndarray, frames: np.ndarray, fps: float) -> np.ndarray:
    """complex (K,): how far from `_bent` the nearest elbows that were seen lie, less and less with time."""
    if not known.any():
        return np.zeros(len(frames))
    a, b = around(known, frames)
    near = [np.clip(1 - np.abs(frames - other) / max(EASE * fps, 1), 0, 1) for other in (a, b)]
    total = np.maximum(near[0] + near[1], 1)
    return np.where(a == b, offset[a] * near[0], (offset[a] * near[0] + offset[b] * near[1]) / total)
