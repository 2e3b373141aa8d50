"""Text files: ProgressiveTransformers `.skels` sequences, and FPDM's pose text files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.raw import NECK_ORIGIN, RawClip, Request, pick_clip, seen_where_placed
from signgen.keypoints.skeleton import LEFT_HAND, LEFT_SHOULDER, NUM_JOINTS, RIGHT_HAND, RIGHT_SHOULDER

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

_JOINTS = 50
_ROW = 3 * _JOINTS + 1  # x, y, z of each joint and a counter from 0 to 1
_SCALE = 3.0  # the authors divide by this; afterwards shoulders are about 1 apart

# COCO-WholeBody joint -> joint of the file. Joint 1, the neck, is the origin and has no partner in COCO.
_ARMS = {0: 0, 5: 2, 7: 3, 9: 4, 6: 5, 8: 6, 10: 7}
_JOINT_OF = {
    **_ARMS,
    **{LEFT_HAND.start + i: 29 + i for i in range(21)},
    **{RIGHT_HAND.start + i: 8 + i for i in range(21)},
}


def is_skels(text: str) -> bool:
    """The first line holds a whole number of frames of 151 numbers."""
    fields = text[: text.find("\n") if "\n" in text else len(text)].split()
    return len(fields) >= _ROW and len(fields) % _ROW == 0 and _is_number(fields[0])


def read_skels(text: str, request: Request) -> RawClip:
    """One line is one clip; `--clip` gives its name in the sister file `.files`, or its number counted from 0.

    The third dimension is left out (the authors draw x and y). There is no face, no hip and no confidence.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    names = _names(request.path, len(lines))
    wanted = request.clip
    if wanted is not None and wanted.isdigit() and wanted not in names and int(wanted) < len(lines):
        name = names[int(wanted)]
    else:
        name = pick_clip(names, request)
    rows = _numbers(lines[names.index(name)].split(), request)
    if rows.size % _ROW or not rows.size:
        raise request.error(f"{rows.size} numbers in the line of {name}", f"a line holds {_ROW} numbers per frame")
    rows = _without_padding(rows.reshape(-1, _ROW), request)
    joints = _SCALE * rows[:, : 3 * _JOINTS].reshape(-1, _JOINTS, 3)[..., :2]
    xy, scores = np.zeros((len(rows), NUM_JOINTS, 2)), np.zeros((len(rows), NUM_JOINTS))
    xy[:, list(_JOINT_OF)] = joints[:, list(_JOINT_OF.values())]
    scores[:, list(_JOINT_OF)] = (rows[:, : 3 * _JOINTS] != 0).any(1, keepdims=True)  # an all-zero frame is padding
    return RawClip(xy, scores, name, unit=NECK_ORIGIN)


def _names(path: Path, count: int) -> list[str]:
    """Clip names of the sister file, or numbers if there is no such file or it does not fit."""
    sister = path.with_suffix(".files")
    if sister.is_file():
        names = sister.read_text(encoding="utf-8", errors="replace").split()
        if len(names) == count and len(set(names)) == count:
            return names
    return [path.stem] if count == 1 else [str(i) for i in range(count)]


def _without_padding(rows: np.ndarray, request: Request) -> np.ndarray:
    """A model's output runs on after the counter has peaked, and is then padded with zeros: cut both."""
    filled = np.flatnonzero((rows[:, :-1] != 0).any(1))
    if not len(filled):
        raise request.error("only zeros", "the sequence is empty; choose another")
    rows = rows[: filled[-1] + 1]
    return rows[: int(np.nanargmax(np.nan_to_num(rows[:, -1]))) + 1]


def to_skels(keypoints: Keypoints) -> bytes:
    """One line: 50 joints and the counter for each frame, neck at the origin, shoulders 1 apart, divided by three.

    The neck is the middle of the shoulders (between frames that show them where one does not). Depth is 0, and so is
    a missing joint. InputError if no frame shows both shoulders.
    """
    shoulders = [LEFT_SHOULDER, RIGHT_SHOULDER]
    both = (keypoints.confidence[:, shoulders] > 0).all(1)
    if not both.any():
        advice = "coordinates of .skels are measured by the shoulders; choose another format"
        raise InputError(keypoints.name or "keypoints", "no frame shows both shoulders", advice)
    pair = keypoints.xy[:, shoulders].astype(np.float64)
    width = max(float(np.median(np.linalg.norm(pair[both, 0] - pair[both, 1], axis=-1))), 1e-3)
    frames = np.arange(len(pair))
    neck = np.stack([np.interp(frames, frames[both], pair[both, :, axis].mean(1)) for axis in (0, 1)], axis=-1)
    local = (keypoints.xy - neck[:, None]) / (width * _SCALE)
    joints = np.zeros((len(frames), _JOINTS, 3))
    local = np.where(keypoints.confidence[..., None] > 0, local, 0)
    joints[:, list(_JOINT_OF.values()), :2] = local[:, list(_JOINT_OF)]
    rows = np.concatenate([joints.reshape(len(frames), -1), frames[:, None] / len(frames)], axis=1)
    return (" ".join(f"{value:.8g}" for value in rows.ravel()) + "\n").encode()


# --- FPDM -----------------------------------------------------------------------------------------------------
def is_fpdm(text: str) -> bool:
    """133 rows of `x y`."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return bool(rows) and len(rows) < 1000 and all(len(row) in (2, 3) and _is_number(row[0]) for row in rows)


def read_fpdm(texts: Sequence[str], name: str, request: Request) -> RawClip:
    """One file per frame, 133 rows of `x y` (or `x y score`); (0,0) and (-1,-1) are missing points."""
    frames = []
    for text in texts:
        if not is_fpdm(text):
            raise request.error("text files that are not all rows of x y", "keep one kind of file in the folder")
        values = _numbers(text.split(), request)
        columns = len(text.strip().splitlines()[0].split())
        if values.size != NUM_JOINTS * columns:
            raise request.error(f"{values.size // columns} rows in a frame", "signgen needs 133 rows of x y")
        frames.append(values.reshape(NUM_JOINTS, columns))
    if len({frame.shape for frame in frames}) != 1:
        raise request.error("frames with different numbers of columns", "give x y in every file")
    points = np.stack(frames)
    scores = points[..., 2] if points.shape[-1] == 3 else seen_where_placed(points)
    return RawClip(points[..., :2], scores, name)


def _numbers(fields: Sequence[str], request: Request) -> np.ndarray:
    try:
        return np.array(fields, dtype=np.float64)
    except (ValueError, OverflowError) as error:
        raise request.error(f"text between the numbers ({error})"[:150], "give numbers only") from None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
