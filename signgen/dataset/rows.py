"""Arrays that lie in many files, read as if they were one: ``len``, ``shape`` and ``rows[indices]``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from signgen.dataset.opening import open_array
from signgen.dataset.phoenix import frame_name
from signgen.errors import InputError


class Rows(Protocol):
    """What training asks of frames and latents; `numpy.ndarray` has it, too."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: np.ndarray) -> np.ndarray: ...


class ShardedRows:
    """Rows of one array in several npy files, mapped into memory when they are first asked for.

    Args:
        files: the shards in order; starts: first row of each, and the number of all rows at the end.
    """

    def __init__(self, files: Sequence[Path], starts: Sequence[int]) -> None:
        self.files, self.starts = tuple(files), np.asarray(starts)
        self._maps: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self._map(0).shape[1:]

    @property
    def dtype(self) -> np.dtype:
        return self._map(0).dtype

    def __getitem__(self, indices: np.ndarray | Sequence[int] | int | slice) -> np.ndarray:
        """Rows of any shape of indices: (...,) -> (..., *row)."""
        index = _checked(indices, len(self))
        flat = index.ravel()
        shards = np.searchsorted(self.starts, flat, "right") - 1
        out = np.empty((len(flat), *self.shape[1:]), self.dtype)
        for shard in np.unique(shards):
            picked = shards == shard
            out[picked] = self._map(shard)[flat[picked] - self.starts[shard]]
        return out.reshape(*index.shape, *self.shape[1:])

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            rows = int(self.starts[shard + 1] - self.starts[shard])
            self._maps[int(shard)] = open_array(self.files[shard], rows)
        return self._maps[int(shard)]


class PngRows:
    """Frames of clips as uint8 (N, H, W, 3), decoded when they are asked for, by several threads.

    Args:
        folders: of the clips, in order; starts: first frame of each, and the number of all frames at the end.
        size: (width, height) of every frame; threads: 0 = one a core, at most 8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, folders: Sequence[Path], starts: Sequence[int], size: tuple[int, int], threads: int = 0) -> None:
        self.folders, self.starts, self.size = tuple(folders), np.asarray(starts), size
        self._threads = threads or min(8, os.cpu_count() or 1)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), self.size[1], self.size[0], 3

    def __getitem__(self, indices: np.ndarray | Sequence[int] | int | slice) -> np.ndarray:
        """Frames of any shape of indices: (...,) -> (..., H, W, 3). InputError for a frame that is damaged."""
        index = _checked(indices, len(self))
        frames = list(self._pool.map(self._read, index.ravel()))
        return np.stack(frames).reshape(*index.shape, *self.shape[1:]) if frames else np.empty((0, *self.shape[1:]))

    def path(self, index: int) -> Path:
        """The file of a frame."""
        clip = int(np.searchsorted(self.starts, index, "right")) - 1
        return self.folders[clip] / frame_name(int(index - self.starts[clip]) + 1)

    def _read(self, index: int) -> np.ndarray:
        from signgen.video import read_image

        path = self.path(index)
        try:
            frame = read_image(path)
        except InputError as error:
            folder = path.parent.parent if path.parent.name == "1" else path.parent
            advice = f"unpack that clip again, or prepare another folder with --skip {folder.name}"
            raise InputError(path, error.got, advice) from None
        if frame.shape != self.shape[1:]:
            got = f"is {frame.shape[1]}x{frame.shape[0]}, other frames {self.size[0]}x{self.size[1]}"
            raise InputError(path, got, "unpack the release again")
        return frame

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "frames")


def _checked(indices: np.ndarray | Sequence[int] | int | slice, count: int) -> np.ndarray:
    index = np.arange(count)[indices] if isinstance(indices, slice) else np.asarray(indices, np.int64)
    if index.size and (index.min() < 0 or index.max() >= count):
        raise IndexError(f"rows {index.min()} to {index.max()} of {count}")
    return index
