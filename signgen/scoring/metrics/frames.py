"""What every metric accepts as frames, and the arrays it turns them into."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.errors import BadValue, Mismatch
from signgen.keypoints.clip import window_corners


def as_array(frames: Any, name: str) -> np.ndarray:
    """Frames as they are, checked.

    Args:
        frames: (N,H,W,3) RGB, numpy or torch, uint8 in 0..255 or float in [0, 1].
        name: what to call them in an error.

    Raises:
        InputError: another shape or dtype, or floats that are not finite or not in [0, 1].
    """
    array = frames.detach().cpu().numpy() if hasattr(frames, "detach") else np.asarray(frames)
    if array.ndim != 4 or array.shape[-1] != 3:
        raise BadValue(name, f"shape {array.shape}", "frames are (N,H,W,3) RGB")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise BadValue(name, f"dtype {array.dtype}", "frames are uint8, or float in [0, 1]")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        span = f"values {array.min():g} to {array.max():g}"
        raise BadValue(name, span, "float frames lie in [0, 1]: clip them")
    return array


def as_unit(frames: Any, name: str) -> np.ndarray:
    """Frames as float64 in [0, 1]; arguments and errors as `as_array`."""
    array = as_array(frames, name)
    return array / 255.0 if array.dtype == np.uint8 else array.astype(np.float64)


def as_bytes(frames: Any, name: str) -> np.ndarray:
    """Frames as uint8, floats rounded to the nearest level; arguments and errors as `as_array`."""
    array = as_array(frames, name)
    return array if array.dtype == np.uint8 else np.rint(255.0 * array).astype(np.uint8)


def paired_arrays(pred: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true frames as they are, checked and of the same shape."""
    return _same_shape(as_array(pred, "generated frames"), as_array(target, "true frames"))


def _same_shape(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.shape != second.shape:
        raise Mismatch("generated frames", f"shape {first.shape}", f"the true frames have {second.shape}")
    return first, second


def paired(pred: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true frames, both (N,H,W,3) float64 in [0, 1] and of the same shape."""
    return _same_shape(as_unit(pred, "generated frames"), as_unit(target, "true frames"))


def paired_bytes(pred: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true frames, both (N,H,W,3) uint8 and of the same shape."""
    return _same_shape(as_bytes(pred, "generated frames"), as_bytes(target, "true frames"))


def paired_levels(pred: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true frames on the 0..255 scale, of the same shape: uint8 where both are, else float64."""
    first, second = paired_arrays(pred, target)
    if first.dtype == np.uint8 and second.dtype == np.uint8:
        return np.ascontiguousarray(first), np.ascontiguousarray(second)
    return _as_levels(first), _as_levels(second)


def _as_levels(frames: np.ndarray) -> np.ndarray:
    scale = 1.0 if frames.dtype == np.uint8 else 255.0
    return np.multiply(frames, scale, dtype=np.float64, order="C")


def check_keypoints(xy: Any, confidence: Any, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints as float64 (N,133,2) in pixels and (N,133), of as many frames as there are."""
    points, scores = np.asarray(xy, np.float64), np.asarray(confidence, np.float64)
    if points.shape != (frames, 133, 2) or scores.shape != (frames, 133):
        got, need = f"shapes {points.shape} and {scores.shape}", f"({frames},133,2) and ({frames},133)"
        raise Mismatch("keypoints", got, f"for these frames xy and confidence are {need}")
    if not (np.isfinite(points).all() and np.isfinite(scores).all()):
        raise BadValue("keypoints", "values that are not finite", "clean them first: Keypoints.clean")
    return points, scores


def crop(image: np.ndarray, centre: Any, size: tuple[int, int]) -> np.ndarray:
    """The window of (width, height) about a point (x, y) in pixels of an image (H,W,C), moved to stay inside.

    Raises:
        InputError: a frame smaller than the window.
    """
    height, width = image.shape[:2]
    if width < size[0] or height < size[1]:
        raise BadValue("frames", f"{width}x{height}", f"a crop needs at least {size[0]}x{size[1]} pixels")
    left, top = window_corners(np.asarray(centre), size, (width, height))
    return image[top : top + size[1], left : left + size[0]]
