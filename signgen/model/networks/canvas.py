"""The canvas: a frame scaled where a model works at another size, and padded so that its sides divide by 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from signgen.errors import InputError

MULTIPLE = 8  # pixels of one latent cell
SMALLEST, LARGEST = 16, 4096  # side of a canvas in pixels


class CanvasFit(NamedTuple):
    """How a frame lies on its canvas.

    Attributes:
        scale: canvas pixels of a frame's pixel, the same across and down: nothing is squashed.
        padding: pixels (left, right, top, bottom) that are added after scaling.
    """

    scale: float
    padding: tuple[int, int, int, int]


def fit_canvas(width: int, height: int, canvas: Sequence[int] | None = None) -> CanvasFit:
    """Scales a frame to be as large as ``canvas`` (W, H) allows, in its middle; None: padded only.

    210x260 on 416x512 -> 1.969, (1, 1, 0, 0): 414x512 and a column on each side. On None -> 1.0, (3, 3, 2, 2).

    Raises:
        InputError: the canvas is not two multiples of 8 from 16 to 4096.
    """
    if canvas is None:
        return CanvasFit(1.0, canvas_padding(width, height))
    _check(canvas)
    scale = min(canvas[0] / width, canvas[1] / height)
    inner = round(width * scale), round(height * scale)
    extra_x, extra_y = canvas[0] - inner[0], canvas[1] - inner[1]
    return CanvasFit(scale, (extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2))


def fitted_size(width: int, height: int, canvas: Sequence[int] | None = None) -> tuple[int, int]:
    """(W, H) of the scaled frame without its padding: 210x260 on 416x512 -> 414x512."""
    if canvas is None:
        return width, height
    left, right, top, bottom = fit_canvas(width, height, canvas).padding
    return canvas[0] - left - right, canvas[1] - top - bottom


def canvas_size(width: int, height: int, canvas: Sequence[int] | None = None) -> tuple[int, int]:
    """(W, H) of the canvas itself: ``canvas``, or the frame padded. 210x260 on None -> 216x264."""
    left, right, top, bottom = fit_canvas(width, height, canvas).padding
    inner = fitted_size(width, height, canvas)
    return inner[0] + left + right, inner[1] + top + bottom


def canvas_name(width: int, height: int, canvas: Sequence[int] | None = None) -> str:
    """What tells pictures of frames on one canvas from those on another: "" where frames are only padded, else WxH.

    210x260 on 416x512 -> "416x512"; on 216x264 -> "216x264", for frames are scaled to it; on None -> "".
    """
    inner, size = fitted_size(width, height, canvas), canvas_size(width, height, canvas)
    only_padded = inner == (width, height) and size == canvas_size(width, height)
    return "" if only_padded else f"{size[0]}x{size[1]}"


def fit_frames(frames: Tensor, canvas: Sequence[int] | None = None) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> (N, C, H', W') as `fit_canvas` says; bicubic, edges repeated."""
    height, width = frames.shape[-2:]
    inner = fitted_size(width, height, canvas)
    if inner != (width, height):
        frames = F.interpolate(frames, inner[::-1], mode="bicubic", antialias=True).clamp(-1, 1)
    return F.pad(frames, fit_canvas(width, height, canvas).padding, mode="replicate")


def fit_points(points: np.ndarray, width: int, height: int, canvas: Sequence[int] | None = None) -> np.ndarray:
    """Points (..., 2 or more: x, y and what else) of a frame of ``width`` x ``height``, moved to its canvas; a copy.

    Coordinate 0 is the centre of the first pixel, before and after.
    """
    left, _, top, _ = fit_canvas(width, height, canvas).padding
    inner = fitted_size(width, height, canvas)
    moved = points.copy()
    if inner != (width, height):
        scale = np.array([inner[0] / width, inner[1] / height], points.dtype)
        moved[..., :2] = (moved[..., :2] + 0.5) * scale - 0.5
    moved[..., :2] += np.array([left, top], points.dtype)
    return moved


def _check(canvas: Sequence[int]) -> None:
    whole = len(canvas) == 2 and all(SMALLEST <= side <= LARGEST and side % MULTIPLE == 0 for side in canvas)
    if not whole:
        allowed = f"give width and height, multiples of {MULTIPLE} from {SMALLEST} to {LARGEST}"
        raise InputError("canvas", f"got {list(canvas)}", allowed)


def canvas_padding(width: int, height: int, multiple: int = MULTIPLE) -> tuple[int, int, int, int]:
    """Pixels to add (left, right, top, bottom); an odd pixel goes right or to the bottom. 210x260 -> (3, 3, 2, 2)."""
    extra_x, extra_y = -width % multiple, -height % multiple
    return extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2


def to_canvas(frames: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """(N, C, H, W) -> (N, C, H', W') by repeating the edges, which a studio backdrop continues anyway."""
    return F.pad(frames, canvas_padding(frames.shape[-1], frames.shape[-2], multiple), mode="replicate")


def from_canvas(frames: Tensor, width: int, height: int, multiple: int = MULTIPLE) -> Tensor:
    """(N, C, H', W') -> (N, C, height, width), undoing `to_canvas`."""
    left, _, top, _ = canvas_padding(width, height, multiple)
    return frames[..., top : top + height, left : left + width]
