"""Frames as WebP inside the page: which of them, how large, and what was left out.

A clip gets an equal share of what the page may hold. Where that is not enough for all of its frames, one run of
frames around its worst one is embedded, and the page says which.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from signgen.errors import InputError
from signgen.scoring.report.clips import ReportClip, check_picture

QUALITY = 90  # of WebP: about one level of 255 off on the average, 5 kB a frame of 210x260
SPARE = 1.25  # a run is planned for frames that take this much more than the one that was tried


@dataclass(frozen=True)
class Limits:
    """What may be embedded.

    Args:
        frames: of one clip, at most.
        megabytes: of the whole page's frames, at most, as text in the page.
        side: larger pictures are scaled down until their longer side has this many pixels.
    """

    frames: int = 200
    megabytes: float = 48.0
    side: int = 640

    def share(self, clips: int) -> int:
        """Bytes of text for each of so many clips."""
        return int(self.megabytes * 1e6 / max(clips, 1))


@dataclass(frozen=True)
class Embedded:
    """The frames of one clip as base64 text.

    Args:
        first: index in the clip of the first frame embedded.
        streams: ``true``, ``generated`` and, where there is one, ``pose``; each a list of as many pictures.
        size, native: (width, height) as embedded, and of the frames that were scored.
        source: the source picture.
    """

    first: int
    streams: dict[str, list[str]]
    size: tuple[int, int]
    native: tuple[int, int]
    source: str | None

    @property
    def count(self) -> int:
        return len(self.streams["true"])

    @property
    def last(self) -> int:
        """Index in the clip of the last frame embedded."""
        return self.first + self.count - 1

    def holds(self, frame: int) -> bool:
        return self.first <= frame <= self.last


def embed(clip: ReportClip, worst: int, share: int, limits: Limits) -> Embedded:
    """Encodes the run of frames around ``worst`` that fits into ``share`` bytes; at least that one frame.

    Raises:
        InputError: a frame that is no picture, or generated and true frames of different sizes.
    """
    source = None if clip.source is None else webp(clip.source, limits.side)
    room = share - len(source or "")
    trial = _encode(clip, worst, limits.side)
    height, width = clip.true[worst].shape[:2]
    fitting = int(room / (SPARE * _bytes(trial)))
    first, last = span(clip.frames, worst, min(fitting, limits.frames))
    run = [_encode(clip, frame, limits.side) for frame in range(first, last + 1)]  # in order, as lazy frames like it
    start, stop = _trimmed([_bytes(pictures) for pictures in run], worst - first, room)
    streams = {name: [pictures[name] for pictures in run[start:stop]] for name in trial}
    return Embedded(first + start, streams, fitted((width, height), limits.side), (width, height), source)


def span(frames: int, worst: int, length: int) -> tuple[int, int]:
    """First and last of ``length`` frames with ``worst`` in the middle, moved to stay inside the clip."""
    length = min(max(length, 1), frames)
    first = min(max(worst - length // 2, 0), frames - length)
    return first, first + length - 1


def _trimmed(sizes: list[int], worst: int, room: int) -> tuple[int, int]:
    """Start and stop of the part that fits, after the end farther from ``worst`` was dropped as often as needed."""
    start, stop, used = 0, len(sizes), sum(sizes)
    while used > room and stop - start > 1:
        if worst - start > stop - 1 - worst:
            used, start = used - sizes[start], start + 1
        else:
            used, stop = used - sizes[stop - 1], stop - 1
    return start, stop


def _encode(clip: ReportClip, frame: int, side: int) -> dict[str, str]:
    """Stream -> base64 text of one frame."""
    parts = {"true": clip.true, "generated": clip.generated, "pose": clip.pose}
    pictures = {name: frames[frame] for name, frames in parts.items() if frames is not None}
    for name, picture in pictures.items():
        check_picture(picture, f"{clip.name} ({name}, frame {frame})")
    true, generated = pictures["true"].shape, pictures["generated"].shape
    if true != generated:
        raise InputError(clip.name, f"frame {frame}: generated {generated}, true {true}", "both must be of one size")
    return {name: webp(picture, side) for name, picture in pictures.items()}


def _bytes(pictures: dict[str, str]) -> int:
    return sum(map(len, pictures.values())) + 3 * len(pictures)  # and the quotes and commas of JSON


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) scaled down so that the longer one is at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def webp(image: np.ndarray, side: int, *, lossless: bool = False) -> str:
    """A picture (H,W,3) uint8 as base64 text of a WebP file."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    size = fitted(picture.size, side)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        picture.save(buffer, "WEBP", lossless=True, method=2, quality=50)
    else:
        picture.save(buffer, "WEBP", quality=QUALITY, method=2)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
