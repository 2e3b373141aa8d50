"""`signgen prepare` from its arguments to its report: look at the clips, plan the shards, fill them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from signgen.dataset.encoded import Encoders, latents_name, sources_of, token_shards, tokens_name, write_encoded
from signgen.dataset.files import locked
from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.phoenix import PhoenixIndex, count_frames, what_lies_in
from signgen.dataset.planning import Plan, mark_folder, plan_split, write_protocol
from signgen.dataset.prepared import FRAMES, INDEX, KEYPOINTS, Index, open_prepared, write_frames
from signgen.dataset.shards import Shards
from signgen.dataset.survey import chosen_splits, frame_size, keypoint_source
from signgen.errors import Empty, Missing, NotFound, TooLarge
from signgen.files import free_bytes, remove_leftovers

MARGIN = 64 << 20  # bytes of the disk that are to stay free
POINTS_BYTES = 133 * 3 * 4  # of a frame's keypoints

Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
Needs = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Work:
    """What one process is to prepare.

    Attributes:
        data, out: the data set, and the folder to write.
        plan: what the splits are to hold; splits: which ones, empty for all.
        keep_frames: write decoded frames, too.
        encoders: loads the encoders, or returns some without any.
        share: (I, N), this process's share of the shards; jobs: its processes for reading frames.
    """

    data: str
    out: Path
    encoders: Callable[[], Encoders]
    plan: Plan = field(default_factory=Plan)
    splits: tuple[str, ...] = ()
    keep_frames: bool = True
    share: tuple[int, int] = (1, 1)
    jobs: int = 1


def prepare(work: Work, say: Callable[[Needs, int], None], progress: Progress, dry_run: bool = False) -> dict[str, Any]:
    """Does the work and returns its report as plain data.

    Args:
        say: called with the bytes to be written, split -> part -> bytes, and the free ones, before anything is written.
        progress: opens a bar of so many steps under a name.
        dry_run: end after that.
    """
    begun = time.monotonic()
    index = PhoenixIndex(work.data)
    splits = chosen_splits(index, work.splits)
    unknown = set(work.plan.skip) - {clip.name for clip in index}
    if unknown:
        raise NotFound("--skip", f"{sorted(unknown)[0]} is no clip of the data set", "see its corpus files")
    size = frame_size(index)
    if size is None:
        raise Empty(index.release, f"holds no frame: {_looked_for(index)}", "unpack the release's frames there")
    encoders = work.encoders()
    names = names_of(encoders, size)
    needs = {split: _needs(work, index, split, size, encoders, names) for split in splits}
    free = check_free(work.out, sum(sum(parts.values()) for parts in needs.values()), "leave out frames (--no-frames)")
    say(needs, free)
    report: dict[str, Any] = {"output": str(work.out), "bytes": needs, "free_bytes": free, "splits": {}}
    if dry_run:
        return report
    for part in _planned(work, index, splits, progress):
        report["splits"][part.split] = filled(work, index.release, part, encoders, names, progress)
    report["seconds"] = round(time.monotonic() - begun, 1)
    return report


def _looked_for(index: PhoenixIndex) -> str:
    """Where the first clip's frames should be, and what lies there."""
    folder = next(iter(index)).folder if len(index) else index.release
    sought = f"{folder.relative_to(index.release)}/images0001.png (.jpg, .webp) or a video"
    return f"looked for {sought}; {what_lies_in(folder)}"


def names_of(encoders: Encoders, size: tuple[int, int]) -> dict[str, str]:
    """Folders of the wanted latents and tokens of frames of ``size``; the weights are hashed once."""
    names = {}
    if encoders.vae is not None:
        names["latents"] = latents_name(encoders.vae, encoders.canvas, size)
    if encoders.image_encoder is not None:
        names["tokens"] = tokens_name(encoders.image_encoder, encoders.image_size, encoders.canvas, size)
    return names


# -- what it will take on the disk -----------------------------------------------------------------------------------


def _needs(
    work: Work, index: PhoenixIndex, split: str, size: tuple[int, int], encoders: Encoders, names: dict[str, str]
) -> dict[str, int]:
    clips, known = index.clips(split), Index.find(work.out / split / INDEX)
    frames = known.frames if known is not None else sum(count_frames(clip.folder) for clip in clips)
    return bytes_left(work, split, size, frames, work.plan.most_sources(split, len(clips), frames), encoders, names)


