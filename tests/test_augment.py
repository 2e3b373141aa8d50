"""Copies of a data set: the same files however the work was cut, stopped or repeated; originals first, all labelled."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from augment_maker import (
    CLIPS,
    FRAME,
    HEADER,
    ORTH,
    RELEASE,
    TRANSLATION,
    Stage,
    clip_points,
    digests,
    no_progress,
    record_contents,
)
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import picture as portrait
from tiny_pipeline import signing

import signgen
from signgen.augmentation import run as running
from signgen.augmentation import signers
from signgen.augmentation.jobs import Job
from signgen.augmentation.run import Task, augment
from signgen.augmentation.settings import Settings
from signgen.augmentation.store import part_path, read_records
from signgen.augmentation.variation import Variation
from signgen.cli import main
from signgen.dataset.phoenix import RELEASE_COUNTS, PhoenixIndex
from signgen.errors import Damaged, Empty, InputError
from signgen.keypoints import read_keypoints, write_keypoints
from signgen.rendering import render
from signgen.rendering.manifest import NOTICE
from signgen.rendering.source import Source
from signgen.video import probe


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Stage:
    return Stage(tmp_path_factory.mktemp("augment"))


@pytest.fixture(scope="module")
def whole(stage) -> Path:
    """The uninterrupted run in one process."""
    stage.run("whole")
    return stage.root / "whole"


# --- what comes out -------------------------------------------------------------------------------------------
def test_new_clips_follow_the_originals_and_keep_their_words(whole):
    text = (whole / RELEASE / "annotations/manual/PHOENIX-2014-T.train.corpus.csv").read_text(encoding="utf-8")
    lines = text.splitlines()
    names = list(CLIPS["train"])
    assert lines[0] == HEADER
    assert [line.split("|")[0] for line in lines[1:4]] == names
    assert [line.split("|")[0] for line in lines[4:]] == [f"{n}__aug{c:02d}" for c in (1, 2) for n in names]
    assert all(line.split("|")[5:] == [ORTH, TRANSLATION] for line in lines[1:])
    assert [line.split("|")[4] for line in lines[4:7]] == [line.split("|")[4] for line in lines[1:4]]


def test_the_set_is_a_data_set_of_its_own(whole, stage):
    index = PhoenixIndex(whole)
    assert {split: len(index.clips(split)) for split in index.splits} == {"train": 9, "dev": 1, "test": 1}
    records = record_contents(whole)
    for clip in index:
        points = read_keypoints(clip.keypoints).keypoints
        assert len(clip.frames) == len(points)
        with Image.open(clip.frames[0]) as image:
            assert image.size == FRAME == points.size
            if clip.name in records:
                assert image.text["Comment"] == NOTICE
                assert len(points) == records[clip.name]["frames"]
    original = next(clip for clip in index if clip.name == "c,3")
    assert original.frames[0].resolve().is_relative_to(stage.dataset.resolve())  # linked, not made again


def test_every_record_says_how_its_clip_was_made(whole, stage):
    plan = json.loads((whole / "augment.json").read_text(encoding="utf-8"))
    records = record_contents(whole)
    assert len(records) == 6
    for name, record in records.items():
        assert name.startswith(record["source"] + "__aug")
        assert record["weights_sha256"] == plan["decides"]["weights_sha256"]
        assert record["signer"] in ("ann.png", "bob.png")
        assert record["licence"] == plan["licence"]
        assert "CC BY-NC-SA 3.0" in record["licence"]
        assert record["generated"] is True
        assert {"hand_pe_drive", "hands_not_found", "passed"} <= set(record["gate"])
    tempos = {record["change"]["tempo"] for record in records.values()}
    assert len(tempos) == 6
    assert len({record["seed"] for record in records.values()}) == 6
    for source in CLIPS["train"]:  # two copies by two people
        assert len({r["signer"] for r in records.values() if r["source"] == source}) == 2


def test_a_copy_without_variation_is_what_render_makes(stage, tmp_path):
    settings = stage.settings(variation=stage.settings().variation.__class__(), copies=1, signers=stage.signers[:1])
    stage.run("plain", settings)
    name = "c,3"
    record = record_contents(stage.root / "plain")[f"{name}__aug01"]
    from signgen.augmentation.signers import load_signers

    source = load_signers(settings.signers)[settings.signers[0]]
    keypoints = stage.dataset / "keypoints" / f"{name}.npz"
    render(keypoints, source, str(stage.model), tmp_path / "own", seed=record["seed"], align=True)
    made = next(clip for clip in PhoenixIndex(stage.root / "plain") if clip.name == f"{name}__aug01").frames
    own = sorted((tmp_path / "own").glob("*.png"))
    assert len(own) == len(made) == 8
    for a, b in zip(own, made, strict=True):
        assert np.array_equal(np.asarray(Image.open(a)), np.asarray(Image.open(b)))


# --- never twice, never half ----------------------------------------------------------------------------------
def test_shards_and_processes_make_the_same_files(stage, whole):
    for number in (3, 1, 2):
        result = stage.run("shards", share=(number, 3))
        assert result["written"] == {}
    result = stage.run("shards", merge=True)
    assert result["done"] == 6
    assert result["made_twice"] == 0
    assert digests(stage.root / "shards") == digests(whole)
    assert record_contents(stage.root / "shards") == record_contents(whole)


def test_a_merge_says_what_is_missing_or_too_much(stage):
    stage.run("partly", share=(1, 2))
    with pytest.raises(InputError, match="lacks 3 of 6 clips, such as Über"):
        stage.run("partly", merge=True)
    stage.run("partly", share=(2, 2))
    frames = next((stage.root / "partly" / RELEASE / "features/fullFrame-210x260px/train").glob("*__aug02"))
    (frames / "images0002.png").unlink()
    with pytest.raises(InputError, match="1 clips have lost files"):
        stage.run("partly", merge=True)
    stage.run("partly")  # makes that one again
    with pytest.raises(InputError, match="holds 3 clips that are not of this plan"):
        stage.run("partly", stage.settings(copies=1), merge=True)
    begun = stage.root / "partly" / "augment.json"
    kept = begun.read_text()
    begun.write_text(json.dumps({**json.loads(kept), "decides": {}}))
    with pytest.raises(Damaged, match="does not say what made its clips; delete it, or name another folder"):
        stage.run("partly", merge=True)
    begun.write_text(kept)


def test_a_stopped_run_goes_on_and_a_torn_line_counts_for_nothing(stage, whole, monkeypatch):
    real, made = running._made, 0

    def stopping(*arguments):
        nonlocal made
        for record in real(*arguments):
            made += 1
            if made == 4:  # the fourth clip lies there, and nobody has written it down
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr(running, "_made", stopping)
    with pytest.raises(KeyboardInterrupt):
        stage.run("stopped")
    part = part_path(stage.root / "stopped", 1, 1)
    assert len(part.read_bytes().splitlines()) == 3
    with open(part, "ab") as file:
        file.write(b'{"clip": "c,3__aug01", "sta')
    monkeypatch.setattr(running, "_made", real)
    result = stage.run("stopped")
    assert result["made"] < result["frames"]
    assert digests(stage.root / "stopped") == digests(whole)
    assert record_contents(stage.root / "stopped") == record_contents(whole)
    assert stage.run("stopped")["made"] == 0  # and a third time there is nothing to do


def test_a_killed_run_of_two_processes_goes_on(stage, whole, tmp_path):
    """SIGKILL to the command when its second line is written; its workers end with it."""
    out = stage.root / "killed"
    arguments = [
        sys.executable, "-m", "signgen", "augment", str(stage.dataset), str(out), "--signers", ",".join(stage.signers),
        "--copies", "2", "--seed", "3", "--vary", "all", "--mirror", "0.5", "--model", str(stage.model), "--jobs", "2",
    ]  # fmt: skip
    part = part_path(out, 1, 1)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while process.poll() is None and (not part.is_file() or part.read_bytes().count(b"\n") < 2):
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        error = process.communicate()[1]
    assert part.is_file(), error.decode()
    assert part.read_bytes().count(b"\n") >= 2, error.decode()
    result = stage.run("killed")
    assert result["done"] == 6
    assert digests(out) == digests(whole)
    assert record_contents(out) == record_contents(whole)


def test_other_settings_are_refused_in_the_same_folder(stage, whole):
    with pytest.raises(InputError, match="was begun with other seed"):
        stage.run("whole", stage.settings(seed=4))
    with pytest.raises(InputError, match="is the data set itself"):
        stage.run("set")


def test_a_folder_without_variation_says_how_it_goes_on(stage):
    still = {"copies": 1, "media": "none", "layouts": ("mska",)}
    stage.run("still", stage.settings(variation=Variation(), **still), share=(1, 3))
    for dry_run in (True, False):
        with pytest.raises(InputError, match="other --vary or --mirror; use the same, here --vary none, to go on"):
            stage.run("still", stage.settings(**still), dry_run=dry_run)
    with pytest.raises(InputError, match="other --vary or --mirror; use the same to go on"):
        stage.run("still", stage.settings(variation=Variation(mirror=0.5), **still))


def portrait_of(level: int) -> Callable[[str], Source]:
    """A drawn signer, as a processor of its own kind draws her."""
    image = portrait() ^ np.uint8(level)
    return lambda name: Source(image, replace(signing(1), name=name), name, "signer")


def test_machines_that_draw_otherwise_go_on_with_the_same_pictures(stage, monkeypatch):
    settings = stage.settings(signers=("s65", "s66"), copies=1, gate=None)
    out = stage.root / "machines"
    for number, task in enumerate(({"share": (1, 2)}, {"share": (2, 2)}, {"dry_run": True}, {"merge": True})):
        monkeypatch.setattr(signers, "draw_portrait", portrait_of(number))
        result = stage.run("machines", settings, **task)
        assert sorted(path.name for path in (out / "signers").iterdir()) == [
            f"{name}.{kind}" for name in ("s65", "s66") for kind in ("npz", "png")
        ]
    assert result["done"] == 3
    assert {clip.name.partition("__")[2] for clip in PhoenixIndex(out)} == {"", "aug01"}


def test_other_pictures_are_refused_and_not_kept(stage, monkeypatch):
    """Of a folder from before they were kept: whoever draws them as they were goes on."""
    settings = stage.settings(signers=("s65",), copies=1, media="none", layouts=("mska",))
    monkeypatch.setattr(signers, "draw_portrait", portrait_of(0))
    stage.run("before", settings, share=(1, 2))
    shutil.rmtree(stage.root / "before/signers")
    monkeypatch.setattr(signers, "draw_portrait", portrait_of(1))
    with pytest.raises(InputError, match="was begun with other pictures"):
        stage.run("before", settings)
    assert not (stage.root / "before/signers").exists()
    monkeypatch.setattr(signers, "draw_portrait", portrait_of(0))
    assert stage.run("before", settings)["done"] == 3


def many(path: Path, shift: int = 0, clips: tuple[str, ...] = tuple(CLIPS["train"])) -> str:
    """A file of the keypoints of many clips."""
    found = {name: clip_points(name, CLIPS["train"].get(name, 5)).shifted(shift, 0) for name in clips}
    joined = {f"train/{name}": {"keypoint": np.dstack([x.xy, x.confidence])} for name, x in found.items()}
    path.write_bytes(pickle.dumps(joined))
    return str(path)


def test_other_keypoints_are_refused_in_the_same_folder(stage, tmp_path):
    settings = stage.settings(copies=1, media="none", layouts=("mska",))
    points, other = many(tmp_path / "a.pkl"), many(tmp_path / "other.pkl", 1)
    stage.run("of-many", settings, keypoints=(points,), share=(1, 3))
    for dry_run in (True, False):
        with pytest.raises(InputError, match=r"was begun with other --keypoints \(a.pkl\); give those to go on"):
            stage.run("of-many", settings, keypoints=(other,), dry_run=dry_run)
    with pytest.raises(InputError, match="other --keypoints"):
        stage.run("of-many", settings, keypoints=(points, other))
    moved = shutil.copy(points, tmp_path / "moved.pkl")
    os.utime(moved, (1, 1))
    Path(points).unlink()
    assert stage.run("of-many", settings, keypoints=(moved,))["done"] == 3
    with pytest.raises(InputError, match="no such file or folder"):
        stage.run("of-many", settings, keypoints=(points,))
    with pytest.raises(InputError, match="__aug01: was made from other keypoints than .* holds"):
        stage.run("of-many", settings)


def test_a_finished_clip_is_of_the_keypoints_that_its_source_has(tmp_path):
    changed = Stage(tmp_path)
    settings = changed.settings(copies=1, media="none", layouts=("mska",))
    changed.run("out", settings)
    points, part = changed.dataset / "keypoints" / "c,3.npz", part_path(tmp_path / "out", 1, 1)
    record = record_contents(tmp_path / "out")["c,3__aug01"]
    assert record["keypoints_sha256"] == hashlib.sha256(points.read_bytes()).hexdigest()
    write_keypoints(clip_points("c,3", 8).shifted(2, 0), points)
    for task in ({}, {"dry_run": True}, {"merge": True}):
        with pytest.raises(InputError, match=r"c,3__aug01: was made from other keypoints than .*c,3.npz holds"):
            changed.run("out", settings, **task)
    points.unlink()
    with pytest.raises(InputError, match="c,3__aug01: was made from other keypoints and c,3 now has none"):
        changed.run("out", settings)
    lines = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
    older = [{k: v for k, v in line.items() if k != "keypoints_sha256"} for line in lines]
    part.write_text("".join(json.dumps(line) + "\n" for line in older))
    assert changed.run("out", settings)["made"] == 0  # nobody knows of which it was
    (tmp_path / "out/keypoints/Über München (Süd) 2__aug01.npz").unlink()
    assert changed.run("out", settings)["made"] == 7  # made again, its record has the digest now
    assert len(read_records(tmp_path / "out")) == 3


@pytest.mark.parametrize("wrong", ["absent.pkl", "text.pkl", "others.pkl", "empty"])
def test_wrong_keypoints_leave_no_folder_behind(stage, tmp_path, wrong):
    (tmp_path / "text.pkl").write_text("nothing")
    (tmp_path / "empty").mkdir()
    many(tmp_path / "others.pkl", clips=("x", "y"))
    with pytest.raises(InputError) as error:
        stage.run("never", stage.settings(), keypoints=(str(tmp_path / wrong),))
    assert wrong in error.value.subject
    assert not (stage.root / "never").exists()


def test_clips_that_cannot_be_made_are_named(stage, tmp_path):
    broken = Stage(tmp_path)
    (broken.dataset / "keypoints" / "c,3.npz").unlink()
    result = broken.run("out", broken.settings(copies=1, media="none", layouts=("mska",)))
    assert result["done"] == 2
    [(clip, reason)] = result["left_out"]
    assert clip == "c,3__aug01"
    assert "has no keypoints" in reason


def test_a_clip_that_was_left_out_is_tried_again(stage, tmp_path):
    mended = Stage(tmp_path)
    points, part = mended.dataset / "keypoints" / "c,3.npz", part_path(tmp_path / "out", 1, 1)
    content = points.read_bytes()
    points.unlink()
    settings = mended.settings(copies=1, media="none", layouts=("mska",))
    mended.run("out", settings)
    once = part.read_bytes()
    assert mended.run("out", settings)["left_out"]
    assert part.read_bytes() == once  # nothing new is said of it
    points.write_bytes(content)
    result = mended.run("out", settings)
    assert (result["done"], result["left_out"], result["made_twice"]) == (3, [], 0)
    assert [json.loads(line)["state"] for line in part.read_bytes().splitlines()] == ["done"] * 3
    assert mended.run("out", settings)["made"] == 0


def test_clips_that_failed_the_gate_can_be_left_out(stage, whole):
    records = record_contents(whole)
    failed = {name for name, record in records.items() if not record["gate"]["passed"]}
    assert failed  # a model of random weights paints no hands
    result = stage.run("whole", leave_out=True, originals="none")
    text = (whole / RELEASE / "annotations/manual/PHOENIX-2014-T.train.corpus.csv").read_text(encoding="utf-8")
    assert {line.split("|")[0] for line in text.splitlines()[1:]} == records.keys() - failed
    assert result["failed_share"] == pytest.approx(len(failed) / 6, abs=1e-4)
    stage.run("whole")


def test_mp4_is_a_video_a_clip_that_says_what_it_is(stage):
    out, settings = stage.root / "video", stage.settings(copies=1, media="mp4", gate=None)
    stage.run("video", settings)
    videos = sorted((out / RELEASE / "videos/train").glob("*.mp4"))
    records = record_contents(out)
    assert [video.stem for video in videos] == sorted(records)
    for video in videos:
        info = probe(video)
        assert (info.width, info.height, info.frames) == (*FRAME, records[video.stem]["frames"])
    found = {clip.name: clip.folder for clip in PhoenixIndex(out).clips("train")}
    assert {name for name, place in found.items() if place in videos} == records.keys()
    assert all(found[name].is_dir() for name in CLIPS["train"])  # linked frames beside
    said = CliRunner().invoke(main, ["inspect", str(out), "--json", "--jobs", "1"])
    assert said.exit_code == 0, said.stderr
    train = json.loads(said.stdout)["splits"]["train"]
    assert (train["clips"], train["usable_clips"]) == (6, 6), train["left_out"]
    assert stage.run("of-video", stage.settings(copies=1, media="none", layouts=("mska",)), dataset=out)["done"] == 3


def test_videos_in_their_old_place_are_named(stage):
    out, settings = stage.root / "old", stage.settings(copies=1, media="mp4", gate=None)
    stage.run("old", settings, share=(1, 2))
    (out / RELEASE / "videos").rename(out / "videos")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="old/videos: holds the videos of an older version") as error:
            stage.run("old", settings, dry_run=dry_run)
    assert f"move this folder to {out / RELEASE / 'videos'} and" in error.value.advice
    (out / "videos").rename(out / RELEASE / "videos")
    result = stage.run("old", settings)
    assert (result["done"], result["made_twice"]) == (3, 0)


# --- the command ----------------------------------------------------------------------------------------------
def command(stage: Stage, *arguments: str):
    common = ["augment", str(stage.dataset), str(stage.root / "cli"), "--signers", ",".join(stage.signers)]
    return CliRunner().invoke(main, [*common, "--model", str(stage.model), *arguments])


def test_command_and_function_take_the_measured_signers_and_variation_unasked(stage, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("signgen.augmentation.run.augment", lambda task, *more: seen.append(task.settings) or {})
    CliRunner().invoke(main, ["augment", str(stage.dataset), str(tmp_path / "out")])
    signgen.augment(stage.dataset, tmp_path / "out")
    assert seen[0] == seen[1] == Settings(signers.pick_signers("32"), variation=Variation.parse(["all"]))
    CliRunner().invoke(main, ["augment", str(stage.dataset), str(tmp_path / "out"), "--vary", "none"])
    signgen.augment(stage.dataset, tmp_path / "out", vary="none")
    assert seen[2] == seen[3] == Settings(signers.pick_signers("32"))


def test_the_plan_reckons_the_whole_phoenix14t_before_anything_is_made(stage):
    result = command(stage, "--copies", "2", "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)["plan"]
    clips, frames = RELEASE_COUNTS["train"]
    assert (plan["phoenix14t"]["clips"], plan["phoenix14t"]["frames"]) == (2 * clips, 2 * frames)
    assert plan["phoenix14t"]["bytes"] == pytest.approx(2 * frames * plan["bytes_per_frame"], rel=0.01)
    assert plan["left"]["frames"] == 2 * sum(CLIPS["train"].values())
    hours = plan["phoenix14t"]["hours"]
    assert hours["1"] == pytest.approx(2 * frames * plan["seconds_per_frame"] / 3600, rel=0.01)
    assert hours["1"] == pytest.approx(8 * hours["8"], rel=0.01) == pytest.approx(64 * hours["64"], rel=0.01)
    line = next(line for line in result.stderr.splitlines() if "PHOENIX14T" in line)
    assert all(words in line for words in ("1,654,708 frames", "on 1 worker,", "on 8 workers,", "on 64 workers"))
    assert not (stage.root / "cli" / RELEASE).exists()


def test_a_plan_says_what_was_measured_and_writes_nothing(stage):
    out, points = stage.root / "never" / "made", stage.root / "many.pkl"
    many(points)
    asked = ["augment", str(stage.dataset), str(out), "--signers", ",".join(stage.signers), "--model", str(stage.model)]
    before = sorted(stage.root.rglob("*"))
    given = ["--copies", "1", "--shard", "1/3", "--keypoints", str(points)]
    result = CliRunner().invoke(main, [*asked, "--plan", "--json", *given])
    assert result.exit_code == 0, result.stderr
    assert sorted(stage.root.rglob("*")) == before
    said = json.loads(result.stdout)
    assert said["plan"]["left"]["clips"] == 1  # of three
    assert said["measured"] == [running.MEASURED]
    assert "points ({:+.1f} to {:+.1f}), from".format(*running.MEASURED["interval"]) in result.stderr
    refused = CliRunner().invoke(main, [*asked, "--plan", "--merge"])
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    asked[2] = str(points)
    refused = CliRunner().invoke(main, [*asked, "--plan"])
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert f"{points}: is a file; give the name of a folder" in refused.stderr


def test_a_trial_takes_clips_that_have_keypoints_from_all_over(stage, monkeypatch):
    tried = []

    class Broken:
        def __init__(self, *given):
            pass

        def make(self, job, part):
            tried.append(job.name)
            return {"state": "left out", "reason": "unusable"}

    monkeypatch.setattr(running, "Maker", Broken)
    monkeypatch.setattr(running, "replace", lambda recipe, **changes: recipe)
    recipe = SimpleNamespace(settings=stage.settings(copies=1), store=SimpleNamespace(out=stage.root))
    without, with_keypoints = ([Job(f"{kind}{n}", "", "train", 1, "bela", place, stage.root) for n in range(40)]
                               for kind, place in (("none", None), ("some", stage.root)))  # fmt: skip
    for jobs, names in (
        (without + with_keypoints, ["some0", "some8", "some16", "some24", "some32"]),
        (without[:2], ["none0", "none1"]),
        ([], []),
    ):
        tried.clear()
        with pytest.raises(Empty, match=f"none of {len(names)} clips that were tried can be made"):
            running._trial(jobs, recipe, None)
        assert tried == names


def test_clips_by_a_persons_model_say_whose_consent(stage, tmp_path):
    model = tmp_path / "anna"
    shutil.copytree(stage.model, model)
    (model / "personal.json").write_text(json.dumps({"consent": "Anna, on 1 May", "sources": ["sources/1.png"]}))
    settings = stage.settings(copies=1, model=str(model), splits=("dev",), media="mp4")
    out = tmp_path / "out"
    augment(Task(stage.dataset, out, settings, originals="none"), lambda line: None, no_progress)
    assert json.loads((out / "augment.json").read_text())["consent"] == "Anna, on 1 May"
    assert {record["consent"] for record in read_records(out).values()} == {"Anna, on 1 May"}


def test_a_plan_counts_what_is_left(stage, whole):
    asked = {"dataset": stage.dataset, "out": whole, "dry_run": True}
    lines: list[str] = []
    assert augment(Task(settings=stage.settings(), **asked), lines.append, no_progress)["plan"] == {}
    assert lines[0] == "to be made: nothing, all clips are there"
    more = augment(Task(settings=stage.settings(copies=3), **asked), lines.append, no_progress)
    assert more["plan"]["left"]["clips"] == len(CLIPS["train"])
    before = digests(whole)
    with pytest.raises(InputError, match="was begun with other seed"):
        augment(Task(settings=stage.settings(seed=4), **asked), lines.append, no_progress)
    assert digests(whole) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vary", "speed"), "--vary: got 'speed'"),
        (("--vary", "tempo=0.5"), "--vary tempo: got 0.5"),
        (("--copies", "0"), "--copies: got 0"),
        (("--layout", "corrnet", "--media", "mp4"), "corrnet reads PNG files"),
        (("--shard", "3/2"), "--shard: got '3/2'"),
        (("--mirror", "2"), "--mirror: got 2"),
        (("--window", "0"), "--window: got 0"),
        (("--signers", "a/ann.png,b/ann.png"), "each signer once, by a name of its own"),
    ],
)
def test_bad_options_are_one_line(stage, arguments, words):
    result = command(stage, *arguments)
    assert result.exit_code == 2
    assert [line[:7] for line in result.stderr.splitlines()] == ["error: "]
    assert words in result.stderr
