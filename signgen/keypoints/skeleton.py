"""The COCO-WholeBody skeleton of 133 points, as data.

Order: 17 body points, 6 foot points, 68 face points (iBUG order), 21 points of the left hand and 21 of the right
one. Left is always the signer's own left, which is the right-hand side of an unmirrored picture. Jin et al.,
"Whole-Body Human Pose Estimation in the Wild", ECCV 2020.
"""

from __future__ import annotations

from typing import Final

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
LEFT_HAND: Final = slice(91, 112)
RIGHT_HAND: Final = slice(112, 133)
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
LEFT_KNUCKLE: Final = LEFT_HAND.start + 9  # middle-finger MCP: centre of the hand crops
RIGHT_KNUCKLE: Final = RIGHT_HAND.start + 9

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
LIMBS: Final[tuple[Limb, ...]] = tuple(limb for group in LIMB_GROUPS.values() for limb in group)
HAND_LIMBS: Final[tuple[Limb, ...]] = tuple(
    limb for finger in range(5) for limb in _finger_chain(slice(0, 21), finger)
)  # of one hand, numbered 0-20

# --- colours (RGB, 0-255): warm tones for the right side, cool ones for the left, one hue per finger ----------
_FINGER_COLORS: Final = ((230, 60, 60), (240, 170, 40), (90, 200, 60), (50, 140, 240), (180, 80, 230))
_GROUP_COLORS: Final[dict[str, tuple[int, int, int]]] = {
    "head": (200, 200, 200),
    "torso": (140, 140, 140),
    "left_arm": (60, 120, 255),
    "right_arm": (255, 120, 60),
    "left_leg": (40, 80, 180),
    "right_leg": (180, 80, 40),
    "jaw": (235, 235, 235),
    "right_brow": (255, 190, 120),
    "left_brow": (120, 190, 255),
    "nose": (220, 220, 120),
    "right_eye": (255, 150, 150),
    "left_eye": (150, 150, 255),
    "outer_lips": (240, 80, 160),
    "inner_lips": (250, 150, 210),
}


def _group_color(group: str) -> tuple[int, int, int]:
    if group in _GROUP_COLORS:
        return _GROUP_COLORS[group]
    side, finger = group.split("_", 1)
    red, green, blue = _FINGER_COLORS[FINGERS.index(finger)]
    # The two hands share hues but not brightness, so that crossing hands can be told apart.
    return (red, green, blue) if side == "left" else (red * 3 // 5, green * 3 // 5, blue * 3 // 5)


LIMB_COLORS: Final[tuple[tuple[int, int, int], ...]] = tuple(
    _group_color(name) for name, group in LIMB_GROUPS.items() for _ in group
)


def _point_colors() -> tuple[tuple[int, int, int], ...]:
    """A point takes the colour of the last limb that ends in it, else of one that begins in it."""
    colors = dict.fromkeys(range(NUM_JOINTS), (200, 200, 200))
    for ends in (0, 1):
        colors.update({limb[ends]: color for limb, color in zip(LIMBS, LIMB_COLORS, strict=True)})
    return tuple(colors[joint] for joint in range(NUM_JOINTS))


POINT_COLORS: Final = _point_colors()

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


def joint_index(name: str) -> int:
    """Index 0-132 of a joint by its COCO-WholeBody name; KeyError for an unknown one."""
    try:
        return NAMES.index(name)
    except ValueError:
        raise KeyError(name) from None
