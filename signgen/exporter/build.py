"""Writes the networks of a window as OpenVINO models."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from signgen import __version__
from signgen.errors import InputError, RunError, missing_extra
from signgen.exporter.calibration import record
from signgen.model.openvino.graphs import NAMES, Inputs, examples, graphs
from signgen.model.openvino.manifest import OPEN, ExportManifest
from signgen.model.openvino.places import has_openvino

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

# Eight-bit networks by NNCF's post-training quantisation: half of the time again, nearly the same frames.


NARROW = 16  # channels of a convolution that reads or writes latents or pictures


def check_installed() -> None:
    """Raises `InputError` where NNCF is missing."""
    if find_spec("nncf") is None:
        raise missing_extra("nncf", "cpu")


def quantised(model: Any, samples: list[dict[str, np.ndarray]], edges: bool = False) -> Any:
    """An OpenVINO model in eight bits, with the ranges of activations that ``samples`` of its inputs show.

    Args:
        edges: in eight bits where it begins and ends, too.
    """
    check_installed()
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # activations on both sides of zero: SiLU's are not symmetric
    names = [] if edges else [node.get_friendly_name() for node in model.get_ops() if _is_edge(node)]
    kept = nncf.IgnoredScope(names=names)
    with redirect_stdout(sys.stderr):  # its bars; standard output belongs to --json
        return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), preset=preset, ignored_scope=kept)


def _is_edge(node: Any) -> bool:
    """Whether a layer reads or writes latents, pictures or embeddings: eight bits of those are seen as flicker.

    These layers are few and narrow; in full they take back a fifth of what all others gain.
    """
    name, kind = node.get_friendly_name(), node.get_type_name()
    if kind == "MatMul":
        return "time_emb" in name or "class_embedding" in name
    if kind != "Convolution":
        return False
    return "conv_in" in name or "conv_out" in name or min(list(node.input(1).get_shape())[:2]) <= NARROW


VIEWS = 6  # of the traced window; the number of views stays open


def export_pipeline(
    pipeline: SignGenPipeline, folder: Path, int8: bool = False, report: Callable[[str], None] | None = None
) -> ExportManifest:
    """Writes the graphs of `signgen.model.openvino.graphs` and the manifest into an existing folder.

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
