"""Exported networks as the engine of a pipeline, see `signgen.pipeline.engine.Engine`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from signgen.errors import InputError, missing_extra
from signgen.export.graphs import NAMES
from signgen.export.manifest import COMPILED, ExportManifest
from signgen.export.places import has_openvino

if TYPE_CHECKING:
    from signgen.pipeline import SignGenPipeline

HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}


class OpenVinoEngine:
    """Runs the graphs of an export on the CPU.

    Args:
        pipeline: whose weights were exported; it still encodes the source. Its dtype decides what is computed in:
            bfloat16, or float32, which also keeps int8 parts from falling back to bfloat16.
        folder: the export.

    Raises:
        InputError: OpenVINO is not installed, or the export is none of this pipeline's weights.
    """

    def __init__(self, pipeline: SignGenPipeline, folder: str | Path) -> None:
        manifest = ExportManifest.read(folder)
        if manifest.weights_sha256 != pipeline.weights_sha256():
            raise InputError(folder, f"was made of other weights than {pipeline.name}'s", "export the model again")
        if pipeline.dtype not in HINTS or pipeline.device.type != "cpu":
            got = f"got {str(pipeline.dtype).removeprefix('torch.')} on {pipeline.device}"
            raise InputError("--backend openvino", got, "it computes in float32 or bfloat16 on a CPU")
        if not has_openvino():
            raise missing_extra("openvino", "cpu")
        import openvino

        self.pipeline, self._inputs = pipeline, manifest.inputs
        self.threads: int | None = 1  # OpenVINO's own wait on the other cores
        parts = ", ".join(f"{name} {kind}" for name, kind in manifest.precision.items() if kind == "int8")
        version = openvino.__version__.split("-")[0]
        self.name = f"openvino {version} {HINTS[pipeline.dtype]}" + (f" ({parts})" if parts else "")
        core = openvino.Core()
        if os.access(folder, os.W_OK):  # compiling anew would take a second or two of each start
            core.set_property({"CACHE_DIR": str(Path(folder) / COMPILED)})
        settings = {"INFERENCE_PRECISION_HINT": HINTS[pipeline.dtype], "PERFORMANCE_HINT": "LATENCY"}
        settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        self._requests: dict[str, Any] = {}
        for name in NAMES:
            compiled = core.compile_model(Path(folder) / f"{name}.xml", "CPU", settings)
            self._requests[name] = compiled.create_infer_request()

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        given = {"poses": poses} if embedding is None else {"poses": poses, "embedding": _array(embedding)}
        outputs = self._run("conditions", given)
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> Tensor:
        values = {"noisy": _array(noisy), "timestep": np.asarray(int(timestep), np.int64)}
        for name, shape in self._inputs["denoiser"].items():
            value = given.get(name)
            if name not in values:
                values[name] = np.zeros(_filled(shape, len(noisy)), np.float32) if value is None else _array(value)
        return self._run("denoiser", values)[0]

    def frames(self, latents: Tensor) -> np.ndarray:
        return self._run("decoder", {"latents": _array(latents)})[0].numpy()

    def _run(self, name: str, inputs: dict[str, np.ndarray]) -> list[Tensor]:
        """The outputs of a graph; copies, because the next run writes to the same memory."""
        request = self._requests[name]
        results = request.infer(inputs, share_inputs=True)
        return [torch.from_numpy(np.array(value)) for value in results.values()]


def _array(value: Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.float().numpy())


def _filled(shape: list[int], views: int) -> list[int]:
    """A shape of the manifest with its open side set. A condition that is left out is zeros: see `Denoiser.forward`."""
    return [views if side == -1 else side for side in shape]
