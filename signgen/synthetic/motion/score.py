"""A sentence on paper: which keys come when, before any body performs it.

Times are frames at 25 a second, counted from the clip's first frame; a score reaches a little beyond both ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from signgen.synthetic.motion.anatomy import HAND_PLACES
from signgen.synthetic.motion.lexicon import glosses, sign
from signgen.synthetic.motion.placement import IDLE
from signgen.synthetic.motion.signs import Beat, HandKey, Sign, Triple

FPS = 25.0
SPLITS = ("train", "dev", "test")
_SHARES = {"train": range(80), "dev": range(80, 90), "test": range(90, 100)}
_FRAMES_PER_SIGN = (11.0, 21.0)
_TRIES, _PACE_SPREAD = 24, 0.2
MIN_SIGNS, MAX_SIGNS = 3, 9
_SHORT, _FEWEST = 36, 2  # clips of fewer frames than this have room for two signs only
_LONG_HOLDS, _SHORTENED = 0.15, 0.7  # shares of signs that end with a long hold, that lose a repeated stroke
# Roughly where places are, (out, front, up) in arm lengths, to give long ways enough time.
_ABOUT = {
    "space": (0.0, 0.6, 0.0),
    "chest": (0.0, 0.35, -0.15),
    "shoulder": (0.2, 0.3, 0.0),
    "far_shoulder": (-0.2, 0.3, 0.0),
    "belly": (0.0, 0.4, -0.5),
    "thigh": (0.42, 0.17, -0.8),
    "clasp": (0.0, 0.4, -0.7),
    **dict.fromkeys(HAND_PLACES, (0.05, 0.55, -0.25)),
}
_FACE = (0.15, 0.3, 0.3)
_SPACE_MIDDLE = (0.18, 0.0, -0.22)
_FRAMES_PER_ARM = 10.5


@dataclass(frozen=True)
class Cue:
    """One key of the score, for both hands; `arc` and `flow` describe the movement that leads here (see `Beat`)."""

    time: float
    hand: HandKey
    other: HandKey
    arc: Triple
    flow: float


@dataclass(frozen=True)
class Mark:
    """One performed sign: from the end of the transition into it to its last key, frames."""

    sign: Sign
    start: float
    end: float


@dataclass(frozen=True)
class Score:
    """A sentence: cues in order of time, marks of its signs, frames of the clip and the dominant side."""

    cues: tuple[Cue, ...]
    marks: tuple[Mark, ...]
    frames: int
    dominant: str

    @property
    def glosses(self) -> list[str]:
        """Glosses in order."""
        return [mark.sign.gloss for mark in self.marks]


def sentence_split(words: Sequence[str]) -> str:
    """The split that a gloss sequence belongs to: each sequence belongs to exactly one, whatever the seed."""
    bucket = int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:4], "little") % 100
    return next(name for name, share in _SHARES.items() if bucket in share)


def wanted_glosses(seed: int, split: str, index: int) -> tuple[str, ...]:
    """Two glosses that clip `index` shall hold: the whole lexicon comes round, in a new order each time."""
    words = glosses()
    turn, place = divmod(index, len(words) // 2)
    order = np.random.default_rng([seed, SPLITS.index(split), turn, 7]).permutation(len(words))
    return words[order[2 * place]], words[order[2 * place + 1]]


def compose(rng: np.random.Generator, split: str, frames: int, wanted: Sequence[str] = ()) -> Score:
    """A score of `frames` frames whose gloss sequence belongs to `split` and holds the glosses `wanted`, as
    far as there is room for one more.

    Draws sentences of 3 to 9 signs (2 in clips too short for three) until one fills the clip at a natural pace; after
    a few tries the nearest is taken. Short signs fit most often, `wanted` sees to it that long ones occur as well.
    """
    habit = _Habit.draw(rng)
    tried: list[tuple[float, Score]] = []
    while len(tried) < _TRIES and not any(pace < rng.uniform(0.06, _PACE_SPREAD) for pace, _ in tried):
        score, stretch = write_score(rng, draw_sentence(rng, split, frames, wanted), frames, habit)
        tried.append((abs(float(np.log(stretch))), score))
    return min(tried, key=lambda pair: pair[0])[1]


def draw_sentence(rng: np.random.Generator, split: str, frames: int, wanted: Sequence[str] = ()) -> list[str]:
    """Draws 3 to 9 glosses for about `frames` frames, no two equal neighbours, a sequence of `split`.

    The glosses `wanted` are among them; at least one is free, so that some sentence belongs to the split.
    """
    words, fewest = glosses(), MIN_SIGNS if frames >= _SHORT else _FEWEST
    while True:
        count = int(np.clip(round(frames / rng.uniform(*_FRAMES_PER_SIGN)), fewest, MAX_SIGNS))
        picked = [words[i] for i in rng.integers(len(words), size=count)]
        for place, word in zip(rng.permutation(count), wanted[: count - 1], strict=False):
            picked[place] = word
        if all(a != b for a, b in pairwise(picked)) and sentence_split(picked) == split:
            return picked


def _about(key: HandKey) -> np.ndarray:
    return np.add(_ABOUT.get(key.place, _FACE), key.offset)


def _needed_frames(before: Cue, hand: HandKey, other: HandKey) -> float:
    """The shortest natural duration of the way from one cue to the next keys, frames."""
    way = max(np.linalg.norm(_about(before.hand) - _about(hand)), np.linalg.norm(_about(before.other) - _about(other)))
    return 1.5 + _FRAMES_PER_ARM * float(way)


def write_score(rng: np.random.Generator, words: Sequence[str], frames: int, habit: _Habit) -> tuple[Score, float]:
    """Puts signs into time so that they fill `frames` frames.

    A clip starts and ends with the hands at rest, or, like a cut-out of longer signing, on the way from or to another
    sign. The hand that a one-handed sign does not need rests, or waits half raised where it was.

    Returns:
        The score, and by how much its natural durations were stretched.
    """
    edge = [("rest", "cut")[int(rng.random() < share)] for share in (0.8, 0.8)]
    rest = IDLE[("down", "clasped")[int(rng.random() < 0.35)]]
    cues, marks, now = [_edge_cue(rng, edge[0], rest, 0.0)], [], 0.0
    for word in words:
        performed = _vary(rng, sign(word), habit)
        began = now
        for k, beat in enumerate(performed.beats):
            other = _idle_hand(rng, beat, cues[-1], rest)
            now += max(beat.frames, _needed_frames(cues[-1], beat.hand, other))
            cues.append(Cue(now, beat.hand, other, beat.arc, beat.flow))
            began = now if k == 0 else began
        now += float(rng.uniform(4, 10) if rng.random() < _LONG_HOLDS else rng.uniform(0.3, 2.5))
        cues.append(Cue(now, cues[-1].hand, cues[-1].other, (0.0, 0.0, 0.0), 1.0))
        marks.append(Mark(performed, began, now))
    last = _edge_cue(rng, edge[1], rest, now)
    last = replace(last, time=now + rng.uniform(0, 3) + _needed_frames(cues[-1], last.hand, last.other))
    tail = rng.uniform(0.05, 0.6) if edge[1] == "cut" else rng.uniform(0.3, 1.0)
    first = float(rng.uniform(0.5, 0.95)) * cues[1].time if edge[0] == "cut" else 0.0
    stop = now + tail * (last.time - now)
    score = _fit([*cues, last], marks, first, stop, frames, "L" if rng.random() < 0.12 else "R")
    return score, frames / (stop - first)


def _edge_cue(rng: np.random.Generator, edge: str, rest: HandKey, time: float) -> Cue:
    if edge == "rest":
        return Cue(time, rest, rest, (0.0, 0.1, 0.0), 0.9)
    words = glosses()
    beat = sign(words[int(rng.integers(len(words)))]).beats[0]
    return Cue(time, beat.hand, beat.other or rest, (0.0, 0.06, 0.0), 0.9)


def _idle_hand(rng: np.random.Generator, beat: Beat, before: Cue, rest: HandKey) -> HandKey:
    """The other hand's key: its own, or where an unused hand stays."""
    if beat.other is not None:
        return beat.other
    if before.other.place in ("thigh", "clasp") or rng.random() < 0.5:
        return rest
    return before.other.shaped("relax") if rng.random() < 0.6 else before.other


