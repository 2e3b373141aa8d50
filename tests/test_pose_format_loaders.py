"""Whatever the installed pose-format library makes of other programs' files and writes as `.pose` is read."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import signer
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderDimensions

from signgen.dataset.keypoint_source import read_clip_points
from signgen.dataset.training_data import clip_points
from signgen.errors import Mismatch, Unsupported
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.formats.openpose import BODY_135
from signgen.keypoints.layouts.wholebody import HALPE_136
from signgen.keypoints.many_clips import points_in_frame
from signgen.keypoints.skeleton import SHOULDERS
from signgen.rendering.source import load_source
from signgen.scoring.clips import KeypointFile

CLIP = signer(4)
MAKERS: dict[str, Callable[[Path], Pose]] = {}


def maker(*loaders: str) -> Callable[[Callable[[Path], Pose]], Callable[[Path], Pose]]:
    """Says which of the library's loaders a function below calls."""

    def keep(make: Callable[[Path], Pose]) -> Callable[[Path], Pose]:
        MAKERS.update(dict.fromkeys(loaders, make))
        return make

    return keep


@maker("openpose.load_openpose", "openpose.load_openpose_directory", "openpose.load_frames_directory_dict")
def openpose(folder: Path) -> Pose:
    from pose_format.utils.openpose import load_openpose_directory

    write_keypoints(CLIP, folder / "frames", "openpose")
    return load_openpose_directory(str(folder / "frames"), fps=30, width=210, height=260)


@maker("openpose_135.load_openpose_135_directory")
def openpose_135(folder: Path) -> Pose:
    """OpenPose's model of 135 points writes all of them as one body."""
    from pose_format.utils.openpose_135 import load_openpose_135_directory

    (folder / "frames").mkdir()
    for t, points in enumerate(CLIP.points):
        body = np.zeros((135, 3))
        body[list(BODY_135.values())] = points[list(BODY_135)]
        empty: dict[str, Any] = {f"{part}_keypoints_2d": [] for part in ("face", "hand_left", "hand_right")}
        frame = {"people": [{"pose_keypoints_2d": body.ravel().tolist(), **empty}]}
        (folder / "frames" / f"a_{t:012d}_keypoints.json").write_text(json.dumps(frame))
    return load_openpose_135_directory(str(folder / "frames"), fps=30, width=210, height=260)


def alphapose_file(folder: Path, order: tuple[int, ...] | range, count: int) -> str:
    frames = []
    for t, points in enumerate(CLIP.points):
        body = np.zeros((count, 3))
        body[list(order)] = points
        frames.append({"image_id": f"{t}.jpg", "keypoints": body.ravel().tolist(), "score": 2.5})
    about = {"fps": 30, "width": 210, "height": 260}
    (folder / "alphapose.json").write_text(json.dumps({"frames": frames, "metadata": about}))
    return str(folder / "alphapose.json")


@maker("alphapose.load_alphapose_wholebody_from_json", "alphapose.load_alphapose_json")
def alphapose_136(folder: Path) -> Pose:
    from pose_format.utils.alphapose import load_alphapose_wholebody_from_json

    return load_alphapose_wholebody_from_json(alphapose_file(folder, HALPE_136, 136))


@maker("alphapose_133.load_alphapose_wholebody_from_json")
def alphapose_133(folder: Path) -> Pose:
    from pose_format.utils.alphapose_133 import load_alphapose_wholebody_from_json

    return load_alphapose_wholebody_from_json(alphapose_file(folder, range(133), 133))


@maker("mmposewholebody.estimate_mmpose_wholebody")
def mmpose(folder: Path) -> Pose:
    """The library needs MMPose itself for this: the same components and body as it makes of MMPose's points."""
    from pose_format.utils.cocowholebody133_header import cocowholebody_components

    header = PoseHeader(0.2, PoseHeaderDimensions(210, 260, 0), cocowholebody_components())
    return Pose(header, NumPyPoseBody(30, CLIP.xy[:, None], CLIP.confidence[:, None]))


