"""The page as a file: template, style and scripts put into one, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from signgen.errors import InputError, RunError
from signgen.evaluation.report.clips import ReportClip
from signgen.evaluation.report.embedding import Limits
from signgen.evaluation.report.page import Words, context
from signgen.evaluation.scores import EvaluationResult
from signgen.rendering.staging import Staging

ASSETS = files("signgen.evaluation.report") / "assets"
# In this order, inside one function: each may use what stands before it.
SCRIPTS = ("data", "pictures", "clock", "stage", "curves", "chooser", "viewer", "keys", "main")


def write_report(
    path: str | Path,
    result: EvaluationResult,
    clips: Sequence[ReportClip] = (),
    *,
    title: str = "",
    generated: str = "",
    reference: str = "",
    choice: str = "",
    date: str = "",
    limits: Limits | None = None,
) -> Path:
    """Writes the report as one HTML file that needs no network and no other file.

    Args:
        path: the file; an older one is replaced when the new one is whole.
        result: the scores.
        clips: the clips to embed. The page sorts them by their scores.
        title: heading; made from ``generated`` and ``reference`` where it is empty.
        generated, reference: what was compared, as a reader knows it.
        choice: how the clips were chosen among all, such as "the six lowest by Hand SSIM".
        date: ISO 8601; now where it is empty.
        limits: how much is embedded, see `Limits`.

    Raises:
        InputError: clips of one name, frames that are no pictures or do not match, a folder that is not there.
        RunError: the file cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(path, "is a folder", "give the name of a file, such as report.html")
    names = [clip.name for clip in clips]
    if len(set(names)) < len(names):
        raise InputError("report", "two clips of one name", "give each clip a name of its own")
    words = Words(title, generated, reference, choice, date)
    page = render(context(result, clips, words, limits or Limits()))
    _write(target, page)
    return target


def render(content: dict[str, Any]) -> str:
    """The page. Every text of ``content`` is escaped by the template; only this package's own assets are not."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style, script = asset("report.css"), bundle()
    template = environment.from_string(asset("report.html.j2"))
    return template.render(content, style=Markup(style), script=Markup(script), policy=_policy(style, script))


def asset(name: str) -> str:
    """The text of one of the package's files."""
    return (ASSETS / name).read_text(encoding="utf-8")


def bundle() -> str:
    """All scripts as one function that runs at once, so that they share names with each other and with nobody else."""
    return "(() => {\n'use strict';\n" + "\n".join(asset(f"{name}.js") for name in SCRIPTS) + "})();"


def _policy(style: str, script: str) -> str:
    """Content Security Policy: this style, this script and the embedded pictures; no request to anywhere.

    It also means that a name of a clip could run nothing even if its escaping failed.
    """
    hashes = {"style": _hash(style), "script": _hash(script)}
    allowed = "; ".join(f"{kind}-src '{value}'" for kind, value in hashes.items())
    return f"default-src 'none'; img-src data: blob:; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _write(target: Path, page: str) -> None:
    """Whole or not at all; letters that are no Unicode (of strange file names) become question marks."""
    with Staging() as staging:
        place = staging.place(target)
        try:
            place.write_text(page, encoding="utf-8", errors="replace", newline="\n")
        except OSError as error:
            raise RunError(place, f"cannot be written ({error.strerror})", "check the free space") from None
