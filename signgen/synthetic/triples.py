"""Three numbers as compiled loops take them, and unit vectors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

Triple = tuple[float, float, float]  # tuples, not arrays: compiled loops read them without counting references


def triple(values: Iterable[float]) -> Triple:
    """Three numbers of any kind as plain floats."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def unit(vector: ArrayLike) -> np.ndarray:
    """A vector of length 1."""
    vector = np.asarray(vector, np.float64)
    return vector / np.linalg.norm(vector)
