"""`signgen evaluate` on the command line: what it prints and writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from clip_maker import SIZE, clip, noisy, save, save_keypoints

from signgen.cli import main
from signgen.files import Staging
from signgen.processes import cores
from signgen.scoring import measures
from signgen.scoring.measures import frames_at_a_time
from signgen.scoring.metrics import PSNR, SSIM, TOF, BackgroundDeviation, HandSSIM, MotionRatio, StillFlicker
from signgen.scoring.metrics.registry import METRICS
from signgen.scoring.run import Request, evaluate_request, processes
from signgen.scoring.summary import EvaluationResult
from signgen.video import VideoWriter

CONTRACT = {
    "ssim_win51", "ssim_wang", "psnr", "hand_ssim", "hand_pe", "hand_pe_drive", "lpips", "fid", "tof", "flicker",
    "motion_ratio", "still_flicker", "background_deviation",
}  # fmt: skip
LENGTHS = {"a": 4, "b": 3, "c": 20}  # c is longer than what is in memory at a time
SURE = {"a": [[1, 1]] * 4, "b": [[0.9, 0.1]] * 3, "c": [[0.2, 0.2]] * 20}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three true clips, a good and a bad system's, and keypoints in which hands are missing."""
    root = tmp_path_factory.mktemp("clips")
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        true = clip(frames, seed=seed)
        save(true, root / "true" / name)
        save(noisy(true, 4, seed), root / "good" / name)
        save(noisy(true, 25, seed + 9), root / "bad" / name)
        save_keypoints(root / "k" / f"{name}.npz", np.full((frames, 2, 2), (30, 35)), np.array(SURE[name]))
    return root


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def scores(*arguments: object) -> Any:
    done = call(*arguments, "--json", *([] if "--jobs" in arguments else ["--jobs", "1"]))
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def assert_refused(result: Result, words: str, code: int = 2) -> None:
    lines = [line for line in result.stderr.splitlines() if not line.startswith("frames:")]
    assert result.exit_code == code, result.stderr
    assert [line[:7] for line in lines] == ["error: "], result.stderr
    assert words in lines[0]
    assert result.stdout == ""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def good(clips: Path) -> Any:
    return scores(clips / "good", clips / "true", "--keypoints", clips / "k", "--csv", clips / "good.csv")


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_the_contracts_keys(good: Any) -> None:
    assert set(good) == {
        "metrics", "intervals", "not_computed", "counts", "signatures", "clips", "versions", "warnings", "settings",
    }  # fmt: skip
    assert CONTRACT <= set(good["metrics"]) == {name for name, score in METRICS.items() if not score.on_request}
    assert {"clips", "frames", "hands", "hands_left_out"} <= set(good["counts"])
    for name, value in good["metrics"].items():
        assert (value is None) == (name in good["not_computed"]), name
        assert (value is None) <= (good["intervals"][name] is None), name
        if value is not None:
            assert name in good["signatures"]
            assert good["intervals"][name] is not None or f"intervals.{name}" in good["not_computed"]
    assert [(c["name"], c["frames"], set(c["metrics"])) for c in good["clips"]] == [
        (name, frames, set(good["metrics"])) for name, frames in LENGTHS.items()
    ]
    assert EvaluationResult.from_json(good).to_json() == good


def test_totals_are_those_of_the_metric_classes(clips: Path, good: Any) -> None:
    made = {
        "ssim_win51": SSIM("win51"), "ssim_wang": SSIM("wang"), "psnr": PSNR(), "motion_ratio": MotionRatio(),
        "still_flicker": StillFlicker(), "background_deviation": BackgroundDeviation(), "tof": TOF(),
        "hand_ssim": HandSSIM(),
    }  # fmt: skip
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        true = clip(frames, seed=seed)
        pred = noisy(true, 4, seed)
        xy, confidence = np.zeros((frames, 133, 2)), np.zeros((frames, 133))
        xy[:, [100, 121]], confidence[:, [100, 121]] = (30, 35), SURE[name]
        for metric, instance in made.items():
            instance.update(pred, true, *((xy, confidence) if metric == "hand_ssim" else ()))
    for metric, instance in made.items():
        assert good["metrics"][metric] == pytest.approx(float(instance.compute()), rel=1e-9), metric
        assert good["signatures"][metric] == instance.signature


