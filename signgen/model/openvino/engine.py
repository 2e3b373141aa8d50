"""Exported networks as the engine of a pipeline, see `signgen.model.engine.Engine`, and which engine a render uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from signgen.errors import BadValue, Mismatch, NotFound, Unsupported, missing_extra
from signgen.model.engine import Engine, TorchEngine
from signgen.model.openvino.exports import COMPILED, OPEN, ExportManifest, find_export, has_openvino
from signgen.model.openvino.graphs import OF_SOURCE, PAST, PRESENT

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

BACKENDS = ("auto", "torch", "openvino")
HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
# Views, or crops, of networks in which these do not see each other; and where frames come one by one.
AT_ONCE = {"conditions": 8, "decoder": 7, "hand_refiner": 8, "face_refiner": 8, "composer": 4}
ONE_BY_ONE = {"conditions": 1, "decoder": 1, "hand_refiner": 2, "face_refiner": 1, "composer": 1}
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


class _Compiled(NamedTuple):
    """What a network is compiled for, see `OpenVinoEngine._request`."""

    name: str
    views: int
    tokens: int
    sliding: bool


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
            "ENABLE_CPU_PINNING": False,  # each network would have the same cores, where several run side by side
        }
        self._requests: dict[_Compiled, Any] = {}
        self._tokens = 0  # of the sources of windows that slide
        wanted = AT_ONCE | {"denoiser": pipeline.config.window}
        for network in manifest.inputs:
            self._request(network, wanted[network])

    @property
    def slides(self) -> bool:
        return any(name.startswith(PAST) for name in self._inputs["denoiser"])

    def slide(self, sources: int, tokens: int) -> None:
        self._tokens = tokens
        for name, size in ONE_BY_ONE.items():
            if name in self._inputs:
                self._request(name, size)
        for views in (sources + 1, 1):
            self._request("denoiser", views, tokens, sliding=True)

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        source = {} if embedding is None else {"embedding": _array(embedding)}
        outputs = self._run("conditions", {"poses": poses}, source)
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Any]) -> Tensor:
        views, past = len(noisy), given.get("past")
        inputs: Arrays = {"noisy": _array(noisy), PRESENT: np.ones(views, np.float32)}
        source: Arrays = {"timestep": np.asarray(int(timestep), np.int64)}
        layers = [name for name in self._inputs["denoiser"] if name.startswith(PAST)]
        for name, shape in self._inputs["denoiser"].items():
            if name in inputs or name in source or name in layers:
                continue
            value, shape = given.get(name), _filled(shape, views)
            if name == "tokens" and past is not None:
                shape[1] = self._tokens
            array = np.zeros(shape, np.float32) if value is None else _array(value)
            (source if name in OF_SOURCE else inputs)[name] = array
        for name in layers:
            kept = None if past is None else past.kept(name)
            source[name] = (
                np.zeros(_filled(self._inputs["denoiser"][name], 0), np.float32) if kept is None else _array(kept)
            )
        tokens = source["tokens"].shape[1]
        if past is None:
            return self._run("denoiser", inputs, source, self._length(views, tokens), tokens)[0]
        prediction, *shown = self._infer("denoiser", views, inputs, source, tokens, sliding=True)
        for name, new in zip(layers, shown, strict=True):
            past.extended(name, new, new.shape[1] // views)
        past.next_call()
        return prediction

    def frames(self, latents: Tensor) -> np.ndarray:
        return self._run("decoder", {"latents": _array(latents)}, {})[0].numpy()

    def refine(self, name: str, crops: Tensor) -> Tensor:
        return self._run(name, {"crops": _array(crops)}, {})[0]

    def compose(
        self, frames: np.ndarray, plate: Tensor, body: np.ndarray, poses: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        views = {"frames": frames, "body": body, "poses": poses}
        made, mattes = self._run("composer", views, {"plate": _array(plate)})
        return made.numpy(), mattes.numpy()

    def _length(self, views: int, tokens: int) -> int:
        """Views that the denoiser is compiled for and that are enough: all of a window at once if they see each other,
        else as many as there are in a usual window."""
        if not self.pipeline.couples_views:
            return self.pipeline.config.window
        return self._least("denoiser", views, max(views, self.pipeline.config.window), tokens)

    def _least(self, name: str, count: int, usual: int, tokens: int = 0) -> int:
        """The least number of views that a network is compiled for and that is enough for ``count`` of them."""
        made = [key.views for key in list(self._requests) if key[:1] + key[2:] == (name, tokens, False)]
        return min((views for views in made if views >= count), default=usual)

    def _request(self, name: str, views: int, tokens: int = 0, sliding: bool = False) -> Any:
        """A network compiled for a number of views, made when it is first asked for.

        Args:
            tokens: of the sources, where it reads these; 0: of one source.
            sliding: for windows before which views may be kept.
        """
        inputs = self._inputs[name]
        shapes = {key: _filled(shape, views) for key, shape in inputs.items()}
        if "tokens" in shapes and tokens:
            shapes["tokens"][1] = tokens
        for layer in shapes:
            if layer.startswith(PAST):
                shapes[layer] = inputs[layer] if sliding else _filled(inputs[layer], 0)
        key = _Compiled(name, views, shapes["tokens"][1] if "tokens" in shapes else 0, sliding)
        known = self._requests.get(key)
        if known is None:
            model = self._core.read_model(self._folder / f"{name}.xml")
            if name not in OPEN_LENGTH:
                model.reshape(shapes)
            known = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
            self._requests[key] = known
        return known

    def _run(self, name: str, inputs: Arrays, source: Arrays, size: int = 0, tokens: int = 0) -> list[Tensor]:
        """The outputs of a graph for ``inputs`` (V, ...) and what is the same for all of them, ``size`` views after
        ``size`` views; 0: as many as are usual."""
        count, parts = len(next(iter(inputs.values()))), []
        size = size or self._least(name, count, AT_ONCE[name])
        for start in range(0, count, size):
            some = {key: value[start : start + size] for key, value in inputs.items()}
            made = self._infer(name, size, some, source, tokens)
            parts.append([value[: count - start] for value in made])
        return [torch.cat(one) if len(one) > 1 else one[0] for one in zip(*parts, strict=True)]

    def _infer(
        self, name: str, size: int, inputs: Arrays, source: Arrays, tokens: int = 0, sliding: bool = False
    ) -> list[Tensor]:
        """The outputs of a graph compiled for ``size`` views, for so many of them or fewer; copies, because the next
        run writes to the same memory."""
        some = {key: _padded(value, size) for key, value in inputs.items() if key in self._inputs[name]}
        results = list(self._request(name, size, tokens, sliding).infer({**some, **source}, share_inputs=True).values())
        if name == "denoiser" and not sliding:
            results = results[:1]  # what its views show nobody keeps
        return [torch.from_numpy(np.array(value)) for value in results]


def _array(value: Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.float().numpy())


def _filled(shape: list[int], views: int) -> list[int]:
    """A shape of the manifest with its open side set. A condition that is left out is zeros: see `Denoiser.forward`."""
    return [views if side == OPEN else side for side in shape]


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """(n, ...) -> (size, ...) with zeros behind."""
    if len(values) < size:
        values = np.pad(values, [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1))
    return np.ascontiguousarray(values)
