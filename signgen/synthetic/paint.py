"""The colours of one signer that the shader needs beside those of the surface."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from signgen.synthetic.body import template
from signgen.synthetic.looks import Look
from signgen.synthetic.triples import Triple, triple

BROW_LANDMARKS = (255, 206, 204, 205, 208)  # hm08 ids of the person's right brow, outer to inner
BROW_LOWERED = np.array([0.0005, 0.0015, 0.0025, 0.0030, 0.0045])
BROW_WIDTH = np.array([0.0010, 0.0019, 0.0026, 0.0031, 0.0029])


class Paint(NamedTuple):
    """Per-signer colours the shader needs beside those of the vertices; linear."""

    brows: Triple
    brow_line: np.ndarray  # (5, 3): |x|, z, half-width in canonical metres
    iris: Triple
    eyes: tuple[Triple, Triple]  # canonical cornea poles, left and right
    second: Triple  # trim colour of cloth
    beard: Triple
    wrinkles: float
    seed: float


def paint_of(look: Look) -> Paint:
    """The shader's colours for a `Look`."""
    shared = template()
    brow = shared.canonical[shared.new[list(BROW_LANDMARKS)]]
    line = np.stack([np.abs(brow[:, 0]), brow[:, 2] - BROW_LOWERED, BROW_WIDTH], 1)
    left, right = shared.canonical[shared.new[[14607, 14679]]]
    return Paint(
        triple(look.brows),
        line,
        triple(look.iris),
        (triple(left), triple(right)),
        triple(look.second),
        triple(0.8 * channel for channel in look.hair_colour),
        float(look.wrinkles),
        float(look.seed),
    )
