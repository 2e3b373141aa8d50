"""docs/edit.md: two shipped examples take the places of two signs of a dictionary; a part of them is rendered."""

from __future__ import annotations

from pathlib import Path

from docs_stage import ROOT, Stage

from signgen.keypoints import read_keypoints, write_keypoints


def prepare(folder: Path) -> None:
    for name, example in (("house", "house.npz"), ("rain", "fog.npz")):
        clip = read_keypoints(ROOT / "signgen" / "assets" / "examples" / example).keypoints
        write_keypoints(clip, folder / f"{name}.pose")


def check(folder: Path) -> None:
    seconds = {path.stem: read_keypoints(path).keypoints.seconds for path in folder.glob("*.pose")}
    assert abs(seconds["part"] - 1.6) < 0.05
    assert abs(seconds["slower"] - seconds["house"] / 0.8) < 0.05
    assert seconds["four_seconds"] == 4
    assert abs(seconds["stop"] - seconds["house"] - 0.5) < 0.05
    assert seconds["fifty"] == seconds["house"]


STAGE = Stage(
    prepare=prepare,
    replacements=(("-o sentence.mp4", "--frames 74:76 -o sentence.mp4"),),
    leaves=(
        "sentence.mp4",
        "sentence_pose.mp4",
        "face.pose",
        "hand.pose",
        "mirrored.pose",
        "edited.pose",
        "python.pose",
    ),
    check=check,
)
