"""A data set looked at closely: its counts beside the known ones, the state of every clip, and why one is left out."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.phoenix import RELEASE_COUNTS, Clip, PhoenixIndex, inner_folder, list_frames, what_lies_in
from signgen.errors import InputError, NotFound
from signgen.keypoints.many_clips import points_in_frame
from signgen.processes import in_processes
from signgen.video import probe, read_frames, read_image

SIZED_CLIPS = 25  # clips that are asked for the size of frames
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk: empty, with its checksum


# -- frames ----------------------------------------------------------------------------------------------------------


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of an image file that has its first and its last bytes, or None if it is none or was cut off.

    It is not decoded: data sets have a million frames.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(24)
            length = file.seek(0, 2)
            file.seek(-min(len(_END), length), 2)
            end = file.read()
    except OSError:
        return None
    if head[:8] == _SIGNATURE:
        whole = len(head) == 24 and head[12:16] == b"IHDR" and end == _END
        return struct.unpack(">II", head[16:24]) if whole else None
    jpeg = head[:2] == b"\xff\xd8" and b"\xff\xd9" in end
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP" and struct.unpack("<I", head[4:8])[0] + 8 <= length
    return _size_by_header(path) if jpeg or webp or head[:2] == b"BM" else None


def _size_by_header(path: Path) -> tuple[int, int] | None:
    """As `read_image` gives it: turned as its EXIF tag says."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            quarter = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return image.size[::-1] if quarter else image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def broken_frame(files: Sequence[Path], size: tuple[int, int] | None, check: str) -> str | None:
    """What is wrong with the first broken frame of a clip, in a few words, or None.

    Args:
        size: what all frames must have, or None for that of the clip's first.
        check: ``names`` looks at nothing, ``ends`` at the header and the last bytes, ``pixels`` decodes every frame.
    """
    for path in () if check == "names" else files:
        got = image_size(path)
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
    sizes = list(islice((size for clip in index if (size := _first_size(clip))), SIZED_CLIPS))
    return Counter(sizes).most_common(1)[0][0] if sizes else None


def _first_size(clip: Clip) -> tuple[int, int] | None:
    """(width, height) of a clip's first frame."""
    if clip.folder.is_file():
        with suppress(InputError):
            return probe(clip.folder).size
        return None
    return next(map(image_size, list_frames(clip.folder).files[:1]), None)


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
    if clip.folder.is_file():
        return _look_at_video(clip, size, check)
    listing = list_frames(clip.folder)
    files, missing = listing.files, listing.missing
    if not files:
        fault = f"has no frames: looked for images0001.png (or .jpg, .webp) or a video; {what_lies_in(clip.folder)}"
    elif missing:
        numbers = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        fault = f"lacks frame {numbers} ({len(missing)} of {len(files) + len(missing)})"
    else:
        fault = broken_frame(files, size, check) or ""
    return ClipState(clip, len(files), listing.stray, left_out=fault)


def _look_at_video(clip: Clip, size: tuple[int, int] | None, check: str) -> ClipState:
    """As `look_at_frames`, for a clip that is one video; ``pixels`` decodes it."""
    try:
        info = probe(clip.folder)
        frames = sum(1 for _ in read_frames(clip.folder)) if check == "pixels" else info.frames
    except InputError as error:
        return ClipState(clip, 0, (), left_out=f"its video {error.got}")
    wrong = size is not None and info.size != size
    fault = f"its video is {info.width}x{info.height}, other frames {size[0]}x{size[1]}" if wrong and size else ""
    return ClipState(clip, frames, (), left_out=fault)


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
    """Keypoints from ``places``, or from the folder ``keypoints`` beside the release, or the data set's own."""
    names = [clip.name for split in splits for clip in index.clips(split)]
    return KeypointSource(places or index.keypoint_places, names)


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
