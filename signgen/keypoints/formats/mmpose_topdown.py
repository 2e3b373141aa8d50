"""JSON of MMPose's demo `topdown_demo_with_mmdet`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import frames_of, read_video
from signgen.keypoints.formats.record import Format, as_json_object
from signgen.keypoints.raw import RawClip, Request


def _recognises(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("instance_info"), list)


def _read(value: Any, request: Request) -> RawClip:
    """A video's list of frames, or an image's flat list of instances; numbers may be json_tricks arrays."""
    clip = read_video(value["instance_info"], request)
    clip.name = request.path.stem.removeprefix("results_")
    return clip


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """As the demo writes it, which counts frames from 1."""
    meta = {"dataset_name": "coco_wholebody", "num_keypoints": 133}
    return as_json_object(meta_info=meta, instance_info=frames_of(keypoints, first=1))


FORMAT = Format(
    name="mmpose-topdown",
    label="MMPose's top-down JSON",
    kinds=("json",),
    recognises=_recognises,
    read=_read,
    write=_write,
)
