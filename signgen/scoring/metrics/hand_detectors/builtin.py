"""The detector that comes with signgen: trained on drawn hands alone, small enough for every test to use it.

It is a measuring instrument for frames of drawn and generated signers, not a general hand pose estimator; its own
error on true frames is in `report` and on its card, ``signgen/weights/hand_detector/README.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from signgen import package
from signgen.errors import Mismatch, NotFound
from signgen.extraction.packages import fingerprint
from signgen.model.networks.wrist_finder import Residual, conv_block, peaks
from signgen.scoring.metrics.frames import as_bytes
from signgen.scoring.metrics.hand_detectors.interface import JOINTS, LEFT, Places, check_boxes
from signgen.video.tensors import to_unit

WEIGHTS = package.WEIGHTS / "hand_detector"
TRAIN = "train it with tools/train_hand_detector.py"
FOUND = 0.4  # belief from which a hand counts as found; the card says how often true and absent hands reach it
BATCH = 64  # hands at a time
CROP = 64  # pixels of the crop along a side
CELLS = 32  # cells of a map along a side


class HandNetwork(nn.Module):
    """A small hourglass from crops of a right hand to logits of where each joint is.

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
        pixels = as_bytes(frames, "frames")
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
        cells, belief = peaks(self.network(places.cut(to_unit(frames), CROP)))
        return torch.cat([places.to_frame((cells + 0.5) / CELLS), belief[..., None]], -1).numpy()


def load_builtin(weights: str | Path | None = None) -> SignGenHands:
    """The built-in detector, with other weights of its kind where a folder, or the file in it, is given.

    Raises:
        InputError: there are no weights, or those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(weights or WEIGHTS)
    path = path if path.is_file() else path / "model.safetensors"
    if not path.is_file():
        raise NotFound(path, "not found", TRAIN)
    network = HandNetwork()
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise Mismatch(path, "not the weights of this network", TRAIN) from error
    return SignGenHands(network, fingerprint(path))


def report(folder: str | Path = WEIGHTS) -> dict[str, Any]:
    """What the training tool measured on true frames that the detector had not seen."""
    return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))
