"""MediaPipe Holistic's landmarks as arrays, as JSON of its results (`solutions` and Tasks), and as tables.

x and y are fractions of the frame; z is left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from signgen.errors import Empty
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.containers.table import Table
from signgen.keypoints.formats.npy import detections, read_landmarks
from signgen.keypoints.formats.record import Format, first_of, frames_in, in_fractions
from signgen.keypoints.frame_numbers import number_in
from signgen.keypoints.layouts.holistic import COUNT, JOINTS, PARTS, PLACES, STARTS, is_holistic, points_of, wholebody
from signgen.keypoints.layouts.holistic_table import is_landmark_table, read_landmark_table
from signgen.keypoints.people import Detections, check_crowd, follow, present
from signgen.keypoints.raw import Folder, RawClip, Request, check_only_clip

# What the parts are called, without regard to case and underscores.
_PART_OF = {
    "poselandmarks": "pose", "facelandmarks": "face", "lefthandlandmarks": "left_hand",
    "righthandlandmarks": "right_hand", "pose": "pose", "face": "face", "lefthand": "left_hand",
    "righthand": "right_hand",
}  # fmt: skip
_HANDS_OF = ("handlandmarks", "multihandlandmarks")  # of hands told apart by their handedness
_SIDES_OF = ("handedness", "handednesses", "multihandedness")
_LISTS = ("frames", "results", "landmarks", "data", "predictions")  # below which frames may lie
_LISTED = ("landmark", "landmarks")  # below which a part's points lie in dumps of protocol buffers


def _recognises(value: Any) -> bool:
    if isinstance(value, Table):
        return is_landmark_table(value)
    if isinstance(value, Folder):
        return is_holistic(value.first) or _is_frame(value.first)
    return is_holistic(value) or _is_frame(first_of(frames_in(value, *_LISTS))) or _is_frame(value)


def _is_frame(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    names = _names(value)
    parts = {part for name, part in _PART_OF.items() if name in names}
    long = any(name.endswith("landmarks") for name in names if name in _PART_OF or name in _HANDS_OF)
    return long or len(parts & {"face", "left_hand", "right_hand"}) > 0 and "pose" in parts


def _names(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {key.lower().replace("_", ""): value[key] for key in value if isinstance(key, str)}


def _read(value: Any, request: Request) -> RawClip:
    """The numbers of frames order them where there are any."""
    if isinstance(value, Table):
        return read_landmark_table(value, request)
    check_only_clip(request)
    if isinstance(value, Folder) and isinstance(value.first, np.ndarray):
        return follow(_of_files(value, request), request.frames_name, request, numbers=value.numbers)
    if is_holistic(value):
        return read_landmarks(value, request)
    if isinstance(value, Folder):
        people = (_people(frame, request) for frame in value.frames())
        return follow(people, request.frames_name, request, numbers=value.numbers)
    frames = [value] if _is_frame(value) else frames_in(value, *_LISTS)
    numbers: list[int | None] = []
    return follow(_numbered(frames, numbers, request), request.path.stem, request, numbers=numbers)


def _of_files(folder: Folder, request: Request) -> Iterator[Detections]:
    """One array a frame; files of the same shape are put together, so that their order is told by all of them."""
    kept: list[np.ndarray] = []
    for frame in folder.frames():
        if not is_holistic(frame):
            raise request.error("files that are not all arrays of landmarks", "keep one kind of file in the folder")
        frame = frame.squeeze()
        if kept and (frame.shape != kept[0].shape or len(kept) == 256):
            yield from detections(points_of(np.stack(kept)), request)
            kept = []
        kept.append(frame)
    if not kept:
        raise request.error("no frames", "give at least one frame", Empty)
    yield from detections(points_of(np.stack(kept)), request)


# --- JSON -----------------------------------------------------------------------------------------------------
def _numbered(frames: Any, numbers: list[int | None], request: Request) -> Iterator[Detections]:
    for frame in frames:
        numbers.append(number_in(frame) if isinstance(frame, Mapping) else None)
        yield _people(frame, request)


def _people(frame: Any, request: Request) -> Detections:
    """Everybody in a frame: Tasks give a list of people, Holistic one."""
    if frame is None or frame == {}:
        return present(np.zeros((1, 0, 133, 2)), np.zeros((1, 0, 133)))
    if not isinstance(frame, Mapping):
        raise request.error(f"a frame that holds {type(frame).__name__}", "give its landmarks by name")
    names = _names(frame)
    parts = {part: _several(names[name], request) for name, part in _PART_OF.items() if names.get(name) is not None}
    hands = next((names[name] for name in _HANDS_OF if names.get(name)), None)
    people = max([1, *(len(several) for several in parts.values())])
    check_crowd(people, request)
    landmarks = np.full((1, people, COUNT, 4), np.nan)
    for part, several in parts.items():
        for number, points in enumerate(several):
            _put(landmarks[0, number], part, points, request)
    if hands is not None:
        sides = next((names[name] for name in _SIDES_OF if names.get(name)), ())
        _put_hands(landmarks[0], _several(hands, request), sides, request)
    points = wholebody(landmarks)
    return present(points[..., :2], points[..., 2])


def _several(value: Any, request: Request) -> list[np.ndarray]:
    """A part of each person: arrays (K,2 to 4)."""
    value = _listed(value)
    if isinstance(value, np.ndarray):
        value = value[None] if value.ndim == 2 else value
        return [one for one in value if len(one)]
    if not isinstance(value, (list, tuple)):
        raise request.error(f"landmarks that are a {type(value).__name__}", "give x, y and z of each")
    inner = [_listed(one) for one in value]
    if inner and isinstance(inner[0], (list, np.ndarray)) and len(inner[0]) and not _is_number(inner[0][0]):
        return [_array(one, request) for one in inner if len(one)]
    return [_array(value, request)] if len(value) else []


def _listed(value: Any) -> Any:
    """A protocol buffer's list, as it is."""
    if isinstance(value, Mapping):
        return next((value[key] for key in _LISTED if key in value), value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))


