"""mmpose 1.3.2 for inference beside current torch, numpy and transformers, with mmcv-lite; and its checkpoints.

mmpose's packages import torchvision, mmdet, compiled mmcv operators, xtcocotools, munkres and (through mmengine)
pkg_resources on the way, though top-down estimators of heat maps use none of them. A placeholder takes the place of
each module that would fail, and only where the real requirement is absent; using one says what it needs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from signgen.errors import Damaged, Mismatch, Untrusted
from signgen.extraction.packages import UNREADABLE


@dataclass(frozen=True)
class Placeholder:
    """A module that stands in for one which could not be imported.

    Attributes:
        module: its full name.
        names: classes that others import from it.
        needs: the module without which the real one does not import.
    """

    module: str
    names: tuple[str, ...]
    needs: str


PLACEHOLDERS = (
    Placeholder("mmpose.visualization.simcc_vis", ("SimCCVisualizer",), "torchvision"),
    Placeholder("mmpose.models.heads.hybrid_heads.rtmo_head", ("RTMOHead",), "mmdet"),
    Placeholder("mmpose.models.heads.transformer_heads", ("EDPoseHead",), "mmcv._ext"),
    Placeholder("mmpose.apis.inferencers", ("MMPoseInferencer", "Pose2DInferencer"), "pkg_resources"),
    Placeholder("xtcocotools", (), "xtcocotools"),
    Placeholder("xtcocotools.coco", ("COCO",), "xtcocotools"),
    Placeholder("xtcocotools.cocoeval", ("COCOeval",), "xtcocotools"),
    Placeholder("xtcocotools.mask", (), "xtcocotools"),
    Placeholder("munkres", ("Munkres",), "munkres"),
)


def _present(module: str) -> bool:
    """Whether a module can be found; a parent that is absent or broken counts as no."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _unusable(name: str, entry: Placeholder) -> type:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise ImportError(f"{entry.module}.{name} needs {entry.needs}, which is not installed")

    return type(name, (), {"__init__": refuse, "__module__": entry.module})


def _module(entry: Placeholder, is_package: bool) -> ModuleType:
    module = ModuleType(entry.module, f"Placeholder: {entry.needs} is not installed.")
    module.__spec__ = ModuleSpec(entry.module, None, is_package=is_package)
    if is_package:
        module.__path__ = []
    for name in entry.names:
        setattr(module, name, _unusable(name, entry))
    return module


def prepare(placeholders: tuple[Placeholder, ...] = PLACEHOLDERS) -> list[str]:
    """Puts placeholders where they are needed; call it before mmpose is imported. Returns the modules replaced."""
    absent = {entry.needs for entry in placeholders if not _present(entry.needs)}
    replaced = []
    for entry in placeholders:
        if entry.needs not in absent or entry.module in sys.modules:
            continue
        below = any(other.module.startswith(f"{entry.module}.") for other in placeholders)
        sys.modules[entry.module] = _module(entry, below)
        parent, _, name = entry.module.rpartition(".")
        if parent in replaced:
            setattr(sys.modules[parent], name, sys.modules[entry.module])
        replaced.append(entry.module)
    return replaced


def read_state(path: Path, wanted: str) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint, read without running anything that is pickled in it."""
    core = import_module("numpy._core.multiarray")  # puts together arrays in the meta data; numpy 1 called it otherwise
    dtypes = [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)]
    old_names = [(getattr(core, name), f"numpy.core.multiarray.{name}") for name in ("_reconstruct", "scalar")]
    allowed = [np.dtype, np.ndarray, core._reconstruct, core.scalar, *old_names, *dtypes]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        advice = "save its state_dict alone: torch.save({'state_dict': checkpoint['state_dict']}, FILE)"
        raise Untrusted(path, "holds other things than weights, or is cut off", advice) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise Damaged(path, "holds no state_dict", f"give {wanted}")
    return state


def fill(model: torch.nn.Module, state: dict[str, torch.Tensor], path: Path, wanted: str) -> None:
    """Puts the weights into the model; all of them must fit, but for what the input's normalisation keeps."""
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise Mismatch(path, "weights of another network", f"give {wanted}") from error
    wrong = [key for key in (*missing, *unexpected) if not key.startswith("data_preprocessor.")]
    if wrong:
        raise Mismatch(path, f"{len(wrong)} weights do not fit, such as {wrong[0]}", f"give {wanted}")