@maker(
    "holistic.load_holistic", "holistic.load_mediapipe_directory", "holistic.process_holistic",
    "holistic.formatted_holistic_pose",
)  # fmt: skip
def holistic(folder: Path) -> Pose:
    if find_spec("mediapipe") is None:
        pytest.skip("pose-format's holistic needs mediapipe (docs/extract.md)")
    from pose_format.utils.holistic import holistic_components

    from signgen.keypoints.layouts.holistic import FACE_MESH, HOLISTIC_BODY

    components = holistic_components("XYZC", 10)
    header = PoseHeader(0.2, PoseHeaderDimensions(210, 260, 0), components)
    data, confidence = np.zeros((4, 1, 586, 3)), np.zeros((4, 1, 586))
    names = components[0].points
    places = [names.index(name) for name in HOLISTIC_BODY if name]
    joints = [joint for joint, name in enumerate(HOLISTIC_BODY) if name]
    places, joints = places + [33 + v for v in FACE_MESH], joints + [*range(23, 91)]
    places, joints = places + [*range(511, 553)], joints + [*range(91, 133)]
    data[:, 0, places, :2], confidence[:, 0, places] = CLIP.xy[:, joints], CLIP.confidence[:, joints]
    return Pose(header, NumPyPoseBody(30, data, confidence))


def loaders() -> set[str]:
    """Functions of the library that make poses, by their names: importing some files takes more than is installed."""
    folder = Path(str(find_spec("pose_format").origin)).parent / "utils"  # type: ignore[union-attr]
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            known = ("load_", "estimate_", "process_holistic", "formatted_holistic")
            if isinstance(node, ast.FunctionDef) and node.name.startswith(known) and "test" not in path.name:
                found.add(f"{path.stem}.{node.name}")
    return found - {"hand.estimate_active_hand"}  # which looks at a pose


def test_every_loader_of_the_library_is_tried() -> None:
    assert loaders() == set(MAKERS)


@pytest.mark.parametrize("make", dict.fromkeys(MAKERS.values()), ids=lambda make: make.__name__)
def test_what_it_writes_is_read(tmp_path: Path, make: Callable[[Path], Pose]) -> None:
    pose = make(tmp_path)
    with (tmp_path / "clip.pose").open("wb") as file:
        pose.write(file)
    read = read_keypoints(tmp_path / "clip.pose")
    clip = read.keypoints
    assert (read.format, clip.size, clip.fps, len(clip), read.warnings) == ("pose", (210, 260), 30, 4, [])
    seen = clip.confidence > 0
    absent = {18, 21} if make is holistic else set()  # Holistic has no small toes
    assert set(np.flatnonzero(~seen.all(0))) == absent
    roots = [91, 112] if make is openpose_135 else []  # which are its wrists
    joints = [joint for joint in range(133) if joint not in absent and joint not in roots]
    assert np.abs(clip.xy - CLIP.xy)[:, joints].max() < 1e-3
    assert np.abs(clip.confidence - CLIP.confidence)[:, joints].max() < 1e-6


def test_the_importers_default_size_is_not_believed(tmp_path: Path) -> None:
    from pose_format.utils.alphapose import load_alphapose_wholebody_from_json

    path = Path(alphapose_file(tmp_path, range(133), 133))
    path.write_text(json.dumps(json.loads(path.read_text())["frames"]))
    with (tmp_path / "clip.pose").open("wb") as file:
        load_alphapose_wholebody_from_json(str(path)).write(file)
    read = read_keypoints(tmp_path / "clip.pose")
    assert not read.size_known
    assert any("1000x1000" in line for line in read.warnings)


