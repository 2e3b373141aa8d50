"""A job in a thread of its own, followed from outside: it waits for its turn, works, and tells how it goes."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from signgen.app.turns import CalledOff, Ticket, Turns
from signgen.errors import RunError, SignGenError

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
