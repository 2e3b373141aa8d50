"""A prepared data set: what `signgen prepare` writes, and how training opens it.

    OUT/prepared.json                  marks the folder; where the data set's frames are
    OUT/<split>/index.json             clips in order, their frames, what was mended and left out, where shards begin
    OUT/<split>/keypoints.npy          float32 (N, 133, 3) x, y in pixels, confidence in [0, 1]
    OUT/<split>/protocol.npz           pairs of frames, see `signgen.dataset.protocol`
    OUT/<split>/pairs.csv              source,target by name, of a data set of pairs of pictures
    OUT/<split>/frames/00000.npy ...   uint8 (n, H, W, 3), where frames are kept decoded
    OUT/<split>/latents-<key>/...      float16 (n, C, h, w), see `signgen.dataset.encoded`
    OUT/<split>/tokens-<key>/...       float16 (n, L, D) of source frames

Shards hold whole clips and all have the same borders. A shard is there whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from signgen.dataset.cache import CachedClip, FrameCache
from signgen.dataset.files import damaged, open_array, read_json
from signgen.dataset.protocol import Protocol
from signgen.dataset.shards import Pictures, PngFrames, Shards, StoredArray
from signgen.errors import Damaged, NotFound, Unsupported
from signgen.processes import in_processes

MARK, INDEX, KEYPOINTS, PROTOCOL, FRAMES = "prepared.json", "index.json", "keypoints.npy", "protocol.npz", "frames"
VERSION = 1
CHUNK = 64  # decoded frames in memory at once


@dataclass(frozen=True)
class Index:
    """What a split holds.

    Attributes:
        split: its name; size: (width, height) of the frames in pixels.
        clips: in the corpus file's order, without those that were left out.
        folders: where each clip's frames are, relative to the release; of pictures, where each of them is.
        shards: first frame of each shard, and the number of all frames at the end.
        keypoints: names of the files and folders that the keypoints came from.
        mended, left_out: (clip, words) of what was changed and of what is not in here.
        pictures: whether it holds pairs of pictures (`signgen.dataset.persons`); a clip is then those of one outfit.
    """

    split: str
    size: tuple[int, int]
    clips: tuple[CachedClip, ...]
    folders: tuple[str, ...]
    shards: tuple[int, ...]
    keypoints: tuple[str, ...]
    mended: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    pictures: bool = False

    @property
    def frames(self) -> int:
        return self.shards[-1]

    @property
    def lengths(self) -> dict[str, int]:
        """Clip -> number of its frames."""
        return {clip.name: clip.stop - clip.start for clip in self.clips}

    @property
    def starts(self) -> dict[str, int]:
        """Clip -> its first frame."""
        return {clip.name: clip.start for clip in self.clips}

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, path: Path) -> Index:
        """Raises `Damaged` where it is not there or not whole."""
        content = read_json(path)
        try:
            clips = tuple(CachedClip(**clip) for clip in content.pop("clips"))
            for name in ("mended", "left_out"):
                content[name] = tuple(map(tuple, content[name]))
            rest: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
            return cls(clips=clips, **rest)
        except (KeyError, TypeError, IndexError) as error:
            raise damaged(path, error) from error

    @classmethod
    def find(cls, path: Path) -> Index | None:
        """The index, or None where there is none that is whole."""
        try:
            return cls.load(path)
        except Damaged:
            return None


def shard_borders(lengths: Sequence[int], most: int) -> tuple[int, ...]:
    """First frames of shards of whole clips with at most ``most`` frames (or one clip), and the end of the last."""
    borders, end = [0], 0
    for length in lengths:
        if end > borders[-1] and end + length - borders[-1] > most:
            borders.append(end)
        end += length
    return (*borders, end) if end > borders[-1] else tuple(borders)


def is_prepared(folder: str | Path) -> bool:
    """Whether `signgen prepare` wrote the folder."""
    return (Path(folder) / MARK).is_file()


def read_mark(folder: Path) -> dict[str, Any]:
    """The content of ``prepared.json``; InputError for one of another version."""
    content = read_json(folder / MARK)
    if content.get("version") != VERSION:
        got = f"was prepared as version {content.get('version')}"
        raise Unsupported(folder, got, f"this signgen reads version {VERSION}: prepare it again in another folder")
    return content


def open_prepared(folder: str | Path, split: str = "train", frames: bool = True) -> FrameCache:
    """A split as a `FrameCache`: decoded frames where they are kept, else the data set's PNG files as they are needed.

    Args:
        folder: that `signgen prepare` wrote; split: which part of it.
        frames: False reads PNG files even where decoded frames are kept.

    Raises:
        InputError: the split is not there, or its preparation did not end.
    """
    folder = Path(folder)
    mark = read_mark(folder)
    place = folder / split
    if not (place / INDEX).is_file():
        there = ", ".join(path.parent.name for path in sorted(folder.glob(f"*/{INDEX}"))) or "none"
        raise NotFound(folder, f"holds no split {split!r}, only {there}", f"prepare it: --split {split}")
    index = Index.load(place / INDEX)
    keypoints = open_array(place / KEYPOINTS, index.frames)
    triplets = None
    if (place / PROTOCOL).is_file():
        triplets = Protocol.load(place / PROTOCOL).frame_pairs(index.starts)
    stored: StoredArray
    if frames and (place / FRAMES).is_dir():
        stored = Shards(place / FRAMES, index.shards).opened()
    else:
        stored = png_frames(index, Path(mark["release"]))
    return FrameCache(stored, keypoints, index.clips, triplets)


def open_frames(folder: Path) -> FrameCache:
    """The frames in a folder: a split of what `signgen prepare` wrote, or the frame cache of a training."""
    return open_prepared(folder.parent, folder.name) if (folder / INDEX).is_file() else FrameCache.open(folder)


def png_frames(index: Index, release: Path, threads: int = 0) -> PngFrames:
    """The frames of a split as the data set has them, pictures at the index's size; ``threads`` decode."""
    if not release.is_dir():
        advice = "mount it there, or prepare again with its new place"
        raise NotFound(release, "the data set that was prepared is not there any more", advice)
    if index.pictures:
        return Pictures([release / name for name in index.folders], index.size, threads)
    starts = [clip.start for clip in index.clips]
    return PngFrames([release / name for name in index.folders], [*starts, index.frames], index.size, threads)


def write_frames(
    shards: Shards,
    index: Index,
    release: Path,
    share: tuple[int, int],
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """Decodes this share's frames of a split; ``advance`` is called with the frames of each shard.

    It stands here and not in `signgen.dataset.prepare` so that its processes import neither torch nor the encoders.

    Raises:
        InputError: a frame is damaged; RunError: the disk is full. Shards that are finished stay.
    """
    write = partial(_write_frame_shard, shards=shards, index=index, release=release)
    for frames in in_processes(write, shards.left(share), jobs):
        advance(frames)


def _write_frame_shard(number: int, shards: Shards, index: Index, release: Path) -> int:
    """Writes one shard and returns how many frames it has."""
    frames = png_frames(index, release, threads=1)
    start, stop = shards.span(number)

    def pieces() -> Iterator[np.ndarray]:
        for at in range(start, stop, CHUNK):
            yield frames[np.arange(at, min(at + CHUNK, stop))]

    shards.write(number, pieces())
    return stop - start
