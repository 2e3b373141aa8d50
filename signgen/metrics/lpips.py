"""LPIPS: perceptual distance of generated and true frames by a network trained on human judgements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchmetrics

from signgen.errors import InputError
from signgen.metrics.alexnet import SMALLEST, LPIPSNetwork, published_names
from signgen.metrics.frames import paired
from signgen.metrics.image import FrameMean
from signgen.metrics.weight_files import Published, fill, fingerprint, read_tensors

ALEXNET = Published(
    "LPIPS", "alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/", ("alexnet-owt-4df8aa71.pth",)
)
HEADS = Published("LPIPS", "alex.pth", "https://github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1)")
BATCH = 8  # frames that pass the network together


def public_heads() -> Path:
    """The heads of LPIPS v0.1 for AlexNet, a file of 6 kB that comes with torchmetrics.

    Raises:
        InputError: this torchmetrics has none.
    """
    path = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / HEADS.file
    if not path.is_file():
        raise InputError("LPIPS heads", "this torchmetrics comes without them", HEADS.advice)
    return path


def load_lpips(
    weights: str | Path | Sequence[str | Path] | None, heads: str | Path | None = None
) -> tuple[LPIPSNetwork, str]:
    """The network in float32, ready to run, and the fingerprints of its files.

    Args:
        weights: torchvision's AlexNet, or a folder that holds it, or a state dict of a whole ``lpips.LPIPS``; or two
            files, the second one being ``heads``.
        heads: the linear layers of LPIPS v0.1; those that come with torchmetrics when ``weights`` has none.

    Raises:
        InputError: a file is missing or is not what it should be.
    """
    if isinstance(weights, Sequence) and not isinstance(weights, str):
        if len(weights) != 2 or heads is not None:
            raise InputError("LPIPS", f"{len(weights)} files of weights", "give AlexNet's, or AlexNet's and the heads'")
        weights, heads = weights
    path = ALEXNET.find(weights)
    files, tensors = [path], published_names(read_tensors(path))
    if heads is not None or not any(name.startswith("lin") for name in tensors):
        files.append(HEADS.find(heads) if heads is not None else public_heads())
        tensors |= published_names(read_tensors(files[-1]))
    network = LPIPSNetwork()
    fill(network, tensors, " + ".join(map(str, files)), ALEXNET.advice)
    return network.eval().requires_grad_(False), "+".join(map(fingerprint, files))


def lpips(pred: Any, target: Any, network: LPIPSNetwork) -> np.ndarray:
    """LPIPS of each frame, float64 (N,); 0 is equal.

    Args:
        pred, target: generated and true frames (N,H,W,3), uint8 or float in [0, 1].

    Raises:
        InputError: the frames are too small for AlexNet.
    """
    first, second = paired(pred, target)
    if min(first.shape[1:3]) < SMALLEST:
        got, need = f"{first.shape[2]}x{first.shape[1]}", f"LPIPS needs at least {SMALLEST} pixels a side"
        raise InputError("frames", got, need)
    device = next(network.parameters()).device
    values = [np.zeros(0)]
    with torch.inference_mode():
        for start in range(0, len(first), BATCH):
            pieces = [torch.from_numpy(frames[start : start + BATCH]).float() for frames in (first, second)]
            images = [piece.permute(0, 3, 1, 2).to(device) for piece in pieces]
            values.append(network.distance(*images).double().cpu().numpy())
    return np.concatenate(values)


class LPIPS(FrameMean):
    """Mean LPIPS v0.1 (AlexNet) over frames at their own size, in float32; every frame counts.

    Args:
        weights, heads: as `load_lpips`.
    """

    higher_is_better = False

    def __init__(
        self,
        weights: str | Path | Sequence[str | Path] | None = None,
        heads: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.network, self.fingerprint = load_lpips(weights, heads)

    @property
    def signature(self) -> str:
        return f"lpips|alexnet,heads:v0.1,weights:{self.fingerprint}|size:native|mean:frames|rgb|v1"

    def _values(self, pred: Any, target: Any) -> np.ndarray:
        return lpips(pred, target, self.network)
