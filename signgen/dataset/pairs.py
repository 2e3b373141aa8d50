"""What a training step looks at: a source frame, and a window of frames of the same clip to generate.

A triplet of FPDM (source, target pose, target) is a window of one frame; IMAGPose's views are a longer window.
Which frames step k sees depends on (seed, k) alone, so a resumed run goes on with the very same batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.dataset.cache import FrameCache
from signgen.dataset.disturbance import Disturbance, disturb
from signgen.errors import BadValue
from signgen.keypoints.skeleton import FACE, LEFT_HAND, LEFT_KNUCKLE, NOSE, RIGHT_HAND, RIGHT_KNUCKLE


@dataclass(frozen=True)
class Windows:
    """Indices into a `FrameCache`, and the driving signal as the network shall see it.

    Attributes:
        source: (B,) the source frame of each window; more: (B, S - 1) further ones of the same clip.
        target: (B, V) consecutive frames of the source's clip, or, unordered, any V of its other frames.
        clip: (B,) which clip, for masking false negatives.
        keypoints: (B, V, 133, 3) x, y in pixels and confidence, disturbed as `Disturbance` says.
        truth: (B, V, 133, 3) the same, undisturbed, for loss weights and crops.
    """

    source: np.ndarray
    target: np.ndarray
    clip: np.ndarray
    keypoints: np.ndarray
    truth: np.ndarray
    more: np.ndarray

    @property
    def sources(self) -> np.ndarray:
        """(B, S)."""
        return np.concatenate([self.source[:, None], self.more], 1)


def draw_windows(
    cache: FrameCache,
    batch: int,
    views: int,
    rng: np.random.Generator,
    disturbance: Disturbance | None = None,
    per_clip: int = 1,
    sources: int = 1,
    unordered: bool = False,
) -> Windows:
    """``batch`` windows of ``views`` frames, ``per_clip`` after each other from one clip, with S ``sources`` each.

    From the cache's triplets where it has some: a window begins at a triplet's target, or as late as it still fits
    into the clip. Else clips in proportion to their length, sources anywhere in the clip. ``unordered``: its frames do
    not follow each other, but lie anywhere in the clip (IMAGPose's views).
    """
    lengths = cache.bounds[:, 1] - cache.bounds[:, 0]
    usable = np.flatnonzero(lengths >= views)
    if not len(usable):
        raise BadValue("views", f"got {views}, the longest clip has {lengths.max()} frames", "lower views")
    draw = _drawn_anywhere if cache.triplets is None else _drawn_triplets
    if batch % per_clip:
        raise BadValue("per_clip", f"got {per_clip} for batches of {batch}", "give a divisor of the batch")
    chosen, start, source = draw(cache, usable, batch, views, rng, per_clip)
    target = start[:, None] + np.arange(views)  # (B, V)
    more = np.zeros((batch, 0), np.int64)
    if sources > 1 or unordered:
        wanted = sources - 1 + (views if unordered else 0)
        others = np.stack([_others(rng, cache.bounds[clip], source[i], wanted) for i, clip in enumerate(chosen)])
        more = others[:, : sources - 1]
        target = others[:, sources - 1 :] if unordered else target
    truth = np.array(cache.keypoints[target.ravel()]).reshape(batch, views, 133, 3)
    keypoints = disturb(truth, rng, disturbance) if disturbance else truth
    return Windows(source, target, chosen, keypoints, truth, more)


def _others(rng: np.random.Generator, bounds: np.ndarray, first: int, count: int) -> np.ndarray:
    """``count`` frames of a clip, none of them ``first`` and none twice where the clip has enough."""
    others = np.setdiff1d(np.arange(*bounds), [first]) if bounds[1] - bounds[0] > 1 else np.array([first])
    return rng.choice(others, count, replace=len(others) < count)


Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]  # (B,) clip, first frame, source


def _drawn_anywhere(
    cache: FrameCache, usable: np.ndarray, batch: int, views: int, rng: np.random.Generator, per_clip: int
) -> Drawn:
    bounds = cache.bounds[usable]
    lengths = (bounds[:, 1] - bounds[:, 0]).astype(np.float64)
    chosen = rng.choice(len(usable), batch // per_clip, p=lengths / lengths.sum()).repeat(per_clip)
    start = np.array([rng.integers(bounds[i, 0], bounds[i, 1] - views + 1) for i in chosen])
    source = np.array([rng.integers(*bounds[i]) for i in chosen])
    return usable[chosen], start, source


def _drawn_triplets(
    cache: FrameCache, usable: np.ndarray, batch: int, views: int, rng: np.random.Generator, per_clip: int
) -> Drawn:
    triplets = cache.triplets
    assert triplets is not None
    clip = np.searchsorted(cache.bounds[:, 0], triplets[:, 1], "right") - 1
    if len(usable) < len(cache.clips):
        fits = np.isin(clip, usable)
        triplets, clip = triplets[fits], clip[fits]
    if not len(triplets):
        raise BadValue("triplets", f"none lies in a clip of {views} frames or more", "lower views")
    chosen = rng.integers(len(triplets), size=batch // per_clip)
    if per_clip > 1:  # any triplets of the clips that were drawn
        own = [np.flatnonzero(clip == clip[first]) for first in chosen]
        chosen = np.concatenate([rng.choice(triplets_of, per_clip) for triplets_of in own])
    start = np.minimum(triplets[chosen, 1], cache.bounds[clip[chosen], 1] - views)
    return clip[chosen], start, triplets[chosen, 0]


def hand_centres(truth: np.ndarray, threshold: float = 0.05) -> np.ndarray:
    """(N, 133, 3) -> (N, 2, 3): x, y of the left and the right middle knuckle, and 1 where it is in the frame."""
    centres = truth[:, [LEFT_KNUCKLE, RIGHT_KNUCKLE]].copy()
    centres[..., 2] = centres[..., 2] > threshold
    return centres


def crop_centres(truth: np.ndarray, crops: int, rng: np.random.Generator) -> np.ndarray:
    """Where the loss looks closely: (N, 133, 3) -> (crops * N, 2), all first crops, then all second ones.

    60 % lie at a hand, 25 % at the face, the rest about the shoulders; the face where no hand is in the frame. An
    item's first crop and its second lie at different hands.
    """
    hands = hand_centres(truth)
    first, kind = rng.integers(2, size=len(truth)), rng.random((crops, len(truth)))
    spread = np.where(kind < 0.85, 6, 60)[..., None]
    centres = truth[:, NOSE, :2] + rng.normal(0, 1, (crops, len(truth), 2)) * spread
    for crop, i in np.argwhere(kind < 0.6):
        side = (first[i] + crop) % 2
        seen = side if hands[i, side, 2] else 1 - side
        if hands[i, seen, 2]:
            centres[crop, i] = hands[i, seen, :2]
    return centres.reshape(-1, 2)


def loss_weights(
    truth: np.ndarray, width: int, height: int, cell: int, hand: float = 5.0, face: float = 2.5
) -> np.ndarray:
    """Weights (N, height / cell, width / cell) of the denoising loss: 1, up to ``hand`` at hands, ``face`` at the face.

    Args:
        truth: (N, 133, 3) keypoints in pixels of the canvas.
        width, height: size of the canvas in pixels; cell: pixels of one latent cell.
    """
    ys, xs = np.mgrid[0 : height // cell, 0 : width // cell].astype(np.float32) * cell + cell / 2
    weights = np.ones((len(truth), *xs.shape), np.float32)
    for part, peak in ((FACE, face), (LEFT_HAND, hand), (RIGHT_HAND, hand)):
        points, seen = truth[:, part, :2], truth[:, part, 2] > 0
        count = np.maximum(seen.sum(1), 1)[:, None]
        centre = (points * seen[..., None]).sum(1) / count
        spread = np.sqrt((((points - centre[:, None]) ** 2).sum(-1) * seen).sum(1) / count[:, 0])
        radius = np.maximum(1.6 * spread, 14.0)[:, None, None]
        distance = np.hypot(xs - centre[:, 0, None, None], ys - centre[:, 1, None, None])
        bump = (peak - 1) * np.clip(1.5 - distance / radius, 0, 1) * np.any(seen, axis=1)[:, None, None]
        weights = np.maximum(weights, 1 + bump)
    return weights
