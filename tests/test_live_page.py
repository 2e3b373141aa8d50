"""A live render's page and its WebSockets, and the door for other programs: what they answer, and what they refuse."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import browsers
import numpy as np
import pytest
from PIL import Image
from tiny_pipeline import FRAME, make_pipeline, picture, signing

import signgen
from signgen.app.context import MIB, Context, Limits, open_context, open_workspace
from signgen.app.jobs import Ended, follow
from signgen.app.server import open_socket
from signgen.keypoints import write_keypoints
from signgen.rendering.source import Source
from signgen.streaming import LiveFrame

REASON = "the page's packages are not installed"
pytest.importorskip("gradio", reason=REASON)
uvicorn = pytest.importorskip("uvicorn", reason=REASON)
PATIENCE = 150.0  # a process that reads may take most of this to begin
HOST = "127.0.0.1"


def wait_for(condition) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


# --- the page of a live render ----------------------------------------------------------------------------------------
@pytest.fixture
def page():
    pytest.importorskip("websockets", reason=REASON)
    from signgen.app.stream import open_page

    with open_page(0, "alma & co") as page:
        wait_for(lambda: answered(port_of(page.url), "GET", "/")[0] == 200)
        yield page


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


def answered(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()}
    except ConnectionRefusedError:
        return 0, b"", {}
    finally:
        connection.close()


def frame(number: int = 3) -> LiveFrame:
    return LiveFrame(np.full((FRAME[1], FRAME[0], 3), 10 * number, np.uint8), number, 0.0625, 2)


def test_viewers_get_each_frame_with_its_delay(page):
    from websockets.sync.client import connect

    with connect(f"ws://{HOST}:{port_of(page.url)}/frames") as viewer:
        wait_for(lambda: page._watching)
        page.show(frame(), now=10.0)
        told, jpeg = json.loads(viewer.recv(PATIENCE)), viewer.recv(PATIENCE)
        assert told == {"number": 3, "width": 42, "height": 52, "delay_ms": 62.5, "dropped": 2, "fps": 0.0}
        shown = np.asarray(Image.open(io.BytesIO(jpeg)))
        assert shown.shape == (52, 42, 3)
        assert np.abs(shown.astype(int) - 30).max() <= 2
        page.show(frame(4), now=10.5)
        assert json.loads(viewer.recv(PATIENCE))["fps"] == 2.0
    wait_for(lambda: not page._watching)
    page.show(frame(), now=11.0)  # nobody looks


def test_a_slow_viewer_misses_frames_and_holds_nobody_up(page):
    import asyncio

    from signgen.app.stream import _Viewer

    async def newest() -> tuple[str, bytes]:
        viewer = _Viewer()
        for number in range(100):
            viewer.offer((str(number), b""))
        return await viewer.next()

    assert asyncio.run(newest())[0] == "99"


def test_keypoints_come_in_and_bad_ones_are_answered(page):
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    address = f"ws://{HOST}:{port_of(page.url)}/keypoints"
    points, found = signing(1).points[0], iter(page.incoming)
    with connect(address) as sender:
        sender.send('{"width": 42, "height": 52, "fps": 20}')
        sender.send("nonsense")
        answer = json.loads(sender.recv(PATIENCE))
        assert answer["code"] == "damaged"
        assert "line 2" in answer["error"]
        sender.send(json.dumps(points.tolist()))
        assert np.allclose(next(found), points)
        assert page.incoming.header.size == FRAME
        assert page.incoming.header.fps == 20
        with pytest.raises((InvalidStatus, ConnectionClosed)), connect(address) as second:
            second.recv(PATIENCE)
        with suppress(ConnectionClosed):
            sender.send("x" * (1 << 20))  # longer than any frame
        with pytest.raises(ConnectionClosed):
            sender.recv(PATIENCE)
    wait_for(lambda: not page.incoming.sending)
    with connect(address) as again:
        again.send("null")
        assert not next(found).any()


def test_keypoints_that_nobody_takes_are_dropped():
    from signgen.app.stream import TOGETHER, Incoming

    incoming = Incoming()
    for number in range(3 * TOGETHER):
        incoming.put(np.full((133, 3), float(number)))
    assert incoming._came.qsize() == TOGETHER


def test_another_website_gets_no_frames_and_sends_no_keypoints(page):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    port = port_of(page.url)
    for path in ("/frames", "/keypoints"):
        with pytest.raises(InvalidStatus), connect(f"ws://{HOST}:{port}{path}", origin="http://elsewhere.example"):
            pass
        with (
            pytest.raises(InvalidStatus),
            connect(f"ws://{HOST}:{port}{path}", additional_headers={"Sec-Fetch-Site": "cross-site"}),
        ):
            pass
    with pytest.raises(InvalidStatus), connect(f"ws://{HOST}:{port}/other"):
        pass
    assert answered(port, "GET", "/", Host="elsewhere.example")[0] == 421
    assert answered(port, "GET", "/etc/passwd")[0] == 404
    assert answered(port, "POST", "/")[0] == 404


def test_the_page_says_that_its_video_is_generated_and_loads_from_nowhere_else(page):
    status, body, headers = answered(port_of(page.url), "GET", "/")
    assert status == 200
    assert b"Generated video of alma &amp; co" in body
    assert b"//" not in body.replace(b"http-equiv", b"")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert answered(port_of(page.url), "GET", "/live.js")[0] == 200


def test_a_stream_through_the_sockets_is_rendered(page):
    """Keypoints in through one socket, frames out of another, with a render in between."""
    from websockets.sync.client import connect

    address, clip = f"ws://{HOST}:{port_of(page.url)}", signing(3)
    source = Source(picture(), signing(1), "somebody", "image")
    stream = signgen.live(source, make_pipeline(), frame_size=FRAME)

    def render() -> None:
        for made in stream.feed(page.incoming):
            page.show(made, time.monotonic())

    threading.Thread(target=render, daemon=True).start()
    with connect(f"{address}/frames") as viewer, connect(f"{address}/keypoints") as sender:
        wait_for(lambda: page._watching)
        for number, points in enumerate(clip.points):
            sender.send(json.dumps(points.tolist()))
            assert json.loads(viewer.recv(PATIENCE))["number"] == number
            assert Image.open(io.BytesIO(viewer.recv(PATIENCE))).size == FRAME


# --- the door for other programs --------------------------------------------------------------------------------------
@contextmanager
def served(
    limits: Limits | None = None, password: str | None = None, model: Any = None
) -> Iterator[tuple[int, Context]]:
    from signgen.app.door import build_door

    loaded: Future[Any] = Future()
    if model is not None:
        loaded.set_result(model)
    with (
        open_workspace() as workspace,
        open_socket(HOST, 0) as listening,
        open_context(workspace, loaded, limits) as context,
    ):
        config = uvicorn.Config(build_door(context, True, password), log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1], context
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def door():
    with served(Limits(frames=50, video_bytes=MIB), model=make_pipeline()) as (port, context):
        yield port, context


def form(**fields: str | tuple[str, bytes]) -> tuple[bytes, str]:
    """A body of multipart/form-data and its content type."""
    parts = b""
    for name, value in fields.items():
        filed = isinstance(value, tuple)
        file = f'; filename="{value[0]}"' if filed else ""
        parts += f'--cut\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        parts += (value[1] if filed else value.encode()) + b"\r\n"
    return parts + b"--cut--\r\n", "multipart/form-data; boundary=cut"


def posted(port: int, **fields: str | tuple[str, bytes]) -> tuple[int, bytes, dict[str, str]]:
    body, kind = form(**fields)
    return answered(port, "POST", "/render", body, Content_Type=kind)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> tuple[str, bytes]:
    path = tmp_path_factory.mktemp("clip") / "three.npz"
    write_keypoints(signing(3), path)
    return path.name, path.read_bytes()


def left(context: Context) -> list[Any]:
    folders = os.walk(context.workspace.uploads)  # it passes over what is taken away meanwhile
    return [os.path.join(folder, name) for folder, _, names in folders for name in names]


def test_keypoints_become_a_video_and_nothing_is_left(door, clip, tmp_path):
    from signgen.video import probe

    port, context = door
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, "PNG")
    for fields in ({"source": "bela", "frames": "0:2"}, {"source": ("me.png", stream.getvalue()), "seed": "3"}, {}):
        status, body, headers = posted(port, keypoints=clip, **fields)
        assert status == 200, body
        assert headers["content-type"] == "video/mp4"
        assert isinstance(json.loads(headers["x-signgen-warnings"]), list)
        (tmp_path / "out.mp4").write_bytes(body)
        info = probe(tmp_path / "out.mp4")
        assert (info.frames, info.size) == (2 if "frames" in fields else 3, FRAME)
    wait_for(lambda: not left(context))


def test_health_tells_queue_and_limits(door):
    port, context = door
    status, body, _ = answered(port, "GET", "/health")
    told = json.loads(body)
    assert status == 200
    assert (told["status"], told["running"], told["waiting"]) == ("ready", 0, 0)
    assert told["limits"]["frames"] == 50
    assert "alma" in told["signers"]
    with served() as (other, _):
        wait_for(lambda: answered(other, "GET", "/health")[0] == 503)
        assert json.loads(answered(other, "GET", "/health")[1])["status"] == "loading"


@pytest.mark.parametrize(
    ("fields", "status", "code", "subject"),
    [
        ({}, 422, "missing", "keypoints"),
        ({"keypoints": ("a.json", b"{")}, 422, "damaged", "a.json"),
        ({"keypoints": "text"}, 422, "bad-value", "keypoints"),
        ({"keypoints": ("../../a.json", b"[]")}, 422, "empty", "a.json"),
        ({"keypoints": None, "source": "/etc/passwd"}, 422, "bad-value", "source"),
        ({"keypoints": None, "source": ("a.png", b"no picture")}, 422, None, "a.png"),
        ({"keypoints": None, "colour": "red"}, 422, "bad-value", "colour"),
        ({"keypoints": None, "fps": "fast"}, 422, "bad-value", "fps"),
        ({"keypoints": None, "align": "perhaps"}, 422, "bad-value", "align"),
        ({"keypoints": None, "frames": "9:12"}, 422, "bad-value", ""),
        ({"keypoints": None, "seed": "-4"}, 422, "bad-value", ""),
        ({"keypoints": None, "seed": "nan"}, 422, "bad-value", "seed"),
        ({"keypoints": None, "seed": "1.7"}, 422, "bad-value", "seed"),
        ({"keypoints": None, "fps": "inf"}, 422, "bad-value", "fps"),
        ({"keypoints": None, "frame_size": "large"}, 422, "bad-value", "frame_size"),
        ({"keypoints": ("disk", b"{")}, 422, None, "disk"),
        ({"keypoints": None, "shutter": "2"}, 422, "bad-value", ""),
        ({"keypoints": None, "shutter": "0.5"}, 422, "mismatch", ""),  # the model refines no hands
    ],
)
def test_bad_requests_are_one_line_of_json(door, clip, fields, status, code, subject):
    port, context = door
    given = {name: clip if value is None else value for name, value in fields.items()}
    found, body, headers = posted(port, **given)
    answer = json.loads(body)
    assert found == status
    assert headers["content-type"] == "application/json"
    assert code is None or answer["code"] == code
    assert answer["error"].startswith(subject)
    assert str(context.workspace.root) not in answer["error"]
    wait_for(lambda: not left(context))


def test_what_is_too_much_is_refused(door, clip):
    port, context = door
    body, kind = form(keypoints=("a.npz", bytes(3 * MIB)))
    assert answered(port, "POST", "/render", body, Content_Type=kind)[0] == 413
    assert answered(port, "POST", "/render", clip[1], Content_Type="application/octet-stream")[0] == 415
    chunks = iter([b"5\r\nhello\r\n", b"0\r\n\r\n"])
    assert answered(port, "POST", "/render", chunks, Transfer_Encoding="chunked", Content_Type=kind)[0] == 411
    many = {"keypoints": clip, "frames": "0:3"}
    with served(Limits(frames=2), model=make_pipeline()) as (other, _):
        status, body, _ = posted(other, **many)
        assert (status, json.loads(body)["code"]) == (413, "too-large")
    wait_for(lambda: not left(context))


def test_only_this_machine_and_no_website_is_answered(door, clip):
    port, _ = door
    body, kind = form(keypoints=clip)
    assert answered(port, "POST", "/render", body, Content_Type=kind, Host="elsewhere.example")[0] == 421
    assert answered(port, "POST", "/render", body, Content_Type=kind, Origin="http://elsewhere.example")[0] == 403
    assert answered(port, "POST", "/render", body, Content_Type=kind, Sec_Fetch_Site="cross-site")[0] == 403
    assert answered(port, "GET", "/render")[0] == 404
    assert answered(port, "GET", "/docs")[0] == 404


def test_a_password_is_asked_for(clip):
    with served(password="me:secret", model=make_pipeline()) as (port, _):
        wait_for(lambda: answered(port, "GET", "/health")[0] == 401)
        assert posted(port, keypoints=clip)[0] == 401
        assert answered(port, "GET", "/health", Authorization="Basic bWU6c2VjcmV0")[0] == 200


def test_a_full_queue_says_when_to_ask_again(clip):
    with served(Limits(waiting=0), model=make_pipeline()) as (port, context):
        going = threading.Event()

        def work(job, report):
            going.wait(PATIENCE)

        other = follow(context.jobs, "another", work)
        thread = threading.Thread(target=lambda: [event for event in other if isinstance(event, Ended)])
        thread.start()
        wait_for(lambda: context.jobs.counts() == (1, 0))
        status, body, headers = posted(port, keypoints=clip)
        assert (status, json.loads(body)["code"]) == (503, "failed")
        assert int(headers["retry-after"]) > 0
        going.set()
        thread.join(PATIENCE)


def test_a_sender_who_goes_ends_the_render(clip):
    """The model is never ready: only its sender's leaving ends this job."""
    with served() as (port, context):
        body, kind = form(keypoints=clip)
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        connection.request("POST", "/render", body, {"Content-Type": kind})
        wait_for(lambda: context.jobs.counts() == (1, 0))
        connection.close()
        wait_for(lambda: context.jobs.counts() == (0, 0))
        wait_for(lambda: not left(context))


