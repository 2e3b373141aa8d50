"""The frozen encoders of training: semantic tokens of the source, and fusion embeddings of source and pose."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.dataset.cache import FrameCache
from signgen.dataset.files import NpyWriter, whole_file
from signgen.dataset.opening import open_array
from signgen.dataset.prepared import AGAIN, INDEX, Index, shard_files
from signgen.dataset.rows import Rows, ShardedRows
from signgen.errors import InputError
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.canvas import canvas_name
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel, semantic_tokens
from signgen.model.published_weights import load_clip, load_image_encoder
from signgen.training.config import TrainConfig
from signgen.training.starts import stage_network

# Tokens of source frames that an image encoder has made before training; 2.7 MB a frame with DINOv2-L at 512.


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


# Latents of all frames of a cache, encoded once: the encoder would otherwise run anew for each use of a frame.


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


@dataclass
class FrozenEncoders:
    """What reads the source (and the pose) before the denoiser does, and is not trained with it.

    Attributes:
        fusion: the fusion model, or None where nothing asks it.
        image: makes the semantic tokens of the source (DINOv2); None: the fusion model's encoder does.
        size: side of the square that ``image`` reads.
        stored: tokens of source frames that were made before; a batch that it lacks is encoded when needed.
        want_semantic, want_fusion: what the denoiser takes; see `serve`.
    """

    fusion: FusionModel | None
    image: nn.Module | None = None
    size: int = 518
    stored: TokenStore | None = None
    want_semantic: bool = True
    want_fusion: bool = True

    def serve(self, denoiser: Denoiser) -> None:
        """Makes no more than ``denoiser`` takes.

        Raises:
            InputError: it takes what no encoder makes, or in another width.
        """
        self.want_semantic = denoiser.source_encoder.semantic is not None
        self.want_fusion = denoiser.config.fusion_dim is not None
        source = denoiser.config.source or {"semantic_dim": 1024}  # the denoiser's own default
        wanted = {
            "model.source.semantic_dim": source.get("semantic_dim"),
            "model.fusion_dim": denoiser.config.fusion_dim,
        }
        for (name, width), made in zip(wanted.items(), self.widths(), strict=True):
            if width is not None and width != made:
                advice = (
                    "name an encoder in start that makes it" if made is None else f"the encoder in start makes {made}"
                )
                raise InputError(name, f"is {width}", advice)

    def widths(self) -> tuple[int | None, int | None]:
        """Of semantic tokens and of fusion embeddings; None where nothing makes them."""
        own = None if self.fusion is None else self.fusion.encoder.settings
        tokens = None if own is None else own.hidden_size
        if self.image is not None:
            settings: Any = self.image.config
            tokens = int(settings.hidden_size)
        return tokens, None if own is None else own.projection_dim

    def known_tokens(self, sources: np.ndarray) -> np.ndarray | None:
        """Tokens float16 (B, L, D) of source frames (B,), where all of them were made before and are wanted."""
        return self.stored.take(sources) if self.stored is not None and self.want_semantic else None

    def semantic(self, images: Tensor, known: np.ndarray | None = None) -> Tensor | None:
        """Tokens (B, L, D) of sources (B, 3, H, W), or ``known`` ones as `known_tokens` gives them."""
        if not self.want_semantic:
            return None
        if self.image is None:
            return None if self.fusion is None else self.fusion.tokens(images).float()
        if known is not None:
            return torch.from_numpy(known.astype(np.float32)).to(images.device)
        return semantic_tokens(self.image, images, self.size).float()

    def fused(self, images: Tensor, pose: Tensor) -> Tensor | None:
        """Fusion embeddings (B * V, D) of sources (B, 3, H, W) in [-1, 1] and poses (B * V, 3, H, W) in [0, 1]."""
        if self.fusion is None or not self.want_fusion:
            return None
        e_source = self.fusion.encode(images).repeat_interleave(len(pose) // len(images), 0)
        return self.fusion.fuse(e_source, pose * 2 - 1).float()


def frozen_encoders(config: TrainConfig, cache: FrameCache, folder: Path, device: torch.device) -> FrozenEncoders:
    """The encoders that ``start`` names, in eval mode: FPDM's release leaves the combiner's dropout on by mistake.

    Args:
        cache, folder: the frames, and where tokens of them may lie.
    """
    fusion = image = stored = None
    if "fusion" in config.start:
        fusion = stage_network(FusionModel, config.start["fusion"])
    elif "clip" in config.start:  # FPDM's ablation without a fusion model: B1's tokens, B4's embedding of the source
        fusion = load_clip(config.start["clip"], config.allow_download, combine=False)
    if "image_encoder" in config.start:
        image = load_image_encoder(config.start["image_encoder"], config.allow_download)
        key = token_key(image, config.image_encoder_size, config.canvas, cache.size)
        stored = token_store(cache, folder, key)
    for encoder in (fusion, image):
        if encoder is not None:
            encoder.to(device).eval().requires_grad_(False)
    return FrozenEncoders(fusion, image, config.image_encoder_size, stored)
