"""From footage to keypoint files: who is followed, which frames count, what is written, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from extract_maker import SHOULDERS, STILL, Lights, damage, encode, frame
from PIL import Image
from tiny_pipeline import save_pipeline

from signgen.cli import main
from signgen.errors import InputError
from signgen.extraction import EstimatorSettings, ExtractSettings, run
from signgen.extraction.estimator import Estimator, whole_frame
from signgen.extraction.people import choose, find_people, signing_box, windows
from signgen.extraction.run import extract, extract_keypoints
from signgen.keypoints import read_keypoints, write_keypoints
from signgen.rendering import render
from signgen.rendering.plan import _output_path
from signgen.video.sniff import is_footage

WIDE, HIGH = 960, 420
ONE, OTHER = (200.0, 120.0), (740.0, 120.0)


@pytest.fixture
def lights(monkeypatch: pytest.MonkeyPatch) -> Lights:
    """Every estimator that is asked for is this one."""
    estimator = Lights()
    monkeypatch.setattr(run, "load_estimator", lambda settings: estimator)
    return estimator


def folder(path: Path, frames: list[np.ndarray]) -> Path:
    path.mkdir()
    for number, image in enumerate(frames, 1):
        Image.fromarray(image).save(path / f"images{number:04d}.png")
    return path


def moving(count: int = 7) -> list[np.ndarray]:
    """One person who walks to the right, 3 pixels a frame."""
    return [frame(260, 300, (90 + 3 * number, 100)) for number in range(count)]


def test_a_damaged_frame_is_said_before_any_is_looked_at(tmp_path: Path, lights: Lights) -> None:
    film = damage(encode(tmp_path / "a.avi", moving(), "mjpeg"), 4)
    with pytest.raises(InputError, match=r"a\.avi: cannot be decoded at frame 4; encode the video again"):
        extract(film, tmp_path / "a.json")
    assert lights.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]
    assert extract(film, tmp_path / "a.json", frames=slice(0, 4)).frames == 4


# ---- people ----------------------------------------------------------------------------------------------------------


def test_two_people_are_told_apart_from_the_left() -> None:
    people = find_people(Lights(), [frame(WIDE, HIGH, ONE, OTHER)] * 3)
    assert [someone.seen for someone in people] == [3, 3]
    assert [someone.shoulders for someone in people] == pytest.approx([SHOULDERS] * 2, rel=0.01)
    for someone, (x, y) in zip(people, (ONE, OTHER), strict=True):
        assert (someone.box[:2] < STILL.min(0) + [x, y]).all()
        assert someone.box[0] < x - 1.5 * SHOULDERS
        assert someone.box[2] > x + 1.5 * SHOULDERS
        assert (signing_box(someone, WIDE, HIGH) == someone.box).all()


def test_the_likely_signer_is_taken_unless_another_is_named() -> None:
    people = find_people(Lights(), [frame(WIDE, HIGH, ONE, OTHER)])
    assert choose(people, 2, WIDE, "x") is people[1]
    assert any(choose(people, None, WIDE, "x") is someone for someone in people)
    assert choose([], None, WIDE, "x") is None
    with pytest.raises(InputError, match="--person 3, 2 people found"):
        choose(people, 3, WIDE, "x")


def test_someone_seen_once_in_five_frames_is_nobody() -> None:
    empty, full = frame(WIDE, HIGH), frame(WIDE, HIGH, OTHER)
    assert find_people(Lights(), [empty, empty, full, empty, empty]) == []
    assert find_people(Lights(score=0.1), [full]) == []


def test_strips_cover_a_wide_frame_and_a_narrow_one_needs_none() -> None:
    assert len(windows(210, 260)) == 1
    places = np.array(windows(1280, 720)[1:])
    assert places[0, 0] == -0.5
    assert places[-1, 2] == 1279.5
    assert (places[1:, 0] <= places[:-1, 2] - 0.4 * 540).all()  # a person on an edge of one is inside of the next


def test_a_person_who_fills_the_frame_is_looked_for_in_all_of_it() -> None:
    people = find_people(Lights(), [frame(210, 260, (105, 100))])
    assert (signing_box(people[0], 210, 260) == whole_frame(210, 260)).all()


# ---- the files -------------------------------------------------------------------------------------------------------


def test_what_is_written_is_mmposes_json_and_reads_back_with_size_and_rate(tmp_path: Path, lights: Lights) -> None:
    clip = encode(tmp_path / "clip.mp4", moving(), crf="1")
    seen: list[tuple[int, int]] = []
    result = extract(clip, tmp_path / "out.json", batch=3, progress=lambda done, total: seen.append((done, total)))
    frames = json.loads((tmp_path / "out.json").read_text())
    assert [entry["frame_id"] for entry in frames] == list(range(7))
    (instance,) = frames[0]["instances"]
    assert np.shape(instance["keypoints"]) == (133, 2)
    assert np.shape(instance["keypoint_scores"]) == (133,)
    assert np.shape(instance["bbox"]) == (1, 4)
    read = read_keypoints(tmp_path / "out.json")
    assert (read.format, read.warnings, read.keypoints.size, read.keypoints.fps) == ("mmpose", [], (260, 300), 25)
    assert np.diff(read.keypoints.xy[:, 0, 0]) == pytest.approx(3, abs=0.3)  # frame for frame
    assert seen == [(0, 7), (3, 7), (6, 7), (7, 7)]
    assert [(count, follows) for count, _, follows in lights.calls[-3:]] == [(3, False), (3, True), (1, True)]
    header = json.loads((tmp_path / "out.json.header").read_text())
    assert (header["estimator"], header["source"], header["reader"]) == ("lights", str(clip), result.reader)
    assert result.missing == {"body": 0, "face": 0, "left_hand": 0, "right_hand": 0}
    assert isinstance(lights, Estimator)


def test_one_picture_is_a_clip_of_one_frame(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(1))
    extract(place / "images0001.png", tmp_path / "a.json")
    read = read_keypoints(tmp_path / "a.json").keypoints
    assert (len(read), read.size) == (1, (260, 300))


@pytest.mark.parametrize("suffix", [".pose", ".npz"])
def test_other_formats_hold_the_same(tmp_path: Path, lights: Lights, suffix: str) -> None:
    place = folder(tmp_path / "clip", moving(3))
    extract(place, tmp_path / "a.json", fps=30)
    extract(place, tmp_path / f"b{suffix}", fps=30)
    one, other = (read_keypoints(tmp_path / name).keypoints for name in ("a.json", f"b{suffix}"))
    assert one.fps == other.fps == 30
    assert other.xy == pytest.approx(one.xy, abs=1e-4)


def test_pictures_that_are_not_there_are_time_without_a_person(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(6))
    for number in (3, 4):
        (place / f"images{number:04d}.png").unlink()
    result = extract(place, tmp_path / "a.json", fps=25)
    read = read_keypoints(tmp_path / "a.json").keypoints
    assert (read.confidence > 0).any(1).tolist() == [True, True, False, False, True, True]
    assert read.xy[[0, 1, 4, 5], 0, 0] == pytest.approx([89.5, 92.5, 101.5, 104.5], abs=0.6)
    assert [line for line in result.warnings if "frame numbers 3 to 4 are missing: 2 of 6" in line]


def test_a_range_of_frames_counts_the_pictures_that_are_not_there(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(6))
    for number in (3, 4):
        (place / f"images{number:04d}.png").unlink()
    whole = extract_keypoints(place, ExtractSettings(fps=25)).keypoints
    found = extract_keypoints(place, ExtractSettings(fps=25, frames=slice(3, 5)))
    assert (found.keypoints.xy == whole.xy[3:5]).all()
    assert (found.origin["first_frame"], found.origin["source_frames"]) == (2, [None, 2])
    with pytest.raises(InputError, match="no picture of it is there"):
        extract_keypoints(place, ExtractSettings(fps=25, frames=slice(2, 4)))
    for number, image in enumerate(moving(10)):  # names that count something finer than frames
        (tmp_path / "fine").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "fine" / f"{40 * number}.png")
    assert len(extract_keypoints(tmp_path / "fine", ExtractSettings(fps=25, frames=slice(0, 5))).keypoints) == 5


@pytest.mark.parametrize("suffix", [".json", ".pose", ".npz"])
def test_a_name_that_is_no_unicode_is_escaped(tmp_path: Path, lights: Lights, suffix: str) -> None:
    place = tmp_path / os.fsdecode(b"geb\xe4rde")
    try:
        folder(place, moving(2))
    except OSError:
        pytest.skip("this file system has no such names")
    target = tmp_path / f"a{suffix}"
    extract(place, target, fps=25)
    assert json.loads((tmp_path / f"a{suffix}.header").read_text())["source"] == str(place)
    assert len(read_keypoints(target).keypoints) == 2


def test_a_step_between_frames_is_refused_since_the_rate_would_be_wrong(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(6))
    with pytest.raises(InputError, match="slice without a step"):
        extract_keypoints(place, ExtractSettings(fps=25, frames=slice(0, 6, 2)))


def test_without_an_output_a_clip_keeps_the_name_that_it_was_given_by(
    tmp_path: Path, lights: Lights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders of one day, or a link into a store of files, would else be written over each other."""
    monkeypatch.chdir(tmp_path)
    for take in ("2024.05.01", "2024.05.02"):
        folder(tmp_path / take, moving(2))
        assert extract(take, fps=25).output == f"{take}.json"
    (tmp_path / "anna.mp4").symlink_to(encode(tmp_path / "3f9a.mp4", moving(2)))
    assert extract("anna.mp4").output == "anna.json"
    assert _output_path("2024.05.01", None).name == "2024.05.01_rendered.mp4"
    monkeypatch.chdir(tmp_path / "2024.05.02")
    assert extract_keypoints(".", ExtractSettings(fps=25)).keypoints.name == "2024.05.02"


