"""`signgen inspect DATASET`: counts, and every clip with something wrong, mended or left out by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from release_maker import CLIPS, SIZE, all_points, frame_folder, make_release, write_mska, write_npz, write_slrt

from signgen.cli import main
from signgen.commands import inspect
from signgen.dataset.keypoint_source import KeypointSource
from signgen.errors import InputError
from signgen.keypoints.many_clips import ClipFile


def report(root: Path, *options: object) -> dict:
    done = CliRunner().invoke(main, ["inspect", str(root), "--json", "--jobs", "1", *map(str, options)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_release(tmp_path / "data")


def test_a_whole_data_set_has_nothing_to_say(root: Path, tmp_path: Path) -> None:
    places = [write_mska(tmp_path / f"Phoenix-2014T.{split}", split, all_points(split)) for split in CLIPS]
    result = report(root, *(part for place in places for part in ("--keypoints", place)))
    assert result["frame_size"] == list(SIZE)
    assert result["keypoint_formats"] == ["mska"]
    train = result["splits"]["train"]
    assert (train["clips"], train["frames"], train["usable_clips"]) == (3, 19, 3)
    assert train["phoenix14t"] == {"clips": 7096, "frames": 827354}
    assert result["splits"]["dev"]["phoenix14t"] == {"clips": 519, "frames": 55775}
    assert result["splits"]["test"]["phoenix14t"] == {"clips": 642, "frames": 64627}
    assert train["speakers"] == ["Signer01", "Signer02", "Signer03"]
    assert not any(part["mended"] or part["left_out"] for part in result["splits"].values())


def test_every_fault_is_named_with_its_clip(root: Path, tmp_path: Path) -> None:
    train = all_points("train")
    train["a-1"][2, 5, 0] = np.inf
    train["a-1"][3, 6, 1] = -np.inf
    train["a-1"][0, :3, 2] = (1.5, 1.85, 1.2)
    train["b-2"] = train["b-2"][:3]
    pickle = write_slrt(tmp_path / "keypoints.pkl", {**train, **all_points("dev"), "not-here": train["b-2"]})
    (frame_folder(root, "train", "c-3") / "images0004.png").unlink()
    (frame_folder(root, "train", "a-1") / "createDnnTrainingLabels-profile.py.lprof").touch()
    frame_folder(root, "train", "z-9").mkdir()
    cut = frame_folder(root, "test", "e-5") / "images0002.png"
    cut.write_bytes(cut.read_bytes()[:-20])
    small = Image.fromarray(np.zeros((20, 20, 3), np.uint8))
    small.save(frame_folder(root, "dev", "d-4") / "images0003.png")
    result = report(root, "--keypoints", pickle)
    splits = result["splits"]
    assert result["keypoints_of_no_clip"] == 1
    assert splits["train"]["mended"] == [
        ["a-1", "2 points with infinite coordinates: count as missing"],
        ["a-1", "3 scores above 1 (up to 1.85): clipped to 1"],
    ]
    assert splits["train"]["left_out"] == [
        ["b-2", "4 frames but 3 frames of keypoints"], ["c-3", "lacks frame 4 (1 of 9)"],
    ]  # fmt: skip
    assert splits["train"]["stray_files"] == ["a-1/createDnnTrainingLabels-profile.py.lprof"]
    assert splits["train"]["folders_without_row"] == ["z-9"]
    assert splits["train"]["usable_frames"] == 6
    assert splits["dev"]["left_out"] == [["d-4", "images0003.png is 20x20, other frames 48x64"]]
    assert splits["test"]["left_out"] == [
        ["e-5", "images0002.png is damaged or cut off"], ["f-6", "has no keypoints"],
    ]  # fmt: skip


def test_the_text_names_what_the_json_holds(root: Path) -> None:
    (frame_folder(root, "train", "a-1") / "notes.txt").touch()
    write_npz(root / "keypoints", {**all_points("train"), **all_points("test")})
    done = CliRunner().invoke(main, ["inspect", str(root), "--jobs", "1"], catch_exceptions=False)
    assert "dev d-4: left out: has no keypoints" in done.stdout
    assert "train a-1/notes.txt: ignored" in done.stdout
    assert "keypoints: one file a clip" in done.stdout
    assert "train: 3 clips (PHOENIX14T has 7,096), 19 frames (827,354), 3 signers" in done.stdout
    for wrong in (
        ["inspect", str(root), "--fps", "25"],
        ["inspect", str(root / "keypoints/a-1.npz"), "--split", "dev"],
    ):
        failed = CliRunner().invoke(main, wrong)
        assert (failed.exit_code, failed.stderr.count("; leave out --")) == (2, 1)
    only = report(root, "--split", "dev")
    assert list(only["splits"]) == ["dev"]


def test_one_clip_of_another_size_is_that_clips_fault(root: Path, tmp_path: Path) -> None:
    """Also where it is the first of the data set."""
    write_npz(root / "keypoints", {name: xyc for split in CLIPS for name, xyc in all_points(split).items()})
    Image.new("RGB", (50, 64)).save(frame_folder(root, "train", "a-1") / "images0001.png")
    result = report(root)
    assert result["frame_size"] == list(SIZE)
    assert result["splits"]["train"]["left_out"] == [["a-1", "images0001.png is 50x64, other frames 48x64"]]


def test_damage_inside_of_a_frame_is_found_where_pixels_are_asked_for(root: Path) -> None:
    write_npz(root / "keypoints", {name: p for split in CLIPS for name, p in all_points(split).items()})
    path = frame_folder(root, "test", "f-6") / "images0003.png"
    content = bytearray(path.read_bytes())
    middle = content.index(b"IDAT") + 8
    content[middle : middle + 12] = bytes(12)
    path.write_bytes(content)
    assert report(root)["splits"]["test"]["left_out"] == []
    found = report(root, "--check", "pixels", "--split", "test")["splits"]["test"]["left_out"]
    assert found == [["f-6", "images0003.png is damaged"]]
    parallel = report(root, "--check", "pixels", "--split", "test", "--jobs", "2")["splits"]["test"]["left_out"]
    assert parallel == found


def test_the_sample_of_the_release(shared: Path) -> None:
    root = shared / "data" / "phoenix14t_mini"
    test = report(root, "--keypoints", root / "keypoints_mediapipe")["splits"]["test"]
    assert (test["clips"], test["frames"], test["usable_frames"]) == (2, 58, 58)
    assert test["left_out"] == []


def test_names_match_with_and_without_their_split(tmp_path: Path) -> None:
    points = all_points("train")
    moved = {name: p + np.float32([1, 0, 0]) for name, p in points.items()}
    path = write_slrt(tmp_path / "all.pkl", {
        **{f"train/{name}": p for name, p in points.items()}, **{f"test/{name}": p for name, p in moved.items()},
    })  # fmt: skip
    source = KeypointSource([path], points)
    for split, expected in (("train", points), ("test", moved)):
        raw = source.raw("b-2", split)
        assert np.abs(raw.frames()[0] - expected["b-2"][..., :2]).max() < 0.05  # float16
    assert source.others("b-2", "train") == 0
    twice = KeypointSource([path, write_npz(tmp_path / "more", points)], points)
    assert twice.others("b-2", "dev") == 0  # the file that says no split goes before those of other splits
    with pytest.raises(InputError, match="has no keypoints"):
        source.raw("unknown", "train")


def test_a_file_of_many_clips_is_read_once_and_left_as_it_is(tmp_path: Path) -> None:
    points = all_points("test")
    file = ClipFile(write_mska(tmp_path / "x", "test", points))
    assert file.names == ("test/e-5", "test/f-6")
    for _ in range(2):
        raw = file.raw("test/e-5")
        xy, _ = raw.frames()
        assert np.array_equal(xy, points["e-5"][..., :2])
        xy[:] = 0
    with pytest.raises(InputError, match="no such file"):
        KeypointSource([tmp_path / "none"], points)


def test_points_of_a_larger_frame_are_scaled(root: Path) -> None:
    points = all_points("dev")["d-4"]
    double = points.copy()
    double[..., :2] = (points[..., :2] + 0.5) * 2 - 0.5
    write_npz(root / "keypoints", {"d-4": double}, (2 * SIZE[0], 2 * SIZE[1]))
    found = report(root, "--split", "dev")["splits"]["dev"]
    assert found["mended"] == [["d-4", "points of a 96x128 frame: scaled to the video's"]]
    write_npz(root / "keypoints", {"d-4": double}, (128, 128))
    found = report(root, "--split", "dev")["splits"]["dev"]
    assert found["left_out"] == [["d-4", "keypoints: its frame is 128x128, the video's 48x64"]]


def test_a_reason_that_many_clips_share_is_said_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "MANY", 2)
    done = CliRunner().invoke(main, ["inspect", str(root), "--jobs", "1"], catch_exceptions=False)
    lines = [line for line in done.stdout.splitlines() if "has no keypoints" in line]
    assert lines == [
        "train: 3 clips: left out: has no keypoints: a-1, b-2, c-3 ... (all with --json)",
        "dev d-4: left out: has no keypoints",
        *(f"test {name}: left out: has no keypoints" for name in ("e-5", "f-6")),
    ]
    assert "keypoints: none that fit" in done.stdout
