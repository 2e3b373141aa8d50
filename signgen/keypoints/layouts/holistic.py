"""MediaPipe Holistic's landmarks, and where the 133 points of COCO-WholeBody are among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from signgen.keypoints.rows import blocks, evenly, release
from signgen.keypoints.skeleton import FACE, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

# The names of its 33 body landmarks, in its order. Left is the person's own left, as in COCO.
POSE_LANDMARKS = (
    "NOSE", "LEFT_EYE_INNER", "LEFT_EYE", "LEFT_EYE_OUTER", "RIGHT_EYE_INNER", "RIGHT_EYE", "RIGHT_EYE_OUTER",
    "LEFT_EAR", "RIGHT_EAR", "MOUTH_LEFT", "MOUTH_RIGHT", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_ELBOW",
    "RIGHT_ELBOW", "LEFT_WRIST", "RIGHT_WRIST", "LEFT_PINKY", "RIGHT_PINKY", "LEFT_INDEX", "RIGHT_INDEX",
    "LEFT_THUMB", "RIGHT_THUMB", "LEFT_HIP", "RIGHT_HIP", "LEFT_KNEE", "RIGHT_KNEE", "LEFT_ANKLE", "RIGHT_ANKLE",
    "LEFT_HEEL", "RIGHT_HEEL", "LEFT_FOOT_INDEX", "RIGHT_FOOT_INDEX",
)  # fmt: skip
# Names of Holistic's body points in the order of COCO points 0-22; Holistic has no small toes.
HOLISTIC_BODY = (
    "NOSE", "LEFT_EYE", "RIGHT_EYE", "LEFT_EAR", "RIGHT_EAR", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_ELBOW",
    "RIGHT_ELBOW", "LEFT_WRIST", "RIGHT_WRIST", "LEFT_HIP", "RIGHT_HIP", "LEFT_KNEE", "RIGHT_KNEE", "LEFT_ANKLE",
    "RIGHT_ANKLE", "LEFT_FOOT_INDEX", None, "LEFT_HEEL", "RIGHT_FOOT_INDEX", None, "RIGHT_HEEL",
)  # fmt: skip
# Vertices of MediaPipe's face mesh at the 68 iBUG points.
FACE_MESH = (
    127, 234, 93, 132, 58, 172, 136, 149, 152, 378, 365, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 219, 237, 1, 457, 439,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip
PARTS = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}
_REFINED = {**PARTS, "face": 478}  # with ten points of the irises
COUNT = sum(PARTS.values())

# The 543 landmarks as arrays have them: as Holistic's result and `.pose` list them, or as the table of the Kaggle
# competition "Isolated Sign Language Recognition" does. `points_of` tells them apart.
_POSE_FIRST = ("pose", "face", "left_hand", "right_hand")
_FACE_FIRST = ("face", "left_hand", "pose", "right_hand")
_ORDERS: dict[int, list[tuple[dict[str, int], tuple[str, ...]]]] = {
    543: [(PARTS, _POSE_FIRST), (PARTS, _FACE_FIRST)],
    553: [(_REFINED, _POSE_FIRST), (_REFINED, _FACE_FIRST)],
    75: [(PARTS, ("pose", "left_hand", "right_hand")), (PARTS, ("left_hand", "pose", "right_hand"))],
    501: [(PARTS, ("pose", "face"))],
}
# Frames in one row, as tutorials flatten them: numbers a row -> landmarks, numbers each, numbers each of the body.
_ROWS = {
    1662: (543, 3, 4), 1692: (553, 3, 4), 258: (75, 3, 4), 225: (75, 3, 3), 300: (75, 4, 4), 1629: (543, 3, 3),
    1659: (553, 3, 3), 2172: (543, 4, 4), 2212: (553, 4, 4), 1503: (501, 3, 3), 2004: (501, 4, 4),
}  # fmt: skip
_LOOKED_AT = 200  # frames by which an order is told

_BODY = {joint: POSE_LANDMARKS.index(name) for joint, name in enumerate(HOLISTIC_BODY) if name}
# COCO-WholeBody joint -> its place in the part of that name.
PLACES = {
    "pose": _BODY,
    "face": {FACE.start + i: vertex for i, vertex in enumerate(FACE_MESH)},
    "left_hand": {LEFT_HAND.start + i: i for i in range(21)},
    "right_hand": {RIGHT_HAND.start + i: i for i in range(21)},
}
JOINTS = tuple(sorted(joint for places in PLACES.values() for joint in places))


STARTS = dict(zip(PARTS, np.cumsum([0, *PARTS.values()]).tolist(), strict=False))  # in Holistic's own order


def is_row(count: int) -> bool:
    """Whether a row of so many numbers is a frame."""
    return count in _ROWS


def is_holistic(value: object) -> bool:
    """An array of numbers (..., landmarks, 2 to 4), or of rows of a known length."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or not 1 <= value.ndim <= 5:
        return False
    if value.ndim <= 2 and value.shape[-1] in _ROWS:
        return True
    return value.ndim > 1 and value.shape[-2] in _ORDERS and value.shape[-1] in (2, 3, 4)


