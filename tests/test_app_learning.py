"""The page's third tab: what is asked for, what is read apart, and what comes out."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_personal import CONSENT, FRAMES, SIZE, person, write_video
from tiny_pipeline import make_pipeline, picture

import signgen.personal
from signgen.app.clips import EXAMPLES
from signgen.app.context import OWN, Context, Limits, Visitor, open_context, open_workspace
from signgen.app.jobs import Ended, Job, Report, Waiting, Working, follow
from signgen.app.learning import Lesson, learn_job, learned_table, open_lesson
from signgen.app.status import progress
from signgen.errors import BadValue, Empty, Missing, Untrusted
from signgen.keypoints import write_keypoints
from signgen.model import SignGenPipeline
from signgen.package import PERSONAL
from signgen.personal import PersonalResult, scores
from signgen.personal.footage import FRAMES as KEPT
from signgen.personal.run import SHEET
from signgen.rendering.source import Source, builtin_names


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_pipeline(SIZE).save_pretrained(folder)
    return folder


@pytest.fixture
def context(model: Path) -> Iterator[Context]:
    loaded: Future[SignGenPipeline] = Future()
    loaded.set_result(SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32"))
    with open_workspace() as workspace, open_context(workspace, loaded, Limits(frames=500)) as context:
        yield context


@pytest.fixture
def visitor(context: Context) -> Visitor:
    return context.workspace.visitor("anna")


def sent(visitor: Visitor, frames: int = FRAMES) -> Lesson:
    folder, clip = visitor.folder(), person(frames)
    write_keypoints(clip, folder / "anna.npz")
    video = write_video(folder / "anna.mp4", clip)
    return Lesson(video, folder / "anna.npz", CONSENT, 2.0, EXAMPLES[0], visitor.folder())


def result_of(target: Path) -> PersonalResult:
    values: scores.Scores = dict.fromkeys(scores.FIGURES, 0.5)
    after = values | {"hand_ssim": 0.75, "mouth_ssim": None}
    return PersonalResult(
        str(target), "tiny", True, 2.0, 60, 48, 12, 12, {"distill": 3}, values, after, [], 1.0, "", []
    )


def test_a_lesson_reads_apart_learns_and_signs_an_example(
    context: Context, visitor: Visitor, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = sent(visitor)
    seen: dict[str, object] = {}

    def learn(video, target, consent, *, model, recipe, resume, progress, show):
        seen.update(consent=consent, minutes=recipe.minutes, resume=resume)
        kept = np.load(target.with_name("model.work") / "video" / KEPT, mmap_mode="r")
        seen["kept"] = kept.shape
        shutil.copytree(model, target)
        (target / "sources").mkdir()
        from PIL import Image

        Image.fromarray(np.array(kept[0])).save(target / "sources" / "1.png")
        write_keypoints(person(1), target / "sources" / "1.npz")
        (target / PERSONAL).write_text(json.dumps({"consent": consent, "sources": ["sources/1.png"]}))
        Image.fromarray(np.array(kept[0])).save(target / SHEET)
        shutil.copyfile(video, target / "before_after.mp4")
        show(target / SHEET)
        progress(30, 120)
        return result_of(target)

    monkeypatch.setattr(signgen.personal, "personalise", learn)
    events = list(follow(context.jobs, "anna", learn_job(lesson, context)))
    assert isinstance(events[-1], Ended)
    assert events[-1].error is None, events[-1].error
    assert seen == {"consent": CONSENT, "minutes": 2.0, "resume": True, "kept": (FRAMES, SIZE[1], SIZE[0], 3)}
    learned = events[-1].result
    (working,) = [event for event in events if isinstance(event, Working) and event.done == 30]
    assert working.picture is not None
    assert "Learning: 30 of 120 seconds" in progress(working)
    manifest = json.loads((lesson.folder / "example.json").read_text())
    assert (manifest["consent"], manifest["frames"], manifest["output"]) == (CONSENT, 50, "example.mp4")
    assert learned.tried.is_file()
    with zipfile.ZipFile(learned.archive) as archive:
        assert {"model/personal.json", "model/sources/1.png"} <= set(archive.namelist())
    assert learned_table(learned.result).count("<tr>") == 1 + len(scores.FIGURES)
    assert "<td>0.500</td><td>0.750</td>" in learned_table(learned.result)
    assert "none seen" in learned_table(learned.result)


def test_a_stop_ends_learning(context: Context, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, reached = sent(visitor), []

    def learn(*given, progress, **more):
        for second in range(1000):
            reached.append(second)
            progress(second, 1000)
            if second == 3:
                context.jobs.cancel("anna")
        raise AssertionError

    monkeypatch.setattr(signgen.personal, "personalise", learn)
    events = list(follow(context.jobs, "anna", learn_job(lesson, context)))
    assert isinstance(events[-1], Ended)
    assert (events[-1].result, events[-1].error) == (None, None)
    assert reached[-1] == 4


def test_a_lesson_that_was_broken_off_goes_on_where_the_same_is_asked_for(
    context: Context, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, calls, stops = sent(visitor), [], True

    def again(minutes: float = 2.0, consent: str = CONSENT, name: str = "anna.mp4") -> Lesson:
        """Sent once more: uploads get a new place each time."""
        folder = visitor.folder()
        assert first.keypoints is not None
        video = Path(shutil.copy(first.video, folder / name))
        return open_lesson(visitor, video, Path(shutil.copy(first.keypoints, folder)), consent, minutes, EXAMPLES[0])

    def learn(video, target, consent, *, progress, **more):
        work = target.with_name("model.work")
        found = sorted(path.name for path in work.iterdir())
        calls.append((video, (work / "video" / KEPT).stat().st_mtime_ns, found))
        (work / "step").touch()
        if stops:
            context.jobs.cancel("anna")
        progress(1, 2)
        raise Empty("lesson", "is over", "this is a test")

    def ask(lesson: Lesson) -> None:
        list(follow(context.jobs, "anna", learn_job(lesson, context)))

    monkeypatch.setattr(signgen.personal, "personalise", learn)
    lesson = again()
    ask(lesson)
    ask(again())
    assert calls[0][:2] == calls[1][:2], "the same file, read once"
    assert (calls[0][2], calls[1][2]) == (["video"], ["step", "video"])
    other = again(3.0)
    ask(other)
    assert (calls[2][0] != calls[0][0], calls[2][2]) == (True, ["video"])
    stops = False
    ask(again())
    assert calls[3][2] == ["step", "video"], "the other one has not touched it"
    assert not (lesson.folder / "model.work").exists(), "after an error there is nothing to go on from"
    assert (other.folder / "model.work").exists()
    assert len({lesson.folder, other.folder, again(consent="Others").folder, again(name="bela.mp4").folder}) == 4


def test_a_render_goes_first_and_a_lesson_goes_on_behind_it(
    context: Context, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson, order, asked, told = sent(visitor), list[str](), threading.Event(), threading.Event()

    def learn(*given, progress, **more):
        progress(1, 3)
        order.append("a step")
        asked.set()
        while context.jobs.counts() != (1, 1):
            time.sleep(0.01)
        progress(2, 3)
        order.append("another step")
        raise Empty("lesson", "is over", "this is a test")

    def render(job: Job, report: Report) -> None:
        told.wait(60)  # what learns must stand still meanwhile, and says so
        order.append("a render")

    def ask() -> None:
        asked.wait(60)
        list(follow(context.jobs, "anna/render", render))

    monkeypatch.setattr(signgen.personal, "personalise", learn)
    thread = threading.Thread(target=ask)
    thread.start()
    events = []
    for event in follow(context.jobs, "anna/learn", learn_job(lesson, context), long=True):
        events.append(event)
        if event == Waiting(1):
            told.set()
    thread.join()
    assert order == ["a step", "a render", "another step"]
    assert told.is_set()
    assert "lesson: is over" in str(events[-1].error)


def test_a_bad_video_is_said_before_anything_is_learned(context: Context, visitor: Visitor) -> None:
    events = list(follow(context.jobs, "anna", learn_job(sent(visitor, 10), context)))
    assert isinstance(events[-1], Ended)
    assert isinstance(events[-1].error, Empty)
    assert "has 10 frames" in str(events[-1].error)


def test_a_stop_is_for_its_own_tab_and_leaving_for_all(context: Context) -> None:
    pytest.importorskip("gradio")
    from signgen.app.tabs import LearnTab, RenderTab

    request, jobs = SimpleNamespace(session_hash="anna"), context.jobs
    renders, learns = RenderTab(context, {}), LearnTab(context, {})
    lesson = jobs.enter(learns._owner(request), long=True)
    render = jobs.enter(renders._owner(request))
    assert not lesson.cancelled, "a render beside it"
    renders.stop(request)
    assert (lesson.cancelled, render.cancelled) == (False, True)
    learns.leave(request)
    assert lesson.cancelled


def test_what_is_asked_for_is_checked(visitor: Visitor, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from signgen.app.tabs import _lesson

    lesson = sent(visitor)
    given = {"person_video": str(lesson.video), "person_keypoints": None, "consent": " Anna, yes ", "agreed": True,
             "minutes": 5.0, "example": EXAMPLES[1].title}  # fmt: skip
    made = _lesson(visitor, **given)
    assert (made.consent, made.example, made.keypoints) == ("Anna, yes", EXAMPLES[1], None)
    wrong = [({"person_video": None}, Missing, "choose a video"), ({"agreed": False}, Missing, "--consent"),
             ({"consent": ""}, Missing, "--consent"), ({"minutes": 500}, BadValue, "allowed are 1 to 60"),
             ({"person_video": str(tmp_path / "other.mp4")}, Untrusted, "send it again")]  # fmt: skip
    for change, kind, words in wrong:
        with pytest.raises(kind, match=words):
            _lesson(visitor, **{**given, **change})


def test_whom_the_model_has_learned_can_be_chosen_and_comes_first(model: Path) -> None:
    own = [Source(picture(SIZE), person(1), "1.png", "image")]
    loaded: Future[SignGenPipeline] = Future()
    with open_workspace() as workspace, open_context(workspace, loaded, own=own) as context:
        assert context.signers == (OWN, *builtin_names())
        assert context.signer(OWN)[0] is own[0]
        assert context.signer("alma")[0].kind == "signer"
        for name in ("../secret.png", "", "Own"):
            with pytest.raises(BadValue, match="choose one of own, alma"):
                context.signer(name)
    with open_workspace() as workspace, open_context(workspace, loaded) as context:
        assert context.signers == tuple(builtin_names())
        with pytest.raises(BadValue, match="got 'own'; choose one of alma"):
            context.signer(OWN)


def test_what_waits_for_its_turn_is_kept(context: Context, visitor: Visitor) -> None:
    turn, kept, ended = threading.Event(), threading.Event(), threading.Event()

    def first(job: Job, report: Report) -> None:
        turn.set()
        ended.wait(60)

    def keep() -> None:
        visitor.keep()
        kept.set()

    thread = threading.Thread(target=lambda: list(follow(context.jobs, "anna", first)))
    thread.start()
    turn.wait(60)
    folder = visitor.folder("lesson")
    os.utime(folder, (0, 0))
    second = follow(context.jobs, "ben", lambda job, report: "done", keep=keep)
    assert next(second) == Waiting(1)
    assert kept.wait(60)
    assert folder.stat().st_mtime > 0
    ended.set()
    assert list(second)[-1].result == "done"
    thread.join()
