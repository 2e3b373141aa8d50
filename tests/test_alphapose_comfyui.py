"""AlphaPose's JSON and ComfyUI's POSE_KEYPOINT: read as they are found, and written as their programs read them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import InputError, TooLarge
from signgen.keypoints import read_keypoints, write_keypoints
from signgen.keypoints.layouts.wholebody import HALPE_136

CLIP = signer(5)


def detection(picture: Any, t: int, score: float = 2.7, shift: float = 0, halpe: bool = False) -> dict[str, Any]:
    xyc = CLIP.points[t].astype(np.float64) + [shift, 0, 0]
    if halpe:
        made = np.full((136, 3), 5.0)
        made[list(HALPE_136)] = xyc
        xyc = made
    return {"image_id": picture, "category_id": 1, "keypoints": xyc.ravel().tolist(), "score": score, "idx": [0.0]}


def read(path: Path, content: Any, **options: Any) -> Any:
    path.write_text(json.dumps(content))
    return read_keypoints(path, **{"frame_size": (210, 260), "fps": 25} | options)


@pytest.mark.parametrize("halpe", [False, True])
@pytest.mark.parametrize("name", ["{}.jpg", "clip_7_{:06d}.png", None])
def test_alphapose(tmp_path: Path, halpe: bool, name: str | None) -> None:
    content = [detection(name.format(t) if name else t, t, halpe=halpe) for t in range(5)]
    found = read(tmp_path / "a.json", content)
    assert (found.format, found.people) == ("alphapose", 1)
    assert np.abs(found.keypoints.points - CLIP.points).max() < 1e-4


def test_alphapose_leaves_pictures_out_in_which_nobody_is(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", [detection(f"{t}.jpg", t) for t in (0, 1, 4)])
    assert (found.keypoints.confidence > 0).any(1).tolist() == [True, True, False, False, True]
    assert any("frame numbers 2 to 3 are missing" in line for line in found.warnings)


@pytest.mark.parametrize("apart", [False, True])
def test_alphapose_with_two_people(tmp_path: Path, apart: bool) -> None:
    """The one with the better scores is followed, in whatever order detections come."""
    content = [detection(f"{t}.jpg", t, *who) for t in range(5) for who in ((1.0, 200.0), (2.7, 0.0))]
    content = sorted(content, key=lambda one: -one["score"]) if apart else content
    found = read(tmp_path / "a.json", content, frame_size=(640, 260))
    assert found.people == 2
    assert np.abs(found.keypoints.xy - CLIP.xy)[CLIP.confidence > 0].max() < 1e-3


def test_alphapose_with_metadata(tmp_path: Path) -> None:
    content = {
        "frames": [detection(f"{t}.jpg", t) for t in range(5)],
        "metadata": {"fps": 30, "width": 400, "height": 300},
    }
    found = read(tmp_path / "a.json", content, frame_size=None, fps=None)
    assert (found.keypoints.size, found.keypoints.fps, found.warnings) == ((400, 300), 30, [])


def test_pose_format_reads_what_is_written(tmp_path: Path) -> None:
    from pose_format.utils.alphapose import load_alphapose_wholebody_from_json

    write_keypoints(CLIP, tmp_path / "a.json", "alphapose")
    pose = load_alphapose_wholebody_from_json(str(tmp_path / "a.json"))
    assert (pose.header.dimensions.width, pose.header.dimensions.height, pose.body.fps) == (210, 260, 25)
    assert np.abs(np.asarray(pose.body.data)[:, 0] - CLIP.xy).max() < 1e-4


@pytest.mark.parametrize(
    "content",
    [
        [{"image_id": "0.jpg", "keypoints": [1.0] * 398}],
        [{"image_id": "0.jpg", "keypoints": ["a"] * 399}],
        [{"image_id": ["0.jpg"], "keypoints": [1.0] * 399}],
        [detection("0.jpg", 0), {"image_id": "1.jpg"}],
        [detection("0.jpg", 0), 7],
    ],
)
def test_bad_alphapose_is_one_line(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError):
        read(tmp_path / "a.json", content)


def test_a_hole_of_a_thousand_million_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        read(tmp_path / "a.json", [detection(f"{t}.jpg", 0) for t in (0, 1, 10**9)])


# --- ComfyUI --------------------------------------------------------------------------------------------------
def comfyui(fractions: bool, **canvas: int) -> list[dict[str, Any]]:
    """As its DWPose node makes them: 18 body points, null for a hand that was not found."""
    frames = []
    for t, points_ in enumerate(CLIP.points.astype(np.float64)):
        points_ = points_ / ([210, 260, 1] if fractions else [1, 1, 1])
        body = points_[[0, 0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]]
        parts = {"pose": body, "face": np.pad(points_[23:91], ((0, 2), (0, 0))), "hand_right": points_[112:]}
        person: dict[str, Any] = {f"{name}_keypoints_2d": part.ravel().tolist() for name, part in parts.items()}
        person["hand_left_keypoints_2d"] = points_[91:112].ravel().tolist() if t else None
        frames.append({"people": [person], "canvas_width": 210, "canvas_height": 260} | canvas)
    return frames


@pytest.mark.parametrize("fractions", [False, True])
def test_comfyui_in_pixels_or_fractions(tmp_path: Path, fractions: bool) -> None:
    found = read(tmp_path / "a.json", comfyui(fractions), frame_size=None)
    assert (found.format, found.keypoints.size, found.warnings) == ("comfyui", (210, 260), [])
    seen = found.keypoints.confidence > 0
    assert not seen[0, 91:112].any()
    assert seen[1:, 91:].all()
    assert np.abs(found.keypoints.xy - CLIP.xy)[seen].max() < 1e-3


def test_what_is_written_is_what_its_nodes_take(tmp_path: Path) -> None:
    write_keypoints(CLIP, tmp_path / "a.json", "comfyui")
    frames = json.loads((tmp_path / "a.json").read_text())
    assert [set(frame) for frame in frames] == [{"people", "canvas_width", "canvas_height"}] * 5
    person = frames[0]["people"][0]
    counts = {key: len(part) for key, part in person.items() if key.endswith("_2d")}
    assert counts == {"pose_keypoints_2d": 54, "face_keypoints_2d": 210, "hand_left_keypoints_2d": 63,
                      "hand_right_keypoints_2d": 63}  # fmt: skip
    assert np.allclose(person["pose_keypoints_2d"][3:5], CLIP.xy[0, 5:7].mean(0), atol=1e-3), "the neck"
    assert np.allclose(person["hand_left_keypoints_2d"][:2], CLIP.xy[0, 91], atol=1e-3)


def test_one_of_several_people_in_comfyui(tmp_path: Path) -> None:
    content = comfyui(fractions=False, canvas_width=640)
    for frame in content:
        other = json.loads(json.dumps(frame["people"][0]))
        body = np.reshape(other["pose_keypoints_2d"], (-1, 3))
        other["pose_keypoints_2d"] = (body * [1, 1, 0.4] + [300, 0, 0]).ravel().tolist()
        frame["people"].insert(0, {"pose_keypoints_2d": other["pose_keypoints_2d"]})
    found = read(tmp_path / "a.json", content, frame_size=None)
    assert found.people == 2
    assert np.abs(found.keypoints.xy[:, 5] - points(5)[:, 5]).max() < 1e-3


def test_the_case_of_users() -> None:
    path = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases" / "alphapose_133.json"
    if not path.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    found = read_keypoints(path, frame_size=(640, 480))
    assert (found.format, len(found.keypoints)) == ("alphapose", 4)
    assert np.allclose(found.keypoints.xy[0, 5], [391.64, 241.74], atol=0.01)
