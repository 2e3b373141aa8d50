"""A denoiser of a few thousand parameters with every part switched on, for tests of what must hold at any size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from signgen.model.networks.denoiser import Denoiser

CHANNELS, TOKEN_DIM, FUSION_DIM = 4, 16, 6
TINY: dict[str, Any] = {
    "channels": CHANNELS,
    "block_out_channels": (16, 24),
    "layers_per_block": 1,
    "attention": (False, True),
    "head_dim": 8,
    "norm_groups": 8,
    "cross_attention_dim": TOKEN_DIM,
    "pose": {"block_out_channels": (4, 8), "unshuffle": 2, "coordinates": True},
    "source": {"patch": 2, "positions": True},
    "fusion_dim": FUSION_DIM,
    "fusion_hidden": 8,
}
CROSS_VIEW = {"heads": 4, "groups": 8, "attentions": 1, "ff_mult": 0}


def tiny_denoiser(**changes: Any) -> Denoiser:
    """A new tiny denoiser in eval mode; the same weights for the same configuration."""
    torch.manual_seed(0)
    return Denoiser(**(TINY | changes)).eval()


def shake(model: torch.nn.Module, amount: float = 0.2) -> None:
    """Gives every parameter a push, so that layers that start at zero count."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator)


def tiny_inputs(count: int = 4, height: int = 6, width: int = 5) -> dict[str, Tensor]:
    """Inputs of `Denoiser.forward` for ``count`` frames, odd latent sizes included."""
    generator = torch.Generator().manual_seed(2)
    return {
        "noisy": torch.randn(count, CHANNELS, height, width, generator=generator),
        "timesteps": torch.arange(count) * 200 + 99,
        "pose": torch.rand(count, 3, 8 * height, 8 * width, generator=generator),
        "tokens": torch.randn(count, 7, TOKEN_DIM, generator=generator),
        "fusion": torch.randn(count, FUSION_DIM, generator=generator),
    }