def test_the_case_of_users() -> None:
    path = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases" / "alphapose_133.pose"
    if not path.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    read = read_keypoints(path)
    assert (read.keypoints.size, len(read.keypoints), read.warnings) == ((640, 480), 4, [])
    assert np.allclose(read.keypoints.xy[0, 5], [391.64, 241.74], atol=0.01)


# --- files that the library has normalised --------------------------------------------------------------------
def normalised(path: Path, scale: float, around: float = 0.0) -> Path:
    """As pose-format's `normalize` writes it: x and y alone, or, where ``around`` is not 0, with depth."""
    write_keypoints(CLIP, path)
    pose = Pose.read(path.read_bytes())
    if around:
        depth = np.random.default_rng(0).normal(0, around, (*pose.body.data.shape[:3], 1))
        data = np.ma.concatenate([pose.body.data, depth], axis=-1)
        pose.body = NumPyPoseBody(pose.body.fps, data, pose.body.confidence)
        for component in pose.header.components:
            component.format = "XYZC"
    with path.open("wb") as file:
        pose.normalize(scale_factor=scale).write(file)
    return path


@pytest.mark.parametrize(("scale", "depth"), [(1, 0), (1, 30), (100, 0), (0.25, 0)])
def test_normalised_files_are_placed_as_a_signer_stands_in_whatever_scale(
    scale: float, depth: float, tmp_path: Path
) -> None:
    path = normalised(tmp_path / "a.pose", scale, depth)
    read = read_keypoints(path)
    assert not read.placed
    across, middle = shoulders(read.keypoints)
    assert across == pytest.approx(86, abs=0.1)  # pixels, of a PHOENIX14T signer
    assert middle == pytest.approx((107, 125), abs=0.1)
    seen = CLIP.confidence > 0
    factor = 86 / np.linalg.norm(np.diff(CLIP.xy[:, SHOULDERS], axis=1)[:, 0], axis=1).mean()
    wanted = (CLIP.xy - CLIP.xy[:, SHOULDERS].mean((0, 1))) * factor + (107, 125)
    assert np.abs(read.keypoints.xy - wanted)[seen].max() < 0.1, "nothing is stretched"
    assert any("placed as a PHOENIX14T signer" in line for line in read.warnings)


def shoulders(clip: Keypoints) -> tuple[float, np.ndarray]:
    """How far they are apart, and where their middle is."""
    ends = clip.xy[:, SHOULDERS]
    return float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))), np.median(ends.mean(1), axis=0)


BODY = CLIP.xy - CLIP.xy[:, SHOULDERS].mean((0, 1))  # pixels around the neck; shoulders are 88 apart
SIGNED = 2 * CLIP.xy / CLIP.size - 1


