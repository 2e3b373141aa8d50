"""The guide: what the denoiser sees behind the pose image, in as many more channels.

Solid hands (`signgen.pose_image.solid`) say what a skeleton's lines leave open, and the source's own head and trunk are
there where the pose has them, so that the network need not carry them over from another place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from signgen.model.regions import SourceRegions, each_source, nearest_heads
from signgen.video.tensors import channels_first, channels_last

POSE = 3  # channels of a pose image, which come first
SOLID = 6
CHANNELS = SOLID + 4  # colours, and how far they are known
NOTHING = 128  # the byte for 0 in all of them
BODY = slice(POSE + SOLID, POSE + CHANNELS)  # the source moved to the pose, behind a pose image


def draw_guides(
    points: np.ndarray,
    solid: np.ndarray | None,
    sources: Sequence[SourceRegions],
    size: tuple[int, int],
    padding: Sequence[int],
) -> np.ndarray:
    """Guides of N frames on the model's canvas.

    Args:
        points: (N, 133, 3), x and y in pixels of the frame, and confidence.
        solid: uint8 (N, H, W, 6) of the frame, `SolidHands.pictures`; None: no hands.
        sources: the source pictures; none: where their person stands is not known. Each frame sees the one whose head
            is turned as its own.
        size: (W, H) of the frame. padding: pixels that the canvas has more: left, right, top, bottom.

    Returns:
        uint8 (N, H', W', `CHANNELS`), 128 for nothing.
    """
    left, right, top, bottom = padding
    width, height = size
    guides = np.full((len(points), height + top + bottom, width + left + right, CHANNELS), NOTHING, np.uint8)
    if solid is not None:
        guides[:, top : top + height, left : left + width, :SOLID] = solid
    for source, which in each_source(nearest_heads(points, sources), sources):
        cells = _bytes(source.body(points[which], (-left, -top), guides.shape[2:0:-1]))
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            guides[which, row::2, column::2, SOLID:] = cells
    return guides


def with_arms(
    body: np.ndarray, points: np.ndarray, sources: Sequence[SourceRegions], padding: Sequence[int]
) -> np.ndarray:
    """The source's head and trunk in N poses with its arms before them, see `SourceRegions.with_arms`.

    Args:
        body: uint8 (N, H' / 2, W' / 2, 4), as guides have it. points, sources, padding: see `draw_guides`.
    """
    left, _, top, _ = padding
    dressed = body.copy()
    for source, which in each_source(nearest_heads(points, sources), sources):
        shown = channels_first(body[which], source.pictures.device).float().sub(NOTHING).div(127)
        dressed[which] = _bytes(source.with_arms(shown, points[which], (-left, -top)))
    return dressed


def _bytes(cells: Tensor) -> np.ndarray:
    """(N, 4, h, w) in [-1, 1] -> uint8 (N, h, w, 4), `NOTHING` for 0."""
    return channels_last(cells).mul(127).add(NOTHING).round().to(torch.uint8).cpu().numpy()
