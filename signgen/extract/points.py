"""Raw output of estimators as the 133 points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.skeleton import NUM_JOINTS


def as_bodies(points: Sequence[np.ndarray], scores: Sequence[np.ndarray], source: str) -> np.ndarray:
    """float32 (N,133,3) from N arrays (133,2) and N arrays (133,), as top-down estimators give them.

    Raises:
        InputError: the model has another number of points.
    """
    for body in points:
        if np.shape(body) != (NUM_JOINTS, 2):
            got = f"gives {np.shape(body)[0]} points"
            raise InputError(source, got, f"signgen needs the {NUM_JOINTS} of COCO-WholeBody: take such weights")
    xy = np.asarray(points, np.float32).reshape(-1, NUM_JOINTS, 2)
    return np.concatenate([xy, np.asarray(scores, np.float32).reshape(-1, NUM_JOINTS, 1)], -1)
