"""A plain numpy array of points, in a file of its own or in a pickle."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from signgen.errors import Damaged, Empty, Unsupported
from signgen.keypoints.budget import MOST_PEOPLE
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format
from signgen.keypoints.layouts.holistic import is_holistic, points_of
from signgen.keypoints.layouts.wholebody import ORDERS, in_order
from signgen.keypoints.people import Detections, check_crowd, follow, is_one_person, person, present, wrong_count
from signgen.keypoints.raw import RawClip, Request, seen_where_placed
from signgen.keypoints.rows import BLOCK, Rows, blocks, release
from signgen.keypoints.skeleton import NUM_JOINTS

_COUNTS = (NUM_JOINTS, NUM_JOINTS + 1, *ORDERS)
_FLAT = {columns * count: count for count in (NUM_JOINTS, *ORDERS) for columns in (2, 3)}  # numbers a row -> points
_SHAPES = "give (T,133,3), (T,133,2), (T,P,133,3) or (T,134,3) with the frame size in row 0"


def is_points(value: Any) -> bool:
    """An array of numbers that could be points: its last two sides are 133, 134 or an order's count, and 2 or 3.

    MediaPipe's landmarks count, too.
    """
    return is_holistic(value) or _is_flat(value) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim in (2, 3, 4, 5)
        and value.shape[-2] in _COUNTS and value.shape[-1] in (2, 3)
    )  # fmt: skip


def _is_flat(value: Any) -> bool:
    """An array of one row of numbers a frame."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == 2 and value.shape[1] in _FLAT


def read_array(value: np.ndarray, request: Request, scores: np.ndarray | None = None) -> RawClip:
    """Points (T,133,2|3), (T,134,3) with the frame size in row 0, (T,P,133,2|3), or one frame (133,2|3).

    A first side of 1 before one that is no number of people is a batch of one clip, see `_is_one_signer`.
    Where there are scores for the points, a third column is depth.
    """
    if not isinstance(value, np.ndarray):
        raise request.error(f"a {type(value).__name__} instead of an array", _SHAPES, Unsupported)
    if is_holistic(value):
        return read_landmarks(value, request)
    if _is_flat(value):
        value = value.reshape(len(value), _FLAT[value.shape[1]], -1)
    if value.dtype.kind not in "fiu":
        raise request.error(f"an array of type {value.dtype}", "give an array of numbers", Unsupported)
    if value.ndim not in (2, 3, 4, 5) or value.shape[-1] not in (2, 3) or (value.ndim == 5 and len(value) != 1):
        raise request.error(f"an array of shape {value.shape}", _SHAPES, Unsupported)
    if value.shape[-2] not in _COUNTS:
        raise wrong_count(value.shape[-2], request)
    batch = value.ndim == 5
    value = value[0] if batch else value[None] if value.ndim == 2 else value
    scores = scores[0] if batch and scores is not None and len(scores) == 1 else scores
    points, size = _without_size_row(value, request)
    points, given, said = _beside(points, scores, request)
    points, given = _in_order(points, given)
    if points.ndim == 4 and len(points) == 1 and _is_one_signer(points[0], request):
        points, given = points[0], None if given is None else given[0]
    if not len(points):
        raise request.error("no frames", "give at least one frame", Empty)
    if points.ndim == 4:  # (T,P,133,D)
        check_crowd(points.shape[1], request)
        clip = follow(_parts(points, given), request.path.stem, request)
    else:
        clip = RawClip(points, given, request.path.stem)
    clip.size = size
    clip.warnings = [*said, *clip.warnings]
    return clip


def read_landmarks(value: np.ndarray, request: Request) -> RawClip:
    """An array of MediaPipe's landmarks, see `holistic.points_of`."""
    return follow(detections(points_of(value), request), request.path.stem, request)


