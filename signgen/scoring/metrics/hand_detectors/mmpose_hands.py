"""HRNetV2-W18 for hands as mmpose runs it: the detector of FPDM's Hand PE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen.errors import NotInstalled, Unsupported
from signgen.extraction.mmpose_package import fill, prepare, read_state
from signgen.extraction.packages import INSTALL, fingerprint, import_or_say, weights_file
from signgen.scoring.metrics.hand_detectors.interface import as_hand, before_padding, detect_each

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
    raise Unsupported(checkpoint, "its name does not say which model it is", f"give {WANTED}")


def load_mmpose(weights: str | Path | None) -> MMPoseHands:
    """HRNetV2 with a local checkpoint; the configuration comes from mmpose's wheel.

    Raises:
        InputError: mmpose is not installed, or the checkpoint is missing, unsafe or another model's.
    """
    path = weights_file(weights, "mmpose", WANTED)
    folder, stem = config_name(path)
    prepare()
    apis = import_or_say("mmpose.apis", INSTALL["mmpose"])
    root = Path(import_or_say("mmpose", INSTALL["mmpose"]).__file__ or "").parent
    config = root / ".mim" / "configs" / CONFIGS / folder / f"{stem}.py"
    if not config.is_file():
        raise NotInstalled(config, "not found", f"install the wheel that brings it: {INSTALL['mmpose']}")
    # Without init_cfg the backbone would fetch its ImageNet weights, which the checkpoint replaces anyway.
    model = apis.init_model(str(config), None, device="cpu", cfg_options={"model.backbone.init_cfg": None})
    fill(model, read_state(path, WANTED), path, WANTED)
    return MMPoseHands(model, apis.inference_topdown, f"config:{stem},flip-test,weights:{fingerprint(path)}")
