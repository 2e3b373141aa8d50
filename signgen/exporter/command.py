"""From the arguments of an export to its folder in place."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signgen.errors import InputError, missing_extra
from signgen.model.openvino.graphs import NAMES
from signgen.model.openvino.manifest import COMPILED, FILE
from signgen.model.openvino.places import default_place, has_openvino

FILES = {FILE, COMPILED, *(f"{name}{suffix}" for name in NAMES for suffix in (".xml", ".bin"))}


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
    from signgen.exporter.build import export_pipeline
    from signgen.model import SignGenPipeline

    chosen = None if output is None else Path(output)
    if chosen is not None:
        _check_replaceable(chosen)
    pipeline = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")
    target = chosen or default_place(pipeline.weights_sha256())
    _check_replaceable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".signgen-", dir=target.parent))
    except OSError as error:
        raise InputError(target, f"cannot be written ({error.strerror})", "choose another folder") from None
    try:
        manifest = export_pipeline(pipeline, temporary, int8, say)
        temporary.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {
        "output": str(target),
        "model": str(model),
        "weights_sha256": manifest.weights_sha256,
        "precision": manifest.precision,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _check_replaceable(folder: Path) -> None:
    """Only an earlier export, or an empty folder, may make room."""
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, "is a file", "give a folder of its own")
    strange = sorted(path.name for path in folder.iterdir() if path.name not in FILES) if folder.is_dir() else []
    if strange:
        raise InputError(folder, f"holds other things, such as {strange[0]}", "give a new or empty folder")
