"""The denoiser stage (FPDM stage 2) and the video stage (IMAGPose's views): one task, windows of 1 or more frames.

With a zero terminal SNR the last timestep's input is pure noise and the v-prediction there is minus the clean
latent: one step is a direct prediction. Items at that step (``last_step_share``) also carry the loss on pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from signgen.data.cache import FrameCache
from signgen.data.pairs import Windows, crop_centres, draw_windows, loss_weights
from signgen.diffusion.parametrisation import add_noise, denoised_from, target_for
from signgen.models.autoencoder import FrameAutoencoder
from signgen.models.denoiser import ConditionDrop, Denoiser, draw_condition_dropout
from signgen.models.fusion import FusionModel
from signgen.pose_image.strokes import draw_clip
from signgen.training.config import TrainConfig
from signgen.training.latents import latent_store
from signgen.training.task import (
    Task,
    crop_batch,
    crop_corners,
    gradient_l1,
    seeded,
    structural_loss,
    tile,
    to_uint8,
)

CELL = 8  # pixels of one latent cell
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
}


@dataclass(frozen=True)
class Inputs:
    """Everything the denoiser gets for N = B * V items; see `Denoiser`."""

    latents: Tensor
    source: Tensor
    semantic: Tensor
    fusion: Tensor
    pose: Tensor
    known: Tensor
    flag: Tensor


class DenoiserStep(nn.Module):
    """Source encoding and denoising in one forward pass, which is what a wrapper for several devices needs."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self, inputs: Inputs, noisy: Tensor, timesteps: Tensor, drop: ConditionDrop | None, views: int
    ) -> Tensor:
        """noisy (N, C, h, w), timesteps (N,), what to drop per item -> prediction (N, C, h, w)."""
        tokens = self.denoiser.encode_source(inputs.semantic, inputs.source)  # (B, L, D)
        return self.denoiser(
            noisy, timesteps, pose=inputs.pose, tokens=tokens, fusion=inputs.fusion,
            known=inputs.known, flag=inputs.flag, views=views, drop=drop,
        )  # fmt: skip


