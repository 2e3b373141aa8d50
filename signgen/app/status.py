"""What the page says about a job, as HTML with everything from outside escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from signgen.app.job import Waiting, Working
from signgen.app.words import error_words, notes
from signgen.errors import SignGenError

if TYPE_CHECKING:
    from signgen.app.opening import Clip
    from signgen.rendering import RenderResult


def say(text: str, kind: str = "", below: str = "", role: str = "status") -> str:
    """A box with plain ``text``; ``below`` is HTML. Screen readers read it out when it appears."""
    return f'<div class="sg-status {kind}" role="{role}"><p>{escape(text)}</p>{below}</div>'


def failure(error: SignGenError) -> str:
    """What went wrong, and what to do."""
    return say(error_words(error), "bad", role="alert")


def happening(event: Waiting | Working) -> str:
    """How far a job is. Not read out each time: it changes several times a second."""
    if isinstance(event, Waiting):
        jobs = "one job is" if event.before == 1 else f"{event.before} jobs are"
        return say(f"Waiting: {jobs} before yours.")
    if not event.total:
        bar = f'<progress aria-label="{escape(event.what)}"></progress>'
        return say(f"{event.what} …", below=bar)
    words = f"{event.what}: {event.done} of {event.total} frames"
    bar = f'<progress aria-label="{escape(event.what)}" value="{event.done}" max="{event.total}"></progress>'
    return f'<div class="sg-status"><p>{escape(words)}</p>{bar}</div>'


def opened(clip: Clip) -> str:
    """What was read."""
    keypoints = clip.keypoints
    seconds = len(keypoints) / keypoints.fps
    text = (
        f"{clip.name}: {len(keypoints)} frames, {seconds:.1f} s, {keypoints.width}x{keypoints.height} pixels,"
        f" {keypoints.fps:g} frames per second, read as {clip.format}."
    )
    return say(text, "good", notes(list(clip.warnings)))


def rendered(result: RenderResult) -> str:
    """The figures of a finished render."""
    text = (
        f"Done: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s"
        f" ({result.frames_per_second:.1f} frames per second). This video is generated."
    )
    return say(text, "good", notes(result.warnings))
