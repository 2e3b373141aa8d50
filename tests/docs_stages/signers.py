"""docs/signers.md: a built-in signer's picture stands in for a photo, and for the frames of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from docs_stage import Stage, keypoint_file, picture_of_signer, video_file

from signgen.video import probe, read_image


def prepare(folder: Path) -> None:
    keypoint_file(folder / "clip.json", frames=3)
    keypoint_file(folder / "talk.json", frames=3)
    picture_of_signer(folder / "me.png", "gwen")
    video_file(folder / "talk.mp4", np.repeat(read_image(folder / "me.png")[None], 3, 0))


def check(folder: Path) -> None:
    me, frame = (read_image(folder / name).astype(float) for name in ("me.png", "frame.png"))
    assert abs(me - frame).mean() < 4  # of 255 levels: what the encoder changed
    assert probe(folder / "sheet.mp4").width == 3 * probe(folder / "signed.mp4").width


STAGE = Stage(prepare=prepare, leaves=("signed.mp4", "from_video.mp4", "again.mp4", "once_more.mp4"), check=check)
