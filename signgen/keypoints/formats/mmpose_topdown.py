"""JSON of MMPose's demo `topdown_demo_with_mmdet`, and the folder of one a picture that Sapiens' demo writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.mmpose import frames_of, is_instances, read_pictures, read_video
from signgen.keypoints.formats.record import Format, as_json_object
from signgen.keypoints.raw import Folder, RawClip, Request


def _recognises(value: Any) -> bool:
    if isinstance(value, Folder):  # of pictures: those of videos have frames of instances
        people = next((people for people in map(_people, value.frames()) if people != []), None)
        return is_instances(people)
    return isinstance(value, dict) and isinstance(value.get("instance_info"), list)


def _people(picture: Any) -> Any:
    return picture.get("instance_info") if isinstance(picture, dict) else None


def _read(value: Any, request: Request) -> RawClip:
    """A video's list of frames, or an image's flat list of instances; numbers may be json_tricks arrays."""
    if isinstance(value, Folder):
        return read_pictures(replace(value, read=lambda path: _people(value.read(path))), request)
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
    origin="`topdown_demo_with_mmdet`; Sapiens' demo: a folder with one an image",
    content="`instance_info`",
    kinds=("json", "json_folder"),
    recognises=_recognises,
    read=_read,
    write=_write,
)
