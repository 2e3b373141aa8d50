"""Measuring a signer: place, shoulder width, head, arm, hand and hip sizes, robust against missing points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import Missing
from signgen.keypoints.skeleton import ARMS, CONFIDENT, EYES, FACE, HANDS, HIPS, LEFT_EAR, NOSE, RIGHT_EAR, SHOULDERS

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

# Points that tell where a head is and how large, best first: what two people are compared by must be seen in both.
# Of the face: the jaw's ends, the eye corners and the chin, which speech moves least or which all formats have.
HEADS: dict[str, tuple[int, ...]] = {
    "face": tuple(FACE.start + i for i in (0, 16, 36, 39, 42, 45, 8)),
    "ears": (*EYES, LEFT_EAR, RIGHT_EAR),
    "eyes": (*EYES, NOSE),
    "nose": (NOSE,),
}
_UPPER_ARMS = tuple(((arm.shoulder, arm.elbow),) for arm in ARMS)
_FOREARMS = tuple(((arm.elbow, arm.wrist),) for arm in ARMS)
_PALMS = tuple(tuple((hand.start, hand.start + knuckle) for knuckle in (5, 9, 17)) for hand in HANDS)


@dataclass(frozen=True)
class Head:
    """Where a head is, relative to the middle of the shoulders, and the spread of its points (0 for one point)."""

    place: np.ndarray
    size: float


@dataclass(frozen=True)
class Proportions:
    """Lengths in pixels, None where the points were never confident.

    `middle` (2,) is the middle of the shoulders, `hips` (2,) the middle of the hips relative to it. Body lengths are
    medians over frames. Arms and palms turn out of the picture plane, which only ever shortens them: their lengths
    are the 0.9 quantile over frames, of the side that shows the longer one.
    """

    middle: np.ndarray
    shoulders: float
    heads: dict[str, Head]
    upper_arm: float | None
    forearm: float | None
    palm: float | None
    hips: np.ndarray | None
    hip_width: float | None


FACING = 1.5  # width of the shoulders over the height of the nose above them, of somebody who faces the camera
TURNED = 0.75  # below this the shoulders are seen from the side, and their width says nothing about the body's size


def facing_width(width: float, head: float | None) -> float:
    """The shoulders' width in pixels; of somebody who is turned away, the one that the head's height tells.

    Args:
        width: as seen. head: height of the nose above the shoulders, pixels, or None.
    """
    return FACING * head if head is not None and width < TURNED * head else width


def turned_away(keypoints: Keypoints, whose: str) -> list[str]:
    """A line for somebody whose shoulders are much narrower than the head tells, or nothing."""
    seen = (keypoints.confidence[:, [*SHOULDERS, NOSE]] > 0).all(1)
    if not seen.any():
        return []
    ends, nose = keypoints.xy[seen][:, SHOULDERS], keypoints.xy[seen, NOSE]
    width, head = float(np.median(_length(ends, 0, 1))), float(np.median(ends[..., 1].mean(1) - nose[:, 1]))
    if facing_width(width, head) == width:
        return []
    usual = f"{width:.0f} pixels apart where {FACING * head:.0f} would face the camera"
    return [f"{whose} is turned away, the shoulders are {usual}: take a picture from the front"]


def measure(keypoints: Keypoints) -> Proportions:
    """Proportions of the signer; InputError if no frame shows both shoulders."""
    seen = keypoints.confidence >= min(CONFIDENT, float(keypoints.confidence.max()))
    both = seen[:, SHOULDERS].all(-1)
    if not both.any():  # one picture may show a shoulder behind a raised hand: an unsure one is better than none
        seen = keypoints.confidence > 0
        both = seen[:, SHOULDERS].all(-1)
    if not both.any():
        advice = "aligning needs the shoulders; leave it out, or choose another clip"
        raise Missing(keypoints.name or "keypoints", "no frame shows both shoulders", advice)
    xy, seen = keypoints.xy[both].astype(np.float64), seen[both]
    middle = xy[:, SHOULDERS].mean(1)
    hips = seen[:, HIPS].all(-1)
    return Proportions(
        middle=np.median(middle, axis=0),
        shoulders=max(facing_width(float(np.median(_length(xy, *SHOULDERS))), _nose_height(xy, seen)), 1e-3),
        heads=_heads(xy - middle[:, None], seen),
        upper_arm=_longest(xy, seen, _UPPER_ARMS),
        forearm=_longest(xy, seen, _FOREARMS),
        palm=_longest(xy, seen, _PALMS),
        hips=np.median(xy[hips][:, HIPS].mean(1) - middle[hips], axis=0) if hips.any() else None,
        hip_width=float(np.median(_length(xy[hips], *HIPS))) if hips.any() else None,
    )


def _nose_height(xy: np.ndarray, seen: np.ndarray) -> float | None:
    nose = seen[:, NOSE]
    return float(np.median(xy[nose][:, SHOULDERS, 1].mean(1) - xy[nose, NOSE, 1])) if nose.any() else None


def _heads(relative: np.ndarray, seen: np.ndarray) -> dict[str, Head]:
    heads = {}
    for kind, joints in HEADS.items():
        frames = seen[:, joints].all(-1)
        if frames.any():
            points = relative[frames][:, joints]
            center = points.mean(1)
            spread = np.sqrt(((points - center[:, None]) ** 2).sum(-1).mean(1))
            heads[kind] = Head(np.median(center, axis=0), float(np.median(spread)))
    return heads


def _length(xy: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(xy[:, a] - xy[:, b], axis=-1)


def _longest(xy: np.ndarray, seen: np.ndarray, sides: tuple[tuple[tuple[int, int], ...], ...]) -> float | None:
    """The mean length of a side's bones, of the side that shows the longer ones."""
    lengths = []
    for bones in sides:
        frames = seen[:, np.ravel(bones)].all(-1)
        if frames.any():
            lengths.append(np.quantile(np.mean([_length(xy[frames], *bone) for bone in bones], axis=0), 0.9))
    return float(max(lengths)) if lengths and max(lengths) > 0 else None
