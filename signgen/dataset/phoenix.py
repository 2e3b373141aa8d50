"""RWTH-PHOENIX-Weather 2014 T as it lies on disk, and every data set in its layout.

    PHOENIX-2014-T-release-v3/PHOENIX-2014-T/
      annotations/manual/PHOENIX-2014-T.<split>.corpus.csv        name|video|start|end|speaker|orth|translation
      features/fullFrame-210x260px/<split>/<name>/images0001.png ...

The corpus files are separated by ``|`` and know no quoting. Their column ``video`` says ``<name>/1/*.png``, a folder
``1`` that the release does not have; it is found either way. Other files in a frame folder are ignored.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from signgen.errors import Damaged, Empty, InputError, NotFound, Untrusted

SPLITS = ("train", "dev", "test")
RELEASE_COUNTS = {"train": (7096, 827_354), "dev": (519, 55_775), "test": (642, 64_627)}  # clips, frames of PHOENIX14T
_COLUMNS = ("name", "video", "start", "end", "speaker", "orth", "translation")
RELEASE = Path("PHOENIX-2014-T-release-v3", "PHOENIX-2014-T")
FRAMES = Path("features", "fullFrame-210x260px")
_FRAME = re.compile(r"images(\d+)\.png")
KEYPOINT_SUFFIXES = (".npz", ".json", ".pose", ".pkl")  # the first of these where a clip has several files


def corpus_name(split: str) -> Path:
    """The corpus file of a split, relative to the release."""
    return Path("annotations", "manual", f"PHOENIX-2014-T.{split}.corpus.csv")


def frame_name(number: int) -> str:
    """File name of a clip's frame; numbers count from 1."""
    return f"images{number:04d}.png"


@dataclass(frozen=True)
class FrameListing:
    """What a clip's folder holds.

    Attributes:
        files: ``images<number>.png`` in order of their numbers.
        missing: numbers from 1 to the last one that no file has.
        stray: names of everything else, which is ignored.
    """

    files: tuple[Path, ...]
    missing: tuple[int, ...]
    stray: tuple[str, ...]


def inner_folder(folder: Path) -> Path:
    """Where a clip's frames really are: in its folder, or in the folder ``1`` in it, where some tools move them."""
    return folder / "1" if (folder / "1").is_dir() else folder


def list_frames(folder: Path) -> FrameListing:
    """The frames of a clip, see `inner_folder`; empty where there is none."""
    folder = inner_folder(folder)
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    found = {int(m[1]): name for name in names if (m := _FRAME.fullmatch(name))}
    numbers = sorted(found)
    missing = set(range(1, numbers[-1] + 1)) - set(numbers) if numbers else set()
    frames = set(found.values())
    stray = tuple(name for name in names if name not in frames)
    return FrameListing(tuple(folder / found[number] for number in numbers), tuple(sorted(missing)), stray)


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name, split, speaker: as in the corpus file.
        glosses: the column ``orth``, split at blanks.
        translation: the spoken-language sentence.
        folder: where its frames are.
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
            raise Empty(self.folder, "holds no images0001.png ...", "unpack the release's frames there")
        if listing.missing:
            last = len(listing.files) + len(listing.missing)
            raise Damaged(self.folder, f"lacks frame {listing.missing[0]} of {last}", "unpack the release again")
        return listing.files


class PhoenixIndex:
    """The clips of a data set in PHOENIX14T's layout.

    Args:
        root: the folder that holds ``PHOENIX-2014-T-release-v3``, or that folder, or the one inside it.
        keypoints: folder of one keypoint file per clip (``<clip>.npz``, .json, .pose or .pkl, also in ``<split>/``);
            by default ``keypoints`` beside the release.

    Raises:
        InputError: no corpus file is found, or one cannot be read.
    """

    def __init__(self, root: str | Path, keypoints: str | Path | None = None) -> None:
        self.root = Path(root)
        self.release = _find_release(self.root)
        self.keypoints = Path(keypoints) if keypoints is not None else self._beside("keypoints")
        if keypoints is not None and not self.keypoints.is_dir():
            raise NotFound(keypoints, "is no folder", "give the folder that holds one keypoint file per clip")
        self._clips: dict[str, tuple[Clip, ...]] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose corpus file is there."""
        return tuple(split for split in SPLITS if self.corpus(split).is_file())

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
        place = self.release / FRAMES / split
        known = {clip.folder.name for clip in self.clips(split)}
        if not place.is_dir():
            return ()
        return tuple(sorted(item.name for item in place.iterdir() if item.is_dir() and item.name not in known))

    def corpus(self, split: str) -> Path:
        """The corpus file of a split."""
        return self.release / corpus_name(split)

    def _beside(self, name: str) -> Path:
        """The folder `name` in the given root or beside the release."""
        outer = self.release.parent.parent
        return self.root / name if (self.root / name).is_dir() else outer / name

    def _read(self, split: str) -> Iterator[Clip]:
        path, seen = self.corpus(split), set()
        for number, row in read_corpus(path)[1]:
            if row["name"] in seen:
                raise Damaged(path, f"line {number} repeats clip {row['name']}", "clip names must be unique")
            seen.add(row["name"])
            yield Clip(
                row["name"],
                split,
                row["speaker"],
                tuple(row["orth"].split()),
                row["translation"],
                self._folder(split, row),
                self._keypoint_file(split, row["name"]),
            )

    def _folder(self, split: str, row: dict[str, str]) -> Path:
        named = row["video"].removesuffix("*.png").rstrip("/")
        named = named.removesuffix("/1") or row["name"]
        return self.release / FRAMES / split / named

    def _keypoint_file(self, split: str, name: str) -> Path | None:
        choices = (
            folder / f"{name}{suffix}"
            for folder in (self.keypoints, self.keypoints / split)
            for suffix in KEYPOINT_SUFFIXES
        )
        return next((path for path in choices if path.is_file()), None)


def is_release(root: str | Path) -> bool:
    """Whether a folder is (or holds) a data set in PHOENIX14T's layout, as far as its corpus files tell."""
    try:
        _find_release(Path(root))
    except InputError:
        return False
    return True


def _find_release(root: Path) -> Path:
    for release in (root / RELEASE, root / RELEASE.name, root):
        if any(release.glob(str(corpus_name("*")))):
            return release
    raise NotFound(
        root,
        "holds no PHOENIX-2014-T.<split>.corpus.csv in annotations/manual",
        f"give the folder that contains {RELEASE.parts[0]}",
    )


def read_corpus(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Columns, and (line number, row) of each line; `Damaged` or `Untrusted` for a corpus file that is not sound."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Damaged(path, f"is not UTF-8 at byte {error.start}", "unpack the release's own file again") from error
    reader = csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
    header = next(reader, [])
    absent = [column for column in _COLUMNS if column not in header]
    if absent:
        raise Damaged(path, f"lacks the columns {', '.join(absent)}", "its first line must be " + "|".join(_COLUMNS))
    rows = []
    for number, fields in enumerate(reader, 2):
        if not fields:
            continue
        if len(fields) != len(header):
            raise Damaged(path, f"line {number} has {len(fields)} fields", f"each line needs {len(header)}")
        row = dict(zip(header, fields, strict=True))
        if _unsafe(row["name"]) or _unsafe(row["video"].removesuffix("/1/*.png")):
            raise Untrusted(path, f"line {number} names the clip {row['name']!r}", "a name is one plain folder name")
        rows.append((number, row))
    return tuple(header), rows


def _unsafe(name: str) -> bool:
    """Whether a name could lead out of the data set's folders."""
    return not name or name in (".", "..") or any(sign in name for sign in "/\\\0")
