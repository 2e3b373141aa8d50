"""RWTH-PHOENIX-Weather 2014 T as it lies on disk, and every data set in its layout.

    PHOENIX-2014-T-release-v3/PHOENIX-2014-T/
      annotations/manual/PHOENIX-2014-T.<split>.corpus.csv        name|video|start|end|speaker|orth|translation
      features/fullFrame-210x260px/<split>/<name>/images0001.png ...

The corpus files are separated by ``|`` and know no quoting. Their column ``video`` says ``<name>/1/*.png``, a folder
``1`` that the release does not have; it is found either way. Other files in a frame folder are ignored.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from signgen.dataset.trees import FRAMES, RELEASE, SPLITS, TREES, Rows, Tree, corpus_name, read_corpus
from signgen.errors import Damaged, Empty, InputError, NotFound
from signgen.keypoints.frame_numbers import numbers_in_names
from signgen.video import probe, read_frames, read_image
from signgen.video.images import SUFFIXES, natural_key

__all__ = ["FRAMES", "RELEASE", "SPLITS", "Clip", "PhoenixIndex", "corpus_name", "read_corpus"]

RELEASE_COUNTS = {"train": (7096, 827_354), "dev": (519, 55_775), "test": (642, 64_627)}  # clips, frames of PHOENIX14T
_FRAME = re.compile(r"images(\d+)\.(?:png|jpe?g|webp|bmp)", re.IGNORECASE)
KEYPOINT_SUFFIXES = (".npz", ".json", ".pose", ".pkl")  # the first of these where a clip has several files
_VIDEOS = (".mp4", ".webm", ".mkv", ".avi", ".mov")


def frame_name(number: int) -> str:
    """File name of a clip's frame; numbers count from 1."""
    return f"images{number:04d}.png"


@dataclass(frozen=True)
class FrameListing:
    """What a clip's folder holds.

    Attributes:
        files: frames in order of their numbers: ``images<number>`` (PNG, JPEG, WebP), or else the images of which there
            are most whose names differ in one number.
        missing: numbers from 1 (else from the first one) to the last that no file has.
        stray: names of everything else, which is ignored.
    """

    files: tuple[Path, ...]
    missing: tuple[int, ...]
    stray: tuple[str, ...]


def inner_folder(folder: Path) -> Path:
    """Where a clip's frames really are: in its folder, or in the folder ``1`` in it, where some tools move them."""
    return folder / "1" if (folder / "1").is_dir() else folder


def list_frames(folder: Path) -> FrameListing:
    """The frames of a clip, see `inner_folder`; empty where there is none, or one video instead."""
    folder = inner_folder(folder)
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    found = {int(m[1]): name for name in names if (m := _FRAME.fullmatch(name))}
    found = found or _other_series(names)
    numbers = sorted(found)
    first = 1 if numbers and _FRAME.fullmatch(found[numbers[0]]) else min(numbers, default=1)
    span = numbers[-1] - first + 1 if numbers else 0
    missing = set(range(first, numbers[-1] + 1)) - set(numbers) if 0 < span < 100 * len(numbers) + 1000 else set()
    frames = set(found.values())
    stray = tuple(name for name in names if name not in frames)
    return FrameListing(tuple(folder / found[number] for number in numbers), tuple(sorted(missing)), stray)