class Sender:
    """Who has sent a request, and is still there or not."""

    def __init__(self, gone: bool = False) -> None:
        self._gone = gone

    async def is_disconnected(self) -> bool:
        return self._gone


def test_a_request_that_nobody_follows_yet_ends_with_its_sender():
    from signgen.app.door import Door, Gone

    done, free = [], threading.Event()
    with open_workspace() as workspace, open_context(workspace, Future()) as context:
        door = Door(context)
        door._threads = ThreadPoolExecutor(1)
        door._threads.submit(free.wait, PATIENCE)
        with pytest.raises(Gone):
            asyncio.run(door._done(Sender(gone=True), context.jobs, "a", lambda job, report: done.append(job)))
        free.set()
        door._threads.shutdown()
        assert (done, context.jobs.counts()) == ([], (0, 0))


def test_requests_beyond_the_queue_are_refused_at_once_however_few_threads_asyncio_has():
    from signgen.app.door import Door

    free = threading.Event()

    def work(job, report):
        return free.wait(PATIENCE)

    async def ask(door: Any, jobs: Any) -> list[Any]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        asked = [asyncio.ensure_future(door._done(Sender(), jobs, str(number), work)) for number in range(12)]
        until, refused = time.monotonic() + PATIENCE / 2, set()
        while (len(refused) < 4 or jobs.counts() != (1, 7)) and time.monotonic() < until:
            refused, _ = await asyncio.wait(asked, timeout=0.1)
        assert jobs.counts() == (1, 7)
        free.set()
        await asyncio.wait(asked)
        return [one.exception() for one in refused]

    with open_workspace() as workspace, open_context(workspace, Future(), Limits(waiting=7)) as context:
        refused = asyncio.run(ask(Door(context), context.jobs))
    assert [error.subject for error in refused] == ["queue"] * 4


