"""A data set as one flat array of frames beside its keypoints, for training that reads frames at random.

Decoding PNG files would take most of a training step on a laptop; a memory-mapped array costs nothing to open,
and the operating system keeps in memory what is read often.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from signgen.dataset.files import damaged, open_array, read_json
from signgen.dataset.shards import StoredArray
from signgen.errors import Empty, Mismatch, NotFound
from signgen.files import Staging

FILES = FRAMES, KEYPOINTS, INDEX = "frames.u8", "keypoints.npy", "cache.json"


@dataclass(frozen=True)
class CachedClip:
    """Frames ``start`` to ``stop - 1`` of the cache are the clip ``name``, signed by ``speaker``."""

    name: str
    speaker: str
    start: int
    stop: int


@dataclass(frozen=True)
class FrameCache:
    """Frames uint8 (N, H, W, 3), keypoints float32 (N, 133, 3) as x, y, confidence in pixels, and the clips.

    ``triplets`` (M, 2), where there are some, are the pairs (source, target) of frames that training draws from.
    """

    frames: StoredArray
    keypoints: np.ndarray
    clips: tuple[CachedClip, ...]
    triplets: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frames.shape[2], self.frames.shape[1]

    @cached_property
    def bounds(self) -> np.ndarray:
        """(clips, 2) start and stop of each clip."""
        return np.array([(clip.start, clip.stop) for clip in self.clips], np.int64).reshape(-1, 2)

    @classmethod
    def open(cls, folder: str | Path) -> FrameCache:
        """Maps a cache that `build_cache` wrote."""
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise NotFound(folder, "holds no frame cache", "build it first: signgen train does so from a data set")
        again = f"delete {folder}: the next training builds it again"
        content = read_json(folder / INDEX, again)
        path = folder / FRAMES
        try:
            frames = np.memmap(path, np.uint8, "r", shape=tuple(content["shape"]))
        except (OSError, ValueError) as error:
            raise damaged(path, error, again) from error
        clips = tuple(CachedClip(**clip) for clip in content["clips"])
        return cls(frames, open_array(folder / KEYPOINTS, len(frames), again), clips)


Clips: TypeAlias = Iterable[tuple[str, str, Iterable[np.ndarray], np.ndarray]]


def build_cache(
    clips: Clips, folder: str | Path, advance: Callable[[int], None] = lambda n: None, split: str = ""
) -> FrameCache:
    """Writes ``folder`` from (name, speaker, frames uint8 (H, W, 3), keypoints (T, 133, 3)) and opens it.

    The files of a cache appear together or not at all; what else lies in ``folder`` stays. ``split``: what part of a
    data set it is, see `split_of`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with Staging() as staging:
            _write(clips, folder, {name: staging.place(folder / name) for name in FILES}, advance, split)
    except BaseException:
        with suppress(OSError):  # not empty: latents of an earlier one
            folder.rmdir()
        raise
    return FrameCache.open(folder)


def split_of(folder: Path) -> str:
    """What part of a data set a cache is of; "" where it does not say so, as older ones."""
    return str(read_json(folder / INDEX, f"delete {folder}: the next training builds it again").get("split", ""))


def _write(clips: Clips, folder: Path, places: dict[str, Path], advance: Callable[[int], None], split: str) -> None:
    index: list[CachedClip] = []
    points: list[np.ndarray] = []
    shape: tuple[int, int, int] | None = None
    with open(places[FRAMES], "wb") as file:
        for name, speaker, frames, keypoints in clips:
            start = index[-1].stop if index else 0
            count = 0
            for frame in frames:
                shape = shape or frame.shape
                if frame.shape != shape:
                    raise Mismatch(name, f"a frame of {frame.shape[1]}x{frame.shape[0]}", "all must have one size")
                file.write(np.ascontiguousarray(frame).data)
                count += 1
            if count != len(keypoints):
                raise Mismatch(name, f"{count} frames but {len(keypoints)} rows of keypoints", "they must match")
            index.append(CachedClip(name, speaker, start, start + count))
            points.append(np.asarray(keypoints, np.float32))
            advance(1)
    if not index or shape is None:
        raise Empty(folder, "the data set has no clip", "see signgen synthesize")
    np.save(places[KEYPOINTS], np.concatenate(points))
    content = {"shape": [index[-1].stop, *shape], "clips": [asdict(clip) for clip in index], "split": split}
    places[INDEX].write_text(json.dumps(content), encoding="utf-8")
