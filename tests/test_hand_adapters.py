"""The adapters to other people's detectors, against small fakes of their interfaces that look at the pixels."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hand_painter import HEIGHT, LEFT, RIGHT, WIDTH, keypoints, painted

from signgen.errors import InputError
from signgen.extraction import EstimatorSettings
from signgen.extraction.loading import load_estimator
from signgen.extraction.mmpose_package import Placeholder, fill, prepare, read_state
from signgen.scoring.metrics.hand_detectors import HandDetector, found, load_hand_detector, search_boxes
from signgen.scoring.metrics.hand_detectors.mediapipe_hands import CROP, MediaPipeHands
from signgen.scoring.metrics.hand_detectors.mmpose_hands import WANTED, MMPoseHands, config_name
from signgen.scoring.metrics.hand_detectors.rtmlib_hands import RTMLibHands

BOXES = search_boxes(*keypoints(), WIDTH, HEIGHT)
CENTRES = np.array([LEFT, RIGHT])


def top_down(image: np.ndarray, box: Any, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """What a top-down estimator gives: it enlarges the box by a quarter, and must find red light in ``channel``.

    Joint 0 is the light's centre; joints 1 and 2 are two corners of what it saw, so that a test can ask for them.
    """
    x0, y0, x1, y1 = np.asarray(box, float)
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, 1.25 * np.array([x1 - x0, y1 - y0]) / 2
    y, x = np.nonzero(image[..., channel] > 128)
    inside = (np.abs(np.stack([x, y], -1) - centre) <= half).all(-1)
    points = np.zeros((1, 21, 2))
    points[0, :3] = (x[inside].mean(), y[inside].mean()), centre - half, centre + half
    return points, np.full((1, 21), 0.75)


def red() -> np.ndarray:
    frames = painted()
    frames[..., 1:] = 0
    return frames


def saw_the_box(joints: np.ndarray) -> None:
    assert joints.shape == (1, 2, 21, 3)
    assert joints[0, :, 0, :2] == pytest.approx(CENTRES)
    assert joints[0, :, 1:3, :2].reshape(2, 4) == pytest.approx(BOXES[0], abs=1e-4)
    assert joints[..., 2] == pytest.approx(0.75)


def test_mmpose_gets_bgr_and_a_box_that_it_enlarges_to_ours() -> None:
    def infer(model: str, image: np.ndarray, boxes: np.ndarray, bbox_format: str) -> list:
        assert (model, bbox_format, boxes.shape) == ("model", "xyxy", (1, 4))
        points, scores = top_down(image, boxes[0], channel=2)
        return [SimpleNamespace(pred_instances=SimpleNamespace(keypoints=points, keypoint_scores=scores))]

    detector = MMPoseHands("model", infer, "config:x,weights:y")
    saw_the_box(detector.detect(red(), BOXES))
    assert isinstance(detector, HandDetector)


def test_rtmlib_gets_rgb_and_a_box_that_it_enlarges_to_ours() -> None:
    saw_the_box(RTMLibHands(lambda image, bboxes: top_down(image, bboxes[0], channel=0), "x").detect(red(), BOXES))


def test_a_whole_body_model_is_refused() -> None:
    detector = RTMLibHands(lambda image, bboxes: (np.zeros((1, 133, 2)), np.zeros((1, 133))), "x")
    with pytest.raises(InputError, match="133 points"):
        detector.detect(red(), BOXES)


class FakeHands:
    """MediaPipe's interface: finds the light in the crop, as shares of the crop, or nothing."""

    def process(self, crop: np.ndarray) -> SimpleNamespace:
        assert crop.shape == (CROP, CROP, 3)
        assert crop.dtype == np.uint8
        y, x = np.nonzero(crop[..., 0] > 128)
        if not len(x):
            return SimpleNamespace(multi_hand_landmarks=None, multi_handedness=None)
        light = SimpleNamespace(x=(x.mean() + 0.5) / CROP, y=(y.mean() + 0.5) / CROP, z=0.0)
        landmarks = SimpleNamespace(landmark=[light] + [SimpleNamespace(x=1.0, y=0.0, z=0.0)] * 20)
        sure = SimpleNamespace(classification=[SimpleNamespace(score=0.75)])
        return SimpleNamespace(multi_hand_landmarks=[landmarks], multi_handedness=[sure])


def test_mediapipe_points_come_back_in_the_pixels_of_the_frame() -> None:
    frames, boxes = red(), BOXES.copy()
    boxes[0, 1] += 7  # not centred on the hand
    joints = MediaPipeHands(FakeHands(), "0").detect(frames, boxes)
    assert joints[0, :, 0, :2] == pytest.approx(CENTRES, abs=0.1)
    assert joints[0, :, 1, :2] == pytest.approx(boxes[0][:, [2, 1]], abs=1e-3)  # the corner at the top right


