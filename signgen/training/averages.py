"""The moving average of the weights (EMA), which is what a run keeps in the end.

Where the weights are shards (FSDP), so is their average: each process holds, saves and loads its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from signgen.errors import InputError

SCALARS = ("decay", "min_decay", "optimization_step", "update_after_step", "use_ema_warmup", "inv_gamma", "power")


def make_average(network: nn.Module, decay: float) -> EMAModel:
    """A float32 average that begins at the ``network`` as it is; its warm-up lets early steps fade soon."""
    average = EMAModel(network.parameters(), decay=decay, use_ema_warmup=True, power=0.75)
    average.to(dtype=torch.float32)
    return average


def is_sharded(network: nn.Module) -> bool:
    """Whether a process holds parts of the weights only."""
    return any(isinstance(parameter, DTensor) for parameter in network.parameters())


@contextmanager
def averaged(network: nn.Module, average: EMAModel) -> Iterator[None]:
    """The averaged weights in the place of the network's own, for a while."""
    parameters = list(network.parameters())
    own = [parameter.detach().clone() for parameter in parameters]
    try:
        _copy(average.shadow_params, parameters)
        yield
    finally:
        _copy(own, parameters)


@torch.no_grad()
def _copy(values: list[Tensor], parameters: list[nn.Parameter]) -> None:
    for value, parameter in zip(values, parameters, strict=True):
        parameter.data.copy_(value)


def file_of(folder: Path, sharded: bool, process: int) -> Path:
    """Where the average lies in a checkpoint's ``folder``."""
    return folder / (f"ema-{process}.safetensors" if sharded else "ema.safetensors")


def save_average(average: EMAModel, path: Path) -> None:
    """Writes the averaged weights by their number, in the order of the network's parameters."""
    save_file({f"{i:05d}": local_part(value).contiguous() for i, value in enumerate(average.shadow_params)}, path)


def scalars(average: EMAModel) -> dict[str, Any]:
    """All of an average but its weights."""
    return {name: getattr(average, name) for name in SCALARS}


def load_average(average: EMAModel, path: Path, settings: dict[str, Any]) -> None:
    """Undoes `save_average` and `scalars`."""
    values = load_file(path)
    restore(average, {**settings, "shadow_params": [values[name] for name in sorted(values)]})


def restore(average: EMAModel, state: dict[str, Any]) -> None:
    """Takes over what `EMAModel.state_dict` says, on the devices and in the shards where the average is now.

    Raises:
        InputError: it is the average of another network.
    """
    values = state["shadow_params"]
    mine = [local_part(value) for value in average.shadow_params]
    if [value.shape for value in values] != [value.shape for value in mine]:
        advice = "go on with the settings of its config.yaml, or begin anew in another output folder"
        raise InputError("model", "the checkpoint is of a network of other sizes", advice)
    with torch.no_grad():
        for value, own in zip(values, mine, strict=True):
            own.copy_(value)
    for name in SCALARS:
        if name != "decay":  # a setting of the run, which may be changed on the way
            setattr(average, name, state[name])


def local_part(value: Tensor) -> Tensor:
    """What this process holds of a value: all of it, or its shard."""
    return value.to_local() if isinstance(value, DTensor) else value
