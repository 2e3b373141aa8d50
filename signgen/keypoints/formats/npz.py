"""Named arrays: an npz, or a pickled dictionary of arrays. signgen's own npz files keep everything of a clip."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np

from signgen.errors import Unsupported
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.npy import is_points, read_array, write_array
from signgen.keypoints.formats.record import Format
from signgen.keypoints.raw import RawClip, Request

_POINT_KEYS = ("keypoints", "keypoint", "poses", "pose", "arr_0", "xy", "data")
_IN_MEMORY = 32 << 20  # bytes; a longer archive is packed in the folder for temporary files
_SCORE_KEYS = ("scores", "keypoint_scores", "keypoint_score", "confidence", "score")
TABLE_KEYS = {*_POINT_KEYS, *_SCORE_KEYS, "width", "height", "fps", "name"}


def _recognises(value: Any) -> bool:
    """A mapping with an array of points below one of the usual names (an npz, a pickled dict)."""
    return isinstance(value, Mapping) and any(is_points(value.get(key)) for key in _POINT_KEYS)


def read_table(value: Mapping[str, Any], request: Request) -> RawClip:
    """Points, and scores, width, height, fps and name where they are given."""
    key = next((key for key in _POINT_KEYS if isinstance(value.get(key), np.ndarray)), None)
    if key is None:
        got = f"arrays named {', '.join(map(str, value)) or 'nothing'}"
        raise request.error(got, "name the points 'keypoints'", Unsupported)
    scores = _scores(value, value[key].shape[-1:] == (2,), request)
    clip = read_array(value[key], request, scores)
    clip.size = _size(value, request) or clip.size
    clip.fps = _single(value, "fps", request)
    name = value.get("name")
    name = name.ravel()[0] if isinstance(name, np.ndarray) and name.size == 1 else name
    clip.name = str(name) if isinstance(name, (str, bytes, int, np.generic)) else clip.name
    return clip


def _scores(value: Mapping[str, Any], needed: bool, request: Request) -> np.ndarray | None:
    """What lies beside the points; an empty array for what is no array where they may do without."""
    given = next((value[name] for name in _SCORE_KEYS if name in value), None)
    if given is None or isinstance(given, np.ndarray):
        return given
    try:
        return request.budget.numbers(given)
    except (TypeError, ValueError):
        if needed:
            raise
        return np.empty(0)


def _size(value: Mapping[str, Any], request: Request) -> tuple[int, int] | None:
    width, height = (_single(value, side, request) for side in ("width", "height"))
    if width is None or height is None:
        return None
    if not all(side.is_integer() and side > 0 for side in (width, height)):
        raise request.error(f"frame size {width}x{height}", "give whole pixels above 0")
    return int(width), int(height)


def _single(value: Mapping[str, Any], key: str, request: Request) -> float | None:
    if key not in value:
        return None
    try:
        number = float(request.budget.numbers(value[key]).reshape(()))
    except (TypeError, ValueError):
        raise request.error(f"{key} that is not one number", f"give one {key} for the clip") from None
    if not np.isfinite(number):
        raise request.error(f"{key} {number}", f"give a finite {key}")
    return number


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """What `numpy.savez_compressed` writes."""
    values = {"width": keypoints.width, "height": keypoints.height, "fps": keypoints.fps, "name": keypoints.name}
    with SpooledTemporaryFile(_IN_MEMORY) as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("keypoints.npy", "w", force_zip64=True) as member:
                for piece in write_array(keypoints):
                    member.write(piece)
            for key, value in values.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
        packed.seek(0)
        while piece := packed.read(1 << 20):
            yield piece


FORMAT = Format(
    name="npz",
    label="npz",
    origin="this program, or any arrays named `keypoints`, `width`, `height`, `fps`, `name`",
    content="zip of arrays",
    kinds=("table", "object"),
    recognises=_recognises,
    read=read_table,
    write=_write,
    suffix=".npz",
    size=True,
    fps=True,
    clip_name="any",
)
