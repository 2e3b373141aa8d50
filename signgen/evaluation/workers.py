"""Clips spread over processes; results come in the order of the clips whatever the number of processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from signgen.errors import RunError, SignGenError
from signgen.evaluation.measures import Measure, MeasureOptions
from signgen.evaluation.pairing import Pair
from signgen.evaluation.scoring import ClipSums, score_clip


@dataclass(frozen=True)
class Task:
    """One clip of one system."""

    pair: Pair
    system: int


def score_all(
    tasks: Sequence[Task],
    options: MeasureOptions,
    measures: Sequence[Measure],
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[ClipSums]:
    """Yields the sums of each task in turn.

    Args:
        options: from which other processes make the same ``measures``.
        jobs: processes; 1 works in this one.
        advance: told the number of frames done since it was last called.

    Raises:
        InputError: a clip cannot be read.
        RunError: a process died.
    """
    if jobs == 1 or len(tasks) < 2:
        with _one_thread():
            for task in tasks:
                yield score_clip(task.pair, task.system, measures, advance)
        return
    yield from _in_processes(tasks, options, measures, jobs, advance)


def _in_processes(
    tasks: Sequence[Task],
    options: MeasureOptions,
    measures: Sequence[Measure],
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[ClipSums]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    spawn = multiprocessing.get_context("spawn")
    # Without keypoints no hand detector is loaded here, and none may be asked for there.
    wanted = [m.signatures for m in measures], any(m.needs_keypoints for m in measures)
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), spawn, _begin_worker, (options, *wanted))
    try:
        for result in pool.map(_score, tasks):
            if isinstance(result, _Refusal):
                raise result.kind(result.subject, result.got, result.advice)
            advance(result.frames)
            yield result
    except BrokenProcessPool:
        raise RunError("--jobs", "a process died, perhaps of lack of memory", "try fewer --jobs") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Refusal:
    """A `SignGenError` on its way between processes, which would lose its parts."""

    kind: type[SignGenError]
    subject: str
    got: str
    advice: str


_measures: list[Measure] = []  # of this worker process


def _begin_worker(options: MeasureOptions, wanted: Sequence[object], keypoints: bool) -> None:
    """Ctrl-C is the parent's, whose end is the worker's; one thread a process, which fill the machine already."""
    import multiprocessing
    import signal
    import threading

    from signgen.evaluation.build import build_measures

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "begun by a pool"
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _set_threads(1)
    _measures[:] = [m for m in build_measures(options, keypoints).measures if m.signatures in wanted]


def _score(task: Task) -> ClipSums | _Refusal:
    try:
        return score_clip(task.pair, task.system, _measures)
    except SignGenError as error:
        return _Refusal(type(error), error.subject, error.got, error.advice)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The same arithmetic as in several processes, so that their number changes no digit."""
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    _set_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _set_threads(count: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
