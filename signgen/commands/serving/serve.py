"""``signgen serve``: renders for other programs over HTTP."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import common_options
from signgen.commands.serving.app import serve_until_stopped, server_options


@click.command(short_help="Let other programs render over HTTP.")
@server_options(port=7862)
@common_options
def command(as_json: bool, **options: Any) -> None:
    """Answer POST /render (a form with keypoints) with an mp4, and GET /health, until it is stopped with Ctrl-C.

    curl -F keypoints=@clip.json -F source=alma http://127.0.0.1:7862/render -o clip.mp4

    Only this machine can reach it, unless --host says otherwise; it then asks for a password.
    """
    from signgen.app.door import build_door

    serve_until_stopped(as_json, build_door, **options)
