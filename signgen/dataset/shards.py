"""Work that is split into shards: which are left to do, which are this process's, and decoded frames of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from signgen.dataset.files import NpyWriter, whole_file
from signgen.dataset.opening import is_whole
from signgen.dataset.prepared import FRAMES, Index, png_rows, shard_file
from signgen.processes import in_processes

CHUNK = 64  # frames in memory at once


@dataclass(frozen=True)
class Part:
    """Share ``number`` of ``count`` of the work, counted from 1."""

    number: int = 1
    count: int = 1


WHOLE = Part()


def left_to_do(folder: Path, index: Index, part: Part = WHOLE) -> list[int]:
    """Numbers of the shards of a folder that are not there whole and that are ``part``'s to make."""
    rows = [stop - start for start, stop in pairwise(index.shards)]
    return [n for n in range(part.number - 1, len(rows), part.count) if not is_whole(shard_file(folder, n), rows[n])]


def rows_left(folder: Path, index: Index, part: Part = WHOLE) -> int:
    """Frames of ``part``'s shards that are not there yet."""
    return sum(index.shards[number + 1] - index.shards[number] for number in left_to_do(folder, index, part))


def write_shard(path: Path, chunks: Iterator[np.ndarray]) -> None:
    """One shard from (n, *row) pieces; whole or not at all."""
    with whole_file(path) as temporary:
        first = next(chunks)
        with NpyWriter(temporary, first.shape[1:], first.dtype) as file:
            file.append(first)
            for rows in chunks:
                file.append(rows)


def write_frames(
    place: Path, index: Index, release: Path, part: Part, jobs: int = 1, advance: Callable[[int], None] = lambda n: None
) -> None:
    """Decodes this part's frames of a split folder ``place``; ``advance`` is told the frames of each shard.

    Raises:
        InputError: a frame is damaged; RunError: the disk is full. Shards that are finished stay.
    """
    tasks = [(place, index, release, number) for number in left_to_do(place / FRAMES, index, part)]
    for frames in in_processes(_write_frame_shard, tasks, jobs):
        advance(frames)


def _write_frame_shard(task: tuple[Path, Index, Path, int]) -> int:
    """Writes one shard and returns how many frames it has."""
    place, index, release, number = task
    rows = png_rows(index, release, threads=1)
    start, stop = index.shards[number : number + 2]
    chunks = (rows[np.arange(at, min(at + CHUNK, stop))] for at in range(start, stop, CHUNK))
    write_shard(shard_file(place / FRAMES, number), chunks)
    return stop - start
