"""The model of the phoenix14t presets in bfloat16: one step of training and one of rendering, on a CPU.

At tiny size always. At full size only where ``SIGNGEN_FULL_SIZE=1`` says so: 95 seconds of processor time and 7.6 GB of
memory at its peak, measured; nearly five minutes on two cores that others used as well.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from tiny_base_weights import CLIP, DENOISER, DINO, VAE
from tiny_pipeline import picture
from torch.nn import functional as F
from transformers import Dinov2Config, Dinov2Model

from signgen import config as configuration
from signgen.model import SignGenPipeline
from signgen.model.diffusion.parametrisation import add_noise, target_for
from signgen.model.networks.denoiser import Denoiser, draw_condition_dropout
from signgen.model.networks.fusion import FusionModel
from signgen.training.config import TrainConfig
from signgen.training.denoiser import SCHEDULE, DenoiserStep
from signgen.training.inputs import Inputs

PRESETS = Path(__file__).resolve().parent.parent / "signgen" / "presets" / "phoenix14t"
SD_VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
          "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}  # fmt: skip
DINO_L = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 518, "patch_size": 14}
LIMIT = 12 * 2**30  # bytes of memory at full size


class Size(NamedTuple):
    """Settings of the networks; (W, H) of frames on a canvas without bars; side that the image encoder reads."""

    denoiser: dict[str, Any]
    vae: dict[str, Any]
    clip: dict[str, Any] | None
    image_encoder: dict[str, Any]
    frame: tuple[int, int]
    square: int
    millions: int


def full_size() -> Size:
    preset = configuration.load(TrainConfig, PRESETS / "denoiser.yaml")
    return Size(preset.model, SD_VAE, None, DINO_L, (414, 512), preset.image_encoder_size, 870)


def tiny_size() -> Size:
    return Size(DENOISER, VAE, CLIP, DINO, (46, 64), 28, 0)


@pytest.fixture(
    params=[
        "tiny",
        pytest.param("full", marks=pytest.mark.skipif(
            os.environ.get("SIGNGEN_FULL_SIZE") != "1", reason="set SIGNGEN_FULL_SIZE=1: minutes, 8 GB")),
    ]
)  # fmt: skip
def size(request: pytest.FixtureRequest) -> Size:
    return full_size() if request.param == "full" else tiny_size()


def train_a_step(denoiser: Denoiser, size: Size) -> float:
    """One step of AdamW on a frame of noise, everything in bfloat16; returns the loss before it."""
    width, height = size.frame[0] // 8 + bool(size.frame[0] % 8), size.frame[1] // 8
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).bfloat16()

    scheduler, step = DDIMScheduler(**SCHEDULE), DenoiserStep(denoiser)
    tokens = (size.square // size.image_encoder["patch_size"]) ** 2 + 1
    clean, source, noised = (noise(1, 4, height, width) for _ in range(3))
    inputs = Inputs(
        clean, source[:, None], noise(1, 1, tokens, size.image_encoder["hidden_size"]),
        F.normalize(noise(1, denoiser.config.fusion_dim), dim=-1), noise(1, 3, 8 * height, 8 * width).sigmoid(),
        None, None,
    )  # fmt: skip
    timesteps = torch.tensor([600])
    drop = draw_condition_dropout(1, generator, (0.0, 0.0, 0.0), 0.0)
    optimizer = torch.optim.AdamW(step.parameters(), lr=1e-3, foreach=False)
    prediction = step(inputs, add_noise(scheduler, clean, noised, timesteps), timesteps, drop, 1)
    loss = F.mse_loss(prediction.float(), target_for(scheduler, clean, noised, timesteps).float())
    loss.backward()
    without = [name for name, parameter in step.named_parameters() if parameter.grad is None]
    assert without == [], "every part of the model takes part"
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def test_one_step_of_training_and_one_of_rendering(size: Size) -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(**size.denoiser).bfloat16()
    assert sum(parameter.numel() for parameter in denoiser.parameters()) // 10**6 == size.millions
    denoiser.set_attention("math")
    denoiser.enable_gradient_checkpointing()
    before = denoiser.unet.mid_block.resnets[0].conv1.weight.detach().clone()
    loss = train_a_step(denoiser.train(), size)
    assert np.isfinite(loss)
    after = denoiser.unet.mid_block.resnets[0].conv1.weight.detach()
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    denoiser.disable_gradient_checkpointing()
    pipeline = SignGenPipeline(
        vae=AutoencoderKL(**size.vae), denoiser=denoiser, scheduler=DDIMScheduler(**SCHEDULE),
        fusion=FusionModel(size.clip), image_encoder=Dinov2Model(Dinov2Config(**size.image_encoder)),
        frame_size=size.frame, image_encoder_size=size.square,
    ).to(torch.bfloat16).prepared()  # fmt: skip
    source = pipeline.encode_source(picture(size.frame))
    width, height = pipeline.canvas_size
    poses = np.random.default_rng(0).integers(0, 255, (1, height, width, 3), dtype=np.uint8)
    out = pipeline(source, poses, [0], num_inference_steps=1, guidance_scale=(2.0, 2.0))
    assert out.frames.shape == (1, size.frame[1], size.frame[0], 3)
    assert out.evaluations == 2
    assert torch.isfinite(out.latents).all()
    if size.millions:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < LIMIT
