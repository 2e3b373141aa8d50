"""Weights that every machine makes alike, from the names and shapes of a network's tensors."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor, nn


def made_up_weights(network: nn.Module) -> dict[str, Tensor]:
    """A state dict in which no two tensors are alike and activations neither die nor explode."""
    return {name: _tensor(name, tuple(value.shape)) for name, value in network.state_dict().items()}


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        values = noise * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1 + 0.2 * np.abs(noise)
    else:
        values = 0.1 * noise + name.endswith("weight")
    return torch.from_numpy(values).float()
