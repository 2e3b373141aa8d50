"""The fusion stage (FPDM stage 1): image encoder and Combiner, trained with InfoNCE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from signgen.dataset.batches import Batch, BatchMaker
from signgen.dataset.cache import FrameCache
from signgen.errors import Mismatch
from signgen.model.diffusion.losses import baseline_loss, source_enhanced_loss
from signgen.model.networks.fusion import FusionModel
from signgen.model.published_weights import load_clip
from signgen.training.config import LossConfig, TrainConfig
from signgen.training.stages import imported
from signgen.training.starts import stage_network
from signgen.training.task import Task, built, model_settings
from signgen.video.tensors import to_signed


class Triplet(nn.Module):
    """One forward pass for the three pictures of a triplet, so that a wrapper for several devices sees them all."""

    def __init__(self, fusion: FusionModel) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, source: Tensor, pose: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, 3, H, W) in [-1, 1] -> embeddings e_s, e_f, e_t, each (B, D)."""
        e_source, e_pose, e_target = self.fusion.encode(torch.cat((source, pose, target))).chunk(3)
        return e_source, self.fusion.combiner(e_source, e_pose), e_target


class FusionTask(Task):
    """Source-enhanced InfoNCE (eq. 6) or its baseline (eq. 3), frames near each other left out as negatives."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        self.fusion = self._model().to(device)
        self.trainable = Triplet(self.fusion)
        self.batches = BatchMaker(
            cache, config.batch, 1, config.canvas, config.disturbance, self.stage.batch, config.loss.per_clip,
            style=config.pose_style,
        )  # fmt: skip

    def _model(self) -> FusionModel:
        """A new model; with CLIP's image encoder, or as an earlier run left it, where ``start`` says so."""
        start, settings = self.config.start, self.config.model
        if "fusion" in start:
            return stage_network(FusionModel, start["fusion"]).train()
        if "clip" not in start:
            return built(FusionModel, settings)
        if "vision" in settings:
            raise Mismatch("model.vision", "got it beside start.clip", "CLIP's folder says what its encoder is like")
        with model_settings(settings, ("projection", "hidden", "dropout")):
            return load_clip(start["clip"], self.config.allow_download, **settings).train()

    def draw(self, rng: np.random.Generator, step: int = 0) -> Batch:
        return self.batches(rng)

    def loss(self, network: nn.Module, drawn: Batch) -> tuple[Tensor, dict[str, float]]:
        assert drawn.targets is not None
        windows, target = drawn.windows, drawn.windows.target[:, 0]
        pose = to_signed(drawn.poses[:, 0], self.device)
        embeddings = network(self.placed(drawn.sources[:, 0]), pose, self.placed(drawn.targets[:, 0]))
        e_source, e_fusion, e_target = (e.float() for e in embeddings)
        same_target, same_source = (self._same_scene(windows.clip, frames) for frames in (target, windows.source))
        loss = imported(self.stage.loss)(self.config.loss, e_target, e_fusion, e_source, same_target, same_source)
        with torch.no_grad():
            nearest = nn.functional.normalize(e_target, dim=-1) @ e_fusion.T
            hits = (nearest.argmax(1) == torch.arange(len(nearest), device=nearest.device)).float().mean()
        return loss, {"recall_at_1": float(hits)}

    def _same_scene(self, clip: np.ndarray, frames: np.ndarray) -> Tensor:
        """(B, B) bool: pairs of frames of one clip so close in time that they show nearly the same."""
        near = np.abs(frames[:, None] - frames) < self.config.loss.mask_near
        return torch.from_numpy((clip[:, None] == clip) & near)

    def sheet(self) -> np.ndarray | None:
        return None

    def save(self, folder: Path) -> None:
        self.fusion.save_pretrained(folder / "fusion")


def contrastive_loss(
    settings: LossConfig, targets: Tensor, fusion: Tensor, source: Tensor, same_target: Tensor, same_source: Tensor
) -> Tensor:
    """InfoNCE of embeddings (B, D), by the settings with the sources as hard negatives (FPDM eq. 6) or without (eq. 3).

    ``same_target``, ``same_source``: (B, B) bool, pairs that show nearly the same and are no negatives of each other.
    """
    if not settings.source_enhanced:
        return baseline_loss(targets, fusion, source, settings.temperature, settings.l1, same_target)
    return source_enhanced_loss(targets, fusion, source, settings.temperature, settings.l1, same_target, same_source)
