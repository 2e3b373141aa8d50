"""All of a training step that needs no device: windows, decoded frames, pose images. Made ahead by `Prefetch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from signgen.data.cache import FrameCache
from signgen.data.disturbance import Disturbance
from signgen.data.pairs import Windows, draw_windows
from signgen.models.canvas import fit_canvas, fit_points, fitted_size
from signgen.pose_image.strokes import draw_clip


@dataclass(frozen=True)
class Batch:
    """What one step looks at.

    Attributes:
        windows: which frames, and their keypoints.
        sources: uint8 (B, H, W, 3), frames as the data set has them.
        targets: uint8 (B, V, H, W, 3), likewise, or None where latents stand for them.
        poses: uint8 (B, V, H', W', 3) on the canvas.
        rng: the step's generator after the windows were drawn, for everything else that is random in it.
    """

    windows: Windows
    sources: np.ndarray
    targets: np.ndarray | None
    poses: np.ndarray
    rng: np.random.Generator


@dataclass(frozen=True)
class BatchMaker:
    """Step -> `Batch`, the same for the same (seed, process, step), as the training loop draws them.

    Attributes:
        batch, views: windows, and frames of each. canvas: (W, H) or None, see `signgen.models.canvas`.
        targets: whether the frames of the windows are wanted.
    """

    cache: FrameCache
    batch: int
    views: int = 1
    canvas: Sequence[int] | None = None
    disturbance: Disturbance | None = None
    seed: int = 0
    process: int = 0
    targets: bool = True

    def __call__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, self.process, step, 0))
        windows = draw_windows(self.cache, self.batch, self.views, rng, self.disturbance)
        targets = self.cache.frames[windows.target] if self.targets else None
        return Batch(windows, self.cache.frames[windows.source], targets, self._poses(windows.keypoints), rng)

    def _poses(self, keypoints: np.ndarray) -> np.ndarray:
        width, height = self.cache.size
        left, right, top, bottom = fit_canvas(width, height, self.canvas).padding
        inner = fitted_size(width, height, self.canvas)
        size = inner[0] + left + right, inner[1] + top + bottom
        points = fit_points(keypoints.reshape(-1, 133, 3), width, height, self.canvas)
        images = draw_clip(points[..., :2], points[..., 2], size, size)
        return images.reshape(*keypoints.shape[:2], *images.shape[1:])
