"""The denoiser stage (FPDM stage 2) and the video stage (IMAGPose's views): one task, windows of 1 or more frames.

With a zero terminal SNR the last timestep's input is pure noise and the v-prediction there is minus the clean
latent: one step is a direct prediction. Items at that step (``last_step_share``) also carry the loss on pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from einops import rearrange
from torch import Tensor, nn

from signgen.config import check_keys
from signgen.dataset.batches import Batch, BatchMaker
from signgen.dataset.cache import FrameCache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.encoded import latent_store
from signgen.dataset.pairs import Windows, crop_centres, draw_windows, loss_weights
from signgen.dataset.shards import StoredArray
from signgen.errors import BadValue, Mismatch, Unsupported
from signgen.model.diffusion.losses import denoising_loss, min_snr_weights
from signgen.model.diffusion.parametrisation import add_noise, denoised_from, target_for
from signgen.model.guide import CHANNELS, POSE
from signgen.model.networks.canvas import fit_canvas
from signgen.model.networks.conditions import draw_mask_bits
from signgen.model.networks.denoiser import ConditionDrop, Denoiser, draw_condition_dropout
from signgen.model.published_weights import load_autoencoder, start_unet
from signgen.training.config import TrainConfig
from signgen.training.inputs import CELL, InputMaker, Inputs, frozen_encoders
from signgen.training.stages import imported
from signgen.training.starts import grow, restated, stage_network, stage_prediction
from signgen.training.task import (
    Task,
    built,
    crop_batch,
    crop_corners,
    gradient_l1,
    placed_frames,
    seeded,
    structural_loss,
    tile,
    to_uint8,
)

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


MIXED = 0.5  # share of steps with IMAGPose's views where masks are mixed
PIPELINE_FILE = "pipeline.json"  # beside the trained parts: what the pipeline that they become part of must know


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of N items.

    Attributes:
        latent: the weighted denoising loss, scalar.
        clean: (N, C, h, w) clean latents that the prediction amounts to.
        last: (N,) whether the picture of an item is held against the true one: it was at the last timestep.
        figures: for the log.
    """

    latent: Tensor
    clean: Tensor
    last: Tensor
    figures: dict[str, float]


def training_scheduler(config: TrainConfig, prediction: str) -> DDIMScheduler:
    """The noise schedule of a run, for a network that predicts ``prediction``."""
    check_keys("schedule", config.schedule, [key for key in SCHEDULE if key != "prediction_type"] + ["steps_offset"])
    return DDIMScheduler(**SCHEDULE | config.schedule | {"prediction_type": prediction})


