"""The papers' model with random weights, for measuring what it costs: every part at its size, or all of them small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from signgen.model import SignGenPipeline
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel

SD_SCHEDULE = {  # of Stable Diffusion 2.1, as published
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "prediction_type": "v_prediction", "steps_offset": 1, "clip_sample": False,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Settings of each part's constructor; the defaults are FPDM's: SD 2.1, DINOv2-L at 512, CLIP ViT-L/14.

    Attributes:
        denoiser, autoencoder, small, vision, encoder: of `Denoiser`, diffusers' AutoencoderKL and AutoencoderTiny (the
            small decoder), `FusionModel` and transformers' Dinov2Config.
        encoder_size: side of the square that the image encoder reads.
    """

    denoiser: Mapping[str, Any] = field(default_factory=dict)
    autoencoder: Mapping[str, Any] = field(
        default_factory=lambda: {
            "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
            "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
        }
    )  # fmt: skip
    small: Mapping[str, Any] = field(default_factory=dict)
    vision: Mapping[str, Any] | None = None
    encoder: Mapping[str, Any] = field(
        default_factory=lambda: {
            "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 518,
            "patch_size": 14,
        }
    )  # fmt: skip
    encoder_size: int = 512


def with_width(width: int) -> Sizes:
    """The papers' sizes with another first width of the UNet (SD 2.1: 320)."""
    return Sizes(denoiser={"block_out_channels": (width, 2 * width, 4 * width, 4 * width)})


TINY = Sizes(
    denoiser={
        "block_out_channels": (32, 64, 64, 64), "layers_per_block": 1, "head_dim": 16, "norm_groups": 16,
        "cross_attention_dim": 32, "source": {"semantic_dim": 32, "hidden": 32}, "fusion_dim": 16, "fusion_hidden": 16,
        "pose": {"block_out_channels": (8, 8, 16, 16)},
    },
    autoencoder={
        "block_out_channels": (32, 32, 32, 32), "layers_per_block": 1, "norm_num_groups": 8,
        "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    },
    small={
        "encoder_block_out_channels": (8, 8, 8, 8), "decoder_block_out_channels": (8, 8, 8, 8),
        "num_decoder_blocks": (1, 1, 1, 1),
    },
    vision={
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
        "patch_size": 16, "projection_dim": 16,
    },
    encoder={
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
    },
    encoder_size=56,
)  # fmt: skip


class SmallDecoder(ModelMixin):
    """An autoencoder whose latents another, small decoder turns into frames."""

    def __init__(self, autoencoder: AutoencoderKL, small: AutoencoderTiny) -> None:
        super().__init__()
        self.autoencoder, self.small, self.config = autoencoder, small, autoencoder.config

    def encode(self, images: torch.Tensor) -> Any:
        return self.autoencoder.encode(images)

    def decode(self, latents: torch.Tensor) -> Any:
        return self.small.decode(latents)


@dataclass(frozen=True)
class Model:
    """Pipelines of the same parts.

    Attributes:
        square: with Stable Diffusion's own decoder.
        small: with a small decoder.
        narrow: with a small decoder, on a canvas that keeps the aspect of PHOENIX14T's frames.
    """

    square: SignGenPipeline
    small: SignGenPipeline
    narrow: SignGenPipeline

    def parameters(self) -> dict[str, int]:
        """How many parameters each part has."""
        whole = self.square
        parts = {"denoiser": whole.denoiser, "fusion": whole.fusion, "image encoder": whole.image_encoder}
        parts |= {"decoder": whole.vae.decoder, "small decoder": self.small.vae.small.decoder}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def build(sizes: Sizes, side: int, dtype: torch.dtype, device: torch.device, seed: int) -> Model:
    """The model for frames of ``side`` x ``side``, weights drawn from ``seed``."""
    torch.manual_seed(seed)
    parts: dict[str, nn.Module] = {
        "denoiser": _placed(Denoiser(**sizes.denoiser), dtype, device),
        "fusion": _placed(FusionModel(vision=sizes.vision), dtype, device),
        "image_encoder": _placed(Dinov2Model(Dinov2Config(**sizes.encoder)), dtype, device),
    }
    own = _placed(AutoencoderKL(latent_channels=4, **sizes.autoencoder), dtype, device)
    other = SmallDecoder(own, _placed(AutoencoderTiny(**sizes.small), dtype, device))
    square, narrow = (side, side), kept_aspect(side)
    pipelines = (
        SignGenPipeline(
            **parts, vae=vae, scheduler=DDPMScheduler(**SD_SCHEDULE), frame_size=size, window=1, overlap=0,
            image_encoder_size=sizes.encoder_size,
        ).prepared()
        for vae, size in ((own, square), (other, square), (other, narrow))
    )  # fmt: skip
    return Model(*pipelines)


def _placed(part: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """Awake, in its numbers and on its device; one part after the other, so that little float32 is held."""
    for parameter in part.parameters():  # layers that start at zero get small weights: each condition shall count
        if not parameter.detach().any():
            nn.init.normal_(parameter, std=0.02)
    return nn.Module.to(part, device, dtype)  # diffusers' own warns of parts that other models keep in float32


def kept_aspect(side: int) -> tuple[int, int]:
    """(W, H) of a canvas ``side`` high for frames of 210x260, whole latent cells: 512 -> 416x512."""
    return -(-round(side * 210 / 260) // 8) * 8, side
