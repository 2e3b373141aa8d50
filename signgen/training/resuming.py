"""Going on from a checkpoint. What it holds is read as numbers: nothing that someone put into it is ever run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from signgen.errors import InputError, RunError, SignGenError
from signgen.training import averages
from signgen.training.checkpoints import FAILED_WRITES, Training

FAILED_READS = (*FAILED_WRITES, ValueError, KeyError, EOFError, pickle.UnpicklingError)


def load(training: Training, folder: Path) -> list[str]:
    """Goes back to a checkpoint; says in sentences what will differ from a run that was never stopped.

    Raises:
        InputError: it is one of another network or of shards for another number of processes.
        RunError: it is damaged.
    """
    accelerator, state = training.accelerator, training.state
    try:
        own = folder / "run.json"
        if own.is_file():
            record = json.loads(own.read_text(encoding="utf-8"))
            _check_shards(record, training, folder)
            path = averages.file_of(folder, record["sharded"], accelerator.process_index)
            averages.load_average(training.average, path, record["ema"])  # first: it tells another network's sizes
            accelerator.load_state(str(folder))
        else:
            record = _load_earlier(training, folder)
        state.step, state.seconds = int(record["step"]), float(record["seconds"])
        state.logged = int(record["logged"])
        state.sums = {k: float(v) for k, v in record["sums"].items()} if accelerator.is_main_process else {}
    except SignGenError:
        raise
    except FAILED_READS as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        advice = "remove that folder, then --resume goes on from the one before it"
        raise RunError(folder, f"cannot be read ({detail})", advice) from error
    before = record.get("processes", accelerator.num_processes)
    if before != accelerator.num_processes:
        return [f"saved by {before} processes, goes on with {accelerator.num_processes}: batches are others now"]
    return []


def _check_shards(record: dict[str, Any], training: Training, folder: Path) -> None:
    sharded, processes = averages.is_sharded(training.network), training.accelerator.num_processes
    if record["sharded"] == sharded and (not sharded or record["processes"] == processes):
        return
    kinds = {True: f"shards of {record['processes']} processes", False: "whole weights"}
    advice = "go on with as many processes and the same settings of accelerate as before"
    raise InputError(folder, f"holds {kinds[record['sharded']]}", advice)


def _load_earlier(training: Training, folder: Path) -> dict[str, Any]:
    """A checkpoint of signgen before it had ``run.json``: the average and the run were accelerate's own pickles.

    accelerate would load these two whatever they hold; here they may hold tensors and plain values alone.
    """
    names = ("custom_checkpoint_0.pkl", "custom_checkpoint_1.pkl")
    average, run = (torch.load(folder / name, map_location="cpu", weights_only=True) for name in names)
    averages.restore(training.average, average)
    with _without(folder, names) as view:
        training.accelerator.load_state(str(view))
    return {**run, "logged": run["step"], "sums": {}}


@contextmanager
def _without(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """A folder with the same files but for some."""
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".tmp") as view:
        for path in folder.iterdir():
            if path.name not in names:
                _link(path, Path(view) / path.name)
        yield Path(view)


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # not on every file system
        shutil.copyfile(path, other)
