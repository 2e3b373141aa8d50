"""Clips spread over processes; results come in the order of the clips whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from signgen.data.processes import in_processes
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
    # Without keypoints no hand detector is loaded here, and none may be asked for there.
    wanted = [m.signatures for m in measures], any(m.needs_keypoints for m in measures)
    for result in in_processes(_score, tasks, jobs, _begin_worker, (options, *wanted)):
        advance(result.frames)
        yield result


_measures: list[Measure] = []  # of this worker process


def _begin_worker(options: MeasureOptions, wanted: Sequence[object], keypoints: bool) -> None:
    """One thread a process, which fill the machine already."""
    from signgen.evaluation.build import build_measures

    _set_threads(1)
    _measures[:] = [m for m in build_measures(options, keypoints).measures if m.signatures in wanted]


def _score(task: Task) -> ClipSums:
    return score_clip(task.pair, task.system, _measures)


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
