"""Keypoints from standard input: kept in a temporary file, so that they can be looked at again, up to a limit."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from signgen.errors import InputError

STANDARD_INPUT = "-"  # in place of a file's name
NAME = "stdin"  # of what came that way, in messages and as a clip's name
LARGEST_PIPED = 512 << 20  # bytes; an endless stream must come to an end
_IN_MEMORY = 32 << 20  # bytes; what is longer lies in the folder for temporary files
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Piped:
    """What came through a pipe: ``content`` is a file that can be read from its start again and again."""

    content: BinaryIO


def is_standard_input(path: object) -> bool:
    """True for ``-`` (a file of that name is ``./-``)."""
    return isinstance(path, (str, os.PathLike)) and os.fspath(path) == STANDARD_INPUT


def read_standard_input(stream: BinaryIO | None = None) -> Piped:
    """Everything that standard input (or another stream of bytes) gives.

    Raises:
        InputError: it is a terminal or closed, gives nothing, or more than 512 MiB.
    """
    if stream is None:
        if sys.stdin is None or sys.stdin.closed:
            raise InputError(NAME, "it is closed", "give a file, or pipe keypoints into signgen")
        if sys.stdin.isatty():
            raise InputError(NAME, "a terminal", "pipe keypoints into it: cat clip.pose | signgen render - -o a.mp4")
        stream = sys.stdin.buffer
    kept, size = SpooledTemporaryFile(_IN_MEMORY), 0  # noqa: SIM115 - lives as long as `Piped`
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_PIPED:
            kept.close()
            raise InputError(NAME, f"more than {LARGEST_PIPED >> 20} MiB", "write it to a file and give that")
        kept.write(chunk)
    if not size:
        raise InputError(NAME, "nothing came", "see whether the program before the pipe failed")
    kept.seek(0)
    return Piped(kept)  # type: ignore[arg-type]
