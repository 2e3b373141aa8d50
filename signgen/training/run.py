"""How a configuration becomes a run: what it starts from, its data, its task, and then the loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from signgen.dataset.cache import FrameCache
from signgen.dataset.training_data import cache_folder, open_data
from signgen.training.config import TrainConfig
from signgen.training.loop import train
from signgen.training.stages import STAGES, imported
from signgen.training.starts import check_starts
from signgen.training.task import Task


def run_stage(
    config: TrainConfig, resume: bool = False, advance: Callable[[int], None] = lambda n: None
) -> dict[str, Any]:
    """Trains the stage that ``config`` names; see `signgen.training.loop.train` for what comes back."""
    check_starts(config)
    folder = cache_folder(config.data, config.cache, config.split)
    state = PartialState(cpu=not torch.cuda.is_available())
    with state.main_process_first():  # one process builds the cache, the others open it
        cache = open_data(config.data, folder, config.split)

    def make(resolved: TrainConfig, device: torch.device) -> Task:
        with state.main_process_first():  # likewise the latents
            return make_task(resolved, cache, device, folder)

    return train(config, make, resume, advance)


def make_task(config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> Task:
    """The task of the configuration's stage; ``folder``: where latents and tokens of the cache's frames lie."""
    return imported(STAGES[config.stage].task)(config, cache, device, folder)
