"""The frozen encoders of training: semantic tokens of the source, and fusion embeddings of source and pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from signgen.base_weights import load_clip, load_image_encoder
from signgen.data.cache import FrameCache
from signgen.errors import InputError
from signgen.models.denoiser import Denoiser
from signgen.models.fusion import FusionModel
from signgen.models.semantic import semantic_tokens
from signgen.training.config import TrainConfig
from signgen.training.starts import stage_network
from signgen.training.tokens import TokenStore, token_key, token_store


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
                raise InputError(name, f"is {width}", advice)

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

    def fused(self, images: Tensor, pose: Tensor) -> Tensor | None:
        """Fusion embeddings (B * V, D) of sources (B, 3, H, W) in [-1, 1] and poses (B * V, 3, H, W) in [0, 1]."""
        if self.fusion is None or not self.want_fusion:
            return None
        e_source = self.fusion.encode(images).repeat_interleave(len(pose) // len(images), 0)
        return self.fusion.fuse(e_source, pose * 2 - 1).float()


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
        key = token_key(image, config.image_encoder_size, config.canvas, cache.size)
        stored = token_store(cache, folder, key)
    for encoder in (fusion, image):
        if encoder is not None:
            encoder.to(device).eval().requires_grad_(False)
    return FrozenEncoders(fusion, image, config.image_encoder_size, stored)
