"""OpenPose: a folder with one JSON file a frame (BODY_25 or COCO-18, 70 face points, hands), or one such file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format, listed
from signgen.keypoints.layouts.body18 import FROM_BODY_18
from signgen.keypoints.people import Detections, check_crowd, follow, present
from signgen.keypoints.raw import Folder, RawClip, Request, pick_clip
from signgen.keypoints.skeleton import FACE, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

# COCO body and foot point (position in the list) -> OpenPose body point.
FROM_BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24)
# OpenPose's one model of the whole body, as joint -> point: body as COCO, neck, head, feet, hands whose roots are the
# wrists, face. Hidalgo et al., "Single-Network Whole-Body Pose Estimation", ICCV 2019.
BODY_135 = {
    **{joint: joint for joint in range(17)}, **{joint: joint + 2 for joint in range(17, 23)},
    **{FACE.start + point: 65 + point for point in range(68)},
    LEFT_HAND.start: 9, **{LEFT_HAND.start + point: 24 + point for point in range(1, 21)},
    RIGHT_HAND.start: 10, **{RIGHT_HAND.start + point: 44 + point for point in range(1, 21)},
}  # fmt: skip
_MIDDLES = {1: (2, 5), 8: (9, 12)}  # neck and mid-hip of BODY_25, between two others
_BODIES = {25: FROM_BODY_25, 18: FROM_BODY_18}
_PARTS = {"face_keypoints_2d": (FACE, (68, 70)), "hand_left_keypoints_2d": (LEFT_HAND, (21,)),
          "hand_right_keypoints_2d": (RIGHT_HAND, (21,))}  # fmt: skip


def _recognises(value: Any) -> bool:
    """One frame: {"version": ..., "people": [...]}, or a folder that begins with one."""
    return is_frame(value.first if isinstance(value, Folder) else value)


def is_frame(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("people"), list)


def _read(value: Any, request: Request) -> RawClip:
    if not isinstance(value, Folder):
        return _follow([value], _clip_name(request.path, request.path.stem), request)
    clips: dict[str, list[Path]] = {}
    for path in value.paths:
        clips.setdefault(_clip_name(path, request.frames_name), []).append(path)
    name = pick_clip(list(clips), request)
    folder = replace(value, paths=clips[name])
    return _follow(folder.frames(), name or request.frames_name, request, folder.numbers)


def _clip_name(path: Path, otherwise: str) -> str:
    """Of a frame's file, which is called <clip>_<number>_keypoints."""
    found = re.match(r"^(.*?)_?(\d+)_keypoints$", path.stem)
    return found[1] if found else otherwise


def _follow(values: Iterable[Any], name: str, request: Request, numbers: list[int] | None = None) -> RawClip:
    """Frames in order. OpenPose's own people have no box score: the sum of their scores stands in for it."""
    return follow((people_of(value, request) for value in values), name, request, numbers=numbers)


def people_of(value: Any, request: Request) -> Detections:
    """Everybody in one frame."""
    if not is_frame(value):
        raise request.error("files that are not all OpenPose frames", "keep one kind of file in the folder")
    check_crowd(len(value["people"]), request)
    people = np.array([_points(someone, request) for someone in value["people"]]).reshape(1, -1, NUM_JOINTS, 3)
    return present(people, people[..., 2])


def _points(someone: Any, request: Request) -> np.ndarray:
    """float64 (133,3) x, y, score."""
    if not isinstance(someone, dict) or "pose_keypoints_2d" not in someone:
        raise request.error("a person without pose_keypoints_2d", "run OpenPose 1.3 or later with --write_json")
    xyc = np.zeros((NUM_JOINTS, 3))
    body = _triples(someone, "pose_keypoints_2d", (25, 18, 135), request)
    if len(body) == 135:
        xyc[list(BODY_135)] = body[list(BODY_135.values())]
    elif len(body):
        order = _BODIES[len(body)]
        xyc[: len(order)] = body[list(order)]
    for key, (part, counts) in _PARTS.items():
        points = _triples(someone, key, counts, request)
        if len(points):
            xyc[part] = points[: part.stop - part.start]  # face points 68 and 69 are pupils
    return xyc


def _triples(someone: dict, key: str, counts: tuple[int, ...], request: Request) -> np.ndarray:
    """(N,3) x, y, score; (0,3) if the part was not estimated."""
    try:
        given = someone.get(key)
        flat = request.budget.numbers(() if given is None else given)
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError):
        raise request.error(f"{key} that are not numbers", "check the program that wrote the file") from None
    if flat.size and (flat.ndim != 1 or flat.size not in tuple(3 * count for count in counts)):
        wanted = " or ".join(str(3 * count) for count in counts)
        raise request.error(f"{flat.size} numbers in {key}", f"OpenPose writes {wanted} there (BODY_25, face, hands)")
    return flat.reshape(-1, 3)


def _write(keypoints: Keypoints) -> Iterator[tuple[str, bytes]]:
    stem = keypoints.name.rsplit("/", 1)[-1] or "clip"
    frames = (frame for part in keypoints.blocks() for frame in part.points)
    for t, points in enumerate(frames):
        yield (
            f"{stem}_{t:012d}_keypoints.json",
            json.dumps({"version": 1.3, **written_frame(points, _body(points))}).encode(),
        )


def _body(points: np.ndarray) -> np.ndarray:
    """BODY_25; neck and mid-hip lie between shoulders and hips."""
    body = np.zeros((25, 3), np.float32)
    body[list(FROM_BODY_25)] = points[: len(FROM_BODY_25)]
    return with_middles(body, _MIDDLES)


def with_middles(body: np.ndarray, middles: dict[int, tuple[int, int]]) -> np.ndarray:
    """Puts points between two others that are both seen."""
    for joint, pair in middles.items():
        if (body[list(pair), 2] > 0).all():
            body[joint] = body[list(pair)].mean(0)
    return body


def written_frame(points: np.ndarray, body: np.ndarray) -> dict[str, Any]:
    """A frame with one person (or nobody, where no point is seen): body, 70 face points of which two, the pupils, are
    missing, and both hands."""
    parts = {
        "pose_keypoints_2d": body,
        "face_keypoints_2d": np.concatenate([points[FACE], np.zeros((2, 3), np.float32)]),
        "hand_left_keypoints_2d": points[LEFT_HAND],
        "hand_right_keypoints_2d": points[RIGHT_HAND],
    }
    one = {"person_id": [-1], **{key: listed(part.ravel()) for key, part in parts.items()}}
    return {"people": [one] if points[:, 2].any() else []}


FORMAT = Format(
    name="openpose",
    label="OpenPose JSON",
    origin="OpenPose: a folder with one JSON a frame; BODY_25, COCO-18 or BODY_135, face, hands",
    content="`people`",
    kinds=("json", "json_folder"),
    recognises=_recognises,
    read=_read,
    write=_write,
    folder=r".*_?\d+_keypoints\.json",
    several=True,
    clip_name="files",
)
