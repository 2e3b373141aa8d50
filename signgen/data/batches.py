"""All of a training step that needs no device: windows, decoded frames, pose images, what was encoded before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from signgen.data.cache import FrameCache
from signgen.data.disturbance import Disturbance
from signgen.data.pairs import Windows, draw_windows
from signgen.data.rows import Rows
from signgen.models.canvas import canvas_size, fit_points
from signgen.pose_image.strokes import draw_clip


@dataclass(frozen=True)
class Batch:
    """What one step looks at.

    Attributes:
        windows: which frames, and their keypoints.
        sources: uint8 (B, H, W, 3), frames as the data set has them.
        targets: uint8 (B, V, H, W, 3), likewise, or None where latents stand for them.
        poses: uint8 (B, V, H', W', 3) on the canvas.
        source_latents, latents: float16 (B, C, h, w) and (B, V, C, h, w) of sources and targets, or None.
        tokens: float16 (B, L, D) of the sources, or None where they were not all made before.
        rng: the step's generator after the windows were drawn, for everything else that is random in it.
    """

    windows: Windows
    sources: np.ndarray
    targets: np.ndarray | None
    poses: np.ndarray
    source_latents: np.ndarray | None
    latents: np.ndarray | None
    tokens: np.ndarray | None
    rng: np.random.Generator


@dataclass(frozen=True)
class BatchMaker:
    """A generator -> `Batch`. What is random in it comes from the generator alone, so any thread may make it.

    Attributes:
        batch, views: windows, and frames of each. canvas: (W, H) or None, see `signgen.models.canvas`.
        targets: whether the frames of the windows are wanted. per_clip: windows of a batch that are of one clip.
        latents: of all frames, (N, C, h, w), where they are wanted.
        tokens: sources (B,) -> (B, L, D) or None, where they are wanted.
    """

    cache: FrameCache
    batch: int
    views: int = 1
    canvas: Sequence[int] | None = None
    disturbance: Disturbance | None = None
    targets: bool = True
    per_clip: int = 1
    latents: Rows | None = None
    tokens: Callable[[np.ndarray], np.ndarray | None] | None = None

    def __call__(self, rng: np.random.Generator, views: int | None = None) -> Batch:
        """``views``: of this batch, where they are others than usual."""
        views = views or self.views
        return self.of(draw_windows(self.cache, self.batch, views, rng, self.disturbance, self.per_clip), rng)

    def of(self, windows: Windows, rng: np.random.Generator) -> Batch:
        """The batch of given windows."""
        stored = self.latents
        return Batch(
            windows,
            self.cache.frames[windows.source],
            self.cache.frames[windows.target] if self.targets else None,
            self._poses(windows.keypoints),
            None if stored is None else stored[windows.source],
            None if stored is None else stored[windows.target],
            None if self.tokens is None else self.tokens(windows.source),
            rng,
        )

    def _poses(self, keypoints: np.ndarray) -> np.ndarray:
        width, height = self.cache.size
        size = canvas_size(width, height, self.canvas)
        points = fit_points(keypoints.reshape(-1, 133, 3), width, height, self.canvas)
        images = draw_clip(points[..., :2], points[..., 2], size, size)
        return images.reshape(*keypoints.shape[:2], *images.shape[1:])
