"""The clips of the source data set in the new one: linked, or copied on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from signgen.augment.layouts.entries import Entry, Split
from signgen.augment.store import FRAMES, KEYPOINTS, Store
from signgen.errors import InputError, RunError

MODES = ("link", "copy", "none")


def place_originals(store: Store, splits: Sequence[Split], mode: str) -> None:
    """Puts frames and keypoints of every original where readers of the new set look for them.

    Args:
        store: of the new set; splits: its clips.
        mode: ``link`` (symbolic links to the source's folders, or frames for readers of both kinds) or ``copy``.
    """
    with store.work("originals") as work:
        for entry in (entry for split in splits for entry in split.entries if not entry.generated):
            folder = store.out / FRAMES / entry.split / entry.name
            if entry.frames is not None and store.flat:
                _place_both(entry, folder, mode, store, work)
            elif entry.frames is not None:
                _place(_inner(entry.frames), folder / "1" if store.nested else folder, mode, work)
            if entry.keypoints is not None:
                name = f"{entry.name}{entry.keypoints.suffix}"
                _place(entry.keypoints, store.out / KEYPOINTS / name, mode, work)


def _place_both(entry: Entry, target: Path, mode: str, store: Store, work: Path) -> None:
    """A folder of links to frames, or of their copies, that is its own folder ``1``."""
    if os.path.lexists(target):
        return
    folder = work / entry.name
    for file in entry.files():
        _place(file, folder / file.name, mode, work)
    store.link_inner(folder)
    store.put(work, folder, target)


def _inner(folder: Path) -> Path:
    return folder / "1" if (folder / "1").is_dir() else folder


def _place(source: Path, target: Path, mode: str, work: Path) -> None:
    """One file or folder, made in ``work`` and then put in place; what is there already stays."""
    if os.path.lexists(target):
        return
    partial = work / f"{target.name}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "link":
            partial.symlink_to(source.absolute(), target_is_directory=source.is_dir())
        elif source.is_dir():
            shutil.copytree(source, partial, ignore=shutil.ignore_patterns("1"))  # a link to the folder itself
        else:
            shutil.copy2(source, partial)
        os.replace(partial, target)
    except OSError as error:
        if mode == "link" and os.name != "posix":
            got = f"links cannot be made ({error.strerror})"
            raise InputError("--originals", got, "use --originals copy") from None
        raise RunError(target, f"cannot be written ({error.strerror})", "see to space and permissions") from None
