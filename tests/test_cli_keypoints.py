"""`signgen convert` and `signgen inspect` as a user calls them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from keypoint_maker import signer

from signgen.cli import main
from signgen.dataset.persons import tables
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.skeleton import SHOULDERS

KEYS = [
    "format", "name", "frames", "width", "height", "fps", "skeleton", "missing", "out_of_frame", "people", "warnings",
]  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def one_handed(path: Path) -> Path:
    keypoints = signer(8).shifted(-60, 0)  # the right hand leaves the frame
    confidence = keypoints.confidence.copy()
    confidence[:6, 91:112] = 0
    write_keypoints(Keypoints(keypoints.xy, confidence, 210, 260, 25, "drawn"), path)
    return path


def test_inspect_json(tmp_path):
    path = one_handed(tmp_path / "a.npz")
    result = run("inspect", path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == KEYS
    assert found["missing"] == {"body": 0, "face": 0, "left_hand": 0.75, "right_hand": 0}
    keypoints = read_keypoints(path).keypoints
    outside = (keypoints.xy[..., 0] < -0.5) & (keypoints.confidence >= 0.3)
    assert found["out_of_frame"] >= outside.sum() > 0
    assert (found["format"], found["frames"], found["people"], found["warnings"]) == ("npz", 8, 1, [])


def test_inspect_text_and_warnings(tmp_path):
    write_keypoints(signer(4), tmp_path / "a.json")
    result = run("inspect", tmp_path / "a.json")
    assert result.exit_code == 0
    assert "4 frames, 210x260, 25 fps" in result.stdout
    assert "warning: the file says neither frame size nor rate" in result.stderr
    told = run("inspect", tmp_path / "a.json", "--frame-size", "300x400", "--fps", "50", "--json")
    assert json.loads(told.stdout)["warnings"] == []
    assert json.loads(told.stdout)["width"] == 300


def test_convert_there_and_back(tmp_path):
    path = one_handed(tmp_path / "a.npz")
    assert run("convert", path, tmp_path / "b.json").exit_code == 0
    result = run("convert", tmp_path / "b.json", tmp_path / "c.pose", "--frame-size", "210x260", "--fps", 25, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["format"] == "mmpose"
    there, back = (read_keypoints(tmp_path / name).keypoints for name in ("a.npz", "c.pose"))
    assert np.array_equal(there.xy, back.xy)
    assert back.size == (210, 260)
    assert run("convert", path, tmp_path / "d", "--to", "npz").exit_code == 0


def test_convert_says_what_is_lost(tmp_path):
    result = run("convert", one_handed(tmp_path / "a.npz"), tmp_path / "b.json")
    assert "warning: MMPose JSON does not hold the clip's name" in result.stderr
    assert "frame size" not in result.stderr, "it is in the header beside the file"
    result = run("convert", tmp_path / "a.npz", tmp_path / "b", "--to", "openpose")
    assert "warning: OpenPose JSON does not hold the frame size (210x260)" in result.stderr


def test_bad_input_is_one_line_and_exit_2(tmp_path):
    (tmp_path / "bad.json").write_text("[]")
    for arguments in (
        ("inspect", tmp_path / "none.npz"),
        ("inspect", tmp_path / "bad.json"),
        ("convert", tmp_path / "bad.json", tmp_path / "out.npz"),
        ("convert", one_handed(tmp_path / "a.npz"), tmp_path / "out.bvh"),
        ("inspect", tmp_path / "a.npz", "--fps", "0"),
        ("inspect", tmp_path / "a.npz", "--frame-size", "0x5"),
        ("inspect", tmp_path / "a.npz", "--from", "bvh"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "bad.json"]


def test_options_that_have_no_say_are_named_as_they_are_written(tmp_path, monkeypatch):
    path = one_handed(tmp_path / "a.npz")
    for option in (("--check", "pixels"), ("--jobs", "2")):
        assert "leave out --keypoints, --split, --check and --jobs" in run("inspect", path, *option).stderr
    monkeypatch.setattr(tables, "holds_pairs", lambda path: True)
    for options in (("--from", "npz"), ("--split", "test", "--fps", "25")):
        refused = run("inspect", tmp_path, *options)
        assert (refused.exit_code, f"got {options[-2]};" in refused.stderr) == (2, True)


def test_what_has_no_place_is_rendered_with_align_once_it_was_converted(tmp_path):
    clip = signer(4)
    around = replace(clip, xy=clip.xy - clip.xy[:, list(SHOULDERS)].mean((0, 1)))
    write_keypoints(around, tmp_path / "a.pose")
    told = json.loads(run("convert", tmp_path / "a.pose", tmp_path / "b.npz", "--json").stdout)["warnings"]
    assert "where the person stands was invented: render what is written with --align" in told
    assert not json.loads(run("convert", tmp_path / "b.npz", tmp_path / "c.npz", "--json").stdout)["warnings"]
