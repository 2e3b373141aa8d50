"""The web page's own logic, without Gradio: what comes in, who has the device, what is told."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from signgen.app.context import MIB, Limits, Reports, Workplace, safe_name
from signgen.app.examples import EXAMPLES
from signgen.app.feed import Feeds, data_url
from signgen.app.job import CalledOff, Ended, Turns, Waiting, Working, follow
from signgen.app.model import Model
from signgen.app.opening import open_clip, open_example, open_picture, parse_part, parse_size
from signgen.app.render_tab import MISSING, PER_PIXEL, packed, show, strokes
from signgen.app.rendering import name_only
from signgen.app.server import HEADERS, Doors, host_name
from signgen.app.status import error_words, failure, happening, notes, opened, page_words
from signgen.cli import COMMANDS, main
from signgen.errors import InputError, RunError
from signgen.keypoints import Keypoints, write_keypoints
from signgen.rendering.source import builtin_names

PATIENCE = 20.0  # seconds after which a test gives up waiting for another thread


@pytest.fixture
def place():
    with Workplace() as workplace:
        yield workplace


@pytest.fixture
def keypoints() -> Keypoints:
    rng = np.random.default_rng(3)
    xy = rng.uniform(20, 180, (6, 133, 2)).astype(np.float32)
    confidence = np.full((6, 133), 0.9, np.float32)
    confidence[2, 7] = 0
    xy[2, 7] = 0
    return Keypoints(xy, confidence, width=210, height=260, fps=12.5, name="six")


def upload(place: Workplace, keypoints: Keypoints, name: str = "six.npz"):
    path = place.uploads / name
    write_keypoints(keypoints, path)
    return path


# --- what comes in ----------------------------------------------------------------------------------------------------


def test_only_files_in_the_upload_folder_are_read(place, tmp_path):
    inside = place.uploads / "a" / "clip.json"
    inside.parent.mkdir()
    inside.write_text("[]")
    assert place.accept(inside) == inside
    assert place.accept(place.uploads / "a" / ".." / "a" / "clip.json") == inside
    outside = tmp_path / "secret.json"
    outside.write_text("[]")
    (place.uploads / "link.json").symlink_to(outside)
    (place.uploads / "folder").symlink_to(tmp_path)
    own = place.folder() / "other.json"
    own.write_text("[]")
    strange = [
        outside, place.uploads / "link.json", place.uploads / "folder" / "secret.json", place.uploads,
        place.uploads / ".." / "jobs" / own.parent.name / "other.json", own, "/etc/passwd", "clip.json", "a\0b",
        place.uploads / "missing.json",
    ]  # fmt: skip
    for path in strange:
        with pytest.raises(InputError, match="no file that was sent to this page") as caught:
            place.accept(path)
        assert str(tmp_path) not in str(caught.value)


def test_workplace_is_private_and_leaves_nothing(tmp_path):
    with Workplace() as workplace:
        root = workplace.root
        assert root.stat().st_mode & 0o077 == 0
        (workplace.folder() / "x").write_text("x")
        (workplace.uploads / "y").write_text("y")
    assert not root.exists()


def test_folders_of_old_jobs_are_removed():
    with Workplace(kept_seconds=60) as workplace:
        old, young = workplace.folder(), workplace.folder()
        os.utime(old, (time.time() - 61,) * 2)
        workplace.folder()
        assert not old.exists()
        assert young.exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [("clip", "clip"), ("../../etc/passwd", "etc-passwd"), ("ü ö", "clip"), ("a b.c", "a-b-c"), ("-" * 99, "clip")],
)
def test_names_are_safe(name, safe):
    assert safe_name(name) == safe
    assert len(safe_name("n" * 500)) <= 60


def test_limits():
    limits = Limits(keypoint_bytes=MIB, files=3, frames=10, side=300)
    limits.check_bytes("a", MIB, limits.keypoint_bytes)
    limits.check_files(3)
    limits.check_frames("a", 10)
    limits.check_size("a", (300, 260))
    with pytest.raises(InputError, match=r"a: is 2\.0 MiB; up to 1 MiB"):
        limits.check_bytes("a", 2 * MIB, limits.keypoint_bytes)
    with pytest.raises(InputError, match="4 files; up to 3"):
        limits.check_files(4)
    with pytest.raises(InputError, match="11 frames are asked for; up to 10"):
        limits.check_frames("a", 11)
    with pytest.raises(InputError, match="its frame is 210x301; sides of up to 300"):
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
    with pytest.raises(InputError, match="sent twice"):
        open_clip([files[0], files[0]], place, Limits())
    with pytest.raises(InputError, match="3 files; up to 2"):
        open_clip(files, place, Limits(files=2))


def test_clip_beyond_a_limit_is_refused_before_it_is_read(place, keypoints):
    path = upload(place, keypoints)
    path.write_bytes(b"\x93NUMPY" + bytes(2 * MIB))  # damaged: reading it would say so
    with pytest.raises(InputError, match=r"six.npz: is 2\.0 MiB; up to 1 MiB"):
        open_clip([path], place, Limits(keypoint_bytes=MIB))
    with pytest.raises(InputError, match="its frame is 210x260; sides of up to 200"):
        open_clip([upload(place, keypoints, "big.npz")], place, Limits(side=200))
    with pytest.raises(InputError, match="no file"):
        open_clip([], place, Limits())


def test_texts_of_fields():
    assert parse_size("") is None
    assert parse_size(" 210 x 260 ") == parse_size("210×260") == (210, 260)
    assert parse_part("") is None
    assert parse_part("3:") == slice(3, None)
    assert parse_part(" 0 : 100 ") == slice(0, 100)
    with pytest.raises(InputError, match="write width and height"):
        parse_size("large")
    with pytest.raises(InputError, match="write frames as A:B"):
        parse_part("10")


def test_picture_of_a_signer(place, tmp_path):
    from PIL import Image

    path = place.uploads / "me.png"
    Image.fromarray(np.full((64, 48, 3), 90, np.uint8)).save(path)
    source = open_picture(path, None, place, Limits())
    assert (source.name, source.kind, source.size, source.keypoints) == ("me.png", "image", (48, 64), None)
    with pytest.raises(InputError, match="me.png: is .* MiB; up to 0 MiB"):
        open_picture(path, None, place, Limits(picture_bytes=10))
    outside = tmp_path / "me.png"
    path.rename(outside)
    with pytest.raises(InputError, match="no file that was sent"):
        open_picture(outside, None, place, Limits())


def test_examples_are_there_and_small():
    assert [example for example in EXAMPLES if example.signer not in builtin_names()] == []
    for example in EXAMPLES:
        clip = open_example(example.path, example.signer)
        assert 25 <= len(clip.keypoints) <= 200
        assert clip.warnings == ()
        assert clip.signer == example.signer
        assert example.path.stat().st_size < 200_000


# --- who has the device -----------------------------------------------------------------------------------------------


def test_turns_are_in_order_and_one_at_a_time():
    turns = Turns(waiting=2)
    first, second, third = (turns.enter(owner) for owner in "abc")
    assert [turns.wait(ticket, 0) for ticket in (first, second, third)] == [0, 1, 2]
    with pytest.raises(RunError, match="2 jobs are waiting"):
        turns.enter("d")
    turns.leave(first)
    turns.leave(first)
    assert [turns.wait(ticket, 0) for ticket in (second, third)] == [0, 1]
    turns.enter("d")


def test_calling_off_frees_the_place_of_who_waits_but_not_of_who_works():
    turns = Turns()
    working, waiting, last = (turns.enter(owner) for owner in "abc")
    assert turns.call_off("b")
    assert not turns.call_off("b")
    assert not turns.call_off("nobody")
    with pytest.raises(CalledOff):
        turns.wait(waiting, PATIENCE)
    turns.leave(waiting)
    assert turns.wait(last, 0) == 1
    turns.call_off("a")
    with pytest.raises(CalledOff):
        working.check()
    assert turns.wait(last, 0) == 1  # its thread may still be computing
    turns.leave(working)
    assert turns.wait(last, 0) == 0


def test_a_second_job_of_one_owner_ends_the_first():
    turns = Turns()
    first = turns.enter("a")
    second = turns.enter("a")
    assert first.called_off
    assert not second.called_off
    assert turns.wait(second, 0) == 1


def test_two_jobs_never_work_together():
    turns, together, most, lock = Turns(), 0, 0, threading.Lock()

    def work(ticket, tell):
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.01)
        with lock:
            together -= 1
        return ticket.owner

    results = []
    threads = [
        threading.Thread(target=lambda owner=owner: results.append(list(follow(turns, owner, work))[-1].result))
        for owner in "abcdef"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(results) == list("abcdef")
    assert most == 1


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_job_tells_what_happens():
    def work(ticket, tell):
        tell(Working("Rendering", 1, 2))
        return 42

    assert list(follow(Turns(), "a", work)) == [Working("Rendering", 1, 2), Ended(result=42)]


def test_job_that_fails_tells_why(capsys):
    def refuse(ticket, tell):
        raise InputError("clip", "is empty", "give another")

    def crash(ticket, tell):
        raise ZeroDivisionError("oh")

    turns = Turns()
    assert str(list(follow(turns, "a", refuse))[-1].error) == "clip: is empty; give another"
    assert "ZeroDivisionError: oh" in str(list(follow(turns, "a", crash))[-1].error)
    assert "Traceback" in capsys.readouterr().err
    assert turns.wait(turns.enter("b"), 0) == 0


def test_cancelled_job_stops_at_its_next_check_and_frees_the_device():
    turns, begun = Turns(), threading.Event()

    def work(ticket, tell):
        begun.set()
        while True:
            ticket.check()
            tell(Working("Rendering", 0, 1))
            time.sleep(0.005)

    events = follow(turns, "a", work)
    next(events)
    assert begun.wait(PATIENCE)
    turns.call_off("a")
    assert list(events)[-1] == Ended()
    assert turns.wait(turns.enter("b"), 0) == 0


def test_closed_browser_calls_its_job_off_and_the_next_one_waits_for_its_true_end():
    turns, release, ended = Turns(), threading.Event(), threading.Event()

    def slow(ticket, tell):
        tell(Working("Rendering", 0, 1))
        release.wait(PATIENCE)  # a computation that cannot be interrupted
        try:
            ticket.check()
        finally:
            ended.set()

    events = follow(turns, "a", slow)
    next(events)
    events.close()
    other = follow(turns, "b", lambda ticket, tell: ended.is_set())
    assert next(other) == Waiting(1)
    release.set()
    assert list(other)[-1] == Ended(result=True)


def test_model_is_waited_for_and_its_error_reaches_everybody():
    release = threading.Event()

    def load():
        release.wait(PATIENCE)
        return "pipeline"

    model = Model(load)
    model.start()
    checks = []

    def check():
        checks.append(model.ready)
        release.set()

    assert model.get(check) == "pipeline"
    assert checks == [False] * len(checks) != []
    broken = Model(lambda: (_ for _ in ()).throw(InputError("m", "no such model", "give another")))
    broken.start()
    for _ in range(2):
        with pytest.raises(InputError, match="no such model"):
            broken.get(lambda: None)


def test_watched_engine_shows_and_stops(tmp_path):
    from tiny_pipeline import make_pipeline

    from signgen.app.feed import watched
    from signgen.rendering import render

    pipeline = make_pipeline()
    before, seen = pipeline.engine, []
    clip = open_example(EXAMPLES[0].path, "alma").keypoints[:9]
    with watched(pipeline, lambda frames: seen.append(len(frames)), lambda: None) as shown:
        result = render(clip, "alma", shown, tmp_path / "a.mp4")
    assert pipeline.engine is before
    assert sum(seen) == result.frames == 9
    calls = iter([None] * 3)

    def check():
        if next(calls, CalledOff) is CalledOff:
            raise CalledOff

    with pytest.raises(CalledOff), watched(pipeline, seen.append, check) as shown:
        render(clip, "alma", shown, tmp_path / "b.mp4")
    assert pipeline.engine is before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.mp4"]


# --- what is told -----------------------------------------------------------------------------------------------------


def test_feed_gives_frames_from_any_start_in_order():
    feeds = Feeds(most=2)
    feed = feeds.new()
    assert feed.since(0) == ([], False)
    feed.add(np.zeros((2, 8, 6, 3), np.uint8))
    feed.add(np.full((1, 8, 6, 3), 255, np.uint8))
    frames, over = feed.since(1)
    assert len(frames) == 2
    assert not over
    assert frames[0] != frames[1]
    feed.close()
    assert feed.since(3) == ([], True)
    assert feed.since(-5)[0] == feed.since(0)[0]
    assert feeds.get(feed.key) is feed
    feeds.new(), feeds.new()
    assert feeds.get(feed.key) is None


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
    told = json.loads(show(keypoints, "</script>", "key"))
    assert (told["frames"], told["width"], told["height"], told["fps"], told["live"]) == (6, 210, 260, 12.5, "key")


def test_strokes_draw_both_hands_apart():
    drawn = strokes()
    hands = {side: {s[2] for s in drawn if min(s[:2]) >= start and max(s[:2]) < start + 21}
             for side, start in (("left", 91), ("right", 112))}  # fmt: skip
    assert len(hands["left"]) == len(hands["right"]) == 5
    assert not hands["left"] & hands["right"]
    assert all(0 <= point < 133 for stroke in drawn for point in stroke[:2])


def test_words_name_fields_and_no_folder():
    error = InputError("/tmp/signgen-app-x/uploads/9f/clip.json", "no frame size", "give --frame-size and --fps")
    assert error_words(error) == "clip.json: no frame size; give “Frame size” and “Frames per second”"
    assert page_words("see --source-keypoints, not a--b") == "see “Keypoints of the picture”, not a--b"
    assert page_words("give another; see `signgen convert --help` for the formats").endswith("lists the formats")
    assert "&lt;b&gt;" in notes(["<b>bold</b>"])
    assert notes([]) == ""


def test_status_escapes_and_announces(keypoints):
    bad = failure(InputError("<img src=x onerror=alert(1)>", "got <b>", "no"))
    assert "<img" not in bad
    assert 'role="alert"' in bad
    assert "one job is before yours" in happening(Waiting(1))
    assert "3 jobs are before yours" in happening(Waiting(3))
    assert 'value="4" max="9"' in happening(Working("Rendering", 4, 9))
    assert "value" not in happening(Working("Loading"))
    from signgen.app.opening import Clip

    text = opened(Clip("six", keypoints, "npz", ("<i>",)))
    assert "6 frames, 0.5 s, 210x260 pixels, 12.5 frames per second" in text
    assert "<i>" not in text


def test_manifest_tells_no_folder(tmp_path):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps({"output": "/tmp/a/clip.mp4", "manifest": "/tmp/a/clip.json", "seed": 3}))
    name_only(path)
    assert json.loads(path.read_text()) == {"output": "clip.mp4", "manifest": "clip.json", "seed": 3}


def test_reports_are_found_by_their_key_alone(tmp_path):
    reports, path = Reports(most=1), tmp_path / "r.html"
    path.write_text("x")
    key = reports.add(path)
    assert reports.get(key) == path
    assert reports.get("../" + key) is None
    path.unlink()
    assert reports.get(key) is None


# --- the server's doors -----------------------------------------------------------------------------------------------


def ask(host: str, local: bool = True, own: tuple = ()) -> list[dict]:
    """What an application behind the doors sends back."""
    sent: list[dict] = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": list(own)})
        await send({"type": "http.response.body", "body": b"in"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"host", host.encode())]}
    asyncio.run(Doors(inner, local)(scope, None, send))
    return sent


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "127.0.0.1:9", "[::1]:7860", "LOCALHOST"])
def test_requests_to_this_machine_pass_with_headers(host):
    start, body = ask(host)
    assert (start["status"], body["body"]) == (200, b"in")
    assert dict(start["headers"]) == HEADERS


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::2]"])
def test_requests_under_another_name_are_refused(host):
    start, body = ask(host)
    assert start["status"] == 421
    assert body["body"] != b"in"
    assert ask(host, local=False)[0]["status"] == 200


def test_an_answer_keeps_its_own_policy():
    own = ((b"Content-Security-Policy", b"sandbox"),)
    headers = ask("localhost", own=own)[0]["headers"]
    assert [value for key, value in headers if key.lower() == b"content-security-policy"] == [b"sandbox"]


def test_name_of_a_request_without_host():
    assert host_name({"headers": []}) == ""


def test_port_that_is_taken_is_one_clear_line():
    from signgen.app.server import open_socket

    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port} cannot be listened on"):
            open_socket("127.0.0.1", port)
    with pytest.raises(InputError, match="another --host"):
        open_socket("203.0.113.7", 0)


def test_missing_gradio_gives_the_install_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["app"])
    assert done.exit_code == 2
    assert done.stderr == 'error: gradio: is not installed; install it with: pip install "signgen[app]"\n'


def test_command_is_listed_and_checks_its_options():
    assert "app" in COMMANDS
    assert CliRunner().invoke(main, ["app", "--port", "70000"]).exit_code == 2
    assert CliRunner().invoke(main, ["app", "--max-upload", "0"]).exit_code == 2


def test_settings_know_who_can_reach_them():
    from signgen.app.server import ServerSettings

    assert ServerSettings().local
    assert not replace(ServerSettings(), host="0.0.0.0").local
