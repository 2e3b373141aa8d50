"""Where a data set's keypoints come from: pickles of many clips, or one file a clip, matched by base name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from signgen.dataset.phoenix import KEYPOINT_SUFFIXES, SPLITS
from signgen.errors import Missing, NotFound
from signgen.keypoints.many_clips import ClipFile
from signgen.keypoints.raw import RawClip

_OF_MANY = (".pkl", ".pickle", ".gz", *(f".{split}" for split in SPLITS))  # MSKA names its files Phoenix-2014T.<split>


@dataclass(frozen=True)
class Entry:
    """One clip's keypoints: the clip ``name`` of ``file``, which holds only that one if ``alone``."""

    file: Path
    name: str
    alone: bool


def read_clip_points(path: Path, clip: str) -> RawClip:
    """The points of a clip in its keypoint file, of whatever format; where no entry has its name, those of the first.

    Raises:
        InputError: the file cannot be read, or holds no 133 points a frame.
    """
    file = ClipFile(path)
    names = [name for name in file.names if _base(name) == clip] or list(file.names)
    return file.raw(names[0])


def newest(places: Iterable[str | Path]) -> float:
    """When the newest of some files, or of what lies in folders and their split folders, was written; 0 for nothing.

    No file is opened, and in a clip's own folder none is looked at: data sets have millions.
    """
    times = [0.0]
    for place in map(Path, places):
        folders = [folder for folder in (place, *(place / split for split in SPLITS)) if folder.is_dir()]
        items = [item for folder in folders for item in folder.iterdir() if not item.name.startswith(".")]
        times += [item.stat().st_mtime for item in (items if folders else [place]) if item.exists()]
    return max(times)


class KeypointSource:
    """Keypoints of many clips, found by base name: ``train/<clip>``, ``<clip>`` and ``<clip>.npz`` all are ``<clip>``.

    Args:
        places: files of many clips (MSKA, SLRT, NLA-SLR), files of one, or folders of either, split folders included.
        clips: base names of the data set's clips.

    Attributes:
        unmatched: how many clips of files of many are no clip of the data set.

    Raises:
        InputError: a place is not there, or a file of many clips cannot be read.
    """

    def __init__(self, places: Sequence[str | Path], clips: Iterable[str]) -> None:
        self._wanted = frozenset(clips)
        self._entries: dict[str, list[Entry]] = {}
        self._many: dict[Path, ClipFile] = {}
        self.unmatched = 0
        for place in map(Path, places):
            if place.is_dir():
                self._add_folder(place)
            elif place.is_file():
                self._add_file(place)
            else:
                raise NotFound(place, "no such file or folder", "give the keypoints' file or folder")

    def __contains__(self, clip: str) -> bool:
        return clip in self._entries

    @property
    def formats(self) -> tuple[str, ...]:
        """Format names of the files of many clips, sorted."""
        return tuple(sorted({file.format for file in self._many.values()}))

    def others(self, clip: str, split: str) -> int:
        """How many further entries a clip has beside the one that is taken."""
        return len(self._fitting(clip, split)) - 1

    def is_newer(self, clip: str, split: str, time: float) -> bool:
        """Whether the clip's file was written after a time; False where there is none."""
        return any(entry.file.stat().st_mtime > time for entry in self._fitting(clip, split)[:1])

    def raw(self, clip: str, split: str) -> RawClip:
        """The clip's points as they are in its file; the entry below the ``split``'s name where there are several.

        Raises:
            InputError: there is none, or it holds no 133 points a frame.
        """
        fitting = self._fitting(clip, split)
        if not fitting:
            raise Missing(clip, "has no keypoints", "give the file or folder that holds them with --keypoints")
        entry = fitting[0]
        if not entry.alone:
            return self._many[entry.file].raw(entry.name)
        return read_clip_points(entry.file, clip)

    def _fitting(self, clip: str, split: str) -> list[Entry]:
        entries = self._entries.get(clip, [])
        below = [entry for entry in entries if _splits_of(entry) == {split}]
        return below or [entry for entry in entries if not _splits_of(entry)] or entries

    def _add_folder(self, folder: Path) -> None:
        """Files and folders of one clip each; where a folder has none, its files of many."""
        found: dict[str, list[Path]] = {}
        places = (folder, *(folder / split for split in SPLITS if (folder / split).is_dir()))
        items = [item for place in places for item in place.iterdir() if not item.name.startswith(".")]
        for item in items:
            for name in dict.fromkeys((item.name, item.stem, item.name.split(".")[0])):
                if name in self._wanted:
                    found.setdefault(name, []).append(item)
                    break
        for name, files in found.items():
            files.sort(key=lambda file: (_rank(file), file.name))
            self._entries.setdefault(name, []).extend(Entry(file, name, True) for file in _one_a_place(files))
        if not found:
            for item in sorted(items):
                if item.is_file() and item.suffix in _OF_MANY:
                    self._add_file(item)

    def _add_file(self, path: Path) -> None:
        file = ClipFile(path)
        self._many[path] = file
        for name in file.names:
            if _base(name) in self._wanted:
                self._entries.setdefault(_base(name), []).append(Entry(path, name, False))
            else:
                self.unmatched += 1


@lru_cache(maxsize=1 << 16)
def _splits_of(entry: Entry) -> set[str]:
    """The split that an entry's name, its folder or its file's suffix says, or nothing."""
    said = {*entry.name.split("/")[:-1], entry.file.parent.name, entry.file.suffix.removeprefix(".")}
    return said & set(SPLITS)


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _rank(file: Path) -> int:
    return [*KEYPOINT_SUFFIXES, file.suffix].index(file.suffix)


def _one_a_place(files: list[Path]) -> list[Path]:
    """The best file of each folder; another format of the same clip beside it is the same clip."""
    best: dict[Path, Path] = {}
    for file in files:
        best.setdefault(file.parent, file)
    return list(best.values())
