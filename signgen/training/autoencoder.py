"""The autoencoder stage: frames to latents and back, on crops that favour hands and face."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from signgen.dataset.cache import FrameCache
from signgen.dataset.pairs import hand_centres
from signgen.errors import Mismatch, Unsupported
from signgen.keypoints.skeleton import NOSE
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.training.config import TrainConfig
from signgen.training.stages import imported
from signgen.training.starts import stage_network
from signgen.training.task import Task, built, crop_batch, crop_corners, gradient_l1, tile, to_uint8

CROP = 128
LATENT_NOISE = 0.05  # the denoiser's predictions are off by more; the decoder must not amplify them


class Crops(NamedTuple):
    """Frames uint8 (B, H, W, 3), and (B, 2) left and top of a crop of each, on the canvas."""

    frames: np.ndarray
    corners: np.ndarray


class AutoencoderTask(Task):
    """Reconstruction at three scales; the latent's batch norm gathers its statistics on the way."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        if min(self.canvas) < CROP:
            got = f"frames of {cache.size[0]}x{cache.size[1]}"
            raise Unsupported(config.data, got, f"this stage trains on crops of {CROP} pixels: draw larger frames")
        self.autoencoder = built(FrameAutoencoder, config.model)
        if "autoencoder" in config.start:
            _keep_latents(self.autoencoder, config.start["autoencoder"])  # so what was trained on them still fits
            self.autoencoder.encoder.requires_grad_(True)
        elif "encoder" in config.start:
            _keep_latents(self.autoencoder, config.start["encoder"])
        self.trainable = self.autoencoder.to(device, memory_format=torch.channels_last)

    def draw(self, rng: np.random.Generator, step: int = 0) -> Crops:
        indices = rng.integers(len(self.cache.frames), size=self.config.batch)
        corners = crop_corners(self._centres(indices, rng), self.canvas, CROP, 8, rng)
        return Crops(self.cache.frames[indices], corners)

    def loss(self, network: nn.Module, drawn: Crops) -> tuple[Tensor, dict[str, float]]:
        images = crop_batch(self.placed(drawn.frames), drawn.corners, CROP)
        output = network(images, LATENT_NOISE)
        return imported(self.stage.loss)(output, images), {"l1": float((output.detach() - images).abs().mean())}

    def _centres(self, indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, 2): 55 % at a hand, 20 % at the face, the rest anywhere."""
        keypoints = self.on_canvas(self.cache.keypoints[indices])
        hands = hand_centres(keypoints)
        centres = rng.random((len(indices), 2)) * self.canvas
        kind, side = rng.random(len(indices)), rng.integers(2, size=len(indices))
        for i in range(len(indices)):
            if kind[i] < 0.55 and hands[i, side[i], 2]:
                centres[i] = hands[i, side[i], :2]
            elif 0.55 <= kind[i] < 0.75:
                centres[i] = keypoints[i, NOSE, :2]
        return centres

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        images = self.images(np.linspace(0, len(self.cache.frames) - 1, 8).astype(int))
        self.trainable.eval()
        output = self.trainable(images)
        self.trainable.train()
        return tile([to_uint8(images), to_uint8(output)])

    def save(self, folder: Path) -> None:
        self.autoencoder.save_pretrained(folder / "vae")


def _keep_latents(autoencoder: FrameAutoencoder, folder: str) -> None:
    """Takes encoder and latent scale from ``folder`` and freezes them: a decoder of the same latents trains.

    The decoder comes from ``folder`` too where it has the same shape.
    """
    known = stage_network(FrameAutoencoder, folder)
    if _encoder(known) != _encoder(autoencoder):
        got = f"an encoder of widths, blocks, channels and fold {_encoder(known)}"
        raise Mismatch(folder, got, f"the configuration's model has {_encoder(autoencoder)}: both must be alike")
    for name in ("encoder", "scale"):
        getattr(autoencoder, name).load_state_dict(getattr(known, name).state_dict())
    autoencoder.encoder.requires_grad_(False)
    autoencoder.scale.momentum = 0.0
    if _decoder(known) == _decoder(autoencoder):
        autoencoder.decoder.load_state_dict(known.decoder.state_dict())


def _encoder(autoencoder: FrameAutoencoder) -> tuple[list[int], list[int], int, int]:
    """What an encoder's shape depends on."""
    settings = autoencoder.config
    return list(settings.widths), list(settings.encoder_blocks), settings.latent_channels, settings.fold


def _decoder(autoencoder: FrameAutoencoder) -> tuple[list[int], list[int]]:
    """What a decoder's shape depends on."""
    settings = autoencoder.config
    return list(settings.decoder_widths or settings.widths), list(settings.decoder_blocks)


def reconstruction_loss(output: Tensor, images: Tensor) -> Tensor:
    """L1 of pixels and of their differences (N, 3, H, W), at full, half and quarter size; scalar."""
    scales = (gradient_l1(_shrink(output, scale), _shrink(images, scale)) for scale in (1, 2, 4))
    return sum(scales, images.new_zeros(())) / 3


def _shrink(images: Tensor, factor: int) -> Tensor:
    return images if factor == 1 else F.avg_pool2d(images, factor)
