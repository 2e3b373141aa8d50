"""The composer and the matte: which part of a frame is the person, and which pixels the source shows already.

The backdrop is the source's own, to the very pixel, wherever the person is not. Clothes and hair are taken from the
source where it shows them, moved to the pose (`SourceRegions.body`), and painted where it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from signgen.model.networks.autoencoder import residual_convs

MULTIPLE = 8  # the sides of pictures must be multiples of it
_SURE = 0.03  # of a matte, but while it is learnt: less is none of the person, and as near to 1 all of them
_ACROSS = 3  # times that a plate is halved across alone, while it is filled
_SHY = -3.0  # of the gate at first: nearly nothing is taken from the source


class HalfUNet(nn.Module):
    """A small U-Net whose finest stage has half of the size of its output.

    Args:
        inputs: channels at half of the size.
        outputs: channels at full size.
        widths: channels at a half, a quarter and an eighth of the size.
        blocks: residual blocks at a quarter and an eighth.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        first, second, third = widths
        self.outputs = outputs
        self.stem = nn.Conv2d(inputs, first, 3, padding=1)
        self.shrink = nn.ModuleList([nn.Conv2d(first, second, 2, stride=2), nn.Conv2d(second, third, 2, stride=2)])
        self.middle, self.low = residual_convs(second, blocks[0]), residual_convs(third, blocks[1])
        self.grow = nn.ModuleList([nn.Conv2d(second, 4 * first, 1), nn.Conv2d(third, 4 * second, 1)])
        self.last = nn.ModuleList([residual_convs(first, 1), residual_convs(second, 1)])
        self.out = nn.Conv2d(first, 4 * outputs, 3, padding=1)
        nn.init.normal_(self.out.weight, std=1e-3)
        self.out.bias = nn.Parameter(torch.zeros(4 * outputs))

    def forward(self, half: Tensor) -> Tensor:
        """(N, inputs, H / 2, W / 2) -> (N, outputs, H, W)."""
        first = self.stem(half)  # (N, C0, H/2, W/2)
        second = self.middle(self.shrink[0](first))  # (N, C1, H/4, W/4)
        third = self.low(self.shrink[1](second))  # (N, C2, H/8, W/8)
        second = self.last[1](second + functional.pixel_shuffle(self.grow[1](third), 2))
        first = self.last[0](first + functional.pixel_shuffle(self.grow[0](second), 2))
        return functional.pixel_shuffle(self.out(functional.relu(first)), 2)


class SourceMatte(ModelMixin, ConfigMixin):
    """How far each pixel of a picture is the person.

    Example:
        >>> SourceMatte()(torch.zeros(1, 3, 264, 216), torch.zeros(1, 3, 264, 216)).shape
        torch.Size([1, 1, 264, 216])
    """

    @register_to_config
    def __init__(self, widths: Sequence[int] = (24, 48, 96), blocks: Sequence[int] = (1, 3)) -> None:
        super().__init__()
        self.net = HalfUNet(12 + 3, 1, widths, blocks)

    def forward(self, picture: Tensor, pose: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] and the pose images of their person in [0, 1] (0: not known) ->
        (N, 1, H, W) logits."""
        folded = functional.pixel_unshuffle(picture, 2), functional.avg_pool2d(pose, 2)
        return self.net(torch.cat(folded, 1))


class Composed(NamedTuple):
    """Frames (N, 3, H, W), about [-1, 1], their person (N, 3, H, W) alone, and the person's matte (N, 1, H, W)."""

    frames: Tensor
    person: Tensor
    matte: Tensor


class FrameComposer(ModelMixin, ConfigMixin):
    """Painted frames before the source's own backdrop, with the source's own pixels where it shows what is wanted.

    Args:
        widths, blocks: see `HalfUNet`.
        arms: whether it is shown the source's arms, too (`SourceRegions.with_arms`). Nothing is computed with it here.

    Example:
        >>> frames, body = torch.zeros(2, 3, 264, 216), torch.zeros(2, 4, 132, 108)
        >>> FrameComposer()(frames, frames[:1], body, frames).matte.shape
        torch.Size([2, 1, 264, 216])
    """

    @register_to_config
    def __init__(
        self, widths: Sequence[int] = (16, 32, 48), blocks: Sequence[int] = (1, 2), arms: bool = False
    ) -> None:
        super().__init__()
        self.net = HalfUNet(12 + 3 + 4 + 3, 5, widths, blocks)
        self.net.out.bias = nn.Parameter(torch.tensor([0.0, _SHY, 0.0, 0.0, 0.0]).repeat_interleave(4))

    def forward(self, painted: Tensor, plate: Tensor, body: Tensor, pose: Tensor) -> Composed:
        """Composes N frames.

        Args:
            painted: (N, 3, H, W) in [-1, 1], what the denoiser made.
            plate: (1 or N, 3, H, W) in [-1, 1], the backdrop without anybody.
            body: (N, 4, H / 2, W / 2), the source moved to the pose, and how far it is known, see `SourceRegions.body`.
            pose: (N, 3, H, W) in [0, 1], the pose images.
        """
        plate = plate.expand_as(painted)
        half = (
            functional.pixel_unshuffle(painted, 2),
            functional.avg_pool2d(plate, 2),
            body,
            functional.avg_pool2d(pose, 2),
        )
        matte, gate, residual = self.net(torch.cat(half, 1)).split((1, 1, 3), 1)
        matte = torch.sigmoid(matte)
        if not self.training:  # the backdrop is the plate to the bit, and stands still
            matte = ((matte - _SURE) / (1 - 2 * _SURE)).clamp(0, 1)
        moved = functional.interpolate(body, scale_factor=2, mode="bilinear", align_corners=False)  # (N, 4, H, W)
        share = torch.sigmoid(gate)
        # The source comes multiplied by how far it is known.
        person = painted + residual + share * (moved[:, :3] - moved[:, 3:] * painted)
        return Composed(plate + matte * (person - plate), person, matte)


def fill_plate(picture: Tensor, matte: Tensor, clear: float = 0.02) -> Tensor:
    """The backdrop without the person: what the matte covers is filled from around it, smoothly, and rather from beside
    than from above: studios' backdrops change down the picture and hardly across.

    Args:
        picture: (1, 3, H, W). matte: (1, 1, H, W), 0 to 1.
        clear: largest matte of a pixel that counts as backdrop.
    """
    weight = (matte <= clear).to(picture.dtype)
    levels, steps = [(picture * weight, weight)], list[tuple[int, int]]()
    while min(levels[-1][0].shape[-2:]) > 1:  # pull: coarser and coarser means of what is known
        steps.append((1 if len(steps) < _ACROSS else 2, 2))
        colour, weight = (functional.avg_pool2d(part, steps[-1], ceil_mode=True) for part in levels[-1])
        levels.append((colour, weight))
    colour, weight = levels.pop()
    filled = colour / weight.clamp(min=1e-6)
    for (colour, weight), step in zip(reversed(levels), reversed(steps), strict=True):  # push: elsewhere the coarser
        size = colour.shape[-2:]
        coarse = functional.interpolate(filled, scale_factor=step, mode="bilinear", align_corners=False)
        share = weight.clamp(max=1)
        filled = torch.where(
            weight > 0, colour / weight.clamp(min=1e-6) * share + coarse[..., : size[0], : size[1]] * (1 - share),
            coarse[..., : size[0], : size[1]],
        )  # fmt: skip
    return filled