class DenoiserTask(Task):
    """Frozen autoencoder and fusion model, trained denoiser; ``views`` > 1 makes it the video stage."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device)
        self.vae = FrameAutoencoder.from_pretrained(config.start["autoencoder"]).to(device).eval()
        self.vae.requires_grad_(False).to(memory_format=torch.channels_last)
        self.fusion = FusionModel.from_pretrained(config.start["fusion"]).to(device).eval().requires_grad_(False)
        self.denoiser = self._denoiser().to(device, memory_format=torch.channels_last)
        self.denoiser.set_attention("math" if device.type == "cpu" else "sdpa")
        self.trainable = DenoiserStep(self.denoiser)
        self.scheduler = DDIMScheduler(**SCHEDULE)
        self.latents = latent_store(cache, self.images, self.vae, folder)

    def _denoiser(self) -> Denoiser:
        """A new denoiser, with the weights of an earlier stage where ``start`` names one."""
        if "denoiser" not in self.config.start:
            return Denoiser(**self.config.model)
        return Denoiser.from_pretrained(self.config.start["denoiser"])

    def loss(self, network: nn.Module, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        windows = draw_windows(self.cache, self.config.batch, self.config.views, rng, self.config.disturbance)
        generator = seeded(rng, self.device)
        inputs, views, bits = self.inputs(windows, rng, generator)
        timesteps = self._timesteps(len(windows.source), rng).repeat_interleave(views)  # as a render samples a window
        noise = torch.randn(inputs.latents.shape, generator=generator, device=self.device)
        noisy = add_noise(self.scheduler, inputs.latents, noise, timesteps)
        prediction = network(inputs, noisy, timesteps, self._drop(len(noisy), generator), views).float()
        target = target_for(self.scheduler, inputs.latents, noise, timesteps)
        weights = self._weights(windows, views) * ~bits.flatten()[:, None, None]
        error = ((prediction - target) ** 2).mean(1)  # (N, h, w)
        latent = (error * weights).sum() / weights.sum()
        figures = {"latent": float(error.detach().mean())}
        if not self.config.loss.pixel:
            return self.config.loss.latent * latent, figures
        clean = denoised_from(self.scheduler, prediction, noisy, timesteps)
        last = (timesteps == self.scheduler.config.num_train_timesteps - 1) & ~bits.flatten()
        pixel = self._pixel_loss(clean, windows, views, last.cpu().numpy(), rng)
        figures["pixel"] = float(pixel.detach())
        return self.config.loss.latent * latent + self.config.loss.pixel * pixel, figures

    # -- inputs ----------------------------------------------------------------------------------------------------

    def inputs(
        self, windows: Windows, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Inputs, int, Tensor]:
        """Conditions of a batch, the number of views of a window (source included), and which are known (B, views)."""
        batch, length = windows.target.shape
        latents = self._stored(windows.target.ravel()).reshape(batch, length, *self.latents.shape[1:])
        source = self._stored(windows.source)
        keypoints = windows.keypoints
        if length > 1:  # the source is the window's first view; its own pose is not part of the driving signal
            latents = torch.cat((source[:, None], latents), 1)
            keypoints = np.concatenate((np.zeros_like(keypoints[:, :1]), keypoints), 1)
        views = latents.shape[1]
        bits = self._known_bits(batch, views, rng)
        known, flag = self.denoiser.known_input.known_views(self._roughen(latents, generator), bits, source)
        pose = self.poses(keypoints.reshape(-1, *keypoints.shape[2:]))
        with torch.no_grad():
            images = self.images(windows.source)
            semantic = self.fusion.tokens(images).float()
            e_source = self.fusion.encode(images).repeat_interleave(views, 0)
            fusion = self.fusion.fuse(e_source, pose * 2 - 1).float()
        return Inputs(latents.flatten(0, 1), source, semantic, fusion, pose, known, flag), views, bits

    def poses(self, keypoints: np.ndarray) -> Tensor:
        """(N, 133, 3) in frame pixels -> pose images (N, 3, H, W) in [0, 1] on the canvas."""
        points = self.on_canvas(keypoints)
        images = torch.from_numpy(draw_clip(points[..., :2], points[..., 2], self.canvas, self.canvas)).to(self.device)
        return images.permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=torch.channels_last)

    def _stored(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(self.latents[indices].astype(np.float32)).to(self.device)

    def _known_bits(self, batch: int, views: int, rng: np.random.Generator) -> Tensor:
        """(B, views): the source, and in three windows of four also the frames that were rendered before."""
        bits = np.zeros((batch, views), bool)
        if views > 1:
            bits[:, 0] = True
            bits[rng.random(batch) < 0.75, 1 : 1 + self.config.known] = True
        return torch.from_numpy(bits).to(self.device)

    def _roughen(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """Frames already rendered are not the truth; a little noise on the known views says so in training."""
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        rough = latents + 0.15 * noise
        return torch.cat((latents[:, :1], rough[:, 1:]), 1) if latents.shape[1] > 1 else latents

    # -- the loss --------------------------------------------------------------------------------------------------

    def _timesteps(self, count: int, rng: np.random.Generator) -> Tensor:
        """(B,): the last one in ``last_step_share`` of the windows, else late ones more often (u ** 0.7)."""
        steps = self.scheduler.config.num_train_timesteps
        drawn = (rng.random(count) ** 0.7 * steps).astype(np.int64).clip(0, steps - 1)
        drawn[rng.random(count) < self.config.loss.last_step_share] = steps - 1
        return torch.from_numpy(drawn).to(self.device)

    def _drop(self, count: int, generator: torch.Generator) -> ConditionDrop | None:
        rates = (self.config.loss.drop,) * 3
        shares = (self.config.loss.drop, self.config.loss.null_share)
        return draw_condition_dropout(count, generator, rates, self.config.loss.null_share) if any(shares) else None

    def _weights(self, windows: Windows, views: int) -> Tensor:
        """(N, h, w) from the undisturbed keypoints."""
        truth = windows.truth
        if views > truth.shape[1]:
            truth = np.concatenate((np.zeros_like(truth[:, :1]), truth), 1)
        points = self.on_canvas(truth.reshape(-1, 133, 3))
        weights = loss_weights(points, *self.canvas, CELL, self.config.loss.hand, self.config.loss.face)
        return torch.from_numpy(weights).to(self.device)

    def _pixel_loss(
        self, clean: Tensor, windows: Windows, views: int, allowed: np.ndarray, rng: np.random.Generator
    ) -> Tensor:
        """Decoded crops against the true frames: mostly at hands, else at the face or anywhere."""
        offset = views - windows.target.shape[1]
        items = np.flatnonzero(allowed)
        if not len(items):
            return clean.sum() * 0
        loss = self.config.loss
        rows, columns = items // views, items % views - offset
        truth, frames = self.on_canvas(windows.truth[rows, columns]), self.images(windows.target[rows, columns])
        centres = crop_centres(truth, loss.crops, rng)  # one round after the other: (crops * items, 2)
        corners = crop_corners(centres, self.canvas, loss.crop, CELL, rng)
        cut = crop_batch(clean[np.tile(items, loss.crops)], corners // CELL, loss.crop // CELL)
        wanted = crop_batch(frames.repeat(loss.crops, 1, 1, 1), corners, loss.crop)
        decoded = self.vae.decode(cut).sample
        pixel = gradient_l1(decoded, wanted, margin=CELL)
        return pixel + loss.structure * structural_loss(decoded, wanted, margin=CELL) if loss.structure else pixel

    # -- progress and results --------------------------------------------------------------------------------------

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: source, pose, truth, autoencoder, one step. Always the same frames, so that sheets compare."""
        rng = np.random.default_rng(7)
        windows = draw_windows(self.cache, 8, 1, rng)
        was = self.denoiser.training
        self.denoiser.eval()
        inputs, _, _ = self.inputs(windows, rng, seeded(rng, self.device))
        timesteps = torch.full((len(inputs.latents),), self.scheduler.config.num_train_timesteps - 1)
        noisy = torch.randn(inputs.latents.shape, generator=seeded(rng, self.device), device=self.device)
        timesteps = timesteps.to(self.device)
        prediction = self.trainable(inputs, noisy, timesteps, None, 1)
        clean = denoised_from(self.scheduler, prediction, noisy, timesteps)
        self.denoiser.train(was)
        rows = [self.images(windows.source), inputs.pose * 2 - 1, self.images(windows.target[:, 0])]
        rows += [self.vae.decode(inputs.latents).sample, self.vae.decode(clean).sample]
        return tile([to_uint8(row) for row in rows])

    def save(self, folder: Path) -> None:
        self.denoiser.save_pretrained(folder / "denoiser")
        self.scheduler.save_pretrained(folder / "scheduler")
