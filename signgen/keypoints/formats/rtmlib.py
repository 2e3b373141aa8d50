"""RTMLib's JSON, also below the names of camera views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import instances
from signgen.keypoints.formats.record import Format, as_json_list, first_of
from signgen.keypoints.frame_numbers import number_in
from signgen.keypoints.people import Person, check_crowd, follow_signer, person
from signgen.keypoints.raw import RawClip, Request, check_only_clip, pick_clip


def _recognises(value: Any) -> bool:
    """[{"frame", "keypoints", "scores", "bboxes"}, ...], or the same below the names of camera views."""
    first = first_of(value)
    return isinstance(first, dict) and (_is_frame(first) or bool(_views(first)))


def _is_frame(frame: Any) -> bool:
    return isinstance(frame, dict) and {"keypoints", "scores"} <= frame.keys()


def _views(frame: dict) -> list[str]:
    return [name for name, view in frame.items() if _is_frame(view)]


def _read(value: Any, request: Request) -> RawClip:
    """Of several camera views the first is read, unless `--clip` names another."""
    first, warnings, frames = value[0], [], iter(value)
    if _is_frame(first):
        check_only_clip(request)
    else:
        views = _views(first)
        view = pick_clip(views, request) if request.clip else views[0]
        frames = (frame.get(view) or {} for frame in value)
        if len(views) > 1 and not request.clip:
            warnings = [f"holds the camera views {', '.join(views)}; reads {view} (--clip chooses another)"]
    numbers = [number_in(frame) for frame in value]
    clip = follow_signer((_people(frame, request) for frame in frames), request.path.stem, request, numbers=numbers)
    clip.warnings += warnings
    return clip


def _people(frame: dict, request: Request) -> list[Person]:
    points, scores = frame.get("keypoints") or [], frame.get("scores") or []
    if len(points) != len(scores):
        raise request.error(f"{len(points)} people with {len(scores)} sets of scores", "give one set per person")
    check_crowd(len(points), request)
    boxes = [*(frame.get("bboxes") or []), *[None] * len(points)]
    everyone = zip(points, scores, boxes, strict=False)
    return [person(xy, s, box[4] if _has_score(box) else None, request) for xy, s, box in everyone]


def _has_score(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 5


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """Lists of people beside each other, for every frame."""
    return as_json_list(
        {
            "frame": t,
            "keypoints": [one["keypoints"] for one in people],
            "scores": [one["keypoint_scores"] for one in people],
            "bboxes": [one["bbox"][0] for one in people],
        }
        for t, people in enumerate(instances(keypoints))
    )


FORMAT = Format(
    name="rtmlib",
    label="RTMLib JSON",
    origin="RTMLib, also below camera views",
    content="`keypoints` and `scores` side by side",
    kinds=("json",),
    recognises=_recognises,
    read=_read,
    write=_write,
    several=True,
)
