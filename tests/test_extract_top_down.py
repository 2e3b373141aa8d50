"""mmpose and rtmlib for whole bodies: the adapters against fakes, and the real packages where they are installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from signgen.errors import InputError
from signgen.extraction import rtmlib_wholebody
from signgen.extraction.estimator import Estimator, whole_frame
from signgen.extraction.mmpose_wholebody import MMPoseWholeBody, find_config
from signgen.extraction.rtmlib_wholebody import RTMLibWholeBody, load_rtmlib
from signgen.keypoints.skeleton import MIRROR, NAMES

DARK = "hrnet_w48_coco_wholebody_384x288_dark-f5726563_20200918.pth"
DARK_CONFIG = "td-hm_hrnet-w48_dark-8xb32-210e_coco-wholebody-384x288"


def lit(count: int = 2) -> np.ndarray:
    """Frames with one red pixel at (10 + number, 20)."""
    frames = np.zeros((count, 60, 40, 3), np.uint8)
    for number in range(count):
        frames[number, 20, 10 + number, 0] = 255
    return frames


# ---- mmpose ----------------------------------------------------------------------------------------------------------


def test_mmpose_gets_one_batch_of_bgr_images_with_the_box() -> None:
    def test_step(batch: list[dict[str, Any]]) -> list[SimpleNamespace]:
        found = []
        for sample in batch:
            assert sample["bbox"].tolist() == [[1, 2, 30, 50]]
            assert sample["sign"] == "mine"  # the data set's own description travels with each image
            (y,), (x,) = np.nonzero(sample["img"][..., 2])
            points = np.tile([float(x), float(y)], (1, 133, 1))
            found.append(
                SimpleNamespace(
                    pred_instances=SimpleNamespace(keypoints=points, keypoint_scores=np.full((1, 133), 0.5))
                )
            )
        return found

    model = SimpleNamespace(test_step=test_step, dataset_meta={"sign": "mine"})
    estimator = MMPoseWholeBody(model, lambda sample: sample, list, "label")
    points = estimator.look(lit(), np.array([1.0, 2.0, 30.0, 50.0]), follows=False)
    assert points.shape == (2, 133, 3)
    assert points[:, 7].tolist() == [[10, 20, 0.5], [11, 20, 0.5]]
    assert isinstance(estimator, Estimator)


def wheel(root: Path) -> Path:
    """A folder as mmpose's wheel has it: a list of checkpoints beside the configurations."""
    place = root / "configs" / "wholebody_2d_keypoint" / "coco"
    place.mkdir(parents=True)
    (place / f"{DARK_CONFIG}.py").write_text("")
    line = f"configs/wholebody_2d_keypoint/coco/{DARK_CONFIG}.py"
    (place / "dark.yml").write_text(f"Models:\n- Config: {line}\n  Weights: https://host/{DARK}\n- Config: x.py\n")
    return root


def test_the_wheel_says_which_configuration_a_checkpoint_has(tmp_path: Path) -> None:
    root = wheel(tmp_path)
    assert find_config(root, Path("else") / DARK, None).stem == DARK_CONFIG
    assert find_config(root, Path("mine.pth"), DARK_CONFIG).stem == DARK_CONFIG
    own = tmp_path / "own.py"
    own.write_text("")
    assert find_config(root, Path("mine.pth"), own) == own
    with pytest.raises(InputError, match="its name is not one that mmpose lists"):
        find_config(root, Path("mine.pth"), None)
    with pytest.raises(InputError, match="--config: got absent"):
        find_config(root, Path("mine.pth"), "absent")
    with pytest.raises(InputError, match="install the wheel"):
        find_config(tmp_path / "nowhere", Path(DARK), None)


@pytest.fixture(scope="module")
def mmpose() -> Any:
    """mmpose's ``apis``, imported as signgen imports it."""
    from signgen.extraction.mmpose_package import prepare

    if not prepare_or_none():
        pytest.skip("the extra mmpose is not installed")
    prepare()
    from mmpose import apis

    return apis


def prepare_or_none() -> bool:
    from importlib.util import find_spec

    return find_spec("mmpose") is not None


