"""Folders in the layout of the hub with tiny random weights, in the place of CLIP, DINOv2 and Stable Diffusion 2.1."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

CLIP = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8, "projection_dim": 8}  # fmt: skip
DINO = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
UNET = {"in_channels": 4, "out_channels": 4, "block_out_channels": (16, 16), "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": (2, 2), "norm_num_groups": 8,
        "cross_attention_dim": 16, "use_linear_projection": True}  # fmt: skip
VAE = {"block_out_channels": (4, 4, 8, 8), "norm_num_groups": 4, "layers_per_block": 1,
       "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}  # fmt: skip
# What takes these weights: the presets' settings at this size.
DENOISER: dict[str, Any] = {
    "block_out_channels": [16, 16], "layers_per_block": 1, "attention": [True, False], "head_dim": 8, "norm_groups": 8,
    "cross_attention_dim": 16, "pose": {"block_out_channels": [4, 6, 8, 12]}, "fusion_dim": 8, "fusion_hidden": 8,
    "source": {"semantic_dim": 12, "hidden": 10},
}  # fmt: skip


def write_base_weights(folder: Path) -> dict[str, str]:
    """Writes them and returns where each lies, by the names that ``start`` of a configuration has for them."""
    torch.manual_seed(0)
    UNet2DConditionModel(**UNET).save_pretrained(folder / "sd21" / "unet")
    AutoencoderKL(**VAE).save_pretrained(folder / "sd21" / "vae")
    CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP)).save_pretrained(folder / "clip")
    Dinov2Model(Dinov2Config(**DINO)).save_pretrained(folder / "dino")
    return {
        "unet": str(folder / "sd21"),
        "vae": str(folder / "sd21"),
        "clip": str(folder / "clip"),
        "image_encoder": str(folder / "dino"),
    }


def to_hub_cache(folder: Path, cache: Path, hub_id: str) -> None:
    """Puts a folder into a hub cache as if it had been fetched as ``hub_id``."""
    place = cache / f"models--{hub_id.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / "0")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0")
