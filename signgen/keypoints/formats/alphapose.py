"""AlphaPose's JSON: a list of detections, each with the name of its picture; 133 points or Halpe's 136."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import instances
from signgen.keypoints.formats.record import Format, as_json_object, first_of, is_list, listed
from signgen.keypoints.frame_numbers import number_of, numbers_in_names
from signgen.keypoints.people import Person, follow_signer, person
from signgen.keypoints.raw import RawClip, Request


def _recognises(value: Any) -> bool:
    """[{"image_id", "keypoints": [x, y, score, ...], "score"}, ...], or the same below "frames", beside "metadata"."""
    first = first_of(_detections(value))
    return isinstance(first, dict) and {"image_id", "keypoints"} <= first.keys() and "foot_kpts" not in first


def _detections(value: Any) -> Any:
    return value.get("frames") if isinstance(value, dict) else value


def _read(value: Any, request: Request) -> RawClip:
    """Pictures in the order of their numbers: those in which nobody was found are not in the file."""
    detections = _detections(value)
    pictures = [_picture(one, request) for one in detections]
    order = list(dict.fromkeys(pictures))
    if len([*groupby(pictures)]) > len(order):  # detections of one picture lie apart
        place = {picture: i for i, picture in enumerate(order)}
        detections = sorted(detections, key=lambda one: place[one["image_id"]])
    whole = [number_of(picture) for picture in order]
    numbers = numbers_in_names([str(picture) for picture in order]) if None in whole else whole
    frames = (_people(frame, request) for _, frame in groupby(detections, key=lambda one: one["image_id"]))
    return follow_signer(frames, request.path.stem, request, numbers=numbers)


def _picture(one: Any, request: Request) -> str | int:
    if not (isinstance(one, dict) and isinstance(one.get("image_id"), (str, int)) and is_list(one.get("keypoints"))
            or isinstance(one, dict) and isinstance(one.get("keypoints"), np.ndarray)):  # fmt: skip
        raise request.error("a detection without image_id or keypoints", "run AlphaPose with a whole-body model")
    return one["image_id"]


def _people(frame: Iterable[Any], request: Request) -> list[Person]:
    """Detections without a score in any point are no people: so is a frame written in which nobody is."""
    people = [person(one["keypoints"], None, one.get("score"), request) for one in frame]
    return [someone for someone in people if (someone.scores > 0).any()]


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """With size and rate below "metadata", as pose-format reads it; zeros where a frame shows nobody."""
    about = {"fps": keypoints.fps, "width": keypoints.width, "height": keypoints.height}
    return as_json_object(frames=_written(keypoints), metadata=about)


def _written(keypoints: Keypoints) -> Iterator[dict[str, Any]]:
    points = (frame for part in keypoints.blocks() for frame in part.points)
    for t, (people, frame) in enumerate(zip(instances(keypoints), points, strict=True)):
        x0, y0, x1, y1 = people[0]["bbox"][0] if people else (0.0, 0.0, 0.0, 0.0)
        score = people[0]["bbox_score"] if people else 0.0
        yield {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": listed(frame.ravel()), "score": score,
               "box": [x0, y0, x1 - x0, y1 - y0], "idx": [0.0]}  # fmt: skip


FORMAT = Format(
    name="alphapose",
    label="AlphaPose JSON",
    origin="AlphaPose: one JSON a video, 133 points or Halpe's 136; pose-format's with `frames` and `metadata`",
    content="detections with `image_id` and `keypoints`",
    kinds=("json",),
    recognises=_recognises,
    read=_read,
    write=_write,
    size=True,
    fps=True,
)
