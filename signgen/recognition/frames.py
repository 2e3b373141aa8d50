"""What the recogniser sees of a video: small frames, a dozen a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from torch.nn import functional as F

from signgen.errors import InputError

RATE = 12.5  # frames a second that are looked at; a sign takes about a second
CHUNK = 32  # frames that are scaled at a time


def stride_of(fps: float) -> int:
    """Every how many frames of a video one is looked at: 2 at 25 frames a second."""
    if not 0 < fps <= 1000:
        raise InputError("frames per second", f"got {fps}", "must be above 0 and at most 1000")
    return max(1, round(fps / RATE))


def shrink(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames uint8 (N,H,W,3) scaled to (N,height,width,3) uint8, smoothed where they become smaller.

    Raises:
        InputError: no uint8 frames (N,H,W,3).
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise InputError("frames", f"shape {frames.shape}, {frames.dtype}", "frames are uint8 (N,H,W,3) RGB")
    if frames.shape[1:3] == (height, width):
        return frames
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()  # (N,3,H,W)
    small = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return small.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def small_frames(frames: Iterable[np.ndarray], fps: float, height: int, width: int, first: int = 0) -> np.ndarray:
    """The frames of a video that are looked at.

    Args:
        frames: an array (T,H,W,3), or single frames (H,W,3) one after the other, uint8.
        fps: of the video.
        height, width: of the result.
        first: number of the first frame that is looked at.

    Returns:
        uint8 (T',height,width,3). However long the video, no more than ``CHUNK`` whole frames are held.
    """
    wanted = islice(iter(frames), first, None, stride_of(fps))
    scaled = [shrink(np.stack(piece), height, width) for piece in _pieces(wanted)]
    return np.concatenate(scaled) if scaled else np.empty((0, height, width, 3), np.uint8)


def _pieces(frames: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    while piece := list(islice(frames, CHUNK)):
        yield piece
