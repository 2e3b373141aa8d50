"""Inception v3 up to its last pooling (Szegedy et al. 2016, table 1, as in torchvision), the backbone of FID."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 2048
SIDE = 299  # pixels; frames are stretched to this square


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
