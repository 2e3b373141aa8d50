"""A live render's page on this machine: frames to everybody who looks, and keypoints in through a WebSocket.

``/frames`` sends two messages a frame: a JSON object (`frame_message`), and a JPEG. A viewer who is too slow misses
frames. ``/keypoints`` takes a message a frame, as `signgen.streaming.points.LineReader` reads lines, from one sender at
a time; it answers a message that is no frame with ``{"error": ...}`` and goes on.
"""

from __future__ import annotations

import asyncio
import html
import io
import json
import queue
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.app.server import Middleware, open_socket
from signgen.errors import SignGenError, missing_extra
from signgen.streaming.points import LONGEST_LINE, Header, LineReader

if TYPE_CHECKING:
    from signgen.streaming import LiveFrame

QUALITY = 90  # of the JPEGs
MOST_WATCHING = 16  # viewers at a time
TOGETHER = 64  # frames of keypoints that may wait to be read
ROUTES = {"GET": re.compile(r"/|/live\.js|/favicon\.ico"), "WEBSOCKET": re.compile(r"/frames|/keypoints")}
_ASSETS = Path(__file__).parent / "assets"
_RATE = 30  # frames by which the rate is told


class Incoming:
    """Keypoints that come through the WebSocket, in the place of `signgen.streaming.points.Lines`."""

    def __init__(self) -> None:
        self.sending = False
        self._came: queue.Queue[np.ndarray] = queue.Queue(TOGETHER)
        self._known = threading.Event()
        self._header = Header()

    def put(self, found: Header | np.ndarray, stated: Header | None = None) -> None:
        """A message that was read, and what its frame states; a header counts before the first frame only."""
        if isinstance(found, Header):
            if not self._known.is_set():
                self._header = found
            return
        if not self._known.is_set() and stated is not None:
            self._header = Header(self._header.size or stated.size, self._header.fps or stated.fps)
        self._known.set()
        with suppress(queue.Full):  # dropped rather than queued
            self._came.put_nowait(found)

    @property
    def header(self) -> Header:
        """What the first sender says; waits for the first frame."""
        while not self._known.wait(0.2):  # so that a signal is heard
            pass
        return self._header

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            yield self._came.get()


class LivePage:
    """The page, served by a thread of its own.

    Attributes:
        url: its address.
        incoming: the keypoints that its WebSocket takes.
    """

    def __init__(self, title: str) -> None:
        self.url, self.incoming, self._title = "", Incoming(), title
        self._watching: set[_Viewer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._times: deque[float] = deque(maxlen=_RATE)

    def show(self, frame: LiveFrame, now: float) -> None:
        """Sends a frame to all who look.

        Args:
            now: `time.monotonic`.
        """
        self._times.append(now)
        if self._loop is None or not self._watching:
            return
        passed = self._times[-1] - self._times[0]
        message = frame_message(frame, (len(self._times) - 1) / passed if passed else 0.0)
        self._loop.call_soon_threadsafe(self._publish, message, _jpeg(frame.image))

    def _publish(self, message: str, picture: bytes) -> None:
        for viewer in self._watching:
            viewer.offer((message, picture))

    def application(self) -> Any:
        """The guarded ASGI application."""
        from starlette.applications import Starlette
        from starlette.responses import FileResponse, HTMLResponse, Response
        from starlette.routing import Route, WebSocketRoute
        from starlette.websockets import WebSocket, WebSocketDisconnect

        page = (_ASSETS / "live.html").read_text(encoding="utf-8").replace("{title}", html.escape(self._title))

        async def index(request: Any) -> Response:
            return HTMLResponse(page, headers={"Cache-Control": "no-store"})

        async def frames(socket: WebSocket) -> None:
            if len(self._watching) >= MOST_WATCHING:
                await socket.close(1013)
                return
            await socket.accept()
            self._loop = asyncio.get_running_loop()
            viewer = _Viewer()
            self._watching.add(viewer)
            gone = asyncio.ensure_future(_until_gone(socket))
            try:
                while not gone.done():
                    coming = asyncio.ensure_future(viewer.next())
                    await asyncio.wait({gone, coming}, return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        coming.cancel()
                        break
                    message, picture = coming.result()
                    await socket.send_text(message)
                    await socket.send_bytes(picture)
            except (WebSocketDisconnect, RuntimeError, OSError):  # closed while something was sent
                pass
            finally:
                gone.cancel()
                self._watching.discard(viewer)

        async def keypoints(socket: WebSocket) -> None:
            if self.incoming.sending:
                await socket.close(1013)
                return
            self.incoming.sending = True
            reader = LineReader("keypoints")
            try:
                await socket.accept()
                while True:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    try:
                        found = reader.read(message.get("text") or message.get("bytes") or b"")
                        self.incoming.put(found, reader.stated)
                    except SignGenError as error:
                        await socket.send_text(json.dumps({"error": str(error), "code": error.code}))
            except (WebSocketDisconnect, RuntimeError, OSError):
                pass
            finally:
                self.incoming.sending = False

        def script(request: Any) -> Response:
            return FileResponse(_ASSETS / "live.js", media_type="text/javascript")

        def icon(request: Any) -> Response:
            return FileResponse(_ASSETS / "icon.png")

        routes = [
            Route("/", index), Route("/live.js", script), Route("/favicon.ico", icon),
            WebSocketRoute("/frames", frames), WebSocketRoute("/keypoints", keypoints),
        ]  # fmt: skip
        return Middleware(Starlette(routes=routes), local=True, visitor=None, routes=ROUTES)


class _Viewer:
    """The newest frame that a viewer has not got yet."""

    def __init__(self) -> None:
        self._newest: tuple[str, bytes] | None = None
        self._there = asyncio.Event()

    def offer(self, frame: tuple[str, bytes]) -> None:
        self._newest = frame
        self._there.set()

    async def next(self) -> tuple[str, bytes]:
        await self._there.wait()
        self._there.clear()
        assert self._newest is not None
        return self._newest


async def _until_gone(socket: Any) -> None:
    """Returns when the viewer has closed; what they send is dropped."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def frame_message(frame: LiveFrame, rate: float) -> str:
    """What goes before a frame: number, width, height, its delay in ms, frames left out before it, frames a second."""
    height, width = frame.image.shape[:2]
    content = {
        "number": frame.number, "width": width, "height": height, "delay_ms": round(1000 * frame.delay, 1),
        "dropped": frame.dropped, "fps": round(rate, 1),
    }  # fmt: skip
    return json.dumps(content)


def _jpeg(image: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


@contextmanager
def open_page(port: int, title: str) -> Iterator[LivePage]:
    """The page, served inside of the block at localhost.

    Args:
        port: 0 for any free one.
        title: who is shown.

    Raises:
        InputError: a package of the extra ``app`` is missing, or the port is taken.
    """
    for package in ("uvicorn", "starlette", "websockets"):
        if find_spec(package) is None:
            raise missing_extra(package, "app")
    import uvicorn

    page = LivePage(title)
    with open_socket("127.0.0.1", port) as listening:
        config = uvicorn.Config(
            page.application(), log_level="warning", access_log=False, timeout_graceful_shutdown=1,
            ws="websockets-sansio", ws_max_size=LONGEST_LINE,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="signgen-live-page", daemon=True
        )
        thread.start()
        page.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        try:
            yield page
        finally:
            server.should_exit = True
            thread.join(5)
