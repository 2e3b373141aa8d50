"""MSKA's pickle of many clips, and what it has in common with those of SLRT and NLA-SLR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.npy import read_array
from signgen.keypoints.formats.npz import TABLE_KEYS, read_table
from signgen.keypoints.formats.pickles.unisign import is_unisign, read_unisign
from signgen.keypoints.formats.record import Format, as_pickle
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.stated import complete_from_content


def clips_of(value: Any) -> dict[str, Any]:
    """The clips of a dictionary, or of a list of dictionaries, by their names; empty for anything else."""
    if isinstance(value, Mapping):
        return {str(name): clip for name, clip in value.items()}
    if isinstance(value, list) and value and all(_has_name(clip) for clip in value):
        return {str(clip["name"]): clip for clip in value}
    return {}


def _has_name(clip: Any) -> bool:
    return isinstance(clip, Mapping) and isinstance(clip.get("name"), (str, int))


def first_clip(value: Any) -> Mapping[str, Any]:
    """The first clip, or an empty mapping where that is no mapping."""
    first = next(iter(clips_of(value).values()), None)
    return first if isinstance(first, Mapping) else {}


def read_many(value: Any, request: Request) -> RawClip:
    """The clip that the request names, or the only one. Its name in the file becomes its name."""
    clips = clips_of(value)
    name = pick_clip(list(clips), request)
    clip = complete_from_content(read_one(clips[name], request), clips[name])
    clip.name = name
    return clip


def read_one(clip: Any, request: Request) -> RawClip:
    """One of the clips, by whatever it is: lists as Uni-Sign has them, a table of arrays, or an array."""
    if is_unisign(clip):
        return read_unisign(clip, request)
    if isinstance(clip, Mapping):
        return read_table({**clip, **{key: _as_array(clip[key], request) for key in TABLE_KEYS & clip.keys()}}, request)
    return read_array(_as_array(clip, request), request)


def _as_array(value: Any, request: Request) -> Any:
    """Lists of numbers become arrays; ragged ones are an error."""
    if not isinstance(value, list) or not value or not isinstance(value[0], (list, np.ndarray)):
        return value
    try:
        return request.budget.numbers(value)
    except InputError:
        raise
    except (TypeError, ValueError):
        raise request.error("frames of different shapes", "give (T,133,3) for every clip") from None


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """One clip with empty gloss and text: MSKA's own files hold those beside the points."""
    import torch

    clip = {"name": keypoints.name, "gloss": "", "text": "", "num_frames": len(keypoints),
            "keypoint": torch.from_numpy(keypoints.points)}  # fmt: skip
    return as_pickle({keypoints.name: clip})


FORMAT = Format(
    name="mska",
    label="MSKA's pickle",
    origin="MSKA's pickle of many clips",
    content="`keypoint` below clip names",
    kinds=("object",),
    recognises=lambda value: "keypoint" in first_clip(value),
    read=read_many,
    write=_write,
    several=True,
    clip_name="any",
)