def bytes_left(
    work: Work, split: str, size: tuple[int, int], frames: int, sources: int, encoders: Encoders, names: dict[str, str]
) -> dict[str, int]:
    """Part -> bytes of a split of so many ``frames`` and ``sources`` that are still to be written, by all processes
    together; ``names`` as `names_of` gives them."""
    place = work.out / split
    blank = np.zeros((1, size[1], size[0], 3), np.uint8)
    needs = {"keypoints": 0 if (place / KEYPOINTS).is_file() else frames * POINTS_BYTES}
    if work.keep_frames:
        needs["frames"] = _unwritten(place / FRAMES, frames * blank.nbytes)
    if "latents" in names:
        needs["latents"] = _unwritten(place / names["latents"], frames * encoders.latents(blank).nbytes)
    if "tokens" in names:
        needs["tokens"] = _unwritten(place / names["tokens"], sources * encoders.tokens(blank).nbytes)
    return needs


def _unwritten(folder: Path, size: int) -> int:
    """What shards of ``size`` bytes together still lack."""
    return max(0, size - sum(path.stat().st_size for path in folder.glob("[0-9]*.npy")))


def check_free(out: Path, wanted: float, or_else: str) -> int:
    """Bytes that are free where ``out`` is to be; `TooLarge` if fewer than wanted."""
    free = free_bytes(out.absolute())
    if wanted and wanted + MARGIN > free:
        got = f"needs about {amount(wanted)}, {amount(free)} are free"
        raise TooLarge(out, got, f"free some, name a folder on another disk, or {or_else}")
    return free


def amount(size: float) -> str:
    """Bytes in GB (1e9), MB or kB, for people."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e5 else (1e3, "kB")
    return f"{size / unit:,.1f} {name}"


# -- the work --------------------------------------------------------------------------------------------------------


def _planned(work: Work, index: PhoenixIndex, splits: tuple[str, ...], progress: Progress) -> list[Index]:
    """Keypoints, indices and protocols, by one process at a time; the keypoints are read once, and only if needed."""
    opened: list[KeypointSource] = []

    def source() -> KeypointSource:
        if not work.plan.places and not index.keypoint_places:
            got = "has no folder keypoints beside the release"
            raise Missing(work.data, got, "say where they are: --keypoints FILE|FOLDER")
        if not opened:
            opened.append(keypoint_source(index, work.plan.places, splits))
        return opened[0]

    work.out.mkdir(parents=True, exist_ok=True)
    found = []
    with locked(work.out), progress(sum(len(index.clips(split)) for split in splits), "clips") as advance:
        mark_folder(work.out, index.release)
        remove_leftovers(work.out)
        for split in splits:
            found.append(plan_split(index, split, work.out, work.plan, source, work.jobs, advance))
            write_protocol(work.out, found[-1], work.plan)
    return found


def filled(
    work: Work, release: Path, index: Index, encoders: Encoders, names: dict[str, str], progress: Progress
) -> dict[str, Any]:
    """This share's shards of a split of the data set in ``release``, and what was found and is left."""
    place, left = work.out / index.split, dict[str, int]()
    if work.keep_frames:
        shards = Shards(place / FRAMES, index.shards)
        with progress(shards.rows_left(work.share), f"{index.split} frames") as advance:
            write_frames(shards, index, release, work.share, work.jobs, advance)
        left["frames"] = len(shards.left())
    cache = open_prepared(work.out, index.split, frames=not left.get("frames"))
    for kind, name in names.items():
        frames = np.arange(index.frames) if kind == "latents" else sources_of(cache)
        shards = Shards(place / name, index.shards) if kind == "latents" else token_shards(place / name, frames)
        with progress(shards.rows_left(work.share), f"{index.split} {kind}") as advance:
            write_encoded(shards, frames, cache, getattr(encoders, kind), work.share, advance)
        left[kind] = len(shards.left())
    pairs = np.zeros((0, 2)) if cache.triplets is None else cache.triplets
    return {
        "clips": len(index.clips), "frames": index.frames, "pairs": len(pairs),
        "self_pairs": int((pairs[:, 0] == pairs[:, 1]).sum()),
        "pairs_wanted": work.plan.triplets if index.split == "train" and not index.pictures else len(pairs),
        "mended": [list(pair) for pair in index.mended], "left_out": [list(pair) for pair in index.left_out],
        "shards_left": left,
    }  # fmt: skip
