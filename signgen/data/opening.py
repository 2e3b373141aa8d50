"""Files of a prepared data set opened with care: one that is damaged is named, and how it is made anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError

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
