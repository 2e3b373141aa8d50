"""Writes the networks of a window as OpenVINO models into the folder of an export."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from signgen import __version__
from signgen.errors import NotWritable, RunError, Unsupported, missing_extra
from signgen.exporter.quantisation import VIEWS, Sample, check_installed, quantised, record
from signgen.files import check_replaceable, check_target, whole
from signgen.model.openvino.exports import COMPILED, FILE, OPEN, ExportManifest, default_place, has_openvino
from signgen.model.openvino.graphs import NAMES, OF_SOURCE, OPTIONAL, PAST, Inputs, examples, graphs, past_examples

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

FILES = {FILE, COMPILED} | {f"{name}{suffix}" for name in (*NAMES, *OPTIONAL) for suffix in (".xml", ".bin")}


def export(
    model: str | Path = "mini",
    output: str | Path | None = None,
    int8: bool = False,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Writes a model's networks for OpenVINO, as ``signgen export`` does; renders on CPUs then find and use them.

    The folder appears whole or not at all, and replaces an earlier export.

    Args:
        model: ``"mini"`` or a folder in diffusers' layout.
        output: where to; None: the user's cache, where renders look.
        int8: in eight bits, which is faster and gives nearly the same frames.
        say: called with the name of each network before it is converted.

    Returns:
        Plain data: output, model, weights_sha256, precision by graph, seconds.

    Raises:
        InputError: an unknown model, a folder that holds other things, or OpenVINO is not installed.
        RunError: a network that cannot be converted.

    Example:
        >>> from signgen import export
        >>> result = export("my-model", "my-model/openvino")
        >>> result["model"], result["output"]
        ('my-model', 'my-model/openvino')
    """
    begun = time.monotonic()
    if not has_openvino():
        raise missing_extra("openvino", "cpu")
    chosen = None if output is None else Path(output)
    pipeline = load_checked(model, chosen, FILES)
    target = chosen or default_place(pipeline.weights_sha256())
    with new_folder(target, FILES) as temporary:
        manifest = export_pipeline(pipeline, temporary, int8, say)
    return {
        "output": str(target),
        "model": str(model),
        "weights_sha256": manifest.weights_sha256,
        "precision": manifest.precision,
        "seconds": round(time.monotonic() - begun, 1),
    }


def load_checked(model: str | Path, folder: Path | None, allowed: str | Collection[str]) -> SignGenPipeline:
    """The model in float32 on the CPU, after a look at the ``folder`` that an export of it shall replace: loading takes
    a while. ``allowed``: names of the files that may be in it."""
    from signgen.model import SignGenPipeline

    if folder is not None:
        check_replaceable(folder, allowed)
    return SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")


@contextmanager
def new_folder(target: Path, allowed: str | Collection[str]) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``target`` at the end, as a whole or not at all.

    Raises:
        NotWritable: it cannot, or there are other files than ``allowed``.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(target, f"cannot be written ({error.strerror})", "choose another folder") from None
    check_target(target, "folder")
    check_replaceable(target, allowed)
    with whole(target) as temporary:
        temporary.mkdir()
        yield temporary


def export_pipeline(
    pipeline: SignGenPipeline, folder: Path, int8: bool = False, report: Callable[[str], None] | None = None
) -> ExportManifest:
    """Writes the graphs of `signgen.model.openvino.graphs` and the manifest into an existing folder.

    Args:
        pipeline: in float32, on the CPU.
        folder: where the files go.
        int8: quantise the networks by what they see when the model renders.
        report: called with each graph's name before it is converted.

    Raises:
        InputError: OpenVINO (or, for ``int8``, NNCF) is not installed.
        RunError: a network that OpenVINO cannot convert.
    """
    if not has_openvino():
        raise missing_extra("openvino", "cpu")
    # OpenVINO and NNCF report their use over the network unless this package is missing: signgen sends nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    if pipeline.dtype != torch.float32 or pipeline.device.type != "cpu":
        got = f"is in {pipeline.dtype} on {pipeline.device}"
        raise Unsupported(pipeline.name, got, "load it in float32 on the CPU")
    if int8:
        check_installed()
    samples = record(pipeline) if int8 else dict[str, list[Sample]]()
    inputs = examples(pipeline, VIEWS)
    precision = dict.fromkeys(inputs, "float16")
    pipeline.denoiser.set_attention("sdpa")
    past = past_examples(pipeline, inputs["denoiser"])
    inputs["denoiser"] |= past
    for sample in samples.get("denoiser", ()):
        sample |= {name: value[:, :0].numpy() for name, value in past.items()}
    for name, module in graphs(pipeline).items():
        if report is not None:
            report(name)
        converted = convert(module, inputs[name])
        if int8 and name in NAMES:  # eight bits of a hand's pixels are seen
            edges = name == "conditions"  # it reads drawings, which are of eight bits as they come
            converted, precision[name] = quantised(converted, samples[name], edges), "int8"
        openvino.save_model(converted, folder / f"{name}.xml", compress_to_fp16=True)
    shapes = {name: {key: _open(key, value) for key, value in given.items()} for name, given in inputs.items()}
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
            got = f"OpenVINO cannot convert it ({' '.join(str(error).split())[:200]})"
            raise RunError(type(module).__name__, got, "render with torch") from error
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    shapes = {name: _open(name, value) for name, value in inputs.items()}
    if "tokens" in shapes:
        shapes["tokens"][1] = OPEN  # several sources have more
    model.reshape(shapes)
    return model


def _open(name: str, value: torch.Tensor) -> list[int]:
    """An input's shape with `OPEN` for the number of views; what belongs to the source comes once a clip."""
    shape = list(value.shape)
    if name.startswith(PAST):  # (L, K*P, C)
        return [shape[0], OPEN, shape[2]]
    return shape if name in OF_SOURCE else [OPEN, *shape[1:]]
