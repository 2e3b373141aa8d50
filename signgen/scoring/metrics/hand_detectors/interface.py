"""What every hand detector does, and the frames it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from signgen.errors import BadValue, Unsupported
from signgen.keypoints.skeleton import CONFIDENT, LEFT_HAND, LEFT_KNUCKLE, RIGHT_HAND, RIGHT_KNUCKLE
from signgen.scoring.metrics.frames import as_bytes, check_keypoints

LEFT, RIGHT = 0, 1  # the signer's hands, in the order of the boxes
HANDS = ((LEFT_HAND, LEFT_KNUCKLE), (RIGHT_HAND, RIGHT_KNUCKLE))
JOINTS = 21
MARGIN = 1.5  # side of the square over the larger extent of the hand's points
OVERSAMPLED = 2  # samples along a side for each pixel of a crop, averaged: large hands do not alias
TOP_DOWN_PADDING = 1.25  # mmpose and rtmlib enlarge every box by this before they look
LEAST = 0.12  # least side as a share of the frame's height, for a fist that points at the camera
RULE = f"box:square,{MARGIN:g}x-extent,>={LEAST:g}-height,shift,points>={CONFIDENT:g},knuckle>={CONFIDENT:g}"


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
            boxes: (N,2,4) as `search_boxes` gives them; NaN for a hand that is not to be looked for.

        Returns:
            float32 (N,2,21,3): x and y in pixels of the frame, and a score, joints in COCO-WholeBody's order.
            Where nothing was found the score is 0; where nothing was looked for all is NaN.
        """
        ...


def found(joints: np.ndarray, detector: HandDetector) -> np.ndarray:
    """Which hands (N,2) of a detection (N,2,21,3) count as found; False where none was looked for."""
    score = joints[..., 2].mean(-1)
    return (score > 0) & (score >= detector.found_from)


def search_boxes(xy: Any, confidence: Any, width: int, height: int) -> np.ndarray:
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
        raise BadValue("frame size", f"{width}x{height}", "both sides are positive")
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
        raise BadValue("hand boxes", f"shape {array.shape}", f"for these frames boxes are ({frames},2,4)")
    wanted = ~np.isnan(array).all(-1)
    sides = array[wanted][:, 2:] - array[wanted][:, :2]
    if not (np.isfinite(array[wanted]).all() and (sides > 0).all()):
        raise BadValue("hand boxes", "a box without extent", "each is x0 < x1, y0 < y1, or NaN for no hand")
    return array


@dataclass(frozen=True)
class Places:
    """N square places in frames, turned and mirrored at will: to cut them out, and to take points there and back.

    Attributes:
        centre: (N,2) x, y in pixels of the frame, pixel centres on whole numbers.
        side: (N,) pixels.
        angle: (N,) radians, 0 upright.
        mirrored: (N,) bool: the crop shows the place as in a mirror, so that a left hand looks like a right one.
    """

    centre: Tensor
    side: Tensor
    angle: Tensor
    mirrored: Tensor

    @classmethod
    def upright(cls, boxes: Tensor, mirrored: Tensor) -> Places:
        """From boxes (N,4) as x0, y0, x1, y1; one that is not square is looked at in the square around it."""
        side = (boxes[:, 2:] - boxes[:, :2]).amax(-1)
        return cls((boxes[:, 2:] + boxes[:, :2]) / 2, side, torch.zeros_like(side), mirrored)

    def _matrix(self) -> Tensor:
        """(N,2,2): offsets in the crop, in shares of its side, to offsets in the frame, in pixels."""
        cosine, sine = self.angle.cos() * self.side, self.angle.sin() * self.side
        across = torch.where(self.mirrored, -1.0, 1.0)
        return torch.stack([torch.stack([cosine * across, -sine], -1), torch.stack([sine * across, cosine], -1)], -2)

    def to_frame(self, points: Tensor) -> Tensor:
        """Points (N,P,2) in shares of the crop, 0 to 1, to pixels of the frame."""
        return (points - 0.5) @ self._matrix().mT + self.centre[:, None]

    def to_crop(self, points: Tensor) -> Tensor:
        """Points (N,P,2) in pixels of the frame to shares of the crop, undoing `to_frame`."""
        return (points - self.centre[:, None]) @ torch.linalg.inv(self._matrix()).mT + 0.5

    def cut(self, frames: Tensor, size: int) -> Tensor:
        """Frames (N,3,H,W) to crops (N,3,size,size); beyond the frame its edge goes on."""
        height, width = frames.shape[-2:]
        fine = size * OVERSAMPLED
        steps = (torch.arange(fine, dtype=frames.dtype, device=frames.device) + 0.5) / fine
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        where = self.to_frame(torch.stack([x, y], -1).flatten(0, 1).expand(len(frames), -1, -1))
        extent = torch.tensor([width, height], dtype=frames.dtype, device=frames.device)
        grid = ((where + 0.5) * 2 / extent - 1).view(len(frames), fine, fine, 2)
        return F.avg_pool2d(F.grid_sample(frames, grid, padding_mode="border", align_corners=False), OVERSAMPLED)


# Points of one hand from estimators that other packages bring.


def before_padding(box: np.ndarray) -> np.ndarray:
    """The box (4,) that a top-down estimator enlarges to this one, so that every detector sees the same square."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / (2 * TOP_DOWN_PADDING)
    return np.concatenate([centre - half, centre + half])


def as_hand(points: Any, scores: Any, source: str) -> np.ndarray:
    """One hand (21,3) float32 from points (1,21,2) and scores (1,21), as top-down estimators give them."""
    xy, score = np.asarray(points, np.float32), np.asarray(scores, np.float32)
    if xy.shape != (1, 21, 2) or score.shape != (1, 21):
        raise Unsupported(source, f"gives {xy.shape[1]} points", "a hand model gives 21: take its hand weights")
    return np.concatenate([xy[0], score[0, :, None]], -1)


def detect_each(frames: Any, boxes: Any, look: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Joints (N,2,21,3) by a function that takes one frame (H,W,3) and one box (4,) and gives joints (21,3)."""
    pixels = as_bytes(frames, "frames")
    squares = check_boxes(boxes, len(pixels))
    joints = np.full((len(pixels), 2, JOINTS, 3), np.nan, np.float32)
    for index, side in np.argwhere(~np.isnan(squares[..., 0])):
        joints[index, side] = look(pixels[index], squares[index, side])
    return joints
