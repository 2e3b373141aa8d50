"""The frame of the command line: exit codes, one-line errors, JSON alone on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import click
import pytest
from click.testing import CliRunner

from signgen.cli import COMMANDS, main
from signgen.commands.common import common_options, emit
from signgen.commands.options import FRAME_RANGE, RATE, SIZE
from signgen.errors import InputError, RunError


def _command(error: Exception | None) -> click.Command:
    @click.command()
    @common_options
    def command(as_json: bool) -> None:
        if error is not None:
            raise error
        emit({"frames": 3, "warnings": ["small"]}, as_json, "3 frames")

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.json", "is empty", "give\na file"), 2, "error: a.json: is empty; give a file"),
        (RunError("encoder", "stopped", "free some space"), 1, "error: encoder: stopped; free some space"),
        (ZeroDivisionError("oops"), 1, "error: signgen: ZeroDivisionError: oops; run again with --debug"),
        (OSError(28, "No space left on device", "out.mp4"), 1, "error: out.mp4: No space left on device"),
        (KeyboardInterrupt(), 1, "error: interrupted"),
    ],
)
def test_errors_are_one_line_with_the_contracts_exit_code(error: Exception, code: int, line: str) -> None:
    result = CliRunner().invoke(_command(error), [])
    assert result.exit_code == code
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_debug_shows_the_exception() -> None:
    result = CliRunner().invoke(_command(ZeroDivisionError("oops")), ["--debug"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_json_is_alone_on_standard_output() -> None:
    result = CliRunner().invoke(_command(None), ["--json"])
    assert json.loads(result.stdout) == {"frames": 3, "warnings": ["small"]}
    assert result.stderr == "warning: small\n"


def test_a_machine_without_a_place_for_temporary_files_runs_what_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert CliRunner().invoke(_command(None), []).stdout == "3 frames\n"


@pytest.mark.parametrize("arguments", [["nosuch"], ["inspect"], ["inspect", "--nosuch", "x"]])
def test_usage_errors_are_one_line(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "text"), [(SIZE, "0x0"), (SIZE, "210"), (SIZE, "9999x260"), (RATE, "0"), (RATE, "nan"), (FRAME_RANGE, "5")]
)
def test_values_outside_their_range(kind: click.ParamType, text: str) -> None:
    with pytest.raises(InputError, match="got"):
        kind.convert(text, None, None)


def test_good_values() -> None:
    assert SIZE.convert("210x260", None, None) == (210, 260)
    assert RATE.convert("29.97", None, None) == 29.97
    assert FRAME_RANGE.convert("5:", None, None) == slice(5, None)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "--json" in result.output


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "signgen", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "signgen" in done.stdout
