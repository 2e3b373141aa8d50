"""What `signgen prepare` does once for a split: the keypoint store, the index, the protocol."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.dataset.cache import CachedClip
from signgen.dataset.files import NpyWriter, whole_file, write_text
from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.opening import Damaged, is_whole
from signgen.dataset.phoenix import PhoenixIndex, list_frames
from signgen.dataset.prepared import (
    FRAMES,
    INDEX,
    KEYPOINTS,
    MARK,
    PROTOCOL,
    VERSION,
    Index,
    is_prepared,
    read_mark,
    shard_borders,
)
from signgen.dataset.protocol import TRIPLETS, Protocol, first_to_every, within_clip
from signgen.dataset.shards import rows_left
from signgen.dataset.survey import examine_split, frame_size
from signgen.errors import InputError

SHARD_FRAMES = 2048  # frames of a shard: 335 MB of decoded frames of 210x260


@dataclass(frozen=True)
class Plan:
    """What a split is to hold.

    Attributes:
        places: files and folders of keypoints, empty for those beside the release.
        check: how closely frames are looked at, see `signgen.dataset.opening`.
        skip: clips to leave out; skip_unusable: leave out every clip that cannot be used, instead of an error.
        triplets: pairs to draw in the train split, 0 = none; sources: source frames of a clip, 0 = all.
        seed: of the triplets.
        shard_frames: most frames of a shard.
    """

    places: tuple[str, ...] = ()
    check: str = "ends"
    skip: tuple[str, ...] = ()
    skip_unusable: bool = False
    triplets: int = TRIPLETS
    sources: int = 0
    seed: int = 0
    shard_frames: int = SHARD_FRAMES


def mark_folder(out: Path, index: PhoenixIndex) -> None:
    """Makes ``out`` a prepared folder; InputError if it holds something else."""
    if is_prepared(out):
        with suppress(Damaged):  # it is written anew
            read_mark(out)
    elif out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise InputError(out, "is not empty, and signgen prepare did not write it", "name another folder")
    write_text(out / MARK, json.dumps({"version": VERSION, "release": str(index.release.resolve())}) + "\n")


def plan_split(
    index: PhoenixIndex,
    split: str,
    out: Path,
    plan: Plan,
    source: Callable[[], KeypointSource],
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> Index:
    """Looks at every clip of a split, writes its keypoints and its index; one that is there is taken as it is.

    Args:
        source: opens the keypoints, when they are needed. jobs: processes that look at frames.

    Raises:
        InputError: a clip cannot be used and was not to be skipped, or ``out`` was made from something else.
    """
    place = out / split
    known = Index.find(place / INDEX)
    if known is not None and is_whole(place / KEYPOINTS, known.frames):
        _check_same(known, index, plan, place)
        advance(len(index.clips(split)))
        return known
    size = frame_size(index)
    clips = [clip for clip in index.clips(split) if clip.name not in plan.skip]
    kept: list[CachedClip] = []
    folders: list[str] = []
    mended: list[tuple[str, str]] = []
    left_out = [(clip.name, "was to be skipped") for clip in index.clips(split) if clip.name in plan.skip]
    advance(len(left_out))
    with whole_file(place / KEYPOINTS) as temporary, NpyWriter(temporary, (133, 3), np.float32) as file:
        for state in examine_split(clips, source(), size, plan.check, jobs, advance):
            mended += [(state.clip.name, words) for words in state.mended]
            if state.points is None:
                left_out.append((state.clip.name, state.left_out))
                continue
            start = kept[-1].stop if kept else 0
            kept.append(CachedClip(state.clip.name, state.clip.speaker, start, start + state.frames))
            folders.append(_frame_folder(state.clip.folder, index.release))
            file.append(state.points)
        _check_left_out(split, left_out, plan)
    if not kept or size is None:
        raise InputError(place, "no clip is left", "see signgen inspect")
    borders = shard_borders([clip.stop - clip.start for clip in kept], plan.shard_frames)
    found = Index(split, size, tuple(kept), tuple(folders), borders, _names(plan), tuple(mended), tuple(left_out))
    write_text(place / INDEX, found.to_json())  # last: without it the split is not planned
    return found


def write_protocol(out: Path, index: Index, plan: Plan) -> Protocol | None:
    """The split's pairs: triplets for train, first frame to every frame for the others; see `signgen.dataset.protocol`.

    Raises:
        InputError: there are others already.
    """
    if index.split == "train" and not plan.triplets:
        return None
    if index.split == "train":
        made = within_clip(index.lengths, plan.triplets, plan.seed, plan.sources)
    else:
        made = first_to_every(index.lengths)
    path = out / index.split / PROTOCOL
    try:
        known = Protocol.load(path)
    except Damaged:
        made.save(path)
        return made
    same = len(known) == len(made) and np.array_equal(known.target, made.target)
    if not (same and np.array_equal(known.source, made.source) and np.array_equal(known.clip, made.clip)):
        got = f"holds {len(known):,} pairs of seed {known.seed} ({known.rule})"
        raise InputError(path, got, "delete it to have it made anew, or name another folder")
    return known


def _frame_folder(folder: Path, release: Path) -> str:
    """Where the frames really are, relative to the release."""
    inner = folder / "1"
    return (inner if inner.is_dir() else folder).relative_to(release).as_posix()


def _names(plan: Plan) -> tuple[str, ...]:
    return tuple(Path(place).name for place in plan.places)


def _check_left_out(split: str, left_out: Sequence[tuple[str, str]], plan: Plan) -> None:
    unusable = [pair for pair in left_out if pair[0] not in plan.skip]
    if unusable and not plan.skip_unusable:
        name, why = unusable[0]
        got = f"{len(unusable)} clips of {split} cannot be used; the first: {why}"
        raise InputError(name, got, "see signgen inspect for all; mend them, or add --skip-unusable")


def _check_same(known: Index, index: PhoenixIndex, plan: Plan, place: Path) -> None:
    """A folder goes on only from what it was begun from."""
    there = {clip.name for clip in known.clips} | {name for name, _ in known.left_out}
    changed = []
    if there != {clip.name for clip in index.clips(known.split)}:
        changed.append("clips")
    if known.keypoints != _names(plan):
        changed.append(f"keypoints ({', '.join(known.keypoints) or 'those beside the release'})")
    if {name for name, why in known.left_out if why == "was to be skipped"} != set(plan.skip) & there:
        changed.append("skipped clips")
    if changed:
        raise InputError(place, f"was prepared from other {' and '.join(changed)}", "delete it or name another folder")


# What `signgen prepare` will take on the disk, told before it begins.


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
