"""The clips of the finished data set, originals first and new ones after them, never in between."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from signgen.augmentation.jobs import Job, frames_of, plain_name
from signgen.augmentation.store import DONE, Store
from signgen.dataset.files import write_text
from signgen.dataset.keypoint_source import read_clip_points
from signgen.dataset.phoenix import RELEASE, Clip, PhoenixIndex, corpus_name, count_frames, list_frames
from signgen.keypoints.many_clips import points_in_frame
from signgen.video import read_frames, read_image

PNG = ".png"


@dataclass(frozen=True)
class Entry:
    """A clip of the finished set.

    Attributes:
        name, split: of the clip; row: its line of the corpus file by column.
        frames: the folder of its frames, or its video, or None where it has neither; count: frames.
        keypoints: its keypoint file, or None; generated: whether it is new.
    """

    name: str
    split: str
    row: dict[str, str]
    frames: Path | None
    count: int
    keypoints: Path | None
    generated: bool

    def files(self) -> tuple[Path, ...]:
        """Its image files in order; a video has none."""
        return () if self.frames is None else list_frames(self.frames).files

    def needs_png(self) -> bool:
        """Whether it has frames, which are no PNG files."""
        return self.frames is not None and needs_png(self.frames)

    def pngs(self) -> Iterator[bytes]:
        """Each frame as a PNG file, as it is or written anew. InputError for one that is damaged."""
        if self.frames is not None and self.frames.is_file():
            yield from map(_png, read_frames(self.frames))
        for file in self.files():
            yield file.read_bytes() if file.suffix.lower() == PNG else _png(read_image(file))


@dataclass(frozen=True)
class Split:
    """The clips of a split, and the columns of its corpus file."""

    name: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]


def collect(
    index: PhoenixIndex,
    store: Store,
    jobs: Sequence[Job],
    records: Mapping[str, Mapping[str, Any]],
    originals: bool,
    leave_out: bool,
) -> list[Split]:
    """All splits of the data set with their new clips.

    Args:
        index: the source data set; store: where new clips are; jobs: in the order in which clips are appended.
        records: of the manifest; originals: whether they are to be in the set.
        leave_out: whether new clips that failed the gate are not.
    """
    found = []
    for split in index.splits:
        columns, numbered = index.rows(split)
        rows = [row for _, row in numbered]
        by_name = {row["name"]: row for row in rows}
        clips = {clip.name: clip for clip in index.clips(split)}
        old = [_original(store, clips[row["name"]], row) for row in rows] if originals else []
        new = [
            _copy(store, job, by_name[job.source], records[job.name])
            for job in jobs
            if job.split == split and records[job.name]["state"] == DONE
            and not (leave_out and failed_gate(records[job.name]))
        ]  # fmt: skip
        if originals or any(job.split == split for job in jobs):  # a list may be empty, never one of an earlier run
            found.append(Split(split, columns, (*old, *new)))
    return found


def needs_png(place: Path) -> bool:
    """Whether a clip's place is a video, or a folder with frames of another format than PNG."""
    return place.is_file() or any(file.suffix.lower() != PNG for file in list_frames(place).files)


def _png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "png", compress_level=4)
    return buffer.getvalue()


def failed_gate(record: Mapping[str, Any]) -> bool:
    """Whether a clip was judged and did not pass."""
    return not record.get("gate", {}).get("passed", True)


def _original(store: Store, clip: Clip, row: dict[str, str]) -> Entry:
    """A clip of the source data set, under a plain name where CorrNet is to read it."""
    film, count = clip.folder.is_file(), count_frames(clip.folder)
    name = plain_name(clip.name) if store.nested else clip.name
    if film and store.media == "mp4":
        row = {**row, "video": f"{name}{clip.folder.suffix.lower()}"}
    elif film or name != clip.name:
        row = {**row, "name": name, "video": f"{name}/1/*.png"}
    frames = clip.folder if count else None
    return Entry(name, clip.split, row, frames, count or frames_of(clip), clip.keypoints, False)


def _copy(store: Store, job: Job, row: dict[str, str], record: Mapping[str, Any]) -> Entry:
    video = f"{job.name}.mp4" if store.media == "mp4" else f"{job.name}/1/*.png"
    frames = store.frames(job.split, job.name) if store.media == "png" else None
    return Entry(
        job.name, job.split, {**row, "name": job.name, "video": video}, frames, record["frames"],
        store.keypoints(job.name), True,
    )  # fmt: skip


def points_of(entry: Entry, frame: tuple[int, int]) -> np.ndarray | None:
    """float32 (T,133,3) x, y, confidence in pixels of ``frame``; None where the clip has no keypoints."""
    if entry.keypoints is None:
        return None
    return points_in_frame(read_clip_points(entry.keypoints, entry.name), frame, entry.name)[0]


def write(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> list[Path]:
    """PHOENIX14T's own layout: the corpus file of each split, ``|`` between columns and no quoting; the frames lie in
    their folders already."""
    return [corpus(out, split, [split_row(split, entry.row) for entry in split.entries]) for split in splits]


def split_row(split: Split, row: dict[str, str]) -> str:
    """A line of the corpus file in the order of its columns."""
    return "|".join(row[column] for column in split.columns)


def corpus(out: Path, split: Split, lines: Sequence[str]) -> Path:
    """Writes a corpus file of these lines and returns its path."""
    path = out / RELEASE / corpus_name(split.name)
    write_text(path, "\n".join(["|".join(split.columns), *lines]) + "\n")
    return path
