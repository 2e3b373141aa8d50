"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from signgen.errors import InputError, RunError


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
