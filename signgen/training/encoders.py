"""The frozen encoders of training: semantic tokens of the source, and fusion embeddings of source and pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from signgen.base_weights import load_image_encoder
from signgen.errors import InputError
from signgen.models.denoiser import Denoiser
from signgen.models.fusion import FusionModel
from signgen.models.semantic import semantic_tokens
from signgen.training.config import TrainConfig


@dataclass
class FrozenEncoders:
    """What reads the source (and the pose) before the denoiser does, and is not trained with it.

    Attributes:
        fusion: the fusion model, or None where nothing asks it.
        image: makes the semantic tokens of the source (DINOv2); None: the fusion model's encoder does.
        size: side of the square that ``image`` reads.
        stored: tokens (L, D) by frame of the cache, made before; frames that it lacks are encoded when needed.
        want_semantic, want_fusion: what the denoiser takes; see `serve`.
    """

    fusion: FusionModel | None
    image: nn.Module | None = None
    size: int = 518
    stored: Mapping[int, np.ndarray] | None = None
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
            tokens = int(self.image.config.hidden_size)
        return tokens, None if own is None else own.projection_dim

    def semantic(self, indices: np.ndarray, images: Tensor) -> Tensor | None:
        """Tokens (B, L, D) of source frames ``indices`` (B,), whose pictures are ``images`` (B, 3, H, W)."""
        if not self.want_semantic:
            return None
        if self.image is None:
            return None if self.fusion is None else self.fusion.tokens(images).float()
        known = self.stored
        if known is not None and all(int(index) in known for index in indices):
            tokens = np.stack([np.asarray(known[int(index)], np.float32) for index in indices])
            return torch.from_numpy(tokens).to(images.device)
        return semantic_tokens(self.image, images, self.size).float()

    def fused(self, images: Tensor, pose: Tensor) -> Tensor | None:
        """Fusion embeddings (B * V, D) of sources (B, 3, H, W) in [-1, 1] and poses (B * V, 3, H, W) in [0, 1]."""
        if self.fusion is None or not self.want_fusion:
            return None
        e_source = self.fusion.encode(images).repeat_interleave(len(pose) // len(images), 0)
        return self.fusion.fuse(e_source, pose * 2 - 1).float()


def frozen_encoders(config: TrainConfig, device: torch.device) -> FrozenEncoders:
    """The encoders that ``start`` names, in eval mode: FPDM's release leaves the combiner's dropout on by mistake."""
    fusion = image = None
    if "fusion" in config.start:
        fusion = FusionModel.from_pretrained(config.start["fusion"]).to(device).eval().requires_grad_(False)
    if "image_encoder" in config.start:
        image = load_image_encoder(config.start["image_encoder"], config.allow_download).to(device)
    return FrozenEncoders(fusion, image, config.image_encoder_size)