@pytest.fixture(scope="module")
def hrnet(mmpose: Any) -> Any:
    """HRNet-W48 DARK as the wheel describes it, with random weights."""
    from mmpose import __file__ as file

    from signgen.extraction.mmpose_wholebody import build

    torch.manual_seed(0)
    return build(mmpose, find_config(Path(file).parent / ".mim", Path(DARK), None))


def test_hrnet_of_the_wheel_has_our_points_in_our_order(hrnet: Any) -> None:
    assert [hrnet.dataset_meta["keypoint_id2name"][joint] for joint in range(133)] == list(NAMES)
    assert list(hrnet.dataset_meta["flip_indices"]) == MIRROR.tolist()


def test_hrnet_gives_133_points_a_frame_in_the_frames_pixels(hrnet: Any) -> None:
    """Each heat map is made to peak where its channel says: the points must come back there, in order."""
    from signgen.extraction.mmpose_wholebody import from_model

    width, height = 270, 360  # of the shape of the network's input
    head, wanted = (
        hrnet.head.forward,
        torch.tensor([[j % 12 + 30, j // 12 + 40] for j in range(133)]),
    )  # cells of 72 x 96

    def peaked(features: Any) -> torch.Tensor:
        maps = torch.zeros(features[0].shape[0], 133, 96, 72)
        y, x = torch.meshgrid(torch.arange(96.0), torch.arange(72.0), indexing="ij")
        for joint, (across, down) in enumerate(wanted.tolist()):
            maps[:, joint] = torch.exp(-((x - across) ** 2 + (y - down) ** 2) / 18)
        return maps

    options = hrnet.test_cfg["flip_test"]
    hrnet.head.forward, hrnet.test_cfg["flip_test"] = peaked, False
    try:
        frames = np.zeros((3, height, width, 3), np.uint8)
        points = from_model(hrnet, "x").look(frames, whole_frame(width, height), follows=False)
    finally:
        hrnet.head.forward, hrnet.test_cfg["flip_test"] = head, options
    assert points.shape == (3, 133, 3)
    # What is looked at is a quarter larger than the frame: 72 cells for 337.5 pixels.
    share = (wanted.numpy() + 0.5) / [72, 96] - 0.5
    assert points[0, :, :2] == pytest.approx(share * [1.25 * width, 1.25 * height] + [width / 2, height / 2], abs=4)
    assert (points[0] == points[2]).all()
    assert (np.diff(points[0, :12, 0]) > 3).all()


def test_a_batch_gives_what_single_frames_give(hrnet: Any) -> None:
    from signgen.extraction.mmpose_wholebody import from_model

    frames = np.random.default_rng(0).integers(0, 255, (2, 64, 48, 3), dtype=np.uint8)
    estimator, box = from_model(hrnet, "x"), whole_frame(48, 64)
    both = estimator.look(frames, box, follows=False)
    each = [estimator.look(frames[i : i + 1], box, follows=False)[0] for i in range(2)]
    assert both[..., 2] == pytest.approx(np.stack(each)[..., 2], abs=1e-4)


def test_openvino_computes_the_same_features(hrnet: Any) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from signgen.extraction.mmpose_wholebody import OpenVinoBackbone

    images = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 384, 288)).astype(np.float32))
    with torch.inference_mode():
        (expected, *_), (got, *_) = hrnet.backbone(images), OpenVinoBackbone(hrnet.backbone, (384, 288), "f32")(images)
    assert got.shape == expected.shape == (2, 48, 96, 72)
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-3


# ---- rtmlib ----------------------------------------------------------------------------------------------------------


