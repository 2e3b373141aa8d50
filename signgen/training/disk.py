"""Writing to a disk that may be full: one clear line, and what was there before stays."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from signgen.errors import RunError

NEARLY_NONE = 4 * 2**20  # bytes; torch does not say why a file could not be written, a disk with less left says it


@contextmanager
def writing(path: Path, advice: str) -> Iterator[None]:
    """Turns a failed write into a `RunError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise RunError(path, reason(error, path.parent), advice) from error


def reason(error: BaseException, folder: Path) -> str:
    """Why something could not be written into ``folder``, in a few words."""
    text = " ".join(str(error).split())
    full = getattr(error, "errno", None) == errno.ENOSPC or f"os error {errno.ENOSPC}" in text
    if full or free_bytes(folder) < NEARLY_NONE:
        return "no space left on the disk"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be written ({error.strerror})"
    return f"cannot be written ({text[:160] or type(error).__name__})"


def free_bytes(folder: Path) -> int:
    """Bytes that are free where ``folder`` is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def gibibytes(count: float) -> str:
    """``12.3 GiB``, or in MiB or KiB what is small."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.0f} KiB"


def flush(folder: Path) -> None:
    """Has everything in ``folder`` on the disk, so that a rename after it never comes to lie before its content."""
    for path in (*sorted(folder.rglob("*")), folder):
        with suppress(PermissionError):  # some systems open no folder
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def replace_folder(new: Path, target: Path) -> None:
    """Puts ``new`` in the place of ``target``; a whole folder is there at any time, or beside it as ``*.old``."""
    before = target.with_name(f"{target.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        os.replace(target, before)
    os.replace(new, target)
    shutil.rmtree(before, ignore_errors=True)
