"""What a signer looks like apart from the shape of the body: colours, hair, clothes; drawn from the signer's name."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

Colour = tuple[float, float, float]  # linear albedo 0..1

NECKLINES = ("turtle", "crew", "vee", "shirt", "jacket")
MENS_HAIR = ("cropped", "short", "side", "full", "receding", "curly", "bald")
WOMENS_HAIR = ("bob", "long", "tied", "bun", "fringe", "side", "curly")

_SKIN = {
    "caucasian": ((0.83, 0.55, 0.41), (0.74, 0.45, 0.31)),
    "asian": ((0.81, 0.55, 0.40), (0.70, 0.45, 0.30)),
    "african": ((0.55, 0.33, 0.22), (0.34, 0.195, 0.135)),
}
_DARK_HAIR: tuple[Colour, ...] = ((0.030, 0.024, 0.022), (0.050, 0.034, 0.026), (0.075, 0.045, 0.030))
_FAIR_HAIR: tuple[Colour, ...] = (
    (0.130, 0.080, 0.045),
    (0.200, 0.125, 0.065),
    (0.360, 0.235, 0.125),
    (0.470, 0.325, 0.195),
    (0.270, 0.095, 0.040),
    (0.085, 0.050, 0.032),
)
_GREY_HAIR: Colour = (0.300, 0.290, 0.280)
_CLOTH: tuple[Colour, ...] = (  # dark, as signers wear them on television
    (0.030, 0.028, 0.027),
    (0.055, 0.040, 0.028),
    (0.028, 0.030, 0.042),
    (0.060, 0.058, 0.056),
    (0.050, 0.024, 0.034),
    (0.026, 0.042, 0.040),
    (0.040, 0.028, 0.058),
    (0.070, 0.052, 0.040),
    (0.034, 0.040, 0.062),
    (0.062, 0.026, 0.026),
    (0.036, 0.044, 0.030),
    (0.090, 0.090, 0.094),
)
_UNDER: tuple[Colour, ...] = (
    (0.10, 0.10, 0.11),
    (0.20, 0.20, 0.215),
    (0.020, 0.020, 0.022),
    (0.12, 0.055, 0.06),
    (0.07, 0.09, 0.13),
)
_IRIS: tuple[Colour, ...] = ((0.12, 0.18, 0.23), (0.10, 0.14, 0.09), (0.09, 0.050, 0.028), (0.06, 0.035, 0.022))


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
    beard: float  # 0 none .. 1 full
    neckline: str  # one of NECKLINES
    cloth: Colour
    sleeves: Colour  # differs from cloth under a waistcoat
    second: Colour  # under a V, inside a jacket, the front of a shirt
    bulk: float  # thickness of the cloth over the body
    cuff: float  # where sleeves end, past the wrist joint (negative: up the arm)
    seed: int

    @property
    def brows(self) -> Colour:
        """Brows are darker than fair hair and never grey-white."""
        r, g, b = (min(channel * 0.75, 0.16) for channel in self.hair_colour)
        return r, g * 0.92, b * 0.85


class _HairLook(TypedDict):
    hair: str
    hair_colour: Colour
    hair_volume: float
    parting: float
    hair_length: float


class _ClothesLook(TypedDict):
    neckline: str
    cloth: Colour
    sleeves: Colour
    second: Colour
    bulk: float
    cuff: float


def _colour(values: Iterable[float]) -> Colour:
    r, g, b = (float(value) for value in values)
    return r, g, b


def _mixed(rng: np.random.Generator, low: Colour, high: Colour) -> np.ndarray:
    share = rng.random()
    return np.array(low) * (1 - share) + np.array(high) * share


def _varied(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    r, g, b = np.clip(np.array(colour) * np.exp(rng.normal(0, amount, 3)), 0.015, 0.9)
    return float(r), float(g), float(b)


def _origin(phenotype: dict[str, float]) -> str:
    return max(("caucasian", "african", "asian"), key=lambda key: phenotype[key])


def _draw_hair(rng: np.random.Generator, origin: str, woman: bool, age: float) -> _HairLook:
    """Cut, colour and volume."""
    styles: tuple[str, ...]
    odds: tuple[float, ...]
    styles, odds = (WOMENS_HAIR, (4, 5, 3, 2, 2, 1, 1)) if woman else (MENS_HAIR, (3, 4, 4, 3, 2, 1, 1))
    if origin == "african":
        styles, odds = (
            (("tied", "bun", "curly", "cropped"), (3, 2, 3, 1)) if woman else (("cropped", "curly", "bald"), (4, 2, 1))
        )
    style = str(rng.choice(styles, p=np.array(odds) / sum(odds)))
    colours = _FAIR_HAIR if origin == "caucasian" and rng.random() < 0.7 else _DARK_HAIR
    colour = _varied(rng, colours[rng.integers(len(colours))], 0.05)
    if age > 0.76 and rng.random() < 0.6:
        grey = rng.uniform(0.4, 0.9)
        colour = _colour((1 - grey) * own + grey * other for own, other in zip(colour, _GREY_HAIR, strict=True))
    volume = {
        "cropped": 0.004,
        "short": 0.010,
        "receding": 0.008,
        "tied": 0.006,
        "bun": 0.006,
        "bald": 0.001,
        "curly": 0.021,
        "bob": 0.013,
        "long": 0.012,
        "fringe": 0.015,
    }.get(style, 0.014)
    parted = style in ("side", "bob", "long", "full") and rng.random() < 0.8
    length = rng.uniform(0.08, 0.13) if style == "bob" else rng.uniform(0.17, 0.30)
    return {
        "hair": style,
        "hair_colour": colour,
        "hair_volume": float(volume * rng.uniform(0.8, 1.25)),
        "parting": float(rng.choice([-0.028, 0.028])) if parted else 0.0,
        "hair_length": float(length),
    }


def _draw_clothes(rng: np.random.Generator, woman: bool) -> _ClothesLook:
    """Neckline and colours; a waistcoat gives the sleeves their own colour."""
    odds = (2, 4, 4, 1.5, 2.5) if woman else (4, 3, 2, 3, 3)
    neckline = str(rng.choice(NECKLINES, p=np.array(odds) / sum(odds)))
    cloth = _varied(rng, _CLOTH[rng.integers(len(_CLOTH))], 0.12)
    waistcoat = neckline in ("shirt", "vee") and rng.random() < 0.35
    sleeves = _varied(rng, _CLOTH[rng.integers(len(_CLOTH))], 0.12) if waistcoat else cloth
    second = _varied(rng, _UNDER[rng.integers(len(_UNDER))], 0.10)
    if neckline == "shirt":
        second = _colour(0.55 * channel for channel in sleeves)
    return {
        "neckline": neckline,
        "cloth": cloth,
        "sleeves": sleeves,
        "second": second,
        "bulk": float(rng.uniform(0.008, 0.013)),
        "cuff": float(rng.choice([0.0, -0.008, -0.02, -0.035])),
    }


def draw_look(name: str, phenotype: dict[str, float]) -> Look:
    """The look of the signer `name` with a baked body's phenotype; the same for the same name."""
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    origin, woman = _origin(phenotype), phenotype["gender"] > 0.5
    skin = _mixed(rng, *_SKIN[origin])
    redness = np.array([0.93, 0.66, 0.74]) if woman else np.array([0.90, 0.70, 0.76])
    beard = 0.0 if woman else float(rng.choice([0.0, 0.12, 0.3, 0.6, 0.85], p=[0.35, 0.25, 0.15, 0.15, 0.10]))
    iris = _IRIS[rng.integers(len(_IRIS))] if origin == "caucasian" else _IRIS[rng.integers(2, 4)]
    return Look(
        skin=_colour(skin),
        lips=_colour(skin * redness),
        iris=_varied(rng, iris, 0.15),
        beard=beard,
        seed=seed % 997,
        **_draw_hair(rng, origin, woman, phenotype["age"]),
        **_draw_clothes(rng, woman),
    )
