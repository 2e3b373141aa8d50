"""What a signer looks like apart from the shape of the body: colours, hair, clothes; drawn from the signer's name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from signgen.synthetic import VERSION
from signgen.synthetic.body.rotations import Triple, triple

Colour = Triple  # linear albedo 0..1

SKINS = {
    "caucasian": ((0.83, 0.55, 0.41), (0.74, 0.45, 0.31)),
    "asian": ((0.81, 0.55, 0.40), (0.70, 0.45, 0.30)),
    "african": ((0.55, 0.33, 0.22), (0.34, 0.195, 0.135)),
}
DARK_HAIR: tuple[Colour, ...] = ((0.030, 0.024, 0.022), (0.050, 0.034, 0.026), (0.075, 0.045, 0.030))
# fmt: off
FAIR_HAIR: tuple[Colour, ...] = (
    (0.130, 0.080, 0.045), (0.200, 0.125, 0.065), (0.360, 0.235, 0.125), (0.470, 0.325, 0.195),
    (0.270, 0.095, 0.040), (0.085, 0.050, 0.032),
)
GREY_HAIR: Colour = (0.300, 0.290, 0.280)
CLOTHS: tuple[Colour, ...] = (  # mostly dark, as signers wear them on television
    (0.052, 0.049, 0.047), (0.075, 0.056, 0.040), (0.044, 0.048, 0.066), (0.090, 0.087, 0.084),
    (0.080, 0.036, 0.052), (0.040, 0.066, 0.062), (0.064, 0.042, 0.092), (0.100, 0.076, 0.058),
    (0.052, 0.064, 0.105), (0.100, 0.038, 0.038), (0.055, 0.070, 0.046), (0.135, 0.135, 0.142),
)
LIGHT_CLOTHS: tuple[Colour, ...] = (
    (0.24, 0.25, 0.27), (0.10, 0.16, 0.30), (0.32, 0.27, 0.21), (0.14, 0.24, 0.24), (0.30, 0.14, 0.14),
    (0.20, 0.18, 0.28),
)
UNDER_CLOTHS: tuple[Colour, ...] = (  # what the opening of a jacket shows
    (0.16, 0.16, 0.17), (0.30, 0.30, 0.32), (0.035, 0.035, 0.038), (0.17, 0.080, 0.085), (0.10, 0.13, 0.19),
    (0.50, 0.50, 0.51),
)
SHIRTS: tuple[Colour, ...] = (
    (0.60, 0.60, 0.61), (0.38, 0.46, 0.58), (0.30, 0.31, 0.33), (0.075, 0.045, 0.100), (0.042, 0.042, 0.048),
    (0.060, 0.085, 0.160), (0.130, 0.045, 0.055), (0.110, 0.110, 0.120),
)
TIES: tuple[Colour, ...] = (
    (0.060, 0.058, 0.066), (0.030, 0.038, 0.080), (0.120, 0.030, 0.040), (0.140, 0.140, 0.150),
    (0.040, 0.070, 0.060),
)
# fmt: on
IRISES: tuple[Colour, ...] = ((0.12, 0.18, 0.23), (0.10, 0.14, 0.09), (0.09, 0.050, 0.028), (0.06, 0.035, 0.022))

NECKLINES = ("turtle", "crew", "vee", "shirt", "blouse", "vest", "jacket", "suit")
BRIGHT_CLOTHS: tuple[Colour, ...] = (
    (0.52, 0.52, 0.51),
    (0.36, 0.40, 0.46),
    (0.42, 0.10, 0.08),
    (0.08, 0.18, 0.42),
    (0.06, 0.25, 0.20),
    (0.50, 0.34, 0.10),
    (0.45, 0.22, 0.28),
    (0.20, 0.30, 0.36),
    (0.24, 0.26, 0.14),
    (0.30, 0.20, 0.40),
    (0.45, 0.38, 0.28),
    (0.14, 0.14, 0.15),
    (0.28, 0.10, 0.16),
    (0.10, 0.32, 0.42),
)
FRAMES: tuple[Colour, ...] = ((0.03, 0.025, 0.022), (0.16, 0.13, 0.12), (0.40, 0.33, 0.18), (0.45, 0.45, 0.47))
ALL_SKINS = {
    "caucasian": ((0.86, 0.60, 0.46), (0.66, 0.42, 0.29)),
    "asian": ((0.84, 0.60, 0.44), (0.62, 0.40, 0.26)),
    "african": ((0.56, 0.345, 0.235), (0.20, 0.115, 0.080)),
}
_MENS_CUTS = {
    "cropped": 2.5, "short": 4, "side": 4, "full": 2.5, "quiff": 2, "slick": 1.5, "receding": 2, "curly": 1.5,
    "bald": 1, "bob": 0.4, "pony": 0.4,
}  # fmt: skip
_WOMENS_CUTS = {
    "bob": 3, "long": 3, "wavy": 3, "curls": 2, "tied": 1.5, "pony": 1.5, "bun": 1.5, "fringe": 1.2, "pixie": 1.5,
    "side": 0.6, "curly": 0.8,
}  # fmt: skip
_MENS_TIGHT = {"cropped": 4, "curly": 1.5, "afro": 1.2, "bald": 1.2}
_WOMENS_TIGHT = {"tied": 1.2, "bun": 1.8, "curly": 1.5, "afro": 2.2, "cropped": 0.7, "curls": 2, "wavy": 0.6}
# kinds of patterns (see `picture.shade`: stripes, pinstripes, checks, dots, knit, flecks) and their odds by neckline
_PATTERNS = {
    "turtle": {0: 3, 1: 0.5, 5: 2, 6: 1}, "crew": {0: 3, 1: 2, 4: 0.5, 5: 1.5, 6: 1.5},
    "vee": {0: 4, 1: 0.7, 5: 1.5, 6: 1},
    "shirt": {0: 3, 2: 1.5, 3: 2, 4: 0.5}, "blouse": {0: 3, 1: 1, 2: 1, 3: 0.7, 4: 1.5}, "vest": {0: 4, 2: 0.6, 6: 1},
    "jacket": {0: 5, 2: 0.6, 3: 0.5, 6: 1}, "suit": {0: 5, 2: 1, 6: 0.8},
}  # fmt: skip
PATTERN_SIZES = {
    0: (0.02, 0.02), 1: (0.022, 0.06), 2: (0.011, 0.022), 3: (0.022, 0.060), 4: (0.018, 0.036), 5: (0.008, 0.014),
    6: (0.02, 0.02),
}  # fmt: skip
MENS_HAIR = ("cropped", "short", "side", "full", "quiff", "receding", "curly", "bald")
WOMENS_HAIR = ("bob", "long", "wavy", "tied", "pony", "bun", "fringe", "side", "curly", "afro")
_VOLUMES = {  # thickness of hair over the scalp by cut, metres
    "cropped": 0.004, "short": 0.010, "receding": 0.008, "tied": 0.009, "pony": 0.009, "afro": 0.034, "quiff": 0.014,
    "bun": 0.009, "bald": 0.001, "curly": 0.021, "bob": 0.013, "long": 0.012, "fringe": 0.015,
    "slick": 0.009, "pixie": 0.012, "curls": 0.020,
}  # fmt: skip
_USUAL_VOLUME = 0.014
BEARDS = ("none", "stubble", "full", "goatee", "moustache")


@dataclass(frozen=True)
class Look:
    """Colours are linear albedo 0..1, lengths metres."""

    skin: Colour
    lips: Colour
    iris: Colour
    hair: str  # one of MENS_HAIR or WOMENS_HAIR
    hair_colour: Colour
    hair_volume: float  # thickness of the hair over the scalp
    parting: float  # x of a parting, 0 for none
    hair_length: float  # below the eyes, for bob and long
    beard: float  # how dense, 0 none .. 1
    beard_style: str  # one of BEARDS
    wrinkles: float  # depth of the lines beside nose and mouth and under the eyes, 0..1
    glasses: str  # "none", "round" or "square"
    frame: Colour  # of glasses
    neckline: str  # one of NECKLINES
    cloth: Colour
    sleeves: Colour  # differs from cloth under a waistcoat
    second: Colour  # what the opening of a jacket or a waistcoat shows
    shirt: Colour  # of collar leaves and placket
    tie: bool
    tie_colour: Colour
    button: Colour
    closed: float  # canonical height of the top button of a jacket or a waistcoat
    bulk: float  # thickness of the cloth over the body
    cuff: float  # where sleeves end, past the wrist joint (negative: up the arm)
    folds: float  # height of full folds
    seed: int
    version: int = 4  # of the drawn content
    pattern: int = 0  # of the cloth, see `picture.shade`; 0 is plain
    pattern_size: float = 0.02  # metres from one stripe to the next
    pattern_colour: Colour = (0.5, 0.5, 0.5)
    short: float = 0.0  # length of short sleeves from the shoulder joint, metres; 0 for long ones
    brow_width: float = 1.0  # of the usual
    earrings: float = 0.0  # their radius, metres; 0 for none

    @property
    def brows(self) -> Colour:
        """Brows are darker than fair hair and never grey-white."""
        r, g, b = (min(channel * 0.75, 0.16) for channel in self.hair_colour)
        return r, g * 0.92, b * 0.85


def mixed(rng: np.random.Generator, low: Colour, high: Colour) -> np.ndarray:
    """A colour (3,) anywhere between two."""
    share = rng.random()
    return np.array(low) * (1 - share) + np.array(high) * share


def varied(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """Another brightness and, less so, another hue."""
    factor = np.exp(rng.normal(0, amount) + rng.normal(0, 0.3 * amount, 3))
    return triple(np.clip(np.array(colour) * factor, 0.015, 0.9))


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], amount: float) -> Colour:
    """One of a palette, varied."""
    return varied(rng, colours[rng.integers(len(colours))], amount)


def origin_of(phenotype: dict[str, float]) -> str:
    """The origin that a body has most of."""
    return max(("caucasian", "african", "asian"), key=lambda key: phenotype[key])


def _draw_hair(rng: np.random.Generator, origin: str, woman: bool, age: float) -> dict[str, Any]:
    """Cut, colour and volume: fields of `Look`."""
    styles: tuple[str, ...]
    odds: tuple[float, ...]
    styles, odds = (
        (WOMENS_HAIR, (4, 3.5, 3.5, 0.8, 2, 1.6, 2, 1.2, 1, 0)) if woman else (MENS_HAIR, (3, 4, 4, 2.5, 3, 2, 1, 1))
    )
    if origin == "african":
        styles, odds = (
            (("tied", "bun", "curly", "afro", "cropped"), (1.2, 2, 2.2, 2.2, 0.6))
            if woman
            else (("cropped", "curly", "bald"), (4, 2, 1))
        )
    style = str(rng.choice(styles, p=np.array(odds) / sum(odds)))
    colours = FAIR_HAIR if origin == "caucasian" and rng.random() < 0.7 else DARK_HAIR
    colour = varied(rng, colours[rng.integers(len(colours))], 0.05)
    if age > 0.76 and rng.random() < 0.6:
        grey = rng.uniform(0.4, 0.9)
        colour = triple((1 - grey) * own + grey * other for own, other in zip(colour, GREY_HAIR, strict=True))
    volume = _VOLUMES.get(style, _USUAL_VOLUME)
    parted = style in ("side", "bob", "long", "wavy", "full") and rng.random() < 0.8
    length = rng.uniform(0.08, 0.13) if style == "bob" else rng.uniform(0.17, 0.30)
    return {
        "hair": style,
        "hair_colour": colour,
        "hair_volume": float(volume * rng.uniform(0.8, 1.25)),
        "parting": float(rng.choice([-0.028, 0.028])) if parted else 0.0,
        "hair_length": float(length),
    }


def _draw_clothes(rng: np.random.Generator, woman: bool) -> dict[str, Any]:
    """Cut and colours, fields of `Look`; jumpers are mostly dark, shirts may be light."""
    odds = (2, 3.5, 3, 1, 2.5, 0.5, 2.5, 0.5) if woman else (3, 2.5, 1.5, 3, 0, 2.2, 1.5, 1.8)
    neckline = str(rng.choice(NECKLINES, p=np.array(odds) / sum(odds)))
    cloth = pick(rng, LIGHT_CLOTHS if rng.random() < 0.15 else CLOTHS, 0.12)
    shirt, second = pick(rng, SHIRTS, 0.10), pick(rng, UNDER_CLOTHS, 0.10)
    sleeves, tie = cloth, neckline in ("shirt", "vest", "suit") and not woman and rng.random() < 0.55
    if neckline in ("shirt", "blouse"):
        cloth = sleeves = shirt
    elif neckline == "vest":
        sleeves = second = shirt
        cloth = pick(rng, CLOTHS, 0.10)
    elif neckline == "suit":
        cloth = sleeves = pick(rng, CLOTHS, 0.10)
        second = shirt
    elif neckline == "vee" and rng.random() < 0.25:
        sleeves = pick(rng, CLOTHS, 0.12)
    pale = float(rng.choice([0.06, 0.25, 0.5]))
    rolled = neckline in ("shirt", "blouse", "crew") and rng.random() < 0.2
    return {
        "neckline": neckline,
        "cloth": cloth,
        "sleeves": sleeves,
        "second": second,
        "shirt": shirt,
        "tie": bool(tie),
        "tie_colour": pick(rng, TIES, 0.15),
        "button": (pale, pale, pale),
        "closed": float(rng.uniform(0.38, 0.50)),
        "bulk": float(rng.uniform(0.008, 0.013)),
        "cuff": float(rng.uniform(-0.16, -0.08) if rolled else rng.choice([0.0, -0.008, -0.02, -0.035])),
        "folds": float(rng.uniform(0.010, 0.018)),
    }


def draw_look(name: str, phenotype: dict[str, float], version: int = VERSION) -> Look:
    """The look of the signer `name` with a body's phenotype; the same for the same name and content version."""
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    origin, woman = origin_of(phenotype), phenotype["gender"] > 0.5
    skin = mixed(rng, *SKINS[origin])
    redness = np.array([0.93, 0.66, 0.74]) if woman else np.array([0.90, 0.70, 0.76])
    style = "none" if woman else str(rng.choice(BEARDS, p=(0.32, 0.28, 0.18, 0.12, 0.10)))
    dense = float(rng.uniform(0.12, 0.35) if style == "stubble" else rng.uniform(0.6, 0.9))
    iris = IRISES[rng.integers(len(IRISES))] if origin == "caucasian" else IRISES[rng.integers(2, 4)]
    look = Look(
        skin=triple(skin),
        lips=triple(skin * redness),
        iris=varied(rng, iris, 0.15),
        beard=0.0 if style == "none" else dense,
        beard_style=style,
        wrinkles=float(np.clip(2.6 * (phenotype["age"] - 0.64) + rng.normal(0.12, 0.10), 0.03, 0.75)),
        glasses=str(rng.choice(["none", "round", "square"], p=[0.80, 0.08, 0.12])),
        frame=varied(rng, (0.03, 0.025, 0.022) if rng.random() < 0.7 else (0.16, 0.13, 0.12), 0.2),
        seed=seed % 997,
        version=version,
        **_draw_hair(rng, origin, woman, phenotype["age"]),
        **_draw_clothes(rng, woman),
    )
    return look if version < 5 else _of_today(look, np.random.default_rng([seed, 101]), origin, woman, phenotype["age"])


