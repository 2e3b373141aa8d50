"""A job in a thread of its own, followed from outside: it waits for its turn, works, and tells how it goes."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from signgen.errors import RunError, SignGenError

# Who has the device: one job at a time, in the order of asking, each of which can be called off.


class CalledOff(Exception):
    """A job was cancelled by its user, who knows: nothing went wrong."""


class Ticket:
    """A job's place in the queue.

    Attributes:
        owner: whose it is.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._off = threading.Event()

    def call_off(self) -> None:
        """Ends the job at its next `check`."""
        self._off.set()

    @property
    def called_off(self) -> bool:
        return self._off.is_set()

    def check(self) -> None:
        """Raises `CalledOff` if the job was called off."""
        if self._off.is_set():
            raise CalledOff


class Turns:
    """A fair queue for one device.

    ``ticket = turns.enter(owner)``, then `wait` until it says 0, work with calls of ``ticket.check()``, `leave`.

    Args:
        waiting: jobs that may stand behind the running one.
    """

    def __init__(self, waiting: int = 20) -> None:
        self._most = waiting + 1
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()

    def enter(self, owner: str) -> Ticket:
        """A place at the end. An owner has one job at a time: what the same one asked for before is called off.

        Raises:
            RunError: the queue is full.
        """
        with self._changed:
            self._call_off(owner)
            if sum(not ticket.called_off for ticket in self._queue) >= self._most:
                raise RunError("queue", f"{self._most - 1} jobs are waiting already", "try again in a few minutes")
            ticket = Ticket(owner)
            self._queue.append(ticket)
            return ticket

    def wait(self, ticket: Ticket, seconds: float) -> int:
        """Jobs before this one: 0 means that it has the device. Returns when that is so, or after ``seconds``.

        Raises:
            CalledOff: the job was called off.
        """
        with self._changed:
            self._changed.wait_for(lambda: ticket.called_off or self._queue[0] is ticket, seconds)
            ticket.check()
            return self._queue.index(ticket)

    def leave(self, ticket: Ticket) -> None:
        """The job is over, or will not begin. May be called more than once."""
        with self._changed:
            if ticket in self._queue:
                self._queue.remove(ticket)
            self._changed.notify_all()

    def call_off(self, owner: str) -> bool:
        """Ends all that an owner runs or waits for; True if there was anything."""
        with self._changed:
            return self._call_off(owner)

    def close(self) -> None:
        """Ends everything."""
        with self._changed:
            for ticket in self._queue:
                ticket.call_off()
            self._changed.notify_all()

    def _call_off(self, owner: str) -> bool:
        theirs = [ticket for ticket in self._queue if ticket.owner == owner and not ticket.called_off]
        for ticket in theirs:
            ticket.call_off()
        self._changed.notify_all()
        return bool(theirs)


POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Waiting:
    """So many jobs are before this one."""

    before: int


@dataclass(frozen=True)
class Working:
    """What is being done; frames done and in all, where they are counted."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Ended:
    """The job is over: with a result, with an error, or with neither because it was called off."""

    result: Any = None
    error: SignGenError | None = None


Event = Waiting | Working | Ended
Tell = Callable[[Event], None]
Work = Callable[[Ticket, Tell], Any]


def follow(turns: Turns, owner: str, work: Work) -> Iterator[Event]:
    """Starts a job and yields what happens, `Ended` last.

    The thread holds its turn until it is truly over, whatever becomes of this generator: closing it (the browser was
    closed, say) calls the job off, and only when that has taken effect does the next one get the device.

    Args:
        turns: the device's queue.
        owner: who asks; their earlier job is called off.
        work: called with the ticket, which it must `check` often, and with ``tell``.

    Raises:
        RunError: the queue is full; before anything is yielded.
    """
    ticket = turns.enter(owner)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    thread = threading.Thread(target=_run, args=(turns, ticket, work, events.put), name="signgen-job", daemon=True)
    thread.start()
    try:
        while True:
            event = events.get()
            yield event
            if isinstance(event, Ended):
                return
    finally:
        ticket.call_off()


def _run(turns: Turns, ticket: Ticket, work: Work, tell: Tell) -> None:
    ended = Ended()
    try:
        _wait(turns, ticket, tell)
        ended = Ended(result=work(ticket, tell))
    except CalledOff:
        pass
    except SignGenError as error:
        ended = Ended(error=error)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        ended = Ended(error=RunError("signgen", f"{type(error).__name__}: {error}", "the server's log tells more"))
    finally:
        turns.leave(ticket)
        tell(ended)


def _wait(turns: Turns, ticket: Ticket, tell: Tell) -> None:
    """Returns when it is the ticket's turn; tells each new place in the queue."""
    told = 0
    while before := turns.wait(ticket, POLL_SECONDS):
        if before != told:
            tell(Waiting(before))
            told = before
