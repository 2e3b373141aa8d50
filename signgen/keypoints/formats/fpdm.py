"""FPDM's pose text: a folder with one file a frame, or one such file: 133 rows of `x y`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from signgen.errors import Empty
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format
from signgen.keypoints.formats.skels import is_number, numbers
from signgen.keypoints.frame_numbers import timeline
from signgen.keypoints.raw import Folder, RawClip, Request
from signgen.keypoints.rows import Rows
from signgen.keypoints.skeleton import NUM_JOINTS


def _recognises(value: Any) -> bool:
    """Rows of `x y`, or a folder that begins with such a file."""
    return _is_frame(value.first if isinstance(value, Folder) else value.whole)


def _is_frame(text: str | None) -> bool:
    if text is None:
        return False
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return bool(rows) and len(rows) < 1000 and all(len(row) in (2, 3) and is_number(row[0]) for row in rows)


def _read(value: Any, request: Request) -> RawClip:
    """One file per frame, 133 rows of `x y` (or `x y score`); (0,0) and (-1,-1) are missing points."""
    rows: Rows | None = None
    columns = 0
    for text in value.frames() if isinstance(value, Folder) else [value.whole]:
        if not _is_frame(text):
            raise request.error("text files that are not all rows of x y", "keep one kind of file in the folder")
        frame = _frame(text, request)
        columns = columns or frame.shape[1]
        if frame.shape[1] != columns:
            raise request.error("frames with different numbers of columns", "give x y in every file")
        rows = rows or Rows(frame.shape, np.float64)
        rows.append(frame[None])
    if rows is None:
        raise request.error("no frames", "give at least one frame", Empty)
    points = rows.array()
    time = timeline(value.numbers if isinstance(value, Folder) else None, len(points), request.subject)
    order = np.full(time.length, -1)
    order[time.places] = np.arange(len(points))
    name = request.frames_name if isinstance(value, Folder) else request.path.stem
    return RawClip(points, None, name, order=order, warnings=time.warnings)


def _frame(text: str, request: Request) -> np.ndarray:
    """(133,2) or (133,3)."""
    values = numbers(text.split(), request)
    columns = len(text.strip().splitlines()[0].split())
    if values.size != NUM_JOINTS * columns:
        raise request.error(f"{values.size // columns} rows in a frame", "signgen needs 133 rows of x y")
    return values.reshape(NUM_JOINTS, columns)


def _write(keypoints: Keypoints) -> Iterator[tuple[str, bytes]]:
    """One file a frame, 133 rows of `x y`; `0 0` is a missing point."""
    for t, points in enumerate(frame for part in keypoints.blocks() for frame in part.xy):
        yield f"{t + 1:06d}.txt", "".join(" ".join(map(str, point)) + "\n" for point in points).encode()


FORMAT = Format(
    name="fpdm",
    label="FPDM's text",
    origin="FPDM: one text a frame, 133 rows `x y`",
    content="rows of two numbers",
    kinds=("text", "text_folder"),
    recognises=_recognises,
    read=_read,
    write=_write,
    folder=r".*\.txt",
    confidence=False,
)
