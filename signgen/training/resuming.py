"""Going on from a checkpoint. What it holds is read as numbers: nothing that someone put into it is ever run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate.utils.constants import RNG_STATE_NAME

from signgen import config as configuration
from signgen.errors import Mismatch, RunError, SignGenError
from signgen.training import optimizers
from signgen.training.checkpoints import FAILED_WRITES, Training
from signgen.training.config import TrainConfig

CONFIG = "config.yaml"  # in the output folder: what the run was last begun or resumed with
FREE = ("output", "cache", "steps", "minutes", "save_minutes", "log_steps", "sheet_steps", "threads", "prefetch",
        "loaders", "tensorboard", "allow_download", "optim.checkpointing")  # fmt: skip
FAILED_READS = (*FAILED_WRITES, ValueError, KeyError, EOFError, pickle.UnpicklingError)


def load(training: Training, folder: Path) -> list[str]:
    """Goes back to a checkpoint; says in sentences what will differ from a run that was never stopped.

    Raises:
        InputError: it is one of another network or of shards for another number of processes.
        RunError: it is damaged.
    """
    accelerator, state = training.accelerator, training.state
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        _check_shards(record, training, folder)
        path = optimizers.file_of(folder, record["sharded"], accelerator.process_index)
        optimizers.load_average(training.average, path, record["ema"])  # first: it tells another network's sizes
        accelerator.load_state(str(folder))
        accelerator.step = 0  # of a step's parts, which it counts: a session begins with a whole step
        state.step, state.seconds = int(record["step"]), float(record["seconds"])
        state.logged = int(record["logged"])
        state.sums = {k: float(v) for k, v in record["sums"].items()} if accelerator.is_main_process else {}
    except SignGenError:
        raise
    except FAILED_READS as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        advice = "remove that folder, then --resume goes on from the one before it"
        raise RunError(folder, f"cannot be read ({detail})", advice) from error
    before = record["processes"]
    if before != accelerator.num_processes:
        return [f"saved by {before} processes, goes on with {accelerator.num_processes}: batches are others now"]
    random = folder / f"{RNG_STATE_NAME}_{accelerator.process_index}.pkl"  # accelerate says nothing where it is absent
    return [] if random.is_file() else [f"lacks {random.name}: what is random in a network is another thing now"]


def check_same_run(config: TrainConfig, output: Path) -> list[str]:
    """What is otherwise than when the run was begun, in sentences; settings that change no step are left out.

    Raises:
        InputError: it is a run of another stage, or of another optimizer, whose state is of no use to this one.
    """
    path = output / CONFIG
    if not path.is_file():
        return []
    before, now = configuration.read_yaml(path), configuration.to_dict(config)
    if before.get("stage") != config.stage:
        got = f"holds a run of the stage {before.get('stage')!r}, the configuration is one of {config.stage!r}"
        raise Mismatch(output, got, "name another output")
    kind = (before.get("optim") or {}).get("kind", "adamw")  # runs that do not say it are older than the choice
    if kind != config.optim.kind:
        got = f"got {config.optim.kind}, the run in {output} is one of {kind}"
        raise Mismatch("optim.kind", got, f"set it to {kind}, or begin another run with start from this one's model")
    parts = list(config.optim.only)
    if parts != (known := _get(before, "optim.only", [])):
        got = f"got {parts}, the run in {output} is one of {known}"
        raise Mismatch("optim.only", got, "set it to that, or begin another run with start from this one's model")
    changed = [name for name, value in _flat(now) if name not in FREE and _get(before, name, value) != _plain(value)]
    if config.stage.endswith("_refiner") and bool(_get(before, "sheet_steps", 0)) != bool(config.sheet_steps):
        changed.append("sheet_steps")  # the clips that a sheet shows are not trained on
    if not changed:
        return []
    words = ", ".join(f"{name} was {_get(before, name, None)!r}" for name in changed[:4])
    more = f" and {len(changed) - 4} settings more" if len(changed) > 4 else ""
    return [f"{path} was another: {words}{more}; the run goes on with the new settings"]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots and their values."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _get(settings: Mapping[str, Any], name: str, default: Any) -> Any:
    """The value under a name with dots; a setting that the earlier version did not have was what it is now."""
    value: Any = settings
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _plain(default)
        value = value[part]
    return value


def _plain(value: Any) -> Any:
    """As YAML gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _check_shards(record: dict[str, Any], training: Training, folder: Path) -> None:
    sharded, processes = optimizers.is_sharded(training.network), training.accelerator.num_processes
    if record["sharded"] == sharded and (not sharded or record["processes"] == processes):
        return
    kinds = {True: f"shards of {record['processes']} processes", False: "whole weights"}
    advice = "go on with as many processes and the same settings of accelerate as before"
    raise Mismatch(folder, f"holds {kinds[record['sharded']]}", advice)
