"""The web page's own logic, without Gradio: what comes in, who has the device, what is shown and logged."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import shutil
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from signgen.app.clips import (
    EXAMPLES,
    Clip,
    open_background,
    open_clip,
    open_pictures,
    parse_colour,
    parse_part,
    parse_size,
)
from signgen.app.context import COOKIE, MIB, Context, Limits, Recent, Visitor, open_context, open_workspace, safe_name
from signgen.app.jobs import Cancelled, Ended, JobQueue, Waiting, Working, follow
from signgen.app.live import MISSING, PER_PIXEL, LiveStream, data_url, packed, player_content, strokes, watched
from signgen.app.model import load_in_background, wait_for
from signgen.app.rendering import name_only
from signgen.app.server import (
    HEADERS,
    Middleware,
    ServerSettings,
    Uploads,
    _composes,
    host_name,
    log_to_standard_error,
    open_socket,
)
from signgen.app.status import error_text, failure, notes, opened, page_text, progress
from signgen.cli import COMMANDS, main
from signgen.errors import BadValue, InputError, Mismatch, Missing, NotFound, RunError, TooLarge, Untrusted
from signgen.keypoints import Keypoints, write_keypoints
from signgen.package import UNFINISHED
from signgen.rendering.source import builtin_names

PATIENCE = 20.0  # seconds after which a test gives up waiting for another thread


@pytest.fixture
def place():
    with open_workspace() as workspace:
        visitor = workspace.visitor("somebody")
        visitor.uploads.mkdir()
        yield visitor


@pytest.fixture
def keypoints() -> Keypoints:
    rng = np.random.default_rng(3)
    xy = rng.uniform(20, 180, (6, 133, 2)).astype(np.float32)
    confidence = np.full((6, 133), 0.9, np.float32)
    confidence[2, 7] = 0
    xy[2, 7] = 0
    return Keypoints(xy, confidence, width=210, height=260, fps=12.5, name="six")


def upload(place: Visitor, keypoints: Keypoints, name: str = "six.npz"):
    path = place.uploads / name
    write_keypoints(keypoints, path)
    return path


# --- what comes in ----------------------------------------------------------------------------------------------------


def test_only_a_visitors_own_files_are_read(place, tmp_path):
    inside = place.uploads / "a" / "clip.json"
    inside.parent.mkdir()
    inside.write_text("[]")
    assert place.accept(inside) == inside
    assert place.accept(place.uploads / "a" / ".." / "a" / "clip.json") == inside
    outside = tmp_path / "secret.json"
    outside.write_text("[]")
    (place.uploads / "link.json").symlink_to(outside)
    (place.uploads / "folder").symlink_to(tmp_path)
    theirs = place.uploads.parent / "another" / "other.json"
    theirs.parent.mkdir()
    theirs.write_text("[]")
    strange = [
        outside, place.uploads / "link.json", place.uploads / "folder" / "secret.json", place.uploads,
        place.uploads / ".." / "another" / "other.json", theirs, "/etc/passwd", "clip.json", "a\0b",
        place.uploads / "missing.json",
    ]  # fmt: skip
    for path in strange:
        with pytest.raises(Untrusted, match="no file that was sent to this page") as caught:
            place.accept(path)
        assert str(tmp_path) not in str(caught.value)


def test_workspace_is_private_and_leaves_nothing():
    with open_workspace() as workspace:
        root = workspace.root
        assert root.stat().st_mode & 0o077 == 0
        (workspace.visitor("a").folder() / "x").write_text("x")
    assert not root.exists()


def test_visitors_are_apart_and_no_path_tells_a_key():
    with open_workspace() as workspace:
        one, other = workspace.visitor("key-of-one"), workspace.visitor("key-of-other")
        mine = one.folder() / "x"
        mine.write_text("x")
        assert "key" not in str(mine)
        assert one.owns(mine)
        assert workspace.visitor("key-of-one").owns(mine)
        assert not other.owns(mine)


def test_what_is_old_is_swept():
    now = time.time()
    with open_workspace(60, lambda: now) as workspace:
        visitor, another = workspace.visitor("a"), workspace.visitor("b")
        old, young, worked_on = visitor.folder(), visitor.folder(), visitor.folder()
        (worked_on / "hidden").mkdir()
        (worked_on / "hidden" / "frames").write_bytes(bytes(1000))
        for path in (old, worked_on, worked_on / "hidden", another.folder()):
            os.utime(path, (now - 61,) * 2)
        assert 1000 < workspace.used() < 100_000
        workspace.sweep()
        assert not old.exists()
        assert not another.uploads.exists()
        assert young.exists()
        assert worked_on.exists(), "a file in it is new"
        now = time.time() + 61
        workspace.sweep()
        assert list(workspace.uploads.iterdir()) == []


def test_a_few_lessons_that_were_broken_off_are_kept():
    with open_workspace() as workspace:
        works = []
        for number, key in enumerate("abcd"):
            folder = workspace.visitor(key).folder("lesson")
            assert folder == workspace.visitor(key).folder("lesson")
            (folder / "model.work").mkdir()
            used = workspace.used()
            (folder / "model.work" / "frames").write_bytes(bytes(1000))
            assert workspace.used() == used, "what lessons work with has a bound of its own"
            for path in (folder / "model.work", folder / "model.work" / "frames"):
                os.utime(path, (1000 + number,) * 2)
            works.append(folder / "model.work")
        workspace.spare(works[0], 2)
        assert [work.exists() for work in works] == [True, False, True, True], "its own, and the newest two"


def test_what_others_take_away_meanwhile_disturbs_no_count_and_no_sweep():
    over = threading.Event()
    with open_workspace() as workspace:
        visitor = workspace.visitor("a")

        def come_and_go():
            while not over.is_set():
                with suppress(OSError):  # a sweep takes an empty folder away
                    os.makedirs(visitor.uploads / "job" / f"model{UNFINISHED}" / "deep")
                shutil.rmtree(visitor.uploads, ignore_errors=True)

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                workspace.used()
                visitor.keep()
                workspace.sweep()
        finally:
            over.set()
            thread.join(PATIENCE)


def tab_of(context: Context):
    """A tab whose components are their names, and a request."""
    pytest.importorskip("gradio")
    from signgen.app.tabs import Tab

    class Plain(Tab):
        def _done(self, result):
            return {"status": result}

    parts = {name: name for name in ("start", "stop", "status", "results")}
    return Plain(context, parts), SimpleNamespace(session_hash="s", cookies={COOKIE: KEY})


def test_a_job_that_a_newer_one_replaced_leaves_the_buttons_to_it():
    def long(job, report):
        while True:
            job.check()
            time.sleep(0.01)

    with open_workspace() as workspace, open_context(workspace, Future()) as context:
        tab, request = tab_of(context)
        first, shown = tab._run(request, lambda: (long, {})), []
        thread = threading.Thread(target=lambda: shown.extend(first))
        thread.start()
        until = time.monotonic() + PATIENCE
        while context.jobs.counts() != (1, 0) and time.monotonic() < until:
            time.sleep(0.01)
        second = list(tab._run(request, lambda: (lambda job, report: "done", {})))
        thread.join(PATIENCE)
        assert [update["stop"]["visible"] for update in shown if "stop" in update] == [True]
        assert second[-1]["status"] == "done"
        assert second[-1]["stop"]["visible"] is False
        stopped = tab._run(request, lambda: (long, {}))
        next(stopped)
        threading.Timer(0.2, tab.stop, (request,)).start()
        assert "Stopped." in list(stopped)[-1]["status"]


def test_no_job_begins_where_the_disk_space_is_used_up():
    with open_workspace() as workspace, open_context(workspace, Future(), Limits(total_bytes=5000)) as context:
        tab, request = tab_of(context)
        (workspace.visitor("a").folder() / "large").write_bytes(bytes(6000))
        (update,) = tab._run(request, lambda: pytest.fail("it is prepared"))
        assert "the space for files is used up" in update["status"]
        assert update["start"]["interactive"] is True


@pytest.mark.parametrize(
    ("name", "safe"),
    [("clip", "clip"), ("../../etc/passwd", "etc-passwd"), ("ü ö", "clip"), ("a b.c", "a-b-c"), ("-" * 99, "clip")],
)
def test_names_are_safe(name, safe):
    assert safe_name(name) == safe
    assert len(safe_name("n" * 500)) <= 60


def test_limits(tmp_path):
    limits, file = Limits(files=3, frames=10, side=300), tmp_path / "a"
    file.write_bytes(bytes(2 * MIB))
    limits.check_files([file], 2 * MIB)
    limits.check_frames("a", 10)
    limits.check_size("a", (300, 260))
    with pytest.raises(TooLarge, match=r"a: is 4\.0 MiB; up to 3 MiB"):
        limits.check_files([file, file], 3 * MIB)
    with pytest.raises(TooLarge, match="4 files; up to 3"):
        limits.check_files([file] * 4, 9 * MIB)
    with pytest.raises(TooLarge, match="11 frames are asked for; up to 10"):
        limits.check_frames("a", 11)
    with pytest.raises(TooLarge, match="its frame is 210x301; sides of up to 300"):
        limits.check_size("a", (210, 301))


def test_clip_is_opened(place, keypoints):
    clip = open_clip([upload(place, keypoints)], place, Limits())
    np.testing.assert_array_equal(clip.keypoints.xy, keypoints.xy)
    assert (clip.name, clip.format, clip.signer) == ("six", "npz", None)
    slower = open_clip([place.uploads / "six.npz"], place, Limits(), frame_size="420 x 520", fps=25)
    assert (slower.keypoints.size, slower.keypoints.fps) == ((420, 520), 25)


def test_several_files_are_one_clip(place, keypoints):
    folder = place.uploads / "frames"
    folder.mkdir()
    files = []
    for index in range(3):
        points = np.concatenate([keypoints.xy[index], keypoints.confidence[index][:, None]], 1)
        person = {"pose_keypoints_2d": points[:25].ravel().tolist()}
        file = folder / f"walk_{index:012d}_keypoints.json"
        file.write_text(json.dumps({"version": 1.3, "people": [person]}))
        files.append(file)
    clip = open_clip(files, place, Limits())
    assert len(clip.keypoints) == 3
    assert clip.format == "openpose"
    with pytest.raises(Mismatch, match="sent twice"):
        open_clip([files[0], files[0]], place, Limits())
    with pytest.raises(TooLarge):
        open_clip(files, place, Limits(files=2))


def test_clip_beyond_a_limit_is_refused_before_it_is_read(place, keypoints):
    path = upload(place, keypoints)
    path.write_bytes(b"\x93NUMPY" + bytes(2 * MIB))  # damaged: reading it would say so
    with pytest.raises(TooLarge):
        open_clip([path], place, Limits(keypoint_bytes=MIB))
    with pytest.raises(TooLarge):
        open_clip([upload(place, keypoints, "big.npz")], place, Limits(side=200))
    longer = Keypoints(*(np.tile(part, (4, *[1] * (part.ndim - 1))) for part in (keypoints.xy, keypoints.confidence)),
                       width=210, height=260, fps=25)  # fmt: skip
    with pytest.raises(TooLarge, match="has 24 frames; clips of up to 20"):
        open_clip([upload(place, longer, "long.npz")], place, Limits(frames=2))
    with pytest.raises(Missing):
        open_clip([], place, Limits())


def test_texts_of_fields():
    assert parse_size("") is None
    assert parse_size(" 210 x 260 ") == parse_size("210×260") == (210, 260)
    assert parse_part("") is None
    assert parse_part("3:") == slice(3, None)
    assert parse_part(" 0 : 100 ") == slice(0, 100)
    with pytest.raises(BadValue):
        parse_size("large")
    with pytest.raises(BadValue):
        parse_part("10")


def test_picture_of_a_signer(place, tmp_path):
    from PIL import Image

    path = place.uploads / "me.png"
    Image.fromarray(np.full((64, 48, 3), 90, np.uint8)).save(path)
    (source,) = open_pictures([path], [], place, Limits())
    assert (source.name, source.kind, source.size, source.keypoints) == ("me.png", "image", (48, 64), None)
    with pytest.raises(TooLarge):
        open_pictures([path], [], place, Limits(picture_bytes=10))
    outside = tmp_path / "me.png"
    path.rename(outside)
    with pytest.raises(Untrusted):
        open_pictures([outside], [], place, Limits())


def test_several_pictures_of_a_signer_find_their_keypoints_by_name_or_order(place):
    from PIL import Image

    names, points = ("front", "side", "hands"), EXAMPLES[0].open().keypoints
    pictures, files = [], []
    for number, name in enumerate(names):
        pictures.append(place.uploads / f"{name}.png")
        Image.fromarray(np.full((260, 210, 3), 60 * number, np.uint8)).save(pictures[-1])
        files.append(place.uploads / f"{name}.npz")
        write_keypoints(points[number : number + 1], files[-1])
    for given in (files, files[::-1]):
        sources = open_pictures(pictures, given, place, Limits())
        assert [source.name for source in sources] == [f"{name}.png" for name in names]
        for number, source in enumerate(sources):
            assert source.image[0, 0, 0] == 60 * number
            np.testing.assert_allclose(source.keypoints.xy[0], points.xy[number], atol=0.01)
    other = place.uploads / "other.npz"
    files[0].rename(other)
    by_order = open_pictures(pictures[:2], [files[1], other], place, Limits())
    np.testing.assert_allclose(by_order[1].keypoints.xy[0], points.xy[0], atol=0.01)
    with pytest.raises(Mismatch, match="got 1 files for 3 pictures"):
        open_pictures(pictures, [other], place, Limits())
    with pytest.raises(Mismatch, match="--source-frames"):
        open_pictures(pictures, [], place, Limits(), 2)
    with pytest.raises(TooLarge):
        open_pictures(pictures, [], place, Limits(picture_bytes=2 * pictures[0].stat().st_size))


def test_examples_are_there_and_small():
    assert [example for example in EXAMPLES if example.signer not in builtin_names()] == []
    for example in EXAMPLES:
        clip = example.open()
        assert 25 <= len(clip.keypoints) <= 200
        assert clip.warnings == ()
        assert clip.signer == example.signer
        assert example.path.stat().st_size < 200_000


# --- who has the device -----------------------------------------------------------------------------------------------


def test_jobs_are_in_order_and_one_at_a_time():
    jobs = JobQueue(waiting=2)
    first, second, third = (jobs.enter(owner) for owner in "abc")
    assert [jobs.wait(job, 0) for job in (first, second, third)] == [0, 1, 2]
    with pytest.raises(RunError, match="2 jobs are waiting"):
        jobs.enter("d")
    jobs.leave(first)
    jobs.leave(first)
    assert [jobs.wait(job, 0) for job in (second, third)] == [0, 1]
    jobs.enter("d")


def test_cancelling_frees_the_place_of_who_waits_but_not_of_who_works():
    jobs = JobQueue()
    working, waiting, last = (jobs.enter(owner) for owner in "abc")
    assert jobs.cancel("b")
    assert not jobs.cancel("b")
    assert not jobs.cancel("nobody")
    with pytest.raises(Cancelled):
        jobs.wait(waiting, PATIENCE)
    jobs.leave(waiting)
    assert jobs.wait(last, 0) == 1
    jobs.cancel("a")
    with pytest.raises(Cancelled):
        working.check()
    assert jobs.wait(last, 0) == 1  # its thread may still be computing
    jobs.leave(working)
    assert jobs.wait(last, 0) == 0


def test_a_second_job_of_one_owner_ends_the_first():
    jobs = JobQueue()
    first = jobs.enter("a")
    second = jobs.enter("a")
    assert first.cancelled
    assert not second.cancelled
    assert jobs.wait(second, 0) == 1


def test_a_few_read_at_the_same_time_and_a_visitor_who_leaves_ends_all_of_theirs():
    jobs = JobQueue(waiting=1, together=2)
    first, second, third = (jobs.enter(owner, "read") for owner in ("a/clip", "a/picture", "b/clip"))
    assert [jobs.wait(job, 0) for job in (first, second, third)] == [0, 0, 1]
    with pytest.raises(RunError, match="1 jobs are waiting"):
        jobs.enter("c/clip", "read")
    assert jobs.cancel("a")
    assert first.cancelled
    assert second.cancelled
    assert not third.cancelled
    jobs.leave(first)
    assert jobs.wait(third, 0) == 0


def test_a_long_job_gives_way_to_each_short_one_that_waits():
    jobs = JobQueue()
    lesson, other = jobs.enter("a/learn", long=True), jobs.enter("b/learn", long=True)
    assert not jobs.give_way(lesson)  # to another long one it would have to give way at every step
    first, second = jobs.enter("a/render"), jobs.enter("c/render")
    assert jobs.give_way(lesson)
    assert [jobs.wait(job, 0) for job in (first, lesson, other, second)] == [0, 1, 2, 3]
    jobs.leave(first)
    assert jobs.wait(lesson, 0) == 0  # a step at least
    second.cancel()
    assert not jobs.give_way(lesson)
    assert not lesson.cancelled


def test_two_jobs_never_work_together():
    jobs, together, most, lock = JobQueue(), 0, 0, threading.Lock()

    def work(job, report):
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.01)
        with lock:
            together -= 1
        return job.owner

    results = []
    threads = [
        threading.Thread(target=lambda owner=owner: results.append(list(follow(jobs, owner, work))[-1].result))
        for owner in "abcdef"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(results) == list("abcdef")
    assert most == 1


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_job_reports_what_happens():
    def work(job, report):
        report(Working("Rendering", 1, 2))
        return 42

    assert list(follow(JobQueue(), "a", work)) == [Working("Rendering", 1, 2), Ended(result=42)]


def test_job_that_fails_says_why_and_the_log_has_the_traceback(caplog):
    def refuse(job, report):
        raise InputError("clip", "is empty", "give another")

    def crash(job, report):
        raise ZeroDivisionError("oh")

    jobs = JobQueue()
    assert str(list(follow(jobs, "a", refuse))[-1].error) == "clip: is empty; give another"
    assert "ZeroDivisionError: oh" in str(list(follow(jobs, "a", crash))[-1].error)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info[0] is ZeroDivisionError
    assert jobs.wait(jobs.enter("b"), 0) == 0


def test_cancelled_job_stops_at_its_next_check_and_frees_the_device():
    jobs, begun = JobQueue(), threading.Event()

    def work(job, report):
        begun.set()
        while True:
            job.check()
            report(Working("Rendering", 0, 1))
            time.sleep(0.005)

    events = follow(jobs, "a", work)
    next(events)
    assert begun.wait(PATIENCE)
    jobs.cancel("a")
    assert list(events)[-1] == Ended()
    assert jobs.wait(jobs.enter("b"), 0) == 0


def test_closed_browser_cancels_its_job_and_the_next_one_waits_for_its_true_end():
    jobs, release, ended = JobQueue(), threading.Event(), threading.Event()

    def slow(job, report):
        report(Working("Rendering", 0, 1))
        release.wait(PATIENCE)  # a computation that cannot be interrupted
        try:
            job.check()
        finally:
            ended.set()

    events = follow(jobs, "a", slow)
    next(events)
    events.close()
    other = follow(jobs, "b", lambda job, report: ended.is_set())
    assert next(other) == Waiting(1)
    release.set()
    assert list(other)[-1] == Ended(result=True)


def test_model_is_waited_for_and_its_error_reaches_everybody():
    release = threading.Event()

    def load():
        release.wait(PATIENCE)
        return "pipeline"

    model = load_in_background(load)
    checks = []

    def check():
        checks.append(True)
        release.set()

    assert wait_for(model, check) == "pipeline"
    assert checks
    broken = load_in_background(lambda: (_ for _ in ()).throw(NotFound("m", "no such model", "give another")))
    for _ in range(2):
        with pytest.raises(NotFound):
            wait_for(broken, lambda: None)


def test_watched_engine_stops(tmp_path):
    from tiny_pipeline import make_pipeline

    from signgen.rendering import render

    pipeline = make_pipeline()
    before = pipeline.engine
    clip = EXAMPLES[0].open().keypoints[:9]
    with watched(pipeline, lambda: None) as shown:
        result = render(clip, "alma", shown, tmp_path / "a.mp4")
    assert pipeline.engine is before
    assert result.frames == 9
    calls = iter([None] * 3)

    def check():
        if next(calls, Cancelled) is Cancelled:
            raise Cancelled

    with pytest.raises(Cancelled), watched(pipeline, check) as shown:
        render(clip, "alma", shown, tmp_path / "b.mp4")
    assert pipeline.engine is before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.mp4"]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_stream_gives_frames_from_any_start_in_order():
    stream = LiveStream()
    assert stream.since(0) == ([], False)
    for value in (0, 0, 255):
        stream.add(np.full((8, 6, 3), value, np.uint8))
    frames, over = stream.since(1)
    assert len(frames) == 2
    assert not over
    assert frames[0] != frames[1]
    stream.close()
    assert stream.since(3) == ([], True)
    assert stream.since(-5)[0] == stream.since(0)[0]


def test_recent_things_are_found_by_their_key_alone_and_old_ones_are_forgotten():
    recent = Recent(2)
    first, second = recent.add("a"), recent.add("b")
    assert (recent.get(first), recent.get(second)) == ("a", "b")
    assert recent.get("../" + first) is None
    third = recent.add("c")
    assert [recent.get(key) for key in (first, second, third)] == [None, "b", "c"]


def test_preview_is_a_small_jpeg_of_the_frame():
    from io import BytesIO

    from PIL import Image

    head, data = data_url(np.full((800, 600, 3), (200, 40, 40), np.uint8)).split(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(BytesIO(base64.b64decode(data)))
    assert image.size == (300, 400)
    assert np.abs(np.asarray(image.convert("RGB")).mean((0, 1)) - (200, 40, 40)).max() < 4


def test_browser_gets_the_points(keypoints):
    points = np.frombuffer(base64.b64decode(packed(keypoints)), "<i2").reshape(6, 133, 2)
    assert (points[2, 7] == MISSING).all()
    seen = keypoints.confidence > 0
    assert np.abs(points[seen] / PER_PIXEL - keypoints.xy[seen]).max() <= 0.5 / PER_PIXEL
    content = json.loads(player_content(keypoints, "</script>", "key"))
    assert tuple(content[name] for name in ("frames", "width", "height", "fps", "live")) == (6, 210, 260, 12.5, "key")


def test_strokes_draw_both_hands_apart():
    drawn = strokes()
    hands = {side: {s[2] for s in drawn if min(s[:2]) >= start and max(s[:2]) < start + 21}
             for side, start in (("left", 91), ("right", 112))}  # fmt: skip
    assert len(hands["left"]) == len(hands["right"]) == 5
    assert not hands["left"] & hands["right"]
    assert all(0 <= point < 133 for stroke in drawn for point in stroke[:2])


def test_texts_name_fields_and_no_folder():
    error = InputError("/tmp/signgen-app-x/uploads/9f/clip.json", "no frame size", "give --frame-size and --fps")
    assert error_text(error) == "clip.json: no frame size; give “Frame size” and “Frames per second”"
    assert page_text("see --source-keypoints, not a--b") == "see “Keypoints of the picture”, not a--b"
    assert page_text("give another; see `signgen convert --help` for the formats").endswith("lists the formats")
    assert "&lt;b&gt;" in notes(["<b>bold</b>"])
    assert notes([]) == ""


def test_status_escapes_and_announces(keypoints):
    bad = failure(InputError("<img src=x onerror=alert(1)>", "got <b>", "no"))
    assert "<img" not in bad
    assert 'role="alert"' in bad
    assert "one job is before yours" in progress(Waiting(1))
    assert "3 jobs are before yours" in progress(Waiting(3))
    assert 'value="4" max="9"' in progress(Working("Rendering", 4, 9))
    assert "value" not in progress(Working("Loading"))
    text = opened(Clip("six", keypoints, "npz", ("<i>",)))
    assert "6 frames, 0.5 s, 210x260 pixels, 12.5 frames per second" in text
    assert "<i>" not in text


def test_manifest_names_no_folder(tmp_path):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps({"output": "/tmp/a/clip.mp4", "manifest": "/tmp/a/clip.json", "seed": 3}))
    name_only(path)
    assert json.loads(path.read_text()) == {"output": "clip.mp4", "manifest": "clip.json", "seed": 3}


def test_manifest_names_a_background_by_its_file(tmp_path):
    path = tmp_path / "clip.json"
    for given, said in (("/tmp/a/studio.png", "studio.png"), ("#00b140", "#00b140"), ("none", "none")):
        path.write_text(json.dumps({"configuration": {"background": given, "seed": 3}}))
        name_only(path)
        assert json.loads(path.read_text()) == {"configuration": {"background": said, "seed": 3}}


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#00b140", "#00b140"), ("rgba(0, 177, 64, 1)", "#00b140"), ("rgb(255.2,300,0)", "#ffff00"),
        (" rgba(0.4, 177.49, 63.6, 0.5) ", "#00b140"), ("green", "green"), ("rgba(1,2)", "rgba(1,2)"),
    ],
)  # fmt: skip
def test_colours_as_browsers_write_them(text, colour):
    assert parse_colour(text) == colour


def test_a_background_is_read_and_written_again(place):
    picture = np.random.default_rng(0).integers(0, 255, (24, 20, 3)).astype(np.uint8)
    given = place.folder() / "my studio.png"
    Image.fromarray(picture).save(given)
    again = open_background(given, place, Limits())
    assert (again.name, again.parent != given.parent) == ("my-studio.png", True)
    assert np.array_equal(np.asarray(Image.open(again)), picture)
    assert open_background(given, place, Limits()) == again
    assert len(list(place.uploads.glob("*/my-studio.png"))) == 1
    (place.folder() / "notes.png").write_text("no picture")
    with pytest.raises(InputError):
        open_background(next(place.uploads.glob("*/notes.png")), place, Limits())
    with pytest.raises(TooLarge):
        open_background(given, place, Limits(picture_bytes=10))
    with pytest.raises(Untrusted):
        open_background("/etc/passwd", place, Limits())


def test_a_page_offers_another_background_where_the_model_has_the_parts(tmp_path):
    for parts, said in (({}, False), ({"matte": [None, None], "composer": ["a", "B"]}, False),
                        ({"matte": ["a", "B"], "composer": ["a", "B"]}, True)):  # fmt: skip
        (tmp_path / "model_index.json").write_text(json.dumps(parts))
        assert _composes(tmp_path) == said


# --- the server ------------------------------------------------------------------------------------------------------


KEY = "k" * 32


def ask(
    host: str = "localhost",
    path: str = "/",
    local: bool = True,
    own: tuple = (),
    method: str = "GET",
    body: bytes = b"",
    password: str | None = None,
    place: Visitor | None = None,
    **headers: str,
) -> tuple[dict, bytes]:
    """Start and body of what an application behind the middleware sends back; it repeats what it was sent."""
    sent: list[dict] = []

    async def inner(scope, receive, send):
        given = (await receive())["body"] if method == "POST" else b"in"
        await send({"type": "http.response.start", "status": 200, "headers": list(own)})
        await send({"type": "http.response.body", "body": given})

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", host.encode()), *named]}
    asyncio.run(Middleware(inner, local, lambda key: place, password)(scope, receive, send))
    return sent[0], sent[1]["body"]


def status(*args: object, **kwargs: object) -> int:
    return ask(*args, **kwargs)[0]["status"]


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "127.0.0.1:9", "[::1]:7860", "LOCALHOST"])
def test_requests_to_this_machine_pass_with_headers(host):
    start, body = ask(host, cookie=f"{COOKIE}={KEY}")
    assert (start["status"], body) == (200, b"in")
    assert dict(start["headers"]) == HEADERS


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::2]"])
def test_requests_under_another_name_are_refused(host):
    start, body = ask(host)
    assert start["status"] == 421
    assert body != b"in"
    assert status(host, local=False) == 200


def test_an_answer_keeps_its_own_policy():
    own = ((b"Content-Security-Policy", b"sandbox"),)
    headers = ask(own=own)[0]["headers"]
    assert [value for key, value in headers if key.lower() == b"content-security-policy"] == [b"sandbox"]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, 200),  # no browser
        ({"origin": "http://localhost:7860", "sec_fetch_site": "same-origin"}, 200),
        ({"origin": "http://LOCALHOST:7860"}, 200),
        ({"origin": "https://localhost:7860"}, 200),  # behind a proxy
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:8000", "sec_fetch_site": "same-site"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
    ],
)
def test_what_another_website_sends_is_refused(headers, wanted):
    path = "/gradio_api/upload"
    assert status("localhost:7860", path, method="POST", cookie=f"{COOKIE}={KEY}", **headers) == wanted
    if "sec_fetch_site" in headers:  # a link that leads to the page is none of that
        assert status("localhost:7860", "/", **headers) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_what_the_page_needs_is_served(method):
    strange = (
        "process_recording", "info", "openapi.json", "api/predict", "call/render", "run/render", "component_server",
        "proxy=http://a", "stream/a", "file/etc", "token", "app_id", "login_check", "vibe-code", "dev/reload",
    )  # fmt: skip
    paths = [f"/gradio_api/{name}" for name in strange] + ["/config", "/login", "/monitoring", "/docs", "/svelte/a.js"]
    for path in paths:
        assert status(path=path, method=method, cookie=f"{COOKIE}={KEY}") == 404, path
    assert status(path="/gradio_api/upload", method=method, cookie=f"{COOKIE}={KEY}") == (
        200 if method == "POST" else 404
    )


def test_a_browser_gets_a_key_with_the_page_and_reaches_nothing_of_its_own_without(place):
    def given(start: dict) -> bytes:
        return dict(start["headers"]).get(b"set-cookie", b"")

    first, second = ask()[0], ask()[0]
    assert given(first).startswith(f"{COOKIE}=".encode())
    assert given(first).endswith(b"; Path=/; HttpOnly; SameSite=Lax")
    assert given(first) != given(second)
    assert given(ask(cookie=f"{COOKIE}={KEY}")[0]) == b""
    assert given(ask(cookie=f"{COOKIE}=short")[0]) != b"", "nobody can guess a key"
    for path in ("/gradio_api/queue/data", "/gradio_api/file=x", "/live/x", "/report/x"):
        assert status(path=path) == 403
    assert status(path="/gradio_api/upload", method="POST") == 403
    assert status(path="/assets/index.js") == 200
    file = place.folder() / "a.mp4"
    file.write_text("x")
    for path, wanted in ((file, 200), (file.with_name("b.mp4"), 404), ("/etc/passwd", 404)):
        assert status(path=f"/gradio_api/file={path}", cookie=f"{COOKIE}={KEY}", place=place) == wanted


def test_a_call_names_only_files_of_its_visitor(place):
    file = place.folder() / "a.json"
    file.write_text("x")
    given = {"path": "/gradio_api/queue/join", "method": "POST", "cookie": f"{COOKIE}={KEY}", "place": place}

    def call(*paths: object) -> int:
        body = json.dumps({"data": [[{"path": str(path)} for path in paths], None], "session_hash": "x"}).encode()
        start, answer = ask(body=body, **given)
        assert start["status"] != 200 or answer == body, "the application gets all of it"
        return start["status"]

    assert call() == call(file) == call(file, file) == 200
    for strange in ("/etc/passwd", "http://a.example/b", file.parent, file.with_name("b")):
        assert call(file, strange) == 403
    for body in (b"[" * 100_000, b"no", b" " * (5 * MIB)):
        assert status(body=body, **given) == 403


def test_a_password_is_asked_for_before_all_else():
    def with_(text: str) -> int:
        return status(password="ann:a:b", authorization="Basic " + base64.b64encode(text.encode()).decode())

    start, _ = ask(path="/assets/a.js", password="ann:a:b")
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"].startswith(b"Basic ")
    assert with_("ann:a:b") == 200
    assert with_("ann:a") == with_("ann:a:B") == 401
    assert status(password="ann:a:b", authorization="Bearer x") == 401


def test_log_has_failed_requests_and_jobs_and_no_names_of_files(capsys, monkeypatch):
    logger = logging.getLogger("signgen.app")
    for name, value in (("handlers", []), ("propagate", True), ("level", logging.NOTSET)):
        monkeypatch.setattr(logger, name, value)
    log_to_standard_error()

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def send(message):
        pass

    def refuse(job, report):
        raise InputError("my secret.json", "is empty", "give another")

    def crash(job, report):
        raise ZeroDivisionError("oh")

    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={KEY}".encode())],
    }
    asyncio.run(Middleware(inner, True, lambda key: None)({**scope, "path": "/report/my-secret"}, None, send))
    jobs = JobQueue(waiting=0)
    for work in (lambda job, report: 1, refuse, crash):
        list(follow(jobs, "somebody", work, "render"))
    jobs.enter("a")
    with pytest.raises(RunError):
        jobs.enter("b", "score")
    text = capsys.readouterr().err
    lines = [line.split(" ", 2)[2] for line in text.splitlines() if " INFO " in line]
    assert lines[0] == "INFO GET /report answered with 404"
    assert [re.sub(r"[\d.]+", "N", line) for line in lines[1:]] == [
        "INFO render N started after N s in the queue",
        "INFO render N ended after N s",
        "INFO render N started after N s in the queue",
        "INFO render N ended with an error: input",
        "INFO render N started after N s in the queue",
        "INFO score refused: N jobs are waiting",
    ]
    assert re.search(r" ERROR render \d+ failed\nTraceback", text)
    assert "ZeroDivisionError: oh" in text
    assert "secret" not in text
    assert "somebody" not in text


def test_name_of_a_request_without_host():
    assert host_name({"headers": []}) == ""


def test_port_that_is_taken_is_one_clear_line():
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadValue, match=f"127.0.0.1:{port} cannot be listened on"):
            open_socket("127.0.0.1", port)
    with pytest.raises(BadValue):
        open_socket("203.0.113.7", 0)


def test_missing_gradio_gives_the_install_line(monkeypatch):
    monkeypatch.setattr("signgen.app.server.find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["app"])
    assert done.exit_code == 2
    assert done.stderr == 'error: gradio: is not installed; install it with: pip install "signgen[app]"\n'


def test_command_is_listed_and_checks_its_options():
    assert "app" in COMMANDS
    assert CliRunner().invoke(main, ["app", "--port", "70000"]).exit_code == 2
    assert CliRunner().invoke(main, ["app", "--max-upload", "0"]).exit_code == 2


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], None),
        (["--auth", "ann:secret"], "ann:secret"),
        (["--host", "0.0.0.0", "--auth", "ann:secret"], "ann:secret"),
        (["--host", "0.0.0.0"], "made"),
    ],
)
def test_with_another_host_there_is_a_password(options, wanted, monkeypatch):
    from signgen.app import server

    asked = []

    def serve(settings, ready, build):
        asked.append(settings.password)
        ready("http://x/")
        raise BadValue("--port", "is taken", "give another")  # else the command ends this process

    monkeypatch.setattr(server, "serve", serve)
    shown = json.loads(CliRunner().invoke(main, ["app", "--json", *options]).stdout)["auth"]
    if wanted == "made":
        assert re.fullmatch(r"signgen:[\w-]{16}", shown)
        assert asked == [shown]
    else:
        assert asked == [wanted]
        assert shown is None, "what its user knows is not printed"


@pytest.mark.parametrize("text", ["ann", "ann:", ":x", ""])
def test_a_password_needs_a_user(text):
    done = CliRunner().invoke(main, ["app", "--auth", text])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --auth: ")


def test_settings_know_who_can_reach_them():
    assert ServerSettings().local
    assert not replace(ServerSettings(), host="0.0.0.0").local


def test_what_arrives_while_the_space_is_looked_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = pytest.importorskip("gradio.route_utils")
    begun, sent, taken = threading.Event(), threading.Event(), threading.Event()

    async def receive(request, folder, *limits, **more):
        begun.set()
        assert await asyncio.to_thread(sent.wait, PATIENCE)
        (folder / "a").write_bytes(bytes(6 * MIB))
        return [folder / "a"], []

    monkeypatch.setattr(routes, "upload_fn", receive)
    headers, cookies = {"content-length": str(6 * MIB)}, {COOKIE: "k" * 32}
    request = SimpleNamespace(headers=headers, cookies=cookies, scope={"type": "http"}, receive=None)

    async def both(context: Context) -> list[int]:
        uploads, workspace = Uploads(context, set()), context.workspace
        look = workspace.used

        async def first() -> int:
            status, _ = await uploads.take(request, None)
            taken.set()
            return status

        def look_slowly() -> int:
            seen = look()
            if begun.is_set():  # the second one's look; the first one's file arrives during it
                sent.set()
                assert taken.wait(PATIENCE)
            return seen

        monkeypatch.setattr(workspace, "used", look_slowly)
        one = asyncio.create_task(first())
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        status, _ = await uploads.take(request, None)
        return [await one, status]

    limits = Limits(video_bytes=8 * MIB, total_bytes=10 * MIB)
    with open_workspace() as workspace, open_context(workspace, Future(), limits) as context:
        assert asyncio.run(both(context)) == [200, 507]
