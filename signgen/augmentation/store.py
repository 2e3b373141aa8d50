"""Where the clips of an augmented data set lie, and the manifest that says what was made.

    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/<split>/<clip>/[1/]images0001.png ...
                                       both with and without 1/ where 1 is a link to the clip's own folder
    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/videos/<split>/<clip>.mp4      instead, with media mp4
    OUT/keypoints/<clip>.npz           what was rendered, in pixels of the frames
    OUT/signers/<name>.png, .npz       drawn signers, drawn once: all machines then start from the same bytes
    OUT/augment.json                   how the set is made
    OUT/manifest/part-I-of-N.jsonl     what was made: one JSON line a clip

A clip's keypoints and frames appear together, and its line in the manifest comes last. A process that is killed leaves
at most one torn line at the end, which counts for nothing: its clip is made again. Each share of the work has a
manifest of its own, for not every network disk appends lines of two machines one after the other. When a share is done,
its lines are put into the order of the plan: however often it was stopped, they then differ in ``seconds`` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.augmentation.settings import Settings
from signgen.dataset import phoenix
from signgen.errors import Damaged, Mismatch, NotWritable, RunError, Unsupported
from signgen.files import Staging, place_file, remove_leftovers, writing

FRAMES = phoenix.RELEASE / phoenix.FRAMES
VIDEOS = phoenix.RELEASE / "videos"
KEYPOINTS, SIGNERS, MANIFEST = Path("keypoints"), "signers", "manifest"
DONE, LEFT_OUT = "done", "left_out"
# What may differ between two records of the same clip: when and how fast, not what.
_INCIDENTAL = {"seconds", "worker"}
_AT_ONCE = 2**20  # bytes
_NOT_ALWAYS = {"keypoints_sha256"}  # which records of older versions do not have


@dataclass(frozen=True)
class Store:
    """The places of an augmented data set.

    Attributes:
        out: its folder.
        media: ``png``, ``mp4`` or ``none``.
        nested: frames are found in a folder ``1`` inside the clip's own.
        flat: they are found in the clip's own folder as well.
    """

    out: Path
    media: str = "png"
    nested: bool = False
    flat: bool = False

    def keypoints(self, name: str) -> Path:
        """The clip's keypoint file."""
        return self.out / KEYPOINTS / f"{name}.npz"

    def clip(self, split: str, name: str) -> Path:
        """The clip's folder, or its video."""
        if self.media == "mp4":
            return self.out / VIDEOS / split / f"{name}.mp4"
        return self.out / FRAMES / split / name

    def frames(self, split: str, name: str) -> Path:
        """What a reader of frames is given: the folder of PNG files, or the video."""
        place = self.clip(split, name)
        return place / "1" if self.nested and not self.flat and self.media == "png" else place

    def place(self, staging: Staging, target: Path) -> Path:
        """Where to write what shall become ``target``, whose folder is made."""
        with writing(target, "see to space and permissions"):
            target.parent.mkdir(parents=True, exist_ok=True)
        return staging.place(target)

    def link_inner(self, folder: Path) -> None:
        """Lets ``1`` lead to ``folder`` itself, where readers of both kinds are to find its frames."""
        if not self.flat:
            return
        try:
            (folder / "1").symlink_to(".", target_is_directory=True)
        except OSError as error:
            got = f"phoenix14t and corrnet in one folder need links, which cannot be made there ({error.strerror})"
            raise Unsupported("--layout", got, "give one of them, or another disk") from None

    def clear(self) -> None:
        """Removes what killed processes left unfinished. To be called when nobody is at work."""
        for folder in (KEYPOINTS, *(place / split for place in (FRAMES, VIDEOS) for split in phoenix.SPLITS)):
            remove_leftovers(self.out / folder, deep=False, of_all=True)


def store_of(out: Path, settings: Settings) -> Store:
    """The places of a set that is made with these settings."""
    return Store(out, settings.media, settings.nested, settings.nested and settings.flat)


