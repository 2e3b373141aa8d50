"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from signgen.errors import InputError, RunError, SignGenError

# Outputs that appear together and whole, or not at all.


_PREFIX = ".signgen-"


class Staging:
    """Collects outputs in hidden folders beside their targets and moves them into place when the block succeeds.

    ``with Staging() as staging: write_to(staging.place(target))``. If the block raises, nothing of it stays behind
    and files that were there before are untouched.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, Path] = {}
        self._moves: list[tuple[Path, Path]] = []

    def place(self, target: Path) -> Path:
        """Where to write what shall become ``target`` (a file or a folder); the same name in a hidden folder.

        Raises:
            InputError: the folder of the target is missing or cannot be written.
        """
        parent = target.absolute().parent
        if parent not in self._folders:
            self._folders[parent] = _hidden_folder(target, parent)
        temporary = self._folders[parent] / target.name
        self._moves.append((temporary, target))
        return temporary

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for temporary, target in self._moves:
                    _move(temporary, target)
        finally:
            for folder in self._folders.values():
                shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, SignGenError):
            self._name_target(error)

    def _name_target(self, error: SignGenError) -> None:
        """Raises the error anew with the target's name where it names the hidden place."""
        for temporary, target in self._moves:
            if Path(error.subject) == temporary:
                raise type(error)(target, error.got, error.advice) from error


def _hidden_folder(target: Path, parent: Path) -> Path:
    if not parent.is_dir():
        raise InputError(target, f"there is no folder {parent}", "make it first, or write elsewhere")
    try:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(target, f"the folder cannot be written ({reason})", "write elsewhere") from None


def _move(temporary: Path, target: Path) -> None:
    """Moves a file or folder over what was there. A folder cannot replace a full one in one step: two renames."""
    if not target.is_dir():
        os.replace(temporary, target)
        return
    old = temporary.with_name(temporary.name + ".old")
    os.replace(target, old)
    os.replace(temporary, target)


# Writing to a disk that may be full: one clear line, and what was there before stays.


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


def place_file(target: Path, data: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one, never half of one."""
    if target.is_dir():
        raise InputError(str(target), "a folder", "give the name of a file to write")
    _check_parent(target)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise _unwritable(target, error) from None


def place_folder(target: Path, files: dict[str, bytes], replaceable: str) -> None:
    """The same for a folder. One that is there is replaced if all names in it match the pattern ``replaceable``.

    Raises:
        InputError: the target is a file, or a folder that holds something else.
    """
    if target.exists() and not target.is_dir():
        raise InputError(str(target), "a file", "this format is a folder of one file a frame: give a folder's name")
    names = sorted(item.name for item in target.iterdir()) if target.is_dir() else []
    strange = next((name for name in names if not re.fullmatch(replaceable, name)), None)
    if strange is not None:
        raise InputError(str(target), f"holds other files, such as {strange}", "give a new or empty folder")
    _check_parent(target)
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        fresh = temporary / "new"
        fresh.mkdir()
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        if target.is_dir():
            os.replace(target, temporary / "old")
        os.replace(fresh, target)
    except OSError as error:
        raise _unwritable(target, error) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_parent(target: Path) -> None:
    if not target.absolute().parent.is_dir():
        raise InputError(str(target.parent), "no such folder", "make the folder first")


def _unwritable(target: Path, error: OSError) -> RunError:
    return RunError(str(target), f"cannot be written ({error.strerror})", "check free space and permissions")
