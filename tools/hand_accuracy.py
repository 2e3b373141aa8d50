"""How good a hand detector is: its error on true frames whose keypoints are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch.nn import functional as F

from signgen.keypoints.skeleton import FINGERS, LEFT_HAND, RIGHT_HAND
from signgen.scoring.metrics.hand_detectors import HandDetector, found, search_boxes
from signgen.scoring.metrics.hand_detectors.interface import HANDS
from signgen.video.tensors import channels_first, to_frames

TIPS = (4, 8, 12, 16, 20)  # of the joints of a hand
CLEAR = 6  # pixels that a box without a hand keeps from every joint

Clip = tuple[np.ndarray, np.ndarray, np.ndarray]  # frames (T,H,W,3) uint8, xy (T,133,2), confidence (T,133)


def blurred(frames: np.ndarray, factor: float) -> np.ndarray:
    """Frames uint8 (N,H,W,3) reduced by a factor and brought back: softer than any generated frame should be."""
    images = channels_first(frames).float()
    small = F.interpolate(images, scale_factor=1 / factor, mode="area")
    soft = F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)
    return to_frames(soft.round().byte())


def boxes_without_hands(boxes: np.ndarray, xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N,2,4) of the same sides in a lower corner or at the top of the frame; NaN where a hand is near."""
    moved = np.full_like(boxes, np.nan)
    for index, side in np.argwhere(~np.isnan(boxes[..., 0])):
        length = boxes[index, side, 2] - boxes[index, side, 0]
        hands = slice(LEFT_HAND.start, RIGHT_HAND.stop)
        points = xy[index, hands][confidence[index, hands] > 0]
        across, down = size[0] - length, size[1] - length
        for corner in np.array([(0, down), (across, down), (across / 2, 0)]):
            near = (points > corner - CLEAR) & (points < corner + length + CLEAR)
            if not near.all(-1).any():
                moved[index, side] = [*corner, *(corner + length)]
                break
    return moved


def measure(detector: HandDetector, clips: Iterable[Clip], blur: float = 1.0) -> dict[str, Any]:
    """A detector's error on true frames, over the joints that the keypoints know and the hands that it finds.

    Returns:
        hands, share_found, boxes_without_hand, share_found_where_no_hand_is; and where any was found mean_px and
        median_px (Euclidean), mean_l1_px (the unit of Hand PE), mean_share_of_box, share_within_tenth_of_box and
        mean_px_tips by finger.
    """
    parts = [_clip(detector, blurred(frames, blur) if blur > 1 else frames, xy, sure) for frames, xy, sure in clips]
    return _summary(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _clip(
    detector: HandDetector, frames: np.ndarray, xy: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of M hands that count: error (M,21,2), known (M,21), side of the box (M,), found (M,); found where none is."""
    size = (frames.shape[2], frames.shape[1])
    boxes = search_boxes(xy, confidence, *size)
    wanted = ~np.isnan(boxes[..., 0])
    joints = detector.detect(frames, boxes)
    truth = np.stack([xy[:, hand] for hand, _ in HANDS], 1)
    known = np.stack([confidence[:, hand] for hand, _ in HANDS], 1) > 0
    away = boxes_without_hands(boxes, xy, confidence, size)
    empty = found(detector.detect(frames, away), detector)[~np.isnan(away[..., 0])]
    sides = boxes[..., 2] - boxes[..., 0]
    error = joints[..., :2] - truth
    return error[wanted], known[wanted], sides[wanted], found(joints, detector)[wanted], empty


def _summary(
    error: np.ndarray, known: np.ndarray, side: np.ndarray, seen: np.ndarray, empty: np.ndarray
) -> dict[str, Any]:
    shares = {
        "hands": len(seen),
        "share_found": round(float(seen.mean()), 4),
        "boxes_without_hand": len(empty),
        "share_found_where_no_hand_is": round(float(empty.mean()), 4),
    }
    if not seen.any():
        return shares
    error, known, side = error[seen], known[seen], side[seen]
    distance = np.linalg.norm(error, axis=-1)
    share = distance / side[:, None]
    tips = {finger: distance[:, tip][known[:, tip]] for finger, tip in zip(FINGERS, TIPS, strict=True)}
    return shares | {
        "mean_px": round(float(distance[known].mean()), 3),
        "median_px": round(float(np.median(distance[known])), 3),
        "mean_l1_px": round(float(np.abs(error).sum(-1)[known].mean()), 3),
        "mean_share_of_box": round(float(share[known].mean()), 4),
        "share_within_tenth_of_box": round(float((share[known] <= 0.1).mean()), 4),
        "mean_px_tips": {finger: round(float(values.mean()), 3) for finger, values in tips.items()},
    }
