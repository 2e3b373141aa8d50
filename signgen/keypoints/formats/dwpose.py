"""DWPose's and ControlNet's results: fractions of the frame, OpenPose's order of 18 body points, no feet.

A pickle, an array of objects, or a folder of one such array a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import ALL_JOINTS, Format, as_pickle, first_of, in_fractions, is_list
from signgen.keypoints.layouts.body18 import FROM_BODY_18
from signgen.keypoints.people import Detections, check_crowd, follow, present
from signgen.keypoints.raw import Folder, RawClip, Request
from signgen.keypoints.skeleton import FACE, FEET, LEFT_HAND, NUM_JOINTS, RIGHT_HAND


def _recognises(value: Any) -> bool:
    """A list over frames of {"bodies": {...}, "hands", "faces", ...}; a single such frame counts as well."""
    first = value.first if isinstance(value, Folder) else first_of(value) if is_list(value) else value
    return isinstance(first, dict) and {"bodies", "hands", "faces"} <= first.keys()


def _read(value: Any, request: Request) -> RawClip:
    """Coordinates are fractions of the frame; (-1,-1) marks a missing point."""
    if isinstance(value, Folder):
        people = (_people(frame, request) for frame in value.frames())
        return follow(people, request.frames_name, request, numbers=value.numbers)
    frames = value if is_list(value) else [value]
    return follow((_people(frame, request) for frame in frames), request.path.stem, request)


def _people(frame: Any, request: Request) -> Detections:
    if not isinstance(frame, dict) or not _recognises(frame):
        raise request.error("a frame without bodies, hands and faces", "give DWPose results for every frame")
    numbers = request.budget.numbers
    subset = np.atleast_2d(numbers(frame["bodies"]["subset"]))[:, :18]
    people = len(subset)
    check_crowd(people, request)
    places = numbers(frame["bodies"]["candidate"])[:, :2].reshape(-1, 18, 2)
    hands, faces = (numbers(frame[key]) for key in ("hands", "faces"))
    body_scores = numbers(frame["bodies"].get("score", np.ones((people, 18)))).reshape(-1, 18)
    shapes = hands.shape, faces.shape
    if min(len(places), len(body_scores)) < people or shapes != ((2 * people, 21, 2), (people, 68, 2)):
        got = f"{people} bodies with hands {hands.shape} and faces {faces.shape}"
        raise request.error(got, "DWPose gives two hands (21 points) and a face (68) per body")
    hand_scores = numbers(frame.get("hands_score", np.ones(hands.shape[:2]))).reshape(hands.shape[:2])
    face_scores = numbers(frame.get("faces_score", np.ones(faces.shape[:2]))).reshape(faces.shape[:2])
    body_scores = np.where(subset >= 0, body_scores[:people], 0)
    xy, scores = np.zeros((people, NUM_JOINTS, 2)), np.zeros((people, NUM_JOINTS))
    xy[:, :17], scores[:, :17] = places[:people, FROM_BODY_18], body_scores[:, FROM_BODY_18]
    xy[:, FACE], scores[:, FACE] = faces, face_scores
    # Left hands of all people come first, then all right ones.
    xy[:, LEFT_HAND], scores[:, LEFT_HAND] = hands[:people], hand_scores[:people]
    xy[:, RIGHT_HAND], scores[:, RIGHT_HAND] = hands[people:], hand_scores[people:]
    scores[(xy <= -1).all(-1)] = 0
    return present(xy[None], scores[None])


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    frames = []
    confidence = keypoints.confidence.astype(np.float64)
    xy = np.where(confidence[..., None] > 0, in_fractions(keypoints), -1.0)
    for points, scores in zip(xy, confidence, strict=True):
        if not scores.any():
            frames.append(_nobody())
            continue
        body, sure = np.full((18, 2), -1.0), np.zeros(18)
        body[list(FROM_BODY_18)], sure[list(FROM_BODY_18)] = points[:17], scores[:17]
        if (sure[[2, 5]] > 0).all():
            body[1], sure[1] = body[[2, 5]].mean(0), sure[[2, 5]].mean()
        hands = [points[LEFT_HAND], points[RIGHT_HAND]]
        frames.append(
            {
                "bodies": {"candidate": body, "subset": np.where(sure > 0, np.arange(18.0), -1.0)[None],
                           "score": sure[None]},
                "hands": np.stack(hands), "hands_score": np.stack([scores[LEFT_HAND], scores[RIGHT_HAND]]),
                "faces": points[FACE][None], "faces_score": scores[FACE][None],
            }
        )  # fmt: skip
    return as_pickle(frames)


def _nobody() -> dict[str, Any]:
    return {
        "bodies": {"candidate": np.zeros((0, 2)), "subset": np.zeros((0, 18)), "score": np.zeros((0, 18))},
        "hands": np.zeros((0, 21, 2)), "hands_score": np.zeros((0, 21)),
        "faces": np.zeros((0, 68, 2)), "faces_score": np.zeros((0, 68)),
    }  # fmt: skip


FORMAT = Format(
    name="dwpose",
    label="DWPose's pickle",
    origin="DWPose, ControlNet: a pickle, an npy of objects, or a folder with one npy a frame; fractions of the frame",
    content="`bodies`, `hands`, `faces`",
    kinds=("object", "json", "array_folder"),
    recognises=_recognises,
    read=_read,
    write=_write,
    joints=tuple(joint for joint in ALL_JOINTS if joint not in range(FEET.start, FEET.stop)),
    signed=False,
)
