"""`signgen prepare` from its options to its report: which steps there are, and in which order."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from signgen.data.disk_use import basic_needs, check_free, frames_in, left_of, most_sources
from signgen.data.files import locked, remove_leftovers
from signgen.data.keypoint_source import KeypointSource
from signgen.data.phoenix import PhoenixIndex
from signgen.data.prepared import FRAMES, Index, open_prepared
from signgen.data.preparing import Plan, mark_folder, plan_split, write_protocol
from signgen.data.shards import Part, left_to_do, rows_left, write_frames
from signgen.data.survey import chosen_splits, frame_size, keypoint_source
from signgen.errors import InputError
from signgen.training.encoding import Encoders, sources_of, tokens_left, write_latents, write_tokens

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
        part: this process's share of the shards; jobs: its processes for reading frames.
    """

    data: str
    out: Path
    encoders: Callable[[], Encoders]
    plan: Plan = field(default_factory=Plan)
    splits: tuple[str, ...] = ()
    keep_frames: bool = True
    part: Part = field(default_factory=Part)
    jobs: int = 1


def prepare(work: Work, say: Callable[[Needs, int], None], progress: Progress, dry_run: bool = False) -> dict[str, Any]:
    """Does the work and returns its report as plain data.

    Args:
        say: told the bytes to be written, split -> part -> bytes, and the free ones, before anything is written.
        progress: opens a bar of so many steps under a name.
        dry_run: end after that.
    """
    begun = time.monotonic()
    index = PhoenixIndex(work.data)
    splits = chosen_splits(index, work.splits)
    unknown = set(work.plan.skip) - {clip.name for clip in index}
    if unknown:
        raise InputError("--skip", f"{sorted(unknown)[0]} is no clip of the data set", "see its corpus files")
    encoders = work.encoders()
    needs = disk_needs(work, index, splits, encoders)
    free = check_free(work.out, needs)
    say(needs, free)
    report: dict[str, Any] = {"output": str(work.out), "bytes": needs, "free_bytes": free, "splits": {}}
    if dry_run:
        return report
    found = _planned(work, index, splits, progress)
    for split, part in found.items():
        report["splits"][split] = _filled(work, index, part, encoders, progress)
    report["seconds"] = round(time.monotonic() - begun, 1)
    return report


def disk_needs(work: Work, index: PhoenixIndex, splits: tuple[str, ...], encoders: Encoders) -> Needs:
    """Split -> part -> bytes that are still to be written, of all processes together."""
    size = frame_size(index)
    if size is None:
        raise InputError(index.release, "holds no frame", "unpack the release's frames there")
    needs: Needs = {}
    blank = np.zeros((1, size[1], size[0], 3), np.uint8)
    for split in splits:
        place, frames = work.out / split, frames_in(index, split, work.out)
        needs[split] = basic_needs(place, frames, size, work.keep_frames)
        if encoders.vae is not None:
            left = left_of(place, encoders.latents_folder(place, size), frames)
            needs[split]["latents"] = left * encoders.latents(blank).nbytes
        if encoders.image_encoder is not None:
            there = encoders.tokens_folder(place, size).glob("[0-9]*.npy")
            wanted = most_sources(index, split, frames, work.plan) * encoders.tokens(blank).nbytes
            needs[split]["tokens"] = max(0, wanted - sum(path.stat().st_size for path in there))
    return needs


def _planned(work: Work, index: PhoenixIndex, splits: tuple[str, ...], progress: Progress) -> dict[str, Index]:
    """Keypoints, indices and protocols, by one process at a time; the keypoints are read once, and only if needed."""
    opened: list[KeypointSource] = []

    def source() -> KeypointSource:
        if not work.plan.places and not index.keypoints.is_dir():
            got = "has no folder keypoints beside the release"
            raise InputError(work.data, got, "say where they are: --keypoints FILE|FOLDER")
        if not opened:
            opened.append(keypoint_source(index, work.plan.places, splits))
        return opened[0]

    work.out.mkdir(parents=True, exist_ok=True)
    found = {}
    with locked(work.out), progress(sum(len(index.clips(split)) for split in splits), "clips") as advance:
        mark_folder(work.out, index)
        remove_leftovers(work.out)
        for split in splits:
            found[split] = plan_split(index, split, work.out, work.plan, source, work.jobs, advance)
            write_protocol(work.out, found[split], work.plan)
    return found


def _filled(work: Work, release: PhoenixIndex, index: Index, encoders: Encoders, progress: Progress) -> dict[str, Any]:
    """This part's shards of a split, and what was found and is left."""
    place = work.out / index.split
    left = {}
    if work.keep_frames:
        folder = place / FRAMES
        with progress(rows_left(folder, index, work.part), f"{index.split} frames") as advance:
            write_frames(place, index, release.release, work.part, work.jobs, advance)
        left["frames"] = len(left_to_do(folder, index))
    cache = open_prepared(work.out, index.split, frames=not left.get("frames"))
    if encoders.vae is not None:
        folder = encoders.latents_folder(place, index.size)
        with progress(rows_left(folder, index, work.part), f"{index.split} latents") as advance:
            write_latents(folder, index, cache, encoders, work.part, advance)
        left["latents"] = len(left_to_do(folder, index))
    if encoders.image_encoder is not None:
        folder = encoders.tokens_folder(place, index.size)
        sources = len(sources_of(cache))
        with progress(len(tokens_left(folder, sources, work.part)), f"{index.split} shards of tokens") as advance:
            write_tokens(folder, cache, encoders, work.part, advance)
        left["tokens"] = len(tokens_left(folder, sources, Part()))
    pairs = 0 if cache.triplets is None else len(cache.triplets)
    own = 0 if cache.triplets is None else int((cache.triplets[:, 0] == cache.triplets[:, 1]).sum())
    return {
        "clips": len(index.clips), "frames": index.frames, "pairs": pairs, "self_pairs": own,
        "pairs_wanted": work.plan.triplets if index.split == "train" else pairs,
        "mended": [list(pair) for pair in index.mended], "left_out": [list(pair) for pair in index.left_out],
        "shards_left": left,
    }  # fmt: skip
