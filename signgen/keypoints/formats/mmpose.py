"""MMPose's JSON files (inferencer, one file per frame, top-down demo, 0.x) and RTMLib's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from signgen.keypoints.raw import Person, RawClip, Request, follow_signer, person, pick_clip
from signgen.keypoints.skeleton import CONFIDENT

_NOT_LISTED = "its points must be a list of people per frame"


# --- the inferencer -------------------------------------------------------------------------------------------
def is_inferencer(value: Any) -> bool:
    """A list of {"frame_id", "instances"}, or the inferencer's return value {"predictions": [...]}."""
    if isinstance(value, dict):
        return isinstance(value.get("predictions"), list)
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "instances" in value[0]


def read_inferencer(value: Any, request: Request) -> RawClip:
    """Frames in file order: `frame_id` counts from 0 or 1 depending on the writer, so it is not used."""
    frames = value["predictions"] if isinstance(value, dict) else [frame.get("instances") for frame in value]
    return _frames(frames, request)


def is_instances(value: Any) -> bool:
    """One image: a bare list of instances."""
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
        and {"keypoints", "keypoint_scores"} <= value[0].keys()
    )  # fmt: skip


def read_instances(value: Any, request: Request) -> RawClip:
    return _frames([value], request)


def read_frame_files(values: Sequence[Any], request: Request) -> RawClip:
    """A folder with one list of instances per image, already in frame order; `[]` is a frame without anybody."""
    for value in values:
        if value != [] and not is_instances(value):
            raise request.error("files that are not all MMPose predictions", "keep one kind of file in the folder")
    return _frames(values, request)


def _frames(frames: Sequence[Any], request: Request) -> RawClip:
    people = []
    for frame in frames:
        if not isinstance(frame, list):
            raise request.error(f"a frame that holds {type(frame).__name__}", _NOT_LISTED)
        people.append([_instance(instance, request) for instance in frame])
    return follow_signer(people, request.path.stem, request)


def _instance(instance: Any, request: Request) -> Person:
    if not isinstance(instance, dict) or "keypoints" not in instance:
        raise request.error("a person without keypoints", _NOT_LISTED)
    scores = instance.get("keypoint_scores")
    return person(plain(instance["keypoints"]), plain(scores), instance.get("bbox_score"), request)


# --- the top-down demo with mmdet -----------------------------------------------------------------------------
def is_topdown(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("instance_info"), list)


def read_topdown(value: Any, request: Request) -> RawClip:
    """A video's list of frames, or an image's flat list of instances; numbers may be json_tricks arrays."""
    info = value["instance_info"]
    clip = _frames([info], request) if is_instances(info) else read_inferencer(info, request)
    clip.name = request.path.stem.removeprefix("results_")
    return clip


def plain(value: Any) -> Any:
    """json_tricks writes an array as {"__ndarray__": nested lists, "dtype", "shape"}: the nested lists."""
    if isinstance(value, dict) and "__ndarray__" in value:
        return value["__ndarray__"]
    if isinstance(value, list):
        return [plain(item) for item in value] if value and isinstance(value[0], dict) else value
    return value


# --- mmpose 0.x -----------------------------------------------------------------------------------------------
def is_mmpose0(value: Any) -> bool:
    """[{"bbox": (5,), "keypoints": (133,3)}, ...], or a list of such lists."""
    return isinstance(value, list) and _is_result(_first(value))


def _first(value: list) -> Any:
    """The first result, through one level of lists that may be empty."""
    for item in value:
        if isinstance(item, list):
            if item:
                return item[0]
        else:
            return item
    return None


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and "keypoints" in item and not {"scores", "keypoint_scores"} & item.keys()


def read_mmpose0(value: Any, request: Request) -> RawClip:
    """A list of lists holds frames of people. A flat list holds people of one image, or one person over time."""
    if any(isinstance(item, list) for item in value):
        frames = [[_result(item, request) for item in frame] for frame in value]
        return follow_signer(frames, request.path.stem, request)
    people = [_result(item, request) for item in value]
    if not _is_one_person(people):
        return follow_signer([people], request.path.stem, request)
    clip = follow_signer([[someone] for someone in people], request.path.stem, request)
    clip.warnings.append(f"{len(people)} results at one place, without frame numbers; read as {len(people)} frames")
    return clip


