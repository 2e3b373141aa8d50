"""Checkpoints of a run: written whole or not at all, and rotated; `signgen.training.resuming` reads them.

``checkpoints/step-N`` holds what accelerate saves (weights, optimizer, random numbers of each process), the averaged
weights (``ema.safetensors``) and where the run stands (``run.json``). It appears when it is whole, so that a kill at
any time, or a full disk, leaves the checkpoints before it as they are.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException

from signgen import config as configuration
from signgen.errors import NotWritable, RunError, TooLarge
from signgen.files import Staging, discard, flush, free_bytes, gibibytes, reason, remove_leftovers, whole
from signgen.training import optimizers
from signgen.training.config import TrainConfig
from signgen.training.optimizers import averaged, is_sharded
from signgen.training.task import Task

LOG = logging.getLogger("signgen.training")
KEEP = 2  # checkpoints kept: the newest, and one before it in case the newest is damaged by the disk
MODEL = "model"  # the folder of the trained parts, in the output of a run
WRAPPED = "module."  # what DistributedDataParallel puts before each name
COPIES = 4  # of the weights in a checkpoint: themselves, their average, and AdamW's two moments
FAILED_WRITES = (OSError, RuntimeError, SafetensorError, CheckpointException)


@dataclass
class RunState:
    """Where a run stands.

    Attributes:
        step: steps done.
        seconds: wall time spent in all of its sessions.
        logged: the last step that is part of a line of the log.
        sums: sums of the log's figures over the steps since then, of this process.
    """

    step: int = 0
    seconds: float = 0.0
    logged: int = 0
    sums: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What is trained, for those who save it and read it back."""

    accelerator: Accelerator
    network: nn.Module
    average: EMAModel
    state: RunState


