"""The hand shapes that drawn clips say their hands hold, from the key ``hand_shapes`` of their keypoint files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from signgen.errors import InputError

NONE = -1  # in transition, at rest, out of the frame, or a shape that nobody asked for
_ADVICE = "draw the clips with this version's signgen synthesize, which writes them"


def _read(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Labels (T,2) as they stand in the file, and the names that they count in."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "hand_shapes" not in archive or "shapes" not in archive:
                raise InputError(path, "holds no hand shapes (hand_shapes, shapes)", _ADVICE)
            labels, names = archive["hand_shapes"], [str(name) for name in archive["shapes"]]
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(path, f"cannot be read ({error})", _ADVICE) from error
    whole = labels.ndim == 2 and labels.shape[1] == 2 and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min(initial=NONE) < NONE or labels.max(initial=NONE) >= len(names):
        got = f"hand_shapes {labels.dtype} {labels.shape}, {len(names)} shapes"
        raise InputError(path, got, "hand_shapes are integers (T,2), each an index into shapes or -1")
    return labels, names


def shape_names_in(path: str | Path) -> list[str]:
    """The names that a keypoint file's labels count in.

    Raises:
        InputError: the file holds none, or cannot be read.
    """
    return _read(path)[1]


def read_shape_labels(path: str | Path, shapes: Sequence[str]) -> np.ndarray:
    """Which of ``shapes`` the left and the right hand hold: int64 (T,2), ``NONE`` for none or another one.

    Args:
        path: keypoint file of a drawn clip.
        shapes: names to count in, such as those that a classifier knows.

    Raises:
        InputError: the file holds no labels, or cannot be read.
    """
    labels, names = _read(path)
    places = {name: place for place, name in enumerate(shapes)}
    return np.array([*(places.get(name, NONE) for name in names), NONE], np.int64)[labels]
