"""What every estimator of whole-body points does: look at a box of each frame and give the 133 points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from signgen.errors import Mismatch
from signgen.keypoints.skeleton import NUM_JOINTS

PADDING = 1.25  # how much larger than a person's box the region is that is looked at; top-down training's own figure


@runtime_checkable
class Estimator(Protocol):
    """Finds the 133 COCO-WholeBody points of the person in a given box.

    Attributes:
        signature: name, version and weights: everything that its points depend on but the frames and the box.
    """

    signature: str

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        """Points of the person in one box of each frame.

        Args:
            frames: uint8 (N,H,W,3), RGB.
            box: float64 (4,), x0, y0, x1, y1 of the person in pixels, the same for all frames; see `whole_frame`. What
                is looked at is `PADDING` times as large.
            follows: the first frame comes right after the last one of the call before, so that an estimator that
                follows a person through a video may go on with what it knows.

        Returns:
            float32 (N,133,3): x and y in pixels of the frame (centres of pixels on whole numbers), and a score; 0 where
            a point was not found.
        """
        ...


def whole_frame(width: int, height: int) -> np.ndarray:
    """The box (4,) that is all of a frame; pixel k covers k - 0.5 to k + 0.5."""
    return np.array([-0.5, -0.5, width - 0.5, height - 0.5])


def as_bodies(points: Sequence[np.ndarray], scores: Sequence[np.ndarray], source: str) -> np.ndarray:
    """float32 (N,133,3) from N arrays (133,2) and N arrays (133,), as top-down estimators give them.

    Raises:
        Mismatch: the model has another number of points.
    """
    for body in points:
        if np.shape(body) != (NUM_JOINTS, 2):
            got = f"gives {np.shape(body)[0]} points"
            raise Mismatch(source, got, f"signgen needs the {NUM_JOINTS} of COCO-WholeBody: take such weights")
    xy = np.asarray(points, np.float32).reshape(-1, NUM_JOINTS, 2)
    return np.concatenate([xy, np.asarray(scores, np.float32).reshape(-1, NUM_JOINTS, 1)], -1)