def agree(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """Each flag as True where it is True for any process: what all must do, none may do alone."""
    if accelerator.num_processes == 1:
        return list(flags)
    known = torch.tensor(flags, dtype=torch.float32, device=accelerator.device)
    return (accelerator.reduce(known, "sum") > 0).tolist()


def total(accelerator: Accelerator, sums: dict[str, float]) -> dict[str, float]:
    """Sums of all processes together; names that only some of them know included."""
    if accelerator.num_processes == 1:
        return dict(sums)
    added: dict[str, float] = {}
    for part in gather_object([sums]):
        for name, value in part.items():
            added[name] = added.get(name, 0.0) + value
    return added


def save_whole_weights(accelerator: Accelerator) -> None:
    """Has accelerate name weights as the bare network does, so that a run goes on with any number of processes."""

    def bare(models: list[nn.Module], weights: list[dict[str, Any]], folder: str) -> None:
        weights[:] = [OrderedDict((k.removeprefix(WRAPPED), v) for k, v in state.items()) for state in weights]

    def into_bare(models: list[nn.Module], folder: str) -> None:
        while models:  # what is taken out of the list, accelerate leaves alone
            state = load_file(Path(folder) / "model.safetensors")
            plain = {name.removeprefix(WRAPPED): value for name, value in state.items()}
            accelerator.unwrap_model(models.pop()).load_state_dict(plain)

    accelerator.register_save_state_pre_hook(bare)
    accelerator.register_load_state_pre_hook(into_bare)


# -- folders ---------------------------------------------------------------------------------------------------------


def whole_checkpoints(output: Path) -> list[Path]:
    """Finished checkpoints of a run, the oldest first."""
    return sorted((output / "checkpoints").glob("step-*[0-9]"))


def check_output(output: Path, resume: bool) -> None:
    """Two runs never share a folder."""
    if whole_checkpoints(output) and not resume:
        raise NotWritable(output, "already holds a run", "add --resume to go on with it, or name another output")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(output, error.strerror or "cannot be made", "name a folder that can be written") from None


def check_space(output: Path, network: nn.Module, processes: int) -> None:
    """A checkpoint must fit onto the disk before hours of training depend on it."""
    needed = checkpoint_bytes(network) * (processes if is_sharded(network) else 1)
    free = free_bytes(output)
    if free < needed:
        takes = f"a checkpoint takes {gibibytes(needed)}, and {KEEP + 1} are there at a time"
        advice = f"{takes}: free as much, or name another output"
        raise TooLarge(output, f"{gibibytes(free)} are free", advice)


def checkpoint_bytes(network: nn.Module) -> int:
    """About how large a checkpoint is, of one process's share of the weights."""
    held = (optimizers.local_part(parameter) for parameter in network.parameters())
    return COPIES * sum(value.numel() * 4 for value in held)


def clean(output: Path) -> None:
    """Removes what a kill left unfinished, on whatever machine; a model that was to be replaced comes back."""
    remove_leftovers(output / "checkpoints", of_all=True)
    remove_leftovers(output, deep=False, of_all=True)


# -- writing ---------------------------------------------------------------------------------------------------------


def save(training: Training, output: Path) -> None:
    """Writes the checkpoint of the present step and drops all but the newest ones. All processes call it.

    Raises:
        RunError: it cannot be written; those before it are as they were.
    """
    accelerator, begun = training.accelerator, time.monotonic()
    target = output / "checkpoints" / f"step-{training.state.step:08d}"
    if agree(accelerator, target.exists())[0]:
        return
    sums = total(accelerator, training.state.sums)
    with Staging() as staging:  # the first process's; the others write into its folder
        place: list[Any] = [None]
        if accelerator.is_main_process:
            target.parent.mkdir(parents=True, exist_ok=True)
            place = [staging.place(target)]
        temporary: Path = broadcast_object_list(place)[0]
        failure: BaseException | None = None
        try:
            temporary.mkdir(exist_ok=True)
            accelerator.save_state(str(temporary))
            _save_own(training, sums, temporary)
        except FAILED_WRITES as error:
            failure = error
        accelerator.wait_for_everyone()
        if accelerator.is_main_process and failure is None:
            try:
                flush(temporary)
            except OSError as error:
                failure = error
        said = "" if failure is None else reason(failure, temporary)
        if agree(accelerator, failure is not None)[0]:
            raise _unsaved(output, target, said or "another process cannot write it", training.network) from failure
    if accelerator.is_main_process:
        for old in whole_checkpoints(output)[:-KEEP]:
            discard(old)
        LOG.info("%s written in %.1f s", target.name, time.monotonic() - begun)
    accelerator.wait_for_everyone()


def _save_own(training: Training, sums: dict[str, float], folder: Path) -> None:
    """What is ours beside accelerate's files."""
    accelerator, state = training.accelerator, training.state
    sharded = is_sharded(training.network)
    if sharded or accelerator.is_main_process:
        path = optimizers.file_of(folder, sharded, accelerator.process_index)
        optimizers.save_average(training.average, path)
    if accelerator.is_main_process:
        content = {
            "step": state.step,
            "seconds": state.seconds,
            "logged": state.logged,
            "sums": sums,
            "processes": accelerator.num_processes,
            "sharded": sharded,
            "ema": optimizers.scalars(training.average),
        }
        (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _unsaved(output: Path, target: Path, said: str, network: nn.Module) -> RunError:
    good = whole_checkpoints(output)
    kept = f"{good[-1].name} is whole: " if good else ""
    advice = f"{kept}free {gibibytes(checkpoint_bytes(network))} or more, then go on with --resume"
    return RunError(target, said, advice)


# -- the trained parts -----------------------------------------------------------------------------------------------


def export(training: Training, task: Task, config: TrainConfig) -> None:
    """Writes ``<output>/model``, whole or not at all: the trained parts with averaged weights, and how they came about.

    All processes call it, for the weights may be in shards.

    Raises:
        RunError: it cannot be written; the checkpoint that was saved before is there.
    """
    accelerator, output = training.accelerator, Path(config.output)
    failure: BaseException | None = None
    with averaged(training.network, training.average):
        gathered = accelerator.get_state_dict(training.network) if is_sharded(training.network) else None
        if accelerator.is_main_process:
            try:
                _write(task, gathered, output, _record(training, config))
            except FAILED_WRITES as error:
                failure = error
    said = "" if failure is None else reason(failure, output)
    if agree(accelerator, failure is not None)[0]:
        advice = "the run itself is saved: free some space, then --resume writes the model"
        raise RunError(output / MODEL, said or "another process cannot write it", advice) from failure


def _record(training: Training, config: TrainConfig) -> dict[str, Any]:
    state = training.state
    processes = training.accelerator.num_processes
    done = {"step": state.step, "seconds": state.seconds, "processes": processes}
    return {**done, "config": configuration.to_dict(config)}


def _write(task: Task, gathered: dict[str, Any] | None, output: Path, record: dict[str, Any]) -> None:
    with whole(output / MODEL, durable=True) as temporary:
        temporary.mkdir(parents=True)
        if gathered is None:
            task.save(temporary)
        else:
            weights = {f"trainable.{name}": value for name, value in gathered.items()}
            torch.func.functional_call(_Saving(task), weights, (temporary,))
        (temporary / "training.json").write_text(json.dumps(record, indent=2), encoding="utf-8")


class _Saving(nn.Module):
    """Saving as a forward pass, so that whole weights can stand in for shards while it runs."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.trainable, self.task = task.trainable, task

    def forward(self, folder: Path) -> None:
        self.task.save(folder)
