"""Which engine a render uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from signgen.errors import BadValue, Mismatch, NotFound, missing_extra
from signgen.model.engine import Engine, TorchEngine
from signgen.model.openvino.engine import HINTS, OpenVinoEngine
from signgen.model.openvino.exports import find_export, has_openvino

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

BACKENDS = ("auto", "torch", "openvino")


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