@pytest.mark.parametrize(
    ("xy", "suffix", "placed"),
    [
        (BODY / 88 + (0.1, 0.05), ".pose", False),  # as a model writes it, or a part of a clip
        (BODY / 88 + (0.1, 0.05), ".npy", True),  # may be -1 to 1
        (BODY / 88, ".npy", False),
        (BODY + (9, -5), ".pose", False),
        (BODY + (9, -5), ".npy", False),
        (BODY / 1000, ".npy", False),  # metres
        (BODY - BODY[:, (11, 12)].mean((0, 1)), ".npy", False),  # around the hips
        ((BODY - BODY[:, (11, 12)].mean((0, 1))) / 250, ".pose", False),
        (CLIP.xy, ".pose", True),
        (CLIP.xy / CLIP.size, ".pose", True),
        (SIGNED, ".pose", True),
        (SIGNED, ".npy", True),
    ],
)
def test_what_lies_in_no_frame_is_told_from_what_does(
    xy: np.ndarray, suffix: str, placed: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    write_keypoints(replace(CLIP, xy=xy), path)
    read = read_keypoints(path, frame_size=CLIP.size, fps=25)
    assert read.placed is placed
    if not placed:
        across, middle = shoulders(read.keypoints)
        assert across == pytest.approx(86, abs=0.1)
        assert middle == pytest.approx((107, 125), abs=0.1)


@pytest.mark.parametrize("make", ["openpose", "coco"])
def test_a_body_without_legs_is_read_by_its_names(make: str, tmp_path: Path) -> None:
    from pose_format.utils.generic import pose_hide_legs

    if make == "coco":
        write_keypoints(CLIP, tmp_path / "a.pose")
        pose = Pose.read((tmp_path / "a.pose").read_bytes())
    else:
        pose = openpose(tmp_path)
    with (tmp_path / "b.pose").open("wb") as file:
        pose_hide_legs(pose, remove=True).write(file)
    read = read_keypoints(tmp_path / "b.pose", frame_size=CLIP.size).keypoints
    upper = read.confidence[:, :11] > 0
    assert upper[:, list(SHOULDERS)].all()
    assert np.abs(read.xy[:, :11] - CLIP.xy[:, :11])[upper].max() < 0.01
    assert not read.confidence[:, 13:23].any()


def test_a_stray_frame_changes_nothing(tmp_path: Path) -> None:
    xy = BODY / 88
    xy[2, 5] += 40
    write_keypoints(replace(CLIP, xy=xy), tmp_path / "a.pose")
    assert not read_keypoints(tmp_path / "a.pose").placed


def test_a_header_of_a_few_pixels_is_not_believed(tmp_path: Path) -> None:
    write_keypoints(CLIP, tmp_path / "a.pose")
    pose = Pose.read((tmp_path / "a.pose").read_bytes())
    pose.header.dimensions = PoseHeaderDimensions(1, 1, 0)
    with (tmp_path / "a.pose").open("wb") as file:
        pose.write(file)
    read = read_keypoints(tmp_path / "a.pose")
    assert read.keypoints.size == (210, 260)
    assert any("its header says 1x1, which is no frame; not believed" in line for line in read.warnings)


def test_a_person_as_wide_as_a_pixel_is_said(tmp_path: Path) -> None:
    write_keypoints(replace(CLIP, xy=CLIP.xy / 88 + 100), tmp_path / "a.npz")
    assert any(
        "the shoulders are 1.0 px apart in 210x260" in line for line in read_keypoints(tmp_path / "a.npz").warnings
    )


def test_normalised_keypoints_belong_to_no_picture(tmp_path: Path) -> None:
    path = normalised(tmp_path / "a.pose", 1)
    says = r"a.pose: its points lie around the neck .*; give the source's own keypoints, in pixels"
    with pytest.raises(Mismatch, match=says):
        load_source("alma", path)
    with pytest.raises(Mismatch, match="give the true frames' own keypoints"):
        KeypointFile(path).examine((210, 260))
    with pytest.raises(Mismatch, match="give the frames' own keypoints"):
        points_in_frame(read_clip_points(path, "a"), (210, 260), "a")
    with pytest.raises(Mismatch, match="give the frames' own keypoints"):
        clip_points(path)
    points, _ = points_in_frame(read_clip_points(path, "a"), (210, 260), "a", anywhere=True)  # to be fitted to others
    assert np.abs(points[..., :2] - read_keypoints(path).keypoints.xy)[CLIP.confidence > 0].max() < 1e-3


def test_normalised_by_distribution_is_no_person(tmp_path: Path) -> None:
    clip, rng = signer(30), np.random.default_rng(0)
    trembling = replace(clip, xy=clip.xy + rng.normal(0, 1, clip.xy.shape))  # no point has a deviation of 0
    write_keypoints(trembling, tmp_path / "a.pose")
    pose = Pose.read((tmp_path / "a.pose").read_bytes())
    pose.normalize_distribution()
    with (tmp_path / "a.pose").open("wb") as file:
        pose.write(file)
    with pytest.raises(Unsupported, match="normalize_distribution has taken the person's shape away"):
        read_keypoints(tmp_path / "a.pose")
