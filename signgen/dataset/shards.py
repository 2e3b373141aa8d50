"""Arrays that lie in many files, read as if they were one: ``len``, ``shape`` and ``array[indices]``; and who writes
which of the files, where several processes share the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from signgen.dataset.files import is_whole, open_array, write_npy
from signgen.dataset.phoenix import frame_name, list_frames
from signgen.errors import InputError, Mismatch, Missing
from signgen.processes import cores
from signgen.video import read_frames_at, read_image

Indices = np.ndarray | Sequence[int] | int | slice


class StoredArray(Protocol):
    """What training asks of frames and latents; `numpy.ndarray` has it, too."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: np.ndarray) -> np.ndarray: ...


class Shards:
    """One array in the npy files ``00000.npy`` ... of a folder, mapped into memory when they are first asked for.

    A shard is there whole or not at all.

    Args:
        folder: of the files; starts: first row of each, and the number of all rows at the end.
    """

    def __init__(self, folder: Path, starts: Sequence[int]) -> None:
        self.folder, self.starts = folder, np.asarray(starts)
        self._maps: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self._map(0).shape[1:]

    @property
    def dtype(self) -> np.dtype:
        return self._map(0).dtype

    def __getitem__(self, indices: Indices) -> np.ndarray:
        """Rows of any shape of indices: (...,) -> (..., *row)."""
        index = _checked(indices, len(self))
        flat = index.ravel()
        shards = np.searchsorted(self.starts, flat, "right") - 1
        out = np.empty((len(flat), *self.shape[1:]), self.dtype)
        for shard in np.unique(shards):
            picked = shards == shard
            out[picked] = self._map(int(shard))[flat[picked] - self.starts[shard]]
        return out.reshape(*index.shape, *self.shape[1:])

    def file(self, number: int) -> Path:
        """Where a shard lies."""
        return self.folder / f"{number:05d}.npy"

    def span(self, number: int) -> tuple[int, int]:
        """First row of a shard, and the one after its last."""
        return int(self.starts[number]), int(self.starts[number + 1])

    def opened(self) -> Shards:
        """These, if all are there; `Missing` otherwise."""
        count = len(self.starts) - 1
        absent = sum(not self.file(number).is_file() for number in range(count))
        if absent:
            advice = "give the same signgen prepare command again: it goes on where it stopped"
            raise Missing(self.folder, f"lacks {absent} of {count} shards", advice)
        return self

    def left(self, share: tuple[int, int] = (1, 1)) -> list[int]:
        """Numbers of the shards that are not there whole, of share I of N of all: ``share`` is (I, N), I from 1."""
        rows = np.diff(self.starts)
        numbers = range(share[0] - 1, len(rows), share[1])
        return [number for number in numbers if not is_whole(self.file(number), rows[number])]

    def rows_left(self, share: tuple[int, int]) -> int:
        """Rows of the share's shards that are not there yet."""
        return int(sum(np.diff(self.starts)[number] for number in self.left(share)))

    def write(self, number: int, pieces: Iterator[np.ndarray]) -> None:
        """A shard from (n, *row) pieces."""
        write_npy(self.file(number), pieces)

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            start, stop = self.span(shard)
            self._maps[shard] = open_array(self.file(shard), stop - start)
        return self._maps[shard]


@lru_cache(maxsize=4096)
def _frame_files(folder: Path) -> tuple[Path, ...]:
    return list_frames(folder).files


class PngFrames:
    """Frames of clips as uint8 (N, H, W, 3), decoded when they are asked for, by several threads.

    Args:
        folders: of the clips' images, or their videos, in order.
        starts: first frame of each, and the number of all frames at the end.
        size: (width, height) of every frame; threads: 0 = one a core, at most 8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, folders: Sequence[Path], starts: Sequence[int], size: tuple[int, int], threads: int = 0) -> None:
        self.folders, self.starts, self.size = tuple(folders), np.asarray(starts), size
        self._videos = frozenset(folder for folder in self.folders if folder.is_file())
        self._threads = threads or min(8, cores())

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), self.size[1], self.size[0], 3

    def __getitem__(self, indices: Indices) -> np.ndarray:
        """Frames of any shape of indices: (...,) -> (..., H, W, 3). InputError for a frame that is damaged."""
        index = _checked(indices, len(self))
        frames = list(self._pool.map(self._read, index.ravel()))
        return np.stack(frames).reshape(*index.shape, *self.shape[1:]) if frames else np.empty((0, *self.shape[1:]))

    def path(self, index: int) -> Path:
        """The file of a frame, or the video that it is in."""
        clip, number = self._place(index)
        if self.folders[clip] in self._videos:
            return self.folders[clip]
        files = _frame_files(self.folders[clip])
        return files[number] if number < len(files) else self.folders[clip] / frame_name(number + 1)

    def _place(self, index: int) -> tuple[int, int]:
        """The clip, and the frame's number in it."""
        clip = int(np.searchsorted(self.starts, index, "right")) - 1
        return clip, int(index - self.starts[clip])

    def _read(self, index: int) -> np.ndarray:
        path = self.path(index)
        try:
            frame = next(read_frames_at(path, [self._place(index)[1]])) if path in self._videos else read_image(path)
        except InputError as error:
            folder = path.parent.parent if path.parent.name == "1" else path if path in self._videos else path.parent
            advice = f"unpack that clip again, or prepare another folder with --skip {folder.stem}"
            raise type(error)(path, error.got, advice) from None
        if frame.shape != self.shape[1:]:
            got = f"is {frame.shape[1]}x{frame.shape[0]}, other frames {self.size[0]}x{self.size[1]}"
            raise Mismatch(path, got, "unpack the release again")
        return frame

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "frames")


class Pictures(PngFrames):
    """Single pictures of any size as uint8 (N, H, W, 3), stretched to ``size`` (bicubic, antialiased, as PIL does it).

    Args:
        files: of the pictures; size: (width, height) of what is read; threads: as of `PngFrames`.
    """

    def __init__(self, files: Sequence[Path], size: tuple[int, int], threads: int = 0) -> None:
        self.folders, self.starts, self.size = tuple(files), np.arange(len(files) + 1), size
        self._threads = threads or min(8, cores())

    def path(self, index: int) -> Path:
        return self.folders[index]

    def _read(self, index: int) -> np.ndarray:
        return stretched(read_image(self.path(index)), self.size)


def stretched(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) at ``size`` (width, height), whatever its aspect: bicubic, antialiased."""
    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _checked(indices: Indices, count: int) -> np.ndarray:
    index = np.arange(count)[indices] if isinstance(indices, slice) else np.asarray(indices, np.int64)
    if index.size and (index.min() < 0 or index.max() >= count):
        raise IndexError(f"rows {index.min()} to {index.max()} of {count}")
    return index