def test_missing_hands_are_counted_and_not_scored(good: Any) -> None:
    assert (good["counts"]["hands"], good["counts"]["hands_left_out"]) == (2 * 4 + 3, 3 + 2 * 20)
    values = {c["name"]: c["metrics"]["hand_ssim"] for c in good["clips"]}
    assert values["c"] is None, "no hand is no 0"
    assert good["metrics"]["hand_ssim"] == pytest.approx((8 * values["a"] + 3 * values["b"]) / 11)
    found, lost = good["counts"]["hand_pe_hands"], good["counts"]["hand_pe_not_found"]
    assert found + lost == good["counts"]["hands"]


def test_the_frame_table_agrees_with_the_json(clips: Path, good: Any) -> None:
    lines = read(clips / "good.csv")
    assert [(line["clip"], int(line["frame"])) for line in lines] == [
        (name, frame) for name, frames in LENGTHS.items() for frame in range(frames)
    ]
    for entry in good["clips"]:
        mine = [line for line in lines if line["clip"] == entry["name"]]
        for name in ("ssim_win51", "ssim_wang", "psnr", "tof", "flicker", "temporal_difference_error"):
            values = [float(line[name]) for line in mine if line[name]]
            assert len(values) == entry["frames"] - (name in ("tof", "flicker", "temporal_difference_error"))
            assert np.mean(values) == pytest.approx(entry["metrics"][name], rel=1e-12)
    hands = [(float(line["hand_ssim"]), int(line["hands"])) for line in lines if line["hand_ssim"]]
    values, weights = np.transpose(hands)
    assert np.average(values, weights=weights) == pytest.approx(good["metrics"]["hand_ssim"], rel=1e-12)
    assert [line["hands"] for line in lines if line["clip"] == "c"] == ["0"] * 20
    assert {line["hand_ssim"] for line in lines if line["clip"] == "c"} == {""}


def test_without_keypoints_hands_have_a_reason(clips: Path) -> None:
    result = scores(clips / "good", clips / "true")
    for name in ("hand_ssim", "hand_pe", "hand_pe_drive", "wrist_px"):
        assert result["metrics"][name] is None
        assert "--keypoints" in result["not_computed"][name]
    assert "alexnet" in result["not_computed"]["lpips"]
    assert "--fid-weights" in result["not_computed"]["fid"]
    assert result["counts"]["hands"] == 0


def test_one_clip_has_values_and_a_reason_for_no_intervals(clips: Path) -> None:
    result = scores(clips / "good" / "a", clips / "true" / "a", "--keypoints", clips / "k" / "a.npz")
    assert result["metrics"]["hand_ssim"] is not None
    assert set(result["intervals"].values()) == {None}
    assert "one clip" in result["not_computed"]["intervals"]


def test_reasons_name_the_cause(clips: Path, tmp_path: Path) -> None:
    frame = save(clip(1), tmp_path / "one")
    unsure = save_keypoints(tmp_path / "k.npz", np.full((1, 2, 2), 40), np.full((1, 2), 0.2))
    why = scores(frame, frame, "--keypoints", unsure)["not_computed"]
    for name in ("hand_ssim", "hand_pe", "hand_pe_drive"):
        assert why[name] == "no true hand is confident enough to count"
    for name in ("tof", "flicker", "motion_ratio", "still_flicker", "background_deviation"):
        assert why[name] == "no clip has two frames"


def test_frames_too_small_for_a_window_leave_out_that_metric_alone(tmp_path: Path) -> None:
    true = save(clip(2, size=(40, 48)), tmp_path / "true")
    result = scores(true, true)
    assert result["metrics"]["ssim_win51"] is None
    assert "51 pixels" in result["not_computed"]["ssim_win51"]
    assert result["metrics"]["ssim_wang"] == pytest.approx(1)


def test_the_truth_scores_perfectly(clips: Path) -> None:
    metrics = scores(clips / "true", clips / "true", "--keypoints", clips / "k")["metrics"]
    assert metrics["ssim_win51"] == pytest.approx(1)
    assert metrics["hand_ssim"] == pytest.approx(1)
    assert metrics["psnr"] == 100
    assert metrics["motion_ratio"] == 1
    assert metrics["tof"] == metrics["temporal_difference_error"] == 0


def test_a_frozen_video_is_not_the_better_one(clips: Path, tmp_path: Path) -> None:
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        save(np.repeat(clip(frames, seed=seed)[:1], frames, 0), tmp_path / "frozen" / name)
    result = scores(tmp_path / "frozen", clips / "true", "--against", clips / "true")
    assert result["metrics"]["flicker"] == result["metrics"]["motion_ratio"] == result["metrics"]["still_flicker"] == 0
    better = {name: d["better"] for name, d in result["against"]["differences"].items()}
    for name in ("motion_ratio", "temporal_difference_error", "tof", "ssim_wang", "psnr"):
        assert better[name] == "against", name
    assert better["flicker"] is None, "no motion is no merit"
    assert result["metrics"]["temporal_difference_error"] > 0


