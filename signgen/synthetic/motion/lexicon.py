"""An invented lexicon: German weather words as glosses, and for each a made-up sign that looks plausible.

None of these is a sign of any living language. A sign is drawn once from a seed that is its own gloss, by one of a
few templates (touch the face and leave, sweep both hands, tap the flat hand, flutter the fingers downwards, ...), or
spelled with the manual alphabet; so the same gloss always gives the same movement, with small variations that each
performance adds.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from signgen.errors import NotFound
from signgen.synthetic.motion.signs import ORIENTATIONS, Beat, HandKey, Sign, Triple
from signgen.synthetic.motion.templates import TEMPLATES

# Words without a sign of their own, spelled with the manual alphabet: hand shapes of `handshapes`, close to the
# one-handed alphabets of German and American signers. Each letter is held for a moment and the hand moves on a little,
# so runs of shapes change quickly at one place.
SPELLED = (
    "ULM", "HARZ", "SYLT", "BONN", "KIEL", "WESER", "QUITO", "XANTEN", "DOVER", "FJORD", "MAINZ", "GERA", "PADUA",
    "ELBE", "VEGA", "TEMPO",
)  # fmt: skip
_SHAPES = {"J": "I", "S": "fist", "Z": "index"}
_TURNS = {"G": "front_side", "H": "front_side", "P": "rise_down", "Q": "front_down"}
_DRAWN: dict[str, Triple] = {"J": (-0.05, 0.0, -0.06), "Z": (-0.08, 0.02, -0.06)}  # letters that a movement ends
_FRAMES, _HELD_FLOW, _STEP = 4.4, 0.62, 0.016
# Glosses and the template that draws their sign; the order decides what each seed draws.
# fmt: off
_GLOSSES: dict[str, str] = {
    "REGEN": "flutter", "SCHNEE": "flutter", "SCHAUER": "flutter", "HAGEL": "flutter", "NEBEL": "face_pass",
    "WOLKE": "sweep",
    "WIND": "sweep", "STURM": "alternate", "GEWITTER": "alternate", "BLITZ": "stroke",
    "SONNE": "open_close", "KLAR": "sweep", "TROCKEN": "chest", "NASS": "open_close",
    "FROST": "shake", "EIS": "stroke", "GLATT": "on_hand",
    "WARM": "face_away", "KALT": "shake", "HEISS": "face_away", "GRAD": "on_hand",
    "NORD": "point", "SUED": "point", "OST": "point", "WEST": "point", "MITTE": "on_hand",
    "BERG": "stroke", "TAL": "sweep", "KUESTE": "stroke", "MEER": "alternate", "FLUSS": "stroke",
    "LAND": "sweep", "STADT": "cross", "DEUTSCH": "shake", "EUROPA": "face_pass",
    "MORGEN": "face_away", "HEUTE": "sweep", "GESTERN": "face_away", "NACHT": "face_pass",
    "TAG": "stroke", "ABEND": "cross", "MITTAG": "stroke", "WOCHE": "both_face",
    "MONTAG": "shake", "DIENSTAG": "face_tap", "MITTWOCH": "on_hand", "DONNERSTAG": "alternate",
    "FREITAG": "face_tap", "SAMSTAG": "chest", "SONNTAG": "on_hand",
    "EINS": "shake", "ZWEI": "shake", "DREI": "shake", "VIER": "shake", "FUENF": "shake", "ZEHN": "open_close",
    "ZWANZIG": "shake",
    "MEHR": "on_hand", "WENIG": "face_tap", "VIEL": "open_close",
    "STARK": "sweep", "SCHWACH": "alternate", "HOCH": "sweep", "TIEF": "sweep", "LANGSAM": "on_hand",
    "SCHNELL": "stroke",
    "KOMMEN": "alternate", "BLEIBEN": "sweep", "ZIEHEN": "stroke", "STEIGEN": "stroke", "SINKEN": "stroke",
    "WECHSEL": "alternate", "VERSCHIEDEN": "cross", "GLEICH": "on_hand",
    "AUCH": "chest", "ABER": "face_away", "DANN": "point", "IHR": "point", "ICH": "chest",
    "SCHOEN": "face_pass", "GUT": "face_away", "VORSICHT": "face_pass",
    "SEHEN": "both_face", "HOEREN": "both_face", "WISSEN": "face_tap", "ZUSCHAUER": "both_face",
    "KARTE": "tip_on_palm", "ORT": "tip_on_palm", "PUNKT": "fist_on_palm", "HILFE": "fist_on_palm",
    "BODEN": "palm_on_palm", "FLACH": "palm_on_back", "BEDECKT": "palm_on_back",
    "ZUSAMMEN": "palms_together", "DRUCK": "palms_together",
    "ARBEIT": "fist_on_fist", "FEST": "fist_on_fist", "ZENTRUM": "fist_in_hand",
    "HAUS": "tips_together", "TREFFEN": "tips_together",
    "KREUZ": "fingers_cross", "GRENZE": "fork", "VERBINDEN": "hooks", "SPERRE": "wrists_cross",
    "GEFAHR": "wrists_cross", "ZEIT": "on_forearm",
    "MUND": "face_tap", "AUGE": "face_tap", "TRAUM": "face_away",
    "SCHATTEN": "face_pass", "DUNKEL": "face_pass", "STILL": "face_away", "MASKE": "both_face",
    "DENKEN": "face_tap", "SAGEN": "face_away", "BLIND": "face_pass", "DICHT": "stacked", "HINTER": "stacked",
    **dict.fromkeys(SPELLED, "spelled"),
}
# fmt: on


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


def glosses() -> list[str]:
    """All glosses of the lexicon."""
    return list(_GLOSSES)


@cache
def sign(gloss: str) -> Sign:
    """The invented sign of a gloss; always the same one. Raises InputError for an unknown gloss."""
    if gloss not in _GLOSSES:
        raise NotFound("gloss", f"no sign for {gloss!r}", "use one of " + ", ".join(_GLOSSES))
    seed = int.from_bytes(hashlib.sha256(gloss.encode()).digest()[:8], "little")  # the same on every machine
    rng = np.random.default_rng(seed)
    spelled = _GLOSSES[gloss] == "spelled"
    beats, local = (spelled_beats(gloss, rng), "") if spelled else TEMPLATES[_GLOSSES[gloss]](rng)
    brows = float(rng.choice((0.0, 0.0, 0.6, 0.9, -0.7, -0.4)))
    nod, turn, tilt = (float(v) for v in rng.normal(0, (5.0, 7.0, 4.0)))
    return Sign(gloss, beats, local, float(rng.uniform(0.7, 1.3)), bool(rng.random() < 0.4), brows, (nod, turn, tilt))
