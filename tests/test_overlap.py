"""Work beside the denoiser: in order, bounded, and errors arrive where they belong."""

from __future__ import annotations

import threading
import time

import pytest

from signgen.rendering.background_threads import Behind, ahead


def test_results_come_in_order():
    assert list(ahead(base**2 for base in range(20))) == [base**2 for base in range(20)]


def test_only_the_next_item_is_begun_ahead():
    begun = []
    results = ahead(begun.append(number) for number in range(10))
    for used in range(5):
        next(results)
        assert len(begun) <= used + 2
    results.close()
    assert len(begun) <= 6


def test_an_error_takes_the_place_of_its_item():
    results = ahead(1 // number for number in (1, 0, 3))
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_items_are_worked_on_in_order_and_all_are_done_at_the_end():
    done = []
    with Behind(done.append) as behind:
        for number in range(50):
            behind(number)
    assert done == list(range(50))


def test_the_caller_waits_when_the_work_lags():
    """With two items in hand the third call must not return before the first is done."""
    gate, done, handed = threading.Event(), [], []

    def work(number: int) -> None:
        gate.wait()
        done.append(number)

    def hand_over() -> None:
        with Behind(work, depth=2) as behind:
            for number in range(4):
                behind(number)
                handed.append(number)

    thread = threading.Thread(target=hand_over)
    thread.start()
    try:
        until = time.monotonic() + 30
        while len(handed) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        thread.join(0.3)  # a third one would come now
        assert (handed, done) == ([0, 1], [])
    finally:
        gate.set()
    thread.join()
    assert handed == done == [0, 1, 2, 3]


def test_an_error_of_the_work_reaches_the_caller_and_ends_it():
    done = []

    def work(number: int) -> None:
        if number == 3:
            raise OSError(28, "No space left on device", "out.mp4")
        done.append(number)

    def hand_over() -> None:
        with Behind(work) as behind:
            for number in range(1000):
                behind(number)

    with pytest.raises(OSError, match="No space left"):
        hand_over()
    assert done[:3] == [0, 1, 2]
    assert len(done) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("signgen-behind")]


def test_a_failing_block_drops_what_has_not_begun():
    gate, done = threading.Event(), []

    def work(number: int) -> None:
        gate.wait(5)
        done.append(number)

    def stopped() -> None:
        with Behind(work, depth=3) as behind:
            for number in range(3):
                behind(number)
            gate.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert done == list(range(len(done)))
