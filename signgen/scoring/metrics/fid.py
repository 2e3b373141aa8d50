"""FID: distance of the distributions of generated and true frames in the features of an image network."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance

from signgen.errors import BadValue, Mismatch
from signgen.extraction.packages import fingerprint
from signgen.scoring.metrics.frames import as_array
from signgen.scoring.metrics.metric import Chunk, Score, Scored
from signgen.scoring.metrics.weight_files import DIGITS, Published, fill, read_tensors
from signgen.video.tensors import channels_first

INCEPTION = Published(
    "FID",
    "inception_v3_google-0cc3c7bd.pth",
    "https://download.pytorch.org/models/",
    ("inception_v3_google-1a9a5a14.pth",),
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's images
SCALINGS = ("fpdm", "imagenet")
BATCH = 8  # frames that pass the network together
FEATURES, CLASSES = 2048, 1000
SIDE = 299  # pixels; frames are stretched to this square


# Inception v3 up to its last pooling (Szegedy et al. 2016, table 1, as in torchvision), the backbone of FID.


@dataclass(frozen=True)
class Conv:
    """One convolution with normalisation and ReLU; padded so that it keeps the size, unless it halves it.

    Attributes:
        name: torchvision's.
        outputs: channels.
        kernel: height and width in pixels.
        stride: 2 halves the size, without padding.
    """

    name: str
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


@dataclass(frozen=True)
class Branch:
    """Convolutions one after another, behind an optional pooling; ``ends`` stand side by side after the last one."""

    convolutions: tuple[Conv, ...]
    ends: tuple[Conv, ...] = ()
    pooling: bool = False


def _branch(*convolutions: Conv, ends: tuple[Conv, ...] = (), pooling: bool = False) -> Branch:
    return Branch(convolutions, ends, pooling)


def _block_a(pooled: int) -> tuple[Branch, ...]:
    """35x35 cells; ``pooled`` channels behind the pooling."""
    return (
        _branch(Conv("branch1x1", 64)),
        _branch(Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
        _branch(Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)), Conv("branch3x3dbl_3", 96, (3, 3))),
        _branch(Conv("branch_pool", pooled), pooling=True),
    )


def _block_c(width: int) -> tuple[Branch, ...]:
    """17x17 cells; ``width`` channels inside the 7x7 branches, whose kernels come as 1x7 and 7x1."""
    row, column = (1, 7), (7, 1)
    return (
        _branch(Conv("branch1x1", 192)),
        _branch(Conv("branch7x7_1", width), Conv("branch7x7_2", width, row), Conv("branch7x7_3", 192, column)),
        _branch(
            Conv("branch7x7dbl_1", width),
            Conv("branch7x7dbl_2", width, column),
            Conv("branch7x7dbl_3", width, row),
            Conv("branch7x7dbl_4", width, column),
            Conv("branch7x7dbl_5", 192, row),
        ),
        _branch(Conv("branch_pool", 192), pooling=True),
    )


def _split(name: str) -> tuple[Conv, Conv]:
    return Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))


BLOCK_B = (  # 35x35 to 17x17 cells
    _branch(Conv("branch3x3", 384, (3, 3), 2)),
    _branch(Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)), Conv("branch3x3dbl_3", 96, (3, 3), 2)),
    _branch(pooling=True),
)
BLOCK_D = (  # 17x17 to 8x8 cells
    _branch(Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, (3, 3), 2)),
    _branch(
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, (1, 7)),
        Conv("branch7x7x3_3", 192, (7, 1)),
        Conv("branch7x7x3_4", 192, (3, 3), 2),
    ),
    _branch(pooling=True),
)
BLOCK_E = (  # 8x8 cells
    _branch(Conv("branch1x1", 320)),
    _branch(Conv("branch3x3_1", 384), ends=_split("branch3x3_2")),
    _branch(Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, (3, 3)), ends=_split("branch3x3dbl_3")),
    _branch(Conv("branch_pool", 192), pooling=True),
)
BLOCKS = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": BLOCK_B,
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": BLOCK_D,
    "Mixed_7b": BLOCK_E,
    "Mixed_7c": BLOCK_E,
}


def _layer(inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
            bn=nn.BatchNorm2d(outputs, eps=1e-3),
            relu=nn.ReLU(inplace=True),
        )
    )


class _Mixed(nn.Module):
    """Branches side by side, joined along the channels."""

    def __init__(self, inputs: int, branches: tuple[Branch, ...]) -> None:
        super().__init__()
        self.branches = branches
        self.halves = not branches[-1].convolutions
        self.outputs = sum(self._build(inputs, branch) for branch in branches)

    def _build(self, inputs: int, branch: Branch) -> int:
        """Make the layers of a branch; the number of channels that leave it."""
        width = inputs
        for conv in branch.convolutions:
            self._add(conv, width)
            width = conv.outputs
        for conv in branch.ends:
            self._add(conv, width)
        return sum(conv.outputs for conv in branch.ends) or width

    def _add(self, conv: Conv, inputs: int) -> None:
        padding = (conv.kernel[0] // 2, conv.kernel[1] // 2) if conv.stride == 1 else (0, 0)
        self.add_module(conv.name, _layer(inputs, conv.outputs, conv.kernel, conv.stride, padding))

    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2) if self.halves else F.avg_pool2d(x, 3, 1, 1)

    def _run(self, x: Tensor, branch: Branch) -> list[Tensor]:
        x = self._pool(x) if branch.pooling else x
        for conv in branch.convolutions:
            x = self.get_submodule(conv.name)(x)
        return [self.get_submodule(conv.name)(x) for conv in branch.ends] or [x]

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,outputs,H,W), or half the size where the block halves it"""
        return torch.cat([part for branch in self.branches for part in self._run(x, branch)], 1)


