"""A data set looked at closely: its counts beside the known ones, the state of every clip, and why one is left out."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.phoenix import RELEASE_COUNTS, Clip, PhoenixIndex, frame_name, inner_folder, list_frames
from signgen.errors import InputError, NotFound
from signgen.keypoints.many_clips import points_in_frame
from signgen.processes import in_processes
from signgen.video import read_image

SIZED_CLIPS = 25  # clips that are asked for the size of frames
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk: empty, with its checksum


# -- frames ----------------------------------------------------------------------------------------------------------


def png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of a PNG file that has its first and its last bytes, or None if it is none or was cut off.

    It is not decoded: data sets have a million frames.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(24)
            file.seek(-min(len(_END), len(head)), 2)
            end = file.read()
    except OSError:
        return None
    if len(head) < 24 or head[:8] != _SIGNATURE or head[12:16] != b"IHDR" or end != _END:
        return None
    return struct.unpack(">II", head[16:24])


def broken_frame(files: Sequence[Path], size: tuple[int, int] | None, check: str) -> str | None:
    """What is wrong with the first broken frame of a clip, in a few words, or None.

    Args:
        size: what all frames must have, or None for that of the clip's first.
        check: ``names`` looks at nothing, ``ends`` at the header and the last bytes, ``pixels`` decodes every frame.
    """
    for path in () if check == "names" else files:
        got = png_size(path)
        if got is None:
            return f"{path.name} is damaged or cut off"
        size = size or got
        if got != size:
            return f"{path.name} is {got[0]}x{got[1]}, other frames {size[0]}x{size[1]}"
        if check == "pixels" and not _decodes(path):
            return f"{path.name} is damaged"
    return None


def _decodes(path: Path) -> bool:
    try:
        read_image(path)
    except InputError:
        return False
    return True


def frame_size(index: PhoenixIndex) -> tuple[int, int] | None:
    """(width, height) of the data set's frames, or None where there is no whole frame.

    That of most clips' first frames, of the first 25 that have one: a clip of another size is a fault of that clip.
    """
    firsts = (path for clip in index for path in list_frames(clip.folder).files[:1])
    sizes = list(islice((size for path in firsts if (size := png_size(path))), SIZED_CLIPS))
    return Counter(sizes).most_common(1)[0][0] if sizes else None


# -- clips -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipState:
    """What was found of one clip.

    Attributes:
        clip: as in the corpus file.
        frames: frame files in its folder.
        stray: names of other files there, which are ignored.
        points: float32 (T, 133, 3) x, y in pixels of the frames, confidence; None where the clip is left out.
        mended: what was changed in the points, one phrase for each change.
        left_out: why the clip cannot be used, or an empty text.
    """

    clip: Clip
    frames: int
    stray: tuple[str, ...]
    points: np.ndarray | None = None
    mended: tuple[str, ...] = ()
    left_out: str = ""


def look_at_frames(clip: Clip, size: tuple[int, int] | None, check: str) -> ClipState:
    """A clip's folder; ``size`` (width, height) all frames must have, ``check`` as in `broken_frame`."""
    listing = list_frames(clip.folder)
    files, missing = listing.files, listing.missing
    if not files:
        fault = "has no frames"
    elif missing:
        numbers = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        fault = f"lacks frame {numbers} ({len(missing)} of {len(files) + len(missing)})"
    elif any(path.name != frame_name(number) for number, path in enumerate(files, 1)):
        fault = f"frames named unlike {frame_name(1)}"
    else:
        fault = broken_frame(files, size, check) or ""
    return ClipState(clip, len(files), listing.stray, left_out=fault)


