"""Tokens of source frames that an image encoder has made before training; 2.7 MB a frame with DINOv2-L at 512."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from signgen.data.cache import FrameCache
from signgen.data.opening import open_array
from signgen.data.prepared import AGAIN
from signgen.data.rows import ShardedRows
from signgen.errors import InputError
from signgen.models.canvas import canvas_name
from signgen.training.latents import weights_key

SHARD_SOURCES = 64  # source frames of a shard
SOURCES = "frames.npy"


def token_key(encoder: nn.Module, side: int, canvas: Sequence[int] | None, size: tuple[int, int]) -> str:
    """What tokens depend on: the encoder's weights, the ``side`` of its square, how frames of ``size`` lie on the
    ``canvas`` of a configuration."""
    return "-".join(filter(None, (weights_key(encoder), str(side), canvas_name(*size, canvas))))


def token_folder(folder: Path, key: str) -> Path:
    """Where the tokens of ``key`` (see `token_key`) lie in the folder of a cache."""
    return folder / f"tokens-{key}"


class TokenStore(Mapping[int, np.ndarray]):
    """Frame of the cache -> float16 (L, D), for the frames that are sources.

    Args:
        frames: (n,) their numbers, ascending; rows: float16 (n, L, D).
    """

    def __init__(self, frames: np.ndarray, rows: ShardedRows) -> None:
        self.frames, self.rows = frames, rows

    def __getitem__(self, frame: int) -> np.ndarray:
        if frame not in self:
            raise KeyError(frame)
        return self.rows[int(np.searchsorted(self.frames, frame))]

    def __contains__(self, frame: object) -> bool:
        place = np.searchsorted(self.frames, frame)  # type: ignore[call-overload]
        return bool(place < len(self.frames) and self.frames[place] == frame)

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames.tolist())

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, frames: np.ndarray) -> np.ndarray | None:
        """(B,) frames of the cache -> float16 (B, L, D), or None where one of them has no tokens."""
        places = np.searchsorted(self.frames, frames)
        known = places < len(self.frames)
        if not known.all() or not np.array_equal(self.frames[places], frames):
            return None
        return self.rows[places]


def token_store(cache: FrameCache, folder: Path, encoder_key: str) -> TokenStore | None:
    """The tokens that `signgen prepare` made with the encoder of ``encoder_key`` (see `token_key`), or None.

    Raises:
        InputError: its preparation did not end.
    """
    place = token_folder(folder, encoder_key)
    if not (place / SOURCES).is_file():
        return None
    frames = np.array(open_array(place / SOURCES))
    if len(frames) and frames[-1] >= len(cache.frames):
        raise InputError(place, "belongs to other clips", "delete it and prepare anew")
    starts = shard_starts(len(frames))
    files = [place / f"{number:05d}.npy" for number in range(len(starts) - 1)]
    absent = sum(not path.is_file() for path in files)
    if absent:
        raise InputError(place, f"lacks {absent} of {len(files)} shards", AGAIN)
    return TokenStore(frames, ShardedRows(files, starts))


def shard_starts(count: int) -> list[int]:
    """First source of each shard, and ``count``."""
    return [*range(0, count, SHARD_SOURCES), count]
