"""`signgen prepare`'s encoders: latents of every frame and tokens of source frames, shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.data.cache import FrameCache
from signgen.data.files import NpyWriter, whole_file
from signgen.data.opening import is_whole, open_array
from signgen.data.prefetch import Prefetch
from signgen.data.prepared import Index, shard_file
from signgen.data.shards import Part, left_to_do, write_shard
from signgen.errors import InputError
from signgen.models.autoencoder import FrameAutoencoder
from signgen.models.canvas import fit_frames
from signgen.models.semantic import semantic_tokens
from signgen.training.latents import encode, latents_name
from signgen.training.tokens import SOURCES, shard_starts, token_folder, token_key

BATCH = 32  # frames that an encoder sees at once


@dataclass(frozen=True)
class Encoders:
    """What encodes, and at which size.

    Attributes:
        vae, image_encoder: None where no latents or no tokens are wanted; both on ``device``.
        image_size: side of the square that the image encoder reads.
        canvas: (W, H) as `TrainConfig` has it, or None.
    """

    device: torch.device
    vae: FrameAutoencoder | AutoencoderKL | None = None
    image_encoder: nn.Module | None = None
    image_size: int = 518
    canvas: tuple[int, int] | None = None
    _names: dict[tuple[str, tuple[int, int]], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def on_canvas(self, frames: np.ndarray) -> Tensor:
        """uint8 (n, H, W, 3) -> (n, 3, H', W') in [-1, 1] on the device, as training has them."""
        images = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        return fit_frames(images, self.canvas).contiguous(memory_format=torch.channels_last)

    def latents(self, frames: np.ndarray) -> np.ndarray:
        """uint8 (n, H, W, 3) -> float16 (n, C, h, w)."""
        assert self.vae is not None
        return encode(self.vae, self.on_canvas(frames))

    @torch.inference_mode()
    def tokens(self, frames: np.ndarray) -> np.ndarray:
        """uint8 (n, H, W, 3) -> float16 (n, L, D)."""
        assert self.image_encoder is not None
        found = semantic_tokens(self.image_encoder, self.on_canvas(frames), self.image_size)
        return found.float().cpu().numpy().astype(np.float16)

    def latents_folder(self, place: Path, size: tuple[int, int]) -> Path:
        """Where latents of frames of ``size`` lie in a split folder."""
        assert self.vae is not None
        if ("latents", size) not in self._names:  # the weights are hashed once
            self._names["latents", size] = latents_name(self.vae, self.canvas, size)
        return place / self._names["latents", size]

    def tokens_folder(self, place: Path, size: tuple[int, int]) -> Path:
        """Where tokens lie in a split folder."""
        assert self.image_encoder is not None
        if ("tokens", size) not in self._names:
            self._names["tokens", size] = token_key(self.image_encoder, self.image_size, self.canvas, size)
        return token_folder(place, self._names["tokens", size])


def write_latents(
    folder: Path,
    index: Index,
    cache: FrameCache,
    encoders: Encoders,
    part: Part,
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """This part's shards of latents; ``advance`` is told the frames of each."""
    for number in left_to_do(folder, index, part):
        start, stop = index.shards[number : number + 2]
        _write(shard_file(folder, number), np.arange(start, stop), cache, encoders.latents)
        advance(stop - start)


def sources_of(cache: FrameCache) -> np.ndarray:
    """Frames that are sources, ascending: those of the triplets or pairs, else the first one of each clip."""
    return np.unique(cache.bounds[:, 0] if cache.triplets is None else cache.triplets[:, 0])


def write_tokens(
    folder: Path,
    cache: FrameCache,
    encoders: Encoders,
    part: Part,
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """This part's shards of tokens of the source frames; ``advance`` is told of each."""
    sources = sources_of(cache)
    _claim(folder / SOURCES, sources)
    starts = shard_starts(len(sources))
    for number in tokens_left(folder, len(sources), part):
        frames = sources[starts[number] : starts[number + 1]]
        _write(shard_file(folder, number), frames, cache, encoders.tokens)
        advance(1)


def _claim(path: Path, sources: np.ndarray) -> None:
    """Writes which frames the tokens are of; InputError if they are of others."""
    if path.is_file():
        if not np.array_equal(open_array(path, advice="delete it and prepare again"), sources):
            raise InputError(path.parent, "holds tokens of other source frames", "delete it, or name another folder")
        return
    with whole_file(path) as temporary, NpyWriter(temporary, (), np.int64) as file:
        file.append(sources)


def tokens_left(folder: Path, sources: int, part: Part) -> list[int]:
    """Numbers of this part's shards of tokens that are not there yet."""
    rows = [stop - start for start, stop in pairwise(shard_starts(sources))]
    return [n for n in range(part.number - 1, len(rows), part.count) if not is_whole(shard_file(folder, n), rows[n])]


def _write(path: Path, frames: np.ndarray, cache: FrameCache, encoder: Callable[[np.ndarray], np.ndarray]) -> None:
    """A shard; the next frames are read while the encoder works."""
    starts = range(0, len(frames), BATCH)
    with Prefetch(lambda start: cache.frames[frames[start : start + BATCH]], starts) as batches:
        write_shard(path, (encoder(batch) for batch in batches))
