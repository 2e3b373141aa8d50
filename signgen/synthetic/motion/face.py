"""Faces that move: mouthings of the glosses, brows, blinks and a little asymmetry, as ARKit facial actions.

All functions are deterministic in the generator they get and return weights over time, sampled at arbitrary
instants (frames, 25 a second).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Mouth shapes that looked right on the rendered faces.
VISEMES: dict[str, dict[str, float]] = {
    "rest": {},
    "open": {"jawOpen": 0.12},
    "a": {"jawOpen": 0.36, "mouthFunnel": 0.25},
    "e": {"jawOpen": 0.18, "mouthStretch": 0.4},
    "i": {"jawOpen": 0.12, "mouthStretch": 0.45, "mouthSmile": 0.15},
    "o": {"jawOpen": 0.25, "mouthFunnel": 0.8},
    "u": {"jawOpen": 0.08, "mouthPucker": 0.7},
    "m": {"mouthPress": 0.5, "mouthRollLower": 0.2},
    "f": {"jawOpen": 0.08, "mouthRollLower": 0.45, "mouthUpperUp": 0.25},
    "l": {"jawOpen": 0.2, "tongueOut": 0.15, "mouthStretch": 0.15},
    "s": {"jawOpen": 0.05, "mouthStretch": 0.3, "mouthSmile": 0.1},
    "sch": {"jawOpen": 0.1, "mouthFunnel": 0.5, "mouthPucker": 0.2},
}
# From content version 5 on: open mouths show teeth and tongue, lips meet.
CLEAR_VISEMES: dict[str, dict[str, float]] = {
    "rest": {},
    "open": {"jawOpen": 0.20, "mouthUpperUp": 0.15},
    "a": {"jawOpen": 0.50, "mouthUpperUp": 0.25, "mouthStretch": 0.1},
    "e": {"jawOpen": 0.26, "mouthStretch": 0.45, "mouthUpperUp": 0.25, "mouthLowerDown": 0.2},
    "i": {"jawOpen": 0.14, "mouthStretch": 0.5, "mouthSmile": 0.25, "mouthUpperUp": 0.3, "mouthLowerDown": 0.3},
    "o": {"jawOpen": 0.32, "mouthFunnel": 0.85},
    "u": {"jawOpen": 0.10, "mouthPucker": 0.85, "mouthFunnel": 0.2},
    "m": {"mouthPress": 0.55, "mouthRollLower": 0.12, "mouthRollUpper": 0.12},
    "f": {"jawOpen": 0.09, "mouthRollLower": 0.4, "mouthUpperUp": 0.5},
    "l": {"jawOpen": 0.30, "tongueOut": 0.35, "mouthStretch": 0.15, "mouthUpperUp": 0.2},
    "s": {"jawOpen": 0.07, "mouthStretch": 0.4, "mouthSmile": 0.15, "mouthUpperUp": 0.35, "mouthLowerDown": 0.4},
    "sch": {"jawOpen": 0.14, "mouthFunnel": 0.7, "mouthPucker": 0.3, "mouthUpperUp": 0.25, "mouthLowerDown": 0.25},
}
FAINT, CLEAR = 0.12, 0.45  # of full growth: below, a mouth is at rest; above, its shape can be told
# fmt: off
_SPOKEN = {
    "a": "a", "e": "e", "i": "ijy", "o": "o", "u": "uq",
    "m": "mbp", "f": "fvw", "l": "ldnt", "open": "cghkr", "s": "sxz",
}
_PAIRED = (  # facial actions that ARKit has for each side
    "mouthStretch", "mouthSmile", "mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthFrown", "mouthDimple",
    "browDown", "browOuterUp", "eyeSquint", "eyeWide", "eyeBlink", "cheekSquint",
)
# fmt: on
_LETTERS = {letter: name for name, letters in _SPOKEN.items() for letter in letters}
_BLINK_FRAMES = 5.5


@dataclass(frozen=True)
class Expression:
    """What the face does during one sign: `start`..`end` in frames, brows -1 furrowed .. 1 raised."""

    gloss: str
    start: float
    end: float
    brows: float = 0.0


def spell(gloss: str) -> list[str]:
    """Names of the mouth shapes of a gloss, in order: REGEN -> open e open e l."""
    text = gloss.lower().replace("ue", "u").replace("oe", "o").replace("ae", "e").replace("ei", "ai")
    out: list[str] = []
    while text:
        if text.startswith("sch"):
            name, text = "sch", text[3:]
        else:
            name, text = _LETTERS.get(text[0], "open"), text[1:]
        if not out or out[-1] != name:
            out.append(name)
    return out


class FaceTrack:
    """The face over one clip.

    Args:
        expressions: what it does during each sign.
        length: frames of the clip.
        rng: decides strength of mouthing, blinks, asymmetry and mood.
        version: of the drawn content; from 5 on moods are friendlier and mouths close where lips meet.
    """

    def __init__(
        self, expressions: Sequence[Expression], length: float, rng: np.random.Generator, version: int = 4
    ) -> None:
        self._expressions, self._visemes = tuple(expressions), VISEMES if version < 5 else CLEAR_VISEMES
        self._strength = float(rng.uniform(0.65, 1.15))
        self._mouthed = rng.random(len(self._expressions)) < 0.85
        self._blinks = _blink_times(length, [e.end for e in self._expressions], rng)
        self._asymmetry = float(rng.normal(0, 0.12))
        self._mood = _mood(rng) if version < 5 else _friendly_mood(rng)

    def at(self, times: np.ndarray) -> list[dict[str, float]]:
        """Facial actions at instants (N,), frames: N dicts of weights in 0..1, tiny ones left out."""
        times = np.asarray(times, float)
        tracks: dict[str, np.ndarray] = {name: np.full(times.shape, v) for name, v in self._mood.items()}
        for expression, mouthed in zip(self._expressions, self._mouthed, strict=True):
            if mouthed:
                self._add_mouthing(tracks, expression, times)
            _add_brows(tracks, expression, times)
        _add(tracks, "eyeBlink", self._blink(times))
        return self._as_actions(tracks, len(times))

    def visemes(self, times: np.ndarray) -> np.ndarray:
        """The mouth shape seen at instants (N,): int8, an index into `VISEMES`.

        ``rest`` where no shape has begun, -1 where one turns into the next and neither is clear.
        """
        order, times = list(VISEMES), np.asarray(times, float)
        best, second = np.zeros(times.shape), np.zeros(times.shape)
        shown = np.full(times.shape, order.index("rest"), np.int8)
        for expression, mouthed in zip(self._expressions, self._mouthed, strict=True):
            for name, bell in _bells(expression, times) if mouthed else ():
                second = np.maximum(second, np.minimum(bell, best))
                shown = np.where(bell > best, order.index(name), shown)
                best = np.maximum(best, bell)
        unclear = (best > FAINT) & ((best < CLEAR) | (second > 0.75 * best))
        return np.where(best <= FAINT, order.index("rest"), np.where(unclear, -1, shown)).astype(np.int8)

    def _add_mouthing(self, tracks: dict[str, np.ndarray], expression: Expression, times: np.ndarray) -> None:
        for name, bell in _bells(expression, times):
            for action, weight in self._visemes[name].items():
                old = tracks.get(action, np.zeros(times.shape))
                tracks[action] = np.maximum(old, self._strength * weight * bell)

    def _blink(self, times: np.ndarray) -> np.ndarray:
        out = np.zeros(times.shape)
        for start in self._blinks:
            phase = np.clip((times - start) / _BLINK_FRAMES, 0, 1)
            out = np.maximum(out, np.clip(1.35 * np.sin(np.pi * phase**0.8), 0, 1))
        return out

    def _as_actions(self, tracks: dict[str, np.ndarray], count: int) -> list[dict[str, float]]:
        sided: dict[str, np.ndarray] = {}
        for name, track in tracks.items():
            more = 0.0 if name == "eyeBlink" else self._asymmetry  # on the left
            if name in _PAIRED:
                sided[name + "Left"], sided[name + "Right"] = track * (1 + more), track * (1 - more)
            else:
                sided[name] = track
        if "jawOpen" in sided:
            sided["jawOpen"] = np.minimum(sided["jawOpen"], 0.45 if self._visemes is VISEMES else 0.6)
        return [
            {name: float(min(track[i], 1.0)) for name, track in sided.items() if track[i] > 0.01} for i in range(count)
        ]


def _bells(expression: Expression, times: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The mouth shapes of a gloss and how far each has grown, 0..1, at instants (N,)."""
    names = spell(expression.gloss)
    span = max(expression.end - expression.start, 1.0)
    step = span / len(names)
    width = max(0.75 * step, 1.6)
    return [
        (name, np.exp(-0.5 * ((times - expression.start - (k + 0.5) * step) / (0.6 * width)) ** 2))
        for k, name in enumerate(names)
    ]


