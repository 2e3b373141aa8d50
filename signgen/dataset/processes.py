"""Work spread over processes of this machine; results come in the order of the tasks, whatever their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from signgen.dataset.files import NpyWriter, whole_file
from signgen.dataset.opening import is_whole
from signgen.dataset.prepared import FRAMES, Index, png_rows, shard_file
from signgen.errors import RunError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    action: Callable[[T], R],
    tasks: Sequence[T],
    jobs: int,
    begin: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
    chunk: int = 1,
) -> Iterator[R]:
    """``action(task)`` for each task in turn, by up to ``jobs`` processes; 1, or a single task, works in this one.

    Processes are spawned, not forked: torch, numba and OpenCV keep threads that a fork would leave behind.

    Args:
        action: a function of a module, as it is sent to the processes. What it raises is raised here in its turn.
        begin: called once in each process with ``given``; not called where all is done in this one.
        chunk: tasks that are sent at a time; more than 1 where each takes but a moment.

    Raises:
        RunError: a process died.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from map(action, tasks)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (begin, given))
    try:
        yield from pool.map(action, tasks, chunksize=chunk)
    except BrokenProcessPool:
        raise RunError("--jobs", "a process died, perhaps of lack of memory", "try fewer --jobs") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    """Ctrl-C is the parent's, whose end, however it comes, is the worker's."""
    import multiprocessing
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "begun by a pool"
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


# Work that is split into shards: which are left to do, which are this process's, and decoded frames of each.


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
