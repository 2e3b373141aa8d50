"""A data set as a model paints it, made before the first step of the stages that learn to mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from signgen.dataset.cache import FrameCache
from signgen.dataset.coarse import compose_coarse, composes, render_coarse
from signgen.processes import cores
from signgen.training.config import TrainConfig
from signgen.training.logbook import LOG

TOLD = 20  # clips after which the log says how far it is


def painted_clips(
    config: TrainConfig, cache: FrameCache, folder: Path, device: torch.device, tell: Callable[[], None] | None = None
) -> Path:
    """The folder of all clips as ``start.model`` paints them; those that are not there yet are rendered.

    ``tell`` is called after each clip.
    """
    said = progress("rendered", len(cache.clips), tell)
    made = cache, folder, config.start["model"], config.seed, config.disturbance
    return render_coarse(*made, processes(device), said)


def composed_clips(
    config: TrainConfig, cache: FrameCache, folder: Path, device: torch.device, tell: Callable[[], None] | None = None
) -> Path:
    """As `painted_clips`, before the source's backdrop where ``start.model`` composes: what refiners see of a model."""
    painted, model = painted_clips(config, cache, folder, device, tell), config.start["model"]
    if not composes(model):
        return painted
    said = progress("composed", len(cache.clips), tell)
    return compose_coarse(cache, folder, painted, model, processes(device), said)


def processes(device: torch.device) -> int:
    """How many processes prepare clips."""
    return 1 if device.type == "cuda" else cores()


def progress(done: str, clips: int, tell: Callable[[], None] | None = None) -> Callable[[int], None]:
    """Says in the log how many clips are done, from time to time; calls ``tell`` each time."""
    counted = 0

    def advance(more: int) -> None:
        nonlocal counted
        before, counted = counted, counted + more
        if counted == clips or counted // TOLD > before // TOLD:
            LOG.info("%d of %d clips are %s", counted, clips, done)
        if tell is not None:
            tell()

    return advance
