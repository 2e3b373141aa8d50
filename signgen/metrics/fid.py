"""FID: distance of the distributions of generated and true frames in the features of an image network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance

from signgen.errors import InputError
from signgen.metrics.frames import as_array
from signgen.metrics.inception import SIDE, InceptionFeatures
from signgen.metrics.weight_files import Published, fill, fingerprint, read_tensors

INCEPTION = Published(
    "FID",
    "inception_v3_google-0cc3c7bd.pth",
    "https://download.pytorch.org/models/",
    ("inception_v3_google-1a9a5a14.pth",),
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's images
SCALINGS = ("fpdm", "imagenet")
BATCH = 8  # frames that pass the network together


class InceptionOfFrames(nn.Module):
    """Frames to Inception features: stretched to 299x299 (bilinear, not antialiased), scaled, float32.

    Args:
        scaling: ``imagenet`` is what the network was trained on, 2x - 1. ``fpdm`` is what FPDM's and CFLD's evaluation
            does: it turns values normalised for ImageNet into those, but starts from plain [0, 1]; its FIDs
            are comparable with theirs alone.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: InceptionFeatures, scaling: str = "fpdm") -> None:
        super().__init__()
        if scaling not in SCALINGS:
            raise InputError("FID scaling", repr(scaling), f"scalings are {', '.join(SCALINGS)}")
        self.network, self.scaling, self.num_features = network, scaling, network.num_features
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in [0, 1] -> (B,3,299,299) as the network gets them."""
        images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
        if self.scaling == "imagenet":
            images = (images - self.mean) / self.deviation
        return images * (self.deviation / 0.5) + (self.mean - 0.5) / 0.5

    def forward(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in [0, 1] -> (B,2048)"""
        return self.network(self.prepare(images))


class _Given(nn.Module):
    """A function as a module, which torchmetrics asks for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def load_inception(weights: str | Path | None, scaling: str = "fpdm") -> tuple[InceptionOfFrames, str]:
    """The backbone in float32, ready to run, and its file's fingerprint.

    Args:
        weights: torchvision's ImageNet weights of Inception v3, or a folder that holds them.

    Raises:
        InputError: the file is missing or is not what it should be.
    """
    path = INCEPTION.find(weights)
    network = InceptionFeatures()
    fill(network, read_tensors(path), path, INCEPTION.advice)
    return InceptionOfFrames(network, scaling).eval().requires_grad_(False), fingerprint(path)


class FID(FrechetInceptionDistance):
    """Fréchet distance of two Gaussians fitted to the features of generated and of true frames (Heusel et al. 2017).

    The estimate is biased upwards when frames are few: compare only values over equal numbers of frames.

    Args:
        weights: as `load_inception`.
        scaling: ``fpdm`` or ``imagenet``, as `InceptionOfFrames`.
        features: another backbone in its place, images (B,3,H,W) in [0, 1] -> (B,D), at the frames' own size.
        name: of that backbone in the signature.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        scaling: str = "fpdm",
        features: Callable[[Tensor], Tensor] | None = None,
        name: str = "given",
        **kwargs: Any,
    ) -> None:
        module: nn.Module
        if features is None:
            module, digits = load_inception(weights, scaling)
            described = f"inception_v3:torchvision,pool3,weights:{digits}|resize:bilinear{SIDE}|input:{scaling}"
        else:
            module = features if isinstance(features, nn.Module) else _Given(features)
            described = f"{name}|size:native"
        super().__init__(feature=module, normalize=True, **kwargs)
        self.signature = f"fid|{described}|cov:sample|rgb|v1"
        self.orig_dtype = torch.float64  # of the value; the parent takes the features' float32

    @property
    def generated_frames(self) -> int:
        """How many have been added."""
        return int(self.fake_features_num_samples)

    @property
    def true_frames(self) -> int:
        """How many have been added."""
        return int(self.real_features_num_samples)

    def update(self, pred: Any, target: Any) -> None:  # type: ignore[override]
        """Add generated and true frames (N,H,W,3), uint8 or float in [0, 1]; they need not be as many."""
        for frames, name, is_real in ((pred, "generated frames", False), (target, "true frames", True)):
            array = as_array(frames, name)
            for start in range(0, len(array), BATCH):
                self._take(array[start : start + BATCH], is_real)

    def _take(self, frames: np.ndarray, is_real: bool) -> None:
        images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).to(self.device, torch.float32)
        with torch.no_grad():
            super().update(images / 255 if frames.dtype == np.uint8 else images, real=is_real)
        self.orig_dtype = torch.float64

    def compute(self) -> Tensor:
        """The distance; NaN with fewer than two frames on one side."""
        if min(self.generated_frames, self.true_frames) < 2:
            return torch.tensor(float("nan"), dtype=torch.float64)
        return super().compute()
