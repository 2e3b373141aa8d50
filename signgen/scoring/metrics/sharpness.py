"""Sharpness of hands and of faces beside the truth's: how much the picture changes from one pixel to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from signgen.keypoints.skeleton import CONFIDENT, HANDS, KNUCKLES
from signgen.scoring.metrics.faces import NO_FACE, WHOLE_FACE, Window
from signgen.scoring.metrics.frames import check_keypoints
from signgen.scoring.metrics.metric import Chunk, KeypointMetric, Score

_SIZE = (48, 48)
_LEFT, _RIGHT = (Window(hand, 1, _SIZE, "box", needed=knuckle) for hand, knuckle in zip(HANDS, KNUCKLES, strict=True))


def gradient(image: np.ndarray) -> float:
    """Mean absolute difference of neighbours in a row, plus that of neighbours in a column, of the channels' mean.

    Args:
        image: (H,W,3), two pixels a side or more.
    """
    grey = image.mean(-1)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


class Sharpness(KeypointMetric):
    """`gradient` summed over the generated windows, over the same of the true ones; NaN when there is no window.

    1 is the truth's, less is blurred, more is noise or edges that the truth has not. The classes below say of what.
    ``shown`` and ``left_out`` count the windows in the sums and those whose points are not confident.

    Args:
        threshold: confidence from which a point counts.
    """

    states = ("pred_gradient", "true_gradient", "shown", "left_out")
    ratio = ("pred_gradient", "true_gradient")
    key: ClassVar[str]
    windows: ClassVar[tuple[Window, ...]]

    def __init__(self, threshold: float = CONFIDENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    @property
    def signature(self) -> str:
        where = ";".join(window.signature for window in self.windows)
        return f"{self.key}|mean-abs-gradient|pred/true|{where},confidence>={self.threshold:g}|grey:mean-of-rgb|v1"

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        first, second = chunk.unit
        points, scores = check_keypoints(chunk.xy, chunk.confidence, len(first))
        sums = np.zeros((len(self.states), len(first)))
        for n, images in enumerate(zip(first, second, strict=True)):
            for window in self.windows:
                pair = window.cut(images, points[n], scores[n] >= self.threshold)
                sums[:, n] += (0, 0, 0, 1) if pair is None else (gradient(pair[0]), gradient(pair[1]), 1, 0)
        return dict(zip(self.states, sums, strict=True))


class HandSharpness(Sharpness):
    """Sharpness of 48x48 pixels about each hand that counts in Hand SSIM: about the middle of all its points."""

    key, windows = "hand_sharpness", (_LEFT, _RIGHT)


class FaceSharpness(Sharpness):
    """Sharpness of the 48x48 pixels of `FaceSSIM`."""

    key, windows = "face_sharpness", (WHOLE_FACE,)


HAND_SHARPNESS = Score(
    "hand_sharpness",
    "hand sharpness",
    "1",
    lambda tools: HandSharpness(),
    digits=3,
    over=("hands", "hands"),
    nothing="the true hands are of one colour",
    needs="hands",
    keypoints=True,
    smallest_side=max(_SIZE),
)
FACE_SHARPNESS = Score(
    "face_sharpness",
    "face sharpness",
    "1",
    lambda tools: FaceSharpness(),
    digits=3,
    over=("faces", "faces"),
    nothing=NO_FACE,
    keypoints=True,
    smallest_side=max(WHOLE_FACE.size),
)
