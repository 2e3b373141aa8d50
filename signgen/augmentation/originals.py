"""The data set's own clips in the new one: links or copies by the names that readers look for, or PNG files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from signgen.augmentation.layouts.entries import Entry, Split
from signgen.augmentation.store import FRAMES, KEYPOINTS, VIDEOS, Store
from signgen.dataset.phoenix import frame_name, inner_folder
from signgen.errors import RunError, Unsupported
from signgen.files import whole, writing
from signgen.processes import in_processes


def place_originals(store: Store, splits: Sequence[Split], mode: str, jobs: int = 1) -> None:
    """Puts frames and keypoints of every original where readers of the new set look for them.

    What lies there as it should stays: links that lead to the clip, and copies. Anything else is replaced.

    Args:
        store: of the new set; splits: its clips.
        mode: ``link`` (symbolic links to the source's folders, or frames for readers of both kinds) or ``copy``.
            Frames that are to be PNG files, and are none, are written anew either way.
        jobs: processes that write them.
    """
    to_write = []
    for entry in (entry for split in splits for entry in split.entries if not entry.generated):
        if entry.keypoints is not None:
            suffix = entry.keypoints.suffix if entry.keypoints.is_file() else ""  # a folder's name may have a point
            _place(entry.keypoints, store.out / KEYPOINTS / f"{entry.name}{suffix}", mode)
        if entry.frames is None:
            continue
        if store.media == "png" and entry.needs_png():
            if not _is_written(store, entry):
                to_write.append(entry)
        elif entry.frames.is_file():
            video = store.out / VIDEOS / entry.split / f"{entry.name}{entry.frames.suffix.lower()}"
            _place(entry.frames, video, mode)
        else:
            _place_frames(store, entry, mode)
    for _ in in_processes(partial(_write_frames, store, mode), to_write, jobs, threads=1):
        pass


def _folder_of(store: Store, entry: Entry) -> Path:
    """Where readers look for the clip's frames."""
    folder = store.out / FRAMES / entry.split / entry.name
    return folder / "1" if store.nested and not store.flat else folder


def _place_frames(store: Store, entry: Entry, mode: str) -> None:
    """The folder itself, or one of links to frames, or of copies, each by the name that readers look for."""
    assert entry.frames is not None
    target = _folder_of(store, entry)
    files = enumerate(entry.files(), 1)
    names = {f"{Path(frame_name(number)).stem}{file.suffix.lower()}": file for number, file in files}
    source = inner_folder(entry.frames)
    as_it_is = not store.flat and all(file.name == name for name, file in names.items())
    if target.is_symlink():
        stands = as_it_is and _stands(source, target, mode)
    else:
        stands = target.is_dir() and all(_stands(file, target / name, mode) for name, file in names.items())
    if stands:
        return
    with _new(target, mode) as made:
        if as_it_is:
            _put(source, made, mode)
            return
        made.mkdir()
        for name, file in names.items():
            _put(file, made / name, mode)
        store.link_inner(made)  # of readers of both kinds it is its own ``1``


def _is_written(store: Store, entry: Entry) -> bool:
    """Whether all of the clip's frames are there as PNG files, and no links."""
    target = _folder_of(store, entry)
    paths = [target, *(target / frame_name(number) for number in range(1, entry.count + 1))]
    return all(path.exists() and not path.is_symlink() for path in paths)


def _write_frames(store: Store, mode: str, entry: Entry) -> None:
    """The clip as PNG files."""
    with _new(_folder_of(store, entry), mode) as made:
        made.mkdir()
        for number, data in enumerate(entry.pngs(), 1):
            (made / frame_name(number)).write_bytes(data)
        store.link_inner(made)


def _place(source: Path, target: Path, mode: str) -> None:
    """A link to a file or a folder, or its copy, unless it is there."""
    if not _stands(source, target, mode):
        with _new(target, mode) as made:
            _put(source, made, mode)


def _stands(source: Path, target: Path, mode: str) -> bool:
    """Whether ``target`` is a copy, or where links are asked for one that leads to ``source``."""
    if target.is_symlink():
        return mode == "link" and os.readlink(target) == str(source.absolute())
    return target.exists()


@contextmanager
def _new(target: Path, mode: str) -> Iterator[Path]:
    """Where to make what is to become ``target``. A link there is replaced, and what it leads to is left alone."""
    try:
        with writing(target, "see to space and permissions"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole(target, follow=False) as temporary:
                yield temporary
    except RunError as error:
        if mode == "copy" or os.name == "posix":
            raise
        raise Unsupported("--originals", f"links cannot be made ({error.got})", "use --originals copy") from None


def _put(source: Path, target: Path, mode: str) -> None:
    """A link to a file or folder, or its copy."""
    if mode == "link":
        target.symlink_to(source.absolute(), target_is_directory=source.is_dir())
    elif source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("1"))  # a link to the folder itself
    else:
        shutil.copy2(source, target)
