"""Jobs of the page: one at a time on the device, a few that read files, in the order of asking, each in a thread.

A job waits for its turn, works and reports how far it is. It can be cancelled at any time.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.errors import RunError, SignGenError

POLL_SECONDS = 0.5  # between two looks at the place in the queue
log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Cancelled(Exception):
    """A job was cancelled by its user, who knows: nothing went wrong."""


class Job:
    """A place in the queue.

    Attributes:
        owner: whose it is; ``a/b`` is a part of ``a``.
        kind: what it does, for the log.
        long: whether it takes so long that others go first (`JobQueue.give_way`).
        number: counts the jobs of this process, for the log.
        replaced: whether a newer job of its owner ended it.
    """

    def __init__(self, owner: str, kind: str = "job", long: bool = False) -> None:
        self.owner, self.kind, self.long, self.number = owner, kind, long, next(_numbers)
        self.replaced = False
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ends the job at its next `check`."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises `Cancelled` if the job was cancelled."""
        if self.cancelled:
            raise Cancelled


class JobQueue:
    """A fair queue, for one device or for a few processes.

    ``job = jobs.enter(owner)``, then `wait` until it says 0, work with calls of ``job.check()``, `leave`.

    Args:
        waiting: jobs that may stand behind the running ones.
        together: jobs that may run at the same time.
    """

    def __init__(self, waiting: int = 20, together: int = 1) -> None:
        self._waiting, self._together = waiting, together
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()

    def enter(self, owner: str, kind: str = "job", long: bool = False) -> Job:
        """A place at the end. An owner has one job at a time: an earlier one is cancelled.

        Raises:
            RunError: the queue is full.
        """
        with self._changed:
            self._cancel(owner, replaced=True)
            if sum(not job.cancelled for job in self._queue) >= self._waiting + self._together:
                log.info("%s refused: %d jobs are waiting", kind, self._waiting)
                raise RunError("queue", f"{self._waiting} jobs are waiting already", "try again in a few minutes")
            job = Job(owner, kind, long)
            self._queue.append(job)
            return job

    def wait(self, job: Job, seconds: float) -> int:
        """Jobs before this one: 0 means that it is its turn. Returns when that is so, or after ``seconds``.

        Raises:
            Cancelled: the job was cancelled.
        """
        with self._changed:
            self._changed.wait_for(lambda: job.cancelled or not self._before(job), seconds)
            job.check()
            return self._before(job)

    def _before(self, job: Job) -> int:
        return max(self._queue.index(job) - self._together + 1, 0)

    def give_way(self, job: Job) -> bool:
        """Lets the first of those who wait, and are not long themselves, go before a job whose turn it is.

        Returns:
            Whether there is one; the job must then `wait` again.
        """
        with self._changed:
            waiting = list(self._queue)[self._together :]
            first = next((other for other in waiting if not (other.long or other.cancelled)), None)
            if first is None:
                return False
            self._queue.remove(first)
            self._queue.insert(self._queue.index(job), first)
            self._changed.notify_all()
            return True

    def leave(self, job: Job) -> None:
        """The job is over, or will not begin. May be called more than once."""
        with self._changed:
            if job in self._queue:
                self._queue.remove(job)
            self._changed.notify_all()

    def cancel(self, owner: str) -> bool:
        """Cancels all that an owner, or a part of them, runs or waits for; True if there was anything."""
        with self._changed:
            return bool(self._cancel(owner, parts=True))

    def counts(self) -> tuple[int, int]:
        """How many jobs run, and how many wait behind them."""
        with self._changed:
            running = min(len(self._queue), self._together)
            return running, len(self._queue) - running

    def close(self) -> None:
        """Cancels everything."""
        with self._changed:
            for job in self._queue:
                job.cancel()
            self._changed.notify_all()

    def _cancel(self, owner: str, parts: bool = False, replaced: bool = False) -> list[Job]:
        def belongs(job: Job) -> bool:
            return job.owner == owner or (parts and job.owner.startswith(f"{owner}/"))

        theirs = [job for job in self._queue if belongs(job) and not job.cancelled]
        for job in theirs:
            job.replaced = replaced  # first: its thread looks as soon as it is cancelled
            job.cancel()
        self._changed.notify_all()
        return theirs