@dataclass(frozen=True)
class _Habit:
    """How somebody signs in one clip: pace, where the signing space lies and how large it is, 1 = usual."""

    pace: float
    size: float
    shift: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Habit:
        return cls(
            float(np.exp(rng.normal(-0.14, 0.12))), float(rng.uniform(0.8, 1.25)), rng.normal(0, (0.02, 0.03, 0.05))
        )


def _vary(rng: np.random.Generator, base: Sign, habit: _Habit) -> Sign:
    """One performance of a sign: its pace, places, size and the turn of the hands differ a little every time."""
    pace = habit.pace * float(np.exp(rng.normal(0.0, 0.12)))
    shift = habit.shift + rng.normal(0, 0.015, 3)
    tilts = rng.normal(0, 0.09, (2, 3))

    def moved(key: HandKey) -> HandKey:
        if key.place == "space":
            key = key.moved(*((habit.size - 1.0) * np.subtract(key.offset, _SPACE_MIDDLE) + shift).tolist())
        elif key.place == "chest":
            key = key.moved(*(0.4 * shift).tolist())
        fingers, palm = ((np.array(v) + t).tolist() for v, t in zip((key.fingers, key.palm), tilts, strict=True))
        return replace(key, fingers=tuple(fingers), palm=tuple(palm))

    # Signers often leave out the last two strokes in a sentence where they repeat earlier ones.
    repeats = len(base.beats) >= 4 and base.beats[-2:] == base.beats[-4:-2]
    strokes = base.beats[:-2] if rng.random() < _SHORTENED and repeats else base.beats
    beats = tuple(
        replace(beat, hand=moved(beat.hand), other=beat.other and moved(beat.other), frames=beat.frames * pace)
        for beat in strokes
    )
    return replace(base, beats=beats)


def _fit(cues: list[Cue], marks: list[Mark], first: float, stop: float, frames: int, dominant: str) -> Score:
    """Stretches time so that `first`..`stop` becomes 0..frames."""
    scale = frames / (stop - first)
    new = lambda t: (t - first) * scale  # noqa: E731
    return Score(
        tuple(replace(cue, time=new(cue.time)) for cue in cues),
        tuple(replace(mark, start=new(mark.start), end=new(mark.end)) for mark in marks),
        frames,
        dominant,
    )
