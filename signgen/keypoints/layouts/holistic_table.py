"""Tables of MediaPipe's landmarks: a row a landmark (Kaggle's), or a row a frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from signgen.errors import Empty
from signgen.keypoints.containers.table import Table
from signgen.keypoints.frame_numbers import timeline
from signgen.keypoints.layouts.holistic import COUNT, PARTS, PLACES, STARTS, is_row, points_of, wholebody
from signgen.keypoints.raw import RawClip, Request, check_only_clip, pick_clip
from signgen.keypoints.rows import Rows, blocks
from signgen.keypoints.skeleton import NUM_JOINTS

_FRAME = ("frame", "frame_id", "frame_number", "frame_idx", "frame_index")
_CLIP = ("sequence_id", "clip", "video", "video_id", "path", "file", "file_name", "filename", "name")
_TYPE, _INDEX = ("type", "landmark_type", "part"), ("landmark_index", "landmark_id", "landmark", "index")
_SEEN = ("visibility", "v", "score", "confidence")
_PART = "face|pose|left_hand|right_hand"
_COLUMN = re.compile(
    rf"(?:([xyzv])_)?({_PART})(?:_landmarks?)?_?(?:([xyzv])_?)?(\d{{1,3}})(?:_?([xyzv]|visibility))?", re.ASCII
)
_ROW = 40  # bytes that a landmark takes while it is kept
_JOINT = {(part, place): joint for part, places in PLACES.items() for joint, place in places.items()}


def is_landmark_table(table: Table) -> bool:
    return _is_long(table) or len(_columns(table)) > 100 or bool(_row_of_numbers(table))


def read_landmark_table(table: Table, request: Request) -> RawClip:
    """One clip of a table, in the order of its frame numbers."""
    if _is_long(table):
        return _read_long(table, request)
    return _read_wide(table, request)


def _place(table: Table, names: Sequence[str]) -> int | None:
    """Where the first of these columns is."""
    there = [name.lower() for name in table.names]
    return next((there.index(name) for name in names if name in there), None)


def _is_long(table: Table) -> bool:
    return None not in [_place(table, names) for names in (_TYPE, _INDEX, _FRAME, ("x",), ("y",))]


def _columns(table: Table) -> dict[tuple[int, int], int]:
    """(landmark of the 543, 0 for x, 1 for y, 3 for visibility) -> column."""
    found = {}
    for place, name in enumerate(table.names):
        match = _COLUMN.fullmatch(name.lower())
        axis = match and (match[1] or match[3] or match[5])
        if match and axis and axis != "z" and int(match[4]) < PARTS[match[2]]:
            found[STARTS[match[2]] + int(match[4]), {"x": 0, "y": 1, "v": 3}[axis[0]]] = place
    return found


def _row_of_numbers(table: Table) -> slice | None:
    """The columns that are a frame in a row; a number or a label may stand before or behind them."""
    if is_row(table.width):
        return slice(0, table.width)
    if not is_row(table.width - 1):
        return None
    try:
        float(table.first(table.width - 1))
    except ValueError:
        return slice(0, table.width - 1)
    return slice(1, table.width)


# --- a row a landmark -----------------------------------------------------------------------------------------
def _read_long(table: Table, request: Request) -> RawClip:
    frame, x, y = (_place(table, names) for names in (_FRAME, ("x",), ("y",)))
    kind, index = (_place(table, names) for names in (_TYPE, _INDEX))
    seen, clip = _place(table, _SEEN), _place(table, _CLIP)
    numbers: list[Any] = [frame, index, x, y, *([] if seen is None else [seen])]
    kept, clips, names = [np.zeros((0, 5))], [np.zeros(0, np.int64)], dict[str, int]()
    for values, texts in table.rows(numbers, [kind, *([] if clip is None else [clip])]):  # type: ignore[list-item]
        joints = _joints_of(values[:, 1], texts[0])
        mine = np.array([names.setdefault(name, len(names)) for name in texts[1]] if clip is not None else [], np.int64)
        wanted = (joints >= 0) | ~np.isin(values[:, 0], kept[-1][:, 0])  # a frame without anybody has rows, too
        wanted &= np.isfinite(values[:, 0])
        table.budget.spend("bytes", _ROW * int(wanted.sum()))
        scores = values[:, 4] if seen is not None else np.ones(len(values))
        kept.append(np.column_stack([values[:, 0], joints, values[:, 2:4], scores])[wanted])
        clips.append(mine[wanted] if clip is not None else np.zeros(int(wanted.sum()), np.int64))
    rows = np.concatenate(kept)
    name = request.path.stem
    if len(names) < 2:
        check_only_clip(request, *names)
    else:
        name = pick_clip(list(names), request)
        rows = rows[np.concatenate(clips) == names[name]]
    if not len(rows):
        raise request.error("no landmarks", "give a table with rows of landmarks", Empty)
    return _clip_of(rows, name, request)


def _joints_of(index: np.ndarray, kinds: list[str]) -> np.ndarray:
    """float64 (n,): the joint of each landmark, -1 for those that are none."""
    joints = np.full(len(index), -1.0)
    parts = np.array([kind.lower().removesuffix("_landmarks") for kind in kinds])
    for part, places in PLACES.items():
        table = np.full(1000, -1)
        table[list(places.values())] = list(places)
        mine = (parts == part) & (index >= 0) & (index < len(table))
        joints[mine] = table[index[mine].astype(np.int64)]
    return joints


def _clip_of(rows: np.ndarray, name: str, request: Request) -> RawClip:
    """Rows of frame, joint, x, y, score become frames."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    given, frames = np.unique(rows[:, 0], return_inverse=True)
    made = Rows((NUM_JOINTS, 3))
    for part in blocks(len(given)):
        low, high = np.searchsorted(frames, [part.start, part.stop])
        here, where = rows[low:high], frames[low:high] - part.start
        block = np.zeros((part.stop - part.start, NUM_JOINTS, 3))
        there = (here[:, 1] >= 0) & np.isfinite(here[:, 2:4]).all(1) & (here[:, 2:4] != 0).any(1)
        block[where[there], here[there, 1].astype(np.int64)] = here[there, 2:]
        made.append(np.nan_to_num(block))
    return _in_time(made, [int(number) if abs(number) < 2**53 else None for number in given.tolist()], name, request)


