"""docs/live.md: four frames, which are rendered as they would come."""

from __future__ import annotations

from pathlib import Path

from docs_stage import Stage, keypoint_file


def prepare(folder: Path) -> None:
    keypoint_file(folder / "clip.json")


def check(folder: Path) -> None:
    assert (folder / "frames.rgb").stat().st_size % (3 * 210 * 260) == 0


STAGE = Stage(prepare=prepare, leaves=("frames.rgb",), check=check)
