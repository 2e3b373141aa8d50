"""docs/render.md: four frames of the example, and a recording of as many that stands still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from docs_stage import Stage, keypoint_file, video_file
from PIL import Image

from signgen.rendering.source import load_source
from signgen.video import frame_files, probe, read_image


def prepare(folder: Path) -> None:
    keypoint_file(folder / "clip.json")
    for number in range(2):
        keypoint_file(folder / "keypoints" / f"part{number}.json", frames=2, start=20 * number)
    still = np.repeat(load_source("alma").image[None], 4, 0)
    video_file(folder / "recording.mp4", still)
    video_file(folder / "talk.mp4", still)
    keypoint_file(folder / "talk.json")
    for name in ("front", "open_hands", "profile"):
        Image.fromarray(still[0]).save(folder / f"{name}.png")
        keypoint_file(folder / f"{name}.json", frames=1)


def check(folder: Path) -> None:
    width, height = 210, 260
    assert [read_image(path).shape for path in frame_files(folder / "frames")] == [(height, width, 3)] * 2
    large = probe(folder / "large.webm")
    assert (large.width, large.height) == (420, 520)
    assert probe(folder / "side_by_side.mp4").width == 3 * width
    assert probe(folder / "four_panels.mp4").width == 4 * width


STAGE = Stage(
    prepare=prepare,
    leaves=("pose.mp4", "video.mp4", "video.json", "bela.mp4", "smooth.mp4", "windows.mp4", "videos/part1_cora.mp4"),
    check=check,
)