def content_of(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, or of all files of a folder in order of their names."""
    digest, size = hashlib.sha256(), 0
    for place in files_of(path):
        with place.open("rb") as file:
            while data := file.read(_AT_ONCE):
                digest.update(data)
                size += len(data)
    return size, digest.hexdigest()


def files_of(place: Path) -> list[Path]:
    """All files of a folder in order of their names, or the file itself."""
    return sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]


# -- the manifest ----------------------------------------------------------------------------------------------------


def part_path(out: Path, number: int, count: int) -> Path:
    """The manifest of share ``number`` of ``count``."""
    return out / MANIFEST / f"part-{number:04d}-of-{count:04d}.jsonl"


class Part:
    """The manifest of one share, open for appending; made by `open_part`."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle

    def append(self, record: dict[str, Any]) -> None:
        """One record: whole with a line end, or to be ignored. RunError where it cannot be written."""
        line = _line(record)
        try:
            written = os.write(self._handle, line)
            if written < len(line):
                raise OSError(28, "the disk is full")
            os.fsync(self._handle)
        except OSError as error:
            advice = "see to the space and give the same command again: what is finished is kept"
            raise RunError(self.path, f"cannot be written ({error.strerror})", advice) from None

    def arrange(self, names: Sequence[str]) -> None:
        """The records in the order of ``names``, and after them those of other clips, without what was replaced."""
        places = {name: place for place, name in enumerate(names)}
        records = list(_read(self.path))
        last: dict[str, dict[str, Any]] = {}
        for record in records:
            last[record["clip"]] = _valid(last.get(record["clip"]), record)
        valid = [record for record in records if record["state"] == DONE or record is last[record["clip"]]]
        ordered = sorted(valid, key=lambda record: places.get(record["clip"], len(places)))
        if ordered != records:
            place_file(self.path, b"".join(map(_line, ordered)))


@contextmanager
def open_part(out: Path, number: int = 1, count: int = 1) -> Iterator[Part]:
    """The manifest of a share, for one process at a time; a torn last line is cut off first.

    Raises:
        InputError: another process is at work on this share.
    """
    path = part_path(out, number, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _lock(handle, path)
        _cut_torn_line(handle)
        yield Part(path, handle)
    finally:
        os.close(handle)


def read_records(out: Path) -> dict[str, dict[str, Any]]:
    """The record of each clip, over all shares: that it is done where it once was left out, else the last one.

    Raises:
        InputError: a line is damaged, or two records of a finished clip say different things.
    """
    records: dict[str, dict[str, Any]] = {}
    for path in _parts(out):
        for record in _read(path):
            before = records.get(record["clip"])
            if before is not None and before["state"] == record["state"] == DONE and not same_content(before, record):
                advice = "one of them was made with other settings or weights: delete the clip's lines and run again"
                raise Mismatch(path, f"makes {record['clip']} a second time, differently", advice)
            records[record["clip"]] = _valid(before, record)
    return records


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records of a clip say the same but for when it was made, and how fast."""
    names = (one.keys() | other.keys()) - _INCIDENTAL - (_NOT_ALWAYS & (one.keys() ^ other.keys()))
    return all(one.get(name) == other.get(name) for name in names)


def count_made(out: Path) -> int:
    """How often clips were made, over all shares; more than there are clips where one was made twice."""
    return sum(record["state"] == DONE for path in _parts(out) for record in _read(path))


def _parts(out: Path) -> list[Path]:
    return sorted((out / MANIFEST).glob("part-*-of-*.jsonl"))


def _valid(before: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """Which of two records of a clip counts: shares know no order in time, so that a clip is done beats all others."""
    return record if before is None or before["state"] == LEFT_OUT else before


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogateescape")


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return  # torn by a kill, or being written
            try:
                record = json.loads(line)
                if not isinstance(record["clip"], str) or record["state"] not in (DONE, LEFT_OUT):
                    raise ValueError
            except (ValueError, KeyError, TypeError, RecursionError):
                got, advice = f"line {number} is damaged", "delete that line and give the same command again"
                raise Damaged(path, got, advice) from None
            yield record


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise NotWritable(path, "another process is at work on this share", "wait for it, or end it first") from None


def _cut_torn_line(handle: int) -> None:
    """Cuts off what follows the last line end."""
    with open(handle, "rb", closefd=False) as file:
        lines = file.read()
    os.ftruncate(handle, lines.rfind(b"\n") + 1)
