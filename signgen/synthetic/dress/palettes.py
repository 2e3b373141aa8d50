"""Palettes of skin, hair, eyes and clothes, and how one signer's own colour is drawn from them."""

from __future__ import annotations

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
