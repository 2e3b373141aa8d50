"""docs/augment.md: two short drawn clips stand in for PHOENIX14T."""

from __future__ import annotations

from pathlib import Path

from docs_stage import Stage, drawn_clips

from signgen.dataset.phoenix import PhoenixIndex


def prepare(folder: Path) -> None:
    drawn_clips(folder / "data" / "phoenix", clips=2, frames=8, split="train")


def check(folder: Path) -> None:
    clips = (PhoenixIndex(folder / "data" / name).clips("train") for name in ("phoenix", "shares"))
    old, new = ([clip.name for clip in each] for each in clips)
    assert new == [*old, *(f"{name}__aug01" for name in old)]


STAGE = Stage(
    prepare=prepare,
    replacements=(  # one process, which has its model already
        ("data/phoenix data/more", "data/phoenix data/more --copies 2 --signers 4 --jobs 1"),
        ("data/shares --copies 1", "data/shares --copies 1 --signers 4"),
        ("data/four --signers alma", "data/four --signers alma --no-gate --jobs 1"),
    ),
    leaves=(
        "data/more/augment.json", "data/more/manifest/*.jsonl", "data/four/slrt/*.zip", "data/four/mska/*.train",
        "data/four/preprocess/phoenix2014-T/gloss_dict.npy", "data/shares/manifest/part-0002-of-0002.jsonl",
    ),
    check=check,
)  # fmt: skip