def _of_today(look: Look, rng: np.random.Generator, origin: str, woman: bool, age: float) -> Look:
    """A look since content version 5: every skin tone, more cuts of hair, patterns, short sleeves, earrings."""
    skin = mixed(rng, *ALL_SKINS[origin]) * np.exp(rng.normal(0, 0.03, 3))
    redness = np.array([0.90, 0.62, 0.66]) if woman else np.array([0.90, 0.68, 0.72])
    studs = rng.random() < (0.45 if woman else 0.06)
    return replace(
        look,
        skin=triple(np.clip(skin, 0.06, 0.9)),
        lips=triple(np.clip(skin, 0.06, 0.9) * redness),
        iris=triple(0.6 * channel for channel in look.iris),
        wrinkles=0.7 * look.wrinkles,
        glasses=str(rng.choice(["none", "round", "square"], p=[0.76, 0.10, 0.14])),
        brow_width=float(rng.uniform(0.65, 1.05) if woman else rng.uniform(0.85, 1.35)),
        earrings=float(rng.uniform(0.0025, 0.005)) if studs else 0.0,
        frame=varied(rng, FRAMES[rng.integers(len(FRAMES))], 0.2) if look.glasses == "none" else look.frame,
        **_hair_of_today(rng, origin, woman, age),
        **_clothes_of_today(rng, look, woman),
    )


