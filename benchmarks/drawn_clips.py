"""Clips of drawn signers that no training saw, and what a model makes of them: shared by the benchmarks.

Two kinds: known signers with new sentences (split ``dev``), and new signers (split ``test``). They are drawn once, into
a cache folder that is named after everything their content depends on.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError, Mismatch
from signgen.keypoints import Keypoints
from signgen.model import SignGenPipeline
from signgen.model.networks.canvas import fit_frames, from_canvas
from signgen.model.networks.cross_view import CrossViewTransformer
from signgen.rendering import render
from signgen.rendering.manifest import manifest_names
from signgen.rendering.sample_windows import draw_canvas
from signgen.rendering.source import Source
from signgen.synthetic.dataset import Plan, settings_of, write_dataset
from signgen.synthetic.signer import HELD_OUT, signer_names
from signgen.video import read_frames
from signgen.video.tensors import from_signed, to_frames, to_signed

CACHE = Path("~/.cache/signgen/held_out")
CONTENT = 4  # content version of the clips that models are compared on; 5 has the harder ones beside them
CHUNK = 16  # frames that are held in memory at a time
KINDS = {"known": "dev", "new": "test"}  # which split holds them


# ---- clips -----------------------------------------------------------------------------------------------------------


def spread(items: list[Any] | tuple[Any, ...], count: int) -> list[Any]:
    """At most ``count`` of the items, evenly spaced, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def held_out_plan(kind: str, limit: int, seed: int, version: int = CONTENT) -> Plan:
    """What is drawn for a kind: one clip a signer as far as they reach, signers evenly from all that there are."""
    split = KINDS[kind]
    pool = list(HELD_OUT) if split == "test" else signer_names(version)
    return Plan(seed, split, tuple(spread(pool, limit)), version=version)


def cache_name(plan: Plan, limit: int) -> str:
    """Folder of a plan's clips; another content version or other signers give another name."""
    content = json.dumps(settings_of(plan), sort_keys=True)
    return f"{plan.split}-v{plan.version}-{limit}-{plan.seed}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def held_out_clips(
    kind: str, folder: Path | None, cache: Path, limit: int, seed: int, version: int = CONTENT
) -> list[Clip]:
    """``limit`` clips of a kind, evenly from a folder, or drawn into the cache when they are not there yet."""
    if folder is None:
        plan = held_out_plan(kind, limit, seed, version)
        folder = cache.expanduser() / cache_name(plan, limit)
        write_dataset(folder, plan, limit)
    return spread(PhoenixIndex(folder).clips(KINDS[kind]), limit)


def frame_sources(true: np.ndarray, keypoints: Keypoints, places: Iterable[int]) -> tuple[Source, ...]:
    """Frames of a clip uint8 (T,H,W,3) as sources, which know where their person stands."""
    return tuple(Source(true[at], keypoints[at : at + 1], f"frame {at}", "image") for at in places)


def pieces(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Single frames to stacks of at most ``CHUNK``."""
    while piece := list(islice(frames, CHUNK)):
        yield np.stack(piece)


# ---- what a model makes of them --------------------------------------------------------------------------------------


def reconstruct(pipeline: SignGenPipeline, frames: np.ndarray) -> np.ndarray:
    """The frames uint8 (N,H,W,3) through the model's autoencoder and back."""
    vae = pipeline.vae
    weight = next(vae.parameters())
    pixels = to_signed(frames, weight.device).to(weight.dtype)  # (N, 3, H, W)
    with torch.inference_mode():
        decoded = vae.decode(vae.encode(fit_frames(pixels)).latent_dist.mode()).sample
    return to_frames(from_signed(from_canvas(decoded, frames.shape[2], frames.shape[1])))


def generate(
    pipeline: SignGenPipeline, source: np.ndarray | Source | list[Source], keypoints: Keypoints,
    keep: Path | None = None,
    **options: Any,
) -> Iterator[np.ndarray]:  # fmt: skip
    """The clip as a user would render it: lossless frames uint8 (H,W,3), one after the other.

    Args:
        source: the clip's first frame uint8 (H,W,3), or another picture with its own keypoints, or several of them.
        keep: folder for the frames, where they stay; what lies there is not rendered again.

    Raises:
        InputError: what lies there is of other weights or options.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="signgen-held-out-") as folder:
            yield from generate(pipeline, source, keypoints, Path(folder) / "frames", **options)
        return
    if not keep.exists():
        keep.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, np.ndarray):
            source = Source(source, keypoints[0:1], "first frame", "image")
        render(keypoints, source=source, model=pipeline, output=keep, **options)
    _check_kept(keep, pipeline, {"frames": [0, len(keypoints)], **options})
    yield from read_frames(keep)


def kept_at(renders: Path | None, clip: Clip) -> Path | None:
    """Where the frames of a clip are kept: its data set's name, which tells how it was drawn, and its own."""
    return None if renders is None else renders / clip.keypoints.parent.parent.name / clip.name


def _check_kept(keep: Path, pipeline: SignGenPipeline, options: dict[str, Any]) -> None:
    """Frames are only taken for a model's where the manifest beside them says so."""
    path = manifest_names(keep)[0]
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"configuration": {}}
    found = {**manifest["configuration"], "weights_sha256": manifest.get("weights_sha256")}
    wanted = {"weights_sha256": pipeline.weights_sha256(), "engine": pipeline.engine.name, **options}
    other = [name for name, value in wanted.items() if value is not None and found.get(name) != value]
    if other:
        raise Mismatch(keep, f"was rendered with other {', '.join(other)}", "name another folder for --renders")


def generate_apart(
    pipeline: SignGenPipeline, source: np.ndarray, keypoints: Keypoints, steps: int | None = None, seed: int = 0
) -> Iterator[np.ndarray]:
    """Each frame on its own, by a seed of its own, as if it were a picture: nothing makes neighbours agree.

    With a pipeline of `without_cross_view` this is the model before anything was done for video.
    """
    person = pipeline.encode_source(source, draw_canvas(pipeline, keypoints[0:1])[0])
    for index in range(len(keypoints)):
        pose = draw_canvas(pipeline, keypoints[index : index + 1])
        options = {"num_inference_steps": steps, "seed": seed + 1 + index}
        yield pipeline(person, pose, frame_indices=[index], **options).frames[0]


def no_fusion(pipeline: SignGenPipeline) -> dict[str, Any]:
    """Options of `render` in which the null condition takes the fusion embedding's place."""
    return {"guidance": [float(pipeline.config.guidance[0]), 0.0]}  # eq. 12: the branch with fusion weighs 0


def without_cross_view(pipeline: SignGenPipeline) -> SignGenPipeline:
    """The same pipeline, changed so that no view sees another.

    Raises:
        InputError: it has no cross-view attention.
    """
    blocks = [module for module in pipeline.denoiser.modules() if isinstance(module, CrossViewTransformer)]
    if not any(block.cross_view is not None for block in blocks):
        raise InputError(pipeline.name, "has no cross-view attention", "leave out what is compared without it")
    for block in blocks:
        block.cross_view = None
    return pipeline
