"""Latents of all frames of a cache, encoded once: the encoder would otherwise run anew for each use of a frame."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.data.cache import FrameCache
from signgen.data.files import NpyWriter, whole_file
from signgen.data.opening import open_array
from signgen.data.prepared import INDEX, Index, shard_files
from signgen.data.rows import Rows, ShardedRows
from signgen.models.autoencoder import FrameAutoencoder
from signgen.models.canvas import canvas_name

DECODING = ("decoder.", "post_quant_conv.")  # parts of an autoencoder that latents do not depend on


def weights_key(module: nn.Module) -> str:
    """Twelve hexadecimal digits that change with the weights that make latents or tokens.

    Of the numbers themselves, without a decoder: the same for a folder and the hub, before and after a decoder is
    trained anew. A pipeline's `weights_sha256` is of all files as they are, which says who made a video, and not this.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if name.startswith(DECODING):
            continue
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def latents_name(vae: nn.Module, canvas: Sequence[int] | None, size: tuple[int, int]) -> str:
    """What latents of these weights are called, of frames of ``size`` on the ``canvas`` of a configuration."""
    return "-".join(filter(None, ("latents", weights_key(vae), canvas_name(*size, canvas))))


@torch.inference_mode()
def encode(vae: FrameAutoencoder | AutoencoderKL, frames: Tensor) -> np.ndarray:
    """Frames on the canvas (n, 3, H, W) in [-1, 1] -> float16 latents (n, C, h, w), scaled for the denoiser."""
    with torch.autocast(frames.device.type, torch.bfloat16):
        latents = vae.encode(frames).latent_dist.mode() * vae.config.scaling_factor
    return latents.float().cpu().numpy().astype(np.float16)


def latent_store(
    cache: FrameCache,
    images: Callable[[np.ndarray], Tensor],
    vae: FrameAutoencoder | AutoencoderKL,
    folder: Path,
    canvas: Sequence[int] | None = None,
    batch: int = 32,
) -> Rows:
    """float16 (N, C, h, w), memory-mapped: what `signgen prepare` made, else computed on first use and kept.

    Args:
        images: indices (n,) -> frames on the canvas (n, 3, H, W) in [-1, 1].
        folder: where the store lies, beside the frame cache.
        canvas: of the configuration, on which ``images`` are.

    Raises:
        InputError: `signgen prepare` has not made all shards yet. RunError: the store cannot be written.
    """
    name = latents_name(vae, canvas, cache.size)
    if (folder / name).is_dir():
        index = Index.load(folder / INDEX)
        return ShardedRows(shard_files(folder / name, index), index.shards)
    path = folder / f"{name}.npy"
    if path.is_file():
        known = open_array(path, advice="delete it: the next training makes it anew")
        if len(known) == len(cache.frames):  # else the cache was built anew from other clips
            return known
    count = len(cache.frames)
    with whole_file(path) as temporary:
        first = encode(vae, images(np.arange(min(batch, count))))
        with NpyWriter(temporary, first.shape[1:], np.float16) as file:
            file.append(first)
            for start in range(batch, count, batch):
                file.append(encode(vae, images(np.arange(start, min(start + batch, count)))))
    return np.load(path, mmap_mode="r")
