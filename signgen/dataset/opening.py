"""Files of a prepared data set opened with care: one that is damaged is named, and how it is made anew."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError

# Whether a PNG file is whole, told without decoding it; for data sets of a million frames.


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk: empty, with its checksum

CHECKS = ("names", "ends", "pixels")  # how closely frames are looked at, see `broken_frame`


def png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of a PNG file that has its first and its last bytes, or None if it is none or was cut off."""
    try:
        with open(path, "rb") as file:
            head = file.read(24)
            file.seek(-min(len(_END), len(head)), 2)
            end = file.read()
    except OSError:
        return None
    if len(head) < 24 or head[:8] != _SIGNATURE or head[12:16] != b"IHDR" or end != _END:
        return None
    return struct.unpack(">II", head[16:24])


def broken_frame(files: Sequence[Path], size: tuple[int, int] | None, check: str) -> str | None:
    """What is wrong with the first broken frame of a clip, in a few words, or None.

    Args:
        size: what all frames must have, or None for that of the clip's first.
        check: ``names`` looks at nothing, ``ends`` at the header and the last bytes, ``pixels`` decodes every frame.
    """
    if check == "names":
        return None
    for path in files:
        got = png_size(path)
        if got is None:
            return f"{path.name} is damaged or cut off"
        size = size or got
        if got != size:
            return f"{path.name} is {got[0]}x{got[1]}, other frames {size[0]}x{size[1]}"
        if check == "pixels" and not _decodes(path):
            return f"{path.name} is damaged"
    return None


def _decodes(path: Path) -> bool:
    from signgen.video import read_image

    try:
        read_image(path)
    except InputError:
        return False
    return True


REPAIR = "give the same signgen prepare command again: it makes anew what is damaged"


class Damaged(InputError):
    """A file that is not there or not whole, and can be made anew."""


def damaged(path: Path, error: BaseException, advice: str = REPAIR) -> Damaged:
    """What to raise where reading ``path`` ended in ``error``."""
    if isinstance(error, FileNotFoundError):
        return Damaged(path, "is not there", advice)
    return Damaged(path, f"is damaged ({' '.join(str(error).split())[:100]})", advice)


def open_array(path: Path, rows: int | None = None, advice: str = REPAIR) -> np.ndarray:
    """An npy file mapped into memory.

    Raises:
        Damaged: it is not there, was cut off, or does not hold ``rows`` rows.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error, advice) from error
    if rows is not None and len(found) != rows:
        raise Damaged(path, f"holds {len(found)} rows instead of {rows}", advice)
    return found


def is_whole(path: Path, rows: int) -> bool:
    """Whether an npy file is there with all of its ``rows``; its numbers are not read."""
    try:
        open_array(path, rows)
    except Damaged:
        return False
    return True


def read_json(path: Path, advice: str = REPAIR) -> dict[str, Any]:
    """A JSON object; `Damaged` where the file is not there or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, error, advice) from error
    if not isinstance(content, dict):
        raise Damaged(path, "is no JSON object", advice)
    return content