def test_a_long_name_keeps_the_number_of_its_frame(tmp_path):
    from signgen.app.door import _kept

    long = "signer-who-says-what-the-weather-will-be-like-tomorrow-in-the-north"
    sent = [SimpleNamespace(filename=f"{long}_{n:012d}_keypoints.json", file=io.BytesIO(b"[]")) for n in range(2)]
    with open_workspace() as workspace:
        names = [_kept(one, workspace.visitor("a")).name for one in sent]
    assert names[0] != names[1]
    assert all(name.endswith(f"00000{n}_keypoints.json") for n, name in enumerate(names))


def test_who_holds_a_place_without_sending_is_told_so_and_the_next_is_taken(clip, monkeypatch):
    monkeypatch.setattr("signgen.app.server.IDLE_SECONDS", 0.3)
    body, kind = form(keypoints=clip)
    with served(model=make_pipeline()) as (port, context):
        silent = [http.client.HTTPConnection(HOST, port, timeout=PATIENCE) for _ in range(2)]
        for connection in silent:
            connection.putrequest("POST", "/render")
            connection.putheader("Content-Type", kind)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[:100])
        assert posted(port, keypoints=clip, frames="0:1")[0] == 200
        for connection in silent:
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (408, "slow")
            connection.close()
        wait_for(lambda: not left(context))


