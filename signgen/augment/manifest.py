"""What was made: one JSON line a clip, written when the clip's files are in place.

A process that is killed leaves at most one torn line at the end, which counts for nothing: its clip is made again.
Each share of the work has a file of its own (``manifest/part-I-of-N.jsonl``), for not every network disk appends
lines of two machines one after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signgen.errors import InputError, RunError

DONE, LEFT_OUT = "done", "left_out"
FOLDER = "manifest"
# What may differ between two records of the same clip: when and how fast, not what.
_INCIDENTAL = ("seconds", "worker")


def part_path(out: Path, number: int, count: int) -> Path:
    """The manifest of share ``number`` of ``count``."""
    return out / FOLDER / f"part-{number:04d}-of-{count:04d}.jsonl"


class Part:
    """The manifest of one share, open for appending; made by `open_part`."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle

    def append(self, record: dict[str, Any]) -> None:
        """One record: whole with a line end, or to be ignored. RunError where it cannot be written."""
        line = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogateescape")
        try:
            written = os.write(self._handle, line)
            if written < len(line):
                raise OSError(28, "the disk is full")
            os.fsync(self._handle)
        except OSError as error:
            advice = "see to the space and give the same command again: what is finished is kept"
            raise RunError(self.path, f"cannot be written ({error.strerror})", advice) from None


@contextmanager
def open_part(out: Path, number: int = 1, count: int = 1) -> Iterator[Part]:
    """The manifest of a share, for one process at a time; a torn last line is cut off first.

    Raises:
        InputError: another process is at work on this share.
    """
    path = part_path(out, number, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _lock(handle, path)
        _cut_torn_line(handle)
        yield Part(path, handle)
    finally:
        os.close(handle)


def read_records(out: Path) -> dict[str, dict[str, Any]]:
    """The record of each clip, over all shares.

    Raises:
        InputError: a line is damaged, or two records of a clip say different things.
    """
    records: dict[str, dict[str, Any]] = {}
    for path in sorted((out / FOLDER).glob("part-*-of-*.jsonl")):
        for record in _read(path):
            before = records.setdefault(record["clip"], record)
            if _content(before) != _content(record):
                advice = "one of them was made with other settings or weights: delete the clip's lines and run again"
                raise InputError(path, f"makes {record['clip']} a second time, differently", advice)
    return records


def count_lines(out: Path) -> int:
    """Whole lines of all shares; more than there are records where a clip was made twice."""
    return sum(1 for path in (out / FOLDER).glob("part-*-of-*.jsonl") for _ in _read(path))


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return  # torn by a kill, or being written
            try:
                record = json.loads(line)
                if not isinstance(record["clip"], str) or record["state"] not in (DONE, LEFT_OUT):
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                got, advice = f"line {number} is damaged", "delete that line and give the same command again"
                raise InputError(path, got, advice) from None
            yield record


def _content(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _INCIDENTAL}


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(path, "another process is at work on this share", "wait for it, or end it first") from None


def _cut_torn_line(handle: int) -> None:
    """Cuts off what follows the last line end."""
    size = end = os.lseek(handle, 0, os.SEEK_END)
    while end:
        start = max(end - (1 << 16), 0)
        os.lseek(handle, start, os.SEEK_SET)
        block = os.read(handle, end - start)
        last = block.rfind(b"\n")
        if last >= 0:
            end = start + last + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
