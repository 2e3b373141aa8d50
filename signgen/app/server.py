"""Serves the page: Gradio's application behind a middleware that guards it, on a socket of ours."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from signgen.app.context import Context, Limits, open_workspace
from signgen.app.jobs import JobQueue
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
    """What every request and every answer passes: who may ask, and what a browser may do with the answer.

    Requests that fail are logged by their method, the first part of their path and their status: never a file's name.

    Args:
        application: the ASGI application that answers.
        local: refuse requests that call this machine by another name than `LOCAL`. A website that has its own name
            lead to this machine (DNS rebinding) is kept out by that.
    """

    def __init__(self, application: Application, local: bool) -> None:
        self._application, self._local = application, local

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
        elif self._local and host_name(scope) not in LOCAL:
            await _refuse(scope, _guarded(scope, send))
        else:
            await self._application(scope, receive, _guarded(scope, send))


def host_name(scope: Message) -> str:
    """The machine's name in a request, without the port; empty if the request has none."""
    named = next((value for key, value in scope["headers"] if key.lower() == b"host"), b"").decode("latin-1").lower()
    if named.startswith("["):
        return named[1:].partition("]")[0]
    return named.partition(":")[0]


async def _refuse(scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 421, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"This page answers to localhost only."})


def _guarded(scope: Message, send: Send) -> Send:
    """Adds `HEADERS` where an answer does not say otherwise, and logs the answer of a request that failed."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                first = str(scope.get("path", "")).split("/")[1:2]
                log.info("%s /%s answered with %d", scope.get("method"), *first or [""], message["status"])
            given = list(message.get("headers", []))
            names = {key.lower() for key, _ in given}
            message = {**message, "headers": given + [(k, v) for k, v in HEADERS.items() if k not in names]}
        await send(message)

    return sending


@dataclass(frozen=True)
class ServerSettings:
    """Where and with what the page is served.

    Attributes:
        host: address to listen on.
        port: 0 for any free one.
        model: ``"mini"`` or a model's folder.
        device, dtype, backend: as in `signgen.rendering.RenderSettings`.
        limits: what may come in.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    model: str = "mini"
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    limits: Limits = Limits()

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


def serve(settings: ServerSettings, ready: Callable[[str], None]) -> None:
    """Serves until the process is asked to end.

    Args:
        settings: where and with what.
        ready: called with the page's address as soon as it can be opened. The model is loaded meanwhile.

    Raises:
        InputError: Gradio is missing, the model is no model, or the socket cannot be had.
    """
    if find_spec("gradio") is None:
        raise missing_extra("gradio", "app")
    from signgen import quick_start
    from signgen.model.loading import model_folder

    log_to_standard_error()
    limits = settings.limits
    chosen = (settings.device, settings.dtype, settings.backend)
    with open_workspace(limits.kept_seconds) as workspace, open_socket(settings.host, settings.port) as listening:
        quick_start.start(settings.model)  # before there are threads: it hides modules for a moment
        model_folder(settings.model)
        model = load_in_background(lambda: load_warm(settings.model, workspace.root, *chosen))
        context = Context(workspace, model, limits, JobQueue(limits.waiting))
        application = build_application(context, settings.local)
        import uvicorn

        server = uvicorn.Server(
            uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{host}:{listening.getsockname()[1]}/")
        try:
            server.run(sockets=[listening])
        finally:
            context.jobs.close()


def log_to_standard_error() -> None:
    """What the page's modules log: jobs and requests that failed as one line each, errors with their traceback."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("signgen.app")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def build_application(context: Context, local: bool) -> Any:
    """The page and what it fetches, as an ASGI application.

    Args:
        context: what all requests share.
        local: answer only requests that name this machine, so that no website can reach the page through a browser.
    """
    os.environ.update(_QUIET)
    os.environ["GRADIO_TEMP_DIR"] = str(context.workspace.uploads)
    import gradio as gr
    from fastapi import FastAPI

    from signgen.app.layout import asset, build_page

    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _add_routes(application, context)
    page = build_page(context)
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
    return Middleware(application, local)


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


def _add_routes(application: Any, context: Context) -> None:
    from fastapi import Response
    from fastapi.responses import HTMLResponse, JSONResponse

    @application.get("/live/{key}")
    async def live(key: str, start: int = 0) -> Response:
        """Frames of a render from ``start`` on; waits a moment for some."""
        stream = context.streams.get(key)
        if stream is None:
            return Response(status_code=404)
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        frames, over = stream.since(start)
        while not frames and not over and loop.time() < until:
            await asyncio.sleep(0.05)
            frames, over = stream.since(start)
        return JSONResponse({"frames": frames, "over": over}, headers={"Cache-Control": "no-store"})

    @application.get("/report/{key}")
    def report(key: str) -> Response:
        """A report, which may run its own script and reach nothing else."""
        path = context.reports.get(key)
        if path is None or not path.is_file():
            return Response("This report is no longer here.", status_code=404)
        return HTMLResponse(path.read_bytes(), headers={"Content-Security-Policy": REPORT_POLICY})
