"""The canvas: a frame padded so that every side divides by the model's spatial factor, and cut back afterwards."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def canvas_padding(width: int, height: int, multiple: int = 8) -> tuple[int, int, int, int]:
    """Pixels to add (left, right, top, bottom); an odd pixel goes right or to the bottom. 210x260 -> (3, 3, 2, 2)."""
    extra_x, extra_y = -width % multiple, -height % multiple
    return extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2


def to_canvas(frames: Tensor, multiple: int = 8) -> Tensor:
    """(N, C, H, W) -> (N, C, H', W') by repeating the edges, which a studio backdrop continues anyway."""
    return F.pad(frames, canvas_padding(frames.shape[-1], frames.shape[-2], multiple), mode="replicate")


def from_canvas(frames: Tensor, width: int, height: int, multiple: int = 8) -> Tensor:
    """(N, C, H', W') -> (N, C, height, width), undoing `to_canvas`."""
    left, _, top, _ = canvas_padding(width, height, multiple)
    return frames[..., top : top + height, left : left + width]
