"""Reading and comparing with the reference numbers; used by the tests that reproduce them."""

from __future__ import annotations

import json
from copy import copy
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


# Along which axis the items of a batch stand; the first pattern that fits a name counts. None: it has no such axis.
BATCH_AXES: dict[str, dict[str, int | None]] = {
    "fpdm_unet": {"*": 0},
    "fpdm_vae": {"*": 0},
    "fpdm_sampling": {
        "schedule.*": None, "addnoise.*": 0, "*.timesteps": None, "*.image": 0, "*.branches": 2, "ddpm*": 1,
        "ddim*": 1, "*": 0
    },
    "imagpose_cva": {
        "cva.attn.*": None, "cva.*": 0, "ilc.in.flag": None, "ilc.in.pose": None, "ilc.in.*": 0, "ilc.out.*": 1,
        "schedule.ddim4.latents": 1, "patch.*": 0, "poseguider.*": 0, "*": None
    },
}  # fmt: skip


class Golden:
    """One golden set: configuration, tensors, weights, and comparison by the tolerance that fits a name best."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.spec = json.loads((folder / f"{name}.json").read_text())
        self.config: dict[str, Any] = self.spec["config"]
        self.tensors = load_file(folder / self.spec["io_file"])
        assert {key: list(value.shape) for key, value in self.tensors.items()} == {
            key: entry["shape"] for key, entry in self.spec["tensors"].items()
        }
        self.weights = load_file(folder / self.spec["weights_file"]) if "weights_file" in self.spec else {}

    def of_batch(self, items: int) -> Golden:
        """The set as it would be with ``items`` items a batch: those that are there, in turn, from the second on."""
        other = copy(self)
        other.tensors = {name: self._repeated(name, tensor, items) for name, tensor in self.tensors.items()}
        return other

    def _repeated(self, name: str, tensor: Tensor, items: int) -> Tensor:
        axis = next(axis for pattern, axis in BATCH_AXES[self.name].items() if fnmatch(name, pattern))
        if axis is None or not tensor.dim():
            return tensor
        if name.startswith("ilc.out."):  # without and with the condition, one after the other
            return self._picked(tensor.unflatten(0, (2, -1)), axis, items).flatten(0, 1)
        return self._picked(tensor, axis, items)

    @staticmethod
    def _picked(tensor: Tensor, axis: int, items: int) -> Tensor:
        return tensor.index_select(axis, torch.arange(1, items + 1) % tensor.shape[axis]).contiguous()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def get(self, name: str, dtype: torch.dtype) -> Tensor:
        tensor = self.tensors[name]
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def tolerance(self, name: str) -> dict[str, float]:
        fitting = [pattern for pattern in self.spec["tolerance"] if fnmatch(name, pattern)]
        entry = self.spec["tolerance"][max(fitting, key=len)]
        return {"atol": entry["atol"], "rtol": entry["rtol"]}

    def check(self, name: str, value: Tensor, like: str | None = None) -> None:
        expected = self.tensors[name]
        torch.testing.assert_close(value.to(expected.dtype).reshape(expected.shape), expected,
                                   **self.tolerance(like or name), msg=lambda text: f"{name}: {text}")  # fmt: skip


def suffixed(name: str, dtype: torch.dtype) -> str:
    return f"{name}_fp64" if dtype == torch.float64 else name


def to_views(canvas: Tensor) -> Tensor:
    """(..., C, 2h, 2w) -> (..., 4, C, h, w): top-left, top-right, bottom-left, bottom-right."""
    return torch.stack([tile for row in canvas.chunk(2, dim=-2) for tile in row.chunk(2, dim=-1)], dim=-4)


def to_canvas(views: Tensor) -> Tensor:
    """The inverse of `to_views`."""
    top_left, top_right, bottom_left, bottom_right = views.unbind(-4)
    return torch.cat([torch.cat([top_left, top_right], -1), torch.cat([bottom_left, bottom_right], -1)], -2)
