"""Exported networks as the engine of a pipeline, see `signgen.model.engine.Engine`, and which engine a render uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from signgen.errors import BadValue, Mismatch, NotFound, Unsupported, missing_extra
from signgen.model.engine import Engine, TorchEngine
from signgen.model.openvino.exports import COMPILED, OPEN, ExportManifest, find_export, has_openvino
from signgen.model.openvino.graphs import PRESENT

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

BACKENDS = ("auto", "torch", "openvino")
HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
# Views, or crops, of networks in which these do not see each other.
AT_ONCE = {"conditions": 8, "decoder": 7, "hand_refiner": 8, "face_refiner": 8, "composer": 4}
OPEN_LENGTH = ("conditions",)  # OpenVINO 2026.4 crashes while it compiles one of eight bits for a set number of views
Arrays = dict[str, np.ndarray]


def choose_engine(
    pipeline: SignGenPipeline, backend: str = "auto", export: Path | None = None, compiled: bool = False
) -> Engine:
    """The engine for a backend's name.

    Args:
        pipeline: loaded, on its device and in its numbers.
        backend: ``torch``; ``openvino``; or ``auto``: OpenVINO on a CPU where it is installed and an export of these
            very weights is found, else torch.
        export: folder of an export; None: where `find_export` looks.
        compiled: see `TorchEngine`.

    Raises:
        InputError: what was asked for is not there or does not go together.
    """
    if backend not in BACKENDS:
        raise BadValue("--backend", f"got {backend!r}", f"choose from {', '.join(BACKENDS)}")
    if compiled and (backend == "openvino" or export is not None):
        raise Mismatch("--compile", "is given with OpenVINO", "it is for torch: leave one of them out")
    if backend == "torch" and export is not None:
        raise Mismatch("--export", "is given with --backend torch", "leave one of them out")
    if backend == "torch" or compiled:
        return TorchEngine(pipeline, compiled)
    asked = backend == "openvino" or export is not None
    fits = pipeline.device.type == "cpu" and pipeline.dtype in HINTS
    if not asked and not (fits and has_openvino()):
        return TorchEngine(pipeline)
    if not has_openvino():
        raise missing_extra("openvino", "cpu")
    place = export or find_export(pipeline.weights_sha256(), pipeline.folder)
    if place is not None:
        return OpenVinoEngine(pipeline, place)
    if asked:
        advice = f"write one with: signgen export {pipeline.name}"
        raise NotFound("--backend openvino", f"there is no export of {pipeline.name}'s weights", advice)
    return TorchEngine(pipeline)


class OpenVinoEngine:
    """Runs the graphs of an export on the CPU.

    Each network is run for one number of views; otherwise OpenVINO would make its kernels again, in the middle of a
    clip, for each new number. Shorter windows are filled up with views that the others do not see.

    Args:
        pipeline: whose weights were exported; it still encodes the source. Its dtype decides what is computed in:
            bfloat16, or float32, which also keeps int8 parts from falling back to bfloat16.
        folder: the export.

    Raises:
        InputError: the export is none of this pipeline's weights, or the pipeline runs where OpenVINO does not.
    """

    def __init__(self, pipeline: SignGenPipeline, folder: str | Path) -> None:
        manifest = ExportManifest.read(folder)
        if manifest.weights_sha256 != pipeline.weights_sha256():
            raise Mismatch(folder, f"was made of other weights than {pipeline.name}'s", "export the model again")
        if pipeline.dtype not in HINTS or pipeline.device.type != "cpu":
            got = f"got {str(pipeline.dtype).removeprefix('torch.')} on {pipeline.device}"
            raise Unsupported("--backend openvino", got, "it computes in float32 or bfloat16 on a CPU")
        import openvino

        self.pipeline, self._inputs = pipeline, manifest.inputs
        self.threads: int | None = 1  # OpenVINO's own wait on the other cores
        parts = ", ".join(f"{name} {kind}" for name, kind in manifest.precision.items() if kind == "int8")
        version = openvino.__version__.split("-")[0]
        self.name = f"openvino {version} {HINTS[pipeline.dtype]}" + (f" ({parts})" if parts else "")
        self._core, self._folder = openvino.Core(), Path(folder)
        if os.access(folder, os.W_OK):  # compiling takes a second or two, which later starts save
            self._core.set_property({"CACHE_DIR": str(self._folder / COMPILED)})
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[pipeline.dtype],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._requests: dict[tuple[str, int, int], Any] = {}
        wanted = AT_ONCE | {"denoiser": pipeline.config.window}
        for network in manifest.inputs:
            self._request(network, wanted[network])

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        source = {} if embedding is None else {"embedding": _array(embedding)}
        outputs = self._run("conditions", {"poses": poses}, source, AT_ONCE["conditions"])
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> Tensor:
        views = len(noisy)
        inputs: Arrays = {"noisy": _array(noisy), PRESENT: np.ones(views, np.float32)}
        source: Arrays = {"timestep": np.asarray(int(timestep), np.int64)}
        for name, shape in self._inputs["denoiser"].items():
            if name in inputs or name in source:
                continue
            value = given.get(name)
            array = np.zeros(_filled(shape, views), np.float32) if value is None else _array(value)
            (inputs if shape[0] == OPEN else source)[name] = array
        return self._run("denoiser", inputs, source, self._length(views, source["tokens"].shape[1]))[0]

    def frames(self, latents: Tensor) -> np.ndarray:
        return self._run("decoder", {"latents": _array(latents)}, {}, AT_ONCE["decoder"])[0].numpy()

    def refine(self, name: str, crops: Tensor) -> Tensor:
        return self._run(name, {"crops": _array(crops)}, {}, AT_ONCE[name])[0]

    def compose(
        self, frames: np.ndarray, plate: Tensor, body: np.ndarray, poses: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        views = {"frames": frames, "body": body, "poses": poses}
        made, mattes = self._run("composer", views, {"plate": _array(plate)}, AT_ONCE["composer"])
        return made.numpy(), mattes.numpy()

    def _length(self, views: int, tokens: int) -> int:
        """Views that the denoiser is compiled for and that are enough: all of a window at once if they see each other,
        else as many as there are in a usual window."""
        if not self.pipeline.couples_views:
            return self.pipeline.config.window
        made = (size for name, size, length in self._requests if (name, length) == ("denoiser", tokens))
        return min((size for size in made if size >= views), default=max(views, self.pipeline.config.window))

    def _request(self, name: str, views: int, tokens: int = 0) -> Any:
        """A network compiled for a number of views, and of the sources' tokens where it reads these (0: of one source),
        made when it is first asked for."""
        shapes = {key: _filled(shape, views) for key, shape in self._inputs[name].items()}
        if "tokens" in shapes and tokens:
            shapes["tokens"][1] = tokens
        key = name, views, shapes["tokens"][1] if "tokens" in shapes else 0
        known = self._requests.get(key)
        if known is None:
            model = self._core.read_model(self._folder / f"{name}.xml")
            if name not in OPEN_LENGTH:
                model.reshape(shapes)
            known = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
            self._requests[key] = known
        return known

    def _run(self, name: str, inputs: Arrays, source: Arrays, size: int) -> list[Tensor]:
        """The outputs of a graph for ``inputs`` (V, ...), ``size`` views after ``size`` views, and what is the same for
        all of them; copies, because the next run writes to the same memory."""
        tokens = source["tokens"].shape[1] if "tokens" in source else 0
        request, count = self._request(name, size, tokens), len(next(iter(inputs.values())))
        inputs = {key: value for key, value in inputs.items() if key in self._inputs[name]}
        parts = []
        for start in range(0, count, size):
            some = {key: _padded(value[start : start + size], size) for key, value in inputs.items()}
            results = request.infer({**some, **source}, share_inputs=True)
            parts.append([np.array(value[: count - start]) for value in results.values()])
        return [torch.from_numpy(np.concatenate(one) if len(one) > 1 else one[0]) for one in zip(*parts, strict=True)]


def _array(value: Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.float().numpy())


def _filled(shape: list[int], views: int) -> list[int]:
    """A shape of the manifest with its open side set. A condition that is left out is zeros: see `Denoiser.forward`."""
    return [views if side == OPEN else side for side in shape]


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """(n, ...) -> (size, ...) with zeros behind."""
    return np.ascontiguousarray(np.pad(values, [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)))
