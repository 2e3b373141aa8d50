"""Work apart: what takes too much, dies or is not wanted any more ends alone."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from signgen.errors import Damaged
from signgen.processes import Apart, Bounds

WIDE = Bounds(60.0, 1 << 30)


def _double(report, number):
    report("half", number)
    return 2 * number, os.getpid(), os.nice(0)


def _fill(report, count):
    return len(np.ones(count, np.uint8))


def _sleep(report, seconds):
    report(os.getpid())
    time.sleep(seconds)


def _timed(report, action):
    action(600)


def _spin(seconds):
    while True:
        pass


def _die(report):
    os._exit(7)


def _refuse(report):
    raise Damaged("a.json", "is damaged", "give another")


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    apart = Apart(("numpy",))
    yield apart
    apart.close()


def test_time_in_which_the_check_waits_does_not_count():
    ours, theirs = multiprocessing.Pipe()
    later = threading.Timer(1.2, theirs.send, ["done"])
    later.start()
    assert Apart._receive(ours, time.monotonic() + 1.0, lambda: time.sleep(1.5)) == "done"
    with pytest.raises(TimeoutError):
        Apart._receive(ours, time.monotonic() + 0.1, lambda: None)


def test_work_is_done_in_a_process_of_its_own_each_time(apart):
    said = []
    (one, first, nice), (other, second, _) = (
        apart.run(_double, (number,), WIDE, report=lambda *words: said.append(words)) for number in (3, 4)
    )
    assert (one, other) == (6, 8)
    assert said == [("half", 3), ("half", 4)]
    assert len({first, second, os.getpid()}) == 3
    assert nice == os.nice(0) + 5


def test_memory_is_bounded(apart):
    assert apart.run(_fill, (50 << 20,), Bounds(60.0, 200 << 20)) == 50 << 20
    with pytest.raises(MemoryError):
        apart.run(_fill, (400 << 20,), Bounds(60.0, 200 << 20))


@pytest.mark.parametrize("action", [_spin, time.sleep])
def test_time_is_bounded_by_the_processor_and_by_the_clock(action, apart):
    with pytest.raises(TimeoutError):
        apart.run(_timed, (action,), Bounds(0.2, 1 << 30))
    assert len(multiprocessing.active_children()) == 1  # the one that waits for work


def test_who_leaves_ends_his_work(apart):
    left, found = threading.Event(), []

    def check():
        if left.is_set():
            raise InterruptedError

    def report(number):
        found.append(number)
        left.set()

    with pytest.raises(InterruptedError):
        apart.run(_sleep, (60,), WIDE, check, report)
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


def test_one_that_dies_is_told_and_the_next_works(apart):
    with pytest.raises(ChildProcessError, match="7"):
        apart.run(_die, (), WIDE)
    with pytest.raises(Damaged) as caught:
        apart.run(_refuse, (), WIDE)
    assert (caught.value.subject, caught.value.advice) == ("a.json", "give another")
    assert apart.run(_double, (1,), WIDE)[0] == 2
