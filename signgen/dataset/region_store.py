"""Crops of hands and faces that refiners learn from, cut once and kept beside the frame cache, a file a clip.

A crop holds, pixel by pixel, what a refiner is given when the product renders (`signgen.model.regions`), the truth, and
what another view of the same crop needs: the pose image of the mirrored person, and the solid hands as they truly were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from signgen.dataset.batches import PIXEL_ASPECT
from signgen.dataset.cache import CachedClip, FrameCache
from signgen.dataset.coarse import as_keypoints, clip_path, make_missing, read_coarse
from signgen.dataset.files import damaged, open_array
from signgen.dataset.prepared import open_frames
from signgen.files import Staging
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import FACE, HANDS, LOWER_BODY
from signgen.model.regions import SourceRegions, cut, region_crops
from signgen.pose_image import draw_pose
from signgen.video.tensors import channels_last

MARGIN = 8  # pixels by which stored crops are larger than a refiner's, for jitter
KINDS = ("hand", "face")
SOLIDS = "solid"  # folder of a drawn data set that holds its true hands
# Channels of a stored crop, uint8.
COARSE, POSE, REFERENCE, KNOWN, FITTED = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10), slice(10, 16)
TRUTH, MIRRORED_POSE, TRUE_SOLID = slice(16, 19), slice(19, 22), slice(22, 28)
CHANNELS = 28
OTHERS, OWN = 3, 0.5  # frames of other clips that a clip takes references from; share of crops with the clip's source


@dataclass(frozen=True)
class ClipCrops:
    """The crops of one clip.

    Attributes:
        pixels: uint8 (N, S + MARGIN, S + MARGIN, CHANNELS), memory-mapped.
        points: float32 (N, K, 3), the region's true points in pixels of the crop, and confidence.
        speed: (N,) how far the region's points move a frame, pixels.
        solid: whether the true hands are known.
    """

    pixels: np.ndarray
    points: np.ndarray
    speed: np.ndarray
    solid: bool


def region_folder(cache_folder: Path, coarse: Path, kind: str, side: int, shutter: float = 0.0) -> Path:
    """Where the crops of one kind lie."""
    return cache_folder / f"{kind}s-{side}-{coarse.name}{f'-shutter-{shutter:g}' if shutter else ''}"


def read_crops(folder: Path, number: int) -> ClipCrops:
    """The crops of clip ``number``.

    Raises:
        InputError: the files are damaged.
    """
    again = "delete it: the next training cuts it again"
    path = crops_path(folder, number)
    pixels = open_array(path, advice=again)
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as archive:
            return ClipCrops(pixels, archive["points"], archive["speed"], bool(archive["solid"]))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise damaged(path.with_suffix(".npz"), error, again) from error


def cut_crops(
    cache: FrameCache,
    cache_folder: Path,
    coarse: Path,
    kind: str,
    side: int,
    seed: int,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
    shutter: float = 0.0,
) -> Path:
    """Cuts the crops of the clips whose coarse frames are there and returns their folder.

    Args:
        cache, cache_folder: the data set.
        coarse: from `signgen.dataset.coarse.render_coarse`.
        kind: ``hand`` or ``face``. side: S, pixels.
        seed: decides which crops get a reference of another clip of the signer.
        jobs: processes. advance: called with the number of clips that were there or are done.
        shutter: share of a frame's time over which fast hands are smeared in the solid ones, where a clip does not say
            its own; 0: they are crisp in all clips.
    """
    folder = region_folder(cache_folder, coarse, kind, side, shutter)
    folder.mkdir(parents=True, exist_ok=True)
    painted = [number for number in range(len(cache.clips)) if clip_path(coarse, number).is_file()]
    work = partial(_cut_clip, cache_folder, coarse, folder, kind, side, seed, shutter)
    make_missing(work, painted, partial(crops_path, folder), jobs, advance)
    return folder


def crops_path(folder: Path, number: int) -> Path:
    """Where the crops of clip ``number`` of the cache lie; what belongs to them lies beside, as npz."""
    return folder / f"{number:06d}.npy"


def _cut_clip(
    cache_folder: Path, coarse: Path, folder: Path, kind: str, side: int, seed: int, shutter: float, number: int
) -> None:
    cache = open_frames(cache_folder)
    clip = cache.clips[number]
    rng = np.random.default_rng((seed, number, KINDS.index(kind)))
    painted = read_coarse(coarse, number)
    points, size = painted.driving, cache.size
    truth, frames = np.array(cache.keypoints[clip.start : clip.stop]), cache.frames[np.arange(clip.start, clip.stop)]
    driving = as_keypoints(points, size)
    poses, mirrored = _poses(driving), _poses(driving.mirror())[:, :, ::-1]
    shutter = _own_shutter(cache_folder, clip, shutter)
    fitted = _solid(points, size, shutter)
    wide = side + MARGIN
    sources = _sources(cache, clip, painted.source, rng)
    first = region_crops(kind, wide, painted.frames, poses, points, fitted, sources[:1])
    count, inputs = len(first.which), channels_last(first.inputs).numpy()
    shown = inputs[..., REFERENCE.start : KNOWN.stop]
    chosen = np.where(rng.random(count) < OWN, 0, rng.integers(1, max(len(sources), 2), count)) % len(sources)
    for number_of_source, source in enumerate(sources[1:], 1):
        which = np.flatnonzero(chosen == number_of_source)
        given = points[first.which[which]], first.regions[which], first.places[which], wide
        if len(which):
            shown[which] = channels_last(torch.cat(source.shown(kind, *given), 1)).numpy()
    pixels = np.empty((count, wide, wide, CHANNELS), np.uint8)
    pixels[..., : KNOWN.start] = _bytes(inputs[..., : KNOWN.start])
    pixels[..., KNOWN] = np.rint(inputs[..., KNOWN] * 255)
    pixels[..., FITTED] = np.rint(inputs[..., FITTED] * 127 + 128)
    pixels[..., TRUTH] = cut(frames, first.which, first.places, wide)
    pixels[..., MIRRORED_POSE] = cut(mirrored, first.which, first.places, wide)
    solids = cache_folder.parent / SOLIDS / f"{clip.name}.npz"
    if known := solids.is_file():
        with np.load(solids, allow_pickle=False) as archive:
            crisp = shutter > 0 and "shutter" not in archive  # drawn before the true hands were smeared as well
            true = _solid(truth, size, shutter) if crisp else archive["solid"]
        pixels[..., TRUE_SOLID] = cut(true, first.which, first.places, wide)
    else:
        pixels[..., TRUE_SOLID] = pixels[..., FITTED]
    where = [(i, (*HANDS, FACE)[region]) for i, region in zip(first.which, first.regions, strict=True)]
    seen = np.array([truth[i, part] for i, part in where]).reshape(count, -1 if count else 1, 3)
    own = seen - np.pad(first.places, ((0, 0), (0, 1)))[:, None]
    steps = np.gradient(truth[..., :2], axis=0) if len(truth) > 1 else np.zeros_like(truth[..., :2])
    velocity = np.linalg.norm(steps, axis=-1)
    speed = np.array([velocity[i, part].mean() for i, part in where])
    target = crops_path(folder, number)
    with Staging() as staging:
        np.savez(staging.place(target.with_suffix(".npz")), points=own.astype(np.float32), speed=speed, solid=known)
        np.save(staging.place(target), pixels)


def _solid(points: np.ndarray, size: tuple[int, int], shutter: float) -> np.ndarray:
    """uint8 (T, H, W, 6), the hands fitted to points (T, 133, 3), as a render shows them to refiners."""
    from signgen.pose_image.solid import HandFitter

    hands = HandFitter(size, PIXEL_ASPECT).fit(points[..., :2], points[..., 2])
    return hands.smeared(hands.pictures(size), shutter)


def _own_shutter(cache_folder: Path, clip: CachedClip, shutter: float) -> float:
    """The share of a frame's time that a clip's keypoint file says, if hands are to be smeared and it says one."""
    path = cache_folder.parent / "keypoints" / f"{clip.name}.npz"
    if not shutter or not path.is_file():
        return shutter
    try:
        with np.load(path, allow_pickle=False) as archive:
            return float(archive["shutter"]) if "shutter" in archive else shutter
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error, "delete it, or write it again") from error


def _sources(cache: FrameCache, clip: CachedClip, own: int, rng: np.random.Generator) -> list[SourceRegions]:
    """The clip's own source frame, and frames of other clips of its signer."""
    others = [other for other in cache.clips if other.speaker == clip.speaker and other.name != clip.name]
    picked: np.ndarray | list[int] = rng.choice(len(others), min(OTHERS, len(others)), replace=False) if others else []
    frames = [own, *(int(rng.integers(others[i].start, others[i].stop)) for i in picked)]
    return [SourceRegions.of(cache.frames[np.array([i])][0], np.array(cache.keypoints[i])) for i in frames]


def _poses(keypoints: Keypoints) -> np.ndarray:
    """Pose images uint8 (T, H, W, 3) without legs, as a render of signers has them."""
    confidence = keypoints.confidence.copy()
    confidence[:, LOWER_BODY] = 0
    return draw_pose(replace(keypoints, confidence=confidence))


def _bytes(values: np.ndarray) -> np.ndarray:
    """[-1, 1] -> uint8."""
    return np.clip(np.rint((values + 1) * 127.5), 0, 255).astype(np.uint8)