def _add(tracks: dict[str, np.ndarray], name: str, values: np.ndarray) -> None:
    tracks[name] = tracks.get(name, 0.0) + values


def _add_brows(tracks: dict[str, np.ndarray], expression: Expression, times: np.ndarray) -> None:
    rise = np.clip((times - expression.start + 2) / 4, 0, 1) * np.clip((expression.end + 2 - times) / 4, 0, 1)
    amount = rise * rise * (3 - 2 * rise) * abs(expression.brows)
    if expression.brows > 0:
        _add(tracks, "browInnerUp", 0.8 * amount)
        _add(tracks, "browOuterUp", 0.7 * amount)
        _add(tracks, "eyeWide", 0.4 * amount)
    elif expression.brows < 0:
        _add(tracks, "browDown", 0.9 * amount)
        _add(tracks, "eyeSquint", 0.5 * amount)


def _mood(rng: np.random.Generator) -> dict[str, float]:
    """A constant expression of the clip: calm, friendly, serious or tense."""
    calm = {"jawOpen": float(rng.uniform(0, 0.05)), "eyeBlink": float(rng.uniform(0, 0.12))}
    extra = (
        {},
        {},
        {"mouthSmile": 0.3, "cheekSquint": 0.15},
        {"mouthFrown": 0.25, "browDown": 0.2},
        {"browInnerUp": 0.25},
    )[int(rng.integers(5))]
    return {**calm, **extra}


