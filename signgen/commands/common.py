"""What all commands share: --json and --debug, exit codes, progress on standard error."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from signgen import signals
from signgen.errors import NotFound, RunError, SignGenError
from signgen.files import remove_leftovers


def common_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds --json and --debug, and turns every exception into one line and the contract's exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
    @functools.wraps(function)
    def wrapped(*args: Any, debug: bool, **kwargs: Any) -> None:
        try:
            with signals.raised():
                with suppress(FileNotFoundError):  # on a machine that is read-only; what needs such a folder says so
                    remove_leftovers(Path(tempfile.gettempdir()), deep=False)
                function(*args, **kwargs)
        except click.exceptions.ClickException:
            raise
        except (Exception, KeyboardInterrupt) as error:
            if debug:
                raise
            signals.leave(report(error))

    return wrapped


def report(error: BaseException) -> int:
    """Prints ``error: ...`` as one line on standard error and returns the exit code."""
    if isinstance(error, KeyboardInterrupt) or signals.asked():
        code, text = 1, signals.LINE
    elif isinstance(error, SignGenError):
        code, text = error.exit_code, str(error)
    elif isinstance(error, BrokenPipeError):
        code, text = 1, "output: the reader closed the pipe; nothing more can be written"
    elif isinstance(error, OSError) and error.filename:
        code, text = 1, f"{error.filename}: {error.strerror}; check the path, the permissions and the free space"
    else:
        detail = " ".join(str(error).split())[:300] or "no message"
        code, text = 1, f"signgen: {type(error).__name__}: {detail}; run again with --debug for the traceback"
    click.echo(f"error: {harmless(text)}", err=True)
    return code


def emit(result: dict[str, Any], as_json: bool, text: str) -> None:
    """Prints the result: one JSON object, or ``text``; warnings go to standard error either way."""
    warn(result.get("warnings", ()))
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    narrow = not encoding.lower().startswith("utf")  # such as that of a pipe or a file on Windows
    shown = json.dumps(result, ensure_ascii=narrow, default=_jsonable, allow_nan=False) if as_json else text
    # File names that are no Unicode become \udc.. escapes, which are JSON's own; so does what the stream cannot hold.
    line = harmless(shown).encode(encoding, "backslashreplace").decode(encoding)
    with standard_output() as output:
        click.echo(line, file=output)


def warn(warnings: Iterable[str]) -> None:
    """Prints warnings to standard error, a line each."""
    for warning in warnings:
        click.echo(f"warning: {harmless(warning)}", err=True)


# Everything that moves a terminal's cursor, renames its window or turns text around; but colours are welcome.
_CONTROLS = re.compile("(?!\x1b\\[[0-9;]*m)[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Text with the control characters of names, which files bring along, as escapes that are JSON's own."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def standard_output() -> Iterator[Any]:
    """The text stream, which is flushed at the end.

    Raises:
        RunError: it is closed, or what it leads to is full. A reader that has gone is a BrokenPipeError.
    """
    if sys.stdout is None:
        raise RunError("standard output", "it is closed", "give it a place to go, such as a file")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # what is still held would fail again when the program ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise RunError("standard output", f"cannot be written ({error.strerror})", "make room there") from None


def _jsonable(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Callable[[int], None]]:
    """Yields ``advance(n)``. A bar with rate and time left on a terminal, a plain line every few seconds elsewhere."""
    if sys.stderr is not None and sys.stderr.isatty():  # there is none where it was closed, or without a console
        with _bar(total, label) as advance:
            yield advance
    else:
        yield _PlainLines(total, label).advance


@contextmanager
def progress_to(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields ``report(done, total)``: as `progress`, begun with the first report, which knows the total."""
    with ExitStack() as stack:
        advance: Callable[[int], None] | None = None
        shown = 0

        def report(done: int, total: int) -> None:
            nonlocal advance, shown
            advance = advance or stack.enter_context(progress(total, label))
            if done >= shown:
                advance(done - shown)
                shown = done

        yield report


@contextmanager
def _bar(total: int | None, label: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate_column = TextColumn("{task.fields[rate]}")
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), rate_column, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task, rate = bars.add_task(label, total=total, rate=""), _Rate()

        def advance(n: int = 1) -> None:
            now = rate.after(n)
            bars.update(task, advance=n, rate=f"{now:.1f}/s" if now else "")

        yield advance


SHORTEST = 0.2  # seconds from which a rate is shown


class _Rate:
    """Things done a second, since the first of them: what was done before this session, and its start, do not count."""

    def __init__(self) -> None:
        self.begun: float | None = None
        self.done = 0

    def after(self, n: int) -> float:
        """The rate when ``n`` more are done; 0 as long as there is none."""
        if self.begun is None:
            self.begun = time.monotonic()
            return 0.0
        self.done += n
        seconds = time.monotonic() - self.begun
        return self.done / seconds if seconds >= SHORTEST else 0.0


class _PlainLines:
    """Progress for logs: at most one line every five seconds, and one at the end."""

    def __init__(self, total: int | None, label: str) -> None:
        self.total, self.label, self.done = total, label, 0
        self.last, self.rate = time.monotonic(), _Rate()

    def advance(self, n: int = 1) -> None:
        self.done += n
        rate, now = self.rate.after(n), time.monotonic()
        if n == 0 or (now - self.last < 5 and self.done != self.total):
            return
        self.last = now
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate else ""
        speed = f" ({rate:.1f}/s{left})" if rate else ""
        click.echo(f"{self.label}: {self.done}/{self.total or '?'}{speed}", err=True)


def given(*but: str) -> set[str]:
    """Names of the parameters that the running command was given on its line, without those that all commands have."""
    ctx = click.get_current_context()
    line = click.core.ParameterSource.COMMANDLINE
    return {name for name in ctx.params if ctx.get_parameter_source(name) is line} - {"as_json", "debug", *but}


def option_of(name: str) -> str:
    """A parameter of the running command as it is written on the line: ``--from`` for ``format``."""
    found = next(parameter for parameter in click.get_current_context().command.params if parameter.name == name)
    return max(found.opts, key=len)


def existing_path(path: str) -> Path:
    """The path of an input, or `NotFound`."""
    if not Path(path).exists():
        raise NotFound(path, "no such file or folder", "check the path")
    return Path(path)
