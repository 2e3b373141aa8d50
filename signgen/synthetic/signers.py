"""The baked signers by name."""

from __future__ import annotations

from functools import lru_cache

from signgen.errors import InputError
from signgen.synthetic.body import BAKED, load_shape
from signgen.synthetic.looks import draw_look
from signgen.synthetic.signer import Signer, dress

HELD_OUT = [f"h{number:02d}" for number in range(1, 13)]  # never for training


def signer_names() -> list[str]:
    """Names of the signers for training, s01, s02, ...; the held-out ones are in `HELD_OUT`."""
    return sorted(path.stem for path in BAKED.glob("s[0-9]*.npz"))


@lru_cache(maxsize=8)
def load_signer(name: str) -> Signer:
    """Build the signer `name` (about 0.3 s; the last few are kept). Raises InputError for an unknown name."""
    known = signer_names() + HELD_OUT
    if name not in known:
        raise InputError("signer", name, "use one of " + ", ".join(known))
    shape = load_shape(name)
    return dress(shape, draw_look(name, shape.phenotype))
