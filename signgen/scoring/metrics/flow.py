"""tOF: does the generated video move as the true one does? (Chu et al. 2020, TecoGAN, "Metrics for temporal coherence")

Optical flow between neighbouring frames by Farneback's method, of generated and of true video; their difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from signgen.errors import NotInstalled
from signgen.scoring.metrics.frames import paired_bytes
from signgen.scoring.metrics.metric import Chunk, Score
from signgen.scoring.metrics.temporal import StepMetric


@dataclass(frozen=True)
class Farneback:
    """Parameters of OpenCV's ``calcOpticalFlowFarneback`` (Farneback 2003); the defaults are TecoGAN's.

    Attributes:
        levels: of the image pyramid, the full size included.
        pyr_scale: size of a level relative to the one below it.
        winsize: side in pixels of the box over which motion is averaged.
        iterations: at each level.
        poly_n: side in pixels of the neighbourhood that a polynomial is fitted to.
        poly_sigma: of the Gaussian weights of that fit, in pixels.
    """

    levels: int = 3
    pyr_scale: float = 0.5
    winsize: int = 15
    iterations: int = 3
    poly_n: int = 5
    poly_sigma: float = 1.2

    @property
    def signature(self) -> str:
        pyramid = f"levels:{self.levels},scale:{self.pyr_scale:g}"
        fit = f"window:box{self.winsize},iterations:{self.iterations},poly:{self.poly_n}/{self.poly_sigma:g}"
        return f"farneback,{pyramid},{fit},grey:bt601-8bit"


DEFAULT = Farneback()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        advice = "tOF needs it; install it with: pip install opencv-python-headless"
        raise NotInstalled("OpenCV", "is not installed", advice) from None
    return cv2


def optical_flow(frames: np.ndarray, parameters: Farneback = DEFAULT) -> np.ndarray:
    """Motion in pixels (x right, y down) from each frame to the next: uint8 (N,H,W,3) -> float32 (N-1,H,W,2).

    Raises:
        InputError: OpenCV is not installed.
    """
    cv2, options = _opencv(), asdict(parameters)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in np.ascontiguousarray(frames)]
    flows = [cv2.calcOpticalFlowFarneback(a, b, None, flags=0, **options) for a, b in zip(grey, grey[1:], strict=False)]
    return np.stack(flows) if flows else np.zeros((0, *frames.shape[1:3], 2), np.float32)


def tof(pred: Any, target: Any, parameters: Farneback = DEFAULT) -> np.ndarray:
    """Mean length in pixels of (generated flow) - (true flow) of each step, float64 (N-1,).

    To measure a clip in pieces, begin each piece with the last frame of the one before.

    Args:
        pred, target: generated and true consecutive frames (N,H,W,3), uint8 or float in [0, 1].
    """
    return _tof(*paired_bytes(pred, target), parameters)


def _tof(first: np.ndarray, second: np.ndarray, parameters: Farneback) -> np.ndarray:
    difference = optical_flow(first, parameters) - optical_flow(second, parameters)
    return np.linalg.norm(difference, axis=-1).mean((1, 2), dtype=np.float64)


class TOF(StepMetric):
    """Mean difference in pixels of generated and true motion over all steps; NaN when there is none.

    Args:
        parameters: of the optical flow.
    """

    higher_is_better = False
    states = ("total", "pairs")
    ratio = ("total", "pairs")

    def __init__(self, parameters: Farneback = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.farneback = parameters

    @property
    def signature(self) -> str:
        return f"tof|l2|{self.farneback.signature}|px|v1"

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        values = _tof(*chunk.joined(paired_bytes), self.farneback)
        return {"total": chunk.per_frame(values), "pairs": chunk.per_frame(np.ones(len(values)))}


TOF_SCORE = Score(
    "tof", "tOF px", "lower", lambda tools: TOF(), digits=3, unit="px", over=("steps", "steps"), needs="steps"
)
