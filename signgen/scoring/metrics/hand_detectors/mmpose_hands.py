"""HRNetV2-W18 for hands as mmpose runs it: the detector of FPDM's Hand PE."""

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

from signgen.errors import InputError
from signgen.scoring.metrics.hand_detectors.interface import (
    as_hand,
    before_padding,
    detect_each,
    fingerprint,
    import_or_say,
    weights_file,
)
from signgen.scoring.metrics.weight_files import UNREADABLE

# Importing mmpose 1.3.2 for inference beside current torch, numpy and transformers, with mmcv-lite.
# mmpose's packages import torchvision, mmdet, compiled mmcv operators, xtcocotools, munkres and (through mmengine)
# pkg_resources on the way, though top-down estimators of heat maps use none of them. A placeholder takes the place of
# each module that would fail, and only where the real requirement is absent; using one says what it needs.


# Their metadata asks for packages that do not build and for a torchvision that breaks transformers: hence two steps.
INSTALL = 'pip install "signgen[mmpose]" && pip install --no-deps mmpose==1.3.2 mmengine==0.10.7 mmcv-lite==2.2.0'


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


CONFIGS = "hand_2d_keypoint/topdown_heatmap"  # below the configurations that mmpose's wheel brings
DATASETS = {  # words of a checkpoint's name -> folder, and the configuration's name with room for its variant
    "onehand10k": ("onehand10k", "td-hm_hrnetv2-w18_{}8xb64-210e_onehand10k-256x256"),
    "coco_wholebody_hand": ("coco_wholebody_hand", "td-hm_hrnetv2-w18_{}8xb32-210e_coco-wholebody-hand-256x256"),
}
VARIANTS = ("dark", "udp")
WANTED = (
    "a checkpoint of mmpose's model zoo for HRNetV2 hands, whose name says onehand10k or coco_wholebody_hand, "
    "such as hrnetv2_w18_onehand10k_256x256-30bc9c6b_20210330.pth"
)


class MMPoseHands:
    """A top-down estimator of mmpose with 21 joints.

    Args:
        model: as mmpose's ``init_model`` gives it.
        infer: mmpose's ``inference_topdown``.
        label: of the configuration and the weights, for the signature.
    """

    found_from = 0.0  # the network always gives its best guess, and the papers score all of them

    def __init__(self, model: Any, infer: Any, label: str) -> None:
        self.model, self.infer = model, infer
        self.signature = f"mmpose,{label}"

    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        """See `HandDetector.detect`. The score is the peak of the heat map."""
        return detect_each(frames, boxes, self._look)

    def _look(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        bgr = np.ascontiguousarray(frame[..., ::-1])  # mmpose takes arrays as OpenCV reads them
        with torch.inference_mode():
            samples = self.infer(self.model, bgr, before_padding(box)[None], bbox_format="xyxy")
        found = samples[0].pred_instances
        return as_hand(found.keypoints, found.keypoint_scores, "mmpose")


def config_name(checkpoint: Path) -> tuple[str, str]:
    """Folder and stem of the configuration that a checkpoint of the model zoo belongs to, from its name."""
    name = checkpoint.name.lower().replace("-", "_")
    for words, (folder, stem) in DATASETS.items():
        if words in name:
            variant = next((v for v in VARIANTS if v in name.split("_")), "")
            return folder, stem.format(variant and f"{variant}-")
    raise InputError(checkpoint, "its name does not say which model it is", f"give {WANTED}")


def read_state(path: Path, wanted: str = WANTED) -> dict[str, torch.Tensor]:
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
        raise InputError(path, "holds other things than weights, or is cut off", advice) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(path, "holds no state_dict", f"give {wanted}")
    return state


def load_mmpose(weights: str | Path | None) -> MMPoseHands:
    """HRNetV2 with a local checkpoint; the configuration comes from mmpose's wheel.

    Raises:
        InputError: mmpose is not installed, or the checkpoint is missing, unsafe or another model's.
    """
    path = weights_file(weights, "mmpose", WANTED)
    folder, stem = config_name(path)
    prepare()
    apis = import_or_say("mmpose.apis", INSTALL)
    root = Path(import_or_say("mmpose", INSTALL).__file__ or "").parent
    config = root / ".mim" / "configs" / CONFIGS / folder / f"{stem}.py"
    if not config.is_file():
        raise InputError(config, "not found", f"install the wheel that brings it: {INSTALL}")
    # Without init_cfg the backbone would fetch its ImageNet weights, which the checkpoint replaces anyway.
    model = apis.init_model(str(config), None, device="cpu", cfg_options={"model.backbone.init_cfg": None})
    fill(model, read_state(path), path)
    return MMPoseHands(model, apis.inference_topdown, f"config:{stem},flip-test,weights:{fingerprint(path)}")


def fill(model: torch.nn.Module, state: dict[str, torch.Tensor], path: Path, wanted: str = WANTED) -> None:
    """Puts the weights into the model; all of them must fit, but for what the input's normalisation keeps."""
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise InputError(path, "weights of another network", f"give {wanted}") from error
    wrong = [key for key in (*missing, *unexpected) if not key.startswith("data_preprocessor.")]
    if wrong:
        raise InputError(path, f"{len(wrong)} weights do not fit, such as {wrong[0]}", f"give {wanted}")
