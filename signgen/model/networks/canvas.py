"""The canvas: a frame scaled where a model works at another size, and padded so that its sides divide by 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional

from signgen.errors import BadValue

MULTIPLE = 8  # pixels of one latent cell
SMALLEST, LARGEST = 16, 4096  # side of a canvas in pixels


class CanvasFit(NamedTuple):
    """How a frame lies on its canvas.

    Attributes:
        inner: (W, H) of the scaled frame; the same scale across and down, so that nothing is squashed.
        padding: pixels (left, right, top, bottom) that are added around it; an odd one goes right or to the bottom.
    """

    inner: tuple[int, int]
    padding: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) of the canvas."""
        left, right, top, bottom = self.padding
        return self.inner[0] + left + right, self.inner[1] + top + bottom


def fit_canvas(width: int, height: int, canvas: Sequence[int] | None = None) -> CanvasFit:
    """Scales a frame to be as large as ``canvas`` (W, H) allows, in its middle; None: padded to multiples of 8 only.

    210x260 on 416x512 -> inner 414x512, padding (1, 1, 0, 0). On None -> inner 210x260, padding (3, 3, 2, 2).

    Raises:
        InputError: the canvas is not two multiples of 8 from 16 to 4096.
    """
    inner = width, height
    if canvas is None:
        extra_x, extra_y = -width % MULTIPLE, -height % MULTIPLE
    else:
        if len(canvas) != 2 or not all(SMALLEST <= side <= LARGEST and side % MULTIPLE == 0 for side in canvas):
            allowed = f"give width and height, multiples of {MULTIPLE} from {SMALLEST} to {LARGEST}"
            raise BadValue("canvas", f"got {list(canvas)}", allowed)
        scale = min(canvas[0] / width, canvas[1] / height)
        inner = round(width * scale), round(height * scale)
        extra_x, extra_y = canvas[0] - inner[0], canvas[1] - inner[1]
    return CanvasFit(inner, (extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2))


def canvas_name(width: int, height: int, canvas: Sequence[int] | None = None) -> str:
    """A name for the canvas of cached pictures: "" where frames are only padded, else WxH.

    210x260 on 416x512 -> "416x512"; on 216x264 -> "216x264", for frames are scaled to it; on None -> "".
    """
    fit = fit_canvas(width, height, canvas)
    only_padded = fit.inner == (width, height) and fit.size == fit_canvas(width, height).size
    return "" if only_padded else f"{fit.size[0]}x{fit.size[1]}"


def fit_frames(frames: Tensor, canvas: Sequence[int] | None = None) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> (N, C, H', W') as `fit_canvas` says: bicubic, edges repeated like a studio's backdrop.

    Without a canvas frames are only padded, so their values may have any range.
    """
    height, width = frames.shape[-2:]
    inner, padding = fit_canvas(width, height, canvas)
    if inner != (width, height):
        frames = functional.interpolate(frames, inner[::-1], mode="bicubic", antialias=True).clamp(-1, 1)
    return functional.pad(frames, padding, mode="replicate")  # (N, C, H', W')


def from_canvas(frames: Tensor, width: int, height: int) -> Tensor:
    """(N, C, H', W') -> (N, C, height, width), undoing `fit_frames` without a canvas."""
    left, _, top, _ = fit_canvas(width, height).padding
    return frames[..., top : top + height, left : left + width]


def fit_points(points: np.ndarray, width: int, height: int, canvas: Sequence[int] | None = None) -> np.ndarray:
    """Points (..., 2 or more: x, y and what else) of a frame of ``width`` x ``height``, moved to its canvas; a copy.

    Coordinate 0 is the centre of the first pixel, before and after.
    """
    inner, (left, _, top, _) = fit_canvas(width, height, canvas)
    moved = points.copy()
    if inner != (width, height):
        scale = np.array([inner[0] / width, inner[1] / height], points.dtype)
        moved[..., :2] = (moved[..., :2] + 0.5) * scale - 0.5
    moved[..., :2] += np.array([left, top], points.dtype)
    return moved
