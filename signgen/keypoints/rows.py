"""Arrays that may be longer than memory: written once, in order, then looked at as any other array.

A short one lies in memory. A longer one lies in a temporary file without a name (`tempfile.gettempdir`), which goes
with the process however that ends; of it only what is being looked at takes memory.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import TooLarge

IN_MEMORY = 40_000  # rows (frames, usually) that are held in memory
BLOCK = 2048  # frames that are worked on at a time
_CHUNK = 4 << 20
SMALL = 1 << 16  # bytes up to which an array of a file is held in memory


class Mapped(np.memmap):
    """An array in a file that no name leads to: nobody else changes it or cuts it short. It cannot be written to."""


class Scratch:
    """An unnamed temporary file to which arrays are added."""

    def __init__(self) -> None:
        self.size = 0

    @cached_property
    def _file(self) -> BinaryIO:
        return tempfile.TemporaryFile()

    def add(self, data: bytes | memoryview | np.ndarray) -> None:
        """Appends bytes; zeros become a hole, which takes no room.

        Raises:
            TooLarge: the disk is full.
        """
        values = np.frombuffer(data, np.uint8)
        try:
            if values.any():
                self._file.seek(self.size)
                self._file.write(values.data)
        except OSError as error:
            advice = "make room there, or set TMPDIR to a folder with more"
            raise TooLarge(tempfile.gettempdir(), f"no room for a long clip ({error.strerror})", advice) from None
        self.size += len(values)

    def copy(self, stream: Any, most: int, subject: str) -> None:
        """Appends what a stream gives.

        Raises:
            TooLarge: more than ``most`` bytes, or the disk is full.
        """
        start = self.size
        while data := stream.read(min(_CHUNK, start + most + 1 - self.size)):
            self.add(data)
            if self.size - start > most:
                raise TooLarge(subject, f"unpacks to more than {most / 2**30:.3g} GiB", "split it into smaller files")

    def file(self) -> BinaryIO:
        """The file, from its start."""
        self._file.truncate(self.size)
        self._file.seek(0)
        return self._file

    def align(self) -> int:
        """Where the next array begins."""
        self.size += -self.size % 64
        return self.size

    def array(self, offset: int, dtype: np.dtype, shape: tuple[int, ...], order: Any = "C") -> np.ndarray:
        """What was added from ``offset`` on."""
        if not np.prod(shape, dtype=object):
            return np.empty(shape, dtype)
        self._file.flush()
        self._file.truncate(self.size)
        return Mapped(self._file, dtype, "r", offset, shape, order)


class Rows:
    """Rows (..., *shape) that are appended block by block."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._blocks: list[np.ndarray] = []
        self._count = 0
        self._scratch: Scratch | None = None

    def append(self, block: np.ndarray) -> None:
        block = np.ascontiguousarray(block, self._dtype)
        self._blocks.append(block)
        self._count += len(block)
        if self._scratch is None and self._count > IN_MEMORY:
            self._scratch = Scratch()
        if self._scratch is not None:
            for held in self._blocks:
                self._scratch.add(held.reshape(-1))
            self._blocks.clear()

    def array(self) -> np.ndarray:
        """(N, *shape), not to be written to."""
        if self._scratch is None:
            rows = np.concatenate(self._blocks) if self._blocks else np.empty((0, *self._shape), self._dtype)
            rows.flags.writeable = False
            return rows
        return self._scratch.array(0, self._dtype, (self._count, *self._shape))


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """0 to ``count`` in slices of ``size``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def evenly(count: int, most: int) -> np.ndarray | slice:
    """At most ``most`` of ``count`` places, evenly spread; all of them where they are no more."""
    return slice(None) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def is_mapped(array: object) -> bool:
    return isinstance(array, Mapped) and array._mmap is not None  # type: ignore[attr-defined]


def release(*arrays: object) -> None:
    """Gives back the memory that looking at mapped arrays took; they can be looked at again."""
    for array in arrays:
        mapping = getattr(array, "_mmap", None)
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)
