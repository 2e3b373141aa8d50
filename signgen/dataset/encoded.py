"""What frozen encoders make of frames before training: latents of all frames, tokens of source frames.

Both lie beside a frame cache, in places whose names change with the weights and with how frames lie on the canvas.
Otherwise an encoder would run again for each use of a frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.dataset.batches import made_ahead
from signgen.dataset.cache import FrameCache
from signgen.dataset.files import open_array, write_npy
from signgen.dataset.prepared import INDEX, Index
from signgen.dataset.shards import Shards, StoredArray
from signgen.errors import Mismatch
from signgen.model.loading import choose_dtype
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.canvas import canvas_name, fit_frames
from signgen.model.networks.fusion import semantic_tokens
from signgen.model.networks.weight_files import add_weights
from signgen.video.tensors import to_signed

BATCH = 32  # frames that an encoder sees at once
SHARD_SOURCES = 64  # source frames of a shard of tokens; 2.7 MB a frame with DINOv2-L at 512
SOURCES = "frames.npy"  # beside tokens: which frames they are of
DECODING = ("decoder.", "post_quant_conv.")  # parts of an autoencoder that latents do not depend on
Vae: TypeAlias = FrameAutoencoder | AutoencoderKL


def weights_key(module: nn.Module) -> str:
    """Twelve hexadecimal digits that change with the weights that make latents or tokens.

    Of the numbers themselves, without a decoder: the same for a folder and the hub, before and after a decoder is
    trained again. A pipeline's `weights_sha256` is of all files as they are, which says who made a video, and not this.
    """
    digest = hashlib.sha256()
    add_weights(digest, module, left_out=DECODING)
    return digest.hexdigest()[:12]


def latents_name(vae: nn.Module, canvas: Sequence[int] | None, size: tuple[int, int]) -> str:
    """What latents of these weights are called, of frames of ``size`` on the ``canvas`` of a configuration."""
    return "-".join(filter(None, ("latents", weights_key(vae), canvas_name(*size, canvas))))


def tokens_name(encoder: nn.Module, side: int, canvas: Sequence[int] | None, size: tuple[int, int]) -> str:
    """What tokens of these weights are called, of frames of ``size`` on the ``canvas`` and in a square of ``side``."""
    return "-".join(filter(None, ("tokens", weights_key(encoder), str(side), canvas_name(*size, canvas))))


@torch.inference_mode()
def encode(vae: Vae, frames: Tensor) -> np.ndarray:
    """Frames on the canvas (n, 3, H, W) in [-1, 1] -> float16 latents (n, C, h, w), scaled for the denoiser."""
    dtype = choose_dtype("auto", frames.device)  # bfloat16 is four times as slow where a CPU has no units for it
    with torch.autocast(frames.device.type, dtype, enabled=dtype != torch.float32):
        latents = vae.encode(frames).latent_dist.mode() * vae.config.scaling_factor
    return latents.float().cpu().numpy().astype(np.float16)


@dataclass(frozen=True)
class Encoders:
    """What encodes, and at which size.

    Attributes:
        vae, image_encoder: None where no latents or no tokens are wanted; both on ``device``.
        image_size: side of the square that the image encoder reads.
        canvas: (W, H) as `TrainConfig` has it, or None.
    """

    device: torch.device
    vae: Vae | None = None
    image_encoder: nn.Module | None = None
    image_size: int = 518
    canvas: tuple[int, int] | None = None

    def on_canvas(self, frames: np.ndarray) -> Tensor:
        """uint8 (n, H, W, 3) -> (n, 3, H', W') in [-1, 1] on the device, as training has them."""
        images = fit_frames(to_signed(frames, self.device), self.canvas)
        return images.contiguous(memory_format=torch.channels_last)

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


def write_encoded(
    shards: Shards,
    frames: np.ndarray,
    cache: FrameCache,
    encoder: Callable[[np.ndarray], np.ndarray],
    share: tuple[int, int] = (1, 1),
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """This share's shards of what ``encoder`` makes of the ``frames`` (n,) of the cache, a row each.

    The next frames are read while the encoder works; ``advance`` is called with the rows of each shard.
    """
    for number in shards.left(share):
        start, stop = shards.span(number)
        read = lambda at, stop=stop: cache.frames[frames[at : min(at + BATCH, stop)]]  # noqa: E731
        with made_ahead(read, range(start, stop, BATCH)) as batches:
            shards.write(number, map(encoder, batches))
        advance(stop - start)


# -- latents ---------------------------------------------------------------------------------------------------------


def latent_store(
    cache: FrameCache,
    images: Callable[[np.ndarray], Tensor],
    vae: Vae,
    folder: Path,
    canvas: Sequence[int] | None = None,
    tell: Callable[[], None] = lambda: None,
) -> StoredArray:
    """float16 (N, C, h, w), memory-mapped: what `signgen prepare` made, else computed on first use and kept.

    Args:
        cache, folder: the frames, and where latents of them lie.
        images: frame numbers (n,) -> (n, 3, H, W) in [-1, 1] on the ``canvas``, on the device where ``vae`` is.
        tell: called after each `BATCH` of frames.

    Raises:
        InputError: `signgen prepare` has not made all shards yet. RunError: the store cannot be written.
    """
    name = latents_name(vae, canvas, cache.size)
    if (folder / name).is_dir():
        return Shards(folder / name, Index.load(folder / INDEX).shards).opened()
    path = folder / f"{name}.npy"
    if path.is_file():
        known = open_array(path, advice="delete it: the next training writes it again")
        if len(known) == len(cache.frames):  # else the cache was built again from other clips
            return known

    def encoded() -> Iterator[np.ndarray]:
        for batch in np.split(np.arange(len(cache.frames)), [*range(BATCH, len(cache.frames), BATCH)]):
            yield encode(vae, images(batch))
            tell()

    write_npy(path, encoded())
    return np.load(path, mmap_mode="r")


# -- tokens ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenStore:
    """Tokens of the frames that are sources.

    Attributes:
        frames: (n,) their numbers in the cache, ascending; rows: float16 (n, L, D).
    """

    frames: np.ndarray
    rows: Shards

    def take(self, frames: np.ndarray) -> np.ndarray | None:
        """(B,) frames of the cache -> float16 (B, L, D), or None where one of them has no tokens."""
        places = np.searchsorted(self.frames, frames)
        known = places < len(self.frames)
        if not known.all() or not np.array_equal(self.frames[places], frames):
            return None
        return self.rows[places]


def sources_of(cache: FrameCache) -> np.ndarray:
    """Frames that are sources, ascending: those of the triplets or pairs, else the first one of each clip."""
    return np.unique(cache.bounds[:, 0] if cache.triplets is None else cache.triplets[:, 0])


def token_shards(folder: Path, sources: np.ndarray) -> Shards:
    """The shards of the tokens of these source frames.

    Raises:
        Mismatch: ``folder`` holds tokens of other frames.
    """
    path = folder / SOURCES
    if not path.is_file():
        write_npy(path, iter([sources.astype(np.int64)]))
    elif not np.array_equal(open_array(path, advice="delete it and prepare again"), sources):
        raise Mismatch(folder, "holds tokens of other source frames", "delete it, or name another folder")
    return Shards(folder, _starts(len(sources)))


def token_store(cache: FrameCache, folder: Path) -> TokenStore | None:
    """The tokens that `signgen prepare` wrote into ``folder`` (see `tokens_name`), or None where there are none.

    Raises:
        InputError: its preparation did not end.
    """
    if not (folder / SOURCES).is_file():
        return None
    frames = np.array(open_array(folder / SOURCES))
    if len(frames) and frames[-1] >= len(cache.frames):
        raise Mismatch(folder, "belongs to other clips", "delete it and prepare again")
    return TokenStore(frames, Shards(folder, _starts(len(frames))).opened())


def _starts(count: int) -> list[int]:
    """First source of each shard, and ``count``."""
    return [*range(0, count, SHARD_SOURCES), count]