def examine(state: ClipState, source: KeypointSource, size: tuple[int, int] | None) -> ClipState:
    """The state with the keypoints of a clip whose folder has been looked at; ``size`` of the data set's frames."""
    clip = state.clip
    if state.left_out or size is None:
        return replace(state, left_out=state.left_out or "has no frames")
    if clip.name not in source:
        return replace(state, left_out="has no keypoints")
    try:
        points, mended = points_in_frame(source.raw(clip.name, clip.split), size, clip.name)
    except InputError as error:
        return replace(state, left_out=f"keypoints: {error.got}")
    if len(points) != state.frames:
        return replace(state, left_out=f"{state.frames} frames but {len(points)} frames of keypoints")
    if not points[..., 2].any():
        return replace(state, left_out="keypoints: no confident point in any frame")
    others = source.others(clip.name, clip.split)
    if others:
        mended.append(f"{others + 1} entries of keypoints: the first is taken")
    return replace(state, points=points, mended=tuple(mended))


def examine_split(
    clips: Sequence[Clip],
    source: KeypointSource,
    size: tuple[int, int] | None,
    check: str,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> Iterator[ClipState]:
    """The state of each clip in turn; frames are looked at by ``jobs`` processes."""
    look = partial(look_at_frames, size=size, check=check)
    for state in in_processes(look, clips, 1 if check == "names" else jobs, chunk=8):
        yield examine(state, source, size)
        advance(1)


# -- splits ----------------------------------------------------------------------------------------------------------


def keypoint_source(index: PhoenixIndex, places: Sequence[str | Path], splits: Sequence[str]) -> KeypointSource:
    """Keypoints from ``places``, or from the folder ``keypoints`` beside the release where none is given."""
    names = [clip.name for split in splits for clip in index.clips(split)]
    beside = [index.keypoints] if index.keypoints.is_dir() else []
    return KeypointSource(places or beside, names)


def chosen_splits(index: PhoenixIndex, wanted: Sequence[str]) -> tuple[str, ...]:
    """``wanted`` in the usual order, or all splits that are there; `NotFound` for one that is not."""
    absent = [split for split in wanted if split not in index.splits]
    if absent:
        raise NotFound(index.release, f"has no split {absent[0]!r}", "it has " + (", ".join(index.splits) or "none"))
    return tuple(split for split in index.splits if not wanted or split in wanted)


def survey(
    index: PhoenixIndex,
    splits: Sequence[str],
    source: KeypointSource,
    check: str,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Any]:
    """The report of `signgen inspect DATASET` as plain data."""
    size = frame_size(index)
    found = {}
    for split in splits:
        states = examine_split(index.clips(split), source, size, check, jobs, advance)
        found[split] = _counts(index, split, [replace(state, points=None) for state in states])
    return {
        "dataset": str(index.release),
        "frame_size": list(size) if size else None,
        "check": check,
        "keypoint_formats": list(source.formats),
        "keypoints_of_no_clip": source.unmatched,
        "splits": found,
    }


def _counts(index: PhoenixIndex, split: str, states: Sequence[ClipState]) -> dict[str, Any]:
    """A split in numbers, PHOENIX14T's own beside; one pair (clip, words) for each thing changed or left out."""
    usable = [state for state in states if not state.left_out]
    return {
        "clips": len(states),
        "frames": sum(state.frames for state in states),
        "phoenix14t": dict(zip(("clips", "frames"), RELEASE_COUNTS[split], strict=True)),
        "usable_clips": len(usable),
        "usable_frames": sum(state.frames for state in usable),
        "speakers": sorted({state.clip.speaker for state in states}),
        "stray_files": [f"{state.clip.name}/{name}" for state in states for name in state.stray],
        "folders_elsewhere": [[state.clip.name, place] for state in states if (place := _elsewhere(index, state.clip))],
        "folders_without_row": list(index.folders_without_row(split)),
        "mended": [[state.clip.name, words] for state in states for words in state.mended],
        "left_out": [[state.clip.name, state.left_out] for state in states if state.left_out],
    }


def _elsewhere(index: PhoenixIndex, clip: Clip) -> str:
    """Where a clip's folder really is, if links lead out of the data set; else an empty text."""
    place = inner_folder(clip.folder).resolve()
    return "" if place.is_relative_to(index.release.resolve()) else str(place)
