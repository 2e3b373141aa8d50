"""OpenPose JSON (BODY_25 or COCO-18, 70 face points, hands) and DWPose, which keeps OpenPose's body order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from signgen.keypoints.formats.mmpose import listed
from signgen.keypoints.raw import Person, RawClip, Request, follow_signer
from signgen.keypoints.skeleton import FACE, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

# COCO body and foot point (position in the list) -> OpenPose body point.
FROM_BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24)
FROM_BODY_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_MIDDLES = {1: (2, 5), 8: (9, 12)}  # neck and mid-hip of BODY_25, between two others
_BODIES = {25: FROM_BODY_25, 18: FROM_BODY_18}
_PARTS = {"face_keypoints_2d": (FACE, (68, 70)), "hand_left_keypoints_2d": (LEFT_HAND, (21,)),
          "hand_right_keypoints_2d": (RIGHT_HAND, (21,))}  # fmt: skip


def is_openpose(value: Any) -> bool:
    """One frame: {"version": ..., "people": [...]}."""
    return isinstance(value, dict) and isinstance(value.get("people"), list)


def read_openpose(values: Sequence[Any], name: str, request: Request) -> RawClip:
    """Frames in order. OpenPose's own people have no box score: the sum of their scores stands in for it."""
    frames = []
    for value in values:
        if not is_openpose(value):
            raise request.error("files that are not all OpenPose frames", "keep one kind of file in the folder")
        people = (_person(someone, request) for someone in value["people"])
        frames.append([someone for someone in people if (someone.scores > 0).any()])
    return follow_signer(frames, name, request)


def _person(someone: Any, request: Request) -> Person:
    if not isinstance(someone, dict) or "pose_keypoints_2d" not in someone:
        raise request.error("a person without pose_keypoints_2d", "run OpenPose 1.3 or later with --write_json")
    xyc = np.zeros((NUM_JOINTS, 3))
    body = _triples(someone, "pose_keypoints_2d", (25, 18), request)
    if len(body):
        order = _BODIES[len(body)]
        xyc[: len(order)] = body[list(order)]
    for key, (part, counts) in _PARTS.items():
        points = _triples(someone, key, counts, request)
        if len(points):
            xyc[part] = points[: part.stop - part.start]  # face points 68 and 69 are pupils
    return Person(xyc[:, :2], xyc[:, 2], float(np.nan_to_num(xyc[:, 2]).mean()))


def _triples(someone: dict, key: str, counts: tuple[int, ...], request: Request) -> np.ndarray:
    """(N,3) x, y, score; (0,3) if the part was not estimated."""
    try:
        flat = np.array(someone.get(key) or [], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise request.error(f"{key} that are not numbers", "check the program that wrote the file") from None
    if flat.size and (flat.ndim != 1 or flat.size not in tuple(3 * count for count in counts)):
        wanted = " or ".join(str(3 * count) for count in counts)
        raise request.error(f"{flat.size} numbers in {key}", f"OpenPose writes {wanted} there (BODY_25, face, hands)")
    return flat.reshape(-1, 3)


def to_openpose(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """BODY_25, 70 face points and two hands for each frame; neck and mid-hip lie between shoulders and hips.

    The pupils, which the 133 points do not have, are missing.
    """
    frames = []
    for points in np.concatenate([xy, confidence[..., None]], axis=-1):
        body = np.zeros((25, 3), np.float32)
        body[list(FROM_BODY_25)] = points[: len(FROM_BODY_25)]
        for joint, pair in _MIDDLES.items():
            if (body[list(pair), 2] > 0).all():
                body[joint] = body[list(pair)].mean(0)
        parts = {
            "pose_keypoints_2d": body,
            "face_keypoints_2d": np.concatenate([points[FACE], np.zeros((2, 3), np.float32)]),
            "hand_left_keypoints_2d": points[LEFT_HAND],
            "hand_right_keypoints_2d": points[RIGHT_HAND],
        }
        one = {"person_id": [-1], **{key: listed(part.ravel()) for key, part in parts.items()}}
        frames.append({"version": 1.3, "people": [one] if points[:, 2].any() else []})
    return frames


# --- DWPose ---------------------------------------------------------------------------------------------------
def is_dwpose(value: Any) -> bool:
    """A list over frames of {"bodies": {...}, "hands", "faces", ...}; a single such frame counts as well."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and {"bodies", "hands", "faces"} <= first.keys()


def read_dwpose(value: Any, request: Request) -> RawClip:
    """Coordinates are fractions of the frame; (-1,-1) marks a missing point."""
    frames = value if isinstance(value, list) else [value]
    return follow_signer([_dwpose_people(frame, request) for frame in frames], request.path.stem, request)


def _dwpose_people(frame: Any, request: Request) -> list[Person]:
    if not is_dwpose(frame):
        raise request.error("a frame without bodies, hands and faces", "give DWPose results for every frame")
    subset = np.atleast_2d(np.asarray(frame["bodies"]["subset"], dtype=np.float64))[:, :18]
    people = len(subset)
    places = np.asarray(frame["bodies"]["candidate"], dtype=np.float64)[:, :2].reshape(-1, 18, 2)
    hands, faces = (np.asarray(frame[key], dtype=np.float64) for key in ("hands", "faces"))
    if len(places) < people or hands.shape != (2 * people, 21, 2) or faces.shape != (people, 68, 2):
        got = f"{people} bodies with hands {hands.shape} and faces {faces.shape}"
        raise request.error(got, "DWPose gives two hands (21 points) and a face (68) per body")
    hand_scores = _optional_scores(frame, "hands_score", hands)
    face_scores = _optional_scores(frame, "faces_score", faces)
    body_scores = np.asarray(frame["bodies"].get("score", np.ones((people, 18))), dtype=np.float64).reshape(-1, 18)
    everyone = []
    for p in range(people):
        xy, scores = np.zeros((NUM_JOINTS, 2)), np.zeros(NUM_JOINTS)
        order = list(FROM_BODY_18)
        xy[:17], scores[:17] = places[p][order], np.where(subset[p] >= 0, body_scores[p], 0)[order]
        xy[FACE], scores[FACE] = faces[p], face_scores[p]
        # Left hands of all people come first, then all right ones.
        xy[LEFT_HAND], scores[LEFT_HAND] = hands[p], hand_scores[p]
        xy[RIGHT_HAND], scores[RIGHT_HAND] = hands[people + p], hand_scores[people + p]
        scores[(xy <= -1).all(-1)] = 0
        everyone.append(Person(xy, scores, float(np.nan_to_num(scores).mean())))
    return [someone for someone in everyone if (someone.scores > 0).any()]


def _optional_scores(frame: dict, key: str, points: np.ndarray) -> np.ndarray:
    return np.asarray(frame.get(key, np.ones(points.shape[:2])), dtype=np.float64).reshape(points.shape[:2])


def to_dwpose(xy: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """DWPose's frames from fractions of the frame (T,133,2) and confidence (T,133), float64; it has no feet."""
    frames = []
    for points, scores in zip(np.where(confidence[..., None] > 0, xy, -1.0), confidence, strict=True):
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
    return frames


def _nobody() -> dict[str, Any]:
    return {
        "bodies": {"candidate": np.zeros((0, 2)), "subset": np.zeros((0, 18)), "score": np.zeros((0, 18))},
        "hands": np.zeros((0, 21, 2)), "hands_score": np.zeros((0, 21)),
        "faces": np.zeros((0, 68, 2)), "faces_score": np.zeros((0, 68)),
    }  # fmt: skip
