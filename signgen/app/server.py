"""Serves the page: Gradio's application behind a middleware that guards it, on a socket of ours."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from signgen.app.context import COOKIE, MIB, Context, Limits, Visitor, Workspace, open_context, open_workspace
from signgen.app.model import load_in_background, load_warm
from signgen.errors import BadValue, missing_extra

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

LOCAL = ("127.0.0.1", "localhost", "::1")
# Gradio's page may load nothing from elsewhere, whatever is in it. Its templates need 'unsafe-eval'.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


JOIN, FILE = "/gradio_api/queue/join", "/gradio_api/file="
# What the page asks for; Gradio has more.
ROUTES = {
    "GET": re.compile(
        r"/|/theme\.css|/favicon\.ico|/(assets|static)/[^?]*|/(live|report)/[\w-]+"
        r"|/gradio_api/(file=.+|heartbeat/\w+|queue/data|upload_progress|startup-events)"
    ),
    "POST": re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)"),
}
OWN = re.compile("/(gradio_api|live|report)/")  # what is a visitor's own
LARGEST_CALL = 4 * MIB  # bytes of a call, which holds the names of all files of a clip
TOGETHER, MOST_WAITING = 2, 64  # uploads that come at the same time, and that are known of
SLOW_SECONDS, SLOWEST = 30.0, 64 * 1024  # that an upload may take, and a second for so many bytes
IDLE_SECONDS = 20.0  # for which nothing of an upload may come
WRONG_SECONDS = 1.0  # after which a wrong password is answered
SWEEP_SECONDS = 60.0  # between two looks for old files
_KEY = re.compile(rf"(?:^|; *){COOKIE}=([\w-]{{22,64}})(?:;|$)")
HOLD_SECONDS = 2.0  # for which a request for new frames waits for some
REPORT_POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
# Gradio reads these when it is imported; they stop its statistics, its look for newer versions and its reloader.
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_SSR_MODE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
log = logging.getLogger(__name__)


class Middleware:
    """What every request and every answer passes: who may ask, for what, and what a browser may do with the answer.

    Each browser gets a key in a cookie, without which it reaches the page's fixed parts alone. Requests that fail are
    logged by their method, the first part of their path and their status: never a file's name.

    Args:
        application: the ASGI application that answers.
        local: refuse requests that call this machine by another name than `LOCAL`. A website that has its own name
            lead to this machine (DNS rebinding) is kept out by that.
        visitor: the visitor with a key; None: nobody gets one, and nothing is anybody's own.
        password: ``user:password`` that every request must bring (HTTP Basic), or None.
        routes: the paths that are answered, by method; ``WEBSOCKET`` is one of them. None: those of the page.
    """

    def __init__(
        self,
        application: Application,
        local: bool,
        visitor: Callable[[str], Visitor] | None,
        password: str | None = None,
        routes: Mapping[str, re.Pattern[str]] | None = None,
    ) -> None:
        self._application, self._local, self._visitor = application, local, visitor
        self._routes = ROUTES if routes is None else routes
        self._password = None if password is None else base64.b64encode(password.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        key = None if self._visitor is None else cookie_of(scope)
        new = None
        if self._visitor is not None and key is None and is_page(scope):
            key = new = secrets.token_urlsafe(24)
            scope = {**scope, "headers": [*scope["headers"], (b"cookie", f"{COOKIE}={key}".encode())]}
        send = _guarded(scope, send, new)
        refusal = await self._refusal(scope, key)
        if refusal is None and self._visitor is not None and scope["path"] == JOIN:
            body = await _body(receive, LARGEST_CALL)
            if body is None or not all(map(self._visitor(str(key)).owns, _paths(body))):
                refusal = (403, "These are not your files.")
            receive = _again(body or b"", receive)
        if refusal is None:
            await self._application(scope, receive, send)
        else:
            await _refuse(scope, send, *refusal)

    async def _refusal(self, scope: Message, key: str | None) -> tuple[int, str] | None:
        """Status and text for a request that is not answered."""
        socket = scope["type"] == "websocket"
        method, path = "WEBSOCKET" if socket else scope.get("method", "GET"), scope.get("path", "/")
        if self._local and host_name(scope) not in LOCAL:
            return 421, "This page answers to localhost only."
        if self._password is not None and not self._knows_password(scope):
            if header(scope, b"authorization"):
                await asyncio.sleep(WRONG_SECONDS)
            return 401, "A password is needed."
        if method not in ("GET", "HEAD") and is_foreign(scope):
            return 403, "Another website sent this."
        allowed = self._routes.get("GET" if method == "HEAD" else method)
        if allowed is None or allowed.fullmatch(path) is None:
            return 404, "There is no such page."
        if self._visitor is None:
            return None
        if key is None and OWN.match(path):
            return 403, "Open the page first."
        if path.startswith(FILE) and not self._visitor(str(key)).owns(path.removeprefix(FILE)):
            return 404, "This file is no longer here, or not yours."
        return None

    def _knows_password(self, scope: Message) -> bool:
        kind, _, given = header(scope, b"authorization").partition(b" ")
        return kind.lower() == b"basic" and secrets.compare_digest(given.strip(), self._password or b"")


def header(scope: Message, name: bytes) -> bytes:
    """A header of a request; empty if there is none."""
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


def host_name(scope: Message) -> str:
    """The machine's name in a request, without the port; empty if the request has none."""
    named = header(scope, b"host").decode("latin-1").lower()
    if named.startswith("["):
        return named[1:].partition("]")[0]
    return named.partition(":")[0]