def test_mediapipe_says_when_it_finds_none_and_looks_only_where_asked() -> None:
    boxes = BOXES.copy()
    boxes[0, 0] = np.nan
    detector = MediaPipeHands(FakeHands(), "0")
    joints = detector.detect(np.zeros_like(red()), boxes)
    assert np.isnan(joints[0, 0]).all()
    assert (joints[0, 1] == 0).all()
    assert not found(joints, detector).any()


# ---- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "folder", "stem"),
    [
        ("hrnetv2_w18_onehand10k_256x256-30bc9c6b_20210330.pth", "onehand10k", "w18_8xb64-210e_onehand10k-256x256"),
        ("hrnetv2_w18_onehand10k_256x256_dark-a2f80c64.pth", "onehand10k", "w18_dark-8xb64-210e_onehand10k-256x256"),
        (
            "hrnetv2_w18_coco_wholebody_hand_256x256-1c028db7.pth",
            "coco_wholebody_hand",
            "w18_8xb32-210e_coco-wholebody-hand-256x256",
        ),
    ],
)
def test_a_checkpoints_name_says_its_configuration(name: str, folder: str, stem: str) -> None:
    assert config_name(Path(name)) == (folder, f"td-hm_hrnetv2-{stem}")


def test_checkpoint_with_numpy_in_its_meta_data_is_read_and_code_in_it_is_not_run(tmp_path: Path) -> None:
    weight = torch.arange(3.0)
    meta = {"mean": np.array([1.5, 2.5]), "epoch": 3, "score": np.float64(0.5)}
    torch.save({"state_dict": {"weight": weight}, "meta": meta}, tmp_path / "good.pth")
    assert read_state(tmp_path / "good.pth", WANTED)["weight"].equal(weight)

    # As numpy 1 wrote it, in the years of the published checkpoints.
    content = {"state_dict": {"weight": weight}, "meta": meta}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old.pth").read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "old.pth").write_bytes(old)
    assert read_state(tmp_path / "old.pth", WANTED)["weight"].equal(weight)

    torch.save({"state_dict": {"weight": weight}, "meta": SimpleNamespace(a=1)}, tmp_path / "unsafe.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "good.pth").read_bytes()[:300])
    torch.save({"a": 1}, tmp_path / "other.pth")
    for name, words in (("unsafe", "other things"), ("cut", "cut off"), ("other", "no state_dict")):
        with pytest.raises(InputError, match=words):
            read_state(tmp_path / f"{name}.pth", WANTED)


def test_weights_must_fit_the_model() -> None:
    model = torch.nn.Linear(2, 1)
    fill(model, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, Path("x.pth"), WANTED)
    assert model.weight.eq(1).all()
    for state in ({"weight": torch.ones(1, 2)}, {**model.state_dict(), "more": torch.ones(1)}):
        with pytest.raises(InputError, match="do not fit"):
            fill(model, state, Path("x.pth"), WANTED)
    with pytest.raises(InputError, match="another network"):
        fill(model, {"weight": torch.ones(5, 5), "bias": torch.zeros(1)}, Path("x.pth"), WANTED)


def test_mmpose_is_built_from_its_wheel_with_local_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way through a package that imports what is absent, as mmpose does."""
    package = tmp_path / "site" / "mmpose"
    stem = "td-hm_hrnetv2-w18_8xb64-210e_onehand10k-256x256"
    config = package / ".mim/configs/hand_2d_keypoint/topdown_heatmap/onehand10k" / f"{stem}.py"
    config.parent.mkdir(parents=True)
    config.write_text("")
    (package / "visualization").mkdir()
    (package / "apis").mkdir()
    (package / "__init__.py").write_text("from . import visualization\nimport xtcocotools.mask\nimport munkres\n")
    (package / "visualization" / "__init__.py").write_text("from .simcc_vis import SimCCVisualizer\n")
    (package / "visualization" / "simcc_vis.py").write_text("import torchvision\n")
    (package / "apis" / "__init__.py").write_text(
        "import torch\nfrom .inferencers import MMPoseInferencer\ncalls = []\n"
        "def init_model(*args, **options):\n    calls.append((args, options))\n    return torch.nn.Linear(2, 1)\n"
        "def inference_topdown(*args, **options):\n    raise NotImplementedError\n"
    )
    (package / "apis" / "inferencers.py").write_text("import pkg_resources\n")
    checkpoint = tmp_path / "hrnetv2_w18_onehand10k_256x256.pth"
    torch.save({"state_dict": {"weight": torch.full((1, 2), 7.0), "bias": torch.zeros(1)}}, checkpoint)
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setitem(sys.modules, "torchvision", None)  # absent, whatever is installed here
    monkeypatch.setitem(sys.modules, "pkg_resources", None)
    try:
        detector = load_hand_detector("mmpose", checkpoint)
        (arguments, options) = sys.modules["mmpose.apis"].calls[0]
        assert arguments == (str(config), None)
        assert options == {"device": "cpu", "cfg_options": {"model.backbone.init_cfg": None}}
        assert detector.model.weight.eq(7).all()
        assert stem in detector.signature
        assert "weights:" in detector.signature
    finally:
        for name in set(sys.modules) - before:
            if name.split(".")[0] in ("mmpose", "xtcocotools", "munkres"):
                del sys.modules[name]


def test_placeholders_stand_only_where_something_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = (Placeholder("absent_b.part", ("Thing",), "absent_b"), Placeholder("json.tool", ("Other",), "json"))
    try:
        assert prepare((Placeholder("absent_b", (), "absent_b"), *entries)) == ["absent_b", "absent_b.part"]
        from absent_b.part import Thing  # type: ignore[import-not-found]

        with pytest.raises(ImportError, match="absent_b.part.Thing needs absent_b"):
            Thing()
    finally:
        for name in ("absent_b", "absent_b.part"):
            sys.modules.pop(name, None)


def test_rtmlib_gets_the_local_file_and_keeps_stdout_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def pose(onnx: str, model_input_size: tuple[int, int], backend: str, device: str) -> Any:
        print(f"load {onnx}")
        if Path(onnx).read_bytes() != b"onnx":
            raise RuntimeError("no protobuf")
        return lambda image, bboxes: top_down(image, bboxes[0], channel=0)

    rtmlib, runtime = ModuleType("rtmlib"), ModuleType("onnxruntime")
    rtmlib.RTMPose = pose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtmlib", rtmlib)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "hand.onnx").write_bytes(b"onnx")
    (tmp_path / "bad.onnx").write_bytes(b"text")
    saw_the_box(load_hand_detector("rtmlib", tmp_path / "hand.onnx").detect(red(), BOXES))
    assert capsys.readouterr().out == ""
    with pytest.raises(InputError, match="no protobuf"):
        load_hand_detector("rtmlib", tmp_path / "bad.onnx")


def test_what_is_missing_is_said_with_the_command_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mmpose", "mmpose.apis", "rtmlib", "mediapipe"):
        monkeypatch.setitem(sys.modules, name, None)
    weights = tmp_path / "hrnetv2_w18_onehand10k_256x256.pth"
    weights.touch()
    for name, path, words in (
        ("mmpose", weights, "mmpose==1.3.2"),
        ("rtmlib", weights, "pip install --no-deps rtmlib"),
        ("mediapipe", None, "mediapipe==0.10.21"),
        ("mmpose", None, "no weights given"),
        ("rtmlib", tmp_path / "none.onnx", "not found"),
        ("mmpose", tmp_path, "not found"),
        ("mediapipe", weights, "give none"),
        ("openpose", None, "detectors are signgen, mmpose, rtmlib, mediapipe"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            load_hand_detector(name, path)
        assert "\n" not in str(caught.value)
    unnamed = tmp_path / "latest.pth"
    unnamed.touch()
    with pytest.raises(InputError, match="does not say which model"):
        load_hand_detector("mmpose", unnamed)


def test_a_mediapipe_without_solutions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    new = ModuleType("mediapipe")
    new.__version__ = "1.2.2"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mediapipe", new)
    with pytest.raises(InputError, match=r"1\.2\.2 has no solutions"):
        load_hand_detector("mediapipe")


def test_a_mediapipe_that_another_protobuf_keeps_from_starting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Solution:
        def __init__(self, **options: object) -> None:
            raise AttributeError("'FieldDescriptor' object has no attribute 'label'")

    unable = ModuleType("mediapipe")
    made = SimpleNamespace(Holistic=Solution, Hands=Solution)
    unable.solutions = SimpleNamespace(holistic=made, hands=made)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mediapipe", unable)
    words = "mediapipe: does not start, since it needs an older protobuf .*'label'.*0.10.21"
    with pytest.raises(InputError, match=words):
        load_hand_detector("mediapipe")
    with pytest.raises(InputError, match=words):
        load_estimator(EstimatorSettings("mediapipe"))
