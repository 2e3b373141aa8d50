"""Movement ideas from which the lexicon draws its invented signs: a template turns a generator into beats.

Every template returns its beats and the name of the small movement that goes with them ("" for none).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from signgen.synthetic.motion.anatomy import HEAD_PLACES
from signgen.synthetic.motion.contacts import CONTACTS, contact_template
from signgen.synthetic.motion.signs import Beat, Drawn, HandKey, Triple, drawn_key, jittered, pick

# fmt: off
_PALM_SHAPES = ("flat", "five", "B", "claw", "softfive", "C", "cup", "bent", "halfbent", "four", "beak", "E", "M")
_TIP_SHAPES = (
    "index", "two", "V", "U", "L", "pincer", "G", "F", "pinch", "flatO", "R", "three", "H", "bird", "open8",
)
_FIST_SHAPES = (
    "fist", "A", "Y", "ILY", "I", "thumb", "X", "hookV", "T", "babyC", "horns", "W", "K", "N", "P", "Q", "D", "O",
)
_TAPPING = (  # hand shapes and their part that touches the face
    ("index", "index"), ("flatO", "index"), ("two", "index"), ("V", "middle"), ("bent", "middle"),
    ("Y", "thumb"), ("thumb", "thumb"), ("pinch", "index"), ("flat", "middle"), ("A", "thumb"), ("U", "middle"),
    ("open8", "middle"),
)
_BOTH_TOUCHING = (  # the same of both hands at once
    ("index", "index"), ("flat", "middle"), ("five", "middle"), ("L", "index"), ("claw", "middle"),
    ("F", "index"), ("pincer", "index"), ("V", "middle"),
)
_STROKING = (  # orientations
    "up_out", "up_self", "up_side", "front_down", "front_side", "rise_out", "rise_self", "in_self", "in_down",
    "rise_down",
)
_OPENING = (  # hand shapes: closed, opened
    ("flatO", "five"), ("fist", "five"), ("beak", "softfive"), ("O", "claw"), ("flatO", "softfive"),
    ("pinch", "L"), ("bird", "three"), ("A", "flat"),
)
# fmt: on
_SPACE = {
    "middle": (0.18, 0.0, -0.28),
    "side": (0.37, -0.02, -0.2),
    "cross": (-0.22, 0.02, -0.25),
    "high": (0.36, -0.04, 0.12),
    "low": (0.26, 0.0, -0.44),
    "up": (0.38, -0.12, 0.36),
    "wide": (0.48, -0.06, -0.12),
    "floor": (0.12, 0.02, -0.56),
    "near": (0.14, -0.16, -0.18),
    "top": (0.2, -0.1, 0.44),
}


def _any_shape(rng: np.random.Generator) -> str:
    return pick(rng, pick(rng, (_PALM_SHAPES, _TIP_SHAPES, _FIST_SHAPES)))


def _in_space(rng: np.random.Generator, spot: str, orientation: str, shape: str) -> HandKey:
    key = drawn_key(rng, "space", orientation, shape, offset=_SPACE[spot])
    return key.moved(0.0, 0.0, 0.0)  # within reach


_Other = Callable[[HandKey], HandKey | None]  # the other hand's key beside the dominant one's


def _idle(key: HandKey) -> None:
    """The other hand is not used."""


def _mirrored(key: HandKey) -> HandKey:
    """The other hand does the same, mirrored."""
    return key


def _beats(
    keys: list[HandKey], others: Sequence[HandKey | None], frames: list[float], arc: Triple = (0.0, 0.0, 0.0)
) -> tuple[Beat, ...]:
    first = Beat(keys[0], others[0], frames[0], (0.0, 0.08, 0.0), 0.75)
    return (first, *(Beat(k, o, f, arc, 0.9) for k, o, f in zip(keys[1:], others[1:], frames[1:], strict=True)))


def _once(
    a: HandKey, b: HandKey, frames: list[float], arc: Triple = (0.0, 0.0, 0.0), other: _Other = _idle
) -> tuple[Beat, ...]:
    """One stroke from a to b."""
    return _beats([a, b], [other(a), other(b)], frames, arc)


def _repeated(
    a: HandKey, b: HandKey, times: int, other: _Other, rng: np.random.Generator, arc: Triple = (0.0, 0.0, 0.0)
) -> tuple[Beat, ...]:
    """a b, or a b a b a...: `times` strokes."""
    keys = [a if i % 2 == 0 else b for i in range(times + 1)]
    pace = rng.uniform(5.0, 8.0)
    return _beats(keys, [other(k) for k in keys], [rng.uniform(8, 11)] + [pace] * times, arc)


# ---- templates: one movement idea each -----------------------------------------------------------------------------


def _face_away(rng: np.random.Generator) -> Drawn:
    """Touch the face, then leave it forwards or downwards."""
    shape = pick(rng, (*_TIP_SHAPES, "flat", "B", "claw", "C", "Y", "thumb"))
    part = "thumb" if shape in ("thumb", "Y") else ("middle" if shape in ("flat", "B", "claw", "V", "U") else "index")
    orientation = pick(rng, ("face_tip", "face_side", "face_flat"))
    start = drawn_key(rng, pick(rng, HEAD_PLACES), orientation, shape, part, spread=0.008)
    end = _in_space(
        rng,
        pick(rng, ("middle", "side", "high")),
        pick(rng, ("rise_self", "up_side", "front_side")),
        pick(rng, (shape, shape, "five", "flat")),
    )
    return _once(start, end, [9, rng.uniform(7, 11)], (0.05, 0.1, 0.0)), ""


def _face_tap(rng: np.random.Generator) -> Drawn:
    """Tap a place of the face two or three times."""
    shape, part = pick(rng, _TAPPING)
    touch = drawn_key(
        rng, pick(rng, HEAD_PLACES), pick(rng, ("face_tip", "face_side", "face_flat")), shape, part, spread=0.006
    )
    return _repeated(touch.moved(0.06, 0.12, -0.02), touch, int(rng.integers(2, 5)), _idle, rng), ""


def _chest(rng: np.random.Generator) -> Drawn:
    """Touch or stroke the chest or shoulder."""
    shape = pick(rng, ("flat", "five", "claw", "flatO", "index", "fist", "bent", "Y", "cup"))
    part = {"flat": "palm", "five": "palm"}.get(shape, "middle")
    a = drawn_key(
        rng,
        pick(rng, ("chest", "shoulder", "far_shoulder")),
        pick(rng, ("in_self", "rise_self")),
        shape,
        part,
        spread=0.02,
    )
    b = a.moved(0.0, 0.02, -0.2) if rng.random() < 0.5 else a.moved(0.05, 0.14, 0.0)
    return _repeated(a, b, int(rng.integers(1, 4)), _idle, rng), ""


def _stroke(rng: np.random.Generator) -> Drawn:
    """One hand strokes through the signing space on a straight line or an arc."""
    shape = _any_shape(rng)
    orientation = pick(rng, _STROKING)
    a, b = (_in_space(rng, spot, orientation, shape) for spot in rng.choice(list(_SPACE), 2, replace=False))
    if rng.random() < 0.4:
        b = b.turned(pick(rng, ("front_up", "in_up", "rise_self", "front_side")))
    if rng.random() < 0.4:
        b = b.shaped(_any_shape(rng))
    arc = jittered(rng, (0.0, 0.05, 0.08), 0.07)
    return _once(a, b, [9, rng.uniform(7, 12)], arc), ""


def _shake(rng: np.random.Generator) -> Drawn:
    """Hold a hand shape (a letter, a number) upright and shake or circle it."""
    key = _in_space(
        rng,
        pick(rng, ("side", "middle", "high", "up")),
        pick(rng, ("up_out", "up_out", "up_self", "up_side")),
        _any_shape(rng),
    )
    end = key.moved(*jittered(rng, (0.0, 0.02, 0.0), 0.03))
    return _once(key, end, [9, rng.uniform(9, 13)]), pick(rng, ("shake", "circle", "nod", ""))


def _sweep(rng: np.random.Generator) -> Drawn:
    """Both hands, mirrored, move apart, together, up or down."""
    shape = _any_shape(rng)
    orientation = pick(
        rng, ("up_out", "front_down", "front_side", "up_side", "rise_self", "in_self", "rise_out", "front_up")
    )
    near = _in_space(rng, "middle", orientation, shape)
    far = near.moved(*pick(rng, ((0.35, 0.0, 0.0), (0.3, -0.05, 0.25), (0.15, 0.05, 0.35), (0.2, 0.0, -0.2))))
    if rng.random() < 0.35:
        far = far.shaped(_any_shape(rng))
    a, b = (near, far) if rng.random() < 0.6 else (far, near)
    arc = jittered(rng, (0.0, 0.04, 0.05), 0.06)
    return _repeated(a, b, int(rng.integers(1, 4)), _mirrored, rng, arc), ""


def _flutter(rng: np.random.Generator) -> Drawn:
    """Both open hands go down (or sideways) with fluttering fingers."""
    shape = pick(rng, ("five", "claw", "softfive", "four"))
    a = _in_space(rng, "high", pick(rng, ("front_down", "rise_down", "rise_out")), shape).moved(-0.12, 0.05, 0.1)
    b = a.moved(*jittered(rng, (0.02, 0.0, -0.42), 0.05))
    other = _mirrored if rng.random() < 0.75 else _idle
    return _once(a, b, [10, rng.uniform(11, 16)], other=other), "wiggle"


def _on_hand(rng: np.random.Generator) -> Drawn:
    """The dominant hand acts on the flat or closed other hand."""
    base = _in_space(
        rng,
        "middle",
        pick(rng, ("front_up", "in_up", "in_self", "in_down", "front_side")),
        pick(rng, ("flat", "fist", "B", "index", "cup")),
    ).moved(-0.08, 0.0, -0.08)
    touch = drawn_key(
        rng,
        "other_hand",
        pick(rng, ("in_down", "front_down", "rise_down", "front_side", "in_self")),
        _any_shape(rng),
        pick(rng, ("palm", "middle", "index")),
        (0.03, 0.03, 0.07),
        0.015,
    )
    away = touch.moved(*pick(rng, ((0.08, 0.05, 0.2), (0.05, 0.2, 0.08), (0.2, 0.02, 0.05))))
    return _repeated(away, touch, int(rng.integers(1, 4)), lambda k: base, rng, (0.0, 0.02, 0.05)), ""


def _alternate(rng: np.random.Generator) -> Drawn:
    """Both hands move in turn."""
    shape = _any_shape(rng)
    orientation = pick(rng, ("front_up", "front_side", "in_self", "front_down", "up_out"))
    a = _in_space(rng, "middle", orientation, shape).moved(0.06, 0.0, 0.12)
    b = a.moved(*pick(rng, ((0.0, 0.0, -0.22), (0.0, 0.15, 0.0), (0.12, 0.05, -0.1))))
    keys = [a, b, a, b][: int(rng.integers(3, 5))]
    others = [b if k is a else a for k in keys]
    return _beats(keys, others, [10] + [rng.uniform(6, 9)] * (len(keys) - 1)), ""


def _open_close(rng: np.random.Generator) -> Drawn:
    """A hand opens or closes on its way."""
    closed, opened = pick(rng, _OPENING)
    spot = pick(rng, ("high", "side", "middle", "up"))
    a = _in_space(rng, spot, pick(rng, ("rise_out", "rise_down", "rise_self", "up_out")), closed)
    b = a.moved(*jittered(rng, (0.03, 0.1, -0.08), 0.08)).shaped(opened)
    a, b = (a, b) if rng.random() < 0.6 else (b, a)
    other = _mirrored if rng.random() < 0.4 else _idle
    return _once(a, b, [9, rng.uniform(7, 10)], other=other), ""


def _cross(rng: np.random.Generator) -> Drawn:
    """Hands cross in front of the chest, or part from crossing."""
    shape = pick(rng, ("flat", "fist", "index", "five", "V", "ILY", "L", "B"))
    orientation = pick(rng, ("rise_self", "front_down", "in_down", "rise_out"))
    cross = _in_space(rng, "cross", orientation, shape)
    apart = _in_space(rng, "side", orientation, shape)
    lower = lambda k: k.moved(0.0, -0.14, -0.1)  # noqa: E731 - the hand nearer to the body
    keys = (apart, cross) if rng.random() < 0.5 else (cross, apart)
    return _once(*keys, [10, rng.uniform(7, 11)], (0.0, 0.05, 0.0), lower), ""


def _point(rng: np.random.Generator) -> Drawn:
    """Point with the index finger or the flat hand."""
    shape = pick(rng, ("index", "index", "flat", "L"))
    a = _in_space(rng, "middle", pick(rng, ("front_side", "front_down", "rise_down")), shape)
    b = a.moved(*pick(rng, ((0.35, 0.08, 0.15), (-0.25, 0.1, 0.05), (0.1, 0.15, 0.3), (0.25, 0.1, -0.15))))
    return _once(a, b, [8, rng.uniform(6, 9)], (0.0, 0.0, 0.05)), ""


def _face_pass(rng: np.random.Generator) -> Drawn:
    """One hand, or both, moves past the face, close in front of it."""
    shape = _any_shape(rng)
    orientation = pick(rng, ("rise_self", "in_self", "up_side", "in_down", "face_flat"))
    start = drawn_key(
        rng, pick(rng, ("forehead", "eye", "nose", "mouth")), orientation, shape, "palm", (0.12, 0.13, 0.05)
    )
    end = start.moved(*pick(rng, ((-0.22, 0.02, -0.04), (-0.05, 0.02, -0.3), (0.18, 0.04, 0.06), (-0.12, 0.0, -0.2))))
    if rng.random() < 0.35:
        end = end.shaped(_any_shape(rng))
    other = _mirrored if rng.random() < 0.4 else _idle
    return _once(start, end, [10, rng.uniform(8, 12)], other=other), ""


def _both_face(rng: np.random.Generator) -> Drawn:
    """Both hands touch both sides of the face, then leave it."""
    shape, part = pick(rng, _BOTH_TOUCHING)
    place, orientation = pick(rng, ("temple", "cheek", "ear", "chin")), pick(rng, ("face_tip", "face_side"))
    start = drawn_key(rng, place, orientation, shape, part, (0.02, 0.0, 0.0), 0.008)
    end = start.moved(*pick(rng, ((0.2, 0.12, 0.0), (0.12, 0.2, -0.15), (0.06, 0.04, -0.16))))
    return _repeated(start, end, int(rng.integers(1, 3)), _mirrored, rng), ""


TEMPLATES: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "face_away": _face_away,
    "face_tap": _face_tap,
    "chest": _chest,
    "stroke": _stroke,
    "shake": _shake,
    "sweep": _sweep,
    "flutter": _flutter,
    "on_hand": _on_hand,
    "alternate": _alternate,
    "open_close": _open_close,
    "cross": _cross,
    "point": _point,
    "face_pass": _face_pass,
    "both_face": _both_face,
    **{name: contact_template(name) for name in CONTACTS},
}