def _hair_of_today(rng: np.random.Generator, origin: str, woman: bool, age: float) -> dict[str, Any]:
    cuts = dict(_WOMENS_CUTS if woman else _MENS_CUTS)
    if origin == "african":
        cuts = dict(_WOMENS_TIGHT if woman else _MENS_TIGHT)
    style = str(rng.choice(list(cuts), p=np.array(list(cuts.values())) / sum(cuts.values())))
    fair = {"caucasian": 0.65, "asian": 0.06, "african": 0.05}[origin]
    colour = np.array(pick(rng, FAIR_HAIR if rng.random() < fair else DARK_HAIR, 0.12))
    if age > 0.72 and rng.random() < 0.55:
        colour += rng.uniform(0.3, 0.9) * (np.array(GREY_HAIR) - colour)
    parted = style in ("side", "bob", "long", "wavy", "curls", "full", "pixie") and rng.random() < 0.75
    return {
        "hair": style,
        "hair_colour": triple(colour),
        "hair_volume": float(_VOLUMES.get(style, _USUAL_VOLUME) * rng.uniform(0.75, 1.3)),
        "parting": float(rng.choice([-1, 1]) * rng.uniform(0.012, 0.032)) if parted else 0.0,
        "hair_length": float(rng.uniform(0.08, 0.14) if style == "bob" else rng.uniform(0.17, 0.30)),
    }