class DenoiserStep(nn.Module):
    """Source encoding and denoising in one forward pass, which is what a wrapper for several devices needs."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self, inputs: Inputs, noisy: Tensor, timesteps: Tensor, drop: ConditionDrop | None, views: int
    ) -> Tensor:
        """noisy (N, C, h, w), timesteps (N,), what to drop per item -> prediction (N, C, h, w)."""
        encoder = self.denoiser.source_encoder
        semantic = None if inputs.semantic is None or encoder.semantic is None else inputs.semantic.flatten(0, 1)
        patches = None if encoder.patch is None else inputs.source.flatten(0, 1)
        tokens = self.denoiser.encode_source(semantic, patches)  # (B * S, L, D)
        tokens = rearrange(tokens, "(b s) l d -> b (s l) d", s=inputs.source.shape[1])
        fusion = None if self.denoiser.config.fusion_dim is None else inputs.fusion
        return self.denoiser(
            noisy, timesteps, pose=inputs.pose, crop=inputs.crop, tokens=tokens, fusion=fusion,
            known=inputs.known, flag=inputs.flag, views=views, drop=drop,
        )  # fmt: skip


def frozen_latents(
    config: TrainConfig, cache: FrameCache, folder: Path, device: torch.device, tell: Callable[[], None] = lambda: None
) -> tuple[Any, StoredArray]:
    """The frozen autoencoder of a denoiser's stage, and the latents of all frames, which are made where there are none.

    Args:
        tell: called from time to time while they are made.
    """
    start = config.start
    vae = load_autoencoder(start.get("vae") or start["autoencoder"], config.allow_download).to(device).eval()
    vae.requires_grad_(False).to(memory_format=torch.channels_last)

    def images(indices: np.ndarray) -> Tensor:
        return placed_frames(cache.frames[np.asarray(indices)], device, config.canvas)

    return vae, latent_store(cache, images, vae, folder, config.canvas, tell)


class DenoiserTask(Task):
    """Frozen autoencoder and fusion model, trained denoiser; ``views`` > 1 makes it the video stage.

    Where an item is evaluated, and what its prediction is held against, is the stage's loss: `Denoising` here,
    `signgen.training.distillation.Distillation` for a student.
    """

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        self._check_canvas()
        self._check_crops()
        self.vae, latents = frozen_latents(config, cache, folder, device)
        self.scheduler = training_scheduler(config, config.prediction)
        encoders = frozen_encoders(config, cache, folder, device)
        self.batches = BatchMaker(
            cache, config.batch, config.views, config.canvas, config.disturbance, self.stage.batch, latents=latents,
            tokens=encoders.known_tokens, told=config.source_poses, style=config.pose_style,
        )  # fmt: skip
        self.inputs = InputMaker(self, encoders, config.known)
        self.denoiser = self._denoiser().train().to(device, memory_format=torch.channels_last)
        encoders.serve(self.denoiser)
        self.batches = replace(self.batches, guides=self._guided())
        self.denoiser.set_attention("math" if device.type == "cpu" else "sdpa")
        self.trainable = DenoiserStep(self.denoiser)
        self.evaluate: Denoising = imported(self.stage.loss)(self)

    def _check_canvas(self) -> None:
        """A render pads a frame to multiples of 8 and not further, so a canvas may not be wider than that either."""
        width, height = inner = fit_canvas(*self.cache.size, self.config.canvas).inner
        wanted = width + -width % CELL, height + -height % CELL
        if tuple(self.canvas) != wanted:
            got = f"{self.canvas[0]}x{self.canvas[1]} leaves bars beside frames, which fill {inner[0]}x{inner[1]} of it"
            raise BadValue("canvas", got, f"give {list(wanted)}")

    def _check_crops(self) -> None:
        """Crops of the loss lie inside of the canvas."""
        loss = self.config.loss
        for name, used in (("crop", loss.pixel), ("zoom", loss.zooms)):
            side = getattr(loss, name)
            if used and side > min(self.canvas):
                most = min(self.canvas) // CELL * CELL
                raise BadValue(
                    f"loss.{name}",
                    f"got {side} for a canvas of {self.canvas[0]}x{self.canvas[1]}",
                    f"give {most} at most",
                )

    def _guided(self) -> bool:
        """Whether the denoiser reads guides, which are drawn at the size of the frames."""
        guide = (self.denoiser.config.pose or {}).get("guide", 0)
        if guide not in (0, CHANNELS):
            raise BadValue("model.pose.guide", f"got {guide}", f"give {CHANNELS}, or 0 for none")
        if guide and fit_canvas(*self.cache.size, self.config.canvas).inner != self.cache.size:
            raise Unsupported("canvas", "frames are scaled to it", "this model reads guides: leave canvas out")
        return bool(guide)

    def _denoiser(self) -> Denoiser:
        """A new denoiser, with a UNet of base weights where ``start`` names one; or an earlier stage's, changed as
        ``model`` says."""
        start = self.config.start
        if "denoiser" in start:
            if "unet" in start:
                raise Mismatch("start", "got unet and denoiser", "a denoiser has its UNet already: give one of them")
            known = stage_network(Denoiser, start["denoiser"]).to(self.device)
            self.batches = replace(self.batches, guides=bool((known.config.pose or {}).get("guide", 0)))
            grown = grow(known, self.config.model, self._evaluate_some)
            return restated(grown, stage_prediction(start["denoiser"]), self.config.prediction)
        denoiser = built(Denoiser, self.config.model)
        return start_unet(denoiser, start["unet"], self.config.allow_download) if "unet" in start else denoiser

    def _evaluate_some(self, denoiser: Denoiser) -> None:
        """Evaluates 32 frames at the last timestep."""
        rng = np.random.default_rng(0)
        for _ in range(4):
            drawn = self.batches.of(draw_windows(self.cache, 8, 1, rng), rng)
            inputs, views, _ = self.inputs(drawn, denoiser.known_input, seeded(rng, self.device))
            last = torch.full((8,), self.scheduler.config.num_train_timesteps - 1, device=self.device)
            noise = torch.randn(inputs.latents.shape, generator=seeded(rng, self.device), device=self.device)
            with torch.no_grad():
                DenoiserStep(denoiser)(inputs, noise, last, None, views)

    def draw(self, rng: np.random.Generator, step: int = 0) -> Batch:
        views, sources, masks = self.config.views_of(step), self.config.sources_of(step), self.config.masks
        if views > 1 and (masks == "imagpose" or (masks == "mixed" and rng.random() < MIXED)):
            # Of source and views, in any order: as many as one of IMAGPose's masks, all of which are as likely.
            known = int(draw_mask_bits(1, views + 1, seeded(rng, torch.device("cpu"))).sum())
            return self.batches(rng, views + 1 - known, known, unordered=True)
        return self.batches(rng, views, sources)

    def loss(self, network: nn.Module, drawn: Batch) -> tuple[Tensor, dict[str, float]]:
        total, figures = self._whole_loss(network, drawn)
        if not self.config.loss.zooms:
            return total, figures
        windows = draw_windows(self.cache, self.config.loss.zooms, 1, drawn.rng, self.config.disturbance)
        zoomed, more = self._zoom_loss(network, self.batches.of(windows, drawn.rng))
        return total + zoomed, figures | {f"zoom_{name}": value for name, value in more.items()}

    def _whole_loss(self, network: nn.Module, drawn: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss on whole frames, with a close look at parts of the decoded ones."""
        windows, rng = drawn.windows, drawn.rng
        generator = seeded(rng, self.device)
        inputs, views, bits = self.inputs(drawn, self.denoiser.known_input, generator)
        weights = self._weights(windows, views) * ~bits.flatten()[:, None, None]
        evaluated = self.evaluate(network, inputs, views, weights, rng, generator)
        if not self.config.loss.pixel:
            return self.config.loss.latent * evaluated.latent, evaluated.figures
        last = (evaluated.last & ~bits.flatten()).cpu().numpy()
        return self._sum(evaluated, self._pixel_loss(evaluated.clean, windows, views, last, rng))

    def _zoom_loss(self, network: nn.Module, drawn: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss on crops alone, which the network sees without the rest of the frame: several hands for the price
        of a frame. What lies near a crop's border lacks its surroundings and does not count."""
        windows, rng, loss = drawn.windows, drawn.rng, self.config.loss
        generator = seeded(rng, self.device)
        inputs, views, _ = self.inputs(drawn, self.denoiser.known_input, generator)
        weights = self._weights(windows, views)
        centres = crop_centres(self.on_canvas(windows.truth[:, 0]), 1, rng)
        corners = crop_corners(centres, self.canvas, loss.zoom, CELL, rng)
        inputs = self.inputs.cut(inputs, corners, loss.zoom)
        weights = crop_batch(weights[:, None], corners // CELL, loss.zoom // CELL)[:, 0]
        weights[:, [0, -1]] = 0
        weights[:, :, [0, -1]] = 0
        evaluated = self.evaluate(network, inputs, views, weights, rng, generator)
        items = np.flatnonzero(evaluated.last.cpu().numpy())
        if not loss.pixel or not len(items):
            return loss.latent * evaluated.latent + 0 * evaluated.clean.sum(), evaluated.figures
        wanted = crop_batch(self.images(windows.target[items, 0]), corners[items], loss.zoom)
        return self._sum(evaluated, self._compare(self.decode(evaluated.clean[items]), wanted, 2 * CELL))

    def _sum(self, evaluated: Evaluated, pixel: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Both terms with their weights, and the figures of both."""
        loss = self.config.loss
        figures = evaluated.figures | {"pixel": float(pixel.detach())}
        return loss.latent * evaluated.latent + loss.pixel * pixel, figures

    def _weights(self, windows: Windows, views: int) -> Tensor:
        """(N, h, w) from the undisturbed keypoints."""
        truth = windows.truth
        if views > truth.shape[1]:
            truth = np.pad(truth, ((0, 0), (views - truth.shape[1], 0), (0, 0), (0, 0)))
        points = self.on_canvas(truth.reshape(-1, 133, 3))
        weights = loss_weights(points, *self.canvas, CELL, self.config.loss.hand, self.config.loss.face)
        return torch.from_numpy(weights).to(self.device)

    def _pixel_loss(
        self, clean: Tensor, windows: Windows, views: int, allowed: np.ndarray, rng: np.random.Generator
    ) -> Tensor:
        """Decoded crops against the true frames: mostly at hands, else at the face or anywhere. A source is no frame
        of the window, so that it is not looked at, also where the denoiser paints it, as one without the image-level
        condition does."""
        offset = views - windows.target.shape[1]
        items = np.flatnonzero(allowed & (np.arange(len(allowed)) % views >= offset))
        if not len(items):
            return clean.sum() * 0
        loss = self.config.loss
        rows, columns = items // views, items % views - offset
        truth, frames = self.on_canvas(windows.truth[rows, columns]), self.images(windows.target[rows, columns])
        centres = crop_centres(truth, loss.crops, rng)  # one round after the other: (crops * items, 2)
        corners = crop_corners(centres, self.canvas, loss.crop, CELL, rng)
        cut = crop_batch(clean[np.tile(items, loss.crops)], corners // CELL, loss.crop // CELL)
        wanted = crop_batch(frames.repeat(loss.crops, 1, 1, 1), corners, loss.crop)
        decoded = self.decode(cut)
        return self._compare(decoded, wanted, CELL)

    def _compare(self, decoded: Tensor, wanted: Tensor, margin: int) -> Tensor:
        """Pixels, edges and, where the configuration says so, structure of (N, 3, H, W), without a margin in pixels."""
        pixel = gradient_l1(decoded, wanted, margin)
        share = self.config.loss.structure
        return pixel + share * structural_loss(decoded, wanted, margin) if share else pixel

    # -- progress and results --------------------------------------------------------------------------------------

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) as the denoiser has them -> frames (N, 3, H, W), about [-1, 1]."""
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample

    def undisturbed(self) -> Disturbance | None:
        """Keypoints as a render has them: as they are, but without legs where training never shows any."""
        return Disturbance(share=0.0, drop_legs=1.0) if self.config.disturbance.drop_legs >= 1 else None

    @contextmanager
    def as_rendered(self) -> Iterator[None]:
        """The denoiser without gradients and dropout."""
        was = self.denoiser.training
        self.denoiser.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.denoiser.train(was)

    def sheet(self) -> np.ndarray:
        """Rows: source, pose, truth, autoencoder, one step; a student's other numbers of steps.

        Always the same frames, so that sheets compare.
        """
        rng = np.random.default_rng(7)
        drawn = self.batches.of(draw_windows(self.cache, 8, 1, rng, self.undisturbed()), rng)
        with self.as_rendered():
            inputs, _, _ = self.inputs(drawn, self.denoiser.known_input, seeded(rng, self.device))
            noise = torch.randn(inputs.latents.shape, generator=seeded(rng, self.device), device=self.device)
            latents = [inputs.latents, *self.evaluate.rendered(inputs, noise)]
            poses = inputs.pose[:, :POSE] * 2 - 1
            rows = [self.images(drawn.windows.source), poses, self.images(drawn.windows.target[:, 0])]
            return tile([to_uint8(row) for row in (*rows, *map(self.decode, latents))])

    def save(self, folder: Path) -> None:
        self.denoiser.save_pretrained(folder / "denoiser")
        self.scheduler.save_pretrained(folder / "scheduler")
        content = json.dumps(self._geometry(), indent=2) + "\n"
        (folder / PIPELINE_FILE).write_text(content, encoding="utf-8")

    def _geometry(self) -> dict[str, Any]:
        """Settings of the pipeline that follow from what was trained on; `signgen assemble` reads them."""
        return {
            "frame_size": list(fit_canvas(*self.cache.size, self.config.canvas).inner),
            "lower_body": self.config.disturbance.drop_legs < 1,
            "image_encoder_size": self.config.image_encoder_size,
            "pose_style": self.config.pose_style,
            "source_poses": self.config.source_poses > 0,
            "guidance_rule": self.config.loss.guidance_rule,
        }


class Denoising:
    """The truth, noised to drawn timesteps, and what the network predicts there held against it (FPDM eq. 2 and 11)."""

    def __init__(self, task: DenoiserTask) -> None:
        self.task, self.scheduler, self.device = task, task.scheduler, task.device
        self.settings = task.config.loss

    def __call__(
        self,
        network: nn.Module,
        inputs: Inputs,
        views: int,
        weights: Tensor,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Evaluated:
        """One evaluation of N = B * ``views`` items and its loss; ``weights`` (N, h, w) say where it counts."""
        timesteps = self._timesteps(len(inputs.latents) // views, rng).repeat_interleave(views)  # as in rendering
        noise = torch.randn(inputs.latents.shape, generator=generator, device=self.device)
        if self.settings.noise_offset:
            offset = torch.randn(noise.shape[:2], generator=generator, device=self.device)[..., None, None]
            noise = noise + self.settings.noise_offset * offset
        noisy = add_noise(self.scheduler, inputs.latents, noise, timesteps)
        prediction = network(inputs, noisy, timesteps, self._drop(len(noisy), views, generator), views).float()
        target = target_for(self.scheduler, inputs.latents, noise, timesteps)
        gamma = self.settings.min_snr
        by_item = min_snr_weights(self.scheduler, timesteps, gamma) if gamma else None
        latent, plain = denoising_loss(prediction, target, weights, by_item)
        clean = denoised_from(self.scheduler, prediction, noisy, timesteps)
        return Evaluated(latent, clean, timesteps == self.noise_only, {"latent": float(plain)})

    @property
    def noise_only(self) -> int:
        """The timestep whose input is pure noise."""
        return self.scheduler.config.num_train_timesteps - 1

    def rendered(self, inputs: Inputs, noise: Tensor) -> list[Tensor]:
        """Clean latents (N, C, h, w) in one step from ``noise``, for a contact sheet."""
        timesteps = torch.full((len(noise),), self.noise_only, device=self.device)
        prediction = self.task.trainable(inputs, noise, timesteps, None, 1)
        return [denoised_from(self.scheduler, prediction, noise, timesteps)]

    def _timesteps(self, count: int, rng: np.random.Generator) -> Tensor:
        """(B,): the last one in ``last_step_share`` of the windows, else u ** ``late`` of them, u even in [0, 1)."""
        shares = rng.random(count) ** self.settings.late
        drawn = (shares * (self.noise_only + 1)).astype(np.int64).clip(0, self.noise_only)
        drawn[rng.random(count) < self.settings.last_step_share] = self.noise_only
        return torch.from_numpy(drawn).to(self.device)

    def _drop(self, count: int, views: int, generator: torch.Generator) -> ConditionDrop | None:
        """What each window goes without: guidance takes a condition from all views of a window together."""
        drop, null_share = self.settings.drop, self.settings.null_share
        if not drop and not null_share:
            return None
        drawn = draw_condition_dropout(count // views, generator, (drop,) * 3, null_share)
        if self.settings.guidance_rule == "imagpose":
            drawn = drawn._replace(pose=torch.zeros_like(drawn.pose))
        return ConditionDrop(*(gone.repeat_interleave(views) for gone in drawn))
