"""What a report shows of a clip, gathered while the clip is scored: frames around its worst one, and its worst hands.

Frames are kept as base64 text of WebP, at most `Limits.frames` of a clip, so that no video is decoded a second time and
memory does not grow with a clip's length.
"""

from __future__ import annotations

import base64
import heapq
import io
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from signgen.scoring.metrics.hands import KNUCKLES, hand_crop
from signgen.scoring.metrics.metric import Chunk
from signgen.scoring.report.labels import badness

QUALITY = 90  # of WebP: about one level of 255 off on the average, 5 kB a frame of 210x260
HANDS = 24  # candidates of a clip for the gallery
# Metrics that judge one frame, in the order in which they are asked to say which frames are the worst.
FRAME_METRICS = ("ssim_wang", "ssim_win51", "psnr", "lpips", "mae")


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


@dataclass(frozen=True, eq=False)
class HandCrop:
    """One hand, generated and true, cut out at the same place.

    Attributes:
        frame: index in the clip, from 0.
        side: ``left`` or ``right``, as the signer sees it.
        metric: name of the score, such as ``hand_ssim``; it decides which end is the worst.
        score: its value on this hand.
        generated, true: (h,w,3) uint8 RGB of one shape.
    """

    frame: int
    side: str
    metric: str
    score: float
    generated: np.ndarray
    true: np.ndarray


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one clip.

    Attributes:
        worst, first: index in the clip of the worst frame, and of the first one that is here.
        streams: ``true``, ``generated`` and, where there is one, ``pose``; each a list of as many base64 texts.
        size, native: (width, height) as kept, and of the frames that were scored.
        hands: candidates for the gallery, the worst first.
        source: the picture that the signer was taken from, as text.
    """

    worst: int
    first: int
    streams: Mapping[str, list[str]]
    size: tuple[int, int]
    native: tuple[int, int]
    hands: list[HandCrop] = field(default_factory=list)
    source: str | None = None

    @property
    def count(self) -> int:
        return len(self.streams["true"])

    @property
    def last(self) -> int:
        """Index in the clip of the last frame that is here."""
        return self.first + self.count - 1

    def holds(self, frame: int) -> bool:
        return self.first <= frame <= self.last


class Album:
    """Gathers the pictures of one clip, chunk by chunk.

    Args:
        frames: of the clip.
        limits: how many are kept, and how large.
    """

    def __init__(self, frames: int, limits: Limits) -> None:
        self.frames, self.limits = frames, limits
        self._recent: deque[tuple[str, str]] = deque(maxlen=min(limits.frames, frames))
        self._kept: list[tuple[str, str]] | None = None
        self._worst, self._badness = 0, -np.inf
        self._hands: list[tuple[float, int, HandCrop]] = []  # the best of the worst on top
        self._native = (1, 1)

    def add(self, chunk: Chunk, values: Mapping[str, np.ndarray], hands: np.ndarray | None = None) -> None:
        """Takes a chunk.

        Args:
            values: metric -> (N,) values of its frames.
            hands: hand SSIM of left and right hand (N,2), NaN for a hand left out.
        """
        self._native = chunk.true.shape[2], chunk.true.shape[1]
        judged = next((values[name] for name in FRAME_METRICS if name in values), np.full(len(chunk.true), np.nan))
        name = next((name for name in FRAME_METRICS if name in values), "")
        for index, (true, generated) in enumerate(zip(chunk.true, chunk.pred, strict=True)):
            self._recent.append((webp(true, self.limits.side), webp(generated, self.limits.side)))
            bad = badness(name, float(judged[index]))
            if bad is not None and bad > self._badness:
                self._worst, self._badness, self._kept = chunk.start + index, bad, None
            if self._kept is None and chunk.start + index == span(self.frames, self._worst, self.limits.frames)[1]:
                self._kept = list(self._recent)
        if hands is not None:
            self._add_hands(chunk, hands)

    def _add_hands(self, chunk: Chunk, scores: np.ndarray) -> None:
        for index, hand in np.argwhere(~np.isnan(scores)):
            score, frame = float(scores[index, hand]), chunk.start + int(index)
            if len(self._hands) == HANDS and -score <= self._hands[0][0]:
                continue
            centre = tuple(chunk.xy[index, KNUCKLES[hand]])
            generated, true = (hand_crop(frames[index], centre).copy() for frames in (chunk.pred, chunk.true))
            crop = HandCrop(frame, ("left", "right")[hand], "hand_ssim", score, generated, true)
            heapq.heappush(self._hands, (-score, 2 * frame + int(hand), crop))
            if len(self._hands) > HANDS:
                heapq.heappop(self._hands)

    def pictures(self) -> Pictures:
        """What was kept, when the clip is over."""
        kept = self._kept if self._kept is not None else list(self._recent)
        streams = {"true": [true for true, _ in kept], "generated": [generated for _, generated in kept]}
        first = span(self.frames, self._worst, self.limits.frames)[0]
        hands = [crop for _, _, crop in sorted(self._hands, key=lambda item: (-item[0], item[1]))]
        return Pictures(self._worst, first, streams, fitted(self._native, self.limits.side), self._native, hands)


def span(frames: int, worst: int, length: int) -> tuple[int, int]:
    """First and last of ``length`` frames with ``worst`` in the middle, moved to stay inside the clip."""
    length = min(max(length, 1), frames)
    first = min(max(worst - length // 2, 0), frames - length)
    return first, first + length - 1


def trimmed(pictures: Pictures, share: int) -> Pictures:
    """The run of frames around the worst one that fits into ``share`` bytes of text; at least that frame.

    The end farther from the worst frame is dropped as often as needed.
    """
    sizes = [
        sum(map(len, texts)) + 3 * len(texts) for texts in zip(*pictures.streams.values(), strict=True)
    ]  # + quotes
    worst, start, stop = pictures.worst - pictures.first, 0, len(sizes)
    used = sum(sizes) + len(pictures.source or "")
    while used > share and stop - start > 1:
        if worst - start > stop - 1 - worst:
            used, start = used - sizes[start], start + 1
        else:
            used, stop = used - sizes[stop - 1], stop - 1
    streams = {name: texts[start:stop] for name, texts in pictures.streams.items()}
    return replace(pictures, first=pictures.first + start, streams=streams)


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) scaled down so that the longer one is at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def webp(image: np.ndarray, side: int, *, lossless: bool = False) -> str:
    """A picture (H,W,3) uint8 as base64 text of a WebP file."""
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