@dataclass(frozen=True)
class Waiting:
    """So many jobs are before this one."""

    before: int


@dataclass(frozen=True)
class Working:
    """What is being done; frames, or other units, done and in all, where they are counted; a picture of how it goes,
    where it is a new one."""

    what: str
    done: int = 0
    total: int = 0
    unit: str = "frames"
    picture: Path | None = None


@dataclass(frozen=True)
class Ended:
    """The job is over: with a result, with an error, or with neither because it was cancelled, or ``replaced`` by a
    newer one of its owner."""

    result: Any = None
    error: SignGenError | None = None
    replaced: bool = False


Event = Waiting | Working | Ended
Report = Callable[[Event], None]
Work = Callable[[Job, Report], Any]


def follow(
    jobs: JobQueue, owner: str, work: Work, kind: str = "job", long: bool = False,
    keep: Callable[[], None] = lambda: None,
) -> Iterator[Event]:  # fmt: skip
    """Starts a job and yields what happens, `Ended` last.

    The thread keeps the device until it is truly over, whatever becomes of this generator: closing it (the browser was
    closed, say) cancels the job, and only when that has taken effect does the next one get the device.

    Args:
        jobs: the device's queue.
        owner: who asks; their earlier job is cancelled.
        work: called with the job, which it must `check` often, and with ``report``.
        kind: what it does, for the log.
        long: whether the work calls `let_others` often, too.
        keep: called every few seconds while the job waits for its turn.

    Raises:
        RunError: the queue is full; before anything is yielded.
    """
    job = jobs.enter(owner, kind, long)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    thread = threading.Thread(target=_run, args=(jobs, job, work, events.put, keep), name="signgen-job", daemon=True)
    thread.start()
    try:
        while True:
            event = events.get()
            yield event
            if isinstance(event, Ended):
                return
    finally:
        job.cancel()


def let_others(jobs: JobQueue, job: Job, report: Report) -> None:
    """Has a long job stand still while one that waits has the device; reports its place meanwhile.

    Raises:
        Cancelled: the job was cancelled.
    """
    job.check()
    if jobs.give_way(job):
        _wait(jobs, job, report)


def _run(jobs: JobQueue, job: Job, work: Work, report: Report, keep: Callable[[], None]) -> None:
    """Waits for the device, works, and reports the end. The log names no file and no user."""
    ended, begun = Ended(), time.monotonic()
    name = f"{job.kind} {job.number}"
    try:
        _wait(jobs, job, report, keep)
        log.info("%s started after %.1f s in the queue", name, time.monotonic() - begun)
        begun = time.monotonic()
        ended = Ended(result=work(job, report))
        log.info("%s ended after %.1f s", name, time.monotonic() - begun)
    except Cancelled:
        ended = Ended(replaced=job.replaced)
        log.info("%s cancelled after %.1f s", name, time.monotonic() - begun)
    except SignGenError as error:
        log.info("%s ended with an error: %s", name, error.code)
        ended = Ended(error=error)
    except Exception as error:
        log.exception("%s failed", name)
        ended = Ended(error=RunError("signgen", f"{type(error).__name__}: {error}", "the server's log says more"))
    finally:
        jobs.leave(job)
        report(ended)


def _wait(jobs: JobQueue, job: Job, report: Report, keep: Callable[[], None] = lambda: None) -> None:
    """Returns when it is the job's turn; reports each new place in the queue."""
    reported = 0
    while before := jobs.wait(job, POLL_SECONDS):
        if before != reported:
            report(Waiting(before))
            reported = before
        keep()
