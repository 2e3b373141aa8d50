"""What style ``signgen`` draws: which points are joined, in which colour and width, and which layer lies over which.

Numbers are COCO-WholeBody-133 indices. Colours are RGB, 0 to 255. Widths are in pixels of a picture with 260 rows.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from signgen.keypoints.skeleton import FINGERS, LEFT_HAND, LEFT_WRIST, LIMB_GROUPS, RIGHT_HAND, RIGHT_WRIST

Colour = tuple[int, int, int]

FINGER_WIDTH, ARM_WIDTH, FACE_WIDTH, HEAD_WIDTH = 1.7, 3.0, 1.0, 1.2
REFERENCE_SIZE = (210, 260)

# Thumb to little finger. Right warm, left cool: the family tells the side, the hue the finger.
RIGHT_FINGERS: tuple[Colour, ...] = ((255, 70, 190), (255, 45, 45), (255, 135, 0), (255, 220, 0), (120, 195, 0))
LEFT_FINGERS: tuple[Colour, ...] = ((0, 235, 120), (0, 225, 235), (40, 145, 255), (85, 70, 255), (185, 80, 255))
# Back of the hand, palm of the hand.
RIGHT_PALM: tuple[Colour, Colour] = ((105, 15, 45), (255, 205, 185))
LEFT_PALM: tuple[Colour, Colour] = ((15, 35, 120), (185, 225, 255))
PALM_OPACITY = 0.6
# Knuckles around the palm, counted from the wrist; the outline runs through them.
PALM_POINTS = (0, 1, 5, 9, 13, 17)
# Brightness along a finger: wrist, knuckle, two joints, tip; the last two also turn towards white.
FINGER_SHADE = (0.45, 0.60, 0.75, 0.90, 1.0)
FINGER_WHITE = (0.0, 0.0, 0.0, 0.12, 0.35)

# The limb groups of the skeleton in the order of drawing, with colour and width. The face is muted, so that a hand
# stands out before it; the arms have the temperature of their hand.
GROUPS: dict[str, tuple[Colour, float]] = {
    "left_leg": ((45, 70, 95), ARM_WIDTH),
    "right_leg": ((95, 65, 45), ARM_WIDTH),
    "torso": ((85, 85, 85), ARM_WIDTH),
    "head": ((85, 85, 110), HEAD_WIDTH),
    "left_arm": ((55, 125, 175), ARM_WIDTH),
    "right_arm": ((175, 110, 55), ARM_WIDTH),
    "jaw": ((120, 120, 120), FACE_WIDTH),
    "left_brow": ((165, 165, 205), FACE_WIDTH),
    "right_brow": ((205, 165, 115), FACE_WIDTH),
    "nose": ((120, 160, 120), FACE_WIDTH),
    "left_eye": ((225, 225, 225), FACE_WIDTH),
    "right_eye": ((225, 225, 225), FACE_WIDTH),
    "outer_lips": ((205, 75, 95), FACE_WIDTH),
    "inner_lips": ((240, 190, 200), FACE_WIDTH),
}
UPPER_ARM_SHADE = 0.6
# Body wrist to the hand's own root: two points that detectors find apart from each other.
WRIST_LINKS = {"left_arm": ((LEFT_WRIST, LEFT_HAND.start),), "right_arm": ((RIGHT_WRIST, RIGHT_HAND.start),)}


class Stroke(NamedTuple):
    """A round-ended line from point ``a`` to point ``b``; ``a == b`` is a dot."""

    a: int
    b: int
    width: float
    colour_a: Colour
    colour_b: Colour


Layer = tuple[Stroke, ...]


def _with_dots(strokes: list[Stroke]) -> Layer:
    """Adds a dot at every end, so that a point whose neighbours are missing is still seen."""
    dots: dict[int, Stroke] = {}
    for s in strokes:
        dots.setdefault(s.a, Stroke(s.a, s.a, s.width, s.colour_a, s.colour_a))
        dots.setdefault(s.b, Stroke(s.b, s.b, s.width, s.colour_b, s.colour_b))
    return (*strokes, *dots.values())


def _group(name: str) -> Layer:
    colour, width = GROUPS[name]
    limbs = (*LIMB_GROUPS[name], *WRIST_LINKS.get(name, ()))
    strokes = [Stroke(a, b, width, colour, colour) for a, b in limbs]
    if name in WRIST_LINKS:  # the upper arm is darker, so that a forearm folded onto it stays visible
        dimmed = _shaded(colour, UPPER_ARM_SHADE)
        strokes[0] = strokes[0]._replace(colour_a=dimmed, colour_b=dimmed)
    return _with_dots(strokes)


def _shaded(colour: Colour, shade: float, white: float = 0.0) -> Colour:
    """The colour turned towards white by a share, then darkened to another."""
    red, green, blue = (round(shade * ((1 - white) * c + white * 255)) for c in colour)
    return red, green, blue


def _hand(side: str, colours: tuple[Colour, ...]) -> tuple[Layer, list[Layer]]:
    """The five lines across the palm as one layer, and each finger as a layer of its own."""
    across, fingers = [], []
    for finger, colour in zip(FINGERS, colours, strict=True):
        shades = [_shaded(colour, *look) for look in zip(FINGER_SHADE, FINGER_WHITE, strict=True)]
        strokes = [
            Stroke(a, b, FINGER_WIDTH, shades[step], shades[step + 1])
            for step, (a, b) in enumerate(LIMB_GROUPS[f"{side}_{finger}"])
        ]
        across.append(strokes[0])
        fingers.append(_with_dots(strokes[1:]))
    return _with_dots(across), fingers


class Table(NamedTuple):
    """The drawing as arrays for the kernel.

    Attributes:
        ends: (S, 2) int64 point indices.
        radii: (S,) float64, half widths at 260 rows.
        colours: (S, 2, 3) float64, 0 to 255, at both ends.
        first: (N + 1,) int64, layer n is made of strokes ``first[n]`` to ``first[n + 1] - 1``.
        orders: (8, M) int64 orders of drawing; -1 and -2 are the left and the right palm. The row is a sum: 4 if the
            right hand lies over the left, 2 if the left shows its back, 1 if the right does.
        palms: (2, 6) int64 point indices around each palm.
        palm_colours: (2, 2, 3) float64: side, (back, palm).
    """

    ends: np.ndarray
    radii: np.ndarray
    colours: np.ndarray
    first: np.ndarray
    orders: np.ndarray
    palms: np.ndarray
    palm_colours: np.ndarray


def _hand_order(palm: int, across: int, fingers: list[int], back: bool) -> list[int]:
    """Seen from its back a hand hides the fingers that it closes; seen from the palm they lie over it."""
    return [*fingers, palm, across] if back else [palm, across, *fingers]


@cache
def table() -> Table:
    """Collects all layers and the eight orders in which they may lie over each other."""
    layers = [_group(name) for name in GROUPS]
    base = list(range(len(layers)))
    sides = []
    for palm, side, colours in ((-1, "left", LEFT_FINGERS), (-2, "right", RIGHT_FINGERS)):
        across, fingers = _hand(side, colours)
        # The little finger first: of two fingers that cross, the one nearer to the thumb mostly lies in front.
        sides.append((palm, len(layers), [len(layers) + 1 + k for k in reversed(range(5))]))
        layers += [across, *fingers]
    orders = []
    for row in range(8):
        hands = [_hand_order(*sides[0], back=bool(row & 2)), _hand_order(*sides[1], back=bool(row & 1))]
        orders.append(base + (hands[0] + hands[1] if row & 4 else hands[1] + hands[0]))
    strokes = [s for layer in layers for s in layer]
    return Table(
        ends=np.array([(s.a, s.b) for s in strokes], np.int64),
        radii=np.array([s.width / 2 for s in strokes]),
        colours=np.array([(s.colour_a, s.colour_b) for s in strokes], np.float64),
        first=np.cumsum([0] + [len(layer) for layer in layers]).astype(np.int64),
        orders=np.array(orders, np.int64),
        palms=np.array([[wrist + k for k in PALM_POINTS] for wrist in (LEFT_HAND.start, RIGHT_HAND.start)], np.int64),
        palm_colours=np.array([LEFT_PALM, RIGHT_PALM], np.float64),
    )
