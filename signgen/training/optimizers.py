"""AdamW, or Muon for the kernels of linear and convolutional layers with AdamW for the rest; and the weights' average.

Muon (Jordan et al. 2024) takes the momentum of a matrix with its singular values made equal, so that directions in
which gradients are always small are learned as fast as the others. With the scale of Liu et al. 2025, 0.2 sqrt of the
longer side, its steps are as long as AdamW's, and ``optim.lr`` means the same to both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from signgen.errors import Mismatch, Unsupported
from signgen.training.config import OptimConfig

SMALLEST = 16  # rows and columns of a matrix below which there is little to be made equal
SCALARS = ("decay", "min_decay", "optimization_step", "update_after_step", "use_ema_warmup", "inv_gamma", "power")


def make_optimizer(network: nn.Module, optim: OptimConfig) -> torch.optim.Optimizer:
    """The optimizer of a network's trainable parameters that the configuration asks for."""
    if optim.kind == "muon":
        return KernelMuon(network, optim.lr, optim.weight_decay)
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    return torch.optim.AdamW(trainable, lr=optim.lr, weight_decay=optim.weight_decay)


def check_whole(optim: OptimConfig, sharded: bool) -> None:
    """Raises `Unsupported` for Muon where no process has a whole kernel."""
    if optim.kind == "muon" and sharded:
        raise Unsupported("optim.kind", "got muon with weights in shards", "take adamw, or train without shards")


class KernelMuon(torch.optim.Optimizer):
    """torch's Muon for kernels, read as matrices (O, I * kh * kw), and torch's AdamW for all other parameters.

    One optimizer to those who hold it: its groups are the kernels and the others, with ``lr`` and ``weight_decay``.
    """

    def __init__(self, network: nn.Module, lr: float, weight_decay: float) -> None:
        kernels = [weight for weight in _kernels(network) if weight.requires_grad]
        known = {id(weight) for weight in kernels}
        others = [weight for weight in network.parameters() if weight.requires_grad and id(weight) not in known]
        groups = [{"params": weights} for weights in (kernels, others) if weights]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self._kernels = kernels
        self._matrices = [nn.Parameter(_matrix(weight)) for weight in kernels]
        settings: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        self._parts: list[torch.optim.Optimizer] = []
        if kernels:
            self._parts.append(torch.optim.Muon(self._matrices, adjust_lr_fn="match_rms_adamw", **settings))
        if others:
            self._parts.append(torch.optim.AdamW(others, **settings))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for weight, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.data = _matrix(weight)  # looked at again: whoever moves weights to a device gives them other memory
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        for group, part in zip(self.param_groups, self._parts, strict=True):
            for inner in part.param_groups:
                inner.update(lr=group["lr"], weight_decay=group["weight_decay"])
            part.step()
        for weight, matrix in zip(self._kernels, self._matrices, strict=True):
            if matrix.data_ptr() != weight.data_ptr():  # memory that is no matrix as it lies
                weight.copy_(_kernel(matrix, weight))
            matrix.grad = None
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both, in the order of the groups."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises ValueError for the state of another optimizer or of another network."""
        states = state_dict.get("parts", ())
        if len(states) != len(self._parts):
            raise ValueError("the state is not one of Muon with AdamW")
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)


def _kernels(network: nn.Module) -> list[Tensor]:
    """Kernels of linear and convolutional layers that are matrices worth the name, each once."""
    layers = [part.weight for part in network.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    return list({id(w): w for w in layers if min(len(w), w[0].numel()) >= SMALLEST}.values())


def _matrix(weight: Tensor) -> Tensor:
    """(O, I) or (O, I, kh, kw) -> (O, kh * kw * I): a view where channels lie last in memory."""
    return weight.detach() if weight.dim() == 2 else weight.detach().permute(0, 2, 3, 1).flatten(1)


def _kernel(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_matrix`."""
    if like.dim() == 2:
        return matrix
    rows, columns, height, width = like.shape
    return matrix.view(rows, height, width, columns).permute(0, 3, 1, 2)


# -- the moving average of the weights (EMA), which is what a run keeps in the end ------------------------------------


# Where the weights are shards (FSDP), so is their average: each process holds, saves and loads its own.


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
    """Undoes `save_average` and `scalars`, on the devices and in the shards where the average is now.

    Raises:
        InputError: it is the average of another network.
    """
    values = [value for _, value in sorted(load_file(path).items())]
    mine = [local_part(value) for value in average.shadow_params]
    if [value.shape for value in values] != [value.shape for value in mine]:
        advice = "go on with the settings of its config.yaml, or begin again in another output folder"
        raise Mismatch("model", "the checkpoint is of a network of other sizes", advice)
    with torch.no_grad():
        for value, own in zip(values, mine, strict=True):
            own.copy_(value)
    for name in SCALARS:
        if name != "decay":  # a setting of the run, which may be changed on the way
            setattr(average, name, settings[name])


def local_part(value: Tensor) -> Tensor:
    """What this process holds of a value: all of it, or its shard."""
    return value.to_local() if isinstance(value, DTensor) else value