def _in_time(made: Rows, numbers: list[int | None] | None, name: str, request: Request) -> RawClip:
    points = made.array()
    if not len(points):
        raise request.error("no frames", "give at least one frame", Empty)
    time = timeline(numbers, len(points), request.subject)
    order = np.full(time.length, -1)
    order[time.places] = np.arange(len(points))
    return RawClip(points, None, name, order=order, warnings=time.warnings)


# --- a row a frame --------------------------------------------------------------------------------------------
def _read_wide(table: Table, request: Request) -> RawClip:
    named, frame, clip = _columns(table), _place(table, _FRAME), _place(table, _CLIP)
    chosen: list[int] = [*named.values()]
    if len(named) <= 100:
        part = _row_of_numbers(table) or slice(0, 0)
        named, chosen = {}, [*range(part.start, part.stop)]
    texts = [] if clip is None or clip in chosen else [clip]
    numbers = [*chosen, *([] if frame is None or frame in chosen else [frame])]
    names = dict.fromkeys(one for _, found in table.rows((), texts) for one in found[0]) if texts else {}
    if len(names) < 2:
        check_only_clip(request, *names)
    name = pick_clip(list(names), request) if len(names) > 1 else request.path.stem
    made, given = Rows((NUM_JOINTS, 3)), []
    for values, found in table.rows(numbers, texts):
        if texts and name in names:
            values = values[np.array(found[0]) == name]
        given.append(values[:, len(chosen) :])
        if not named:
            for points in points_of(values[:, : len(chosen)]):
                made.append(points[:, 0])
            continue
        landmarks = np.full((len(values), 1, COUNT, 4), np.nan)
        landmarks[..., 3] = 0
        for column, (landmark, axis) in enumerate(named):
            landmarks[:, 0, landmark, axis] = values[:, column]
        made.append(wholebody(landmarks)[:, 0])
    rates = np.concatenate(given).ravel() if given and frame is not None and frame not in chosen else None
    counted = None if rates is None else [int(one) if np.isfinite(one) else None for one in rates.tolist()]
    return _in_time(made, counted, name, request)
