"""Work in processes: what they refuse arrives in its turn, and one that dies is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from signgen.commands.inspect import command as inspect
from signgen.errors import Damaged, InputError, RunError
from signgen.processes import cores, in_processes
from signgen.scoring.run import processes as worth_it


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


SCRIPT = """
import math
from signgen.processes import Apart, Bounds, in_processes
print(list(in_processes(math.sqrt, [1, 4, 9], 2)), flush=True)
apart = Apart()
print(apart.run(callable, (), Bounds(60, 2**30)), __file__)
apart.close()
"""


def test_a_script_that_says_no_main_is_not_run_again(tmp_path: Path) -> None:
    """As a user writes it who does not know how processes begin."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"[1.0, 2.0, 3.0]\nTrue {script}\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not say it")
def test_a_job_with_a_part_of_the_machine_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7})
    (jobs,) = [option for option in inspect.params if option.name == "jobs"]
    assert (cores(), jobs.get_default(click.Context(inspect)), worth_it(10**9)) == (2, 2, 2)
