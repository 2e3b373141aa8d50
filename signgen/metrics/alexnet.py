"""The convolutions of AlexNet (Krizhevsky 2014, "One weird trick", as in torchvision) and LPIPS's heads on them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class AlexNetFeatures(nn.Module):
    """Activations after each of the five ReLUs; names and shapes of the parameters are torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        layers = {str(place): nn.Conv2d(i, o, k, s, p) for place, (i, o, k, s, p) in CONVOLUTIONS.items()}
        self.features = nn.ModuleDict(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B,3,H,W), normalised for ImageNet -> five maps (B,64,H/4,W/4) to (B,256,H/16,W/16), about."""
        maps = []
        for place, layer in self.features.items():
            if int(place) in POOLED:
                images = F.max_pool2d(images, 3, 2)
            images = F.relu(layer(images))
            maps.append(images)
        return maps


class _Head(nn.Module):
    """Weights of the channels of one layer, as a 1x1 convolution under the name that LPIPS v0.1 gives it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))

    def forward(self, squares: Tensor) -> Tensor:
        """(B,width,H,W) -> (B,1,H,W)"""
        return self.model(squares)


class LPIPSNetwork(AlexNetFeatures):
    """LPIPS v0.1 (Zhang et al. 2018, eq. 1): weighted distance of unit-length activations, mean over the image.

    Its state dict is torchvision's AlexNet without the classifier, and the heads ``lin0`` to ``lin4`` of LPIPS.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        for layer, width in enumerate(WIDTHS):
            self.add_module(f"lin{layer}", _Head(width))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

    def _directions(self, images: Tensor) -> list[Tensor]:
        """(B,3,H,W) in [0, 1] -> activations of unit length along the channels."""
        maps = super().forward((2 * images - 1 - self.shift) / self.scale)
        return [x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in maps]

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Images (B,3,H,W) in [0, 1] twice -> distances (B,)."""
        layers = enumerate(zip(self._directions(first), self._directions(second), strict=True))
        weighted = [self.get_submodule(f"lin{i}")((a - b).square()).mean((1, 2, 3)) for i, (a, b) in layers]
        return torch.stack(weighted).sum(0)


def published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone of a whole ``lpips.LPIPS`` under torchvision's names; all other names as they are."""
    return {_torchvision_name(name): value for name, value in tensors.items()}


def _torchvision_name(name: str) -> str:
    return f"features.{name.split('.', 2)[2]}" if name.startswith("net.slice") else name  # net.slice2.3.weight