def cookie_of(scope: Message) -> str | None:
    """The visitor's key."""
    found = _KEY.search(header(scope, b"cookie").decode("latin-1"))
    return found[1] if found else None


def is_page(scope: Message) -> bool:
    """Whether the page itself is asked for."""
    return scope.get("path") == "/" and scope.get("method") == "GET"


def is_foreign(scope: Message) -> bool:
    """Whether a browser sent this for another website."""
    if header(scope, b"sec-fetch-site") not in (b"", b"none", b"same-origin"):
        return True
    origin = header(scope, b"origin").decode("latin-1")
    return bool(origin) and urlsplit(origin).netloc.lower() != header(scope, b"host").decode("latin-1").lower()


async def _body(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None for one that is too long or breaks off."""
    body = b""
    while len(body) <= most:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
    return None


def paced(receive: Receive) -> Receive:
    """A `Receive` for a body that must keep coming, so that nobody holds a place for uploads without sending.

    It raises TimeoutError where nothing comes for `IDLE_SECONDS`, or less than `SLOWEST` bytes a second on the whole.
    """
    until, over = time.monotonic() + SLOW_SECONDS, False

    async def receiving() -> Message:
        nonlocal until, over
        if over:  # what comes now is the sender's leaving
            return await receive()
        message = await asyncio.wait_for(receive(), min(IDLE_SECONDS, max(until - time.monotonic(), 0)))
        until += len(message.get("body", b"")) / SLOWEST
        over = not message.get("more_body")
        return message

    return receiving


def _again(body: bytes, receive: Receive) -> Receive:
    """A `Receive` that begins with a body that was read already."""
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return first.pop() if first else await receive()

    return receiving


def _paths(body: bytes) -> list[str]:
    """Every path of a file in a call; one that nobody owns where the call is no JSON."""
    try:
        waiting, found = [json.loads(body)], []
    except (ValueError, RecursionError):
        return ["/"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found += [str(value["path"])] if "path" in value else []
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


async def _refuse(scope: Message, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="signgen", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _guarded(scope: Message, send: Send, key: str | None) -> Send:
    """Adds `HEADERS` where an answer does not say otherwise, and a new ``key``; logs a request that failed."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                first = str(scope.get("path", "")).split("/")[1:2]
                log.info("%s /%s answered with %d", scope.get("method"), *first or [""], message["status"])
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            given += [(name, value) for name, value in HEADERS.items() if name not in names]
            if key is not None:
                given.append((b"set-cookie", f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax".encode()))
            message = {**message, "headers": given}
        await send(message)

    return sending


class Uploads:
    """Takes what visitors send: a few at a time, each in a folder of its own, which goes where it is broken off.

    Args:
        context: what all requests share.
        known: gets the paths of what has come.
    """

    def __init__(self, context: Context, known: set[str]) -> None:
        self._context, self._known = context, known
        self._turn = asyncio.Semaphore(TOGETHER)
        self._waiting = 0  # requests

    async def take(self, request: Any, upload_id: str | None) -> tuple[int, Any]:
        """Status, and the paths of the files or why they are not taken."""
        limits, length = self._context.limits, request.headers.get("content-length", "")
        if not length.isdigit():
            return 411, "Say how long it is."
        if int(length) > limits.video_bytes + MIB:  # the names of many files take their place, too
            return 413, f"Up to {limits.video_bytes // MIB} MiB are taken at a time."
        if self._waiting >= MOST_WAITING:
            return 503, "Too many are sending files just now. Try again in a minute."
        self._waiting += 1
        try:
            async with self._turn:
                with self._context.workspace.coming(int(length)) as coming:
                    return await self._take(request, coming, upload_id)
        finally:
            self._waiting -= 1

    async def _take(self, request: Any, coming: int, upload_id: str | None) -> tuple[int, Any]:
        from gradio.route_utils import MultiPartException, upload_fn
        from gradio.routes import file_upload_statuses
        from starlette.requests import Request

        workspace, limits = self._context.workspace, self._context.limits
        if await asyncio.to_thread(workspace.used) + coming > limits.total_bytes:
            return 507, "The disk space for files is used up. Try again in an hour."
        folder = workspace.visitor(request.cookies[COOKIE]).folder()
        try:
            statuses = file_upload_statuses if upload_id else None
            paced_request = Request(request.scope, paced(request.receive))
            files, *_ = await upload_fn(paced_request, folder, limits.video_bytes, upload_id, upload_progress=statuses)
        except BaseException as error:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            if isinstance(error, MultiPartException):
                return 413 if "maximum" in error.message else 400, error.message
            if isinstance(error, TimeoutError):
                return 408, "It comes too slowly."
            raise
        self._known.update(map(str, files))
        return 200, [str(file) for file in files]


@dataclass(frozen=True)
class ServerSettings:
    """Where and with what the page is served.

    Attributes:
        host: address to listen on.
        port: 0 for any free one.
        model: ``"mini"`` or a model's folder.
        device, dtype, backend: as in `signgen.rendering.RenderSettings`.
        limits: what may come in.
        password: ``user:password``, without which nobody is answered; None: none is asked for.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    model: str = "mini"
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    limits: Limits = Limits()
    password: str | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOCAL


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        BadValue: the port is taken or not allowed, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or str(error)
        advice = "give another --port (0 takes any free one) or another --host"
        raise BadValue("--port", f"{host}:{port} cannot be listened on ({reason})", advice) from None
    return found


def serve(
    settings: ServerSettings, ready: Callable[[str], None], build: Callable[[Context, bool, str | None], Any]
) -> None:
    """Serves until the process is asked to end.

    Args:
        settings: where and with what.
        ready: called with the page's address as soon as it can be opened. The model is loaded meanwhile.
        build: makes what is served: `build_application`, or `signgen.app.door.build_door`.

    Raises:
        InputError: Gradio is missing, the model is no model, or the socket cannot be had.
    """
    if find_spec("gradio") is None:
        raise missing_extra("gradio", "app")
    from signgen import quick_start
    from signgen.model.loading import model_folder
    from signgen.rendering.several import load_sources, own_pictures

    log_to_standard_error()
    chosen = (settings.device, settings.dtype, settings.backend)
    with ExitStack() as stack:
        workspace = stack.enter_context(open_workspace(settings.limits.kept_seconds))
        listening = stack.enter_context(open_socket(settings.host, settings.port))
        quick_start.start(settings.model)  # before there are threads: it hides modules for a moment
        composes = _composes(model_folder(settings.model))
        pictures, places = own_pictures(model_folder(settings.model))
        own = load_sources(pictures, places) if pictures else []
        model = load_in_background(lambda: load_warm(settings.model, workspace.root, *chosen))
        context = stack.enter_context(open_context(workspace, model, settings.limits, composes, own))
        threading.Thread(target=_keep_sweeping, args=(workspace,), name="signgen-sweeping", daemon=True).start()
        application = build(context, settings.local, settings.password)
        import uvicorn

        server = uvicorn.Server(
            uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{host}:{listening.getsockname()[1]}/")
        server.run(sockets=[listening])


def _composes(folder: Path) -> bool:
    """Whether a model has what another background needs; known before it is loaded."""
    from signgen.model.networks.weight_files import read_settings

    parts = read_settings(folder, "model_index.json")
    return all((parts.get(name) or [None])[0] for name in ("matte", "composer"))


def _keep_sweeping(workspace: Workspace) -> None:
    while True:
        time.sleep(SWEEP_SECONDS)
        with suppress(OSError):  # the server has just ended, and its folder is gone
            workspace.sweep()


def log_to_standard_error() -> None:
    """What the page's modules log: jobs and requests that failed as one line each, errors with their traceback."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("signgen.app")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def build_application(context: Context, local: bool, password: str | None = None) -> Any:
    """The page and what it fetches, as an ASGI application.

    Args:
        context: what all requests share.
        local: answer only requests that name this machine, so that no website can reach the page through a browser.
        password: ``user:password`` that every request must bring, or None.
    """
    os.environ.update(_QUIET)
    os.environ["GRADIO_TEMP_DIR"] = str(context.workspace.uploads)
    import gradio as gr
    from fastapi import FastAPI

    from signgen.app.layout import asset, build_page

    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    page = build_page(context)
    _add_routes(application, context, page.upload_file_set)
    gr.mount_gradio_app(
        application,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=context.limits.video_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        css=asset("page.css"),
        favicon_path=str(Path(__file__).parent / "assets" / "icon.png"),
    )
    # Gradio refuses paths that nobody uploaded only once its own launch() has run, which a mounted page never does:
    # without this a made-up request has any file of the machine copied among the uploads and read.
    page.has_launched = True
    return Middleware(application, local, context.workspace.visitor, password)


def _theme() -> Any:
    """Fonts of the system only: none is fetched."""
    import gradio as gr

    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(  # white on the default shade is too faint to read
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )


def _add_routes(application: Any, context: Context, known: set[str]) -> None:
    from fastapi import Request, Response
    from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

    uploads = Uploads(context, known)

    def is_theirs(request: Request, folder: Path) -> bool:
        return context.workspace.visitor(request.cookies[COOKIE]).uploads == folder

    async def upload(request: Request) -> Response:
        """Files that a visitor sends, in the place of Gradio's own taking."""
        status, said = await uploads.take(request, request.query_params.get("upload_id"))
        return JSONResponse(said) if status == 200 else PlainTextResponse(said, status)

    async def live(request: Request) -> Response:
        """Frames of a render from ``start`` on; waits a moment for some."""
        folder, stream = context.streams.get(request.path_params["key"]) or (None, None)
        start = request.query_params.get("start", "0")
        if folder is None or stream is None or not is_theirs(request, folder) or not start.isdecimal():
            return Response(status_code=404)
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        frames, over = stream.since(int(start))
        while not frames and not over and loop.time() < until:
            await asyncio.sleep(0.05)
            frames, over = stream.since(int(start))
        return JSONResponse({"frames": frames, "over": over}, headers={"Cache-Control": "no-store"})

    def report(request: Request) -> Response:
        """A report, which may run its own script and reach nothing else."""
        folder, path = context.reports.get(request.path_params["key"]) or (None, None)
        if folder is None or path is None or not is_theirs(request, folder) or not path.is_file():
            return Response("This report is no longer here.", status_code=404)
        return HTMLResponse(path.read_bytes(), headers={"Content-Security-Policy": REPORT_POLICY})

    application.add_route("/gradio_api/upload", upload, methods=["POST"])
    application.add_route("/live/{key}", live)
    application.add_route("/report/{key}", report)
