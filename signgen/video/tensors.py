"""Frames as networks take them: uint8 arrays (N, H, W, C) to float tensors (N, C, H, W), and back."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

Frames = np.ndarray | Tensor


def channels_first(frames: Frames, device: torch.device | str | None = None) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W) of the same numbers; (H, W, C) -> (C, H, W).

    On the same device only read-only arrays are copied.

    Args:
        frames: an array or a tensor of any type.
        device: where to; None: where it is.
    """
    if isinstance(frames, Tensor):
        tensor = frames
    else:
        array = np.ascontiguousarray(frames)
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())  # torch warns of others
    return rearrange(tensor if device is None else tensor.to(device), "... h w c -> ... c h w")


def channels_last(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, W, C) of the same numbers; (C, H, W) -> (H, W, C)."""
    return rearrange(images, "... c h w -> ... h w c")


def to_unit(frames: Frames, device: torch.device | str | None = None) -> Tensor:
    """uint8 (N, H, W, C) -> float32 (N, C, H, W) in [0, 1]."""
    return channels_first(frames, device).float().div(255)


def to_signed(frames: Frames, device: torch.device | str | None = None) -> Tensor:
    """uint8 (N, H, W, C) -> float32 (N, C, H, W) in [-1, 1], the range of autoencoders."""
    return channels_first(frames, device).float().div(127.5).sub(1)


def from_signed(images: Tensor) -> Tensor:
    """Float (N, C, H, W) in about [-1, 1] -> uint8 (N, C, H, W): clipped and rounded."""
    return images.float().clamp(-1, 1).add(1).mul(127.5).round().byte()


def traced_bytes(images: Tensor) -> Tensor:
    """As `from_signed`, by sums that every engine of a traced graph has: halves go up."""
    return ((images.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8)


def to_frames(images: Tensor) -> np.ndarray:
    """uint8 (N, C, H, W) on any device -> uint8 array (N, H, W, C)."""
    return channels_last(images).cpu().numpy()
