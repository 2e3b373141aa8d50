"""README.md: a drawn clip of few frames, as keypoints, as video and as a data set; trainings are only read."""

from __future__ import annotations

from pathlib import Path

from docs_stage import ROOT, Stage, clip_frames, clip_keypoints, drawn_clips, rendered_copies, video_file

INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt . && .venv/bin/signgen render"


def prepare(folder: Path) -> None:
    (folder / "signgen").symlink_to(ROOT / "signgen")
    drawn_clips(folder / "DATASET")
    clip_keypoints(folder / "DATASET", folder / "clip.json")
    frames = clip_frames(folder / "DATASET")
    video_file(folder / "true.mp4", frames)
    video_file(folder / "generated.mp4", frames[:, :, ::-1])
    rendered_copies(folder / "RENDERS", folder / "DATASET")
    rendered_copies(folder / "OTHER_RENDERS", folder / "DATASET", levels=12)


STAGE = Stage(
    prepare=prepare,
    replacements=((INSTALL, "signgen render --frames 0:4"),),
    leaves=("weather.mp4", "pose.mp4", "clip.mp4", "side_by_side.mp4", "again.mp4", "report.html", "frames.csv"),
)
