"""The noise of a frame depends on (seed, frame index) alone, so windows, batches, shards and resumed runs agree."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

_WORD = 2**64 - 1
_INITIAL, _SHARED = 0, 1 << 63  # counters of the first draw of a frame, and of what all frames of a seed share


def frame_noise(
    seed: int,
    frames: Iterable[int],
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    shared: float = 0.0,
) -> Tensor:
    """Initial noise of some frames, standard normal.

    Args:
        seed: of the run.
        frames: V frame indices of the clip; any integers.
        shape: (C, h, w) of one frame.
        dtype, device: of the result; the draw itself is always the same float32 numbers.
        shared: share in [0, 1] of the variance that all frames have in common (less flicker, less variety).

    Returns:
        (V, C, h, w).
    """
    own = _draws(seed, frames, shape, _INITIAL)  # (V, C, h, w)
    if shared:
        common = _draws(seed, [0], shape, _SHARED)  # (1, C, h, w)
        own = (1.0 - shared) ** 0.5 * own + shared**0.5 * common  # (V, C, h, w)
    return own.to(device=device, dtype=dtype)


def step_noise(
    seed: int,
    frames: Iterable[int],
    step: int,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Noise that an ancestral sampler adds in its ``step`` (0, 1, ...), (V, C, h, w); keyed by (seed, frame, step)."""
    return _draws(seed, frames, shape, step + 1).to(device=device, dtype=dtype)


def _draws(seed: int, frames: Iterable[int], shape: tuple[int, ...], stream: int) -> Tensor:
    """(V, *shape) float32; Philox is counter-based: key (seed, frame), counter's high word = stream."""
    rows = [
        np.random.Generator(np.random.Philox(key=_words(seed, frame), counter=_words(0, 0, 0, stream))).standard_normal(
            shape, dtype=np.float32
        )
        for frame in (int(frame) for frame in frames)
    ]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, *shape)


def _words(*numbers: int) -> np.ndarray:
    """Integers of any sign as uint64; numpy by itself would take large ones for floats and lose digits."""
    return np.array([number & _WORD for number in numbers], dtype=np.uint64)
