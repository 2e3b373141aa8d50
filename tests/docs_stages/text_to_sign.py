"""docs/text-to-sign.md: four frames with what spoken-to-signed-translation keeps, and two short `.skels` clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from docs_stage import EXAMPLE, Stage

from signgen.keypoints import read_keypoints, write_keypoints
from signgen.keypoints.keypoint_files import keypoint_bytes


def prepare(folder: Path) -> None:
    whole = read_keypoints(EXAMPLE).keypoints[20:24]
    confidence = whole.confidence.copy()
    confidence[:, [0, 1, 2, 3, 4, *range(13, 23), 50, 51, 52, 53]] = 0  # nose, eyes, ears, legs, bridge of the nose
    write_keypoints(replace(whole, confidence=confidence), folder / "kinder.pose")
    (folder / "lexicon").mkdir()
    for name in ("kind", "essen"):
        write_keypoints(whole, folder / "lexicon" / f"{name}.pose")
    (folder / "dev.skels").write_bytes(b"".join(keypoint_bytes(whole[part:], "skels")[0] for part in (0, 1)))


STAGE = Stage(
    prepare=prepare,
    replacements=(("-o sentence.mp4 --align", "-o sentence.mp4 --align --frames 2:4"),),
    leaves=("sentence.mp4", "kinder.mp4", "piped.mp4", "first.mp4", "second.mp4", "bela.mp4", "look.mp4", "python.mp4"),
)
