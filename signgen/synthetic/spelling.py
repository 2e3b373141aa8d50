"""Words that have no sign of their own and are spelled: a run of letters of the manual alphabet.

The letters are hand shapes of `handshapes`, close to the one-handed alphabets of German and American signers. Each
letter is held for a moment and the hand moves on a little, so runs of shapes change quickly at one place.
"""

from __future__ import annotations

import numpy as np

from signgen.synthetic.signs import ORIENTATIONS, Beat, HandKey, Triple

SPELLED = (
    "ULM",
    "HARZ",
    "SYLT",
    "BONN",
    "KIEL",
    "WESER",
    "QUITO",
    "XANTEN",
    "DOVER",
    "FJORD",
    "MAINZ",
    "GERA",
    "PADUA",
    "ELBE",
    "VEGA",
    "TEMPO",
)
_SHAPES = {"J": "I", "S": "fist", "Z": "index"}
_TURNS = {"G": "front_side", "H": "front_side", "P": "rise_down", "Q": "front_down"}
_DRAWN: dict[str, Triple] = {"J": (-0.05, 0.0, -0.06), "Z": (-0.08, 0.02, -0.06)}  # letters that a movement ends
_FRAMES, _HELD_FLOW, _STEP = 4.4, 0.62, 0.016


def letter_shape(letter: str) -> str:
    """The hand shape of a letter A to Z."""
    return _SHAPES.get(letter, letter)


def spelled_beats(word: str, rng: np.random.Generator) -> tuple[Beat, ...]:
    """Beats of a word of letters A to Z: one a letter, two for J, Z and doubled letters."""
    place = (0.3, float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.12, 0.05)))
    usual = ("up_out", "rise_out")[int(rng.random() < 0.3)]
    beats: list[Beat] = []
    for number, letter in enumerate(word):
        fingers, palm = ORIENTATIONS[_TURNS.get(letter, usual)]
        key = HandKey("space", place, "wrist", fingers, palm, letter_shape(letter)).moved(_STEP * number, 0.0, -0.18)
        if number and letter == word[number - 1]:
            beats.append(Beat(beats[-1].hand.moved(0.03, 0.05, 0.02), None, 2.5, flow=0.9))
        beats.append(Beat(key, None, _FRAMES if number else 9.0, (0.0, 0.01 if number else 0.08, 0.0), _HELD_FLOW))
        if letter in _DRAWN:
            beats.append(Beat(key.moved(*_DRAWN[letter]), None, _FRAMES, (-0.1, 0.0, -0.1), 0.9))
    return tuple(beats)
