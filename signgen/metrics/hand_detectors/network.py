"""The network of the built-in hand detector: a small hourglass from the crop of a right hand to 21 maps of belief."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from signgen.metrics.hand_detectors.boxes import JOINTS
from signgen.models.blocks import Residual, conv_block

CROP = 64  # pixels of the crop along a side
CELLS = 32  # cells of a map along a side
RADIUS = 2  # cells around the peak that position and belief are taken from


class HandNetwork(nn.Module):
    """Crops of a right hand to logits of where each joint is.

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


def peaks(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Soft-argmax around the peak: logits (N, P, h, w) -> points (N, P, 2) in shares of the crop, belief (N, P).

    The softmax runs over the whole map; its mass within ``RADIUS`` cells of the largest value is the belief, the
    centre of that mass the position.
    """
    count, points, height, width = logits.shape
    chance = logits.flatten(2).softmax(-1)  # (N, P, h w)
    best = chance.argmax(-1, keepdim=True)  # (N, P, 1)
    y = torch.arange(height, device=logits.device).repeat_interleave(width)
    x = torch.arange(width, device=logits.device).repeat(height)
    near = ((x - best % width).abs() <= RADIUS) & ((y - best // width).abs() <= RADIUS)  # (N, P, h w)
    mass = chance * near
    belief = mass.sum(-1)
    across = ((mass * x).sum(-1) / belief + 0.5) / width
    along = ((mass * y).sum(-1) / belief + 0.5) / height
    return torch.stack([across, along], -1), belief
