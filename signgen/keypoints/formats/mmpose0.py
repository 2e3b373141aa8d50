"""JSON and pickles of MMPose 0.x."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import NOT_LISTED, instances, plain
from signgen.keypoints.formats.record import Format, as_json, listed, with_scores
from signgen.keypoints.raw import Person, RawClip, Request, follow_signer, person


def _recognises(value: Any) -> bool:
    """[{"bbox": (5,), "keypoints": (133,3)}, ...], or a list of such lists, of which some may be empty."""
    if not isinstance(value, list):
        return False
    first = next((item for item in value if not isinstance(item, list) or item), None)
    return _is_result(first[0] if isinstance(first, list) else first)


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and "keypoints" in item and not {"scores", "keypoint_scores"} & item.keys()


def _read(value: Any, request: Request) -> RawClip:
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
        raise request.error("a person without keypoints", NOT_LISTED)
    box = np.ravel(np.asarray(plain(item.get("bbox", ())), dtype=np.float64))
    rank = box[4] if len(box) == 5 else item.get("score")
    return person(plain(item["keypoints"]), None, rank, request)


def _is_one_person(people: list[Person]) -> bool:
    """Neighbours in the list stand less than half a shoulder width apart: nobody stands inside somebody else."""
    steps = [a.distance(b) for a, b in pairwise(people)]
    return bool(steps) and float(np.median(steps)) < 0.5


def _write(keypoints: Keypoints) -> bytes:
    """Frames of people, each a box with its score and points with theirs."""
    frames = zip(instances(keypoints), with_scores(keypoints), strict=True)
    return as_json(
        [
            [{"bbox": [*one["bbox"][0], one["bbox_score"]], "keypoints": listed(points)} for one in people]
            for people, points in frames
        ]
    )


FORMAT = Format(
    name="mmpose-0.x",
    label="MMPose 0.x JSON",
    kinds=("json", "object"),
    recognises=_recognises,
    read=_read,
    write=_write,
)
