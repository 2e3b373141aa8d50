"""What the denoiser is given in training: latents of a window, its conditions, and crops of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from signgen.dataset.batches import Batch
from signgen.model.networks.conditions import ImageLevel
from signgen.training.encoders import FrozenEncoders
from signgen.training.task import Task, crop_batch

CELL = 8  # pixels of one latent cell
ROUGH = 0.15  # deviation of the noise on frames that count as rendered before: they are not the truth
GIVEN_BEFORE = 0.75  # share of windows that are given such frames; the others begin a clip


@dataclass(frozen=True)
class Inputs:
    """Everything the denoiser gets for N = B * V items; see `Denoiser`."""

    latents: Tensor
    source: Tensor
    semantic: Tensor | None
    fusion: Tensor | None
    pose: Tensor
    known: Tensor | None
    flag: Tensor | None
    crop: Tensor | None = None  # (N, 4) place of pose and latents in the frame where they are crops of it


class InputMaker:
    """Makes `Inputs` from batches.

    Args:
        task: says what the canvas is like.
        encoders: frozen encoders of source and pose.
        known: how many frames of a window may be given as rendered before.
    """

    def __init__(self, task: Task, encoders: FrozenEncoders, known: int) -> None:
        self.task, self.encoders, self.known = task, encoders, known

    def __call__(
        self, drawn: Batch, known_input: ImageLevel | None, generator: torch.Generator
    ) -> tuple[Inputs, int, Tensor]:
        """Conditions of a batch, the number of views of a window (source included), which are known (B, views)."""
        assert drawn.latents is not None
        assert drawn.source_latents is not None
        batch, length = drawn.windows.target.shape
        latents, source = self._floats(drawn.latents), self._floats(drawn.source_latents)
        poses = drawn.poses
        if length > 1:  # the source is the window's first view; its own pose is not part of the driving signal
            latents = torch.cat((source[:, None], latents), 1)
            poses = np.concatenate((np.zeros_like(poses[:, :1]), poses), 1)
        views = latents.shape[1]
        bits = self._known_bits(batch, views, drawn.rng)
        if known_input is None:  # a denoiser without image-level condition generates every view
            bits, known, flag = torch.zeros_like(bits), None, None
        else:
            known, flag = known_input.known_views(_roughen(latents, generator), bits, source)
        pose = self._pictures(poses.reshape(-1, *poses.shape[2:]))
        with torch.no_grad():
            images = self.task.placed(drawn.sources)
            semantic = self.encoders.semantic(images, drawn.tokens)
            fusion = self.encoders.fused(images, pose)
        return Inputs(latents.flatten(0, 1), source, semantic, fusion, pose, known, flag), views, bits

    def cut(self, inputs: Inputs, corners: np.ndarray, side: int) -> Inputs:
        """What belongs to places of the frame, cut out there; ``corners`` (N, 2) left and top, ``side`` in pixels."""
        parts = ("latents", "known", "flag")
        given = {name: getattr(inputs, name) for name in parts}
        small: dict[str, Any] = {
            name: None if value is None else crop_batch(value, corners // CELL, side // CELL)
            for name, value in given.items()
        }
        boxes = np.concatenate([corners, corners + side], 1) / np.tile(np.array(self.task.canvas), 2)  # (N, 4)
        crop = torch.from_numpy(boxes).float().to(self.task.device)
        return replace(inputs, pose=crop_batch(inputs.pose, corners, side), crop=crop, **small)

    def _pictures(self, images: np.ndarray) -> Tensor:
        """uint8 (N, H, W, 3) -> (N, 3, H, W) in [0, 1]."""
        moved = torch.from_numpy(images).to(self.task.device).permute(0, 3, 1, 2)
        return moved.float().div(255).contiguous(memory_format=torch.channels_last)

    def _floats(self, stored: np.ndarray) -> Tensor:
        return torch.from_numpy(stored.astype(np.float32)).to(self.task.device)

    def _known_bits(self, batch: int, views: int, rng: np.random.Generator) -> Tensor:
        """(B, views): the source, and mostly also the frames that were rendered before."""
        bits = np.zeros((batch, views), bool)
        if views > 1:
            bits[:, 0] = True
            bits[rng.random(batch) < GIVEN_BEFORE, 1 : 1 + self.known] = True
        return torch.from_numpy(bits).to(self.task.device)


def _roughen(latents: Tensor, generator: torch.Generator) -> Tensor:
    """(B, V, C, h, w) with noise on all views but the source."""
    if latents.shape[1] == 1:
        return latents
    noise = torch.randn(latents.shape, generator=generator, device=latents.device)
    return torch.cat((latents[:, :1], (latents + ROUGH * noise)[:, 1:]), 1)
