"""What a sign is made of: keys of the hands, beats in time, and the small movements that go with them.

Directions and offsets are triples (out, front, up) seen from the hand's own side: out > 0 leads away from the body's
middle, so the same numbers give mirrored hands. Offsets are in arm lengths (shoulder to wrist).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from signgen.synthetic.body.rotations import Triple

T = TypeVar("T")

# name: (fingers, palm)
ORIENTATIONS: dict[str, tuple[Triple, Triple]] = {
    "up_out": ((-0.05, 0.25, 1.0), (-0.15, 1.0, -0.1)),
    "up_self": ((-0.2, 0.15, 1.0), (-0.15, -1.0, 0.1)),
    "up_side": ((-0.05, 0.3, 1.0), (-1.0, 0.1, 0.0)),
    "front_down": ((-0.3, 1.0, 0.1), (0.0, 0.1, -1.0)),
    "front_up": ((-0.25, 1.0, 0.1), (-0.1, -0.1, 1.0)),
    "front_side": ((-0.2, 1.0, 0.3), (-1.0, -0.1, 0.0)),
    "in_down": ((-1.0, 0.45, 0.1), (0.0, 0.1, -1.0)),
    "in_self": ((-1.0, 0.25, 0.25), (-0.2, -1.0, 0.1)),
    "in_up": ((-0.9, 0.6, 0.05), (-0.1, -0.25, 1.0)),
    "rise_out": ((-0.45, 0.5, 0.8), (-0.1, 0.8, -0.45)),
    "rise_self": ((-0.7, 0.25, 0.75), (-0.3, -0.9, 0.1)),
    "rise_down": ((-0.35, 0.75, 0.5), (-0.1, 0.45, -0.85)),
    "fall_self": ((-0.5, 0.35, -0.75), (-0.2, -0.9, -0.2)),
    "fall_down": ((-0.3, 0.8, -0.5), (0.0, -0.4, -0.9)),
    "out_up": ((0.45, 0.8, 0.35), (-0.2, 0.0, 1.0)),
    "face_tip": ((-0.55, -0.2, 0.85), (-0.55, -0.75, 0.0)),
    "face_side": ((-0.15, -0.05, 1.0), (-1.0, -0.3, 0.0)),
    "face_flat": ((-0.75, -0.05, 0.6), (-0.2, -0.95, 0.0)),
    "hang": ((-0.05, 0.15, -1.0), (-1.0, 0.1, 0.0)),
    "clasp": ((-0.8, 0.3, -0.35), (-0.2, -0.85, 0.3)),
}
_WIDEST, _ACROSS, _LOWEST, _FARTHEST = 0.5, -0.32, -0.6, 0.2  # how far hands go in space: the frame is narrow


@dataclass(frozen=True)
class HandKey:
    """Where one hand is at one moment.

    Attributes:
        place: name of a place, see `anatomy.PLACES`.
        offset: (out, front, up) from it, arm lengths.
        part: the part of the hand that is there: palm, back, wrist; the tips index, middle, thumb; finger (the middle
            of the index finger), fork (between index and middle finger), knuckle (of the closed hand), edge (below
            the little finger).
        fingers, palm: directions (out, front, up).
        shape: hand shape.
    """

    place: str
    offset: Triple
    part: str
    fingers: Triple
    palm: Triple
    shape: str

    def moved(self, *offset: float) -> HandKey:
        """The same key, moved by (out, front, up)."""
        out, front, up = (a + b for a, b in zip(self.offset, offset, strict=True))
        if self.place == "space":
            out, up = min(max(out, _ACROSS), _WIDEST), max(up, _LOWEST)
            front = min(front, _FARTHEST + 0.6 * min(out, 0.0))  # a hand across the body reaches less far
        return replace(self, offset=(out, front, up))

    def turned(self, orientation: str) -> HandKey:
        """The same key with another orientation."""
        fingers, palm = ORIENTATIONS[orientation]
        return replace(self, fingers=fingers, palm=palm)

    def shaped(self, shape: str) -> HandKey:
        """The same key with another hand shape."""
        return replace(self, shape=shape)


@dataclass(frozen=True)
class Beat:
    """One key of a sign: both hands, the time it takes to get there, and the bow of the way.

    Attributes:
        hand, other: keys of the dominant and the other hand; `other` None = idle.
        frames: duration of the movement that leads here, 25 frames a second.
        arc: (out, front, up) bulge of the path, arm lengths.
        flow: share of the duration that the movement fills; the rest is held.
    """

    hand: HandKey
    other: HandKey | None
    frames: float
    arc: Triple = (0.0, 0.0, 0.0)
    flow: float = 0.78


@dataclass(frozen=True)
class Sign:
    """One invented sign.

    Attributes:
        gloss: its name.
        beats: keys in order; the first one's `frames` is the transition into the sign.
        local: small movement during the sign: "", wiggle, shake, circle or nod (of the wrist).
        local_size: its amplitude, 1 = usual.
        alternate: the local movement of the two hands is in opposite phase.
        brows: -1 furrowed .. 1 raised.
        head: (nod, turn, tilt) of the head during the sign, degrees; turn > 0 = to the dominant side.
    """

    gloss: str
    beats: tuple[Beat, ...]
    local: str = ""
    local_size: float = 1.0
    alternate: bool = False
    brows: float = 0.0
    head: Triple = (0.0, 0.0, 0.0)

    @property
    def two_handed(self) -> bool:
        """Whether the other hand takes part."""
        return any(beat.other is not None for beat in self.beats)


Drawn = tuple[tuple[Beat, ...], str]  # beats of a sign and its `local` movement, as a template draws them


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of several, all equally likely."""
    return items[int(rng.integers(len(items)))]


def jittered(rng: np.random.Generator, triple: Triple, spread: float) -> Triple:
    """A triple with normal noise of the standard deviation `spread`."""
    out, front, up = (float(v + e) for v, e in zip(triple, rng.normal(0, spread, 3), strict=True))
    return out, front, up


def drawn_key(
    rng: np.random.Generator,
    place: str,
    orientation: str,
    shape: str,
    part: str = "palm",
    offset: Triple = (0.0, 0.0, 0.0),
    spread: float = 0.03,
    tilt: float = 0.08,
) -> HandKey:
    """A key near a place; `spread` and `tilt` are the standard deviations of its offset and of its directions."""
    fingers, palm = ORIENTATIONS[orientation]
    where = jittered(rng, offset, spread)
    return HandKey(place, where, part, jittered(rng, fingers, tilt), jittered(rng, palm, tilt), shape)
