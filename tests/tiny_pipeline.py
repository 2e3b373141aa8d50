"""A pipeline of a few thousand random weights, with every part that `mini` has, for tests that need one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler

from signgen.keypoints import Keypoints, read_keypoints
from signgen.model import SignGenPipeline
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.composer import FrameComposer, SourceMatte
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.model.networks.refiner import RegionRefiner
from signgen.package import EXAMPLES

FRAME = (42, 52)  # canvas 48x56, latents 6x7

VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 16, "projection_dim": 16,
}  # fmt: skip
DENOISER = {
    "channels": 16, "block_out_channels": [16, 16], "layers_per_block": 1, "attention": [False, True], "head_dim": 8,
    "norm_groups": 4, "cross_attention_dim": 16, "pose": {"block_out_channels": [16, 16], "unshuffle": 2},
    "source": {"semantic_dim": 16, "hidden": 16, "patch": 1, "positions": True}, "fusion_dim": 16, "fusion_hidden": 16,
    "image_level": True, "fill": "source",
    "cross_view": {"heads": 2, "groups": 4, "attentions": 1, "ff_mult": 0},
}  # fmt: skip
REFINER = {"side": 24, "widths": (8, 8, 8), "blocks": (1, 1, 1), "head": 4}
COMPOSING = {"widths": (8, 8, 8), "blocks": (1, 1)}
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
    "clip_sample": False, "set_alpha_to_one": True,
}  # fmt: skip


def make_pipeline(
    frame_size: tuple[int, int] = FRAME, refined: bool = False, composed: bool = False, **denoiser: object
) -> SignGenPipeline:
    """The pipeline, in float32, with refiners where it is to be ``refined`` and matte and composer where ``composed``;
    keywords change the denoiser.

    Layers that start at zero get random weights too: otherwise pose and views would change nothing.
    """
    torch.manual_seed(0)
    pipeline = SignGenPipeline(
        vae=FrameAutoencoder(widths=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1)),
        denoiser=Denoiser(**{**DENOISER, **denoiser}),
        scheduler=DDIMScheduler(**SCHEDULE),
        fusion=FusionModel(vision=VISION),
        frame_size=frame_size,
        window=4,
        overlap=1,
        hand_refiner=RegionRefiner(**REFINER) if refined else None,
        face_refiner=RegionRefiner(**REFINER) if refined else None,
        matte=SourceMatte(**COMPOSING) if composed else None,
        composer=FrameComposer(**COMPOSING) if composed else None,
    )
    pipeline.vae.scale.deviation.fill_(1.0)  # training sets it; 0 would hide every difference
    for parameter in pipeline.denoiser.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.2)
    for part in (pipeline.matte, pipeline.composer):
        if part is not None:
            torch.nn.init.normal_(part.net.out.weight, std=0.2)
    for refiner in pipeline.refiners.values():
        torch.nn.init.normal_(refiner.out.weight, std=0.2)
    return pipeline.prepared()


def save_pipeline(folder: Path, **changes: object) -> Path:
    """A folder that holds the pipeline."""
    make_pipeline(**changes).save_pretrained(folder)
    return folder


def signing(frames: int, size: tuple[int, int] = FRAME, fps: float = 25.0) -> Keypoints:
    """Someone with all points, hands going round."""
    rng = np.random.default_rng(0)
    xy = np.tile(rng.uniform(0.4, 0.6, (1, 133, 2)), (frames, 1, 1))
    xy[:, 0], xy[:, 5], xy[:, 6] = (0.52, 0.255), (0.73, 0.47), (0.31, 0.47)
    turn = np.arange(frames) / 7 * 2 * np.pi
    xy[:, 91:] += 0.15 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)[:, None]
    points = (xy * np.array(size)).astype(np.float32)
    confidence = np.full((frames, 133), 0.9, np.float32)
    return Keypoints(points, confidence, width=size[0], height=size[1], fps=fps, name="clip")


def weather(frames: int, size: tuple[int, int] = FRAME) -> Keypoints:
    """The first frames of an example: true hands, which a fit believes."""
    return read_keypoints(EXAMPLES / "weather.pose").keypoints[:frames].resized(*size)


def picture(size: tuple[int, int] = FRAME) -> np.ndarray:
    """uint8 (H, W, 3), a dark shape before a backdrop."""
    image = np.full((size[1], size[0], 3), 180, np.uint8)
    image[size[1] // 3 :, size[0] // 4 : -size[0] // 4] = (40, 35, 60)
    return image
