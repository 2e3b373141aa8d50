"""`.skels` files of ProgressiveTransformers: one line of text a clip, 50 joints about the neck."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from signgen.errors import Empty, Missing
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.repair.align import over_time
from signgen.keypoints.skeleton import LEFT_HAND, NUM_JOINTS, RIGHT_HAND, SHOULDERS

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


def _recognises(text: str) -> bool:
    """The first line holds a whole number of frames of 151 numbers."""
    fields = text[: text.find("\n") if "\n" in text else len(text)].split()
    return len(fields) >= _ROW and len(fields) % _ROW == 0 and is_number(fields[0])


def _read(text: str, request: Request) -> RawClip:
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
    rows = numbers(lines[names.index(name)].split(), request)
    if rows.size % _ROW or not rows.size:
        raise request.error(f"{rows.size} numbers in the line of {name}", f"a line holds {_ROW} numbers per frame")
    rows = _without_padding(rows.reshape(-1, _ROW), request)
    joints = _SCALE * rows[:, : 3 * _JOINTS].reshape(-1, _JOINTS, 3)[..., :2]
    xy, scores = np.zeros((len(rows), NUM_JOINTS, 2)), np.zeros((len(rows), NUM_JOINTS))
    xy[:, list(_JOINT_OF)] = joints[:, list(_JOINT_OF.values())]
    scores[:, list(_JOINT_OF)] = (rows[:, : 3 * _JOINTS] != 0).any(1, keepdims=True)  # an all-zero frame is padding
    return RawClip(xy, scores, name, placed=False)


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
        raise request.error("only zeros", "the sequence is empty; choose another", Empty)
    rows = rows[: filled[-1] + 1]
    return rows[: int(np.nanargmax(np.nan_to_num(rows[:, -1]))) + 1]


def _write(keypoints: Keypoints) -> bytes:
    """One line: 50 joints and the counter for each frame, neck at the origin, shoulders 1 apart, divided by three.

    The neck is the middle of the shoulders (between frames that show them where one does not). Depth is 0, and so is
    a missing joint. InputError if no frame shows both shoulders.
    """
    both = np.all(keypoints.confidence[:, SHOULDERS] > 0, axis=1)
    if not both.any():
        advice = "coordinates of .skels are measured by the shoulders; choose another format"
        raise Missing(keypoints.name or "keypoints", "no frame shows both shoulders", advice)
    pair = keypoints.xy[:, SHOULDERS].astype(np.float64)
    width = max(float(np.median(np.linalg.norm(pair[both, 0] - pair[both, 1], axis=-1))), 1e-3)
    neck = over_time(pair.mean(1), both)
    local = (keypoints.xy - neck[:, None]) / (width * _SCALE)
    joints = np.zeros((len(pair), _JOINTS, 3))
    local = np.where(keypoints.confidence[..., None] > 0, local, 0)
    joints[:, list(_JOINT_OF.values()), :2] = local[:, list(_JOINT_OF)]
    counter = np.arange(len(pair))[:, None] / len(pair)
    rows = np.concatenate([joints.reshape(len(pair), -1), counter], axis=1)
    return (" ".join(f"{value:.8g}" for value in rows.ravel()) + "\n").encode()


def numbers(fields: Sequence[str], request: Request) -> np.ndarray:
    try:
        return np.array(fields, dtype=np.float64)
    except (ValueError, OverflowError) as error:
        raise request.error(f"text between the numbers ({error})"[:150], "give numbers only") from None


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


FORMAT = Format(
    name="skels",
    label=".skels",
    kinds=("text",),
    recognises=_recognises,
    read=_read,
    write=_write,
    suffix=".skels",
    several=True,
    confidence=False,
    joints=tuple(sorted(_JOINT_OF)),
    placed=False,
)
