"""Work in processes: what they refuse arrives in its turn, and one that dies is one line."""

from __future__ import annotations

import os

import pytest

from signgen.errors import Damaged, InputError, RunError
from signgen.processes import in_processes


def _half(number: int) -> float:
    if number == 3:
        raise Damaged("images0003.png", "is a damaged image", "unpack it again")
    if number < 0:
        os._exit(1)
    return number / 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_process_refuses_arrives_in_its_turn_and_whole(jobs: int) -> None:
    found = in_processes(_half, [1, 2, 3, 4], jobs)
    assert [next(found), next(found)] == [0.5, 1.0]
    with pytest.raises(InputError) as refused:
        next(found)
    assert (refused.value.subject, refused.value.advice) == ("images0003.png", "unpack it again")
    assert (refused.value.exit_code, refused.value.code) == (2, "damaged")


def test_a_process_that_dies_is_one_line() -> None:
    with pytest.raises(RunError, match="--jobs: a process died"):
        list(in_processes(_half, [1, -1], 2))
