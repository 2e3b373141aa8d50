"""The folder ``model`` of a run: the trained parts with their averaged weights, and how they came about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from signgen import config as configuration
from signgen.errors import RunError
from signgen.training.averages import averaged, is_sharded
from signgen.training.checkpoints import FAILED_WRITES, Training, agree
from signgen.training.config import TrainConfig
from signgen.training.disk import flush, reason, replace_folder
from signgen.training.task import Task


def export(training: Training, task: Task, config: TrainConfig) -> None:
    """Writes ``<output>/model``, whole or not at all. All processes call it, for the weights may be in shards.

    Raises:
        RunError: it cannot be written; the checkpoint that was saved before is there.
    """
    accelerator, output = training.accelerator, Path(config.output)
    failure: BaseException | None = None
    with averaged(training.network, training.average):
        whole = accelerator.get_state_dict(training.network) if is_sharded(training.network) else None
        if accelerator.is_main_process:
            try:
                _write(task, whole, output, _record(training, config))
            except FAILED_WRITES as error:
                failure = error
    said = "" if failure is None else reason(failure, output)
    if accelerator.is_main_process:
        shutil.rmtree(output / "model.tmp", ignore_errors=True)
    if agree(accelerator, failure is not None)[0]:
        advice = "the run itself is saved: free some space, then --resume writes the model"
        raise RunError(output / "model", said or "another process cannot write it", advice) from failure


def _record(training: Training, config: TrainConfig) -> dict[str, Any]:
    state = training.state
    processes = training.accelerator.num_processes
    done = {"step": state.step, "seconds": state.seconds, "processes": processes}
    return {**done, "config": configuration.to_dict(config)}


def _write(task: Task, whole: dict[str, Any] | None, output: Path, record: dict[str, Any]) -> None:
    temporary = output / "model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if whole is None:
        task.save(temporary)
    else:
        weights = {f"trainable.{name}": value for name, value in whole.items()}
        torch.func.functional_call(_Saving(task), weights, (temporary,))
    (temporary / "training.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    flush(temporary)
    replace_folder(temporary, output / "model")


class _Saving(nn.Module):
    """Saving as a forward pass, so that whole weights can stand in for shards while it runs."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.trainable, self.task = task.trainable, task

    def forward(self, folder: Path) -> None:
        self.task.save(folder)
