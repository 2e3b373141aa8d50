"""JSON and pickles of MMPose 0.x."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from signgen.keypoints.budget import MOST_PEOPLE
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import NOT_LISTED, instances, plain
from signgen.keypoints.formats.record import Format, as_json_list, is_list, listed
from signgen.keypoints.people import Person, check_crowd, follow_signer, is_one_person, person
from signgen.keypoints.raw import RawClip, Request


def _recognises(value: Any) -> bool:
    """[{"bbox": (5,), "keypoints": (133,3)}, ...], or a list of such lists, of which some may be empty."""
    if not is_list(value):
        return False
    first = next((item for item in value if not isinstance(item, list) or item), None)
    return _is_result(first[0] if isinstance(first, list) else first)


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and "keypoints" in item and not {"scores", "keypoint_scores"} & item.keys()


def _read(value: Any, request: Request) -> RawClip:
    """A list of lists holds frames of people. A flat list holds people of one image, or one person over time."""
    if any(isinstance(item, list) for item in value):
        return follow_signer((_people(frame, request) for frame in value), request.path.stem, request)
    if not is_one_person(_result(item, request) for item in value):
        return follow_signer([_people([*islice(value, MOST_PEOPLE + 1)], request)], request.path.stem, request)
    clip = follow_signer(([_result(item, request)] for item in value), request.path.stem, request)
    clip.warnings.append(f"{len(clip)} results at one place, without frame numbers; read as {len(clip)} frames")
    return clip


def _people(frame: list, request: Request) -> list[Person]:
    check_crowd(len(frame), request)
    return [_result(item, request) for item in frame]


def _result(item: Any, request: Request) -> Person:
    if not _is_result(item):
        raise request.error("a person without keypoints", NOT_LISTED)
    box = np.ravel(request.budget.numbers(plain(item.get("bbox", ()))))
    rank = box[4] if len(box) == 5 else item.get("score")
    return person(plain(item["keypoints"]), None, rank, request)


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """Frames of people, each a box with its score and points with theirs."""
    points = (frame for part in keypoints.blocks() for frame in part.points)
    return as_json_list(
        [{"bbox": [*one["bbox"][0], one["bbox_score"]], "keypoints": listed(frame)} for one in people]
        for people, frame in zip(instances(keypoints), points, strict=True)
    )


FORMAT = Format(
    name="mmpose-0.x",
    label="MMPose 0.x JSON",
    origin="MMPose 0.x",
    content="people with `bbox` and `keypoints` of x, y, score",
    kinds=("json", "object"),
    recognises=_recognises,
    read=_read,
    write=_write,
)
