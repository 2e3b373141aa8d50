"""How a configuration becomes a run: what it starts from, its data, its task, and then the loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from signgen.dataset.cache import FrameCache
from signgen.dataset.training_data import cache_folder, open_data
from signgen.training import checkpoints
from signgen.training.config import TrainConfig
from signgen.training.logbook import LOG, run_log
from signgen.training.loop import SIGNALLED, Session, make_accelerator, recompute_activations, stop_flag
from signgen.training.resuming import check_same_run
from signgen.training.stages import STAGES, imported
from signgen.training.starts import check_starts, with_parts
from signgen.training.task import Task

WAITED = timedelta(days=7)  # for the first process, which may encode or paint a large data set for days


def run_stage(
    config: TrainConfig, resume: bool = False, advance: Callable[[int], None] = lambda n: None
) -> dict[str, Any]:
    """Trains the stage that ``config`` names, or goes on with it, and returns where it ended.

    SIGTERM and Ctrl-C end it after the step at hand, with a checkpoint, and count as an end like any other. Before the
    first step they end it at once, and what is prepared stays. The trained parts are in ``<output>/model``.

    Raises:
        InputError: what it starts from is not there, the output holds another run, there is no space for a checkpoint,
            or a setting does not fit.
        RunError: the loss is no number any more, a checkpoint is damaged, or the disk is full.
    """
    config = with_parts(config)
    check_starts(config)
    folder, output = cache_folder(config.data, config.cache, config.split), Path(config.output)
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=WAITED)
    with state.main_process_first():  # one process builds the cache, the others open it
        cache = open_data(config.data, folder, config.split)
    checkpoints.check_output(output, resume)
    changes = check_same_run(config, output) if resume else []
    with run_log(output, state.is_main_process):
        accelerator = make_accelerator(config)
        torch.manual_seed(config.seed)
        with state.main_process_first():  # likewise the latents
            task = make_task(config, cache, accelerator.device, folder)
        if accelerator.process_index:  # what a network drops out is another thing in each process
            torch.manual_seed(config.seed + accelerator.process_index)
        if config.optim.checkpointing:
            recompute_activations(task.trainable)
        session = Session(config, accelerator, task)
        with stop_flag() as stopped:
            session.begin(changes)
            advance(session.state.step)
            session.run(stopped, advance)
            checkpoints.export(session.training, task, config)
            if stopped():  # in the last step, say, or since
                session.ended = SIGNALLED
        LOG.info("%s at step %d; model in %s", session.ended, session.state.step, output / checkpoints.MODEL)
    return {
        "stage": config.stage,
        "output": str(output),
        "steps": session.state.step,
        "seconds": round(session.state.seconds, 1),
        "finished": session.state.step >= config.steps,
        "ended": session.ended,
        "parameters": session.parameters,
    }


def make_task(config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> Task:
    """The task of the configuration's stage; ``folder``: where latents and tokens of the cache's frames lie."""
    return imported(STAGES[config.stage].task)(config, cache, device, folder)
