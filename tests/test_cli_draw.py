"""`signgen draw` as a user calls it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from signgen.cli import main
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.repair.missing import fill_missing
from signgen.package import EXAMPLES
from signgen.pose_image import draw_pose
from signgen.pose_image.solid import refit_hands
from signgen.video import probe, read_frame


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, Keypoints]:
    rng = np.random.default_rng(0)
    xy = rng.uniform(20, 190, (6, 133, 2)).astype(np.float32)
    keypoints = Keypoints(xy, rng.uniform(0.2, 1, (6, 133)).astype(np.float32), 210, 260, 25.0, "clip")
    write_keypoints(keypoints, tmp_path / "clip.npz")
    return tmp_path / "clip.npz", keypoints


def draw(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["draw", *map(str, arguments)])


def test_video_of_the_clips_own_size_and_rate(clip, tmp_path: Path) -> None:
    done = draw(clip[0], "-o", tmp_path / "out.mp4", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    wanted = {"frames": 6, "width": 210, "height": 260, "fps": 25.0, "style": "signgen", "warnings": []}
    assert result == {**wanted, "output": str(tmp_path / "out.mp4")}
    info = probe(tmp_path / "out.mp4")
    assert (info.size, info.fps, info.frames) == ((210, 260), 25.0, 6)


@pytest.mark.parametrize(("style", "stick"), [("signgen", None), ("fpdm", 2)])
def test_png_frames_are_the_drawing(clip, tmp_path: Path, style: str, stick: int | None) -> None:
    extra = [] if stick is None else ["--stick", stick]
    done = draw(clip[0], "-o", tmp_path / "out", "--style", style, "--size", "105x130", "--frames", "2:5", *extra)
    assert done.exit_code == 0, done.output
    assert probe(tmp_path / "out").frames == 3
    wanted = draw_pose(clip[1], (105, 130), style, start=2, stop=5, stick=stick)
    assert np.array_equal(read_frame(tmp_path / "out", 1), wanted[1])


def test_solid_hands_depend_on_the_frames_before(clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.commands import draw as module

    monkeypatch.setattr(module, "CHUNK_BYTES", 1)  # a chunk a frame
    example = fill_missing(read_keypoints(EXAMPLES / "house.npz").keypoints)[0]
    done = draw(EXAMPLES / "house.npz", "-o", tmp_path / "out", "--style", "solid", "--frames", "12:15")
    assert done.exit_code == 0, done.output
    wanted = draw_pose(example, style="solid", start=12, stop=15)
    assert np.array_equal(read_frame(tmp_path / "out", 2), wanted[2])
    bare = replace(example, confidence=np.where(np.arange(133) >= 91, 0, example.confidence))
    hands = (wanted[2].astype(int) - draw_pose(bare, start=14, stop=15)[0]) != 0
    assert hands.any(-1).sum() > 500  # pixels


def test_fast_solid_hands_are_smeared(tmp_path: Path) -> None:
    example, crisp = EXAMPLES / "weather.pose", {}
    for shutter in ("0", "0.5"):
        done = draw(
            example,
            "-o",
            tmp_path / f"at {shutter[-1]}",
            "--style",
            "solid",
            "--frames",
            ":12",
            "--shutter",
            shutter,
            "--json",
        )
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["shutter"] == float(shutter)
        crisp[shutter] = np.stack([read_frame(tmp_path / f"at {shutter[-1]}", frame) for frame in range(12)])
    changed = (crisp["0"] != crisp["0.5"]).any(-1)
    assert 0 < changed.any((1, 2)).sum() < 12  # hands that rest stay
    assert changed.mean() < 0.1
    keypoints = fill_missing(read_keypoints(example).keypoints)[0]
    assert np.array_equal(draw_pose(keypoints, style="solid", start=5, stop=12, shutter=0.5), crisp["0.5"][5:])
    larger = draw_pose(keypoints, (420, 520), "solid", stop=12, shutter=0.5)
    alike = np.array(
        [
            (abs(small.astype(int) - large[::2, ::2]) > 60).mean()
            for small, large in zip(crisp["0.5"], larger, strict=True)
        ]
    )
    assert alike.max() < 0.02


def test_refit_draws_the_fitted_hands(clip, tmp_path: Path) -> None:
    done = draw(EXAMPLES / "house.npz", "-o", tmp_path / "out", "--refit", "--frames", "12:13")
    assert done.exit_code == 0, done.output
    example = fill_missing(read_keypoints(EXAMPLES / "house.npz").keypoints)[0]
    drawn = read_frame(tmp_path / "out", 0)
    assert np.array_equal(drawn, draw_pose(refit_hands(example), start=12, stop=13)[0])
    assert not np.array_equal(drawn, draw_pose(example, start=12, stop=13)[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out.avi"], "use .mp4, .webm"),
        (["-o", "no/such/out.mp4"], "there is no folder"),
        (["-o", "out.mp4", "--stick", "2"], "only style fpdm"),
        (["-o", "out.mp4", "--stick", "2", "--style", "solid"], "only style fpdm"),
        (["-o", "out.mp4", "--shutter", "0.5"], "only style solid"),
        (["-o", "out.mp4", "--shutter", "-1", "--style", "solid"], "0 (crisp) to 1"),
        (["-o", "out.mp4", "--style", "openpose"], "openpose"),
        (["-o", "out.mp4", "--frames", "50:60"], "0 to 5"),
    ],
)
def test_bad_use_exits_with_2(clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = draw(clip[0], *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert [f.name for f in tmp_path.iterdir()] == ["clip.npz"]


@pytest.mark.parametrize("wrong", [["-o", "out.avi"], ["--frames", "50:60"], ["--shutter", "2"]])
def test_bad_use_is_said_before_hands_are_fitted(clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong) -> None:
    """That takes minutes for a clip of minutes."""
    monkeypatch.setattr("signgen.pose_image.solid.fit_hands", lambda clip: pytest.fail("hands are fitted"))
    monkeypatch.chdir(tmp_path)
    assert draw(clip[0], "-o", "out", "--style", "solid", *wrong).exit_code == 2


def test_absent_keypoints(tmp_path: Path) -> None:
    done = draw(tmp_path / "absent.npz", "-o", tmp_path / "out.mp4")
    assert done.exit_code == 2
    assert "absent.npz" in done.stderr
