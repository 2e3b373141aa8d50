"""A model learns one person from a video, at tiny size: what is chosen, trained, scored, kept, and refused."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from extract_maker import encode
from PIL import Image
from tiny_pipeline import make_pipeline, picture, signing

from signgen import live, render
from signgen.cli import main
from signgen.dataset import region_store
from signgen.dataset.cache import CachedClip, FrameCache
from signgen.dataset.files import locked
from signgen.dataset.training_data import cache_folder
from signgen.errors import BadValue, Damaged, Empty, InputError, Mismatch, NotWritable, RunError, TooLarge, Unsupported
from signgen.exporter.web import _check_model
from signgen.extraction.footage import open_footage, schedule
from signgen.keypoints import Keypoints, write_keypoints
from signgen.keypoints.skeleton import BOTH_HANDS, LEFT_HAND, RIGHT_HAND
from signgen.model import SignGenPipeline, loading
from signgen.personal import Recipe, footage, personalise, run, scores
from signgen.personal.footage import RUN, Footage
from signgen.personal.recipe import (
    DRAWN_FRAMES,
    FEW_STEPS,
    FRAMES_A_STEP,
    STAGES,
    steps_for,
    time_for,
    worth_their_time,
)
from signgen.rendering.several import own_pictures, personal_record
from signgen.synthetic.signer import signer_names
from signgen.training import checkpoints
from signgen.training.assembly import assemble
from signgen.training.run import run_stage
from signgen.training.starts import with_parts
from signgen.video import VideoWriter, read_frames

SIZE = (128, 136)
FRAMES = 60
CONSENT = "Anna, on 1 May: for this test"
SMALL = (
    "autoencoder.batch=2", "autoencoder.threads=1", "distill.views_in_turn=[3]", "distill.loss.crop=64",
    "distill.loss.zooms=1", "distill.loss.zoom=64", "distill.threads=1", "hand_refiner.batch=2",
    "hand_refiner.disturbance={share: 0.0}", "hand_refiner.threads=1", "face_refiner.batch=2",
    "face_refiner.disturbance={share: 0.0}", "face_refiner.threads=1",
)  # fmt: skip
DRAWN = 0.3  # share of drawn people, where there are any
QUICK = Recipe(minutes=0.1, drawn=0, sources=2, settings=SMALL)


def person(frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Keypoints:
    """Somebody whose hands and face are large enough to be cut out, and move."""
    clip = signing(frames, size)
    xy = clip.xy.copy()
    xy[:, LEFT_HAND] += np.linspace(0, 12, 21)[:, None] * (0.3, 1)
    xy[:, RIGHT_HAND] -= np.linspace(0, 12, 21)[:, None] * (0.3, 1)
    return replace(clip, xy=xy)


def write_video(path: Path, clip: Keypoints) -> Path:
    """The person as dots on a dark shape; the hands are bright."""
    with VideoWriter(path, clip.size, clip.fps) as writer:
        for points in clip.xy:
            frame = picture(clip.size).copy()
            for x, y in np.rint(points[BOTH_HANDS]).astype(int):
                frame[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = (220, 170, 150)
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("video")
    write_keypoints(person(), folder / "anna.npz")
    return write_video(folder / "anna.mp4", person()), folder / "anna.npz"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_pipeline(SIZE, refined=True).to(torch.float16).save_pretrained(folder)  # as shipped
    return folder


@pytest.fixture(scope="module")
def anna(video: tuple[Path, Path], model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned her, with all that was made on the way."""
    target = tmp_path_factory.mktemp("personal") / "anna"
    shown: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "FEW_STEPS", 10**6)  # however fast the machine, it learns less than this
        patch.setattr(run, "DRAWN_FRAMES", 8)  # of a clip, to draw them fast
        result = personalise(
            video[0], target, CONSENT, keypoints=video[1], model=model, recipe=replace(QUICK, drawn=DRAWN), keep=True,
            jobs=1, show=lambda sheet: shown.append(Image.open(sheet).height),
        )  # fmt: skip
    assert result.finished
    assert result.held_out == 12
    assert shown == sorted(set(shown)), "the sheet grows"
    assert len(shown) >= 2 + len(result.stages)
    return target


def test_what_comes_out_is_a_model_with_its_person_consent_and_scores(anna: Path, model: Path) -> None:
    record = personal_record(anna)
    assert record["consent"] == CONSENT
    assert record["stages"].keys() == {"autoencoder", "distill", "hand_refiner", "face_refiner"}
    assert record["before"].keys() == record["after"].keys() == set(scores.FIGURES)
    assert CONSENT in (anna / "README.md").read_text()
    for part in ("vae", "denoiser", "hand_refiner", "face_refiner"):
        file = f"{part}/diffusion_pytorch_model.safetensors"
        assert (anna / file).read_bytes() != (model / file).read_bytes(), part
    assert SignGenPipeline.from_pretrained(anna).config.window == SignGenPipeline.from_pretrained(model).config.window
    sheet = np.asarray(Image.open(anna / run.SHEET))
    assert sheet.shape[1] == scores.SHOWN * SIZE[0]
    assert next(read_frames(anna / "before_after.mp4")).shape == (SIZE[1], 3 * SIZE[0], 3)
    beside = json.loads((anna / "before_after.json").read_text())
    assert (beside["generated"], beside["consent"], beside["frames"]) == (True, CONSENT, 12)
    assert "fewer than 1000000 steps had time; give more --minutes" in " ".join(record["warnings"])
    assert record["model"] == model.name
    assert str(model.parent) not in (anna / "README.md").read_text(), "nothing of this machine goes along"


