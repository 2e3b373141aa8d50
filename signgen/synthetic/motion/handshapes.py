"""Hand shapes as data: joint angles of the four fingers and the thumb.

A hand shape is a vector of 20 angles in degrees, counted from the body model's rest hand (which is not straight:
a straight finger is about -12, -7, -5):

    0..11   index, middle, ring, pinky: MCP, PIP, DIP flexion; positive bends towards the palm
    12..15  spread of index, middle, ring, pinky; positive leans towards the thumb
    16..19  thumb opposition, thumb abduction, thumb MCP flexion, thumb IP flexion

Vectors may be mixed linearly: half way between two shapes is a plausible hand.
"""

from __future__ import annotations

import numpy as np

from signgen.errors import NotFound

N_ANGLES = 20

# Ranges that a living hand reaches, degrees (lowest, highest), repeated over the fingers.
_MCP, _PIP, _DIP, _SPREAD = (-20.0, 88.0), (-8.0, 102.0), (-6.0, 66.0), (-16.0, 14.0)
_THUMB_RANGES = ((-30.0, 76.0), (-46.0, 60.0), (-15.0, 70.0), (-15.0, 82.0))
LIMITS = np.array([_MCP, _PIP, _DIP] * 4 + [_SPREAD] * 4 + list(_THUMB_RANGES), np.float32)

_STRAIGHT = (-10, -6, -4)
_FOLDED = (80, 98, 62)
_CLOSED = (-11, 0, 6, 9)  # spread that lays straight fingers side by side
_OPEN = (8, 2, -5, -10)

