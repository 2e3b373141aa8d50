"""What goes into one window and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput
from torch import Tensor

from signgen.model.networks.cross_view import ViewMemory


@dataclass(frozen=True)
class SourceConditions:
    """All that depends on the source alone, made once for a clip.

    Attributes:
        latents: float32 (S, C, h, w), of the S source pictures.
        tokens: (1, S * L, D) of them for cross-attention.
        embedding: (1, De), the mean of the sources' halves of the fusion embedding, or None where none is taken.
        poses: uint8 (S, H', W', 3), their own, black where unknown; None: of none.
    """

    latents: Tensor
    tokens: Tensor
    embedding: Tensor | None
    poses: np.ndarray | None = None

    def to(self, device: torch.device, dtype: torch.dtype) -> SourceConditions:
        """The same for a pipeline that was moved since.

        The tokens keep their numbers, and stay the very same tensor where they can: what is kept for them stays valid.
        """
        embedding = None if self.embedding is None else self.embedding.to(device, dtype)
        return replace(self, latents=self.latents.to(device), tokens=self.tokens.to(device), embedding=embedding)


@dataclass(frozen=True)
class Backdrop:
    """What is behind a source person.

    Attributes:
        plate: float32 (1, 3, H', W') in [-1, 1], the canvas without them.
        matte: uint8 (H, W), how far the picture's pixels are the person.
    """

    plate: Tensor
    matte: np.ndarray


@dataclass(frozen=True)
class WindowConditions:
    """What one window's denoising sees, V views in succession: sources, frames already rendered or given, new ones.

    Attributes:
        pose_features: (V, C0, h, w).
        tokens: (1, L, D).
        fusion: (V, De), or None.
        known, flag: (V, C, h, w) and (V, 1, h, w) of the image-level condition, or None.
        clean: float32 (V, C, h, w), latents of the views that are known; elsewhere of no meaning.
        bits: bool (V,), which views are known.
        past: views of earlier windows that these see, too, and where they are kept.
    """

    pose_features: Tensor
    tokens: Tensor
    fusion: Tensor | None
    known: Tensor | None
    flag: Tensor | None
    clean: Tensor
    bits: Tensor
    past: ViewMemory | None = None

    def branch(self, name: str, rule: str = "fpdm") -> dict[str, Any]:
        """Arguments of the denoiser for one branch of guidance, ``null``, ``source`` or ``full``, by a rule of
        `signgen.model.diffusion.guidance`."""
        given: dict[str, Any] = {"known": self.known, "flag": self.flag}
        if name != "null" or rule == "imagpose":
            given["pose_features"] = self.pose_features
        if name != "null":
            given["tokens"] = self.tokens
        if name == "full":
            given["fusion"] = self.fusion
        if self.past is not None:
            given["past"] = self.past
        return given


@dataclass
class WindowOutput(BaseOutput):
    """What `SignGenPipeline.__call__` returns.

    Attributes:
        frames: uint8 (N, H, W, 3), the new frames; none where they are not decoded.
        latents: float32 (N, C, h, w), theirs, to be given as known latents to the next window.
        evaluations: evaluations of the denoiser, each of one view.
    """

    frames: np.ndarray
    latents: Tensor
    evaluations: int
