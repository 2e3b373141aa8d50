"""The COCO-WholeBody skeleton of 133 points, as data.

Order: 17 body points, 6 foot points, 68 face points (iBUG order), 21 points of the left hand and 21 of the right
one. Left is always the signer's own left, which is the right-hand side of an unmirrored picture. Jin et al.,
"Whole-Body Human Pose Estimation in the Wild", ECCV 2020.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

SKELETON_NAME: Final = "coco-wholebody-133"
NUM_JOINTS: Final = 133

# --- index ranges ---------------------------------------------------------------------------------------------
BODY: Final = slice(0, 17)
UPPER_BODY: Final = slice(0, 11)  # nose, eyes, ears, shoulders, elbows, wrists: what a signing frame shows
HEAD: Final = slice(0, 5)
FEET: Final = slice(17, 23)
LOWER_BODY: Final = slice(11, 23)  # hips, knees, ankles, feet
FACE: Final = slice(23, 91)
JAW, BROWS, FACE_NOSE = slice(23, 40), slice(40, 50), slice(50, 59)
EYELIDS, OUTER_LIPS, INNER_LIPS = slice(59, 71), slice(71, 83), slice(83, 91)
LEFT_HAND: Final = slice(91, 112)
RIGHT_HAND: Final = slice(112, 133)
BOTH_HANDS: Final = slice(LEFT_HAND.start, RIGHT_HAND.stop)
HANDS: Final = (LEFT_HAND, RIGHT_HAND)
PARTS: Final = {"body": BODY, "face": FACE, "left_hand": LEFT_HAND, "right_hand": RIGHT_HAND}

# --- single joints --------------------------------------------------------------------------------------------
NOSE: Final = 0
LEFT_EYE, RIGHT_EYE = 1, 2
LEFT_EAR, RIGHT_EAR = 3, 4
LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6
LEFT_ELBOW, RIGHT_ELBOW = 7, 8
LEFT_WRIST, RIGHT_WRIST = 9, 10
LEFT_HIP, RIGHT_HIP = 11, 12
LEFT_KNEE, RIGHT_KNEE = 13, 14
LEFT_ANKLE, RIGHT_ANKLE = 15, 16
MIDDLE_KNUCKLE: Final = 9  # of a hand's 21 points: middle-finger MCP, the centre of the hand crops
LEFT_KNUCKLE: Final = LEFT_HAND.start + MIDDLE_KNUCKLE
RIGHT_KNUCKLE: Final = RIGHT_HAND.start + MIDDLE_KNUCKLE

# --- pairs, left first ----------------------------------------------------------------------------------------
EYES: Final = (LEFT_EYE, RIGHT_EYE)
SHOULDERS: Final = (LEFT_SHOULDER, RIGHT_SHOULDER)
WRISTS: Final = (LEFT_WRIST, RIGHT_WRIST)
HIPS: Final = (LEFT_HIP, RIGHT_HIP)
ANKLES: Final = (LEFT_ANKLE, RIGHT_ANKLE)
KNUCKLES: Final = (LEFT_KNUCKLE, RIGHT_KNUCKLE)


class Arm(NamedTuple):
    """Joints from the shoulder on, and the points of the hand."""

    shoulder: int
    elbow: int
    wrist: int
    hand: slice


LEFT_ARM: Final = Arm(LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST, LEFT_HAND)
RIGHT_ARM: Final = Arm(RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST, RIGHT_HAND)
ARMS: Final = (LEFT_ARM, RIGHT_ARM)

FINGERS: Final = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")

# A point is called confident from this score on, wherever signgen counts or measures points.
CONFIDENT: Final = 0.3

_BODY_NAMES: Final = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_FOOT_NAMES: Final = (
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip


def _hand_names(side: str) -> tuple[str, ...]:
    fingers = (f"{side}_{finger}{joint}" for finger in FINGERS for joint in range(1, 5))
    return (f"{side}_hand_root", *fingers)


NAMES: Final[tuple[str, ...]] = (
    *_BODY_NAMES,
    *_FOOT_NAMES,
    *(f"face-{i}" for i in range(68)),
    *_hand_names("left"),
    *_hand_names("right"),
)

# --- limbs ----------------------------------------------------------------------------------------------------
Limb = tuple[int, int]


def _chain(*joints: int) -> tuple[Limb, ...]:
    return tuple(zip(joints[:-1], joints[1:], strict=True))


def _face_chain(first: int, last: int, *, closed: bool = False) -> tuple[Limb, ...]:
    """Chain of face points, given as iBUG numbers 0-67, both ends included."""
    joints = [FACE.start + i for i in range(first, last + 1)]
    return _chain(*joints, joints[0]) if closed else _chain(*joints)


def _finger_chain(hand: slice, finger: int) -> tuple[Limb, ...]:
    first = hand.start + 1 + 4 * finger
    return _chain(hand.start, *range(first, first + 4))


def _hand_groups(side: str, hand: slice) -> dict[str, tuple[Limb, ...]]:
    return {f"{side}_{name}": _finger_chain(hand, i) for i, name in enumerate(FINGERS)}


LIMB_GROUPS: Final[dict[str, tuple[Limb, ...]]] = {
    "head": ((0, 1), (0, 2), (1, 2), (1, 3), (2, 4)),
    "torso": ((5, 6), (5, 11), (6, 12), (11, 12)),
    "left_arm": ((5, 7), (7, 9)),
    "right_arm": ((6, 8), (8, 10)),
    "left_leg": ((11, 13), (13, 15), (15, 17), (15, 18), (15, 19)),
    "right_leg": ((12, 14), (14, 16), (16, 20), (16, 21), (16, 22)),
    "jaw": _face_chain(0, 16),
    "right_brow": _face_chain(17, 21),
    "left_brow": _face_chain(22, 26),
    "nose": (*_face_chain(27, 30), *_face_chain(31, 35)),
    "right_eye": _face_chain(36, 41, closed=True),
    "left_eye": _face_chain(42, 47, closed=True),
    "outer_lips": _face_chain(48, 59, closed=True),
    "inner_lips": _face_chain(60, 67, closed=True),
    **_hand_groups("left", LEFT_HAND),
    **_hand_groups("right", RIGHT_HAND),
}

# --- mirror partners ------------------------------------------------------------------------------------------
_FACE_PAIRS: Final[tuple[tuple[int, int], ...]] = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((17 + i, 26 - i) for i in range(5)),  # brows
    (31, 35), (32, 34),  # nostrils
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),  # eyes
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58),  # outer lips
    (60, 64), (61, 63), (65, 67),  # inner lips
)  # fmt: skip
_BODY_PAIRS: Final = (*((i, i + 1) for i in range(1, 17, 2)), (17, 20), (18, 21), (19, 22))


def _mirror_partners() -> np.ndarray:
    """(133,) int64: partner[j] is the joint that j becomes in a mirrored picture; its own partner's partner."""
    partner = np.arange(NUM_JOINTS)
    face = tuple((FACE.start + a, FACE.start + b) for a, b in _FACE_PAIRS)
    hands = tuple((LEFT_HAND.start + i, RIGHT_HAND.start + i) for i in range(21))
    for a, b in (*_BODY_PAIRS, *face, *hands):
        partner[a], partner[b] = b, a
    partner.flags.writeable = False
    return partner


MIRROR: Final = _mirror_partners()
