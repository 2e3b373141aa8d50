"""The small frame autoencoder of `mini`: diffusers' AutoencoderTiny between pixel and latent (un)shuffling.

Frames are unshuffled by two before the encoder, so its widest convolutions run at half size, and its 4-channel
latent at a quarter size is folded by two once more: the denoiser sees 16 channels at an eighth, which costs it a
quarter of the work of 4 channels at a quarter and holds the same numbers.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderTiny
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F


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


class FrameAutoencoder(ModelMixin, ConfigMixin):
    """Frames (N, 3, H, W) in [-1, 1] to latents (N, 4 * fold**2, H / 8, W / 8) of unit variance, and back.

    H and W must be multiples of `spatial_factor` (8 with the defaults). ``scaling_factor`` is 1: a batch norm
    without parameters keeps every latent channel at zero mean and unit variance, so no scale needs searching.

    Args:
        width: channels of every convolution.
        encoder_blocks, decoder_blocks: residual blocks at half and at quarter size (the decoder's run upwards).
        latent_channels: channels of the latent at a quarter of the frame.
        fold: how many latent cells of each side are folded into channels.
    """

    @register_to_config
    def __init__(
        self,
        width: int = 64,
        encoder_blocks: tuple[int, ...] = (1, 3),
        decoder_blocks: tuple[int, ...] = (3, 1),
        latent_channels: int = 4,
        fold: int = 2,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.tiny = AutoencoderTiny(
            in_channels=12,
            out_channels=12,
            encoder_block_out_channels=(width,) * len(encoder_blocks),
            decoder_block_out_channels=(width,) * len(decoder_blocks),
            num_encoder_blocks=encoder_blocks,
            num_decoder_blocks=decoder_blocks,
            latent_channels=latent_channels,
        )
        self.norm = nn.BatchNorm2d(latent_channels, affine=False, momentum=0.02)
        self.latent_channels = latent_channels * fold * fold
        self.spatial_factor = 2 ** len(encoder_blocks) * fold

    def encode(self, frames: Tensor) -> AutoencoderKLOutput:
        """(N, 3, H, W) in [-1, 1] -> ``latent_dist`` of (N, 4 * fold**2, H / 8, W / 8)."""
        latent = self.norm(self.tiny.encoder(F.pixel_unshuffle(frames, 2)))  # (N, 4, H/4, W/4)
        latent = F.pixel_unshuffle(latent, self.config.fold)  # (N, 4 fold^2, H/8, W/8)
        return AutoencoderKLOutput(latent_dist=PointLatent(latent))

    def decode(self, latent: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """(N, 4 * fold**2, h, w) -> ``sample`` (N, 3, 8 h, 8 w), about [-1, 1], not clamped."""
        unfolded = F.pixel_shuffle(latent, self.config.fold)  # (N, 4, H/4, W/4)
        frames = F.pixel_shuffle(self.tiny.decoder(unfolded), 2)  # (N, 3, H, W)
        return DecoderOutput(sample=frames) if return_dict else (frames,)

    def forward(self, frames: Tensor, noise: float = 0.0) -> Tensor:
        """Reconstruction (N, 3, H, W); ``noise`` is the deviation of Gaussian noise put on the latent in training."""
        latent = self.encode(frames).latent_dist.mode()
        return self.decode(latent + noise * torch.randn_like(latent) if noise else latent).sample
