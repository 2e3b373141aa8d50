"""The detector that comes with signgen: trained on drawn hands alone, small enough for every test to use it.

It is a measuring instrument for frames of drawn and generated signers, not a general hand pose estimator; its own
error on true frames is in `report` and on its card, ``signgen/weights/hand_detector/README.md``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen.errors import InputError
from signgen.metrics.hand_detectors.boxes import JOINTS, check_boxes
from signgen.metrics.hand_detectors.interface import LEFT, check_frames
from signgen.metrics.hand_detectors.network import CROP, HandNetwork, peaks
from signgen.metrics.hand_detectors.place import Places

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "hand_detector"
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
