"""What a signer looks like apart from the shape of the body: colours, hair, clothes; drawn from the signer's name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

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
MENS_HAIR = ("cropped", "short", "side", "full", "quiff", "receding", "curly", "bald")
WOMENS_HAIR = ("bob", "long", "wavy", "tied", "pony", "bun", "fringe", "side", "curly", "afro")
_VOLUMES = {  # thickness of hair over the scalp by cut, metres
    "cropped": 0.004, "short": 0.010, "receding": 0.008, "tied": 0.009, "pony": 0.009, "afro": 0.034, "quiff": 0.014,
    "bun": 0.009, "bald": 0.001, "curly": 0.021, "bob": 0.013, "long": 0.012, "fringe": 0.015,
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


def _origin(phenotype: dict[str, float]) -> str:
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


def draw_look(name: str, phenotype: dict[str, float]) -> Look:
    """The look of the signer `name` with a baked body's phenotype; the same for the same name."""
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    origin, woman = _origin(phenotype), phenotype["gender"] > 0.5
    skin = mixed(rng, *SKINS[origin])
    redness = np.array([0.93, 0.66, 0.74]) if woman else np.array([0.90, 0.70, 0.76])
    style = "none" if woman else str(rng.choice(BEARDS, p=(0.32, 0.28, 0.18, 0.12, 0.10)))
    dense = float(rng.uniform(0.12, 0.35) if style == "stubble" else rng.uniform(0.6, 0.9))
    iris = IRISES[rng.integers(len(IRISES))] if origin == "caucasian" else IRISES[rng.integers(2, 4)]
    return Look(
        skin=triple(skin),
        lips=triple(skin * redness),
        iris=varied(rng, iris, 0.15),
        beard=0.0 if style == "none" else dense,
        beard_style=style,
        wrinkles=float(np.clip(2.6 * (phenotype["age"] - 0.64) + rng.normal(0.12, 0.10), 0.03, 0.75)),
        glasses=str(rng.choice(["none", "round", "square"], p=[0.80, 0.08, 0.12])),
        frame=varied(rng, (0.03, 0.025, 0.022) if rng.random() < 0.7 else (0.16, 0.13, 0.12), 0.2),
        seed=seed % 997,
        **_draw_hair(rng, origin, woman, phenotype["age"]),
        **_draw_clothes(rng, woman),
    )
