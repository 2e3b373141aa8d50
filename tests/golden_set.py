"""Reading and comparing with the reference numbers; used by the tests that reproduce them."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


class Golden:
    """One golden set: configuration, tensors, weights, and comparison by the tolerance that fits a name best."""

    def __init__(self, folder: Path, name: str) -> None:
        self.spec = json.loads((folder / f"{name}.json").read_text())
        self.config: dict[str, Any] = self.spec["config"]
        self.tensors = load_file(folder / self.spec["io_file"])
        assert {key: list(value.shape) for key, value in self.tensors.items()} == {
            key: entry["shape"] for key, entry in self.spec["tensors"].items()
        }
        self.weights = load_file(folder / self.spec["weights_file"]) if "weights_file" in self.spec else {}

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
    """(C, 2h, 2w) -> (4, C, h, w): top-left, top-right, bottom-left, bottom-right."""
    return torch.stack([tile for row in canvas.chunk(2, dim=-2) for tile in row.chunk(2, dim=-1)])


def to_canvas(views: Tensor) -> Tensor:
    """The inverse of `to_views`."""
    return torch.cat([torch.cat(list(views[:2]), dim=-1), torch.cat(list(views[2:]), dim=-1)], dim=-2)
