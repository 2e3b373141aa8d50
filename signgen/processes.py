"""Work spread over processes of this machine, which end with the process that began them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from signgen.errors import RunError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # pieces of work that wait or run, for each process
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_processes(
    action: Callable[[T], R],
    tasks: Iterable[T],
    jobs: int,
    begin: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
    chunk: int = 1,
    ordered: bool = True,
    threads: int | None = None,
) -> Generator[R]:
    """``action(task)`` for each task, by up to ``jobs`` processes; 1, or a single task, works in this one.

    Processes are spawned, not forked: torch, numba and OpenCV keep threads that a fork would leave behind. Only a few
    tasks are taken from ``tasks`` ahead of those that are finished. Closing the iterator ends the processes.

    Args:
        action: a function of a module, as it is sent to the processes. What it raises is raised here in its turn.
        begin: called once in each process with ``given``; not called where all is done in this one.
        chunk: tasks that are sent at a time; more than 1 where each takes but a moment.
        ordered: results in the order of the tasks; False: as they are finished.
        threads: how many threads numpy, numba and torch take in each process, where the environment does not say;
            None: as many as they like.

    Raises:
        RunError: a process died.
    """
    left = iter(tasks)
    first = list(islice(left, 2))
    if jobs == 1 or len(first) < 2:
        yield from map(action, first)
        yield from map(action, left)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin, (begin, given, threads))
    try:
        pieces = _pieces(chain(first, left), chunk)
        for results in _results(pool, partial(_act, action), pieces, jobs, ordered):
            yield from results
    except BrokenProcessPool:
        raise RunError("--jobs", "a process died, perhaps of lack of memory", "try fewer --jobs") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pieces(tasks: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(tasks, size)):
        yield piece


def _act(action: Callable[[T], R], piece: list[T]) -> list[R]:
    return [action(task) for task in piece]


def _results(
    pool: ProcessPoolExecutor, action: Callable[[T], R], tasks: Iterable[T], jobs: int, ordered: bool
) -> Iterator[R]:
    left, waiting = iter(tasks), list[Future[R]]()
    while True:
        waiting += [pool.submit(action, task) for task in islice(left, AHEAD * jobs - len(waiting))]
        if not waiting:
            return
        finished = waiting[:1] if ordered else list(wait(waiting, return_when=FIRST_COMPLETED).done)
        waiting = [future for future in waiting if future not in finished]
        for future in finished:
            yield future.result()


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...], threads: int | None) -> None:
    """Ctrl-C is the parent's, whose end, however it comes, is the worker's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "begun by a pool"
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if threads is not None:
        for name in _THREADS:
            os.environ.setdefault(name, str(threads))
    if begin is not None:
        begin(*given)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
