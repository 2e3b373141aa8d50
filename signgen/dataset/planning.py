"""What `signgen prepare` decides once for a split, before its shards are filled: keypoints, index, protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.dataset.cache import CachedClip
from signgen.dataset.files import NpyWriter, is_whole, open_array, whole_file, write_text
from signgen.dataset.keypoint_source import KeypointSource, newest
from signgen.dataset.phoenix import PhoenixIndex, inner_folder
from signgen.dataset.prepared import (
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
from signgen.dataset.survey import examine_split, frame_size
from signgen.errors import Damaged, Empty, InputError, Mismatch, NotWritable
from signgen.keypoints.many_clips import points_in_frame

SHARD_FRAMES = 2048  # frames of a shard: 335 MB of decoded frames of 210x260


@dataclass(frozen=True)
class Plan:
    """What a split is to hold.

    Attributes:
        places: files and folders of keypoints, empty for those beside the release.
        check: how closely frames are looked at, see `signgen.dataset.survey.broken_frame`.
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

    def most_sources(self, split: str, clips: int, frames: int) -> int:
        """At most so many of a split's ``frames`` are sources in its protocol."""
        if split != "train" or not self.triplets:
            return clips
        return min(self.triplets, frames, clips * self.sources if self.sources else frames)


def mark_folder(out: Path, release: Path, **more: str) -> None:
    """Makes ``out`` a prepared folder of the data set in ``release``; InputError if it holds something else."""
    if is_prepared(out):
        with suppress(Damaged):  # it is written again
            read_mark(out)
    elif out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise NotWritable(out, "is not empty, and signgen prepare did not write it", "name another folder")
    write_text(out / MARK, json.dumps({"version": VERSION, "release": str(release.resolve()), **more}) + "\n")


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
        _check_keypoints(known, index, plan, place, source)
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
            folders.append(inner_folder(state.clip.folder).relative_to(index.release).as_posix())
            file.append(state.points)
        _check_left_out(split, left_out, plan)
    if not kept or size is None:
        raise Empty(place, "no clip is left", "see signgen inspect")
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
        raise Mismatch(path, got, "delete it to have it written again, or name another folder")
    return known


def _names(plan: Plan) -> tuple[str, ...]:
    return tuple(Path(place).name for place in plan.places)


def _check_left_out(split: str, left_out: Sequence[tuple[str, str]], plan: Plan) -> None:
    unusable = [pair for pair in left_out if pair[0] not in plan.skip]
    if unusable and not plan.skip_unusable:
        name, why = unusable[0]
        got = f"{len(unusable)} clips of {split} cannot be used; the first: {why}"
        raise Damaged(name, got, "see signgen inspect for all; repair them, or add --skip-unusable")


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
        raise Mismatch(place, f"was prepared from other {' and '.join(changed)}", "delete it or name another folder")


def _check_keypoints(
    known: Index, index: PhoenixIndex, plan: Plan, place: Path, source: Callable[[], KeypointSource]
) -> None:
    """`Mismatch` where keypoints were written anew since the split was planned and say something else.

    They are opened only if their files are newer: a share of the work is to begin at once.
    """
    planned = (place / INDEX).stat().st_mtime
    if newest(plan.places or index.keypoint_places) <= planned:
        return
    stored, now = open_array(place / KEYPOINTS), source()
    for clip in known.clips:
        if not now.is_newer(clip.name, known.split, planned):
            continue
        try:
            points, _ = points_in_frame(now.raw(clip.name, known.split), known.size, clip.name)
        except InputError:  # damaged, or of another frame: others than those that are stored
            points = stored[:0]
        if not np.array_equal(points, stored[clip.start : clip.stop]):
            got = f"was prepared from other keypoints of {clip.name} than there are now"
            raise Mismatch(place, got, "delete it or name another folder")
