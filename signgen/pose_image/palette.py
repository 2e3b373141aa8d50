"""What style ``signgen`` draws: which points are joined, in which colour and width, and which layer lies over which.

Numbers are COCO-WholeBody-133 indices. Colours are RGB, 0 to 255. Widths are in pixels of a picture with 260 rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

FINGER_WIDTH, ARM_WIDTH, FACE_WIDTH, HEAD_WIDTH = 1.7, 3.0, 1.0, 1.2
REFERENCE_SIZE = (210, 260)

LEFT_WRIST, RIGHT_WRIST = 91, 112
# Thumb to little finger. Left warm, right cool: the family tells the side, the hue the finger.
LEFT_FINGERS: tuple[Colour, ...] = ((255, 70, 190), (255, 45, 45), (255, 135, 0), (250, 225, 30), (165, 215, 0))
RIGHT_FINGERS: tuple[Colour, ...] = ((0, 235, 120), (0, 225, 235), (40, 145, 255), (85, 70, 255), (185, 80, 255))
# Back of the hand, palm of the hand.
LEFT_PALM: tuple[Colour, Colour] = ((105, 15, 45), (255, 205, 185))
RIGHT_PALM: tuple[Colour, Colour] = ((15, 35, 120), (185, 225, 255))
PALM_OPACITY = 0.6
# Knuckles around the palm, counted from the wrist; the outline runs through them.
PALM_POINTS = (0, 1, 5, 9, 13, 17)
# Brightness along a finger: wrist, knuckle, two joints, tip; the last two also turn towards white.
FINGER_SHADE = (0.45, 0.60, 0.75, 0.90, 1.0)
FINGER_WHITE = (0.0, 0.0, 0.0, 0.12, 0.4)


@dataclass(frozen=True)
class Stroke:
    """A round-ended line from point ``a`` to point ``b``; ``a == b`` is a dot."""

    a: int
    b: int
    width: float
    colour_a: Colour
    colour_b: Colour


Layer = tuple[Stroke, ...]


def _chain(points: tuple[int, ...] | range, colour: Colour, width: float, closed: bool = False) -> list[Stroke]:
    ring = tuple(points) + ((points[0],) if closed else ())
    return [Stroke(a, b, width, colour, colour) for a, b in zip(ring, ring[1:])]


def _with_dots(strokes: list[Stroke]) -> Layer:
    """Adds a dot at every end, so that a point whose neighbours are missing is still seen."""
    dots: dict[int, Stroke] = {}
    for s in strokes:
        dots.setdefault(s.a, Stroke(s.a, s.a, s.width, s.colour_a, s.colour_a))
        dots.setdefault(s.b, Stroke(s.b, s.b, s.width, s.colour_b, s.colour_b))
    return (*strokes, *dots.values())


def _body() -> list[Layer]:
    """Legs and feet, torso, head, then the arms, warm on the left and cool on the right like the hands."""
    legs = _chain((12, 14, 16), (45, 70, 95), ARM_WIDTH) + _chain((11, 13, 15), (95, 65, 45), ARM_WIDTH)
    feet = [Stroke(16, toe, HEAD_WIDTH, (45, 70, 95), (60, 95, 130)) for toe in (20, 21, 22)]
    feet += [Stroke(15, toe, HEAD_WIDTH, (95, 65, 45), (130, 90, 60)) for toe in (17, 18, 19)]
    torso = _chain((5, 6, 12, 11), (85, 85, 85), ARM_WIDTH, closed=True)
    head = _chain((3, 1, 0, 2, 4), (85, 85, 110), HEAD_WIDTH)
    right = _chain((6, 8), (40, 105, 130), ARM_WIDTH) + _chain((8, 10, RIGHT_WRIST), (60, 130, 185), ARM_WIDTH)
    left = _chain((5, 7), (130, 95, 40), ARM_WIDTH) + _chain((7, 9, LEFT_WRIST), (185, 115, 60), ARM_WIDTH)
    return [_with_dots(part) for part in (legs + feet, torso, head, right, left)]


def _face() -> list[Layer]:
    """Jaw, brows, nose, eyes with pupils, outer and inner lips; muted colours, so that a hand stands out before them."""
    jaw = _chain(range(23, 40), (120, 120, 120), FACE_WIDTH)
    brows = _chain(range(40, 45), (200, 165, 115), FACE_WIDTH) + _chain(range(45, 50), (200, 165, 115), FACE_WIDTH)
    nose = _chain(range(50, 54), (120, 160, 120), FACE_WIDTH) + _chain(range(54, 59), (120, 160, 120), FACE_WIDTH)
    eyes = _chain(range(59, 65), (225, 225, 225), FACE_WIDTH, closed=True)
    eyes += _chain(range(65, 71), (225, 225, 225), FACE_WIDTH, closed=True)
    outer = _chain(range(71, 83), (205, 75, 95), FACE_WIDTH, closed=True)
    inner = _chain(range(83, 91), (240, 190, 200), FACE_WIDTH, closed=True)
    return [_with_dots(part) for part in (jaw, brows, nose, eyes, outer, inner)]


def _shaded(colour: Colour, step: int) -> Colour:
    """The colour of a finger at its joint number ``step``, 0 = wrist, 4 = tip."""
    white = FINGER_WHITE[step]
    red, green, blue = (round(FINGER_SHADE[step] * ((1 - white) * c + white * 255)) for c in colour)
    return red, green, blue


def _hand(wrist: int, colours: tuple[Colour, ...]) -> tuple[Layer, list[Layer]]:
    """The five lines across the palm as one layer, and each finger as a layer of its own."""
    across, fingers = [], []
    for finger, colour in enumerate(colours):
        shades = [_shaded(colour, step) for step in range(5)]
        points = [wrist, *range(wrist + 4 * finger + 1, wrist + 4 * finger + 5)]
        strokes = [
            Stroke(a, b, FINGER_WIDTH, shade_a, shade_b)
            for a, b, shade_a, shade_b in zip(points, points[1:], shades, shades[1:])
        ]
        across.append(strokes[0])
        fingers.append(_with_dots(strokes[1:]))
    return _with_dots(across), fingers


@dataclass(frozen=True)
class Table:
    """The drawing as arrays for the kernel.

    Attributes:
        ends: (S, 2) int64 point indices.
        radii: (S,) float64, half widths at 260 rows.
        colours: (S, 2, 3) float64, 0 to 255, at both ends.
        first: (N + 1,) int64, layer n is made of strokes ``first[n]`` to ``first[n + 1] - 1``.
        orders: (8, M) int64 orders of drawing, see `order_index`; -1 and -2 are the left and the right palm.
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


def order_index(right_over_left: np.ndarray, left_back: np.ndarray, right_back: np.ndarray) -> np.ndarray:
    """Row of ``Table.orders`` for three truths per frame."""
    return 4 * right_over_left.astype(np.int64) + 2 * left_back + right_back


def _hand_order(palm: int, across: int, fingers: list[int], back: bool) -> list[int]:
    """Seen from its back a hand hides the fingers that it closes; seen from the palm they lie over it."""
    return [*fingers, palm, across] if back else [palm, across, *fingers]


def build_table() -> Table:
    """Collects all layers and the eight orders in which they may lie over each other."""
    layers = _body() + _face()
    base = list(range(len(layers)))
    sides = []
    for palm, wrist, colours in ((-1, LEFT_WRIST, LEFT_FINGERS), (-2, RIGHT_WRIST, RIGHT_FINGERS)):
        across, fingers = _hand(wrist, colours)
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
        palms=np.array([[wrist + k for k in PALM_POINTS] for wrist in (LEFT_WRIST, RIGHT_WRIST)], np.int64),
        palm_colours=np.array([LEFT_PALM, RIGHT_PALM], np.float64),
    )
