"""Finer features: the prediction is finished at twice the latents' resolution, beside the pose at that resolution.

A finger is four pixels wide, a latent cell eight: inside the UNet what is left and right of a finger's edge is one
position. Where latents are folded (see `FrameAutoencoder`) their own grid is twice as fine, and so are the pose
encoder's features before its last stride. There a few convolutions cost little and see which finger is where.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from signgen.models.autoencoder import ResidualConv

FOLD = 2  # cells of the fine grid along each side of a latent cell


class DetailHead(nn.Module):
    """Adds to the UNet's prediction what features and pose say at twice the resolution; changes nothing when new.

    Args:
        channels: C of the latents; a multiple of 4.
        features: channels that the UNet hands over beside its prediction; a multiple of 4.
        pose_channels: channels of the pose encoder's fine features.
        width: of the convolutions.
        blocks: residual blocks.
    """

    def __init__(self, channels: int, features: int, pose_channels: int, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        fine = (channels + features) // FOLD**2
        self.channels = channels
        self.join = nn.Conv2d(fine + pose_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualConv(width) for _ in range(blocks)))
        self.out = nn.Conv2d(width, channels // FOLD**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, output: Tensor, pose_fine: Tensor) -> Tensor:
        """(N, C + features, h, w) of the UNet, (N, P, 2h, 2w) of the pose -> prediction (N, C, h, w)."""
        fine = functional.pixel_shuffle(output, FOLD)  # (N, (C + features) / 4, 2h, 2w)
        fine = fine.contiguous(memory_format=torch.channels_last)
        hidden = self.join(torch.cat([fine, pose_fine.to(fine.dtype)], dim=1))  # (N, width, 2h, 2w)
        added = self.out(functional.silu(self.blocks(hidden)))  # (N, C / 4, 2h, 2w)
        return output[:, : self.channels] + functional.pixel_unshuffle(added, FOLD)  # (N, C, h, w)
