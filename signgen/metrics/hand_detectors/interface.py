"""What every hand detector does, and the frames it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from signgen.errors import InputError
from signgen.metrics.hand_detectors.boxes import JOINTS, check_boxes

LEFT, RIGHT = 0, 1  # the signer's hands, in the order of the boxes


@runtime_checkable
class HandDetector(Protocol):
    """Finds the 21 joints of the hands in given boxes.

    Attributes:
        signature: name, version and weights: everything that its points depend on but the frames and the boxes.
        found_from: mean score of the 21 joints from which a hand counts as found. Scores of different detectors mean
            different things, so each names its own.
    """

    signature: str
    found_from: float

    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        """Joints of the left and the right hand of each frame.

        Args:
            frames: uint8 (N,H,W,3) RGB.
            boxes: (N,2,4) as `hand_boxes` gives them; NaN for a hand that is not to be looked for.

        Returns:
            float32 (N,2,21,3): x and y in pixels of the frame, and a score, joints in COCO-WholeBody's order.
            Where nothing was found the score is 0; where nothing was looked for all is NaN.
        """
        ...


def found(joints: np.ndarray, detector: HandDetector) -> np.ndarray:
    """Which hands (N,2) of a detection (N,2,21,3) count as found; False where none was looked for."""
    score = joints[..., 2].mean(-1)
    return (score > 0) & (score >= detector.found_from)


def check_frames(frames: Any) -> np.ndarray:
    """Frames as uint8 (N,H,W,3); floats in [0, 1] are rounded to it."""
    array = frames.detach().cpu().numpy() if hasattr(frames, "detach") else np.asarray(frames)
    if array.ndim != 4 or array.shape[-1] != 3:
        raise InputError("frames", f"shape {array.shape}", "frames are (N,H,W,3) RGB")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError("frames", f"dtype {array.dtype}", "frames are uint8, or float in [0, 1]")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise InputError("frames", f"values {array.min():g} to {array.max():g}", "float frames lie in [0, 1]")
    return np.rint(array * 255).astype(np.uint8)


def detect_each(frames: Any, boxes: Any, look: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Joints (N,2,21,3) by a function that takes one frame (H,W,3) and one box (4,) and gives joints (21,3)."""
    pixels = check_frames(frames)
    squares = check_boxes(boxes, len(pixels))
    joints = np.full((len(pixels), 2, JOINTS, 3), np.nan, np.float32)
    for index, side in np.argwhere(~np.isnan(squares[..., 0])):
        joints[index, side] = look(pixels[index], squares[index, side])
    return joints