def _other_series(names: list[str]) -> dict[int, str]:
    """Number -> name of the largest set of images that differ in one number, such as CSL-Daily's and PHOENIX-2014's."""
    images = [name for name in names if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")]
    kinds = Counter(re.sub(r"[0-9]+", "#", name) for name in images)
    if not kinds:
        return {}
    kind = max(sorted(kinds), key=lambda kind: kinds[kind])
    alike = sorted((name for name in images if re.sub(r"[0-9]+", "#", name) == kind), key=natural_key)
    numbers = numbers_in_names(alike)
    if numbers is None or len(set(numbers)) < len(numbers):
        numbers = [*range(len(alike))]
    return dict(zip(numbers, alike, strict=True))


def count_frames(place: Path) -> int:
    """Frames of a clip's folder or video; 0 where there is none."""
    if not place.is_file():
        return len(list_frames(place).files)
    try:
        return probe(place).frames
    except InputError:
        return 0


def what_lies_in(folder: Path) -> str:
    """A folder's content in a few words, for messages."""
    if not folder.is_dir():
        above = next((place for place in folder.parents if place.is_dir()), Path("."))
        listed = sorted(item.name for item in above.iterdir())[:4]
        return f"there is no {folder.name} ({above.name or above} holds {', '.join(listed) or 'nothing'})"
    kinds = Counter(item.suffix.lower() or ("folders" if item.is_dir() else "files") for item in folder.iterdir())
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4)) or "nothing"


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name, split, speaker: as in the corpus file.
        glosses: the column ``orth``, split at blanks.
        translation: the spoken-language sentence.
        folder: where its frames are, or the file of its video.
        keypoints: its keypoint file, or None.
    """

    name: str
    split: str
    speaker: str
    glosses: tuple[str, ...]
    translation: str
    folder: Path
    keypoints: Path | None

    @cached_property
    def frames(self) -> tuple[Path, ...]:
        """Frame files in order of their numbers; stray files are left out.

        Raises InputError where there is no frame, or one is missing in between.
        """
        listing = list_frames(self.folder)
        if not listing.files:
            got = f"holds no images0001.png (or .jpg, .webp) ...; there: {what_lies_in(self.folder)}"
            raise Empty(self.folder, got, "unpack the release's frames there")
        if listing.missing:
            last = len(listing.files) + len(listing.missing)
            raise Damaged(self.folder, f"lacks frame {listing.missing[0]} of {last}", "unpack the release again")
        return listing.files

    def pictures(self) -> Iterator[np.ndarray]:
        """uint8 (H, W, 3) of each frame. Raises as `frames`, or InputError for one that is damaged."""
        return read_frames(self.folder) if self.folder.is_file() else (read_image(path) for path in self.frames)


class PhoenixIndex:
    """The clips of a data set in PHOENIX14T's layout, or in one of the other `trees`.

    Args:
        root: the folder that holds ``PHOENIX-2014-T-release-v3``, or that folder, or the one inside it; likewise for
            other data sets.
        keypoints: folder of one keypoint file per clip (``<clip>.npz``, .json, .pose or .pkl, also in ``<split>/``),
            and then no other; by default ``keypoints`` beside the release, else the data set's own.

    Raises:
        InputError: no corpus file is found, or one cannot be read.
    """

    def __init__(self, root: str | Path, keypoints: str | Path | None = None) -> None:
        self.root = Path(root)
        self.tree, self.release = _find_release(self.root)
        self.keypoints = Path(keypoints) if keypoints is not None else self._beside("keypoints")
        self._has_own = keypoints is None  # those of the data set are not to stand in for what was asked for
        if keypoints is not None and not self.keypoints.is_dir():
            raise NotFound(keypoints, "is no folder", "give the folder that holds one keypoint file per clip")
        self._clips: dict[str, tuple[Clip, ...]] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose corpus file is there."""
        return tuple(split for split in SPLITS if self.tree.list_of(self.release, split))

    def clips(self, split: str) -> tuple[Clip, ...]:
        """All clips of a split, in the corpus file's order."""
        if split not in self.splits:
            raise NotFound(self.release, f"has no split {split!r}", "it has " + (", ".join(self.splits) or "none"))
        if split not in self._clips:
            self._clips[split] = tuple(self._read(split))
        return self._clips[split]

    def __iter__(self) -> Iterator[Clip]:
        return (clip for split in self.splits for clip in self.clips(split))

    def __len__(self) -> int:
        return sum(len(self.clips(split)) for split in self.splits)

    def folders_without_row(self, split: str) -> tuple[str, ...]:
        """Names of the frame folders of a split that no line of its corpus file names."""
        place = self._places(split)[0]
        known = {clip.folder.name for clip in self.clips(split)}
        if not place.is_dir() or place.name != split:  # a folder that all splits share
            return ()
        return tuple(sorted(item.name for item in place.iterdir() if item.is_dir() and item.name not in known))

    def rows(self, split: str) -> tuple[tuple[str, ...], Rows]:
        """Columns, and (line number, row) of each clip, by PHOENIX14T's columns.

        Raises:
            Damaged, Untrusted: the list of clips is not sound.
        """
        return self.tree.rows(self.release, split)

    @property
    def keypoint_places(self) -> list[Path]:
        """Folders with a keypoint file or folder a clip: ``keypoints`` beside the release, or the data set's own."""
        own = (place for split in self.splits for place in self._own(split))
        return [place for place in dict.fromkeys((self.keypoints, *own)) if place.is_dir()]

    def _own(self, split: str) -> tuple[Path, ...]:
        """Where a data set may bring its own keypoints along; nowhere for those that were asked for."""
        return self.tree.keypoints(self.release, split) if self._has_own else ()

    def _places(self, split: str) -> Sequence[Path]:
        """Where a split's frames or videos are, or the one place where they should be."""
        places = self.tree.frames(self.release, split)
        return [place for place in places if place.is_dir()] or places[:1]

    def _beside(self, name: str) -> Path:
        """The folder `name` in the given root or beside the release."""
        outer = self.release.parent.parent
        return self.root / name if (self.root / name).is_dir() else outer / name

    def _read(self, split: str) -> Iterator[Clip]:
        path, seen = self.tree.list_of(self.release, split) or self.release, set()
        places = self._places(split)
        for number, row in self.rows(split)[1]:
            if row["name"] in seen:
                raise Damaged(path, f"line {number} repeats clip {row['name']}", "clip names must be unique")
            seen.add(row["name"])
            yield Clip(
                row["name"],
                split,
                row["speaker"],
                tuple(row["orth"].split()),
                row["translation"],
                _pictures(places, row),
                self._keypoint_file(split, row["name"]),
            )

    def _keypoint_file(self, split: str, name: str) -> Path | None:
        choices = (
            folder / f"{name}{suffix}"
            for folder in (self.keypoints, self.keypoints / split)
            for suffix in KEYPOINT_SUFFIXES
        )
        folders = (self.keypoints, self.keypoints / split, *self._own(split))
        own = (place / name for place in folders)
        return next((path for path in choices if path.is_file()), next((path for path in own if path.is_dir()), None))


def _pictures(places: Sequence[Path], row: dict[str, str]) -> Path:
    """Of a clip: the folder of its frames or the file of its video, in the first of the places that has either."""
    named = row["video"].removesuffix("*.png").rstrip("/").removesuffix("/1") or row["name"]
    for folder in (place / named for place in places):
        videos = (folder.with_name(f"{folder.name}{suffix}") for suffix in _VIDEOS)
        found = folder if folder.is_dir() else next((video for video in (folder, *videos) if video.is_file()), None)
        if found is not None:
            return found
    return places[0] / named


def is_release(root: str | Path) -> bool:
    """Whether a folder is (or holds) a data set in one of the layouts, as far as its lists of clips tell."""
    try:
        _find_release(Path(root))
    except InputError:
        return False
    return True


def _find_release(root: Path) -> tuple[Tree, Path]:
    for tree in TREES:
        release = tree.find(root)
        if release is not None:
            return tree, release
    sought = ", ".join(tree.sought for tree in TREES)
    advice = f"give the folder that contains {RELEASE.parts[0]}, or another of these data sets"
    raise NotFound(root, f"holds no {sought}; there: {what_lies_in(root)}", advice)
