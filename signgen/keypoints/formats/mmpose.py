"""MMPose's inferencer: one JSON file a video, or a folder of one a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from signgen.keypoints.budget import MOST_PEOPLE
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format, as_json_list, first_of, frames_in, listed
from signgen.keypoints.frame_numbers import number_in
from signgen.keypoints.people import Person, check_crowd, follow_signer, person
from signgen.keypoints.raw import Folder, RawClip, Request
from signgen.keypoints.skeleton import CONFIDENT

NOT_LISTED = "its points must be a list of people per frame"


def _recognises(value: Any) -> bool:
    """A list of {"frame_id", "instances"}, the inferencer's return value {"predictions": [...]}, or one picture."""
    if isinstance(value, Folder):  # an empty list is a frame without anybody: the first other one is looked at
        return is_instances(next((frame for frame in value.frames() if frame != []), None))
    if isinstance(value, dict) and isinstance(value.get("predictions"), list):
        return True
    first = first_of(frames_in(value, "frames"))
    return (isinstance(first, dict) and "instances" in first) or is_instances(value) or is_instances(first)


def is_instances(value: Any) -> bool:
    """One picture: a bare list of instances."""
    first = first_of(value)
    return isinstance(first, dict) and {"keypoints", "keypoint_scores"} <= first.keys()


def _read(value: Any, request: Request) -> RawClip:
    return read_pictures(value, request) if isinstance(value, Folder) else read_video(value, request)


def read_pictures(folder: Folder, request: Request) -> RawClip:
    """A folder of one list of instances a picture."""
    clip = _follow(_pictures(folder, request), request, folder.numbers)
    clip.name = request.frames_name
    return clip


def _pictures(folder: Folder, request: Request) -> Iterator[Any]:
    for frame in folder.frames():
        if not (frame == [] or is_instances(frame)):
            raise request.error("files that are not all MMPose predictions", "keep one kind of file in the folder")
        yield frame


def read_video(value: Any, request: Request) -> RawClip:
    """Frames in the order of `frame_id`, which counts from 0 or 1, depending on the writer."""
    if is_instances(value):
        return _follow([[*islice(value, MOST_PEOPLE + 1)]], request)
    if isinstance(value, dict) and "predictions" in value:
        return _follow(value["predictions"], request)
    value = frames_in(value, "frames")
    if is_instances(first_of(value)):
        return _follow(value, request)
    numbers: list[int | None] = []
    return _follow(_numbered(value, numbers), request, numbers)


def _numbered(frames: Iterable[Any], numbers: list[int | None]) -> Iterator[Any]:
    for frame in frames:
        numbers.append(number_in(frame))
        yield frame.get("instances")


def _follow(frames: Iterable[Any], request: Request, numbers: Sequence[int | None] | None = None) -> RawClip:
    people = (_people(frame, request) for frame in frames)
    return follow_signer(people, request.path.stem, request, numbers=numbers)


def _people(frame: Any, request: Request) -> list[Person]:
    if not isinstance(frame, list):
        raise request.error(f"a frame that holds {type(frame).__name__}", NOT_LISTED)
    check_crowd(len(frame), request)
    return [_instance(instance, request) for instance in frame]


def _instance(instance: Any, request: Request) -> Person:
    if not isinstance(instance, dict) or "keypoints" not in instance:
        raise request.error("a person without keypoints", NOT_LISTED)
    scores = instance.get("keypoint_scores")
    return person(plain(instance["keypoints"]), plain(scores), instance.get("bbox_score"), request)


def plain(value: Any) -> Any:
    """json_tricks writes an array as {"__ndarray__": nested lists, "dtype", "shape"}: the nested lists."""
    if isinstance(value, dict) and "__ndarray__" in value:
        return value["__ndarray__"]
    if isinstance(value, list):
        return [plain(item) for item in value] if value and isinstance(value[0], dict) else value
    return value


def frames_of(keypoints: Keypoints, first: int = 0) -> Iterator[dict[str, Any]]:
    """The inferencer's own layout for a video, numbered from ``first``."""
    return ({"frame_id": first + t, "instances": people} for t, people in enumerate(instances(keypoints)))


def instances(keypoints: Keypoints) -> Iterator[list[dict[str, Any]]]:
    """For each frame the list of its people: one, or none where no point is seen."""
    for part in keypoints.blocks():
        yield from map(_instances, part.xy, part.confidence)


def _instances(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
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


FORMAT = Format(
    name="mmpose",
    label="MMPose JSON",
    origin="MMPose's inferencer: one JSON a video, or a folder with one an image; 133, 136 or 308 points",
    content="frames with `instances`, or a list of people with `keypoints` and `keypoint_scores`",
    kinds=("json", "object", "json_folder"),
    recognises=_recognises,
    read=_read,
    write=lambda keypoints: as_json_list(frames_of(keypoints)),
    suffix=".json",
)
