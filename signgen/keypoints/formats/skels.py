"""`.skels` files of ProgressiveTransformers: one line of text a clip, 50 joints about the neck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from signgen.errors import Empty, Missing
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.repair.align import over_time
from signgen.keypoints.rows import Rows, blocks
from signgen.keypoints.skeleton import LEFT_HAND, NUM_JOINTS, RIGHT_HAND, SHOULDERS
from signgen.keypoints.texts import Text

_JOINTS = 50
_ROW = 3 * _JOINTS + 1  # x, y, z of each joint and a counter from 0 to 1
_OFF = 0.1  # from an even rise to 1, how far the counter of a model may be
_SCALE = 3.0  # the authors divide by this; afterwards shoulders are about 1 apart

# COCO-WholeBody joint -> joint of the file. Joint 1, the neck, is the origin and has no partner in COCO.
_ARMS = {0: 0, 5: 2, 7: 3, 9: 4, 6: 5, 8: 6, 10: 7}
_JOINT_OF = {
    **_ARMS,
    **{LEFT_HAND.start + i: 29 + i for i in range(21)},
    **{RIGHT_HAND.start + i: 8 + i for i in range(21)},
}


def _recognises(text: Text) -> bool:
    """The first line holds a whole number of frames of 151 numbers; of a very long one 151 numbers are enough."""
    parts = text.fields(next(text.lines(), (0, 0)))
    fields = next(parts)
    count = len(fields) + (sum(map(len, parts)) if text.whole is not None else -len(fields) % _ROW)
    return count >= _ROW and count % _ROW == 0 and bool(fields) and is_number(fields[0])


def _read(text: Text, request: Request) -> RawClip:
    """One line is one clip; `--clip` gives its name in the sister file `.files`, or its number counted from 0.

    The third dimension is left out (the authors draw x and y). There is no face, no hip and no confidence.
    """
    lines = list(text.lines())
    names = _names(request.path, len(lines))
    wanted = request.clip
    if (
        wanted is not None
        and wanted.isascii()
        and wanted.isdigit()
        and wanted not in names
        and int(wanted) < len(lines)
    ):
        name = names[int(wanted)]
    else:
        name = pick_clip(names, request)
    rows, filled, counters = Rows((NUM_JOINTS, 3), np.float64), [], []
    for part in _rows(text, lines[names.index(name)], name, request):
        joints = _SCALE * part[:, : 3 * _JOINTS].reshape(-1, _JOINTS, 3)[..., :2]
        filled.append((part[:, : 3 * _JOINTS] != 0).any(1))  # an all-zero frame is padding
        counters.append(part[:, -1])
        points = np.zeros((len(part), NUM_JOINTS, 3))
        points[:, list(_JOINT_OF), :2] = joints[:, list(_JOINT_OF.values())]
        points[:, list(_JOINT_OF), 2] = filled[-1][:, None]
        rows.append(points)
    stop, said = _without_padding(np.concatenate(filled), np.concatenate(counters), request)
    return RawClip(rows.array()[:stop], None, name, placed=False, warnings=said)


def _rows(text: Text, line: tuple[int, int], name: str, request: Request) -> Iterator[np.ndarray]:
    """The frames of a line, (N,151), some at a time."""
    rest, count = np.zeros(0), 0
    for fields in text.fields(line):
        values = np.concatenate([rest, numbers(fields, request)])
        whole = len(values) - len(values) % _ROW
        count, rest = count + len(fields), values[whole:]
        if whole:
            yield values[:whole].reshape(-1, _ROW)
    if len(rest) or not count:
        raise request.error(f"{count} numbers in the line of {name}", f"a line holds {_ROW} numbers per frame")


def _names(path: Path, count: int) -> list[str]:
    """Clip names of the sister file, or numbers if there is no such file or it does not fit."""
    sister = path.with_suffix(".files")
    if sister.is_file():
        names = sister.read_text(encoding="utf-8", errors="replace").split()
        if len(names) == count and len(set(names)) == count:
            return names
    return [path.stem] if count == 1 else [str(i) for i in range(count)]


def _without_padding(filled: np.ndarray, counters: np.ndarray, request: Request) -> tuple[int, list[str]]:
    """Where a model's output ends, and what is said: it runs on after the counter's end, and is padded with zeros."""
    if not filled.any():
        raise request.error("only zeros", "the sequence is empty; choose another", Empty)
    whole = int(np.flatnonzero(filled)[-1]) + 1
    stop = _counted(counters[:whole])
    ends = {"what follows the end of its counter": stop < whole, "zeros at the end": whole < len(filled)}
    why = [what for what, there in ends.items() if there]
    left = f"{len(filled) - stop} of {len(filled)} frames are left out: {' and '.join(why)}"
    return stop, [left] if why else []


def _counted(counters: np.ndarray) -> int:
    """The frames up to the end of a counter (T,) that rises evenly from 0 to about 1; all where it does not."""
    counters = np.nan_to_num(counters)
    end = int(counters.argmax()) + 1
    top = counters[end - 1]
    counts = abs(top - 1) <= _OFF and np.abs(counters[:end] - np.linspace(0, top, end)).mean() <= _OFF
    return end if counts else len(counters)


def _write(keypoints: Keypoints) -> Iterator[bytes]:
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
    for part in blocks(len(keypoints)):
        piece, middle = keypoints[part], neck[part]
        local = (piece.xy - middle[:, None]) / (width * _SCALE)
        joints = np.zeros((len(piece), _JOINTS, 3))
        local = np.where(piece.confidence[..., None] > 0, local, 0)
        joints[:, list(_JOINT_OF.values()), :2] = local[:, list(_JOINT_OF)]
        counter = np.arange(len(keypoints))[part, None] / len(keypoints)
        rows = np.concatenate([joints.reshape(len(piece), -1), counter], axis=1)
        yield ((" " if part.start else "") + " ".join(f"{value:.8g}" for value in rows.ravel())).encode()
    yield b"\n"


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
    origin="ProgressiveTransformers; names of clips in a `.files` beside it",
    content="lines of 151 numbers a frame",
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
