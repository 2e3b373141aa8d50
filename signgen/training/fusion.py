"""The fusion stage (FPDM stage 1): image encoder and Combiner, trained with InfoNCE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from signgen.data.cache import FrameCache
from signgen.data.pairs import draw_windows
from signgen.diffusion.losses import info_nce
from signgen.models.fusion import FusionModel
from signgen.pose_image import draw_points
from signgen.training.config import TrainConfig
from signgen.training.task import Task


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

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device) -> None:
        super().__init__(config, cache, device)
        self.fusion = FusionModel(**config.model).to(device)
        self.trainable = Triplet(self.fusion)

    def loss(self, network: nn.Module, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        windows = draw_windows(self.cache, self.config.batch, 1, rng, self.config.disturbance)
        target = windows.target[:, 0]
        embeddings = network(self.images(windows.source), self.poses(windows.keypoints[:, 0]), self.images(target))
        e_source, e_fusion, e_target = (e.float() for e in embeddings)
        same = torch.from_numpy(_same_scene(windows.clip, windows.source, target, self.config.loss.mask_near))
        loss = info_nce(
            e_target,
            e_fusion,
            e_source if self.config.loss.source_enhanced else None,
            temperature=self.config.loss.temperature,
            false_negatives=_mask(same, self.config.loss.source_enhanced).to(self.device),
        )
        with torch.no_grad():
            nearest = nn.functional.normalize(e_target, dim=-1) @ e_fusion.T
            hits = (nearest.argmax(1) == torch.arange(len(nearest), device=nearest.device)).float().mean()
        return loss, {"recall_at_1": float(hits)}

    def poses(self, keypoints: np.ndarray) -> Tensor:
        """(N, 133, 3) in frame pixels -> pose images (N, 3, H, W) in [-1, 1] on the canvas."""
        points = self.on_canvas(keypoints)
        images = torch.from_numpy(draw_points(points[..., :2], points[..., 2], self.canvas)).to(self.device)
        return images.permute(0, 3, 1, 2).float().div(127.5).sub(1)

    def sheet(self) -> np.ndarray | None:
        return None

    def save(self, folder: Path) -> None:
        self.fusion.save_pretrained(folder / "fusion")


def _same_scene(clip: np.ndarray, source: np.ndarray, target: np.ndarray, near: int) -> np.ndarray:
    """(2B, 2B) bool: rows and columns are targets, then sources; True where two frames show (nearly) the same."""
    clips, frames = np.tile(clip, 2), np.concatenate((target, source))
    return (clips[:, None] == clips) & (np.abs(frames[:, None] - frames) < near)


def _mask(same: Tensor, source_enhanced: bool) -> Tensor:
    """The pairs that are no negatives; the diagonal holds the positives and stays."""
    size = len(same) if source_enhanced else len(same) // 2
    return same[:size, :size] & ~torch.eye(size, dtype=torch.bool)
