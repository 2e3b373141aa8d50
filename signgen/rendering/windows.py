"""How a clip of any length is cut into windows of V views.

View 0 of every window is the source (known). The next K views are the last K frames already rendered (known), so that
motion carries over; the others are new. The first window has no frames behind it; it is kept short, so that the first
frames are there soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from signgen.errors import InputError

FIRST_VIEWS = 8  # of a clip's first window, at most


@dataclass(frozen=True)
class Window:
    """Frames of one window, as indices into the clip.

    Attributes:
        known: frames already rendered, oldest first.
        new: frames to be rendered.
    """

    known: range
    new: range

    @property
    def views(self) -> int:
        """V: the source, the known frames and the new ones."""
        return 1 + len(self.known) + len(self.new)


def plan_windows(frames: int, views: int, overlap: int) -> Iterator[Window]:
    """The windows of a clip of ``frames`` frames, in the order in which they are rendered.

    Where a window ends depends on ``views`` and ``overlap`` alone, never on how long the clip is: a longer clip begins
    with the same whole windows as a shorter one.

    Args:
        frames: T, frames of the clip.
        views: V, at least 2.
        overlap: K, from 0 to V - 2.
    """
    check_window(views, overlap)
    done = 0
    while done < frames:
        known = range(done - min(overlap, done), done)
        room = views if done else min(views, FIRST_VIEWS)
        new = range(done, min(frames, done + room - 1 - len(known)))
        yield Window(known, new)
        done = new.stop


def check_window(views: int, overlap: int) -> None:
    """Raises `InputError` unless a window has room for the source, the overlap and one new frame."""
    if not 2 <= views <= 64:
        raise InputError("--window", f"got {views}", "a window holds 2 to 64 views, the source among them")
    if not 0 <= overlap <= views - 2:
        raise InputError("--overlap", f"got {overlap} with a window of {views}", f"allowed are 0 to {views - 2}")
