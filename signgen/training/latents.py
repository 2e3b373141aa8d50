"""Latents of all frames of a cache, encoded once: the encoder would otherwise run anew for each use of a frame."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from signgen.data.cache import FrameCache

DECODING = ("decoder.", "post_quant_conv.")  # parts of an autoencoder that latents do not depend on


def weights_key(module: nn.Module) -> str:
    """Twelve hexadecimal digits that change with the weights that make latents."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if name.startswith(DECODING):
            continue
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.inference_mode()
def latent_store(
    cache: FrameCache,
    images: Callable[[np.ndarray], Tensor],
    vae: nn.Module,
    folder: Path,
    batch: int = 32,
) -> np.ndarray:
    """float16 (N, C, h, w), memory-mapped; computed on first use and kept under the name of the weights.

    Args:
        images: indices (n,) -> frames on the canvas (n, 3, H, W) in [-1, 1].
        folder: where the store lies, beside the frame cache.
    """
    path = folder / f"latents-{weights_key(vae)}.npy"
    if path.is_file():
        known = np.load(path, mmap_mode="r")
        if len(known) == len(cache.frames):  # else the cache was built anew from other clips
            return known
    store, temporary = None, path.with_name(f"{path.stem}.{os.getpid()}.tmp")
    try:
        for start in range(0, len(cache.frames), batch):
            indices = np.arange(start, min(start + batch, len(cache.frames)))
            frames = images(indices)
            with torch.autocast(frames.device.type, torch.bfloat16):
                latents = vae.encode(frames).latent_dist.mode() * vae.config.scaling_factor
            if store is None:
                shape = (len(cache.frames), *latents.shape[1:])
                store = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
            store[indices] = latents.float().cpu().numpy()
        assert store is not None
        store.flush()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")
