"""Work in other processes of this machine, which end with the process that began them.

`in_processes` spreads much work over several; `Apart` does what may go wrong in one of its own, within bounds.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from signgen import signals
from signgen.errors import RunError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # pieces of work that wait or run, for each process
POLL = 0.1  # seconds between two looks at whether work apart is to go on
SLOWEST = 10  # times as long as on an idle machine
START = 120.0  # seconds in which a process must be ready
GRACE = 5.0  # seconds in which a process that is asked to end removes what it has not finished
_HIDING = threading.RLock()  # two threads may begin processes at once
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Those that this process may use: a job of a batch system may have fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    tasks are taken from ``tasks`` ahead of those that are finished. Closing the iterator ends the processes at once, as
    an exception does; what they have begun is removed.

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
    except BaseException:
        _stop(list((pool._processes or {}).values()))
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pieces(tasks: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(tasks, size)):
        yield piece


def _act(action: Callable[[T], R], piece: list[T]) -> list[R]:
    try:
        with signals.raised():
            return [action(task) for task in piece]
    except KeyboardInterrupt:
        os._exit(1)


def _stop(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + GRACE
    for worker in workers:
        worker.join(max(until - time.monotonic(), 0))
    for worker in workers:
        worker.kill()


@contextmanager
def _shielded() -> Iterator[None]:
    """A process that is begun in the block gets no signal before it is ready for it; those of this process wait."""
    resource_tracker.ensure_running()  # which lets signals through again after it has begun
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    with signals.held():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ASKING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_script() -> Iterator[None]:
    """A process that is begun in the block does not run the user's script again where that would begin all anew.

    multiprocessing has each process import the script that runs, for what may be defined there. One that asks nowhere
    for its ``__name__`` would come to the same call again, and the process would die of it.
    """
    main = sys.modules["__main__"]
    with _HIDING:
        file = getattr(main, "__file__", None)
    if file is None or main.__spec__ is not None or _asks_for_its_name(file):
        yield
        return
    with _HIDING:
        del main.__file__
        try:
            yield
        finally:
            main.__file__ = file


@cache  # asked before each piece of work
def _asks_for_its_name(script: str) -> bool:
    try:
        return b"__name__" in Path(script).read_bytes()
    except OSError:
        return True


def _results(
    pool: ProcessPoolExecutor, action: Callable[[T], R], tasks: Iterable[T], jobs: int, ordered: bool
) -> Iterator[R]:
    left, waiting = iter(tasks), list[Future[R]]()
    while True:
        with _shielded(), _without_script():
            waiting += [pool.submit(action, task) for task in islice(left, AHEAD * jobs - len(waiting))]
        if not waiting:
            return
        finished = waiting[:1] if ordered else list(wait(waiting, return_when=FIRST_COMPLETED).done)
        waiting = [future for future in waiting if future not in finished]
        for future in finished:
            yield future.result()


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...], threads: int | None) -> None:
    """What every worker does first, and ``begin`` with what was ``given``."""
    _belong()
    if threads is not None:
        for name in _THREADS:
            os.environ.setdefault(name, str(threads))
    if begin is not None:
        begin(*given)


def _belong() -> None:
    """Ctrl-C is the parent's, whose end, however it comes, is this process's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals.listen(line="")
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ASKING)
    parent = multiprocessing.parent_process()
    assert parent is not None, "begun by this module"
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


# --- work within bounds ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """What a piece of work may take: seconds of a processor, and `SLOWEST` times as many by the clock; bytes of memory
    beside what Python has taken before."""

    seconds: float
    memory: int


class Apart:
    """Does one piece of work after the other, each in a new process, so that one that goes wrong harms nobody else.

    The processes step back behind all others of the machine. One of them is always ready, for a start takes a second.

    Args:
        modules: what a process imports before it is ready.
    """

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self._modules = modules
        self._ready: queue.SimpleQueue[tuple[BaseProcess, Connection]] = queue.SimpleQueue()
        self._ready.put(self._begin())

    def run(
        self,
        action: Callable[..., R],
        given: tuple[Any, ...],
        bounds: Bounds,
        check: Callable[[], None] = lambda: None,
        report: Callable[..., None] = lambda *_: None,
    ) -> R:
        """``action(report, *given)``; what it hands to its ``report`` comes to the one here.

        Args:
            action: a function of a module; arguments and result are sent.
            check: called several times a second; if it raises, the process is ended. The time in which it waits does
                not count.

        Raises:
            TimeoutError, MemoryError: the bounds were passed. ChildProcessError: the process died.
        """
        self._ready.put(self._begin())
        process, pipe = self._ready.get()
        try:
            self._receive(pipe, time.monotonic() + START, check)
            pipe.send((action, given, bounds))
            until = time.monotonic() + SLOWEST * bounds.seconds
            while True:
                kind, value = self._receive(pipe, until, check)
                if kind == "result":
                    return value
                if kind == "error":
                    raise value
                report(*value)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            process.join(GRACE)
            if process.exitcode == -getattr(signal, "SIGXCPU", 0):
                raise TimeoutError from None
            raise ChildProcessError(f"exit code {process.exitcode}") from None
        finally:
            _close(process, pipe)

    def close(self) -> None:
        """Ends the process that waits."""
        with suppress(queue.Empty):
            while True:
                _close(*self._ready.get_nowait())

    def _begin(self) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work_once, args=(theirs, self._modules), daemon=True)
        with _shielded(), _without_script():
            process.start()
        theirs.close()
        return process, ours

    @staticmethod
    def _receive(pipe: Connection, until: float, check: Callable[[], None]) -> Any:
        while not pipe.poll(POLL):
            asked = time.monotonic()
            check()
            until += time.monotonic() - asked
            if time.monotonic() > until:
                raise TimeoutError
        return pipe.recv()


def _close(process: BaseProcess, pipe: Connection) -> None:
    process.kill()
    process.join()
    pipe.close()


def _work_once(pipe: Connection, modules: tuple[str, ...]) -> None:
    _belong()
    if hasattr(os, "nice"):
        os.nice(5)
    for module in modules:
        import_module(module)
    pipe.send(("ready", ()))
    try:
        action, given, bounds = pipe.recv()
    except EOFError:  # not needed any more
        return
    _limit(bounds)
    try:
        answer = ("result", action(lambda *words: pipe.send(("report", words)), *given))
    except Exception as error:
        answer = ("error", error)
    try:
        pipe.send(answer)
    except (pickle.PicklingError, TypeError, AttributeError):  # an exception that cannot be sent
        pipe.send(("error", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))


def _limit(bounds: Bounds) -> None:
    """Keeps this process within them, where the system can do it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
    except (ImportError, OSError):
        return
    memory = pages * resource.getpagesize() + bounds.memory
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    seconds = math.ceil(time.process_time() + bounds.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
