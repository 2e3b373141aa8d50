"""What the page says about a job, as HTML with everything from outside escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.app.jobs import Waiting, Working
from signgen.errors import SignGenError

if TYPE_CHECKING:
    from signgen.app.clips import Clip
    from signgen.rendering import RenderResult

# Options of the command line -> what the page calls them.
FIELDS = {
    "--frame-size": "“Frame size”",
    "--fps": "“Frames per second”",
    "--clip": "“Clip”",
    "--frames": "“Part”",
    "--source-keypoints": "“Keypoints of the picture”",
    "--source-frames": "“Of a video with keypoints, so many frames”",
    "--source": "the signer",
    "--background": "“Background”",
    "--align": "“Fit the skeleton to the signer”",
    "--smooth": "“Smooth”",
    "--seed": "“Seed”",
    "--keypoints": "“Keypoints of the true video”",
    "--lengths": "“Lengths differ”",
    "--sizes": "“Sizes differ”",
    "--consent": "“Who agreed, and to what”",
    "--minutes": "“Minutes”",
    "--no-fill-hands": "“Complete lost hands”",
}
_ELSEWHERE = {"see `signgen convert --help` for the formats": "“If the file does not say it” lists the formats"}
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def error_text(error: SignGenError, names: Mapping[str, str] | None = None) -> str:
    """One sentence for the user, plain text; ``names``: what options are called instead. None: what the page says."""
    subject = Path(error.subject).name if "/" in error.subject or "\\" in error.subject else error.subject
    text = f"{subject}: {error.got}; {error.advice}"
    return page_text(text) if names is None else _renamed(text, names)


def page_text(text: str) -> str:
    """Plain text in which options are called what the page calls them."""
    text = " ".join(text.split())
    for there, here in _ELSEWHERE.items():
        text = text.replace(there, here)
    return _renamed(text, FIELDS)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return _OPTION.sub(lambda found: names.get(found.group(), found.group()), " ".join(text.split()))


def notes(warnings: list[str]) -> str:
    """Warnings as an HTML list; empty if there are none."""
    items = "".join(f"<li>{escape(page_text(warning))}</li>" for warning in warnings)
    return f'<ul class="sg-notes">{items}</ul>' if items else ""


def box(text: str, kind: str = "", below: str = "", role: str = "status") -> str:
    """A box with plain ``text``; ``below`` is HTML. Screen readers read it out when it appears."""
    return f'<div class="sg-status {kind}" role="{role}"><p>{escape(text)}</p>{below}</div>'


def failure(error: SignGenError) -> str:
    """What went wrong, and what to do."""
    return box(error_text(error), "bad", role="alert")


def progress(event: Waiting | Working) -> str:
    """How far a job is. Not read out each time: it changes several times a second."""
    if isinstance(event, Waiting):
        jobs = "one job is" if event.before == 1 else f"{event.before} jobs are"
        return box(f"Waiting: {jobs} before yours.")
    if not event.total:
        bar = f'<progress aria-label="{escape(event.what)}"></progress>'
        return box(f"{event.what} …", below=bar)
    text = f"{event.what}: {event.done} of {event.total} {event.unit}"
    bar = f'<progress aria-label="{escape(event.what)}" value="{event.done}" max="{event.total}"></progress>'
    return f'<div class="sg-status"><p>{escape(text)}</p>{bar}</div>'


def opened(clip: Clip) -> str:
    """What was read."""
    keypoints = clip.keypoints
    seconds = len(keypoints) / keypoints.fps
    text = (
        f"{clip.name}: {len(keypoints)} frames, {seconds:.1f} s, {keypoints.width}x{keypoints.height} pixels,"
        f" {keypoints.fps:g} frames per second, read as {clip.format}."
    )
    return box(text, "good", notes(list(clip.warnings)))


def rendered(result: RenderResult) -> str:
    """The figures of a finished render."""
    text = (
        f"Done: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s"
        f" ({result.frames_per_second:.1f} frames per second). This video is generated."
    )
    return box(text, "good", notes(result.warnings))