def test_it_renders_its_own_person_and_says_whose_consent(anna: Path, tmp_path: Path) -> None:
    clip = person(3)
    made = render(clip, model=anna, output=tmp_path / "own")
    assert [Path(name).name for name in made.sources] == ["1.png", "2.png"]
    assert json.loads(made.manifest.read_text())["consent"] == CONSENT
    pictures, places = own_pictures(anna)
    by_hand = render(clip, source=pictures, source_keypoints=places, model=anna, output=tmp_path / "hand")
    assert all(map(np.array_equal, read_frames(made.output), read_frames(by_hand.output)))
    other = render(clip, source="alma", model=SignGenPipeline.from_pretrained(anna), output=tmp_path / "other")
    assert other.sources == ["alma"]


def test_it_learns_from_the_start_of_the_video_alone(anna: Path, video: tuple[Path, Path]) -> None:
    data = anna.with_name("anna.work") / "data" / "cache"
    clips = json.loads((data / "cache.json").read_text())["clips"]
    assert sum(clip["stop"] - clip["start"] for clip in clips if clip["speaker"] == "own") == 48
    points = np.load(data / "keypoints.npy")[:48]
    np.testing.assert_allclose(points[..., :2], person().xy[:48], atol=0.01)
    assert [clip["name"][:4] for clip in clips[:3]] == ["own0", "mirr", "reli"]
    drawn = [clip["speaker"] for clip in clips[3:]]
    assert len(drawn) == Recipe(drawn=DRAWN).drawn_clips(3 * 48)
    assert set(drawn) <= set(signer_names())


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The stages that are begun or gone on with."""
    begun: list[str] = []

    def watched(config, resume, advance):
        begun.append(config.stage)
        return run_stage(config, resume, advance)

    monkeypatch.setattr(run, "run_stage", watched)
    return begun


def test_a_killed_run_goes_on_where_it_was(
    video: tuple[Path, Path], model: Path, tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"keypoints": video[1], "model": model, "recipe": QUICK, "jobs": 1}
    target, work = tmp_path / "anna", tmp_path / "anna.work"

    def killed(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "assemble", killed)  # before the refiners
        with pytest.raises(KeyboardInterrupt):
            personalise(video[0], target, CONSENT, **options)
    assert set(counted) == {"autoencoder", "distill"}
    assert not target.exists()
    with pytest.raises(NotWritable, match="a run was begun there; add --resume"):
        personalise(video[0], target, CONSENT, **options)
    for changes in ({"held_out": 0.5}, {"sources": 1}, {"minutes": 3.0}):
        with pytest.raises(Mismatch, match=f"was begun with another {next(iter(changes))}"):
            personalise(video[0], target, CONSENT, resume=True, **{**options, "recipe": replace(QUICK, **changes)})
    with pytest.raises(Mismatch, match="was begun with another consent"):
        personalise(video[0], target, "Ben, on 2 May", resume=True, **options)
    with locked(work), pytest.raises(NotWritable, match="another process is at work there; wait for it"):
        personalise(video[0], target, None, resume=True, **options)
    counted.clear()
    with monkeypatch.context() as patch:
        patch.setattr(run, "discard", killed)  # killed when all is done but that
        with pytest.raises(KeyboardInterrupt):
            personalise(video[0], target, None, resume=True, **options)
    assert set(counted) == {"hand_refiner", "face_refiner"}
    assert personal_record(target)["consent"] == CONSENT
    assert personalise(video[0], target, None, resume=True, keep=True, **options).finished
    assert work.is_dir()
    result = personalise(video[0], target, None, resume=True, **options)
    assert result.finished
    assert (result.scored, result.stages) == (12, personal_record(target)["stages"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna"]
    assert personalise(video[0], target, None, resume=True, **options).finished, "nothing is left to be done"


@pytest.mark.parametrize("after", [False, True])
def test_a_signal_ends_it_with_what_is_needed_to_go_on(
    video: tuple[Path, Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """In a step, or when the last one is done and the weights are written."""
    recipe = Recipe(0.1, sources=2, drawn=0, stages=("autoencoder",), settings=SMALL[:2])
    begun = run_stage, checkpoints.export

    def stage(config, resume, advance):
        return begun[0](config, resume, lambda steps: signal.raise_signal(signal.SIGTERM) if steps else None)

    def export(*given):
        signal.raise_signal(signal.SIGTERM)
        begun[1](*given)

    given = video[0], tmp_path / "anna", CONSENT
    options = {"keypoints": video[1], "model": model, "recipe": recipe, "jobs": 1}
    with monkeypatch.context() as patch:
        patch.setattr(*(checkpoints, "export", export) if after else (run, "run_stage", stage))
        result = personalise(*given, **options)
    assert not result.finished
    assert not (tmp_path / "anna").exists()
    assert list((tmp_path / "anna.work/autoencoder/checkpoints").glob("step-*"))
    assert personalise(*given, resume=True, **options).finished


def test_a_caller_that_ends_it_in_a_step_loses_nothing(
    video: tuple[Path, Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(0.1, sources=2, drawn=0, stages=("autoencoder",), settings=SMALL[:2])

    class Stop(Exception):
        pass

    def stop(steps: int) -> None:
        if steps:
            raise Stop

    monkeypatch.setattr(run, "run_stage", lambda config, resume, advance: run_stage(config, resume, stop))
    with pytest.raises(Stop):
        personalise(video[0], tmp_path / "anna", CONSENT, keypoints=video[1], model=model, recipe=recipe, jobs=1)
    assert [path.name for path in (tmp_path / "anna.work/autoencoder/checkpoints").iterdir()] == ["step-00000001"]


# --- the video ------------------------------------------------------------------------------------------------


def footage_of(clip: Keypoints, learned: int, sharpness: np.ndarray | None = None) -> Footage:
    frames = np.zeros((len(clip), clip.height, clip.width, 3), np.uint8)
    return Footage(frames, clip, np.ones(len(clip)) if sharpness is None else sharpness, learned)


def test_sharp_frames_that_show_hands_are_chosen_and_no_held_out_ones() -> None:
    clip, sharpness = person(200), np.ones(200)
    sharpness[64:96] = 0.1
    confidence = clip.confidence.copy()
    confidence[112:128, 91:] = 0
    seen = footage_of(replace(clip, confidence=confidence), 160, sharpness)
    runs = footage.choose_runs(seen, 1000)
    assert runs == [range(64), range(96, 112), range(128, 160)]
    few = footage.choose_runs(seen, 3 * RUN)
    assert sum(map(len, few)) == 3 * RUN
    assert all(any(set(run) <= set(whole) for whole in runs) for run in few)
    sharpness[:40] = 0.6
    sources = footage.choose_sources(seen, 3)
    assert all(sharpness[index] == 1 and index < 160 for index in sources)
    long = footage.choose_runs(footage_of(person(600), 600), 1000)
    assert [len(run) for run in long] == [128, 128, 128, 128, 88], "with what is left over"
    handless = footage_of(hidden(person(60), list(range(91, 133))), 50)
    assert footage.choose_runs(handless, 1000) == [range(50)], "better than nothing"
    with pytest.raises(Empty, match="no half second"):
        footage.choose_runs(footage_of(hidden(person(60), [0]), 50), 1000)


def test_copies_are_mirrored_with_their_points_and_relit_alike_over_a_clip() -> None:
    clip = person(20)
    frames = np.random.default_rng(0).integers(0, 255, (20, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    seen = Footage(frames, clip, np.ones(20), 20)
    made = {name: (speaker, np.stack(list(pixels)), points)
            for name, speaker, pixels, points in (
            *footage.own_clips(seen, [range(16)]), *footage.copies(seen, [range(16)], seed=3))}  # fmt: skip
    assert list(made) == ["own000", "mirrored000", "relit000"]
    own, mirrored, relit = made.values()
    assert np.array_equal(own[1], frames[:16])
    x, y = np.rint(own[2][5, 95, :2]).astype(int)
    there = np.rint(mirrored[2][5, 116, :2]).astype(int)  # the left thumb's tip is the right one's
    assert np.array_equal(mirrored[1][5, there[1], there[0]], own[1][5, y, x])
    assert np.array_equal(relit[2], own[2])
    assert {speaker for speaker, *_ in made.values()} == {"own", "mirrored", "relit000"}
    again = footage.relight(np.random.default_rng((3, 0)), SIZE[0])
    assert np.array_equal(relit[1][7], again(frames[7]))
    assert 2 < np.abs(relit[1].astype(float) - own[1]).mean() < 80


def test_a_video_of_another_shape_is_laid_onto_the_canvas_with_its_points(tmp_path: Path) -> None:
    clip = signing(50, (320, 240))
    xy = clip.xy.copy()
    xy[..., 0] = 160 + (xy[..., 0] - 160) * 0.5  # people are not that wide
    clip = replace(clip, xy=xy)
    write_keypoints(clip, tmp_path / "wide.npz")
    with VideoWriter(tmp_path / "wide.mp4", clip.size, clip.fps) as writer:
        for points in clip.xy:
            frame = np.full((240, 320, 3), 90, np.uint8)
            x, y = np.rint(points[0]).astype(int)
            frame[y - 6 : y + 7, x - 6 : x + 7] = 250
            writer.write(frame)
    seen = footage.read_footage(tmp_path / "wide.mp4", tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "wide.npz")
    assert seen.frames.shape == (50, SIZE[1], SIZE[0], 3)
    assert seen.clip.size == SIZE
    bright = np.argwhere(seen.frames[20].mean(-1) > 200)
    np.testing.assert_allclose(bright.mean(0)[::-1], seen.clip.xy[20, 0], atol=1.5)
    again = footage.open_footage(tmp_path / "kept", 0.2)
    np.testing.assert_allclose(again.clip.xy, seen.clip.xy, atol=0.01)
    assert (again.learned, list(again.held_out)) == (40, list(range(40, 50)))


def hidden(clip: Keypoints, part: slice | list[int]) -> Keypoints:
    confidence = clip.confidence.copy()
    confidence[:, part] = 0
    return replace(clip, confidence=confidence)


def still(clip: Keypoints) -> Keypoints:
    return replace(clip, xy=np.repeat(clip.xy[:1], len(clip), 0))


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (person(10), "has 10 frames; give 24 to 20000, best one to three minutes"),
        (hidden(person(50), [5, 6]), "a person from head to chest is seen in 0% of its frames"),
        (hidden(person(50), list(range(91, 133))), "hands are seen in 0% of its frames"),
        (still(person(50)), "the hands never move; give a video of signing"),
    ],
)
def test_a_bad_video_ends_in_one_line(clip: Keypoints, words: str, tmp_path: Path) -> None:
    write_keypoints(clip, tmp_path / "bad.npz")
    write_video(tmp_path / "bad.mp4", clip)
    given = ["personalize", str(tmp_path / "bad.mp4"), "-o", str(tmp_path / "out"), "--consent", "yes"]
    done = CliRunner().invoke(main, [*given, "--keypoints", str(tmp_path / "bad.npz")])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "bad.npz"]


def test_two_people_are_refused_until_one_is_named(tmp_path: Path) -> None:
    clip, frames = person(50), []
    for points, seen in zip(clip.xy, clip.confidence, strict=True):
        people = [{"keypoints": (points + shift).tolist(), "keypoint_scores": seen.tolist()} for shift in (0, 60)]
        frames.append({"frame_id": len(frames), "instances": people})
    (tmp_path / "two.json").write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
    write_video(tmp_path / "two.mp4", clip)
    given = tmp_path / "two.mp4", tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "two.json"
    with pytest.raises(Mismatch, match="shows 2 people; give a video of one person, or say who with --person"):
        footage.read_footage(*given)
    with pytest.raises(Mismatch, match="give a video of one person$"):  # a page has no option
        footage.read_footage(*given, choosing="")
    assert len(footage.read_footage(*given, person=1).clip) == 50


def test_one_ghost_in_one_frame_is_no_second_person(tmp_path: Path) -> None:
    clip, frames = person(50), []
    for number, (points, seen) in enumerate(zip(clip.xy, clip.confidence, strict=True)):
        shifts = (0, 60) if number == 30 else (0,)
        people = [{"keypoints": (points + shift).tolist(), "keypoint_scores": seen.tolist()} for shift in shifts]
        frames.append({"frame_id": number, "instances": people})
    (tmp_path / "ghost.json").write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
    write_video(tmp_path / "ghost.mp4", clip)
    seen = footage.read_footage(tmp_path / "ghost.mp4", tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "ghost.json")
    assert "up to 2 people in a frame (1 of 50 frames)" in " ".join(seen.warnings)
    assert footage.open_footage(tmp_path / "kept", 0.2).warnings == seen.warnings, "a resumed run says it, too"


def test_keypoints_of_a_larger_copy_are_brought_to_the_video(video: tuple[Path, Path], tmp_path: Path) -> None:
    write_keypoints(person().resized(2 * SIZE[0], 2 * SIZE[1]), tmp_path / "large.npz")
    seen = footage.read_footage(video[0], tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "large.npz")
    np.testing.assert_allclose(seen.clip.xy, person().xy, atol=0.02)
    write_keypoints(person().resized(2 * SIZE[0], SIZE[1]), tmp_path / "wide.npz")
    with pytest.raises(Mismatch, match="its frame is 256x136, the video 128x136; give keypoints of the video itself"):
        footage.read_footage(video[0], tmp_path / "other", SIZE, 0.81, 0.2, tmp_path / "wide.npz")


def test_frames_of_a_varying_rate_go_with_the_keypoints_that_extract_makes(tmp_path: Path) -> None:
    stamps = [40 * (index + max(index - 29, 0)) for index in range(40)]  # slower from the 30th frame on
    shades = [np.full((SIZE[1], SIZE[0], 3), 6 * number, np.uint8) for number in range(40)]
    path = encode(tmp_path / "phone.mp4", shades, stamps=stamps, bf="0")
    numbers = schedule(open_footage(path)).numbers
    assert len(numbers) == 50, "each of the last ten frames stands for two ticks"
    write_keypoints(person(50), tmp_path / "phone.npz")
    given = path, tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "phone.npz"
    seen = footage.read_footage(*given)
    np.testing.assert_allclose(seen.frames.mean((1, 2, 3)), 6 * numbers, atol=3)
    write_keypoints(person(40), tmp_path / "phone.npz")  # one for each frame, from elsewhere
    assert len(footage.read_footage(*given).frames) == 40
    write_keypoints(person(45), tmp_path / "phone.npz")
    with pytest.raises(Mismatch, match="45 frames of keypoints for 40"):
        footage.read_footage(*given)


def test_a_folder_that_lacks_pictures_goes_with_the_keypoints_that_extract_makes(tmp_path: Path) -> None:
    """Those have frames without a person where a picture is not there."""
    (tmp_path / "anna").mkdir()
    there = [number for number in range(40) if number not in (7, 20, 21)]
    for number in there:
        shade = np.full((SIZE[1], SIZE[0], 3), 6 * number, np.uint8)
        Image.fromarray(shade).save(tmp_path / "anna" / f"images{number + 1:04d}.png")
    write_keypoints(person(40), tmp_path / "anna.npz")
    seen = footage.read_footage(tmp_path / "anna", tmp_path / "kept", SIZE, 0.81, 0.2, tmp_path / "anna.npz")
    np.testing.assert_allclose(seen.frames.mean((1, 2, 3)), 6 * np.array(there), atol=3)
    assert len(seen.clip) == 37


def test_a_picture_that_stands_is_not_on_both_sides(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    pictures = np.concatenate([np.arange(70), np.full(20, 70), np.arange(90, 100)]).astype(np.uint8)
    np.save(kept / footage.FRAMES, np.broadcast_to(pictures[:, None, None, None], (100, 4, 4, 3)))
    np.save(kept / footage.SHARP, np.ones(100))
    write_keypoints(person(100), kept / footage.POINTS)
    (kept / footage.NOTES).write_text('{"warnings": []}')
    assert footage.open_footage(kept, 0.2).learned == 70  # in the middle of those that are alike
    assert footage.open_footage(kept, 0.4).learned == 60
    pictures = np.concatenate([np.full(88, 1), np.arange(2, 14)]).astype(np.uint8)
    np.save(kept / footage.FRAMES, np.broadcast_to(pictures[:, None, None, None], (100, 4, 4, 3)))
    assert footage.open_footage(kept, 0.2).learned == 88, "for longer than a picture stands"
    np.save(kept / footage.FRAMES, np.zeros((100, 4, 4, 3), np.uint8))
    assert footage.open_footage(kept, 0.2).learned == 80, "nothing ever changes"
    with pytest.raises(BadValue, match="--held-out: got 0.8; leaves 12 of 60 frames to learn from"):
        footage.learned_of(60, 0.8)


# --- consent, settings, sizes ----------------------------------------------------------------------------------


def test_nothing_is_done_without_consent(video: tuple[Path, Path], tmp_path: Path) -> None:
    given = ["personalise", str(video[0]), "-o", str(tmp_path / "out")]
    for more, words in (([], "--consent: is not given"), (["--consent", " "], "--consent: is empty")):
        done = CliRunner().invoke(main, [*given, *more])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_nobody_answers_is_no_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.commands import personalise as place

    def ended(question: str, err: bool) -> bool:
        raise click.Abort  # Ctrl-D

    monkeypatch.setattr(place.sys.stdin.__class__, "isatty", lambda self: True, raising=False)
    monkeypatch.setattr("click.confirm", ended)
    with pytest.raises(InputError, match='--consent: the question was not answered; add --consent "who'):
        place._asked("anna.mp4")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("y\n", 2)])
def test_the_question_takes_yes_and_no(answer: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.commands import personalise as place

    asked: list[str] = []
    monkeypatch.setattr(place.sys.stdin.__class__, "isatty", lambda self: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda question, err: asked.append(question) or answer == "y\n")
    if answer == "y\n":
        assert place._asked("anna.mp4").startswith("A yes to the question whether the person agreed")
    else:
        with pytest.raises(InputError, match="answered with no; ask the person first"):
            place._asked("anna.mp4")
    assert "anna.mp4" in asked[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"minutes": 0}, "--minutes: got 0"),
        ({"held_out": 0.9}, "--held-out: got 0.9; allowed are 0.02 to 0.8"),
        ({"stages": ("decoder",)}, "--stages: got 'decoder'; name some of autoencoder, distill"),
        ({"drawn": 0.6}, "--drawn: got 0.6; allowed are 0 to 0.5"),
        ({"settings": ("denoiser.steps=4",)}, "--set: got 'denoiser.steps=4'; write STAGE.KEY=VALUE"),
        ({"settings": ("distill.steps=4",)}, "--set: got 'distill.steps=4'; steps follows from --minutes"),
        (
            {"settings": ("distill.batch=4",), "stages": ("autoencoder",)},
            "--set: got 'distill.batch=4', and distill is not trained",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        Recipe(**changes)


def test_what_cannot_be_is_said_before_the_video_is_read(video: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    make_pipeline(SIZE).save_pretrained(bare)
    narrow = tmp_path / "narrow"
    shutil.copytree(model, narrow)
    index = json.loads((narrow / "model_index.json").read_text())
    (narrow / "model_index.json").write_text(json.dumps(index | {"window": 2}))
    cases = (
        (model, {"settings": ("face_refiner.nosuch=3",)}, "nosuch"),
        (model, {"settings": ("distill.optim.only=[nosuch]",)}, "distill.optim.only: got nosuch, which no weight is"),
        (model, {"settings": ("distill.start.denoiser=/no",)}, "distill.start.denoiser: no trained denoiser at /no;"),
        (model, {"settings": ("distill.precision=fp16",)}, "distill.precision: autoencoder and distill have others"),
        (
            model,
            {"settings": ("hand_refiner.disturbance.jitter=0.6",)},
            "face_refiner.disturbance: hand_refiner and face_refiner have others; set it for",
        ),
        (bare, {"stages": ("distill", "hand_refiner")}, "--stages: got hand_refiner, and .* has no such part"),
        (narrow, {"sources": 2}, "--sources: got 2, but narrow sees 2 pictures at a time; give 1 at most"),
    )
    for base, changes, words in cases:
        with pytest.raises(InputError, match=words):
            personalise(tmp_path / "none.mp4", tmp_path / "out", CONSENT, model=base, recipe=Recipe(**changes))
    given = ["personalise", str(video[0]), "-o", ".", "--consent", "yes", "--model", str(model)]
    with CliRunner().isolated_filesystem(temp_dir=tmp_path):
        Path("mine.txt").write_text("mine")
        done = CliRunner().invoke(main, given)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "is there already; name another folder" in done.stderr


def test_what_was_learned_is_kept_when_something_is_wrong_later(
    video: tuple[Path, Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "anna"
    recipe = replace(QUICK, stages=("autoencoder",), settings=SMALL[:2])
    options = {"keypoints": video[1], "model": model, "recipe": recipe, "jobs": 1}

    def full(*given, **named):
        raise TooLarge("disk", "has 3 MB free", "free as much")

    def no_space(*given, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    def filled(*given, **named):
        target.mkdir(exist_ok=True)
        (target / "notes.txt").write_text("mine")
        return run_stage(*given, **named)

    for broken, problem, words in (
        (full, TooLarge, "has 3 MB free"),
        (no_space, RunError, "no space left on the disk; put that right, and go on with --resume"),
        (filled, NotWritable, "is there already; move what is in it, and go on with --resume"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(run, "run_stage", broken)
            with pytest.raises(problem, match=words):
                personalise(video[0], target, CONSENT, resume=True, **options)
        assert (tmp_path / "anna.work" / "data").is_dir()
    assert (target / "notes.txt").read_text() == "mine"
    shutil.rmtree(target)
    assert personalise(video[0], target, CONSENT, resume=True, **options).finished


def test_a_frames_time_is_taken_again_where_it_was_not_kept(anna: Path, model: Path, tmp_path: Path) -> None:
    work = tmp_path / "again.work"
    shutil.copytree(anna.with_name("anna.work"), work)
    state = json.loads((work / run.STATE).read_text())
    for name in (run.A_FRAME, "before"):
        del state[name]
    (work / run.STATE).write_text(json.dumps(state))
    kept = run._State(work / run.STATE, state["request"])
    begun = run._Run(work, tmp_path / "again", model, QUICK, STAGES, kept, None, None)
    begun.video = footage.open_footage(work / "video", QUICK.held_out)
    begun.sources = [begun.video.source(0, "1.png")]
    (work / "before" / "strange.txt").write_text("of the render that was killed")
    begun.scored("before", lambda: SignGenPipeline.from_pretrained(model))
    assert begun.state.values[run.A_FRAME] > 0
    assert not (work / "before" / "strange.txt").exists()


def test_refiners_find_the_true_hands_of_drawn_people(model: Path, tmp_path: Path) -> None:
    begun = run._Run(tmp_path, tmp_path / "to", model, QUICK, STAGES, run._State(tmp_path / run.STATE, {}), None, None)
    for kind in ("solid", "keypoints"):
        (tmp_path / "drawn" / kind).mkdir(parents=True)
        np.savez(tmp_path / "drawn" / kind / "clip.npz", shutter=0.5)
    (tmp_path / "crops").mkdir()
    begun._take_along()
    clip = CachedClip("clip", "s01", 0, 1)
    assert region_store._own_shutter(tmp_path / "crops" / "cache", clip, 0.3) == 0.5
    assert (cache_folder(tmp_path / "crops").parent / region_store.SOLIDS / "clip.npz").is_file()


def test_refiners_are_shown_the_first_of_the_drawn_people(
    video: tuple[Path, Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DRAWN_FRAMES", 8)  # of a clip, to draw them fast
    recipe, state = replace(QUICK, drawn=0.4), run._State(tmp_path / run.STATE, {})
    begun = run._Run(tmp_path, tmp_path / "to", model, recipe, STAGES, state, None, None)
    seen = begun.footage(video[0], keypoints=video[1])

    def drawn(data: str) -> list[str]:
        clips = FrameCache.open(cache_folder(tmp_path / data)).clips
        return [clip.name for clip in clips if clip.speaker in signer_names()]

    learned = begun.prepare(seen, 1)
    shown = drawn("data"), drawn("crops")
    assert tuple(map(len, shown)) == (recipe.drawn_clips(3 * learned), recipe.drawn_clips(learned))
    assert 0 < len(shown[1]) < len(shown[0])
    assert shown[1] == shown[0][: len(shown[1])]
    shutil.rmtree(cache_folder(tmp_path / "crops"))  # as if it had been killed there
    begun.prepare(seen, 1)
    assert drawn("crops") == shown[1]


def test_nobody_is_learned_into_no_folder(video: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="--output: got '/'; name a folder"):
        personalise(video[0], "/", CONSENT, keypoints=video[1], model=model, recipe=QUICK)
    (tmp_path / "out.work").write_text("mine")
    with pytest.raises(NotWritable, match="out.work: is a file"):
        personalise(video[0], tmp_path / "out", CONSENT, keypoints=video[1], model=model, recipe=QUICK, resume=True)


def test_whose_model_it_is_goes_along(anna: Path, model: Path, tmp_path: Path) -> None:
    assemble(tmp_path / "again", [anna])
    SignGenPipeline.from_pretrained(anna).save_pretrained(tmp_path / "saved")
    for folder in (tmp_path / "again", tmp_path / "saved"):
        assert personal_record(folder) == personal_record(anna)
        assert all(path.is_file() for path in own_pictures(folder)[0])
    (tmp_path / "saved/personal.json").write_text(json.dumps({"consent": "Ben", "sources": ["sources/1.png"]}))
    with pytest.raises(Mismatch, match="parts of models of two people"):
        assemble(tmp_path / "both", [anna, tmp_path / "saved"])
    with pytest.raises(Unsupported, match="shows a person"):
        _check_model(SignGenPipeline.from_pretrained(anna))


def test_a_live_render_shows_whom_the_model_has_learned(anna: Path) -> None:
    pipeline = SignGenPipeline.from_pretrained(anna)
    pictures, places = own_pictures(anna)
    given, own = ({}, {"source": pictures, "source_keypoints": places})
    made = [
        [frame.image for frame in live(model=pipeline, frame_size=SIZE, **more).feed(person(2))]
        for more in (given, own)
    ]
    assert all(map(np.array_equal, *made))


def test_time_is_shared_out_and_steps_follow_from_what_they_take() -> None:
    stages = ("autoencoder", "distill", "hand_refiner", "face_refiner")
    hour, spent = 3600.0, 0.0
    for stage in stages:
        spent += time_for(stage, stages, hour - spent)
    assert 0.75 * hour < spent < 0.95 * hour, "some is left for painting and scoring"
    assert steps_for(100, {"seconds": 20.0, "steps": 10}) == 50
    assert steps_for(1, {"seconds": 20.0, "steps": 10}) == 11


@pytest.mark.parametrize(
    ("minutes", "changes", "trained"),
    [
        (60, {}, True),
        (10, {}, False),
        (10, {"settings": ("distill.optim.lr=1e-4",)}, True),
        (10, {"stages": ("distill", "face_refiner")}, True),
    ],
)
def test_the_denoiser_is_left_out_where_it_would_learn_nothing_unless_it_is_asked_for(
    minutes: float, changes: dict, trained: bool, model: Path, tmp_path: Path
) -> None:
    recipe, others = Recipe(minutes=minutes, **changes), [stage for stage in STAGES if stage != "distill"]
    stages = tuple(stage for stage in STAGES if stage in recipe.stages)
    given = tmp_path, tmp_path / "to", model, recipe, stages
    learning = run._Run(*given, run._State(tmp_path / run.STATE, {}), None, None)
    done = [*others, "distill"] if trained else others
    learning.state.values |= {"a_frame": 0.2, "finished": done}  # seconds, on two cores
    learning.train()
    assert ("distill" in learning.stages) == trained
    left = learning.seconds - learning.state.spent
    share = left - time_for("autoencoder", STAGES, left) if stages == STAGES else left
    edge = time_for("distill", stages, share) / (FEW_STEPS * FRAMES_A_STEP)  # seconds a frame
    if not changes:
        kept = [worth_their_time(recipe, stages, left, edge * factor) for factor in (0.99, 1.01)]
        assert ["distill" in some for some in kept] == [True, False]
    again = run._Run(*given, run._State(tmp_path / run.STATE, {}), None, None)
    again.state.values["a_frame"] = 99 if trained else 0.0
    again.train()
    assert again.stages == learning.stages, "it is decided once"


def test_what_a_caller_waits_for_is_no_time_of_the_run(model: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    state = run._State(tmp_path / run.STATE, {})
    waits = run._Run(tmp_path, tmp_path / "to", model, Recipe(minutes=1), STAGES, state, lambda *_: time.sleep(1), None)
    waits.tell()
    assert state.waited >= 1
    assert state.spent <= time.monotonic() - began - 1 + 0.01


def test_a_kill_costs_half_a_minute_of_the_clock(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = run._State(tmp_path / run.STATE, {})
    begun = run._Run(tmp_path, tmp_path / "to", model, Recipe(minutes=1), STAGES, state, None, None)
    begun.tell()
    assert not state.path.exists()
    monkeypatch.setattr(run, "SAVED", 0.0)
    earlier = state.spent
    begun.tell()
    assert earlier - 0.06 <= json.loads(state.path.read_text())["spent"] <= state.spent + 0.06  # a digit is kept


def test_drawn_people_are_the_share_that_is_asked_for() -> None:
    for share in (0.2, 0.5):
        drawn = Recipe(drawn=share).drawn_clips(4608) * DRAWN_FRAMES
        assert drawn / (drawn + 4608) == pytest.approx(share, abs=0.005)


def test_frames_that_cannot_be_read_are_no_black_ones(
    video: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = footage.Film.read
    monkeypatch.setattr(footage.Film, "read", lambda film: itertools.islice(read(film), 50))
    with pytest.raises(Damaged, match="50 of 60 frames can be read"):
        footage.read_footage(video[0], tmp_path / "kept", SIZE, 0.81, 0.2, video[1])
    assert not list((tmp_path / "kept").iterdir())


def test_warnings_name_what_fell_and_nothing_else() -> None:
    before = dict.fromkeys(scores.FIGURES, 0.8) | {"still_flicker": 1.0, "mouth_ssim": None}
    after = before | {"hand_ssim": 0.7, "face_ssim": 0.799, "still_flicker": 1.5, "ssim": 0.9}
    assert scores.worse(before, after) == [
        "Hand SSIM got worse: 0.800 before, 0.700 after",
        "mouth SSIM: nothing in the held-out part tells it, so nobody knows whether it got worse",
        "still flicker got worse: 1.00 before, 1.50 after",
    ]


def test_a_part_that_was_not_trained_is_left_out_where_the_folder_is_too_large(
    anna: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "anna"
    shutil.copytree(anna, folder)
    for module in (run, loading):
        monkeypatch.setattr(module, "WEIGHTS", model.parent)
    size = run._mebibytes(folder)
    monkeypatch.setattr(run, "MOST_MIB", size - 0.01)
    small = run._fitted(folder, model)
    assert small < size
    assert not (folder / "fusion").exists()
    clip = person(2)
    whole, part = (render(clip, model=place, output=tmp_path / name) for place, name in ((anna, "a"), (folder, "b")))
    assert all(map(np.array_equal, read_frames(whole.output), read_frames(part.output)))
    further = tmp_path / "further"  # begun from this one, which has its fusion model from elsewhere
    assemble(further, [folder])
    assert (further / "fusion").is_dir()
    monkeypatch.setattr(run, "MOST_MIB", run._mebibytes(further) - 0.01)
    run._fitted(further, folder)
    assert loading.shared_parts(further) == loading.shared_parts(folder)
    monkeypatch.setattr(run, "MOST_MIB", small - 0.01)
    with pytest.raises(TooLarge):
        run._fitted(folder, model)
    file = next((model / "fusion").glob("*.safetensors"))
    kept = file.read_bytes()
    try:
        file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(Mismatch, match="was made with another tiny than is installed"):
            SignGenPipeline.from_pretrained(folder)
    finally:
        file.write_bytes(kept)


def test_all_parts_that_no_stage_changes_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, folder = tmp_path / "base" / "tiny", tmp_path / "own"
    make_pipeline(SIZE, refined=True, composed=True).to(torch.float16).save_pretrained(base)
    shutil.copytree(base, folder)
    for module in (run, loading):
        monkeypatch.setattr(module, "WEIGHTS", base.parent)
    monkeypatch.setattr(run, "MOST_MIB", run._mebibytes(folder) - run._shareable(base) + 0.02)
    run._fitted(folder, base)
    assert not any((folder / name).exists() for name in run.UNTRAINED)
    whole, part = (SignGenPipeline.from_pretrained(place) for place in (base, folder))
    assert part.composes
    for name in run.UNTRAINED:
        weights, others = (getattr(one, name).state_dict() for one in (whole, part))
        assert weights.keys() == others.keys()
        assert all(torch.equal(weight, others[key]) for key, weight in weights.items())
    assert SignGenPipeline.from_pretrained(folder, matte=None, composer=None).matte is None


@pytest.mark.parametrize(("minutes", "scored"), [(1, 100), (10, 100), (20, 200), (60, 300)])
def test_a_short_lesson_scores_fewer_frames(minutes: int, scored: int) -> None:
    seen = Footage(np.empty((500, 1, 1, 3), np.uint8), person(500), np.ones(500), 100)
    assert scores.scored_frames(seen, Recipe(minutes=minutes).scored) == range(100, 100 + scored)
    assert len(scores.scored_frames(seen, 1000)) == 400


def test_the_video_before_and_after_is_as_long_as_there_is_room(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = run._State(tmp_path / run.STATE, {"consent": CONSENT})
    begun = run._Run(tmp_path, tmp_path / "to", model, Recipe(minutes=60), STAGES, state, None, None)
    noise = np.random.default_rng(0).integers(0, 255, (375, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    begun.video = Footage(noise, person(375), np.ones(375), 75)
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        for index, frame in enumerate(noise[75:]):
            Image.fromarray(frame).save(tmp_path / name / f"images{index + 1:04d}.png")
    (tmp_path / "made").mkdir()
    lengths, stereo = [], tmp_path / "made" / run.STEREO
    for room in (None, 0.8):  # of the whole video's size
        if room is not None:
            monkeypatch.setattr(run, "MOST_MIB", room * run._mebibytes(stereo) - run._shareable(model))
            stereo.unlink()
            stereo.with_suffix(".json").unlink()
        begun._write_side_by_side(tmp_path / "made")
        lengths.append(len(list(read_frames(stereo))))
    assert lengths == [300, 150]
    monkeypatch.setattr(run, "MOST_MIB", 0)
    assert not begun._write_side_by_side(tmp_path / "made")
    assert not stereo.exists()


def test_a_model_that_is_too_large_is_refused_before_anything_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.check_size("mini")
    monkeypatch.setattr(run, "MOST_MIB", run.ROOM_MIB)
    with pytest.raises(TooLarge, match="its weights take .* a model of a person has"):
        personalise(tmp_path / "none.mp4", tmp_path / "out", CONSENT, model=model, recipe=QUICK)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"sources": []}', '{"consent": "x", "sources": ["../a.png"]}', '{"sources": ["a.png"]}']
)
def test_a_damaged_record_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "personal.json").write_text(content)
    with pytest.raises(Damaged, match="make the model again"):
        personal_record(tmp_path)
    assert personal_record("mini") == {}


def test_a_stage_of_the_denoiser_starts_from_a_whole_models_parts(model: Path, tmp_path: Path) -> None:
    from signgen import config as configuration
    from signgen.training.config import TrainConfig

    content = configuration.read_yaml("phoenix14t/mini") | {"start": {"model": str(model), "fusion": "elsewhere"}}
    started = with_parts(configuration.build(TrainConfig, content)).start
    assert started == {
        "autoencoder": str(model / "vae"), "denoiser": str(model / "denoiser"), "fusion": "elsewhere",
    }  # fmt: skip
    assert configuration.load(TrainConfig, "phoenix14t/mini").start == {"model": "mini"}


def test_nobody_is_learned_over_what_is_there(video: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(NotWritable, match="is there already"):
        personalise(video[0], tmp_path / "out", CONSENT, keypoints=video[1], model=model, recipe=QUICK)
    with pytest.raises(Empty, match="nobody"):
        footage.choose_sources(footage_of(hidden(person(50), slice(0, 133)), 40), 2)