class FakeRTMPose:
    """rtmlib's interface around a model that finds the red pixel; it records the batches that are run."""

    def __init__(self, batch: Any = "batch", points: int = 133) -> None:
        self.batches: list[int] = []
        self.points = points
        self.session = SimpleNamespace(
            get_inputs=lambda: [SimpleNamespace(name="input", shape=[batch, 3, 60, 40])], run=self.run
        )

    def preprocess(self, frame: np.ndarray, box: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert box == [-0.5, -0.5, 39.5, 59.5]
        return frame / 1.0, np.array([20.0, 30.0]), np.array([40.0, 60.0])

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        images = inputs["input"]
        self.batches.append(len(images))
        assert images.dtype == np.float32
        place = [np.argwhere(image[0])[0][::-1] for image in images]
        return [np.repeat(np.array(place)[:, axis, None], self.points, 1) for axis in (0, 1)]

    def postprocess(
        self, outputs: list[np.ndarray], centre: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.stack(outputs, -1) + centre - scale / 2, np.full((1, self.points), 1.5)


@pytest.mark.parametrize(("batch", "batches"), [("batch", [3]), (1, [1, 1, 1]), (2, [2, 2]), (8, [8])])
def test_rtmlib_runs_what_batches_the_file_allows(batch: Any, batches: list[int]) -> None:
    model = FakeRTMPose(batch)
    points = RTMLibWholeBody(model, "x").look(lit(3), whole_frame(40, 60), follows=False)
    assert model.batches == batches
    assert points[:, 132].tolist() == [[10, 20, 1.5], [11, 20, 1.5], [12, 20, 1.5]]


def test_a_model_of_other_points_is_refused() -> None:
    with pytest.raises(InputError, match="gives 17 points"):
        RTMLibWholeBody(FakeRTMPose(points=17), "x").look(lit(), whole_frame(40, 60), follows=False)


def simcc_model(path: Path, points: int = 133, size: tuple[int, int] = (48, 64)) -> Path:
    """An ONNX file with SimCC's outputs: each point is where the image's red is brightest along x and along y."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed, and no model can be written")
    from onnx import TensorProto, helper, numpy_helper

    width, height = size
    nodes = [helper.make_node("Split", ["input"], ["red", "green", "blue"], axis=1, num_outputs=3)]
    for name in "xy":
        nodes += [
            helper.make_node("ReduceMax", ["red", f"axis_{name}"], [f"max_{name}"], keepdims=0),  # (N,1,length)
            helper.make_node("Resize", [f"max_{name}", "", f"scale_{name}"], [f"fine_{name}"], mode="linear"),
            helper.make_node("Expand", [f"fine_{name}", f"shape_{name}"], [f"simcc_{name}"]),
        ]
    constants = {"axis_x": np.array([2]), "axis_y": np.array([3])}
    constants |= {f"scale_{name}": np.array([1, 1, 2], np.float32) for name in "xy"}
    constants |= {f"shape_{name}": np.array([1, points, 1]) for name in "xy"}
    outputs = [
        helper.make_tensor_value_info(f"simcc_{name}", TensorProto.FLOAT, ["batch", points, 2 * length])
        for name, length in (("x", width), ("y", height))
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, height, width])
    graph = helper.make_graph(
        nodes, "simcc", [given], outputs, [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def test_a_gpu_that_onnxruntime_does_not_find_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would compute on the CPU, and warn of it on the way."""
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    made = SimpleNamespace(RTMPose=lambda *_, **__: SimpleNamespace(session=session))
    monkeypatch.setattr(rtmlib_wholebody, "import_or_say", lambda module, command: made)
    (tmp_path / "a.onnx").write_bytes(b"a model")
    with pytest.raises(InputError, match="onnxruntime finds no CUDA here"):
        load_rtmlib(tmp_path / "a.onnx", "cuda")


def test_rtmlib_itself_reads_a_local_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("rtmlib", reason="the extra rtmlib is not installed")
    estimator = load_rtmlib(simcc_model(tmp_path / "a.onnx"), "cpu")
    assert "input:48x64" in estimator.signature
    frames = np.zeros((2, 128, 96, 3), np.uint8)
    frames[0, 40:44, 30:34, 0] = frames[1, 80:84, 60:64, 0] = 255
    points = estimator.look(frames, whole_frame(96, 128), follows=False)
    assert points.shape == (2, 133, 3)
    assert points[:, 50, :2] == pytest.approx(np.array([[31.5, 41.5], [61.5, 81.5]]), abs=3)
    assert capsys.readouterr().out == ""


def test_rtmlib_refuses_other_files(tmp_path: Path) -> None:
    pytest.importorskip("rtmlib", reason="the extra rtmlib is not installed")
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="is no ONNX model"):
        load_rtmlib(tmp_path / "a.onnx", "cpu")
