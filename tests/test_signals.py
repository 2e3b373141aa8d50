"""Ctrl-C and SIGTERM at any moment: one line, an exit code, no traceback, nothing left, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from signgen import signals
from signgen.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no such signals")

BOTH = pytest.mark.parametrize("number", signals.ASKING, ids=lambda number: number.name)
LINE = f"error: {signals.LINE}\n"
START = "import os, signal, sys, time; from signgen import signals; signals.listen(); "


def begun(code: str, folder: Path) -> subprocess.Popen[str]:
    """A program of ours, which has said that it has come to the place where it waits."""
    command, environment = [sys.executable, "-c", code], {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n", process.communicate()[1]
    return process


def ended(process: subprocess.Popen[str], number: int, group: bool = False) -> tuple[int, str]:
    """Exit code and standard error after a signal."""
    (os.killpg if group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


@BOTH
def test_before_a_command_works_a_signal_ends_the_program_at_once(number: int, tmp_path: Path) -> None:
    process = begun(START + "print('here', flush=True); time.sleep(600)", tmp_path)
    assert ended(process, number) == (1, LINE)


COMMAND = (
    START
    + """
import click
from pathlib import Path
from signgen.commands.common import common_options
from signgen.files import whole

class Stubborn:
    def __del__(self):
        wait()

def wait():
    print("here", flush=True)
    time.sleep(600)

def swallow():
    try:
        wait()
    except BaseException:
        pass
    time.sleep(600)

@click.command()
@common_options
def command(as_json):
    with whole(Path(os.environ["TMPDIR"], "out")) as temporary:
        temporary.write_text("unfinished")
        {}

command()
"""
)


@BOTH
@pytest.mark.parametrize(
    "waits",
    ["wait()", "one = Stubborn(); del one; time.sleep(600)", "swallow()", "1 / 0 if wait() else 0"],
    ids=["plainly", "in a destructor", "where all is caught", "in an expression"],
)
def test_a_command_removes_what_is_unfinished(waits: str, number: int, tmp_path: Path) -> None:
    process = begun(COMMAND.format(waits), tmp_path)
    assert ended(process, number) == (1, LINE)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_other_code_has_forked_ends_without_a_word(tmp_path: Path) -> None:
    code = """seen, there = os.pipe()
        if os.fork():
            os.read(seen, 1)  # Python forgets a signal that comes before a fork has begun to run
            wait()
        os.write(there, b"1")
        time.sleep(600)"""
    assert ended(begun(COMMAND.format(code), tmp_path), signal.SIGINT, group=True) == (1, LINE)
    assert list(tmp_path.iterdir()) == []


def test_an_import_is_not_cut_in_two(tmp_path: Path) -> None:
    module = tmp_path / "modules" / "slow.py"
    module.parent.mkdir()
    module.write_text(
        "import time\nprint('here', flush=True)\ntime.sleep(1)\nopen('{}', 'w')\n".format(tmp_path / "whole")
    )
    code = f"sys.path.insert(0, {str(module.parent)!r}); import slow; time.sleep(600)"
    assert ended(begun(COMMAND.format(code), tmp_path), signal.SIGTERM) == (1, LINE)
    assert (tmp_path / "whole").exists()


def test_a_step_that_is_held_is_done_first(tmp_path: Path) -> None:
    code = """with signals.held():
            print("here", flush=True)
            time.sleep(1)
            Path(os.environ["TMPDIR"], "done").touch()
        time.sleep(600)"""
    assert ended(begun(COMMAND.format(code), tmp_path), signal.SIGTERM) == (1, LINE)
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_a_command_gives_back_the_handlers_that_it_found() -> None:
    before = [signal.getsignal(number) for number in signals.ASKING]
    assert CliRunner().invoke(main, ["inspect", "nothing.json"]).exit_code == 2
    assert [signal.getsignal(number) for number in signals.ASKING] == before
    assert sys.unraisablehook is sys.__unraisablehook__ or "signgen" not in repr(sys.unraisablehook)


WORKERS = (
    START
    + """
from signgen.processes import in_processes
from test_signals import work
with signals.raised():
    try:
        for _ in in_processes(work, [os.environ["TMPDIR"] + "/a", os.environ["TMPDIR"] + "/b"], 2, ordered=False):
            pass
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
"""
)


def work(place: str) -> None:
    """Says where it is, in a process of its own, with an output that is not finished."""
    from signgen.files import whole

    with whole(Path(place)) as temporary:
        temporary.write_text("unfinished")
        Path(place + ".pid").write_text(str(os.getpid()))
        time.sleep(600)


@BOTH
@pytest.mark.parametrize("group", [False, True], ids=["the command alone", "the whole group"])
def test_workers_end_with_their_command_and_remove_what_is_unfinished(
    group: bool, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    process = begun(WORKERS.replace("with signals", "print('here', flush=True)\nwith signals", 1), tmp_path)
    places = [tmp_path / "a.pid", tmp_path / "b.pid"]
    until = time.monotonic() + 120
    while not all(place.exists() and place.read_text() for place in places) and time.monotonic() < until:
        time.sleep(0.05)
    workers = [int(place.read_text()) for place in places]
    assert ended(process, number, group) == (0, "interrupted\n")
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pid", "b.pid"]
