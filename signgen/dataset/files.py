"""Files written whole or not at all, by several processes on one folder, on a disk that may be full."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import RunError

_SUFFIX = ".part"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path`` to write to, and gives it its name at the end.

    Raises:
        RunError: the file cannot be written, for the disk is full, say. Nothing of it stays, and files that were
            finished before are untouched.
    """
    temporary = path.with_name(f".{path.name}.{_process()}{_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        advice = "see to space and permissions and give the same command again: what is finished is kept"
        raise RunError(path, f"cannot be written ({error.strerror or error})", advice) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


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


def remove_leftovers(folder: Path) -> None:
    """Removes unfinished files of processes of this machine that were killed."""
    host = _process().rsplit("-", 1)[0]
    for path in folder.rglob(f".*.{host}-*{_SUFFIX}"):
        number = path.name.removesuffix(_SUFFIX).rsplit("-", 1)[-1]
        if number.isdigit() and not _lives(int(number)):
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time is inside, of all that use ``folder``; a process that dies lets the next one in."""
    with open(folder / ".lock", "w") as file:
        try:
            import fcntl
        except ImportError:  # no such locks on this system: processes may then do the same work twice
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _lives(process: int) -> bool:
    if os.name != "posix":  # elsewhere this call would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
