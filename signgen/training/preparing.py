"""`signgen prepare` from its options to its report: which steps there are, and in which order."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.dataset.batches import Prefetch
from signgen.dataset.cache import FrameCache
from signgen.dataset.files import NpyWriter, locked, remove_leftovers, whole_file
from signgen.dataset.keypoint_source import KeypointSource
from signgen.dataset.opening import is_whole, open_array
from signgen.dataset.phoenix import PhoenixIndex
from signgen.dataset.prepared import FRAMES, Index, open_prepared, shard_file
from signgen.dataset.preparing import (
    Plan,
    basic_needs,
    check_free,
    frames_in,
    left_of,
    mark_folder,
    most_sources,
    plan_split,
    write_protocol,
)
from signgen.dataset.shards import Part, left_to_do, rows_left, write_frames, write_shard
from signgen.dataset.survey import chosen_splits, frame_size, keypoint_source
from signgen.errors import InputError
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.canvas import fit_frames
from signgen.model.networks.fusion import semantic_tokens
from signgen.training.encoders import SOURCES, encode, latents_name, shard_starts, token_folder, token_key

# `signgen prepare`'s encoders: latents of every frame and tokens of source frames, shard by shard.


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
    folder: Path, cache: FrameCache, encoders: Encoders, part: Part, advance: Callable[[int], None] = lambda n: None
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


Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
Needs = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Work:
    """What one process is to prepare.

    Attributes:
        data, out: the data set, and the folder to write.
        plan: what the splits are to hold; splits: which ones, empty for all.
        keep_frames: write decoded frames, too.
        encoders: loads the encoders, or returns some without any.
        part: this process's share of the shards; jobs: its processes for reading frames.
    """

    data: str
    out: Path
    encoders: Callable[[], Encoders]
    plan: Plan = field(default_factory=Plan)
    splits: tuple[str, ...] = ()
    keep_frames: bool = True
    part: Part = field(default_factory=Part)
    jobs: int = 1


def prepare(work: Work, say: Callable[[Needs, int], None], progress: Progress, dry_run: bool = False) -> dict[str, Any]:
    """Does the work and returns its report as plain data.

    Args:
        say: told the bytes to be written, split -> part -> bytes, and the free ones, before anything is written.
        progress: opens a bar of so many steps under a name.
        dry_run: end after that.
    """
    begun = time.monotonic()
    index = PhoenixIndex(work.data)
    splits = chosen_splits(index, work.splits)
    unknown = set(work.plan.skip) - {clip.name for clip in index}
    if unknown:
        raise InputError("--skip", f"{sorted(unknown)[0]} is no clip of the data set", "see its corpus files")
    encoders = work.encoders()
    needs = disk_needs(work, index, splits, encoders)
    free = check_free(work.out, needs)
    say(needs, free)
    report: dict[str, Any] = {"output": str(work.out), "bytes": needs, "free_bytes": free, "splits": {}}
    if dry_run:
        return report
    found = _planned(work, index, splits, progress)
    for split, part in found.items():
        report["splits"][split] = _filled(work, index, part, encoders, progress)
    report["seconds"] = round(time.monotonic() - begun, 1)
    return report


def disk_needs(work: Work, index: PhoenixIndex, splits: tuple[str, ...], encoders: Encoders) -> Needs:
    """Split -> part -> bytes that are still to be written, of all processes together."""
    size = frame_size(index)
    if size is None:
        raise InputError(index.release, "holds no frame", "unpack the release's frames there")
    needs: Needs = {}
    blank = np.zeros((1, size[1], size[0], 3), np.uint8)
    for split in splits:
        place, frames = work.out / split, frames_in(index, split, work.out)
        needs[split] = basic_needs(place, frames, size, work.keep_frames)
        if encoders.vae is not None:
            left = left_of(place, encoders.latents_folder(place, size), frames)
            needs[split]["latents"] = left * encoders.latents(blank).nbytes
        if encoders.image_encoder is not None:
            there = encoders.tokens_folder(place, size).glob("[0-9]*.npy")
            wanted = most_sources(index, split, frames, work.plan) * encoders.tokens(blank).nbytes
            needs[split]["tokens"] = max(0, wanted - sum(path.stat().st_size for path in there))
    return needs


def _planned(work: Work, index: PhoenixIndex, splits: tuple[str, ...], progress: Progress) -> dict[str, Index]:
    """Keypoints, indices and protocols, by one process at a time; the keypoints are read once, and only if needed."""
    opened: list[KeypointSource] = []

    def source() -> KeypointSource:
        if not work.plan.places and not index.keypoints.is_dir():
            got = "has no folder keypoints beside the release"
            raise InputError(work.data, got, "say where they are: --keypoints FILE|FOLDER")
        if not opened:
            opened.append(keypoint_source(index, work.plan.places, splits))
        return opened[0]

    work.out.mkdir(parents=True, exist_ok=True)
    found = {}
    with locked(work.out), progress(sum(len(index.clips(split)) for split in splits), "clips") as advance:
        mark_folder(work.out, index)
        remove_leftovers(work.out)
        for split in splits:
            found[split] = plan_split(index, split, work.out, work.plan, source, work.jobs, advance)
            write_protocol(work.out, found[split], work.plan)
    return found


def _filled(work: Work, release: PhoenixIndex, index: Index, encoders: Encoders, progress: Progress) -> dict[str, Any]:
    """This part's shards of a split, and what was found and is left."""
    place = work.out / index.split
    left = {}
    if work.keep_frames:
        folder = place / FRAMES
        with progress(rows_left(folder, index, work.part), f"{index.split} frames") as advance:
            write_frames(place, index, release.release, work.part, work.jobs, advance)
        left["frames"] = len(left_to_do(folder, index))
    cache = open_prepared(work.out, index.split, frames=not left.get("frames"))
    if encoders.vae is not None:
        folder = encoders.latents_folder(place, index.size)
        with progress(rows_left(folder, index, work.part), f"{index.split} latents") as advance:
            write_latents(folder, index, cache, encoders, work.part, advance)
        left["latents"] = len(left_to_do(folder, index))
    if encoders.image_encoder is not None:
        folder = encoders.tokens_folder(place, index.size)
        sources = len(sources_of(cache))
        with progress(len(tokens_left(folder, sources, work.part)), f"{index.split} shards of tokens") as advance:
            write_tokens(folder, cache, encoders, work.part, advance)
        left["tokens"] = len(tokens_left(folder, sources, Part()))
    pairs = 0 if cache.triplets is None else len(cache.triplets)
    own = 0 if cache.triplets is None else int((cache.triplets[:, 0] == cache.triplets[:, 1]).sum())
    return {
        "clips": len(index.clips), "frames": index.frames, "pairs": pairs, "self_pairs": own,
        "pairs_wanted": work.plan.triplets if index.split == "train" else pairs,
        "mended": [list(pair) for pair in index.mended], "left_out": [list(pair) for pair in index.left_out],
        "shards_left": left,
    }  # fmt: skip
