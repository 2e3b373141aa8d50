"""Files of a data set: written whole, by several processes on one folder, and opened so that a damaged one is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import Damaged, NotWritable
from signgen.files import whole, writing

AGAIN = "see to space and permissions and give the same command again: what is finished is kept"
REPAIR = "give the same signgen prepare command again: it writes again what is damaged"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """`signgen.files.whole` for a file of a command that goes on where it stopped; its folder is made.

    Raises:
        RunError: the file cannot be written, for the disk is full, say. Files that were finished before stay.
    """
    with writing(path, AGAIN):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            yield temporary


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class NpyWriter:
    """An npy file that grows by rows. Its length need not be known: the header has room and is written again.

    Rows are written with plain calls and not through a memory map, for which a full disk ends the process.

    Args:
        path: file to write; row: shape of a row; dtype: of its numbers.
    """

    def __init__(self, path: Path, row: tuple[int, ...], dtype: Any) -> None:
        self._row, self._dtype, self._count = row, np.dtype(dtype), 0
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__
        self._header()

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with self._file:
            if error[0] is None:
                self._file.seek(0)
                self._header()

    def append(self, rows: np.ndarray) -> None:
        """Adds ``rows`` (n, *row)."""
        if rows.shape[1:] != self._row:
            raise ValueError(f"rows of shape {rows.shape[1:]} in a file of {self._row}")
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self._count += len(rows)

    def _header(self) -> None:
        description = np.lib.format.dtype_to_descr(self._dtype)
        content = {"descr": description, "fortran_order": False, "shape": (self._count, *self._row)}
        np.lib.format.write_array_header_1_0(self._file, content)


def write_npy(path: Path, pieces: Iterator[np.ndarray]) -> None:
    """One npy file from (n, *row) pieces, of which there is one or more; whole or not at all."""
    with whole_file(path) as temporary:
        first = next(pieces)
        with NpyWriter(temporary, first.shape[1:], first.dtype) as file:
            file.append(first)
            for rows in pieces:
                file.append(rows)


def damaged(path: Path, error: BaseException, advice: str = REPAIR) -> Damaged:
    """What to raise where reading ``path`` ended in ``error``."""
    if isinstance(error, FileNotFoundError):
        return Damaged(path, "is not there", advice)
    return Damaged(path, f"is damaged ({' '.join(str(error).split())[:100]})", advice)


def open_array(path: Path, rows: int | None = None, advice: str = REPAIR) -> np.ndarray:
    """An npy file mapped into memory.

    Raises:
        Damaged: it is not there, was cut off, or does not hold ``rows`` rows.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error, advice) from error
    if rows is not None and len(found) != rows:
        raise Damaged(path, f"holds {len(found)} rows instead of {rows}", advice)
    return found


def is_whole(path: Path, rows: int) -> bool:
    """Whether an npy file is there with all of its ``rows``; its numbers are not read."""
    try:
        open_array(path, rows)
    except Damaged:
        return False
    return True


def read_json(path: Path, advice: str = REPAIR) -> dict[str, Any]:
    """A JSON object; `Damaged` where the file is not there or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, advice) from error
    if not isinstance(content, dict):
        raise Damaged(path, "is no JSON object", advice)
    return content


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Only one process at a time is inside, of all that use ``folder``; a process that dies lets the next one in.

    Raises:
        NotWritable: the folder is not to be written, or another one is inside and this one is not to ``wait``.
    """
    try:
        file = open(folder / ".lock", "w")  # noqa: SIM115 - closed below
    except OSError as error:
        got = f"cannot be written ({error.strerror})"
        raise NotWritable(folder, got, "name a folder that can be written") from None
    with file:
        try:
            import fcntl
        except ImportError:  # no such locks on this system: processes may then do the same work twice
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotWritable(folder, "another process is at work there", "wait for it, or end it first") from None
        yield
