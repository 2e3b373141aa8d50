"""Writes the networks of a window as OpenVINO models."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from signgen import __version__
from signgen.errors import InputError, RunError, missing_extra
from signgen.export.calibration import record
from signgen.export.graphs import NAMES, Inputs, examples, graphs
from signgen.export.manifest import OPEN, ExportManifest
from signgen.export.places import has_openvino
from signgen.export.quantise import check_installed, quantised

if TYPE_CHECKING:
    from signgen.pipeline import SignGenPipeline

VIEWS = 6  # of the traced window; the number of views stays open


def export_pipeline(
    pipeline: SignGenPipeline, folder: Path, int8: bool = False, report: Callable[[str], None] | None = None
) -> ExportManifest:
    """Writes the graphs of `signgen.export.graphs` and the manifest into an existing folder.

    Args:
        pipeline: in float32, on the CPU.
        folder: where the files go.
        int8: quantise the networks by what they see when the model renders.
        report: told each graph's name before it is converted.

    Raises:
        InputError: OpenVINO (or, for ``int8``, NNCF) is not installed.
        RunError: a network that OpenVINO cannot convert.
    """
    if not has_openvino():
        raise missing_extra("openvino", "cpu")
    import openvino

    if pipeline.dtype != torch.float32 or pipeline.device.type != "cpu":
        raise InputError(pipeline.name, f"is in {pipeline.dtype} on {pipeline.device}", "load it in float32 on the CPU")
    if int8:
        check_installed()
    samples = record(pipeline) if int8 else {}
    inputs = examples(pipeline, VIEWS)
    precision = dict.fromkeys(NAMES, "float16")
    pipeline.denoiser.set_attention("sdpa")
    for name, module in graphs(pipeline).items():
        if report is not None:
            report(name)
        converted = convert(module, inputs[name])
        if int8:
            edges = name == "conditions"  # it reads drawings, which are of eight bits as they come
            converted, precision[name] = quantised(converted, samples[name], edges), "int8"
        openvino.save_model(converted, folder / f"{name}.xml", compress_to_fp16=True)
    shapes = {name: {key: _open(key, value) for key, value in inputs[name].items()} for name in NAMES}
    manifest = ExportManifest(
        weights_sha256=pipeline.weights_sha256(),
        model=pipeline.name,
        frame_size=pipeline.frame_size,
        canvas_size=pipeline.canvas_size,
        inputs=shapes,
        precision=precision,
        versions={"signgen": __version__, "torch": torch.__version__, "openvino": openvino.__version__},
    )
    manifest.write(folder)
    return manifest


@torch.no_grad()
def convert(module: torch.nn.Module, inputs: Inputs) -> Any:
    """A module traced with ``inputs`` as an OpenVINO model whose inputs carry their names and open batches."""
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every check of a shape
        try:
            model = openvino.convert_model(module, example_input=tuple(inputs.values()))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(
                type(module).__name__, f"OpenVINO cannot convert it ({reason})", "render with torch"
            ) from error
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    model.reshape({name: _open(name, value) for name, value in inputs.items()})
    return model


def _open(name: str, value: torch.Tensor) -> list[int]:
    """An input's shape with `OPEN` for the number of views; what belongs to the source comes once a clip."""
    shape = list(value.shape)
    return shape if name in ("tokens", "embedding", "timestep") else [OPEN, *shape[1:]]