# name: (index, middle, ring, pinky, spread, thumb)
_TABLE: dict[str, tuple] = {
    # neutral hands
    "relax": ((10, 18, 10), (14, 22, 12), (18, 26, 14), (22, 28, 16), _CLOSED, (8, 5, 5, 5)),
    "flat": ((-12, -7, -5), (-14, -5, -5), (-13, -5, -6), (-15, -6, -2), _CLOSED, (-8, -25, 0, 0)),
    "five": ((-14, -7, -5),) * 4 + (_OPEN, (-18, -10, -10, -10)),
    "bent": ((85, 5, 3),) * 4 + (_CLOSED, (-5, -15, 5, 0)),
    "halfbent": ((45, 2, 0),) * 4 + (_CLOSED, (-5, -10, 5, 0)),
    "claw": ((5, 55, 45),) * 4 + ((6, 2, -4, -8), (-8, 14, 5, 10)),
    "softfive": ((2, 8, 6), (4, 10, 6), (4, 10, 6), (2, 8, 6), (6, 2, -3, -8), (-12, 0, 0, 0)),
    "cup": ((24, 14, 8), (26, 16, 8), (28, 16, 8), (30, 18, 8), _CLOSED, (-4, 6, 4, 4)),
    # classifiers: round, pinched, beaked
    "O": ((40, 48, 34), (44, 50, 35), (46, 52, 36), (48, 54, 36), _CLOSED, (-11, 6, 60, 15)),
    "C": ((30, 38, 26), (32, 40, 28), (34, 40, 28), (36, 42, 28), _CLOSED, (-2, 30, 8, 5)),
    "babyC": ((30, 38, 26), _FOLDED, _FOLDED, (78, 95, 60), (-6, 0, 6, 9), (-6, 30, 8, 8)),
    "pinch": ((54, 26, 22), _FOLDED, _FOLDED, (78, 95, 60), (-6, 0, 6, 9), (-23, 25, 47, 12)),
    "flatO": ((66, 14, 8), (68, 14, 8), (70, 14, 8), (72, 16, 8), _CLOSED, (-9, 33, 32, 4)),
    "beak": ((50, 4, 2), (50, 4, 2), (52, 4, 2), (54, 5, 2), _CLOSED, (-10, 26, 8, 0)),
    "bird": ((69, 8, 4), (71, 8, 4), _FOLDED, (80, 95, 60), (-6, 2, 6, 9), (-1, 29, 25, 2)),
    "open8": ((-10, -2, 0), (52, 10, 6), (-8, -2, 0), (-12, -4, 0), _OPEN, (-14, 0, -5, -5)),
    "pincer": ((12, 40, 30), _FOLDED, _FOLDED, (78, 95, 60), (0, 0, 6, 9), (-16, 10, 0, 20)),
    # numbers and pointing
    "index": (_STRAIGHT, _FOLDED, _FOLDED, (78, 95, 60), _CLOSED, (73, -45, 14, 72)),
    "thumb": ((75, 95, 60), _FOLDED, (80, 98, 62), (78, 95, 60), _CLOSED, (-24, -14, -12, -12)),
    "two": (_STRAIGHT, _FOLDED, _FOLDED, (78, 95, 60), (6, 0, 6, 9), (-20, -10, -12, -12)),
    "three": (_STRAIGHT, (-10, -4, -4), _FOLDED, (78, 95, 60), (8, -4, 6, 9), (-20, -10, -12, -12)),
    "four": ((-14, -7, -5),) * 4 + (_OPEN, (76, -46, 19, 74)),
    # manual alphabet
    "A": ((75, 95, 60), (80, 98, 62), (80, 98, 62), (78, 95, 60), _CLOSED, (2, -14, 6, 6)),
    "B": ((-12, -7, -5), (-14, -5, -5), (-13, -5, -6), (-15, -6, -2), _CLOSED, (76, -46, 19, 74)),
    "D": (_STRAIGHT, (52, 35, 34), (56, 48, 36), (60, 56, 38), (-4, 0, 6, 9), (-13, 30, 51, 7)),
    "E": ((42, 92, 58), (44, 94, 58), (46, 94, 58), (46, 92, 56), _CLOSED, (63, -46, 66, 80)),
    "F": ((54, 25, 30), (0, 5, 3), (-5, 3, 2), (-8, 3, 2), (-4, 0, -3, -6), (-27, 24, 56, 4)),
    "G": ((28, 2, 0), _FOLDED, _FOLDED, (78, 95, 60), (-6, 0, 6, 9), (-10, 8, -4, -6)),
    "H": ((6, -4, -4), (6, -4, -4), _FOLDED, (78, 95, 60), (-9, 2, 6, 9), (75, -45, 26, 62)),
    "I": ((75, 95, 60), _FOLDED, _FOLDED, (0, 2, 2), (-8, 0, 4, -4), (60, -45, 19, 72)),
    "K": (_STRAIGHT, (38, 4, 2), _FOLDED, (80, 95, 60), (4, -4, 6, 9), (6, 24, 4, 0)),
    "L": (_STRAIGHT, _FOLDED, _FOLDED, (78, 95, 60), (0, 0, 6, 9), (-24, -4, -12, -12)),
    "M": ((82, 40, 16), (82, 40, 16), (82, 40, 16), (80, 96, 60), _CLOSED, (76, -46, 41, 62)),
    "N": ((82, 40, 16), (82, 40, 16), (80, 98, 62), (80, 96, 60), _CLOSED, (76, -46, 26, 76)),
    "P": ((6, 2, 0), (52, 4, 2), _FOLDED, (80, 95, 60), (2, -2, 6, 9), (4, 28, 8, 0)),
    "Q": ((65, 8, 2), _FOLDED, _FOLDED, (78, 95, 60), (-6, 0, 6, 9), (-7, 32, 21, 0)),
    "R": ((-8, -4, -4), (-2, 6, 2), _FOLDED, (80, 95, 60), (-13, 8, 5, 8), (75, -45, 26, 62)),
    "fist": ((75, 95, 60), (80, 98, 62), (80, 98, 62), (78, 95, 60), _CLOSED, (60, -45, 19, 72)),
    "T": ((62, 84, 46), (80, 98, 62), (80, 98, 62), (78, 95, 60), (-6, 0, 6, 9), (62, -45, 1, 45)),
    "U": (_STRAIGHT, (-10, -4, -4), (82, 98, 62), (80, 95, 60), (-9, 2, 5, 8), (75, -45, 26, 62)),
    "V": (_STRAIGHT, (-10, -4, -4), (82, 98, 62), (80, 95, 60), (4, -8, 4, 6), (75, -45, 26, 62)),
    "hookV": ((8, 74, 48), (8, 76, 48), (82, 98, 62), (80, 95, 60), (4, -6, 4, 6), (75, -45, 26, 62)),
    "W": ((-10, -5, -5), (-10, -5, -5), (-10, -5, -5), (80, 95, 60), (4, 0, -5, 6), (76, -46, 60, 28)),
    "X": ((10, 85, 55), (80, 98, 62), (80, 98, 62), (78, 95, 60), _CLOSED, (73, -45, 14, 72)),
    "Y": ((78, 95, 60), (80, 98, 62), (80, 98, 62), (0, 2, 2), (-8, 0, 4, -8), (-20, -8, -12, -12)),
    "ILY": (_STRAIGHT, (80, 98, 62), (80, 98, 62), (0, 2, 2), (0, 0, 4, -6), (-18, 0, -5, -10)),
    "horns": (_STRAIGHT, (80, 98, 62), (80, 98, 62), (-2, 2, 2), (0, 0, 4, -6), (73, -45, 14, 72)),
}


HANDSHAPES: dict[str, np.ndarray] = {name: np.concatenate(row).astype(np.float32) for name, row in _TABLE.items()}
for _shape in HANDSHAPES.values():
    _shape.setflags(write=False)


def shape_angles(name: str) -> np.ndarray:
    """Angles of one hand shape: float32 (20,), degrees, read-only.

    Raises InputError for a name that the table does not hold.
    """
    if name not in HANDSHAPES:
        raise NotFound("hand shape", f"no shape named {name!r}", "use one of " + ", ".join(HANDSHAPES))
    return HANDSHAPES[name]


def clamp_angles(angles: np.ndarray) -> np.ndarray:
    """Angles (..., 20) limited to what a living hand reaches, degrees."""
    return np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])