def detections(parts: Iterable[np.ndarray], request: Request) -> Iterator[Detections]:
    """Of points (n,P,133,3)."""
    for points in parts:
        check_crowd(points.shape[1], request)
        yield present(points[..., :2], points[..., 2])


def _in_order(points: np.ndarray, given: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The 133 points of those in another order; a long array is put into order piece by piece."""
    if points.shape[-2] == NUM_JOINTS:
        return points, given
    ordered = Rows((*points.shape[1:-2], NUM_JOINTS, points.shape[-1]), points.dtype)
    for part in blocks(len(points), max(1, BLOCK // math.prod(points.shape[1:-2]))):
        ordered.append(in_order(points[part]))
        release(points)
    return ordered.array(), None if given is None else in_order(given, -1)


def _is_one_signer(frames: np.ndarray, request: Request) -> bool:
    """Whether (N,133,2|3) are N frames of one person and not N people of one frame, who would stand apart."""
    if len(frames) > MOST_PEOPLE:
        return True
    return len(frames) == 1 or is_one_person(person(one, None, None, request) for one in frames)


def _parts(points: np.ndarray, given: np.ndarray | None) -> Iterator[Detections]:
    """Some frames of (T,P,133,2|3) at a time."""
    for part in blocks(len(points), max(1, BLOCK // points.shape[1])):
        some = points[part].astype(np.float64)
        scores = (some[..., 2] if some.shape[-1] == 3 else seen_where_placed(some)) if given is None else given[part]
        yield present(some, scores.astype(np.float64))
        release(points, given)


def _without_size_row(points: np.ndarray, request: Request) -> tuple[np.ndarray, tuple[int, int] | None]:
    if points.shape[-2] != NUM_JOINTS + 1:
        return points, None
    parts = []
    for part in blocks(len(points)):
        parts.append(np.unique(points[part][..., 0, :2].reshape(-1, 2).astype(np.float64), axis=0))
        release(points)
    sizes = np.unique(np.concatenate(parts), axis=0) if parts else np.zeros((0, 2))
    if len(sizes) != 1:
        raise request.error(f"{len(sizes)} different frame sizes in row 0", "give one size for all frames of a clip")
    if not (np.isfinite(sizes).all() and (sizes >= 1).all() and (sizes <= 1e5).all()):
        raise request.error(f"row 0 of 134 holds {sizes[0].tolist()} instead of width and height", _SHAPES)
    width, height = (int(round(side)) for side in sizes[0])
    return points[..., 1:, :], (width, height)


def _beside(
    points: np.ndarray, scores: np.ndarray | None, request: Request
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Points and the scores beside them, one for each; what is to be said where these are left out."""
    if scores is None:
        return points, None, []
    scores = scores[..., 0] if scores.shape == (*points.shape[:-1], 1) else scores
    numbers = scores.dtype.kind in "biuf"
    if numbers and scores.shape == points.shape[:-1]:
        return points[..., :2], scores, []
    got = f"of shape {scores.shape} for points of shape {points.shape}" if numbers else f"of type {scores.dtype}"
    if points.shape[-1] == 3:
        return points, None, [f"scores {got} are left out: the third column of the points is taken for them"]
    advice, kind = ("give one per point", Damaged) if numbers else ("give numbers", Unsupported)
    raise request.error(f"scores {got}", advice, kind)


def write_array(keypoints: Keypoints) -> Iterator[bytes]:
    """What `numpy.save` writes for float32 (T,133,3), some frames at a time."""
    head = io.BytesIO()
    shape = len(keypoints), NUM_JOINTS, 3
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    yield head.getvalue()
    for part in keypoints.blocks():
        yield part.points.tobytes()


FORMAT = Format(
    name="npy",
    label="npy",
    origin="(T,133,3), (T,133,2), (T,P,133,3), (1,T,133,3), also of 136 or 308; (T,134,3) with the size in row 0",
    content="array",
    kinds=("array", "object"),
    recognises=is_points,
    read=read_array,
    write=write_array,
    suffix=".npy",
)
