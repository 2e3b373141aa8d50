"""What is signed again: the data set with a keypoint file a clip, and whether clips were made from these keypoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from signgen.augmentation.jobs import Job
from signgen.augmentation.store import DONE, content_of, files_of
from signgen.dataset.files import locked, read_json, whole_file, write_text
from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.phoenix import PhoenixIndex
from signgen.dataset.survey import frame_size
from signgen.errors import Empty, Mismatch, NotFound
from signgen.keypoints.many_clips import points_in_frame

FPS = 25.0  # of PHOENIX14T, whose keypoint files do not say
USUAL_FRAME = (210, 260)  # of PHOENIX14T, where a data set comes without frames
_UNPACKED = ".source-keypoints"
_NOTE = "unpacked-from.json"
_GO_ON = "give those to go on, or name another folder"


def open_dataset(
    dataset: str | Path, keypoints: Sequence[str | Path], out: Path, place: Path | None = None
) -> PhoenixIndex:
    """The data set, each clip with a keypoint file of its own.

    Files of many clips are unpacked once into ``out``: workers then read one clip at a time, in little memory.

    Args:
        dataset: in PHOENIX14T's layout, or another.
        keypoints: files and folders; none: those beside the data set.
        out: the new data set's folder.
        place: a folder to unpack into, where ``out`` is to stay as it is.

    Raises:
        InputError: there are no such keypoints, or ``out`` was begun with others.
    """
    index = PhoenixIndex(dataset)
    if not keypoints:
        return index
    if len(keypoints) == 1 and Path(keypoints[0]).is_dir():
        beside = PhoenixIndex(dataset, keypoints[0])
        if any(clip.keypoints for clip in beside):
            return beside
    note, source = out / _UNPACKED / _NOTE, None
    if note.is_file():
        _check_note(keypoints, note)
    else:
        source = _find(index, keypoints)  # what is wrong with them is said before anything is written
    place = place or out
    with locked(place):
        _unpack(index, keypoints, source, place / _UNPACKED)
    return PhoenixIndex(dataset, place / _UNPACKED)


def _find(index: PhoenixIndex, places: Sequence[str | Path]) -> KeypointSource:
    source = KeypointSource(places, [clip.name for clip in index])
    if not any(clip.name in source for clip in index):
        listed = ", ".join(map(str, places))
        raise Empty(listed, "no clip of the data set has keypoints there", "give the file or folder that holds them")
    return source


def _unpack(index: PhoenixIndex, places: Sequence[str | Path], source: KeypointSource | None, folder: Path) -> None:
    """``<split>/<clip>.npz`` of every clip that the places know, in pixels of the data set's frames."""
    width, height = frame_size(index) or USUAL_FRAME
    folder.mkdir(exist_ok=True)
    if (folder / _NOTE).is_file():
        _check_note(places, folder / _NOTE)  # another process may have come first, with others
    else:
        note = [{"name": Path(place).name, **_listing(place), "sha256": content_of(Path(place))[1]} for place in places]
        write_text(folder / _NOTE, json.dumps({"places": note}, indent=2) + "\n")
    for clip in index:
        target = folder / clip.split / f"{clip.name}.npz"
        if target.is_file():
            continue
        source = source or _find(index, places)
        if clip.name not in source:
            continue
        raw = source.raw(clip.name, clip.split)
        points, _ = points_in_frame(raw, (width, height), clip.name, anywhere=True)
        with whole_file(target) as temporary, open(temporary, "wb") as file:
            # Not compressed: the same bytes, and so the same digest, wherever they are unpacked.
            np.savez(file, keypoints=points, width=width, height=height, fps=raw.fps or FPS)


def _check_note(places: Sequence[str | Path], note: Path) -> None:
    """Mismatch unless the files were unpacked from these places, or from copies of them."""
    before = read_json(note, f"delete the folder {note.parent}").get("places", [])
    same = len(before) == len(places) and all(
        {**said, **_listing(place)} == said or said["sha256"] == content_of(Path(place))[1]
        for said, place in zip(before, places, strict=True)
    )
    if not same:
        names = ", ".join(said["name"] for said in before)
        raise Mismatch(note.parent.parent, f"was begun with other --keypoints ({names})", _GO_ON)


def _listing(place: str | Path) -> dict[str, Any]:
    """Number, bytes and newest time of a place's files: cheap, and enough where they are the same."""
    place = Path(place)
    if not place.exists():
        raise NotFound(place, "no such file or folder", "give the keypoints' file or folder")
    states = [path.stat() for path in files_of(place)]
    newest = max((state.st_mtime_ns for state in states), default=0)
    return {"files": len(states), "bytes": sum(state.st_size for state in states), "mtime_ns": newest}


# -- of a clip --------------------------------------------------------------------------------------------------------


def keypoints_digest(path: Path | None) -> str | None:
    """SHA-256 of a clip's keypoint file, or of its folder's files; None where it has none that can be read."""
    if path is not None:
        with suppress(OSError):
            return content_of(path)[1]
    return None


def check_keypoints(jobs: Iterable[Job], records: Mapping[str, Mapping[str, Any]]) -> None:
    """Mismatch where a finished clip was made from other keypoints than its source has now.

    Records that do not say from which are those of older versions.
    """
    known: dict[Path | None, str | None] = {}
    for job in jobs:
        record = records.get(job.name, {})
        if record.get("state") != DONE or "keypoints_sha256" not in record:
            continue
        if job.keypoints not in known:
            known[job.keypoints] = keypoints_digest(job.keypoints)
        if known[job.keypoints] != record["keypoints_sha256"]:
            now = f"than {job.keypoints} holds" if job.keypoints else f"and {job.source} now has none"
            raise Mismatch(job.name, f"was made from other keypoints {now}", _GO_ON)