def _result(item: Any, request: Request) -> Person:
    if not _is_result(item):
        raise request.error("a person without keypoints", _NOT_LISTED)
    box = np.ravel(np.asarray(plain(item.get("bbox", ())), dtype=np.float64))
    rank = box[4] if len(box) == 5 else item.get("score")
    return person(plain(item["keypoints"]), None, rank, request)


def _is_one_person(people: list[Person]) -> bool:
    """Neighbours in the list stand less than half a shoulder width apart: nobody stands inside somebody else."""
    pairs = zip(people[:-1], people[1:], strict=True)
    steps = [np.linalg.norm(a.place - b.place) / max(a.reach, b.reach, 1e-9) for a, b in pairs]
    return bool(steps) and float(np.median(steps)) < 0.5


# --- RTMLib ---------------------------------------------------------------------------------------------------
def is_rtmlib(value: Any) -> bool:
    """[{"frame", "keypoints", "scores", "bboxes"}, ...], or the same below the names of camera views."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return False
    return _is_rtmlib_frame(value[0]) or bool(_views(value[0]))


def _is_rtmlib_frame(frame: Any) -> bool:
    return isinstance(frame, dict) and {"keypoints", "scores"} <= frame.keys()


def _views(frame: dict) -> list[str]:
    return [name for name, view in frame.items() if _is_rtmlib_frame(view)]


def read_rtmlib(value: Any, request: Request) -> RawClip:
    """Of several camera views the first is read, unless `--clip` names another."""
    views, warnings = _views(value[0]), []
    if not _is_rtmlib_frame(value[0]):
        view = pick_clip(views, request) if request.clip else views[0]
        value = [frame.get(view) or {} for frame in value]
        if len(views) > 1 and not request.clip:
            warnings = [f"holds the camera views {', '.join(views)}; reads {view} (--clip chooses another)"]
    clip = follow_signer([_rtmlib_people(frame, request) for frame in value], request.path.stem, request)
    clip.warnings += warnings
    return clip


def _rtmlib_people(frame: dict, request: Request) -> list[Person]:
    points, scores = frame.get("keypoints") or [], frame.get("scores") or []
    boxes = frame.get("bboxes") or [None] * len(points)
    if not len(points) == len(scores):
        raise request.error(f"{len(points)} people with {len(scores)} sets of scores", "give one set per person")
    boxes = [*boxes, *[None] * len(points)]
    everyone = zip(points, scores, boxes, strict=False)
    return [person(xy, s, box[4] if _has_score(box) else None, request) for xy, s, box in everyone]


def _has_score(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 5


# --- writing --------------------------------------------------------------------------------------------------
def to_inferencer(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """The inferencer's own layout for a video; a frame without any point has no instance."""
    return [{"frame_id": t, "instances": _to_instances(xy[t], confidence[t])} for t in range(len(xy))]


def to_mmpose0(xy: np.ndarray, confidence: np.ndarray) -> list[list[dict[str, Any]]]:
    """The layout of MMPose 0.x: frames of people, each a box with its score and points with theirs."""
    frames = [_to_instances(*frame) for frame in zip(xy, confidence, strict=True)]
    points = np.concatenate([xy, confidence[..., None]], axis=-1)
    return [
        [{"bbox": [*one["bbox"][0], one["bbox_score"]], "keypoints": listed(points[t])} for one in people]
        for t, people in enumerate(frames)
    ]


def to_rtmlib(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """RTMLib's layout: lists of people beside each other, for every frame."""
    frames = [_to_instances(*frame) for frame in zip(xy, confidence, strict=True)]
    return [
        {
            "frame": t,
            "keypoints": [one["keypoints"] for one in people],
            "scores": [one["keypoint_scores"] for one in people],
            "bboxes": [one["bbox"][0] for one in people],
        }
        for t, people in enumerate(frames)
    ]


def _to_instances(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    seen = confidence > 0
    if not seen.any():
        return []
    sure = confidence >= CONFIDENT if (confidence >= CONFIDENT).any() else seen
    corners = np.concatenate([xy[sure].min(0), xy[sure].max(0)])
    return [
        {
            "keypoints": listed(xy),
            "keypoint_scores": listed(confidence),
            "bbox": [listed(corners)],  # doubly nested, as MMPose writes it
            "bbox_score": round(float(confidence[sure].mean()), 6),
        }
    ]


def listed(values: np.ndarray) -> Any:
    """Lists of floats that read back as the same float32, in as few digits as that takes."""
    shortest = [float(str(number)) for number in values.astype(np.float32).ravel()]
    return np.array(shortest, dtype=np.float64).reshape(values.shape).tolist()
