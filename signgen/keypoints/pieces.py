"""A clip of hours, worked on piece by piece: what completes, smooths and fits it looks some seconds around a frame.

Clips of up to `LONGEST_WHOLE` frames are worked on as a whole. Where a longer one is cut depends on its frames alone,
never on which of them are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import numpy as np

from signgen.keypoints.clip import Keypoints

LONGEST_WHOLE = 20_000  # frames, 13 minutes at 25 frames a second
_PIECE, _MARGIN = 4_000, 500  # frames of a piece, and those before and after it that are looked at, too

Work = Callable[[Keypoints, int], Keypoints]


class Pieces:
    """A long clip whose frames are worked on when a slice of them is taken.

    Args:
        clip: the clip.
        work: what is done to a piece of it that begins at some frame; as many frames come back.
        like: some of its frames after that, with the size and the rate that all have.

    Example:
        >>> from signgen import read_keypoints
        >>> clip = read_keypoints("clip.pose").keypoints
        >>> len(Pieces(clip, lambda piece, start: piece.mirror(), clip.mirror())[1:3])
        2
    """

    def __init__(self, clip: Keypoints, work: Work, like: Keypoints) -> None:
        self._clip, self._work, self._like = clip, work, like
        self._kept: dict[int, Keypoints] = {}  # the newest pieces
        self._lock = Lock()
        self.width, self.height, self.size = like.width, like.height, like.size
        self.fps, self.name = like.fps, like.name

    def __len__(self) -> int:
        return len(self._clip)

    def __getitem__(self, frames: slice) -> Keypoints:
        start, stop, step = frames.indices(len(self))
        first, last = start // _PIECE, (max(stop, start + 1) - 1) // _PIECE
        parts = [self._piece(number) for number in range(first, last + 1)]
        whole = parts[0] if len(parts) == 1 else joined(parts)
        return whole[start - first * _PIECE : stop - first * _PIECE : step]

    def sample(self) -> Keypoints:
        """Some of its frames, evenly spread, for medians and the like."""
        return self._like

    def then(self, work: Callable[[Keypoints], Keypoints], like: Keypoints) -> Pieces:
        """The same clip with more work done to it."""
        before = self._work
        return Pieces(self._clip, lambda piece, start: work(before(piece, start)), like)

    def _piece(self, number: int) -> Keypoints:
        with self._lock:
            if number not in self._kept:
                start, stop = number * _PIECE, min((number + 1) * _PIECE, len(self))
                first = max(start - _MARGIN, 0)
                done = self._work(self._clip[first : stop + _MARGIN], first)
                self._kept[number] = done[start - first : stop - first]
                while len(self._kept) > 2:
                    self._kept.pop(next(iter(self._kept)))
            return self._kept[number]


def joined(parts: list[Keypoints]) -> Keypoints:
    """Pieces of one clip behind each other; the last one has its size, rate and name."""
    xy = np.concatenate([part.xy for part in parts])
    return replace(parts[-1], xy=xy, confidence=np.concatenate([part.confidence for part in parts]))
