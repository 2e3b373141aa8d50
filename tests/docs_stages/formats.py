"""docs/formats.md: four frames of the example as MMPose JSON."""

from __future__ import annotations

from docs_stage import Stage, keypoint_file

STAGE = Stage(
    prepare=lambda folder: keypoint_file(folder / "clip.json", frames=4),
    leaves=("clip.pose", "openpose_clip/*.json", "clip.pkl", "clip.npz", "pose.mp4", "again.npz"),
)