def test_a_body_must_keep_coming(monkeypatch):
    from signgen.app.server import paced

    monkeypatch.setattr("signgen.app.server.SLOW_SECONDS", 0.2)
    monkeypatch.setattr("signgen.app.server.SLOWEST", 100)

    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("signgen.app.server.time", clock)

    async def taken(size: int, more: int) -> int:
        left = more

        async def receive() -> dict[str, Any]:
            nonlocal left
            clock.now += 0.1
            left -= 1
            return {"type": "http.request", "body": bytes(size), "more_body": left > 0}

        receiving = paced(receive)
        for _ in range(more + 5):  # after the body nothing is hurried
            await receiving()
        return left

    assert asyncio.run(taken(20, 8)) == -5
    with pytest.raises(TimeoutError):
        asyncio.run(taken(1, 8))


# --- in a browser -----------------------------------------------------------------------------------------------------
def test_a_browser_shows_frames_and_their_delay(page):
    with browsers.browser() as browser:
        tab, wrong = browser.new_page(), []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.url)
        wait_for(lambda: page._watching)
        page.show(frame(20), now=10.0)
        tab.wait_for_function(
            "document.getElementById('figures').textContent.startsWith('frame 20, 63 ms')", timeout=30_000
        )
        drawn = tab.evaluate(
            "Array.from(document.getElementById('picture').getContext('2d').getImageData(0,0,1,1).data)"
        )
        size = tab.evaluate("[document.getElementById('picture').width, document.getElementById('picture').height]")
        assert size == [*FRAME]
        assert np.abs(np.array(drawn[:3]) - 200).max() <= 3
        assert not wrong
