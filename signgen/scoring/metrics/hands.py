"""Hand SSIM: structural similarity on the crop around each hand that the true frame shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints.skeleton import CONFIDENT, KNUCKLES
from signgen.scoring.metrics.frames import check_keypoints, crop, paired
from signgen.scoring.metrics.image import WANG, SSIMDefinition, ssim_pair
from signgen.scoring.metrics.metric import Chunk, KeypointMetric, Score

CROP = 60  # pixels a side at the frame's own size
BORDERS = ("shift", "zero", "edge", "reflect", "clip")
_PAD_MODES = {"zero": "constant", "edge": "edge", "reflect": "reflect"}


def _corner(centre: float, size: int) -> int:
    """First pixel of a window of ``size`` whose middle is the pixel nearest to ``centre``."""
    return int(np.floor(centre + 0.5)) - size // 2


def _padded_crop(image: np.ndarray, left: int, top: int, size: int, mode: str) -> np.ndarray:
    height, width = image.shape[:2]
    before = max(0, -top), max(0, -left)
    after = max(0, top + size - height), max(0, left + size - width)
    padding = ((before[0], after[0]), (before[1], after[1]), (0, 0))
    top, left = top + before[0], left + before[1]
    return np.pad(image, padding, mode=mode)[top : top + size, left : left + size]  # type: ignore[call-overload]


def hand_crop(image: np.ndarray, centre: tuple[float, float], size: int = CROP, border: str = "shift") -> np.ndarray:
    """The ``size`` x ``size`` window around a point (x, y) in pixels.

    Args:
        image: (H,W,C).
        border: where the window leaves the frame, ``shift`` moves it inside (the rule of Hand SSIM);
            ``zero``, ``edge`` and ``reflect`` pad the image; ``clip`` keeps what is inside, a smaller crop.

    Raises:
        InputError: an unknown rule, or under ``shift`` a frame smaller than the window.
    """
    left, top = _corner(centre[0], size), _corner(centre[1], size)
    if border in _PAD_MODES:
        return _padded_crop(image, left, top, size, _PAD_MODES[border])
    if border == "clip":
        return image[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
    if border != "shift":
        raise BadValue("border", repr(border), f"rules are {', '.join(BORDERS)}")
    return crop(image, centre, (size, size))


def hand_ssim(
    pred: Any,
    target: Any,
    xy: Any,
    confidence: Any,
    *,
    size: int = CROP,
    definition: SSIMDefinition = WANG,
    threshold: float = CONFIDENT,
    border: str = "shift",
) -> np.ndarray:
    """SSIM of the crops around the true hands: float64 (N,2), left and right, NaN for a hand left out.

    Args:
        pred, target: generated and true frames (N,H,W,3), uint8 or float in [0, 1].
        xy, confidence: keypoints of the true frames, (N,133,2) in pixels and (N,133).
        threshold: a hand counts when the confidence of its knuckle reaches this.
    """
    first, second = paired(pred, target)
    return _crops_ssim(first, second, xy, confidence, size, definition, threshold, border)


def _crops_ssim(
    first: np.ndarray,
    second: np.ndarray,
    xy: Any,
    confidence: Any,
    size: int,
    definition: SSIMDefinition,
    threshold: float,
    border: str = "shift",
) -> np.ndarray:
    points, scores = check_keypoints(xy, confidence, len(first))
    values = np.full((len(first), 2), np.nan)
    for frame in range(len(first)):
        for side, knuckle in enumerate(KNUCKLES):
            if scores[frame, knuckle] >= threshold:
                centre = points[frame, knuckle]
                crops = [hand_crop(image[frame], centre, size, border) for image in (first, second)]
                values[frame, side] = ssim_pair(crops[0], crops[1], definition)
    return values


class HandSSIM(KeypointMetric):
    """Mean SSIM of the hand crops over all hands that count; NaN when there is none.

    ``hands`` and ``left_out`` count the hands that entered the mean and those below the confidence threshold.

    Args:
        size: side of the crop in pixels.
        definition: flavour of SSIM.
        threshold: confidence of the knuckle from which a hand counts.
    """

    higher_is_better = True
    states = ("total", "hands", "left_out")
    ratio = ("total", "hands")

    def __init__(
        self, size: int = CROP, definition: SSIMDefinition = WANG, threshold: float = CONFIDENT, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.definition, self.threshold = size, definition, threshold

    @property
    def signature(self) -> str:
        centre = f"centre:{KNUCKLES[0]}/{KNUCKLES[1]},confidence>={self.threshold:g}"
        return f"hand_ssim|crop:{self.size},border:shift,{centre}|{self.definition.signature}|rgb|v1"

    def values(self, chunk: Chunk) -> np.ndarray:
        """SSIM of each hand (N,2), NaN for one left out."""
        size, definition, threshold = self.size, self.definition, self.threshold
        return chunk.once(
            ("hand_ssim", size, definition, threshold),
            lambda: _crops_ssim(*chunk.unit, chunk.xy, chunk.confidence, size, definition, threshold),
        )

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        values = self.values(chunk)
        counted = ~np.isnan(values)
        return {
            "total": np.nansum(values, 1),
            "hands": counted.sum(1).astype(float),
            "left_out": (~counted).sum(1).astype(float),
        }


HAND_SSIM = Score(
    "hand_ssim",
    "Hand SSIM",
    "higher",
    lambda tools: HandSSIM(),
    over=("hands", "hands"),
    needs="hands",
    keypoints=True,
    smallest_side=CROP,
)
