"""docs/score.md: two drawn clips, and their copies under noise as the renders of two systems."""

from __future__ import annotations

import json
from pathlib import Path

from docs_stage import Stage, clip_frames, clip_keypoints, drawn_clips, rendered_copies, video_file


def prepare(folder: Path) -> None:
    data = drawn_clips(folder / "DATASET")
    frames = clip_frames(data)
    clip_keypoints(data, folder / "clip.json")
    video_file(folder / "true.mp4", frames)
    video_file(folder / "generated.mp4", frames[:, 2:, ...].repeat(2, 1)[:, : frames.shape[1]])  # the person, taller
    rendered_copies(folder / "RENDERS", data)
    rendered_copies(folder / "OTHER_RENDERS", data, levels=20)


def check(folder: Path) -> None:
    comparison = json.loads((folder / "comparison.json").read_text())
    assert comparison["against"]["differences"]["ssim_wang"]["better"] == "generated"
    signs = json.loads((folder / "signs.json").read_text())["metrics"]
    assert signs["wer_true"] is not None


STAGE = Stage(prepare=prepare, leaves=("report.html", "frames.csv"), check=check)
