"""NLA-SLR's pickle of many clips: {name: (T,133,3)}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signgen.keypoints.formats.npy import is_points
from signgen.keypoints.formats.pickles.mska import read_many
from signgen.keypoints.formats.record import Format, as_pickle


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(is_points(clip) for clip in value.values())


FORMAT = Format(
    name="nla-slr",
    label="NLA-SLR's pickle",
    origin="NLA-SLR's pickle of many clips",
    content="arrays below clip names",
    kinds=("object", "table"),
    recognises=_recognises,
    read=read_many,
    write=lambda keypoints: as_pickle({keypoints.name: keypoints.points}),
    several=True,
    clip_name="any",
)
