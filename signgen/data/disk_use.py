"""What `signgen prepare` will take on the disk, told before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from signgen.data.phoenix import PhoenixIndex, list_frames
from signgen.data.prepared import FRAMES, INDEX, KEYPOINTS, Index
from signgen.data.preparing import Plan
from signgen.data.shards import rows_left
from signgen.errors import InputError

MARGIN = 64 << 20  # bytes that are to stay free
POINTS_BYTES = 133 * 3 * 4  # of a frame's keypoints


def frames_in(index: PhoenixIndex, split: str, out: Path) -> int:
    """Frames of a split: those that were found usable, or all that lie in its folders where nobody has looked yet."""
    known = Index.find(out / split / INDEX)
    if known is not None:
        return known.frames
    return sum(len(list_frames(clip.folder).files) for clip in index.clips(split))


def left_of(place: Path, folder: Path, frames: int) -> int:
    """Frames that the shards of ``folder``, in the split folder ``place``, still lack."""
    known = Index.find(place / INDEX)
    return frames if known is None else rows_left(folder, known)


def basic_needs(place: Path, frames: int, size: tuple[int, int], keep_frames: bool) -> dict[str, int]:
    """Bytes still to be written for keypoints and decoded frames of a split folder."""
    needs = {"keypoints": 0 if (place / KEYPOINTS).is_file() else frames * POINTS_BYTES}
    if keep_frames:
        needs["frames"] = left_of(place, place / FRAMES, frames) * size[0] * size[1] * 3
    return needs


def most_sources(index: PhoenixIndex, split: str, frames: int, plan: Plan) -> int:
    """At most so many frames of a split are sources in its protocol."""
    clips = len(index.clips(split))
    if split != "train" or not plan.triplets:
        return clips
    return min(plan.triplets, frames, clips * plan.sources if plan.sources else frames)


def check_free(out: Path, needs: Mapping[str, Mapping[str, int]]) -> int:
    """Bytes that are free where ``out`` is to be; InputError if ``needs`` (split -> part -> bytes) are more."""
    place = out.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    wanted = sum(sum(parts.values()) for parts in needs.values())
    if wanted and wanted + MARGIN > free:
        got = f"needs {amount(wanted)}, {amount(free)} are free"
        raise InputError(out, got, "free some, name a folder on another disk, or leave out frames with --no-frames")
    return free


def amount(size: int) -> str:
    """Bytes in GB (1e9), MB or kB, for people."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e5 else (1e3, "kB")
    return f"{size / unit:,.1f} {name}"
