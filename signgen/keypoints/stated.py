"""Frame size and rate that a file states, whatever the keys are called below which they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from signgen.keypoints.clip import FASTEST, LARGEST_SIDE, SLOWEST
from signgen.keypoints.raw import Folder, RawClip

_OF = ("canvas_", "frame_", "image_", "img_", "video_", "original_", "orig_")
_SIDES = [("width", "height"), *((of + "width", of + "height") for of in _OF), *((of + "w", of + "h") for of in _OF)]
_WIDTH_FIRST = ("size", *(of + "size" for of in _OF), "resolution", "img_wh", "image_wh", "dimensions")
_HEIGHT_FIRST = (*(of + "shape" for of in _OF), "draw_pose_params", "img_hw", "image_hw")
_RATES = ("fps", "frame_rate", "framerate", "video_fps", "frames_per_second")
_ABOUT = (
    "metadata", "meta", "meta_info", "metainfo", "info", "header", "video", "video_info", "video_metadata", "image",
    "image_info", "canvas", "frame_info", "properties",
)  # fmt: skip
_FRAMES = ("frames", "predictions", "instance_info", "data")
_FIRST = 8  # frames that are asked


def complete_from_content(clip: RawClip, value: Any) -> RawClip:
    """Adds size and rate that content of a file states and its reader has not found."""
    if clip.size is not None and clip.fps is not None:
        return clip
    places = list(_places(value))
    sizes = list(dict.fromkeys(size for place in places if (size := stated_size(place))))
    if clip.size is None and sizes:
        clip.size = sizes[0]
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sizes[:3])
            clip.warnings.append(f"states several frame sizes ({listed}); the first is taken (--frame-size)")
    clip.fps = clip.fps or next((rate for place in places if (rate := stated_rate(place))), None)
    return clip


def stated_size(place: Mapping[Any, Any]) -> tuple[int, int] | None:
    """(width, height) in pixels that a mapping states; of a box, which has x and y beside them, none.

    Example:
        >>> stated_size({"Canvas_Width": 640, "canvas_height": 480}), stated_size({"draw_pose_params": [480, 640, 0]})
        ((640, 480), (640, 480))
    """
    get = _getter(place)
    if get("x") is not None and get("y") is not None:
        return None
    return next((size for size in map(_size_of, _candidates(get)) if size), None)


def _candidates(get: Callable[[str], Any]) -> Iterator[Any]:
    """What could be (width, height)."""
    yield from ((get(width), get(height)) for width, height in _SIDES)
    yield from map(get, _WIDTH_FIRST)
    for key in _HEIGHT_FIRST:
        height, width, *more = _listed(get(key)) or (None, None)
        if len(more) < 2 or key == "draw_pose_params":
            yield width, height


def stated_rate(place: Mapping[Any, Any]) -> float | None:
    """Frames per second that a mapping states."""
    rates = map(_number, map(_getter(place), _RATES))
    return next((rate for rate in rates if rate is not None and SLOWEST <= rate <= FASTEST), None)


def _places(value: Any) -> Iterator[Mapping[Any, Any]]:
    """Mappings that may speak about the whole clip: the content itself, its first frames, and what is about them."""
    if isinstance(value, Folder):
        value = [value.first]
    if isinstance(value, Mapping):
        yield from _with_about(value)
        value = next((value[key] for key in _FRAMES if key in value), ())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for _, frame in zip(range(_FIRST), value, strict=False):
            if isinstance(frame, Mapping):
                yield from _with_about(frame)


def _with_about(value: Mapping[Any, Any]) -> Iterator[Mapping[Any, Any]]:
    yield value
    get = _getter(value)
    yield from (about for about in map(get, _ABOUT) if isinstance(about, Mapping))


def _getter(place: Mapping[Any, Any]) -> Callable[[str], Any]:
    """Looks keys up whatever their case; only what is asked for is read, for it may be an array in an archive."""
    keys = {key.lower().replace("-", "_").replace(" ", "_"): key for key in place if isinstance(key, str)}
    return lambda name: place[keys[name]] if name in keys else None


def _listed(value: Any) -> list[Any] | None:
    """A short list, or such an array; None for anything else and for less than two."""
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.size < 16 else ()
    return list(value) if isinstance(value, (list, tuple)) and 2 <= len(value) < 16 else None


def _size_of(value: Any) -> tuple[int, int] | None:
    """Two sides in pixels, from a pair, a text such as 640x480, or a mapping with width and height."""
    if isinstance(value, Mapping):
        return stated_size({key: value[key] for key in value if not isinstance(value[key], Mapping)})
    if isinstance(value, str):
        value = value.lower().replace("×", "x").split("x") if len(value) < 20 else ()
    sides = [side for side in map(_number, (_listed(value) or ())[:2]) if side is not None]
    if len(sides) != 2 or not all(side.is_integer() and 2 <= side <= LARGEST_SIDE for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _number(value: Any) -> float | None:
    """A number, also one in an array of its own or written as text."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, str, np.number)):
        return None
    try:
        number = float(value[:20] if isinstance(value, str) else value)
    except (ValueError, OverflowError, TypeError):
        return None
    return number if np.isfinite(number) else None
