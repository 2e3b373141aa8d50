"""Where a hand detector looks: one square for each true hand, the same on the true and on the generated frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.skeleton import CONFIDENT, LEFT_HAND, LEFT_KNUCKLE, RIGHT_HAND, RIGHT_KNUCKLE
from signgen.metrics.frames import check_keypoints

HANDS = ((LEFT_HAND, LEFT_KNUCKLE), (RIGHT_HAND, RIGHT_KNUCKLE))
JOINTS = 21
MARGIN = 1.5  # side of the square over the larger extent of the hand's points
LEAST = 0.12  # least side as a share of the frame's height, for a fist that points at the camera
RULE = f"box:square,{MARGIN:g}x-extent,>={LEAST:g}-height,shift,points>={CONFIDENT:g},knuckle>={CONFIDENT:g}"


def hand_boxes(xy: Any, confidence: Any, width: int, height: int) -> np.ndarray:
    """A square around each hand that counts.

    A hand counts when its middle knuckle's confidence reaches ``CONFIDENT``, as for Hand SSIM. The square is centred
    on the bounding rectangle of the hand's points of that confidence; its side is ``MARGIN`` times the rectangle's
    larger side, at least ``LEAST`` of the frame's height, and it is shifted into the frame as far as it fits.

    Args:
        xy, confidence: keypoints of the true (or driving) frames, (N,133,2) in pixels and (N,133).
        width, height: of the frames, in pixels.

    Returns:
        float64 (N,2,4): x0, y0, x1, y1 for left and right hand; pixel k covers k - 0.5 to k + 0.5. NaN where a hand
        does not count.
    """
    if width < 1 or height < 1:
        raise InputError("frame size", f"{width}x{height}", "both sides are positive")
    points, scores = check_keypoints(xy, confidence, len(xy))
    boxes = np.full((len(points), 2, 4), np.nan)
    for side, (hand, knuckle) in enumerate(HANDS):
        for frame in np.flatnonzero(scores[:, knuckle] >= CONFIDENT):
            seen = points[frame, hand][scores[frame, hand] >= CONFIDENT]
            boxes[frame, side] = _square(seen.min(0), seen.max(0), width, height)
    return boxes


def _square(low: np.ndarray, high: np.ndarray, width: int, height: int) -> np.ndarray:
    """x0, y0, x1, y1 of the square around a rectangle, inside of the frame."""
    side = max(MARGIN * float((high - low).max()), LEAST * height)
    corner = (low + high - side) / 2
    for axis, length in enumerate((width, height)):
        free = length - side  # how far the corner may go; a square wider than the frame sits in its middle
        corner[axis] = np.clip(corner[axis], -0.5, free - 0.5) if free > 0 else free / 2 - 0.5
    return np.concatenate([corner, corner + side])


def check_boxes(boxes: Any, frames: int) -> np.ndarray:
    """Boxes as float64 (N,2,4) for that many frames; a box is NaN throughout, or finite with positive sides."""
    array = np.asarray(boxes, np.float64)
    if array.shape != (frames, 2, 4):
        raise InputError("hand boxes", f"shape {array.shape}", f"for these frames boxes are ({frames},2,4)")
    wanted = ~np.isnan(array).all(-1)
    sides = array[wanted][:, 2:] - array[wanted][:, :2]
    if not (np.isfinite(array[wanted]).all() and (sides > 0).all()):
        raise InputError("hand boxes", "a box without extent", "each is x0 < x1, y0 < y1, or NaN for no hand")
    return array
