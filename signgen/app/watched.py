"""An engine that shows what it paints and stops when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from signgen.pipeline import SignGenPipeline
    from signgen.pipeline.engine import Engine


class Watched:
    """Another engine's computations, in between which ``check`` may raise.

    Args:
        engine: what computes.
        show: given the frames of each window, uint8 (N,H,W,3) of the model's canvas.
        check: called before each computation.
    """

    def __init__(self, engine: Engine, show: Callable[[np.ndarray], None], check: Callable[[], None]) -> None:
        self.engine, self._show, self._check = engine, show, check
        self.name, self.threads = engine.name, engine.threads

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        self._check()
        return self.engine.conditions(poses, embedding)

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> Tensor:
        self._check()
        return self.engine.denoise(noisy, timestep, given)

    def frames(self, latents: Tensor) -> np.ndarray:
        self._check()
        frames = self.engine.frames(latents)
        self._show(frames)
        return frames


@contextmanager
def watched(
    pipeline: SignGenPipeline, show: Callable[[np.ndarray], None], check: Callable[[], None]
) -> Iterator[SignGenPipeline]:
    """The pipeline with its engine watched inside the block; only one job may use it meanwhile."""
    before = pipeline.engine
    pipeline.engine = Watched(before, show, check)
    try:
        yield pipeline
    finally:
        pipeline.engine = before
