"""HRNet-W48 for COCO-WholeBody as mmpose runs it: the estimator of the PHOENIX14T keypoints that FPDM uses.

The configuration comes from mmpose's wheel, the weights from a local checkpoint of its model zoo. mmpose itself cuts
out images and decodes heat maps; OpenVINO, where it is asked for or installed, computes the backbone alone.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from signgen.errors import Mismatch, NotFound, NotInstalled, missing_extra
from signgen.extraction.estimator import as_bodies
from signgen.extraction.mmpose_package import fill, prepare, read_state
from signgen.extraction.packages import INSTALL, fingerprint, import_or_say, weights_file
from signgen.model.openvino.exports import has_openvino

CONFIGS = "wholebody_2d_keypoint"  # below the configurations that mmpose's wheel brings
WANTED = (
    "a checkpoint of mmpose's model zoo for COCO-WholeBody, "
    "such as hrnet_w48_coco_wholebody_384x288_dark-f5726563_20200918.pth"
)
DTYPES = {"auto": "f32", "float32": "f32", "bfloat16": "bf16"}  # as `--dtype` and as OpenVINO call them


class MMPoseWholeBody:
    """A top-down estimator of mmpose with 133 points.

    Args:
        model: as mmpose's ``init_model`` gives it.
        transform: from an image with a box to the network's input, mmpose's own for this model.
        collate: what makes a batch of such inputs, ``mmengine.dataset.pseudo_collate``.
        label: of the configuration and the weights, for the signature.
    """

    def __init__(self, model: Any, transform: Any, collate: Any, label: str) -> None:
        self.model, self.transform, self.collate = model, transform, collate
        self.signature = f"mmpose,{label}"

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        """See `Estimator.look`; all frames are one batch. The score is the peak of the heat map."""
        samples = [self.transform(self._sample(frame, box)) for frame in frames]
        with torch.inference_mode():
            results = self.model.test_step(self.collate(samples))
        found = [result.pred_instances for result in results]
        points = [np.asarray(one.keypoints)[0] for one in found]
        return as_bodies(points, [np.asarray(one.keypoint_scores)[0] for one in found], "mmpose")

    def _sample(self, frame: np.ndarray, box: np.ndarray) -> dict[str, Any]:
        """What mmpose calls a data sample; it takes arrays as OpenCV reads them, BGR."""
        image = np.ascontiguousarray(frame[..., ::-1])
        where = np.asarray(box, np.float32)[None]
        return {"img": image, "bbox": where, "bbox_score": np.ones(1, np.float32), **self.model.dataset_meta}


def load_mmpose(
    weights: str | Path | None, config: str | Path | None, device: str, engine: str, dtype: str
) -> MMPoseWholeBody:
    """The estimator that a checkpoint was made for.

    Args:
        weights: the checkpoint.
        config: a configuration file, or the name of one in mmpose's wheel; None: the one that the wheel lists for a
            checkpoint of this name.
        device: ``cpu`` or ``cuda``.
        engine: ``auto``, ``torch`` or ``openvino``; auto takes OpenVINO where it is installed and the device is a CPU.
        dtype: ``auto``, ``float32`` or, with OpenVINO, ``bfloat16``.

    Raises:
        InputError: something is not installed, or the checkpoint is missing, unsafe, or another model's.
    """
    path = weights_file(weights, "mmpose", WANTED, role="estimator")
    prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mmpose warns of operators and files that it does not need here
        root = Path(import_or_say("mmpose", INSTALL["mmpose"]).__file__ or "").parent / ".mim"
        apis = import_or_say("mmpose.apis", INSTALL["mmpose"])
        place = find_config(root, path, config)
        state = read_state(path, WANTED)
        model = build(apis, place, device)
    fill(model, state, path, WANTED)
    computed = choose_engine(model, engine, device, dtype)
    label = f"config:{place.stem},flip-test,{computed},weights:{fingerprint(path)}"
    return from_model(model, label)


def build(apis: Any, config: Path, device: str = "cpu") -> Any:
    """The network of a configuration with random weights, ready for use.

    Without init_cfg the backbone would fetch its ImageNet weights, which the checkpoint replaces anyway.
    """
    return apis.init_model(str(config), None, device=device, cfg_options={"model.backbone.init_cfg": None})


def from_model(model: Any, label: str) -> MMPoseWholeBody:
    """A built network with the ways in and out that its configuration names."""
    dataset = import_module("mmengine.dataset")
    scope = import_module("mmengine.registry").init_default_scope
    scope(model.cfg.get("default_scope", "mmpose"))
    transform = dataset.Compose(model.cfg.test_dataloader.dataset.pipeline)
    return MMPoseWholeBody(model, transform, dataset.pseudo_collate, label)


def find_config(root: Path, checkpoint: Path, config: str | Path | None) -> Path:
    """The configuration of a checkpoint; mmpose's wheel lists the names of its checkpoints beside its configurations.

    Args:
        root: the folder of the wheel that holds ``configs``.
    """
    configs = root / "configs" / CONFIGS
    if not configs.is_dir():
        raise NotInstalled(configs, "not found", f"install the wheel that brings it: {INSTALL['mmpose']}")
    if config is not None:
        return _named_config(configs, config)
    for listing in sorted(configs.rglob("*.yml")):
        for line, weights in _listed(listing):
            if weights == checkpoint.name:
                return root / line
    advice = f"give {WANTED}, or name its configuration with --config"
    raise NotFound(checkpoint, "its name is not one that mmpose lists for whole bodies", advice)


def _named_config(configs: Path, config: str | Path) -> Path:
    """A file of the user's, or the only one of that stem in the wheel."""
    if Path(config).is_file():
        return Path(config)
    found = sorted(configs.rglob(f"{Path(config).stem}.py")) if Path(config).name == str(config) else []
    if not found:
        advice = "give a file, or a name in mmpose's wheel such as td-hm_hrnet-w48_8xb32-210e_coco-wholebody-384x288"
        raise NotFound("--config", f"got {config}", advice)
    return found[0]


