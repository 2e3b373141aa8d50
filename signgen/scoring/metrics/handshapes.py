"""Which hand shape a hand shows: the judge of whether generated fingers can still be read.

    classifier = load_handshape_classifier()
    belief = classifier.classify(frames, search_boxes(xy, confidence, width, height))   # (N,2,S)
    labels = read_shape_labels("keypoints/clip.npz", classifier.shapes)               # (T,2), -1: none

The classifier that ships is trained on true frames of drawn signers alone. It is a measuring instrument: its accuracy
on generated frames means something beside that on the true frames of the same clips. Its own accuracy is in `report`
and on its card, ``signgen/weights/handshape_classifier/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from signgen import package
from signgen.errors import Damaged, Mismatch, NotFound, Unsupported
from signgen.extraction.packages import fingerprint
from signgen.model.networks.wrist_finder import Residual, conv_block
from signgen.scoring.metrics.frames import as_bytes
from signgen.scoring.metrics.hand_detectors.interface import LEFT, RULE, Places, check_boxes
from signgen.video.tensors import to_unit

WEIGHTS = package.WEIGHTS / "handshape_classifier"
TRAIN = "train it with tools/train_handshape_classifier.py"
BATCH = 64  # hands at a time
CROP = 64  # pixels of the crop along a side
NONE = -1  # in transition, at rest, out of the frame, or a shape that nobody asked for
_ADVICE = "draw the clips with this version's signgen synthesize, which writes them"


class HandshapeNetwork(nn.Module):
    """Crops of a right hand to logits of hand shapes.

    The last map is read out place by place: where something is says which fingers are up, and an average over the
    crop would lose it.

    Args:
        shapes: S, how many there are.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
        depths: residual blocks at 1/4, 1/8 and 1/16.
        dropout: share of the last map's values that training leaves out.
    """

    def __init__(
        self,
        shapes: int,
        widths: tuple[int, int, int, int] = (24, 48, 96, 128),
        depths: tuple[int, int, int] = (1, 2, 1),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_block(3, widths[0], stride=2)]
        for inputs, outputs, depth in zip(widths, widths[1:], depths, strict=False):
            layers += [conv_block(inputs, outputs, stride=2), *(Residual(outputs) for _ in range(depth))]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1] * (CROP // 16) ** 2, shapes))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 64, 64) in [0, 1] -> logits (N, S)."""
        return self.head(self.features(crops * 2 - 1))  # features: (N, 128, 4, 4)


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
        pixels = as_bytes(frames, "frames")
        squares = check_boxes(boxes, len(pixels))
        belief = np.full((len(pixels), 2, len(self.shapes)), np.nan, np.float32)
        hands = np.argwhere(~np.isnan(squares[..., 0]))  # (M,2): frame, side
        for start in range(0, len(hands), BATCH):
            index, side = hands[start : start + BATCH].T
            places = Places.upright(torch.from_numpy(squares[index, side]).float(), torch.from_numpy(side == LEFT))
            crops = places.cut(to_unit(pixels[index]), CROP)  # (M,3,64,64)
            belief[index, side] = self.network(crops).softmax(-1).numpy()
        return belief


def load_handshape_classifier(folder: str | Path | None = None) -> HandshapeClassifier:
    """The classifier of the package, or one of its kind from another folder.

    Raises:
        InputError: there are no weights, or those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    place = Path(folder or WEIGHTS)
    settings, weights = place / "config.json", place / "model.safetensors"
    for path in (settings, weights):
        if not path.is_file():
            raise NotFound(path, "not found", TRAIN)
    try:
        shapes = tuple(json.loads(settings.read_text(encoding="utf-8"))["shapes"])
        network = HandshapeNetwork(len(shapes))
        network.load_state_dict(load_file(weights))
    except (RuntimeError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Mismatch(place, "not the weights of this network", TRAIN) from error
    return HandshapeClassifier(network, shapes, fingerprint(weights))


def report(folder: str | Path = WEIGHTS) -> dict[str, Any]:
    """What the training tool measured on true frames that the classifier had not seen."""
    return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))


# The hand shapes that drawn clips say their hands hold, from the key ``hand_shapes`` of their keypoint files.


def _read(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Labels (T,2) as they stand in the file, and the names that they count in."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "hand_shapes" not in archive or "shapes" not in archive:
                raise Unsupported(path, "holds no hand shapes (hand_shapes, shapes)", _ADVICE)
            labels, names = archive["hand_shapes"], [str(name) for name in archive["shapes"]]
    except (OSError, ValueError, BadZipFile) as error:
        raise Damaged(path, f"cannot be read ({error})", _ADVICE) from error
    whole = labels.ndim == 2 and labels.shape[1] == 2 and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min(initial=NONE) < NONE or labels.max(initial=NONE) >= len(names):
        got = f"hand_shapes {labels.dtype} {labels.shape}, {len(names)} shapes"
        raise Damaged(path, got, "hand_shapes are integers (T,2), each an index into shapes or -1")
    return labels, names


def shape_names_in(path: str | Path) -> list[str]:
    """The names that a keypoint file's labels count in.

    Raises:
        InputError: the file holds none, or cannot be read.
    """
    return _read(path)[1]


def read_shape_labels(path: str | Path, shapes: Sequence[str]) -> np.ndarray:
    """Which of ``shapes`` the left and the right hand hold: int64 (T,2), ``NONE`` for none or another one.

    Args:
        path: keypoint file of a drawn clip.
        shapes: names to count in, such as those that a classifier knows.

    Raises:
        InputError: the file holds no labels, or cannot be read.
    """
    labels, names = _read(path)
    places = {name: place for place, name in enumerate(shapes)}
    return np.array([*(places.get(name, NONE) for name in names), NONE], np.int64)[labels]
