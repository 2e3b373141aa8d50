"""Movement ideas in which one hand touches, holds, covers or crosses the other.

A contact says how the other hand is held, where it is touched, and how and with which part the dominant hand comes
there. Places named `other_...` follow the other hand's own surface (`placement.hand_places`), so the hands really meet
on every body, and `collisions` keeps them from passing through each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from signgen.synthetic.motion.signs import Beat, Drawn, HandKey, Triple, drawn_key, pick


@dataclass(frozen=True)
class Contact:
    """One way in which hands meet.

    Attributes:
        base_shapes, base_turns: hand shapes and orientations of the other hand, any of which fits; separated by spaces.
        place: where it is touched, one of `anatomy.HAND_PLACES`.
        shapes, turns: the same of the dominant hand.
        part: its part that touches.
        away: (out, front, up) from where it comes and where it leaves to, arm lengths.
        slide: (out, front, up) along which it may glide while it touches.
        same: both hands take the same shape.
    """

    base_shapes: str
    base_turns: str
    place: str
    shapes: str
    turns: str
    part: str
    away: Triple = (0.04, 0.02, 0.2)
    slide: Triple = (0.0, 0.0, 0.0)
    same: bool = False


# fmt: off
_FISTS = "fist A T E N M I Y X thumb"
CONTACTS: dict[str, Contact] = {
    "tip_on_palm": Contact(
        "flat five B", "in_up front_up", "other_palm",
        "index X hookV V U pinch flatO bent K Q", "fall_down front_down rise_down", "index", slide=(0.06, 0.14, 0.0),
    ),
    "fist_on_palm": Contact(
        "flat B cup", "in_up front_up", "other_palm",
        _FISTS, "front_side in_self", "edge",
    ),
    "palm_on_palm": Contact(
        "flat cup B", "in_up front_up", "other_palm",
        "flat cup halfbent B four", "in_down front_down", "palm", slide=(0.1, 0.1, 0.0),
    ),
    "palm_on_back": Contact(
        "flat fist A cup five", "in_down front_down", "other_back",
        "flat cup claw five bent", "in_down front_down", "palm", slide=(0.08, 0.0, 0.0),
    ),
    "palms_together": Contact(
        "flat five B bent claw C", "up_side front_side rise_self", "other_palm",
        "flat", "up_side front_side rise_self", "palm", away=(0.22, 0.02, 0.0), same=True,
    ),
    "fist_on_fist": Contact(
        _FISTS, "front_side in_self", "other_top",
        _FISTS, "front_side in_self", "edge", same=True,
    ),
    "fist_in_hand": Contact(
        "C cup flat softfive", "front_side up_side", "other_palm",
        _FISTS, "in_down in_self", "knuckle", away=(0.2, 0.03, 0.02),
    ),
    "tips_together": Contact(
        "flatO five claw index U beak O bent", "in_self rise_self", "other_tip",
        "five", "in_self rise_self", "index", away=(0.18, 0.04, 0.03), same=True,
    ),
    "fingers_cross": Contact(
        "index U R two", "rise_out rise_self", "other_finger",
        "index U R H", "in_down in_self", "finger", away=(0.12, 0.14, 0.06),
    ),
    "fork": Contact(
        "index flat B U", "in_self in_down", "other_finger",
        "V three K hookV", "front_down fall_down", "fork", away=(0.03, 0.06, 0.2),
    ),
    "hooks": Contact(
        "X hookV pincer F pinch", "in_up in_self", "other_tip",
        "X", "in_down", "index", away=(0.12, 0.06, 0.06), same=True,
    ),
    "wrists_cross": Contact(
        "fist A flat five L ILY horns N", "rise_self rise_out", "other_wrist",
        "fist", "rise_self rise_out", "wrist", away=(0.2, 0.1, 0.03), same=True,
    ),
    "on_forearm": Contact(
        "fist flat A relax", "in_down in_self", "other_forearm",
        "flat fist index V U T bent W", "in_down rise_down", "middle", slide=(0.12, 0.0, 0.0),
    ),
    "stacked": Contact(
        "flat B bent fist E", "in_self", "other_back",
        "flat five fist B", "in_self", "palm", away=(0.14, 0.12, 0.0),
    ),
}
# fmt: on
_CROSSED = ("wrists_cross", "fingers_cross")
_TILT = 0.07  # standard deviation of directions


def contact_template(name: str) -> Callable[[np.random.Generator], Drawn]:
    """A template (see `templates`) whose signs use the contact of this name."""
    contact = CONTACTS[name]

    def template(rng: np.random.Generator) -> Drawn:
        shape, base_shape = pick(rng, contact.shapes.split()), pick(rng, contact.base_shapes.split())
        turn, base_turn = pick(rng, contact.turns.split()), pick(rng, contact.base_turns.split())
        if contact.same:
            shape, turn = base_shape, (base_turn if base_turn in contact.turns.split() else turn)
        spot = (-0.07 if name in _CROSSED else 0.03, float(rng.uniform(-0.12, 0.08)), float(rng.uniform(-0.42, -0.02)))
        base = drawn_key(rng, "space", base_turn, base_shape, "palm", spot, 0.02, _TILT)
        touch = drawn_key(rng, contact.place, turn, shape, contact.part, (0.0, 0.0, 0.0), 0.004, _TILT)
        return pick(rng, _MOVEMENTS)(rng, contact, base, touch), ""

    return template


def _tap(rng: np.random.Generator, contact: Contact, base: HandKey, touch: HandKey) -> tuple[Beat, ...]:
    """Touch once to three times, coming from outside."""
    away, out = touch.moved(*contact.away), (0.0, 0.02, 0.04)
    beats = [Beat(away, base, 8.0, (0.0, 0.08, 0.0), 0.8)]
    for _ in range(int(rng.integers(1, 4))):
        beats += [Beat(touch, base, float(rng.uniform(4.5, 6.5)), out, 0.7), Beat(away, base, 4.5, out, 0.9)]
    return tuple(beats[:-1])


def _glide(rng: np.random.Generator, contact: Contact, base: HandKey, touch: HandKey) -> tuple[Beat, ...]:
    """Touch and stay, or glide along the other hand, then leave."""
    end = touch.moved(*(float(rng.choice((-0.5, 0.5, 1.0))) * v for v in contact.slide))
    beats = [Beat(touch, base, 9.0, (0.03, 0.08, 0.03), 0.8), Beat(end, base, float(rng.uniform(6, 9)), flow=0.85)]
    if rng.random() < 0.5:
        beats.append(Beat(touch.moved(*contact.away), base, 5.0, flow=0.9))
    return tuple(beats)


def _together(rng: np.random.Generator, contact: Contact, base: HandKey, touch: HandKey) -> tuple[Beat, ...]:
    """Touch, and move on as one."""
    way = pick(rng, ((0.0, 0.2, 0.0), (0.0, 0.04, 0.2), (0.14, 0.03, 0.0), (0.0, 0.06, -0.18)))
    pace = float(rng.uniform(6, 9))
    return (Beat(touch, base, 9.0, (0.0, 0.08, 0.02), 0.85), Beat(touch, base.moved(*way), pace, flow=0.85))


def _part(rng: np.random.Generator, contact: Contact, base: HandKey, touch: HandKey) -> tuple[Beat, ...]:
    """Start in contact and part, both hands moving."""
    aside = base.moved(0.14, 0.02, -0.02)
    away = touch.moved(*(1.2 * v for v in contact.away))
    return (Beat(touch, base, 9.0, (0.0, 0.06, 0.02), 0.8), Beat(away, aside, float(rng.uniform(6, 8)), flow=0.85))


_MOVEMENTS = (_tap, _glide, _glide, _together, _part)
