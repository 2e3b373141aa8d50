"""What every request and every answer passes: who may ask, and what a browser may do with the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

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


class Doors:
    """Wraps an ASGI application.

    Args:
        application: what answers.
        local: refuse requests that call this machine by another name than `LOCAL`. A website that has its own name
            lead to this machine (DNS rebinding) is kept out by that.
    """

    def __init__(self, application: Application, local: bool) -> None:
        self._application, self._local = application, local

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
        elif self._local and host_name(scope) not in LOCAL:
            await _refuse(scope, send)
        else:
            await self._application(scope, receive, _with_headers(send))


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


def _with_headers(send: Send) -> Send:
    """Adds `HEADERS` where an answer does not say otherwise."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {key.lower() for key, _ in given}
            message = {**message, "headers": given + [(k, v) for k, v in HEADERS.items() if k not in names]}
        await send(message)

    return sending
