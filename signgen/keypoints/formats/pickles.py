"""Pickled dictionaries and lists of clips: MSKA, SLRT (TwoStream, NLA-SLR) and Uni-Sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from signgen.keypoints.formats import arrays
from signgen.keypoints.raw import Person, RawClip, Request, follow_signer, person, pick_clip


# --- Uni-Sign (RTMPose) ---------------------------------------------------------------------------------------
def is_unisign(value: Any) -> bool:
    """{"keypoints": [(P,133,2), ...], "scores": [(P,133), ...]}, lists over frames."""
    return (
        isinstance(value, Mapping) and isinstance(value.get("keypoints"), list)
        and isinstance(value.get("scores"), list)
    )  # fmt: skip


def read_unisign(value: Mapping[str, Any], request: Request) -> RawClip:
    points, scores = value["keypoints"], value["scores"]
    if len(points) != len(scores):
        raise request.error(f"{len(points)} frames of keypoints, {len(scores)} of scores", "give as many of each")
    frames = [_unisign_people(p, s, request) for p, s in zip(points, scores, strict=True)]
    return follow_signer(frames, request.path.stem, request)


def _unisign_people(points: Any, scores: Any, request: Request) -> list[Person]:
    """People of one frame: (P,133,2) with (P,133), or one person (133,2) with (133,)."""
    xy, s = np.asarray(points, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not xy.size:
        return []
    xy = xy[None] if xy.ndim == 2 else xy
    s = s.reshape(len(xy), -1)
    return [person(p, q, None, request) for p, q in zip(xy, s, strict=True)]


# --- many clips -----------------------------------------------------------------------------------------------
def is_mska(value: Any) -> bool:
    """{name: {"keypoint": (T,133,3), "name", "gloss", "text", "num_frames"}}; lists of such entries count as well."""
    return "keypoint" in _first_entry(value)


def is_slrt(value: Any) -> bool:
    """{name: {"keypoints": (T,133,3)}}, or clips of Uni-Sign's kind below names."""
    return "keypoints" in _first_entry(value)


def is_nla(value: Any) -> bool:
    """{name: (T,133,3)}."""
    return isinstance(value, Mapping) and bool(value) and all(arrays.is_points(v) for v in value.values())


def _first_entry(value: Any) -> Mapping[str, Any]:
    """The first clip of a dictionary or list of clips, or an empty mapping."""
    entries = list(_entries(value).values())
    return entries[0] if entries and isinstance(entries[0], Mapping) else {}


def _entries(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(name): entry for name, entry in value.items()}
    if isinstance(value, list) and value and all(isinstance(e, Mapping) and "name" in e for e in value):
        return {str(entry["name"]): entry for entry in value}
    return {}


def read_clips(value: Any, request: Request) -> RawClip:
    """The clip that the request names, or the only one. Its name in the file becomes its name."""
    entries = _entries(value)
    name = pick_clip(list(entries), request)
    clip = _read_entry(entries[name], request)
    clip.name = name
    return clip


def _read_entry(entry: Any, request: Request) -> RawClip:
    if is_unisign(entry):
        return read_unisign(entry, request)
    if isinstance(entry, Mapping):
        return arrays.read_table({key: _as_array(v, request) for key, v in entry.items()}, request)
    return arrays.read_array(_as_array(entry, request), request)


def _as_array(value: Any, request: Request) -> Any:
    """Lists of numbers become arrays; ragged ones are an error."""
    if not isinstance(value, list) or not value or not isinstance(value[0], (list, np.ndarray)):
        return value
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise request.error("frames of different shapes", "give (T,133,3) for every clip") from None


# --- things that are often mistaken for keypoints -------------------------------------------------------------
def explain(value: Any) -> str:
    """What a pickle or array holds that no reader knows, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    first = _first_entry(value)
    if "sign" in first:
        return f"{len(_entries(value))} clips with image features ('sign') and no keypoints"
    if first:
        return f"{len(_entries(value))} entries with {', '.join(map(str, list(first)[:5]))} and no keypoints"
    if isinstance(value, (Mapping, list)):
        return f"a {type(value).__name__} of {len(value)} entries without keypoints"
    return f"a {type(value).__name__}"
