"""ComfyUI's POSE_KEYPOINT, as its nodes pass and save it: a list of OpenPose frames with the size of their canvas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.openpose import is_frame, people_of, with_middles, written_frame
from signgen.keypoints.formats.record import ALL_JOINTS, Format, as_json_list, first_of, frames_in
from signgen.keypoints.frame_numbers import number_in
from signgen.keypoints.layouts.body18 import FROM_BODY_18
from signgen.keypoints.people import follow
from signgen.keypoints.raw import RawClip, Request
from signgen.keypoints.skeleton import FEET

_NECK = {1: (2, 5)}


def _read(value: Any, request: Request) -> RawClip:
    """Pixels of the canvas, or, from older nodes, fractions of it."""
    numbers: list[int | None] = []

    def frames() -> Iterator[Any]:
        for frame in frames_in(value, "frames"):
            parts = people_of(frame, request)
            numbers.append(number_in(frame))
            yield parts

    return follow(frames(), request.path.stem, request, numbers=numbers)


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """18 body points, 70 of the face and two hands, in pixels."""
    canvas = {"canvas_height": keypoints.height, "canvas_width": keypoints.width}
    frames = (frame for part in keypoints.blocks() for frame in part.points)
    return as_json_list({**written_frame(points, _body(points)), **canvas} for points in frames)


def _body(points: np.ndarray) -> np.ndarray:
    body = np.zeros((18, 3), np.float32)
    body[list(FROM_BODY_18)] = points[: len(FROM_BODY_18)]
    return with_middles(body, _NECK)


FORMAT = Format(
    name="comfyui",
    label="ComfyUI's POSE_KEYPOINT",
    origin="ComfyUI's pose nodes: a list of OpenPose frames",
    content="frames with `people`, beside `canvas_width` and `canvas_height`",
    kinds=("json",),
    recognises=lambda value: is_frame(first_of(frames_in(value, "frames"))),
    read=_read,
    write=_write,
    size=True,
    joints=tuple(joint for joint in ALL_JOINTS if joint not in range(FEET.start, FEET.stop)),
)
