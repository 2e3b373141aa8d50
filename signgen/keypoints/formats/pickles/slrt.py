"""SLRT's pickle (TwoStream) of many clips: {name: {"keypoints": (T,133,3)}}, or clips of Uni-Sign's kind."""

from __future__ import annotations

from signgen.keypoints.formats.pickles.mska import first_clip, read_many
from signgen.keypoints.formats.record import Format, as_pickle

FORMAT = Format(
    name="slrt",
    label="SLRT's pickle",
    origin="SLRT's pickle of many clips",
    content="`keypoints` below clip names",
    kinds=("object",),
    recognises=lambda value: "keypoints" in first_clip(value),
    read=read_many,
    write=lambda keypoints: as_pickle({keypoints.name: {"keypoints": keypoints.points}}),
    several=True,
    clip_name="any",
)