def _array(points: Any, request: Request) -> np.ndarray:
    """(K,3 or 4) of lists of numbers, of x, y, z and visibility by name, or of texts "x,y,z"."""
    rows = [_row(point) for point in points]
    short = min(map(len, rows), default=0)
    try:
        return request.budget.numbers([row[: min(short, 4)] for row in rows])
    except (TypeError, ValueError, OverflowError):
        raise request.error("landmarks that are not numbers", "give x, y and z of each") from None


def _row(point: Any) -> Any:
    if isinstance(point, Mapping):
        return [point.get("x"), point.get("y"), point.get("z", 0.0), point.get("visibility") or 0.0]
    if isinstance(point, str):
        return [float(number) for number in point[:200].split(",")]
    return point if isinstance(point, (list, tuple, np.ndarray)) else ()


def _put(landmarks: np.ndarray, part: str, points: np.ndarray, request: Request) -> None:
    """Into (543,4)."""
    if points.ndim != 2 or points.shape[1] < 2 or len(points) < PARTS[part]:
        got = f"{len(points)} landmarks of {part.replace('_', ' ')}"
        raise request.error(got, f"MediaPipe gives {PARTS[part]} there")
    rows = landmarks[STARTS[part] : STARTS[part] + PARTS[part]]
    rows[:, : points.shape[1]] = points[: PARTS[part], :4]
    rows[:, points.shape[1] :] = 0  # no visibility: what is placed is seen


def _put_hands(people: np.ndarray, hands: list[np.ndarray], sides: Any, request: Request) -> None:
    """Hands go to the wrist that they are nearest to, or, where no body is seen, to the side that they are called."""
    for number, hand in enumerate(hands):
        wrists = people[:, STARTS["pose"] + 15 : STARTS["pose"] + 17, :2]
        away = np.linalg.norm(wrists - hand[0, :2], axis=-1)
        if np.isfinite(away).any():
            owner, side = divmod(int(np.nanargmin(away)), 2)
        else:
            owner, side = 0, 0 if _called(sides, number).startswith("left") else 1
        _put(people[owner], ("left_hand", "right_hand")[side], hand, request)


def _called(sides: Any, number: int) -> str:
    """The side of a hand, as results and dumps of them say it."""
    side = sides[number] if isinstance(sides, (list, tuple)) and number < len(sides) else ""
    while isinstance(side, (list, Mapping)) and side:
        names = _names(side) if isinstance(side, Mapping) else {}
        keys = ("categoryname", "displayname", "label", "classification", "categories")
        side = side[0] if isinstance(side, list) else next((names[key] for key in keys if names.get(key)), "")
    return str(side).lower()


# --- writing --------------------------------------------------------------------------------------------------
def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """An npy (T,543,4) in Holistic's own order: x, y as fractions, z 0, confidence; NaN where nothing is known."""
    head = io.BytesIO()
    shape = len(keypoints), COUNT, 4
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    yield head.getvalue()
    for part in keypoints.blocks():
        made = np.full((len(part), COUNT, 4), np.nan, np.float32)
        xy = in_fractions(part)
        for name, places in PLACES.items():
            joints, rows = list(places), [STARTS[name] + place for place in places.values()]
            seen = part.confidence[:, joints] > 0
            made[:, rows, :2] = np.where(seen[..., None], xy[:, joints], np.nan)
            made[:, rows, 2], made[:, rows, 3] = 0, part.confidence[:, joints]
        yield made.astype("<f4").tobytes()


FORMAT = Format(
    name="mediapipe",
    label="MediaPipe's landmarks",
    origin="MediaPipe Holistic and Tasks: npy (543 x 3 or 4, rows of 1662, 225, 258 ...) or a folder with one a frame, "
    "JSON of results, CSV and parquet (Kaggle's ISLR table, or a row a frame); fractions of the frame",
    content="543, 553 or 75 landmarks; `pose_landmarks`, `face_landmarks` ...; `landmark_index`",
    kinds=("array", "json", "columns", "json_folder", "array_folder", "object"),
    recognises=_recognises,
    read=_read,
    write=_write,
    several=True,
    joints=JOINTS,
    signed=False,
)
