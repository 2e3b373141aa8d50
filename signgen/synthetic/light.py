"""The studio's lights: a key light, a fill light and ambient light, drawn from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from signgen.synthetic.triples import Triple, triple, unit


class Light(NamedTuple):
    """Unit directions towards the lights and their strengths."""

    key: Triple
    fill: Triple
    key_power: float
    fill_power: float
    ambient: float


def studio_light(seed: int) -> Light:
    """Key light from the viewer's upper left, with a little variation by seed."""
    rng = np.random.default_rng([seed, 47])
    key = unit(np.array([-0.45, -0.75, 0.62]) + rng.normal(0, 0.06, 3))
    gain = float(rng.uniform(0.94, 1.06))
    return Light(
        triple(key),
        triple(unit([0.75, -0.65, 0.10])),
        0.78 * gain,
        float(rng.uniform(0.30, 0.38)),
        float(rng.uniform(0.28, 0.32)),
    )
