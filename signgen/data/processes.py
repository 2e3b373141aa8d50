"""Work spread over processes of this machine; results come in the order of the tasks, whatever their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

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
