"""docs/extract.md: keypoints as `signgen extract` leaves them, with their header, in the place of an estimator."""

from __future__ import annotations

from pathlib import Path

from docs_stage import Stage, keypoint_file

from signgen.keypoints import read_keypoints
from signgen.keypoints.header import header_bytes, header_path
from signgen.video import probe


def prepare(folder: Path) -> None:
    path = folder / "keypoints.json"
    keypoint_file(path, frames=4)
    clip = read_keypoints(path, frame_size=(210, 260), fps=25).keypoints
    header_path(path).write_bytes(header_bytes(clip, {}))


def check(folder: Path) -> None:
    info = probe(folder / "video.mp4")
    assert (info.size, info.fps, info.frames) == ((210, 260), 25, 4)


STAGE = Stage(prepare=prepare, leaves=("pose.mp4", "video.mp4"), check=check)
