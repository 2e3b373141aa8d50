"""The networks of a window as plain ONNX graphs, checked against torch by ONNX Runtime.

Opset 17, the standard operators alone, float32. The number of views or frames, and of the sources' tokens, is open.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from signgen.errors import RunError, missing_extra
from signgen.exporter.build import load_checked, new_folder
from signgen.exporter.quantisation import VIEWS
from signgen.model.openvino.graphs import NAMES, OF_SOURCE, OPTIONAL, PRESENT, Inputs, examples, graphs
from signgen.package import versions

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

OPSET = 17
TOLERANCE = 1e-3  # of what ONNX Runtime computes from what torch does
CHECKED = (VIEWS, 3)  # numbers of views: the one that was traced, and another
FILE = "onnx.json"
FILES = {FILE} | {f"{name}.onnx" for name in (*NAMES, *OPTIONAL)}
OUTPUTS = {
    "conditions": ("pose_features", "fusion"),
    "denoiser": ("prediction",),
    "decoder": ("frames",),
    "composer": ("composed", "mattes"),
}


def export_onnx(
    model: str | Path = "mini", output: str | Path | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Writes a model's networks as ONNX graphs, as ``signgen export --onnx`` does.

    The folder appears whole or not at all, and replaces an earlier export. ``onnx.json`` in it has each graph's inputs
    and outputs with their shapes, -1 for an open side.

    Args:
        model: ``"mini"`` or a folder in diffusers' layout.
        output: where to; None: a folder in the current one, called as the model, with ``-onnx`` behind.
        say: called with the name of each network before it is converted.

    Returns:
        Plain data: output, model, weights_sha256, difference by graph (the largest from torch), seconds.

    Raises:
        InputError: an unknown model, a folder that holds other things, or onnx or onnxruntime is not installed.
        RunError: a network that cannot be converted, or that gives other numbers than torch.

    Example:
        >>> from signgen.exporter import export_onnx
        >>> sorted(export_onnx("my-model", "my-graphs")["difference"])
        ['conditions', 'decoder', 'denoiser', 'face_refiner', 'hand_refiner']
    """
    begun = time.monotonic()
    check_installed("onnx", "onnxruntime")
    target = Path(f"{Path(model).name}-onnx" if output is None else output)
    pipeline = load_checked(model, target, FILES)
    with new_folder(target, FILES) as temporary:
        shapes, difference = write_graphs(pipeline, temporary, say)
        content = {
            "kind": "signgen onnx",
            "model": pipeline.name,
            "weights_sha256": pipeline.weights_sha256(),
            "frame_size": pipeline.frame_size,
            "canvas_size": pipeline.canvas_size,
            "opset": OPSET,
            "graphs": shapes,
            "difference": difference,
            "versions": versions(["torch", "onnx", "onnxruntime"]),
        }
        (temporary / FILE).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return {
        "output": str(target),
        "model": str(model),
        "weights_sha256": content["weights_sha256"],
        "difference": difference,
        "seconds": round(time.monotonic() - begun, 1),
    }


def check_installed(*packages: str) -> None:
    """Raises `NotInstalled` for the first of the packages that is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise missing_extra(package, "onnx")


def write_graphs(
    pipeline: SignGenPipeline, folder: Path, say: Callable[[str], None] | None = None
) -> tuple[dict[str, Any], dict[str, float]]:
    """Writes each graph to ``NAME.onnx`` in a folder, and checks it.

    Returns:
        By graph its inputs and outputs with their shapes, and the largest difference from torch.

    Raises:
        RunError: a network that cannot be converted, or a difference above `TOLERANCE`.
    """
    inputs = examples(pipeline, VIEWS)
    pipeline.denoiser.set_attention("sdpa")
    shapes, difference = {}, {}
    for name, module in graphs(pipeline).items():
        if say is not None:
            say(name)
        file = folder / f"{name}.onnx"
        module.eval()  # torch's export leaves a module that trains training, with all its parts
        shapes[name] = _convert(name, module, inputs[name], file)
        difference[name] = _checked(name, module, inputs[name], file)
    return shapes, difference


@torch.no_grad()
def _convert(name: str, module: torch.nn.Module, inputs: Inputs, file: Path) -> dict[str, dict[str, list[int]]]:
    """Writes one graph; returns the shapes of its inputs and outputs, -1 for an open side."""
    made = _tuple(module(*inputs.values()))
    outputs = dict(zip(OUTPUTS.get(name, ("refined",)), made, strict=False))
    open_sides = {key: _open_sides(key) for key in (*inputs, *outputs) if _open_sides(key)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every check of a shape
        try:
            torch.onnx.export(
                module, tuple(inputs.values()), str(file), input_names=list(inputs), output_names=list(outputs),
                dynamic_axes=open_sides, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        except RuntimeError as error:  # torch's own errors of export are among these
            got = f"cannot be written as ONNX ({' '.join(str(error).split())[:200]})"
            raise RunError(name, got, "render with torch") from error
    return {"inputs": _shapes(inputs), "outputs": _shapes(outputs)}


def _shapes(values: Inputs) -> dict[str, list[int]]:
    return {
        key: [-1 if side in _open_sides(key) else length for side, length in enumerate(value.shape)]
        for key, value in values.items()
    }


def _open_sides(key: str) -> dict[int, str]:
    """Sides of an input or output whose length is open, with their names in the graph."""
    if key == "tokens":
        return {1: "tokens"}  # several sources have more
    return {} if key in OF_SOURCE else {0: "crops" if key in ("crops", "refined") else "views"}


def _checked(name: str, module: torch.nn.Module, inputs: Inputs, file: Path) -> float:
    """The largest difference between what ONNX Runtime and what torch computes; of pixels in shares of 255."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for given in _other_inputs(inputs):
        with torch.no_grad():
            wanted = _tuple(module(*given.values()))
        names = [one.name for one in session.get_inputs()]  # what a graph does not look at is left out of it
        found = session.run(None, {key: given[key].numpy() for key in names})
        for got, want in zip(found, wanted, strict=True):
            apart = np.abs(got.astype(np.float64) - want.double().numpy())
            if got.dtype == np.uint8:  # a level up or down is rounding
                apart = np.maximum(apart - 1, 0) / 255
            largest = max(largest, float(apart.max()))
    if not largest <= TOLERANCE:
        got = f"ONNX Runtime's result is {largest:.2g} off torch's, allowed is {TOLERANCE:g}"
        raise RunError(name, got, "update onnxruntime, or render with torch")
    return largest


def _other_inputs(inputs: Inputs) -> Iterator[Inputs]:
    """Inputs of random numbers, for each of `CHECKED` views."""
    generator = torch.Generator().manual_seed(0)
    for views in CHECKED:
        given = {}
        for key, value in inputs.items():
            shape = (views, *value.shape[1:]) if 0 in _open_sides(key) else value.shape
            if key == "timestep":
                given[key] = value
            elif key == PRESENT:
                given[key] = (torch.arange(views) < max(views - 1, 1)).float()
            elif value.dtype == torch.uint8:
                given[key] = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            else:
                given[key] = torch.randn(shape, generator=generator) / 2
        yield given


def _tuple(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)