def points_of(value: np.ndarray) -> Iterator[np.ndarray]:
    """float64 (n,P,133,3) x, y and score of successive frames, from an array that `is_holistic`.

    A landmark that was not found is NaN or (0,0). A score is the body's visibility where the array has that, and 1 for
    what was found otherwise: MediaPipe gives faces and hands a visibility of 0.
    """
    rows = value.ndim <= 2 and value.shape[-1] in _ROWS
    if rows:
        value = np.atleast_2d(value)
    else:
        value = value[None] if value.ndim == 2 else value[0] if value.ndim == 5 and len(value) == 1 else value
        value = value[:, None] if value.ndim == 3 else value
        if value.ndim == 4 and len(value) == 1 and value.shape[1] > 1:  # a batch of one clip
            value = value.swapaxes(0, 1)
    count = _ROWS[value.shape[-1]][0] if rows else value.shape[-2]
    chosen = evenly(len(value), _LOOKED_AT)
    sizes, order = _order_of(_landmarks(value[chosen]), count)
    for part in blocks(len(value), 256):
        yield wholebody(_landmarks(value[part]), sizes, order)
        release(value)


def wholebody(landmarks: np.ndarray, sizes: dict[str, int] = PARTS, order: tuple[str, ...] = _POSE_FIRST) -> np.ndarray:
    """float64 (n,P,133,3) of landmarks (n,P,543,2 to 4) in Holistic's own order, or another; see `points_of`."""
    found, start = np.zeros((*landmarks.shape[:2], NUM_JOINTS, 3)), 0
    for name in order:
        _fill(found, landmarks[:, :, start : start + sizes[name]], PLACES[name])
        start += sizes[name]
    return found


def _landmarks(values: np.ndarray) -> np.ndarray:
    """float64 (n,P,landmarks,2 to 4)."""
    values = values.astype(np.float64)
    if values.ndim != 2:
        return values
    count, columns, of_body = _ROWS[values.shape[-1]]
    if columns == of_body:
        return values.reshape(len(values), 1, count, columns)
    made = np.zeros((len(values), 1, count, 4))
    body = PARTS["pose"]
    made[:, 0, :body] = values[:, : body * of_body].reshape(-1, body, of_body)
    made[:, 0, body:, :columns] = values[:, body * of_body :].reshape(len(values), count - body, columns)
    return made


def _fill(found: np.ndarray, landmarks: np.ndarray, places: dict[int, int]) -> None:
    """Puts one part, (n,P,K,2 to 4), into the points."""
    xy = landmarks[:, :, list(places.values())]
    there = np.isfinite(xy[..., :2]).all(-1) & (xy[..., :2] != 0).any(-1)
    sure = np.nan_to_num(xy[..., 3]) if landmarks.shape[-1] > 3 and (landmarks[..., 3] > 0).any() else 1.0
    found[:, :, list(places), :2] = np.where(there[..., None], xy[..., :2], 0)
    found[:, :, list(places), 2] = np.where(there, sure, 0)


def _order_of(landmarks: np.ndarray, count: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The order in which the nose of the face lies at the body's nose, and the hands at its wrists."""
    return min(_ORDERS[count], key=lambda one: _apart(landmarks[:, 0, :, :2], *one))


def _apart(xy: np.ndarray, sizes: dict[str, int], order: tuple[str, ...]) -> float:
    """Median distance of points that are the same point, in widths of the shoulders; infinite where none is seen."""
    start = dict(zip(order, np.cumsum([0, *(sizes[name] for name in order)]).tolist(), strict=False))
    xy = np.where((xy == 0).all(-1, keepdims=True), np.nan, xy)
    body = xy[:, start["pose"] :]
    width = np.linalg.norm(body[:, 11] - body[:, 12], axis=-1)
    same = {"face": (0, 1), "left_hand": (15, 0), "right_hand": (16, 0)}
    apart = [
        np.linalg.norm(body[:, joint] - xy[:, start[name] + place], axis=-1) / np.maximum(width, 1e-9)
        for name, (joint, place) in same.items()
        if name in start
    ]
    seen = [distances[np.isfinite(distances)] for distances in apart]
    return max((float(np.median(one)) for one in seen if len(one)), default=np.inf)
