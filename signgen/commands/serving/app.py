"""``signgen app``: the web page."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.commands.options import Decorator, grouped, model_options
from signgen.errors import BadValue


def server_options(port: int) -> Decorator:
    """The options of a server: fields of `signgen.app.server.ServerSettings` and `signgen.app.context.Limits`."""
    return grouped(
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; this machine only."),
        click.option(
            "--port", type=click.IntRange(0, 65535), default=port, show_default=True, help="0 takes any free one."
        ),
        model_options,
        click.option(
            "--max-upload", type=click.IntRange(1, 4096), default=200, show_default=True, metavar="MB",
            help="Largest file taken, MiB.",
        ),
        click.option(
            "--max-frames", type=click.IntRange(1, 100_000), default=1500, show_default=True, metavar="N",
            help="Longest clip taken.",
        ),
        click.option(
            "--auth", metavar="USER:PASSWORD",
            help="What it asks for [with another --host one that is made and printed].",
        ),
    )  # fmt: skip


@click.command(short_help="Serve a web page that renders and scores.")
@server_options(port=7860)
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@common_options
def command(as_json: bool, **options: Any) -> None:
    """Serve a page that renders keypoints and scores videos, until it is stopped with Ctrl-C.

    Only this machine can open it, unless --host says otherwise; it then asks for a password. Nothing is sent anywhere.
    """
    from signgen.app.server import build_application

    serve_until_stopped(as_json, build_application, **options)


def serve_until_stopped(
    as_json: bool, build: Callable[..., Any], host: str, port: int, max_upload: int, max_frames: int, auth: str | None,
    open_browser: bool = False, **computing: str,
) -> None:  # fmt: skip
    """Serves what ``build`` makes, see `signgen.app.server.serve`, and then ends the process."""
    from signgen.app.context import MIB, Limits
    from signgen.app.server import ServerSettings, serve

    most = max_upload * MIB
    defaults = Limits()
    limits = Limits(
        keypoint_bytes=min(most, defaults.keypoint_bytes),
        picture_bytes=min(most, defaults.picture_bytes),
        video_bytes=most,
        frames=max_frames,
    )
    settings = ServerSettings(host, port, limits=limits, password=_password(auth), **computing)
    if settings.password is None and not settings.local:
        settings = replace(settings, password=f"signgen:{secrets.token_urlsafe(12)}")

    def ready(address: str) -> None:
        made = settings.password if settings.password != auth else None
        warnings = [] if settings.local else ["without TLS others on the way can read what is sent, the password too"]
        result = {"url": address, "model": settings.model, "auth": made, "warnings": warnings}
        emit(result, as_json, f"{address}  (Ctrl-C stops)" + (f"\nuser and password: {made}" if made else ""))
        if open_browser:
            click.launch(address)

    try:
        serve(settings, ready, build)
    except KeyboardInterrupt:  # the usual end of a server
        click.echo("stopped", err=True)
    end_process()


def _password(auth: str | None) -> str | None:
    user, _, password = (auth or "").partition(":")
    if auth is not None and not (user and password):
        raise BadValue("--auth", "got no user or no password", "write both with a colon between them")
    return auth


def end_process() -> None:
    """Ends the process; files and threads of a server are gone already.

    The model's thread may be inside of torch, and an interpreter that is taken down around it takes seconds or aborts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
