"""What the denoiser is given in training: latents of a window, and what frozen encoders say of source and pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from signgen.dataset.batches import Batch
from signgen.dataset.cache import FrameCache
from signgen.dataset.encoded import TokenStore, token_store, tokens_name
from signgen.errors import Mismatch
from signgen.model.guide import POSE
from signgen.model.networks.conditions import ImageLevel
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel, semantic_tokens
from signgen.model.published_weights import load_clip, load_image_encoder
from signgen.training.config import TrainConfig
from signgen.training.starts import stage_network
from signgen.training.task import Task, crop_batch
from signgen.video.tensors import to_unit

CELL = 8  # pixels of one latent cell
ROUGH = 0.15  # deviation of the noise on frames that count as rendered before: they are not the truth
GIVEN_BEFORE = 0.75  # share of windows that are given such frames; the others begin a clip


@dataclass
class FrozenEncoders:
    """What reads the source (and the pose) before the denoiser does, and is not trained with it.

    Attributes:
        fusion: the fusion model, or None where nothing asks it.
        image: makes the semantic tokens of the source (DINOv2); None: the fusion model's encoder does.
        size: side of the square that ``image`` reads.
        stored: tokens of source frames that were made before; a batch that it lacks is encoded when needed.
        want_semantic, want_fusion: what the denoiser takes; see `serve`.
    """

    fusion: FusionModel | None
    image: nn.Module | None = None
    size: int = 518
    stored: TokenStore | None = None
    want_semantic: bool = True
    want_fusion: bool = True

    def serve(self, denoiser: Denoiser) -> None:
        """Makes no more than ``denoiser`` takes.

        Raises:
            InputError: it takes what no encoder makes, or in another width.
        """
        self.want_semantic = denoiser.source_encoder.semantic is not None
        self.want_fusion = denoiser.config.fusion_dim is not None
        source = denoiser.config.source or {"semantic_dim": 1024}  # the denoiser's own default
        wanted = {
            "model.source.semantic_dim": source.get("semantic_dim"),
            "model.fusion_dim": denoiser.config.fusion_dim,
        }
        for (name, width), made in zip(wanted.items(), self.widths(), strict=True):
            if width is not None and width != made:
                advice = (
                    "name an encoder in start that makes it" if made is None else f"the encoder in start makes {made}"
                )
                raise Mismatch(name, f"is {width}", advice)

    def widths(self) -> tuple[int | None, int | None]:
        """Of semantic tokens and of fusion embeddings; None where nothing makes them."""
        own = None if self.fusion is None else self.fusion.encoder.settings
        tokens = None if own is None else own.hidden_size
        if self.image is not None:
            settings: Any = self.image.config
            tokens = int(settings.hidden_size)
        return tokens, None if own is None else own.projection_dim

    def known_tokens(self, sources: np.ndarray) -> np.ndarray | None:
        """Tokens float16 (B, L, D) of source frames (B,), where all of them were made before and are wanted."""
        return self.stored.take(sources) if self.stored is not None and self.want_semantic else None

    def semantic(self, images: Tensor, known: np.ndarray | None = None) -> Tensor | None:
        """Tokens (B, L, D) of sources (B, 3, H, W), or ``known`` ones as `known_tokens` gives them."""
        if not self.want_semantic:
            return None
        if self.image is None:
            return None if self.fusion is None else self.fusion.tokens(images).float()
        if known is not None:
            return torch.from_numpy(known.astype(np.float32)).to(images.device)
        return semantic_tokens(self.image, images, self.size).float()

    def fused(self, images: Tensor, count: int, pose: Tensor) -> Tensor | None:
        """Fusion embeddings (B * V, D) of S = ``count`` sources each, (B * S, 3, H, W) in [-1, 1], whose mean is taken,
        and poses (B * V, 3 or more, H, W) in [0, 1]."""
        if self.fusion is None or not self.want_fusion:
            return None
        e_source = self.fusion.encode(images).unflatten(0, (-1, count)).mean(1)  # (B, D)
        e_source = e_source.repeat_interleave(len(pose) // len(e_source), 0)
        return self.fusion.fuse(e_source, pose[:, :POSE] * 2 - 1).float()


def frozen_encoders(config: TrainConfig, cache: FrameCache, folder: Path, device: torch.device) -> FrozenEncoders:
    """The encoders that ``start`` names, in eval mode: FPDM's release leaves the combiner's dropout on by mistake.

    Args:
        cache, folder: the frames, and where tokens of them may lie.
    """
    fusion = image = stored = None
    if "fusion" in config.start:
        fusion = stage_network(FusionModel, config.start["fusion"])
    elif "clip" in config.start:  # FPDM's ablation without a fusion model: B1's tokens, B4's embedding of the source
        fusion = load_clip(config.start["clip"], config.allow_download, combine=False)
    if "image_encoder" in config.start:
        image = load_image_encoder(config.start["image_encoder"], config.allow_download)
        name = tokens_name(image, config.image_encoder_size, config.canvas, cache.size)
        stored = token_store(cache, folder / name)
    for encoder in (fusion, image):
        if encoder is not None:
            encoder.to(device).eval().requires_grad_(False)
    return FrozenEncoders(fusion, image, config.image_encoder_size, stored)


@dataclass(frozen=True)
class Inputs:
    """Everything the denoiser gets for N = B * V items; see `Denoiser`.

    Of the S sources of each window: ``source`` (B, S, C, h, w), ``semantic`` (B, S, L, D).
    """

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
        latents, sources = self._floats(drawn.latents), self._floats(drawn.source_latents)  # (B, V or S, C, h, w)
        poses, count = drawn.poses, sources.shape[1]
        if length > 1 or count > 1:  # sources are the window's first views
            latents = torch.cat((sources, latents), 1)
            poses = np.concatenate((drawn.source_poses, poses), 1)
        views = latents.shape[1]
        bits = self._known_bits(batch, views, count, drawn)
        if known_input is None:  # a denoiser without image-level condition generates every view
            bits, known, flag = torch.zeros_like(bits), None, None
        else:
            known, flag = known_input.known_views(_roughen(latents, count, generator), bits, sources[:, 0])
        pose = to_unit(poses.reshape(-1, *poses.shape[2:]), self.task.device)  # (N, 3 [+ guides], H, W)
        pose = pose.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            images = self.task.placed(drawn.sources.reshape(-1, *drawn.sources.shape[2:]))  # (B * S, 3, H, W)
            semantic = self.encoders.semantic(images, drawn.tokens)
            semantic = None if semantic is None else semantic.unflatten(0, (batch, count))
            fusion = self.encoders.fused(images, count, pose)
        return Inputs(latents.flatten(0, 1), sources, semantic, fusion, pose, known, flag), views, bits

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

    def _floats(self, stored: np.ndarray) -> Tensor:
        return torch.from_numpy(stored.astype(np.float32)).to(self.task.device)

    def _known_bits(self, batch: int, views: int, count: int, drawn: Batch) -> Tensor:
        """(B, views): the ``count`` sources, and in most windows also the frames that were rendered before; the last
        one never is, for something is to be painted."""
        bits = np.zeros((batch, views), bool)
        if views > 1:
            bits[:, :count] = True
            if not drawn.unordered:
                bits[drawn.rng.random(batch) < GIVEN_BEFORE, count : min(count + self.known, views - 1)] = True
        return torch.from_numpy(bits).to(self.task.device)


def _roughen(latents: Tensor, sources: int, generator: torch.Generator) -> Tensor:
    """(B, V, C, h, w) with noise on all views but the first, the sources."""
    if latents.shape[1] == 1:
        return latents
    noise = torch.randn(latents.shape, generator=generator, device=latents.device)
    return torch.cat((latents[:, :sources], (latents + ROUGH * noise)[:, sources:]), 1)
