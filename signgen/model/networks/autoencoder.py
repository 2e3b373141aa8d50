"""The small frame autoencoder of `mini`.

Residual convolutions without norms, between pixel shuffles: frames are unshuffled by two before the encoder, so its
widest convolutions run at half size, and its 4-channel latent at a quarter size is folded by two once more. The
denoiser then sees 16 channels at an eighth, which costs it a quarter of the work of 4 channels at a quarter and holds
the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.controlnets.controlnet import zero_module
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

BOUND = 3.0  # of the latent before `LatentScale`


class PointLatent:
    """The latent of a deterministic encoder, with the two calls that diffusers' distributions have.

    Args:
        latent: (N, C, h, w).
    """

    def __init__(self, latent: Tensor) -> None:
        self.latent = latent

    def mode(self) -> Tensor:
        return self.latent

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self.latent


class ResidualConv(nn.Module):
    """x + conv(act(conv(act(x)))), the second convolution zero at first, so that a new block changes nothing."""

    def __init__(self, width: int, act: Callable[[Tensor], Tensor] = functional.silu) -> None:
        super().__init__()
        self.act = act
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = zero_module(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, width, h, w) -> (N, width, h, w)."""
        return hidden + self.second(self.act(self.first(self.act(hidden))))


def residual_convs(width: int, count: int) -> nn.Sequential:
    """``count`` blocks with ReLU, for small networks."""
    return nn.Sequential(*(ResidualConv(width, functional.relu) for _ in range(count)))


class LatentScale(nn.Module):
    """Maps a bounded latent to zero mean and unit variance per channel, and back, by running statistics.

    It lies outside of the path that is trained: normalising by the batch at hand shifts the colours of a batch of dark
    sleeves, normalising by running statistics inside the path lets encoder and statistics chase each other.

    Args:
        channels: C of the latent.
        momentum: share of a new batch in the running statistics.
    """

    mean: Tensor  # (C, 1, 1)
    deviation: Tensor  # (C, 1, 1)

    def __init__(self, channels: int, momentum: float = 0.02) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.zeros(channels, 1, 1))

    @torch.no_grad()
    def follow(self, bounded: Tensor) -> None:
        """Moves the statistics towards those of a batch (N, C, h, w); the first batch sets them."""
        deviation, mean = torch.std_mean(bounded.float(), dim=(0, 2, 3))  # (C,) each
        share = self.momentum if bool(self.deviation.any()) else 1.0
        self.mean.lerp_(mean[:, None, None], share)
        self.deviation.lerp_(deviation[:, None, None], share)

    def normalise(self, bounded: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, zero mean and unit variance per channel."""
        return (bounded - self.mean) / self.deviation.clamp(min=1e-4)

    def restore(self, latent: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, undoing `normalise`."""
        return latent * self.deviation.clamp(min=1e-4) + self.mean


def _residuals(width: int, count: int) -> list[nn.Module]:
    return [ResidualConv(width) for _ in range(count)]


class FrameAutoencoder(ModelMixin, ConfigMixin):
    """Frames (N, 3, H, W) in [-1, 1] to latents (N, 4 * fold**2, H / 8, W / 8) of unit variance, and back.

    H and W must be multiples of `spatial_factor`, 8. ``scaling_factor`` is 1: running statistics keep every
    latent channel at zero mean and unit variance, so no scale needs searching.

    Args:
        widths: channels at half and at a quarter of the size.
        decoder_widths: the same for the decoder where it differs: it runs once for each frame, the encoder once a clip.
        encoder_blocks, decoder_blocks: residual blocks at half and at a quarter of the size.
        latent_channels: channels of the latent at a quarter of the size.
        fold: how many latent cells of each side are folded into channels.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (64, 96),
        encoder_blocks: Sequence[int] = (1, 2),
        decoder_blocks: Sequence[int] = (1, 4),
        latent_channels: int = 4,
        fold: int = 2,
        scaling_factor: float = 1.0,
        decoder_widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        half, quarter = widths
        self.encoder = nn.Sequential(
            nn.Conv2d(12, half, 3, padding=1),
            *_residuals(half, encoder_blocks[0]),
            nn.Conv2d(half, quarter, 3, stride=2, padding=1),
            *_residuals(quarter, encoder_blocks[1]),
            nn.Conv2d(quarter, latent_channels, 3, padding=1),
        )
        self.scale = LatentScale(latent_channels)
        half, quarter = decoder_widths or widths
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, quarter, 3, padding=1),
            *_residuals(quarter, decoder_blocks[1]),
            nn.Conv2d(quarter, 4 * half, 3, padding=1),
            nn.PixelShuffle(2),
            *_residuals(half, decoder_blocks[0]),
            nn.Conv2d(half, 12, 3, padding=1),
        )
        self.latent_channels = latent_channels * fold * fold
        self.spatial_factor = 4 * fold

    def encode(self, frames: Tensor) -> AutoencoderKLOutput:
        """(N, 3, H, W) in [-1, 1] -> ``latent_dist`` of (N, 4 * fold**2, H / 8, W / 8)."""
        latent = self.scale.normalise(self.bounded(frames))  # (N, 4, H/4, W/4)
        latent = functional.pixel_unshuffle(latent, self.config.fold)  # (N, 4 fold^2, H/8, W/8)
        return AutoencoderKLOutput(latent_dist=PointLatent(latent))

    def decode(self, latent: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """(N, 4 * fold**2, h, w) -> ``sample`` (N, 3, 8 h, 8 w), about [-1, 1], not clamped."""
        unfolded = functional.pixel_shuffle(latent, self.config.fold)  # (N, 4, H/4, W/4)
        frames = self.frames(self.scale.restore(unfolded))  # (N, 3, H, W)
        return DecoderOutput(sample=frames) if return_dict else (frames,)

    def bounded(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) -> latent (N, 4, H/4, W/4) within `BOUND`: without a bound it would grow to drown its noise."""
        return BOUND * torch.tanh(self.encoder(functional.pixel_unshuffle(frames, 2)) / BOUND)

    def frames(self, bounded: Tensor) -> Tensor:
        """(N, 4, H/4, W/4) -> (N, 3, H, W)."""
        return functional.pixel_shuffle(self.decoder(bounded), 2)

    def forward(self, frames: Tensor, noise: float = 0.0) -> Tensor:
        """Reconstruction (N, 3, H, W); ``noise`` is the deviation of Gaussian noise put on the latent in training."""
        bounded = self.bounded(frames)  # (N, 4, H/4, W/4)
        if self.training:
            self.scale.follow(bounded.detach())
        return self.frames(bounded + noise * torch.randn_like(bounded) if noise else bounded)
