"""LPIPS: perceptual distance of generated and true frames by a network trained on human judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchmetrics
from torch import Tensor, nn
from torch.nn import functional as F

from signgen.errors import BadValue, NotInstalled
from signgen.extraction.packages import fingerprint
from signgen.scoring.metrics.frames import paired
from signgen.scoring.metrics.metric import Chunk, FrameMean, Score
from signgen.scoring.metrics.weight_files import DIGITS, Published, fill, read_tensors
from signgen.video.tensors import channels_first

ALEXNET = Published(
    "LPIPS", "alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/", ("alexnet-owt-4df8aa71.pth",)
)
HEADS = Published("LPIPS", "alex.pth", "https://github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1)")
# The convolutions of AlexNet (Krizhevsky 2014, "One weird trick", as in torchvision):
# place in torchvision's `features`: (inputs, outputs, kernel, stride, padding); a ReLU follows each
CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2),
    3: (64, 192, 5, 1, 2),
    6: (192, 384, 3, 1, 1),
    8: (384, 256, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
POOLED = (3, 6)  # convolutions that a 3x3 maximum of stride 2 stands before
WIDTHS = tuple(outputs for _, outputs, *_ in CONVOLUTIONS.values())
SMALLEST = 31  # pixels a side from which every layer has something to look at
BATCH = 8  # frames that pass the network together


class _Head(nn.Module):
    """Weights of the channels of one layer, as a 1x1 convolution under the name that LPIPS v0.1 gives it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))

    def forward(self, squares: Tensor) -> Tensor:
        """(B,width,H,W) -> (B,1,H,W)"""
        return self.model(squares)


class WeightedDistance(nn.Module):
    """LPIPS (Zhang et al. 2018, eq. 1): weighted distance of unit-length activations, mean over the image.

    A subclass has the layers, and gives their activations as its forward.

    Args:
        widths: channels of the layers that are compared.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        for layer, width in enumerate(widths):
            self.add_module(f"lin{layer}", _Head(width))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

    def _directions(self, images: Tensor) -> list[Tensor]:
        """(B,3,H,W) in [0, 1] -> activations of unit length along the channels."""
        maps = self((2 * images - 1 - self.shift) / self.scale)
        return [x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in maps]

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Images (B,3,H,W) in [0, 1] twice -> distances (B,)."""
        layers = enumerate(zip(self._directions(first), self._directions(second), strict=True))
        weighted = [self.get_submodule(f"lin{i}")((a - b).square()).mean((1, 2, 3)) for i, (a, b) in layers]
        return torch.stack(weighted).sum(0)


class LPIPSNetwork(WeightedDistance):
    """LPIPS v0.1 by AlexNet.

    Its state dict is torchvision's AlexNet without the classifier, and the heads ``lin0`` to ``lin4`` of LPIPS.
    """

    def __init__(self) -> None:
        super().__init__(WIDTHS)
        layers = {str(place): nn.Conv2d(i, o, k, s, p) for place, (i, o, k, s, p) in CONVOLUTIONS.items()}
        self.features = nn.ModuleDict(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B,3,H,W), normalised -> after each ReLU: five maps (B,64,H/4,W/4) to (B,256,H/16,W/16), about."""
        maps = []
        for place, layer in self.features.items():
            if int(place) in POOLED:
                images = F.max_pool2d(images, 3, 2)
            images = F.relu(layer(images))
            maps.append(images)
        return maps


def published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone of a whole ``lpips.LPIPS`` under torchvision's names; all other names as they are."""
    return {_torchvision_name(name): value for name, value in tensors.items()}


def _torchvision_name(name: str) -> str:
    return f"features.{name.split('.', 2)[2]}" if name.startswith("net.slice") else name  # net.slice2.3.weight


def public_heads() -> Path:
    """The heads of LPIPS v0.1 for AlexNet, a file of 6 kB that comes with torchmetrics.

    Raises:
        InputError: this torchmetrics has none.
    """
    path = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / HEADS.file
    if not path.is_file():
        raise NotInstalled("LPIPS heads", "this torchmetrics comes without them", HEADS.advice)
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
            raise BadValue("LPIPS", f"{len(weights)} files of weights", "give AlexNet's, or AlexNet's and the heads'")
        weights, heads = weights
    path = ALEXNET.find(weights)
    files, tensors = [path], published_names(read_tensors(path))
    if heads is not None or not any(name.startswith("lin") for name in tensors):
        files.append(HEADS.find(heads) if heads is not None else public_heads())
        tensors |= published_names(read_tensors(files[-1]))
    network = LPIPSNetwork()
    fill(network, tensors, " + ".join(map(str, files)), ALEXNET.advice)
    return network.eval().requires_grad_(False), "+".join(fingerprint(file, DIGITS) for file in files)


def lpips(pred: Any, target: Any, network: WeightedDistance) -> np.ndarray:
    """LPIPS of each frame by a network, float64 (N,); 0 is equal.

    Args:
        pred, target: generated and true frames (N,H,W,3), uint8 or float in [0, 1].

    Raises:
        InputError: the frames are too small for AlexNet.
    """
    return perceptual(*paired(pred, target), network)


def perceptual(first: np.ndarray, second: np.ndarray, network: WeightedDistance) -> np.ndarray:
    """`lpips` of frames (N,H,W,3) float64 in [0, 1]."""
    if min(first.shape[1:3]) < SMALLEST:
        got, need = f"{first.shape[2]}x{first.shape[1]}", f"LPIPS needs at least {SMALLEST} pixels a side"
        raise BadValue("frames", got, need)
    device = next(network.parameters()).device
    values = [np.zeros(0)]
    with torch.inference_mode():
        for start in range(0, len(first), BATCH):
            pieces = (frames[start : start + BATCH] for frames in (first, second))
            images = [channels_first(piece).float().to(device) for piece in pieces]
            values.append(network.distance(*images).double().cpu().numpy())
    return np.concatenate(values)


class LPIPS(FrameMean):
    """Mean LPIPS v0.1 (AlexNet) over frames at their own size, in float32; every frame counts.

    Args:
        weights, heads: as `load_lpips`.
    """

    higher_is_better = False

    def __init__(
        self, weights: str | Path | Sequence[str | Path] | None = None, heads: str | Path | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.network, self.fingerprint = load_lpips(weights, heads)

    @property
    def signature(self) -> str:
        return f"lpips|alexnet,heads:v0.1,weights:{self.fingerprint}|size:native|mean:frames|rgb|v1"

    def _values(self, chunk: Chunk) -> np.ndarray:
        return perceptual(*chunk.unit, self.network)


LPIPS_SCORE = Score(
    "lpips", "LPIPS", "lower", lambda tools: LPIPS(tools.options.lpips_weights), smallest_side=SMALLEST, weights=ALEXNET
)