def _friendly_mood(rng: np.random.Generator) -> dict[str, float]:
    """A constant expression of the clip: always a little lifted, sometimes smiling, attentive or, rarely, serious."""
    lifted = {
        "mouthSmile": float(rng.uniform(0.10, 0.22)),
        "browInnerUp": float(rng.uniform(0.0, 0.12)),
        "eyeSquint": float(rng.uniform(0.05, 0.25)),
        "eyeBlink": float(rng.uniform(0.04, 0.16)),
    }
    extra: dict[str, float] = (
        {},
        {},
        {"mouthSmile": 0.35, "cheekSquint": 0.25, "mouthDimple": 0.1},
        {"mouthSmile": 0.5, "cheekSquint": 0.35, "jawOpen": 0.05, "mouthUpperUp": 0.15},  # teeth show
        {"browInnerUp": 0.2, "browOuterUp": 0.2},
        {"browDown": 0.2, "mouthSmile": 0.03},
    )[int(rng.integers(6))]
    return {**lifted, **extra}


def _blink_times(length: float, ends: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Starts of blinks, a few seconds apart, drawn to the ends of signs as with real signers."""
    times, now = [], float(rng.exponential(35.0))
    while now < length:
        near = [end for end in ends if abs(end - now) < 8]
        times.append(near[0] - 2 if near else now)
        now += float(rng.uniform(18, 40) + rng.exponential(30.0))
    return times
