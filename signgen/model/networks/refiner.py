"""The region refiner: a small U-Net that paints a crop of a hand or a face again, sharper and true to the source.

It sees what the denoiser painted, the pose, the fitted solid hands (`signgen.pose_image.solid`) and the source person's
own hand or face brought to the same place (`signgen.model.regions`). It adds a residual, and takes pixels of the source
where a gate says so: what a source shows need not be painted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import BadValue
from signgen.model.networks.autoencoder import residual_convs

COARSE, POSE, REFERENCE, KNOWN, SOLID = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10), slice(10, 16)
INPUTS = 16
_SHY = -3.0  # of the gate at first: nearly nothing is taken from the source


class RegionRefiner(ModelMixin, ConfigMixin):
    """Crops of one kind of region to the same crops, refined.

    Args:
        side: S, pixels of a crop at the frame's own scale, a multiple of 8.
        widths: channels at a half, a quarter and an eighth of the size.
        blocks: residual blocks there, each way.
        head: channels at full size.
        shutter: share of a frame's time over which fast hands were smeared in the solid hands that it learned from; 0:
            they were crisp. Nothing is computed with it here; a render smears them alike.

    Example:
        >>> refiner = RegionRefiner(side=72)
        >>> refiner(torch.zeros(2, 16, 72, 72)).shape
        torch.Size([2, 3, 72, 72])
    """

    @register_to_config
    def __init__(
        self,
        side: int = 72,
        widths: Sequence[int] = (24, 48, 96),
        blocks: Sequence[int] = (1, 2, 2),
        head: int = 12,
        shutter: float = 0.0,
    ) -> None:
        super().__init__()
        if side % 8 or side < 16:
            raise BadValue("side", f"got {side}", "give pixels, a multiple of 8 from 16 on")
        if not 0 <= shutter <= 1:
            raise BadValue("shutter", f"got {shutter}", "it is a share of a frame's time, 0 (crisp) to 1")
        (first, second, third), (one, two, _) = widths, blocks
        self.stem = nn.Conv2d(4 * INPUTS, first, 3, padding=1)
        self.down = nn.ModuleList([residual_convs(width, count) for width, count in zip(widths, blocks, strict=True)])
        self.shrink = nn.ModuleList([nn.Conv2d(first, second, 2, stride=2), nn.Conv2d(second, third, 2, stride=2)])
        self.grow = nn.ModuleList([nn.Conv2d(second, 4 * first, 1), nn.Conv2d(third, 4 * second, 1)])
        self.up = nn.ModuleList([residual_convs(first, one + 1), residual_convs(second, two)])
        self.unfold = nn.Conv2d(first, 4 * head, 1)
        self.join = nn.Conv2d(head + INPUTS, head, 3, padding=1)
        self.out = nn.Conv2d(head, 4, 3, padding=1)
        nn.init.normal_(self.out.weight, std=1e-3)
        self.out.bias = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, _SHY]))

    def forward(self, crops: Tensor) -> Tensor:
        """Crops (N, 16, S, S) -> refined pixels (N, 3, S, S), about [-1, 1].

        Channels: what was painted (3) and the pose image (3) in [-1, 1]; the source's region brought there (3) in
        [-1, 1], and how far it is known (1) in [0, 1], with which it is multiplied already; the solid hands (6) in
        [-1, 1], 0 where there is none.
        """
        first = self.down[0](self.stem(functional.pixel_unshuffle(crops, 2)))  # (N, C0, S/2, S/2)
        second = self.down[1](self.shrink[0](first))  # (N, C1, S/4, S/4)
        third = self.down[2](self.shrink[1](second))  # (N, C2, S/8, S/8)
        second = self.up[1](second + functional.pixel_shuffle(self.grow[1](third), 2))
        first = self.up[0](first + functional.pixel_shuffle(self.grow[0](second), 2))
        full = functional.pixel_shuffle(self.unfold(functional.relu(first)), 2)  # (N, head, S, S)
        made = self.out(functional.relu(self.join(torch.cat([full, crops], 1))))  # (N, 4, S, S)
        painted, source = crops[:, COARSE], crops[:, REFERENCE]
        share = torch.sigmoid(made[:, 3:]) * crops[:, KNOWN]  # (N, 1, S, S)
        # The source comes multiplied by how far it is known: share * source / known, without the division.
        taken = torch.sigmoid(made[:, 3:]) * source - share * painted
        return painted + made[:, :3] + taken
