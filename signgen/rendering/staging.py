"""Outputs that appear together and whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from signgen.errors import InputError, SignGenError

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
