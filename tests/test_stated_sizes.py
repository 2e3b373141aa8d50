"""Frame size and rate that stand in a file are taken, whatever the keys are called."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.keypoints import read_keypoints, write_keypoints
from signgen.keypoints.stated import stated_rate, stated_size

SAID = [
    {"canvas_width": 640, "canvas_height": 480},
    {"width": 640, "height": 480},
    {"Width": 640.0, "Height": "480"},
    {"image_width": 640, "image_height": 480},
    {"img_w": 640, "img_h": 480},
    {"image_size": [640, 480]},
    {"resolution": "640x480"},
    {"frame_size": {"width": 640, "height": 480}},
    {"img_shape": [480, 640]},
    {"original_shape": [480, 640, 3]},
    {"draw_pose_params": [480, 640, 0, 480, 0, 640]},
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: next(iter(said)))
def test_a_size_is_found(said: dict[str, Any]) -> None:
    assert stated_size(said) == (640, 480)


@pytest.mark.parametrize(
    "said",
    [
        {"x": 3, "y": 4, "width": 64, "height": 48},
        {"size": 12},
        {"width": 640},
        {"width": -640, "height": 480},
        {"img_shape": [9, 480, 640, 3]},
        {"width": True, "height": True},
        {"image_size": [640.5, 480]},
        {"resolution": "large"},
        {"width": 10**400, "height": 480},
    ],
)
def test_what_is_no_size_says_none(said: dict[str, Any]) -> None:
    assert stated_size(said) is None


def test_a_rate_is_found() -> None:
    assert stated_rate({"FPS": "29.97"}) == 29.97
    assert stated_rate({"frame_rate": 50}) == 50
    assert stated_rate({"fps": 0}) is None


def frames(**more: Any) -> list[dict[str, Any]]:
    people = [{"keypoints": xy.tolist(), "keypoint_scores": [0.9] * 133} for xy in points(3)]
    return [{"frame_id": t, "instances": [one], **more} for t, one in enumerate(people)]


CONTENTS = {
    "in every frame": lambda: frames(img_shape=[300, 400], fps=30),
    "beside a list of frames": lambda: {"predictions": [f["instances"] for f in frames()], "width": 400, "height": 300,
                                        "fps": 30},
    "in metadata": lambda: {"instance_info": frames(), "meta_info": {"image_size": [400, 300], "frame_rate": 30}},
}  # fmt: skip


@pytest.mark.parametrize("where", CONTENTS)
def test_a_file_that_states_them_needs_no_options(tmp_path: Path, where: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CONTENTS[where]()))
    read = read_keypoints(tmp_path / "a.json")
    assert (read.keypoints.size, read.keypoints.fps) == ((400, 300), 30)
    assert (read.size_known, read.fps_known, read.warnings) == (True, True, [])
    assert read_keypoints(tmp_path / "a.json", frame_size=(500, 300)).keypoints.size == (500, 300)


def test_fractions_become_pixels_of_the_stated_frame(tmp_path: Path) -> None:
    content = [{"people": [_openpose(points(1)[0] / (640, 480))], "canvas_width": 640, "canvas_height": 480}]
    (tmp_path / "a.json").write_text(json.dumps(content[0]))
    clip = read_keypoints(tmp_path / "a.json").keypoints
    assert clip.size == (640, 480)
    assert np.abs(clip.xy[0, 91:] - points(1)[0, 91:]).max() < 1e-3


def _openpose(xy: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([xy, np.ones((133, 1))], 1)
    body = flat[[0, 0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]]
    parts = {"pose": body, "face": flat[23:91], "hand_left": flat[91:112], "hand_right": flat[112:]}
    return {f"{name}_keypoints_2d": part.ravel().tolist() for name, part in parts.items()}


def test_a_clip_in_a_pickle_states_its_own(tmp_path: Path) -> None:
    clips = {
        f"train/{name}": {"keypoint": signer(2).points, "img_shape": (height, 400), "fps": 30}
        for name, height in (("a", 300), ("b", 310))
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(clips))
    assert read_keypoints(tmp_path / "a.pkl", clip="train/b").keypoints.size == (400, 310)
    assert read_keypoints(tmp_path / "a.pkl", clip="a").keypoints.size == (400, 300)


def test_several_sizes_are_said(tmp_path: Path) -> None:
    content = [{**frame, "width": 400 + 10 * t, "height": 300} for t, frame in enumerate(frames())]
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = read_keypoints(tmp_path / "a.json", fps=25)
    assert read.keypoints.size == (400, 300)
    assert any("400x300, 410x300, 420x300" in line for line in read.warnings)


# --- DWPose's folders and arrays of objects -------------------------------------------------------------------
def dwpose(path: Path, folder: bool) -> Path:
    clip = signer(4)
    write_keypoints(clip, path.with_suffix(".pkl"), "dwpose")
    frames = pickle.loads(path.with_suffix(".pkl").read_bytes())
    made = [{**frame, "draw_pose_params": [260, 210, 0, 260, 0, 210]} for frame in frames]
    if not folder:
        np.save(path.with_suffix(".npy"), np.array(made, dtype=object))
        return path.with_suffix(".npy")
    path.mkdir()
    for t, frame in enumerate(made):
        np.save(path / f"{3 * (t > 2) + t}.npy", np.array(frame, dtype=object))
    return path


def test_an_array_of_dwposes_frames(tmp_path: Path) -> None:
    read = read_keypoints(dwpose(tmp_path / "a", folder=False))
    assert (read.format, read.keypoints.size, len(read.keypoints)) == ("dwpose", (210, 260), 4)
    assert np.abs(read.keypoints.xy - signer(4).xy)[:, 91:].max() < 1e-3


def test_a_folder_of_dwposes_frames_with_a_hole(tmp_path: Path) -> None:
    read = read_keypoints(dwpose(tmp_path / "a", folder=True))
    assert (read.format, read.keypoints.size, read.keypoints.name) == ("dwpose", (210, 260), "a")
    assert (read.keypoints.confidence > 0).any(1).tolist() == [True, True, True, False, False, False, True]
    assert np.abs(read.keypoints.xy[-1] - signer(4).xy[-1])[91:].max() < 1e-3


@pytest.mark.parametrize("case", ["pose_npy_folder", "dwpose_object_array.npy", "canvas_one_frame.json"])
def test_the_cases_of_users(case: str) -> None:
    path = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases" / case
    if not path.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    read = read_keypoints(path)
    assert read.keypoints.size == (640, 480)
    assert np.allclose(read.keypoints.xy[0, [0, 5]], [[302, 147.1], [391.6, 241.7]], atol=0.1)
    assert not any("frame size" in line for line in read.warnings)
