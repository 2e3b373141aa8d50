"""`signgen render` on the command line: what it prints, and one line for everything that is wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tiny_pipeline import FRAME, picture, save_pipeline, signing

from signgen.cli import main
from signgen.keypoints import write_keypoints
from signgen.video import probe

KEYS = {
    "output", "frames", "width", "height", "fps", "seconds", "frames_per_second", "model", "source", "seed", "steps",
    "shutter", "window", "unet_evaluations_per_frame", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder beside good inputs: ``../good/clip.npz`` and ``../good/me.png``."""
    good, work = tmp_path / "good", tmp_path / "work"
    good.mkdir()
    work.mkdir()
    write_keypoints(signing(5), good / "clip.npz")
    Image.fromarray(picture()).save(good / "me.png")
    monkeypatch.chdir(work)
    return work


def call(model: Path | str, *arguments: str, keypoints: str = "../good/clip.npz") -> Result:
    """Runs the command with good inputs, except for what ``arguments`` say."""
    common = ["render", keypoints, "--source", "../good/me.png", "--model", str(model)]
    return CliRunner().invoke(main, [*common, *arguments])


def assert_refused(result: Result, work: Path, code: int = 2, words: str = "") -> None:
    """One ``error:`` line that says so, nothing on standard output, and nothing written."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert result.exit_code == code, result.stderr
    assert [line[:7] for line in lines] == ["error: "], result.stderr
    assert words in lines[0]
    assert result.stdout == ""
    assert list(work.iterdir()) == []


def test_json_has_the_contracts_keys_and_stdout_nothing_else(here, model):
    result = call(model, "--json", "--seed", "4")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert set(printed) >= KEYS
    assert (printed["output"], printed["frames"], printed["seed"]) == ("clip.mp4", 5, 4)
    assert probe("clip.mp4").size == FRAME
    assert sorted(path.name for path in here.iterdir()) == ["clip.json", "clip.mp4"]


def test_options_reach_the_render(here, model):
    result = call(
        model, "-o", "out", "--frames", "1:4", "--steps", "2", "--guidance", "2,3", "--window", "3", "--overlap", "0",
        "--size", "84x104", "--smooth", "5", "--fill-gaps", "2", "--dtype", "float32", "--device", "cpu", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    manifest = json.loads(Path("out.json").read_text())
    configuration = manifest["configuration"]
    assert len(list(Path("out").glob("images*.png"))) == manifest["frames"] == 3
    assert configuration["keypoints"] == "../good/clip.npz"
    assert configuration["frames"] == [1, 4]
    assert configuration["guidance"] == [2.0, 3.0]
    assert (configuration["window"], configuration["overlap"], configuration["dtype"]) == (3, 0, "float32")
    assert manifest["unet_evaluations_per_frame"] == 2 * 3 * (3 + 2) / 3
    assert (manifest["width"], manifest["height"]) == (84, 104)


def test_people_read_a_line_and_warnings_go_to_stderr(here, model):
    result = call(model)
    assert result.exit_code == 0
    assert result.stdout.startswith("clip.mp4: 5 frames of 42x52 at 25 fps")
    assert "warning: no keypoints of ../good/me.png are known" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fps", "0"], "--fps"),
        (["--size", "0x0"], "--size"),
        (["--size", "big"], "--size"),
        (["--frame-size", "210"], "--frame-size"),
        (["--frames", "3:90"], "0 <= A < B <= 5"),
        (["--frames", "4:4"], "--frames"),
        (["--frames", "one"], "--frames"),
        (["--steps", "0"], "--steps"),
        (["--guidance", "1,2,3"], "--guidance"),
        (["--guidance", "nan"], "--guidance"),
        (["--window", "1"], "--window"),
        (["--window", "0"], "--window: got 0"),
        (["--overlap", "9"], "--overlap"),
        (["--seed", "-1"], "--seed"),
        (["--shutter", "1.2"], "--shutter: got 1.2"),
        (["--shutter", "nan"], "--shutter"),
        (["--shutter", "0.5"], "paints no hands again"),
        (["--source", "nobody"], "no such signer"),
        (["--source", "../good/absent.png"], "absent.png"),
        (["--source-keypoints", "absent.npz"], "absent.npz"),
        (["--model", "imaginary"], "no such model"),
        (["--original", "../good/me.png"], "--compare"),
        (["-o", "absent/out.mp4"], "absent"),
        (["-o", "out.avi"], "out.avi"),
        (["-o", "../good/me.png/out.mp4"], "me.png"),
        (["--compare", "side.txt"], "--compare"),
        (["--align"], "--source-keypoints"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(here, model, arguments, words):
    assert_refused(call(model, *arguments), here, words=words)


def bad_file(folder: Path, kind: str) -> Path:
    """A keypoint file with one thing wrong."""
    path = folder / f"{kind}.json"
    frame = {"keypoints": np.full((133, 2), 20.0).tolist(), "keypoint_scores": [0.9] * 133}
    if kind == "empty-list":
        path.write_text("[]")
    elif kind == "joints":
        short = {"keypoints": [[1, 2]] * 40, "keypoint_scores": [1] * 40}
        path.write_text(json.dumps([{"frame_id": 0, "instances": [short]}]))
    elif kind == "nobody":
        frame["keypoint_scores"] = [0.0] * 133
        path.write_text(json.dumps([{"frame_id": i, "instances": [frame]} for i in range(3)]))
    elif kind == "not-finite":
        frame["keypoints"] = [[float("nan"), float("inf")]] * 133
        path.write_text(json.dumps([{"frame_id": 0, "instances": [frame]}]))
    elif kind == "not-json":
        path.write_text('{"frames": [')
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pose":
        path = path.with_suffix(".pose")
        write_keypoints(signing(5), path)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "pickle":
        path = path.with_suffix(".pkl")
        path.write_bytes(pickle.dumps({"a": print}))
    return path


@pytest.mark.parametrize(
    "kind", ["absent", "empty", "empty-list", "joints", "nobody", "not-finite", "not-json", "pose", "pickle"]
)
def test_bad_keypoints_are_one_line_and_exit_2(here, model, kind):
    path = bad_file(here.parent / "good", kind)
    assert_refused(call(model, keypoints=str(path)), here, words=path.name)


@pytest.mark.parametrize("content", ["1x1", "broken"])
def test_a_source_that_shows_nobody_is_one_line_and_exit_2(here, model, content):
    path = here.parent / "good" / "source.png"
    if content == "1x1":
        Image.new("RGB", (1, 1)).save(path)
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert_refused(call(model, "--source", str(path)), here, words="source.png")


def test_a_pickle_that_runs_a_function_runs_nothing(here, model):
    class Evil:
        def __reduce__(self):
            return Path.touch, (Path("ran").absolute(),)

    path = here.parent / "good" / "evil.pkl"
    path.write_bytes(pickle.dumps({"keypoints": Evil()}))
    assert_refused(call(model, keypoints=str(path)), here)


def test_a_failing_encoder_is_exit_1_and_leaves_nothing(here, model, monkeypatch):
    from signgen.video import VideoWriter

    def broken(self: VideoWriter, frame: np.ndarray) -> None:
        raise OSError(28, "No space left on device", str(self.path))

    monkeypatch.setattr(VideoWriter, "write", broken)
    result = call(model)
    assert_refused(result, here, code=1, words="No space left")


def test_an_older_output_survives_a_bad_run_and_is_replaced_by_a_good_one(here, model):
    Path("out.mp4").write_bytes(b"older")
    assert call(model, "-o", "out.mp4", "--frames", "3:90").exit_code == 2
    assert Path("out.mp4").read_bytes() == b"older"
    assert call(model, "-o", "out.mp4").exit_code == 0
    assert probe("out.mp4").frames == 5
