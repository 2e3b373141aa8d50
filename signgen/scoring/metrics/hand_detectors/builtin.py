"""The detector that comes with signgen: trained on drawn hands alone, small enough for every test to use it.

It is a measuring instrument for frames of drawn and generated signers, not a general hand pose estimator; its own
error on true frames is in `report` and on its card, ``signgen/weights/hand_detector/README.md``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from signgen import folders
from signgen.errors import InputError
from signgen.keypoints.skeleton import FINGERS, LEFT_HAND, RIGHT_HAND
from signgen.model.networks.wrist_finder import Residual, conv_block
from signgen.scoring.metrics.hand_detectors.interface import (
    HANDS,
    JOINTS,
    LEFT,
    HandDetector,
    Places,
    check_boxes,
    check_frames,
    found,
    search_boxes,
)

# The network of the built-in hand detector: a small hourglass from the crop of a right hand to 21 maps of belief.


CROP = 64  # pixels of the crop along a side
CELLS = 32  # cells of a map along a side
RADIUS = 2  # cells around the peak that position and belief are taken from


class HandNetwork(nn.Module):
    """Crops of a right hand to logits of where each joint is.

    Most of the work is done on 16x16 and 8x8 cells; the maps have 32x32, folded into the channels of the last layer,
    because the joints of a fist are closer to each other than a cell of the coarser grid.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
        depths: residual blocks at 1/4, 1/8 and 1/16, and again on the way up at 1/4 and 1/8.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (24, 64, 96, 144),
        depths: tuple[int, int, int, int, int] = (2, 2, 2, 2, 1),
    ) -> None:
        super().__init__()
        stem, quarter, eighth, sixteenth = widths
        self.stem = nn.Sequential(
            conv_block(3, stem, stride=2), conv_block(stem, quarter, stride=2), *self._blocks(quarter, depths[0])
        )
        self.down = nn.Sequential(conv_block(quarter, eighth, stride=2), *self._blocks(eighth, depths[1]))
        self.deep = nn.Sequential(conv_block(eighth, sixteenth, stride=2), *self._blocks(sixteenth, depths[2]))
        self.from_deep, self.from_down = nn.Conv2d(sixteenth, eighth, 1), nn.Conv2d(eighth, quarter, 1)
        self.up_down = nn.Sequential(*self._blocks(eighth, depths[4]))
        self.up_stem = nn.Sequential(*self._blocks(quarter, depths[3]))
        self.head = nn.Conv2d(quarter, JOINTS * 4, 1)

    @staticmethod
    def _blocks(channels: int, count: int) -> list[nn.Module]:
        return [Residual(channels) for _ in range(count)]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 64, 64) in [0, 1] -> logits (N, 21, 32, 32), joints in COCO-WholeBody's order."""
        fine = self.stem(crops * 2 - 1)  # (N, 64, 16, 16)
        middle = self.down(fine)  # (N, 96, 8, 8)
        coarse = self.from_deep(self.deep(middle))  # (N, 96, 4, 4)
        middle = self.up_down(middle + F.interpolate(coarse, scale_factor=2.0, mode="bilinear"))
        fine = self.up_stem(fine + F.interpolate(self.from_down(middle), scale_factor=2.0, mode="bilinear"))
        return F.pixel_shuffle(self.head(fine), 2)


def peaks(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Soft-argmax around the peak: logits (N, P, h, w) -> points (N, P, 2) in shares of the crop, belief (N, P).

    The softmax runs over the whole map; its mass within ``RADIUS`` cells of the largest value is the belief, the
    centre of that mass the position.
    """
    count, points, height, width = logits.shape
    chance = logits.flatten(2).softmax(-1)  # (N, P, h w)
    best = chance.argmax(-1, keepdim=True)  # (N, P, 1)
    y = torch.arange(height, device=logits.device).repeat_interleave(width)
    x = torch.arange(width, device=logits.device).repeat(height)
    near = ((x - best % width).abs() <= RADIUS) & ((y - best // width).abs() <= RADIUS)  # (N, P, h w)
    mass = chance * near
    belief = mass.sum(-1)
    across = ((mass * x).sum(-1) / belief + 0.5) / width
    along = ((mass * y).sum(-1) / belief + 0.5) / height
    return torch.stack([across, along], -1), belief


# How good a hand detector is: its error on true frames whose keypoints are known.


TIPS = (4, 8, 12, 16, 20)  # of the joints of a hand
CLEAR = 6  # pixels that a box without a hand keeps from every joint

Clip = tuple[np.ndarray, np.ndarray, np.ndarray]  # frames (T,H,W,3) uint8, xy (T,133,2), confidence (T,133)


def blurred(frames: np.ndarray, factor: float) -> np.ndarray:
    """Frames uint8 (N,H,W,3) reduced by a factor and brought back: softer than any generated frame should be."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float()
    small = F.interpolate(images, scale_factor=1 / factor, mode="area")
    soft = F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)
    return soft.round().byte().permute(0, 2, 3, 1).numpy()


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


WEIGHTS = folders.WEIGHTS / "hand_detector"
TRAIN = "train it with tools/train_hand_detector.py"
FOUND = 0.4  # belief from which a hand counts as found; the card says how often true and absent hands reach it
BATCH = 64  # hands at a time


def to_images(frames: np.ndarray) -> torch.Tensor:
    """uint8 (N,H,W,3) to float (N,3,H,W) in [0, 1]; the bytes are put in order first, which is six times as fast."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 255


class SignGenHands:
    """The built-in detector.

    Args:
        network: trained.
        fingerprint: of its weights, for the signature.
    """

    found_from = FOUND

    def __init__(self, network: HandNetwork, fingerprint: str) -> None:
        self.network = network.eval()
        self.signature = f"signgen,crop:{CROP},belief>={FOUND:g},weights:{fingerprint}"

    @torch.inference_mode()
    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        """See `HandDetector.detect`. The score is the share of the network's belief that lies around the peak."""
        pixels = check_frames(frames)
        squares = check_boxes(boxes, len(pixels))
        joints = np.full((len(pixels), 2, JOINTS, 3), np.nan, np.float32)
        hands = np.argwhere(~np.isnan(squares[..., 0]))  # (M,2): frame, side
        for start in range(0, len(hands), BATCH):
            index, side = hands[start : start + BATCH].T
            joints[index, side] = self._joints(pixels[index], squares[index, side], side == LEFT)
        return joints

    def _joints(self, frames: np.ndarray, boxes: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(M,H,W,3), (M,4), (M,) -> (M,21,3). The network knows right hands: left ones are mirrored for it."""
        places = Places.upright(torch.from_numpy(boxes).float(), torch.from_numpy(left))
        points, belief = peaks(self.network(places.cut(to_images(frames), CROP)))
        return torch.cat([places.to_frame(points), belief[..., None]], -1).numpy()


def load_builtin(weights: str | Path | None = None) -> SignGenHands:
    """The built-in detector, with other weights of its kind where a folder, or the file in it, is given.

    Raises:
        InputError: there are no weights, or those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(weights or WEIGHTS)
    path = path if path.is_file() else path / "model.safetensors"
    if not path.is_file():
        raise InputError(path, "not found", TRAIN)
    content = path.read_bytes()
    network = HandNetwork()
    try:
        network.load_state_dict(load(content))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(path, "not the weights of this network", TRAIN) from error
    return SignGenHands(network, hashlib.sha256(content).hexdigest()[:12])


def report(folder: str | Path = WEIGHTS) -> dict[str, Any]:
    """What the training tool measured on true frames that the detector had not seen."""
    return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))