def _clothes_of_today(rng: np.random.Generator, look: Look, woman: bool) -> dict[str, Any]:
    """More colours, patterns and short sleeves for the cut that the look has."""
    kind = look.neckline
    cloth = pick(rng, BRIGHT_CLOTHS if rng.random() < 0.45 else CLOTHS, 0.14)
    changed: dict[str, Any] = {"folds": float(rng.uniform(0.008, 0.015)), "bulk": float(rng.uniform(0.004, 0.009))}
    if kind in ("turtle", "crew", "vee"):
        changed |= {"cloth": cloth, "sleeves": look.sleeves if rng.random() < 0.1 else cloth}
    elif kind in ("shirt", "blouse"):
        cloth = pick(rng, SHIRTS if rng.random() < 0.5 else BRIGHT_CLOTHS, 0.12)
        changed |= {"cloth": cloth, "sleeves": cloth, "shirt": cloth}
    else:
        cloth = look.cloth
    patterns = _PATTERNS[kind]
    pattern = int(rng.choice(list(patterns), p=np.array(list(patterns.values())) / sum(patterns.values())))
    low, high = PATTERN_SIZES[pattern]
    bright = float(np.mean(cloth))
    other = varied(rng, cloth, 0.35) if rng.random() < 0.5 else pick(rng, BRIGHT_CLOTHS, 0.2)
    if pattern in (1, 2, 4) and rng.random() < 0.6:  # white on dark, dark on white
        other = (0.62, 0.62, 0.60) if bright < 0.25 else (0.05, 0.06, 0.10)
    if pattern in (5, 6) or kind in ("jacket", "suit", "vest"):
        other = triple(np.clip(np.array(cloth) * rng.uniform(1.25, 1.8) + 0.012, 0, 0.8))
    short = kind in ("crew", "vee", "shirt", "blouse") and not look.tie and rng.random() < 0.34
    return changed | {
        "pattern": pattern,
        "pattern_size": float(rng.uniform(low, high)),
        "pattern_colour": other,
        "short": float(rng.uniform(0.12, 0.22)) if short else 0.0,
    }