def _listed(listing: Path) -> list[tuple[str, str]]:
    """(configuration below the wheel's root, name of its checkpoint) of each model that a file lists."""
    import yaml

    models = yaml.safe_load(listing.read_text(encoding="utf-8")).get("Models", [])
    return [(model["Config"], str(model["Weights"]).rsplit("/", 1)[-1]) for model in models if "Weights" in model]


def choose_engine(model: Any, engine: str, device: str, dtype: str) -> str:
    """Puts OpenVINO in the backbone's place where that is wanted and possible; returns its name for the signature."""
    if engine == "torch" or (engine == "auto" and (device != "cpu" or not has_openvino())):
        if dtype not in ("auto", "float32"):
            got = f"got {dtype} with torch"
            raise Mismatch("--dtype", got, "bfloat16 needs OpenVINO on a CPU: pip install openvino")
        return f"torch-{device}"
    if device != "cpu":
        raise Mismatch("--engine openvino", f"got --device {device}", "it computes on a CPU")

    width, height = model.cfg.codec["input_size"]
    model.backbone = OpenVinoBackbone(model.backbone, (height, width), DTYPES[dtype])
    return model.backbone.name


class OpenVinoBackbone(nn.Module):
    """Takes the place of a backbone whose input is one batch of images and whose output is a tuple of feature maps.

    Args:
        backbone: trained, on the CPU.
        size: (height, width) of its input.
        precision: what is computed in: ``f32`` or ``bf16``.

    Attributes:
        name: of engine, version and precision, for signatures.

    Raises:
        NotInstalled: OpenVINO is not installed.
    """

    def __init__(self, backbone: nn.Module, size: tuple[int, int], precision: str) -> None:
        super().__init__()
        if not has_openvino():
            raise missing_extra("openvino", "cpu")
        import openvino

        backbone.eval()  # in a line of its own: mmpose's backbones return None here
        with torch.no_grad():
            graph = openvino.convert_model(backbone, example_input=(torch.zeros(1, 3, *size),))
        graph.reshape([-1, 3, *size])
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        self._request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        self.name = f"openvino-{openvino.__version__.split('-')[0]}-{precision}"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """float32 (N, 3, H, W) -> feature maps, each (N, C, h, w)."""
        results = self._request.infer([np.ascontiguousarray(images.float().numpy())])
        return tuple(torch.from_numpy(np.array(value)) for value in results.values())
