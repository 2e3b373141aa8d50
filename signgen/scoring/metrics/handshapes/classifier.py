"""The hand-shape classifier that comes with signgen: trained on true frames of drawn signers alone.

It is a measuring instrument: its accuracy on generated frames means something beside that on the true frames of the
same clips. Its own accuracy is in `report` and on its card, ``signgen/weights/handshape_classifier/README.md``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen import folders
from signgen.errors import InputError
from signgen.scoring.metrics.hand_detectors.builtin import to_images
from signgen.scoring.metrics.hand_detectors.interface import LEFT, RULE, Places, check_boxes, check_frames
from signgen.scoring.metrics.handshapes.network import CROP, HandshapeNetwork

WEIGHTS = folders.WEIGHTS / "handshape_classifier"
TRAIN = "train it with tools/train_handshape_classifier.py"
BATCH = 64  # hands at a time


class HandshapeClassifier:
    """Says which shape the hands in given boxes show.

    Args:
        network: trained.
        shapes: names of its S outputs.
        fingerprint: of its weights, for the signature.

    Attributes:
        signature: name, weights and boxes: everything that its answers depend on but the frames.
    """

    def __init__(self, network: HandshapeNetwork, shapes: tuple[str, ...], fingerprint: str) -> None:
        self.network, self.shapes = network.eval(), shapes
        self.signature = f"handshapes|signgen,{len(shapes)}-shapes,crop:{CROP},weights:{fingerprint}|{RULE}|v1"

    @torch.inference_mode()
    def classify(self, frames: Any, boxes: Any) -> np.ndarray:
        """Belief in each shape, float32 (N,2,S) with sum 1; NaN where no hand was to be looked at.

        Args:
            frames: (N,H,W,3) RGB, uint8 or float in [0, 1].
            boxes: (N,2,4) as `signgen.scoring.metrics.hand_detectors.search_boxes` gives them, left and right hand.
        """
        pixels = check_frames(frames)
        squares = check_boxes(boxes, len(pixels))
        belief = np.full((len(pixels), 2, len(self.shapes)), np.nan, np.float32)
        hands = np.argwhere(~np.isnan(squares[..., 0]))  # (M,2): frame, side
        for start in range(0, len(hands), BATCH):
            index, side = hands[start : start + BATCH].T
            places = Places.upright(torch.from_numpy(squares[index, side]).float(), torch.from_numpy(side == LEFT))
            crops = places.cut(to_images(pixels[index]), CROP)  # (M,3,64,64)
            belief[index, side] = self.network(crops).softmax(-1).numpy()
        return belief


def load_handshape_classifier(folder: str | Path | None = None) -> HandshapeClassifier:
    """The classifier of the package, or one of its kind from another folder.

    Raises:
        InputError: there are no weights, or those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    place = Path(folder or WEIGHTS)
    for path in (place / "config.json", place / "model.safetensors"):
        if not path.is_file():
            raise InputError(path, "not found", TRAIN)
    content = (place / "model.safetensors").read_bytes()
    try:
        shapes = tuple(json.loads((place / "config.json").read_text(encoding="utf-8"))["shapes"])
        network = HandshapeNetwork(len(shapes))
        network.load_state_dict(load(content))
    except (RuntimeError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(place, "not the weights of this network", TRAIN) from error
    return HandshapeClassifier(network, shapes, hashlib.sha256(content).hexdigest()[:12])


def report(folder: str | Path = WEIGHTS) -> dict[str, Any]:
    """What the training tool measured on true frames that the classifier had not seen."""
    return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))