class InceptionFeatures(nn.Module):
    """Images to the 2048 features of the last average pooling; parameters have torchvision's names."""

    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _layer(3, 32, (3, 3), 2, (0, 0))
        self.Conv2d_2a_3x3 = _layer(32, 32, (3, 3), 1, (0, 0))
        self.Conv2d_2b_3x3 = _layer(32, 64, (3, 3), 1, (1, 1))
        self.Conv2d_3b_1x1 = _layer(64, 80, (1, 1), 1, (0, 0))
        self.Conv2d_4a_3x3 = _layer(80, 192, (3, 3), 1, (0, 0))
        width = 192
        for name, branches in BLOCKS.items():
            block = _Mixed(width, branches)
            self.add_module(name, block)
            width = block.outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,299,299), normalised -> (B,2048)"""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (B,64,147,147)
        x = F.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # (B,192,71,71)
        x = F.max_pool2d(x, 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))  # of (B,2048,8,8)


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
            raise BadValue("FID scaling", repr(scaling), f"scalings are {', '.join(SCALINGS)}")
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
    network, tensors = InceptionFeatures(), read_tensors(path)
    head = tensors.get("fc.weight")
    if head is not None and len(head) != CLASSES:  # of the same names and shapes, with other poolings
        got = f"tells {len(head)} classes apart: it is another network, such as pytorch-fid's"
        raise Mismatch(path, got, INCEPTION.advice)
    fill(network, tensors, path, INCEPTION.advice)
    return InceptionOfFrames(network, scaling).eval().requires_grad_(False), fingerprint(path, DIGITS)


class FID(Scored, FrechetInceptionDistance):
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
        self.described = described
        self.orig_dtype = torch.float64  # of the value; the parent takes the features' float32

    @property
    def signature(self) -> str:
        return f"fid|{self.described}|cov:sample|rgb|v1"

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

    def features(self, frames: np.ndarray) -> np.ndarray:
        """What the backbone says of frames (N,H,W,3) of floats in [0, 1], float32 (N,D); nothing is added."""
        parts = []
        for start in range(0, len(frames), BATCH):
            with torch.no_grad():
                parts.append(self.inception(channels_first(frames[start : start + BATCH], self.device).float()))
        return torch.cat(parts).float().cpu().numpy()

    def _take(self, frames: np.ndarray, is_real: bool) -> None:
        images = channels_first(frames, self.device).float()
        with torch.no_grad():
            super().update(images / 255 if frames.dtype == np.uint8 else images, real=is_real)
        self.orig_dtype = torch.float64

    def compute(self) -> Tensor:
        """The distance; NaN with fewer than two frames on one side."""
        if min(self.generated_frames, self.true_frames) < 2:
            return torch.tensor(float("nan"), dtype=torch.float64)
        return super().compute()

    # Moments add up over clips to one number of all their frames.

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        self.update(chunk.pred, chunk.true)
        return {}

    def moments(self) -> dict[str, np.ndarray]:
        return {name: torch.as_tensor(state).cpu().numpy().copy() for name, state in self.metric_state.items()}

    def distance(self, moments: Mapping[str, np.ndarray]) -> float | None:
        """FID of moments summed over clips; None where fewer than two frames are."""
        self.reset()
        for name, value in moments.items():
            setattr(self, name, torch.as_tensor(value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a value without an update: the states are given
            found = float(self.compute())
        return None if np.isnan(found) else found


FID_SCORE = Score(
    "fid",
    "FID",
    "lower",
    lambda tools: FID(tools.options.fid_weights),
    digits=2,
    nothing="it needs two frames or more",
    weights=INCEPTION,
    per_frame=False,
)