# --- several processes, seeds -----------------------------------------------------------------------------------------


def test_the_number_of_processes_changes_no_digit(clips: Path, tmp_path: Path, good: Any) -> None:
    paths = clips / "good", clips / "true", "--keypoints", clips / "k"
    assert scores(*paths, "--jobs", "2", "--csv", tmp_path / "two.csv") == good
    assert (tmp_path / "two.csv").read_bytes() == (clips / "good.csv").read_bytes()


def test_a_seed_moves_intervals_alone(clips: Path, good: Any) -> None:
    other = scores(clips / "good", clips / "true", "--keypoints", clips / "k", "--seed", "1")
    assert other["metrics"] == good["metrics"]
    assert other["settings"]["seed"] == 1


def test_few_frames_start_no_second_process() -> None:
    assert processes(150) == 1
    assert processes(10**9) == cores()


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What worker processes do from their beginning on is done in this one; the real ones have a test above."""

    def here(action: Any, tasks: Any, jobs: int, begin: Any, given: Any) -> Any:
        begin(*given)
        return map(action, tasks)

    monkeypatch.setattr(measures, "in_processes", here)
    monkeypatch.setattr(measures, "_metrics", {})
    monkeypatch.setattr(measures, "_set_threads", lambda count: None)


@pytest.mark.usefixtures("workers_here")
def test_a_clip_that_breaks_off_in_another_process_is_one_line(clips: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(clip(4), tmp_path / "made" / name)
        save(clip(4), tmp_path / "true" / name)
    (tmp_path / "made" / "b" / "images0003.png").write_bytes(b"damaged")
    assert_refused(call(tmp_path / "made", tmp_path / "true", "--jobs", "2"), "images0003.png")


@pytest.mark.usefixtures("workers_here")
def test_processes_load_no_hand_detector_that_nothing_needs(clips: Path, tmp_path: Path) -> None:
    """Without keypoints this process loads none, whatever it is; nor may the others."""
    options = "--hand-detector", "mmpose", "--hand-weights", tmp_path / "absent.pth"
    assert scores(clips / "good", clips / "true", *options, "--jobs", "2")["counts"]["frames"] == 27


def test_progress_begins_before_the_work(clips: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluate_request(Request(clips / "good", clips / "true"), lambda done, total: told.append((done, total)))
    assert told == [(0, 27), (4, 27), (7, 27), (23, 27), (27, 27)]


def test_large_frames_come_fewer_at_a_time(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [frames_at_a_time(size) for size in ((210, 260), (512, 512), (1920, 1080), (7680, 4320))] == [16, 16, 2, 1]
    paths = clips / "good", clips / "true", "--limit", "1"
    whole = scores(*paths)
    monkeypatch.setattr("signgen.scoring.measures.PIXELS", 1)
    assert scores(*paths) == whole


# --- two systems ------------------------------------------------------------------------------------------------------


def test_two_systems_are_told_apart(clips: Path, tmp_path: Path) -> None:
    paths = clips / "good", clips / "true", "--against", clips / "bad"
    result = scores(*paths, "--csv", tmp_path / "both.csv")
    against = result["against"]
    difference = against["differences"]["ssim_wang"]
    assert difference["mean"] == pytest.approx(result["metrics"]["ssim_wang"] - against["metrics"]["ssim_wang"])
    assert difference["better"] == "generated"
    assert difference["interval"][0] > 0
    assert difference["p_value"] == pytest.approx(2 / 2**3), "three clips can say no more"
    alone = scores(clips / "bad", clips / "true")
    assert against["metrics"] == alone["metrics"]
    assert against["intervals"] == alone["intervals"]
    assert [line["system"] for line in read(tmp_path / "both.csv")] == ["generated"] * 27 + ["against"] * 27
    assert any("only 3 clips" in warning for warning in result["warnings"])


def test_the_table_says_who_is_better(clips: Path) -> None:
    text = call(clips / "good", clips / "true", "--against", clips / "bad", "--jobs", "1").stdout
    row = next(line for line in text.splitlines() if "SSIM wang" in line and "0.2500" in line)
    assert "generated, no clear" in row, "three clips cannot tell"
    same = call(clips / "good", clips / "true", "--against", clips / "good", "--jobs", "1").stdout
    rows = [line for line in same.splitlines() if line.strip().startswith("SSIM") and "1.0000" in line.split()]
    assert len(rows) == 2
    assert all(row.rstrip().endswith("equal") for row in rows)


def test_hands_of_the_second_system_are_counted_too(clips: Path) -> None:
    paths = clips / "true", "--keypoints", clips / "k", "--jobs", "1"
    against = scores(clips / "good", *paths, "--against", clips / "bad")["against"]
    alone = scores(clips / "bad", *paths)["counts"]
    assert against["counts"]["hand_pe_not_found"] == alone["hand_pe_not_found"] > 0
    assert {name: alone[name] for name in against["counts"]} == against["counts"]
    text = call(clips / "good", *paths, "--against", clips / "bad").stdout
    lost = alone["hand_pe_not_found"]
    line = next(line for line in text.splitlines() if line.startswith(f"counted, not scored of {clips / 'bad'}"))
    assert f"{lost} hands not found by the detector" in line


def test_a_path_in_brackets_is_printed_as_it_is(clips: Path, tmp_path: Path) -> None:
    for name in ("out[v2]", "out[", "a[/x]"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        other = tmp_path / name
        other.mkdir(parents=True)
        os.symlink(clips / "bad" / "a", other / "a")
        done = call(
            clips / "good", clips / "true", "--against", other, "--names", "common", "--limit", "1", "--jobs", "1"
        )
        assert done.exit_code == 0, done.stderr
        assert name in "".join(done.stdout.split("signatures:")[0].split("\n"))


def test_the_table_has_values_intervals_and_signatures(clips: Path) -> None:
    text = call(clips / "good", clips / "true", "--keypoints", clips / "k", "--jobs", "1").stdout
    assert "3 clips, 27 frames" in text
    row = next(line for line in text.splitlines() if "Hand SSIM" in line)
    assert " to " in row
    assert "higher" in row
    assert "11 hands" in row
    assert "43 hands left out" in text
    assert "\n  psnr: psnr|peak:1" in text
    assert "\n  lpips: no weights" in text


# --- files and errors -------------------------------------------------------------------------------------------------


def test_a_report_holds_the_worst_clips(clips: Path, tmp_path: Path) -> None:
    scores(
        clips / "good", clips / "true", "--keypoints", clips / "k", "--report", tmp_path / "r.html", "--report-clips", 2
    )
    text = (tmp_path / "r.html").read_text()
    assert "ssim|win51" in text
    assert "2 lowest by Hand SSIM" in text
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_outputs_are_checked_before_anything_is_measured(clips: Path, tmp_path: Path) -> None:
    paths = clips / "good", clips / "true"
    assert_refused(call(*paths, "--csv", tmp_path), "is a folder")
    assert_refused(call(*paths, "--csv", tmp_path / "no" / "a.csv"), "there is no folder")
    assert_refused(call(*paths, "--report", tmp_path / "a", "--csv", tmp_path / "a"), "two names")
    keypoints = clips / "k" / "a.npz"
    one = clips / "good" / "a", clips / "true" / "a", "--keypoints", keypoints
    assert_refused(call(*one, "--csv", keypoints), "is one of the inputs")


def test_a_report_without_a_folder_is_refused_before_anything_is_measured(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signgen.scoring.run.score_all", lambda *_: pytest.fail("measured first"))
    assert_refused(call(clips / "good", clips / "true", "--report", tmp_path / "no" / "r.html"), "there is no folder")


def test_no_output_replaces_an_input_however_it_is_spelt(clips: Path, tmp_path: Path) -> None:
    paths = clips / "good" / "a", clips / "true" / "a"
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    other = tmp_path / "other.mp4"
    other.write_bytes(b"a video")
    assert_refused(call(*paths, "--against", other, "--csv", other), "is one of the inputs")
    assert_refused(call(*paths, "--fid-weights", weights, "--report", weights), "is one of the inputs")
    keypoints = clips / "k" / "a.npz"
    spelt = clips / "k" / ".." / "k" / "a.npz"
    assert_refused(call(*paths, "--keypoints", keypoints, "--csv", spelt), "is one of the inputs")
    frame = clips / "true" / "a" / "images0001.png"
    before = frame.read_bytes()
    assert_refused(call(clips / "good", clips / "true", "--csv", frame), "lies in one of the inputs")
    assert frame.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_unicode_is_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    for side in ("made", "true"):
        save(clip(1), tmp_path / side / name)
    result = scores(tmp_path / "made", tmp_path / "true", "--csv", tmp_path / "a.csv", "--report", tmp_path / "a.html")
    assert [entry["name"] for entry in result["clips"]] == [name]
    assert b"\ngenerated,caf\xe9,0," in (tmp_path / "a.csv").read_bytes()


@pytest.fixture
def older(tmp_path: Path) -> dict[Path, bytes]:
    """A table and a report of an earlier evaluation, alone in their folder."""
    files = {tmp_path / "out" / "a.csv": b"older table", tmp_path / "out" / "a.html": b"older report"}
    (tmp_path / "out").mkdir()
    for path, content in files.items():
        path.write_bytes(content)
    return files


def outputs(files: dict[Path, bytes]) -> tuple[object, ...]:
    table, report = files
    return "--csv", table, "--report", report, "--jobs", "1"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def test_a_failed_evaluation_leaves_the_older_files_and_nothing_else(
    clips: Path, tmp_path: Path, older: dict[Path, bytes]
) -> None:
    made = save(clip(4), tmp_path / "made")
    (made / "images0004.png").write_bytes(b"damaged")
    assert_refused(call(made, clips / "true" / "a", *outputs(older)), "images0004.png")
    assert contents(tmp_path / "out") == older
    for path in older:
        path.unlink()
    assert_refused(call(made, clips / "true" / "a", *outputs(older)), "images0004.png")
    assert contents(tmp_path / "out") == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("which", ["a.csv", "a.html"])
def test_a_full_disk_leaves_the_older_files_and_nothing_else(
    clips: Path, tmp_path: Path, older: dict[Path, bytes], which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = clips / "good" / "a", clips / "true" / "a"
    place = Staging.place

    def full(staging: Staging, target: Path) -> Path:
        return Path("/dev/full") if target.name == which else place(staging, target)

    with monkeypatch.context() as patched:
        patched.setattr(Staging, "place", full)
        assert_refused(call(*paths, *outputs(older)), f"{which}: no space left on the disk", code=1)
    assert contents(tmp_path / "out") == older
    assert call(*paths, *outputs(older)).exit_code == 0
    made = contents(tmp_path / "out")
    assert made.keys() == older.keys()
    assert [made[path][:6] for path in older] == [b"system", b"<!doct"]


def test_mismatches_are_one_line_and_exit_code_two(clips: Path, tmp_path: Path) -> None:
    save(clip(4), tmp_path / "a")
    assert_refused(call(tmp_path, clips / "true"), "2 clips missing")
    assert_refused(call(tmp_path / "a", clips / "true"), "two folders of clips")
    assert_refused(call(tmp_path / "a", clips / "true" / "b"), "--lengths common")
    (tmp_path / "empty").mkdir()
    assert_refused(call(tmp_path / "empty", clips / "true"), "holds neither frames nor clips")
    assert_refused(call(tmp_path / "absent", clips / "true"), "no such file or folder")


def test_a_treated_mismatch_is_said_on_standard_error(clips: Path, tmp_path: Path) -> None:
    save(clip(2), tmp_path / "a")
    done = call(tmp_path / "a", clips / "true" / "a", "--lengths", "common", "--jobs", "1", "--json")
    assert "warning: 1 clips of unequal length, only their common first frames were compared" in done.stderr
    assert json.loads(done.stdout)["counts"]["frames_left_out"] == 2


def test_a_video_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "made.mkv"
    for target in (path, tmp_path / "true.mkv"):
        whole = tmp_path / "whole.mp4"
        with VideoWriter(whole, SIZE, 25) as writer:
            for frame in noisy(clip(40), 30):
                writer.write(frame)
        _as_matroska(whole, target)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_refused(call(path, tmp_path / "true.mkv", "--jobs", "1"), "made.mkv")


def _as_matroska(source: Path, target: Path) -> None:
    """The same packets in a container that can be read up to where it is cut."""
    import av

    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def test_weights_that_are_asked_for_must_be_there(clips: Path, tmp_path: Path) -> None:
    paths = clips / "good", clips / "true", "--keypoints", clips / "k"
    for option in ("--lpips-weights", "--fid-weights", "--hand-weights"):
        assert_refused(call(*paths, option, tmp_path / "absent.pth"), "absent.pth")


def test_a_recogniser_needs_glosses(clips: Path) -> None:
    assert_refused(call(clips / "good", clips / "true", "--recogniser"), "what is signed")
