"""Uni-Sign's pickle (RTMPose): lists over frames, coordinates as fractions of the frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format, as_pickle, in_fractions
from signgen.keypoints.people import Person, check_crowd, follow_signer, person
from signgen.keypoints.raw import RawClip, Request


def is_unisign(value: Any) -> bool:
    """{"keypoints": [(P,133,2), ...], "scores": [(P,133), ...]}, lists over frames."""
    return isinstance(value, Mapping) and all(isinstance(value.get(key), list) for key in ("keypoints", "scores"))


def read_unisign(value: Mapping[str, Any], request: Request) -> RawClip:
    points, scores = value["keypoints"], value["scores"]
    if len(points) != len(scores):
        raise request.error(f"{len(points)} frames of keypoints, {len(scores)} of scores", "give as many of each")
    frames = (_people(p, s, request) for p, s in zip(points, scores, strict=True))
    return follow_signer(frames, request.path.stem, request)


def _people(points: Any, scores: Any, request: Request) -> list[Person]:
    """People of one frame: (P,133,2) with (P,133), or one person (133,2) with (133,)."""
    xy, s = request.budget.numbers(points), request.budget.numbers(scores)
    if not xy.size:
        return []
    xy = xy[None] if xy.ndim == 2 else xy
    check_crowd(len(xy), request)
    s = s.reshape(len(xy), -1)
    return [person(p, q, None, request) for p, q in zip(xy, s, strict=True)]


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    people = keypoints.confidence.any(1).astype(int)  # (T,) how many a frame shows: 0 or 1
    points = [xy[None][:count] for xy, count in zip(in_fractions(keypoints), people, strict=True)]
    scores = [one[None][:count] for one, count in zip(keypoints.confidence, people, strict=True)]
    return as_pickle({"keypoints": points, "scores": scores})


FORMAT = Format(
    name="uni-sign",
    label="Uni-Sign's pickle",
    origin="Uni-Sign's pickle, fractions of the frame",
    content="lists `keypoints` and `scores`",
    kinds=("object",),
    recognises=is_unisign,
    read=read_unisign,
    write=_write,
    signed=False,
)
