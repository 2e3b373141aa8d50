"""The clips of the source data set in the new one: linked, or copied on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from signgen.augment.layouts.entries import Entry, Split
from signgen.augment.store import FRAMES, KEYPOINTS
from signgen.errors import InputError, RunError

MODES = ("link", "copy", "none")


def place_originals(out: Path, splits: Sequence[Split], mode: str, nested: bool) -> None:
    """Puts frames and keypoints of every original where readers of the new set look for them.

    Args:
        out: the new set; splits: its clips; mode: ``link`` (symbolic links to the source's folders) or ``copy``.
        nested: frames are to be in a folder ``1`` inside the clip's own.
    """
    for entry in (entry for split in splits for entry in split.entries if not entry.generated):
        if entry.frames is not None:
            _place(_inner(entry.frames), _target(out, entry, nested), mode)
        if entry.keypoints is not None:
            _place(entry.keypoints, out / KEYPOINTS / f"{entry.name}{entry.keypoints.suffix}", mode)


def _target(out: Path, entry: Entry, nested: bool) -> Path:
    folder = out / FRAMES / entry.split / entry.name
    return folder / "1" if nested else folder


def _inner(folder: Path) -> Path:
    return folder / "1" if (folder / "1").is_dir() else folder


def _place(source: Path, target: Path, mode: str) -> None:
    """One file or folder; what is there already stays."""
    if os.path.lexists(target):
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "link":
            partial.symlink_to(source.absolute(), target_is_directory=source.is_dir())
        elif source.is_dir():
            shutil.copytree(source, partial)
        else:
            shutil.copy2(source, partial)
        os.replace(partial, target)
    except OSError as error:
        if mode == "link" and os.name != "posix":
            got = f"links cannot be made ({error.strerror})"
            raise InputError("--originals", got, "use --originals copy") from None
        raise RunError(target, f"cannot be written ({error.strerror})", "see to space and permissions") from None