def test_without_an_output_no_file_of_others_is_replaced(
    tmp_path: Path, lights: Lights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`signgen render` writes out.json beside out.mp4: how it was made, and with whose consent."""
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "out.mp4", moving(2))
    (tmp_path / "out.json").write_text("{}")
    with pytest.raises(InputError, match="out.json: is there already"):
        extract("out.mp4")
    assert (tmp_path / "out.json").read_text() == "{}"
    extract("out.mp4", "out.json")
    extract("out.mp4")  # its own


def test_a_folder_where_the_header_goes_is_not_replaced(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(2))
    folder(tmp_path / "a.json.header", moving(1))
    with pytest.raises(InputError, match="a.json.header: is a folder"):
        extract(place, tmp_path / "a.json", fps=25)
    with pytest.raises(InputError, match="a.json.header: is a folder"):
        write_keypoints(extract_keypoints(place).keypoints, tmp_path / "a.json", header=True)
    assert len(list((tmp_path / "a.json.header").iterdir())) == 1


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, lights: Lights, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path / "clip", moving(5))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text("before")
    find = lights._find

    def fail(image: np.ndarray, box: np.ndarray) -> np.ndarray:
        if sum(count for count, _, _ in lights.calls) > 7:
            raise OSError(28, "No space left on device", "x")
        return find(image, box)

    monkeypatch.setattr(lights, "_find", fail)
    with pytest.raises(OSError, match="No space"):
        extract(place, tmp_path / "out" / "a.json", batch=1)
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["a.json"]
    assert (tmp_path / "out" / "a.json").read_text() == "before"


def test_box_and_frames_say_where_and_when_to_look(tmp_path: Path, lights: Lights) -> None:
    place = folder(tmp_path / "clip", moving(6))
    box = (10.0, 20.0, 240.0, 280.0)
    result = extract(place, tmp_path / "a.json", box=box, frames=slice(2, 5))
    assert len(lights.calls) == 1  # nobody is searched for
    assert (lights.calls[0][1] == box).all()
    assert result.people == []
    read = read_keypoints(tmp_path / "a.json").keypoints
    assert read.xy[:, 0, 0] == pytest.approx([95.5, 98.5, 101.5], abs=0.6)
    assert json.loads((tmp_path / "a.json.header").read_text())["first_frame"] == 2


def test_frames_without_anybody_are_counted_and_a_clip_without_anybody_is_refused(
    tmp_path: Path, lights: Lights
) -> None:
    empty = frame(260, 300)
    place = folder(tmp_path / "clip", [*moving(4), empty, *moving(5)[4:]])
    result = extract(place, tmp_path / "a.json")
    assert "nobody is found in 1 of 6 frames" in result.warnings
    assert json.loads((tmp_path / "a.json").read_text())[4] == {"frame_id": 4, "instances": []}
    nobody = folder(tmp_path / "nobody", [empty] * 2)
    with pytest.raises(InputError, match="nobody is found in any of 2 frames"):
        extract(nobody, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


# ---- the command -----------------------------------------------------------------------------------------------------


def command(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["extract", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_one_object(tmp_path: Path, lights: Lights, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path / "clip", [frame(WIDE, HIGH, ONE, OTHER)] * 2)
    monkeypatch.chdir(tmp_path)
    code, printed, said = command("clip", "--json", "--person", 2, "--fps", 50)
    report = json.loads(printed)
    assert code == 0
    assert (report["output"], report["fps"], report["frames"], len(report["people"])) == ("clip.json", 50, 2, 2)
    assert report["box"][0] > WIDE / 2
    assert "extract: 2/2" in said
    read = read_keypoints(tmp_path / "clip.json").keypoints
    assert read.xy[0, 0] == pytest.approx(OTHER, abs=1)
    code, _, said = command(place)
    assert code == 0
    assert "2 people; takes number" in said
    assert "assumed 25 fps" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.mp4"], "absent.mp4: no such file"),
        (["clip", "-o", "a.txt"], "got suffix .txt"),
        (["clip", "-o", "nowhere/a.json"], "there is no folder"),
        (["clip", "--box", "1,2,3"], "--box: got '1,2,3'"),
        (["clip", "--box", "0,0,9,9"], "at least 16 each way"),
        (["clip", "--box", "0,0,99,nan"], "--box"),
        (["clip", "--box", "0,0,99,99", "--person", "1"], "one of them says who is meant"),
        (["clip", "--person", "4"], "--person 4, 1 person found"),
        (["clip", "--frames", "1:9"], "--frames: got 1:9; the clip has frames 0 to 1"),
        (["clip", "--frames", "2:"], "--frames"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, lights: Lights, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    folder(tmp_path / "clip", moving(2))
    monkeypatch.chdir(tmp_path)
    code, printed, said = command(*arguments)
    assert (code, printed) == (2, "")
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1
    assert sorted(item.name for item in tmp_path.iterdir()) == ["clip"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EstimatorSettings("other"), "estimators are mmpose, rtmlib, mediapipe"),
        (EstimatorSettings(weights="x.bin"), "does not say what it is for"),
        (EstimatorSettings("mmpose"), "estimator mmpose: no weights given"),
        (EstimatorSettings("rtmlib"), "estimator rtmlib: no weights given"),
        (EstimatorSettings(weights="absent.pth"), "absent.pth: not found; estimator mmpose needs"),
        (EstimatorSettings(weights="absent.onnx"), "absent.onnx: not found; estimator rtmlib needs"),
        (EstimatorSettings("mediapipe", weights="x.task"), "it uses those of its wheel"),
        (EstimatorSettings("mediapipe", engine="openvino"), "--engine: got openvino with mediapipe"),
        (EstimatorSettings("rtmlib", config="x.py"), "--config: got x.py with rtmlib"),
    ],
)
def test_an_estimator_that_cannot_be_had_is_named(settings: EstimatorSettings, words: str) -> None:
    from signgen.extraction.loading import load_estimator

    with pytest.raises(InputError) as error:
        load_estimator(settings)
    assert words in str(error.value)


# ---- render VIDEO ----------------------------------------------------------------------------------------------------


def test_footage_is_told_from_keypoints_by_its_content(tmp_path: Path, lights: Lights) -> None:
    clip = encode(tmp_path / "clip.mp4", moving(2))
    place = folder(tmp_path / "frames", moving(2))
    (tmp_path / "named.json").write_bytes(clip.read_bytes())
    for name in ("clip.mp4", "frames", "named.json"):
        assert is_footage(tmp_path / name)
    for suffix in ("json", "pose", "npz"):
        extract(place, tmp_path / f"points.{suffix}")
        assert not is_footage(tmp_path / f"points.{suffix}")
    (place / "images0001.json").write_text("[]")
    for path in (place, tmp_path, tmp_path / "absent"):
        assert not is_footage(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "tiny")


def test_render_takes_a_video_in_python(tmp_path: Path, lights: Lights, model: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", moving(3), crf="1")
    (tmp_path / "out").mkdir()
    for number, footage in enumerate((clip, folder(tmp_path / "frames", moving(3)))):
        result = render(footage, model=model, output=tmp_path / f"{number}.mp4", estimator="mediapipe", fps=12.5)
        assert (result.width, result.height, result.fps) == (260, 300, 12.5)
        assert result.extracted is not None
        assert result.extracted["estimator"] == "lights"
    by_hand = extract_keypoints(clip, ExtractSettings(fps=12.5)).keypoints
    render(by_hand, model=model, output=tmp_path / "by_hand.mp4")
    assert (tmp_path / "by_hand.mp4").read_bytes() == (tmp_path / "0.mp4").read_bytes()


def test_render_takes_a_video_on_the_command_line(
    tmp_path: Path, lights: Lights, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = encode(tmp_path / "clip.mp4", moving(3), crf="1")
    before = clip.read_bytes()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["render", "clip.mp4", "--model", str(model), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["output"], report["extracted"]["estimator"]) == ("clip_rendered.mp4", "lights")
    assert (report["frames"], report["width"], report["height"], report["fps"]) == (3, 260, 300, 25)
    assert report["extracted"]["missing"]["body"] == 0
    assert json.loads((tmp_path / "clip_rendered.json").read_text())["extracted"] == report["extracted"]
    extract(clip, tmp_path / "points.json")
    for arguments, subject in (
        (["clip.mp4", "-o", "clip.mp4"], "clip.mp4"),
        (["clip.mp4", "--clip", "a"], "--clip"),
        (["clip.mp4", "--from", "mmpose"], "--from"),
        (["points.json", "--estimator", "mediapipe"], "--estimator"),
    ):
        failed = CliRunner().invoke(main, ["render", *arguments, "--model", str(model)])
        assert failed.exit_code == 2
        assert failed.stderr.startswith(f"error: {subject}: ")
    assert clip.read_bytes() == before
