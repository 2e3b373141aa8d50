"""All of a training step that needs no device: windows, decoded frames, pose images, what was encoded before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from signgen.dataset.cache import FrameCache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.pairs import Windows, draw_windows
from signgen.dataset.shards import StoredArray
from signgen.model.guide import CHANNELS, NOTHING, POSE, draw_guides
from signgen.model.networks.canvas import fit_canvas, fit_points
from signgen.model.regions import SourceRegions
from signgen.pose_image import draw_points
from signgen.pose_image.solid import HandFitter

T = TypeVar("T")
PIXEL_ASPECT = 0.81  # of the frames of PHOENIX14T and of drawn signers
# Shares of windows whose hands are fitted to the true keypoints, and of those without hands, without the source's body:
# a network that has only seen fits to disturbed points learns that hands lie.
TRUE_HANDS, NO_HANDS, NO_BODY = 0.5, 0.08, 0.08


@contextmanager
def made_ahead(
    make: Callable[[int], T], steps: Iterable[int], ahead: int = 2, threads: int = 1
) -> Generator[Iterator[T]]:
    """``make(step)`` for each of ``steps``, in their order, the next ones made by threads meanwhile.

    What comes out depends on ``make`` and ``steps`` alone, so a batch that is drawn from (seed, step) is the same with
    any number of threads, and a run that is resumed at a step goes on with the same ones. Threads suffice where the
    work gives up Python's lock, as copies of arrays, PNG decoding and the pose images do.

    Args:
        make: called in another thread; what it raises is raised where its result is asked for.
        steps: any iterable, an endless one as well.
        ahead: how many results are made before they are asked for; each stays in memory. 0: none, and no threads.
        threads: how many are made at the same time.
    """
    if not ahead:
        yield map(make, steps)
        return
    left = iter(steps)
    pool = ThreadPoolExecutor(threads, "made-ahead")
    waiting = deque(pool.submit(make, step) for step in islice(left, ahead))

    def results() -> Iterator[T]:
        while waiting:
            first = waiting.popleft()
            waiting.extend(pool.submit(make, step) for step in islice(left, 1))
            yield first.result()

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Batch:
    """What one step looks at; None is what its stage does not read (`signgen.training.stages.Stage.batch`).

    Attributes:
        windows: which frames, and their keypoints.
        rng: the step's generator after the windows were drawn, for everything else that is random in it.
        unordered: whether the frames of a window lie anywhere in its clip.
        sources, targets: uint8 (B, S, H, W, 3) and (B, V, H, W, 3), frames as the data set has them.
        poses: uint8 (B, V, H', W', 3) on the canvas; with guides behind (`signgen.model.guide`), where they are wanted.
        source_poses: uint8 (B, S, H', W', 3) and guides, of sources whose pose is told; what is not told is black.
        source_latents, latents: float16 (B, S, C, h, w) and (B, V, C, h, w) of sources and targets.
        tokens: float16 (B * S, L, D) of the sources, or None where they were not all made before.
    """

    windows: Windows
    rng: np.random.Generator
    unordered: bool
    sources: np.ndarray
    poses: np.ndarray
    source_poses: np.ndarray
    targets: np.ndarray | None = None
    source_latents: np.ndarray | None = None
    latents: np.ndarray | None = None
    tokens: np.ndarray | None = None


@dataclass(frozen=True)
class BatchMaker:
    """A generator -> `Batch`. What is random in it comes from the generator alone, so any thread may make it.

    Attributes:
        batch, views: windows, and frames of each. canvas: (W, H) or None, see `signgen.model.networks.canvas`.
        sources: S, how many each window has. unordered: frames of a window lie anywhere in its clip.
        told: share of windows in which the sources' own poses are told.
        keys: further fields of the batch that are wanted. per_clip: windows of a batch that are of one clip.
        latents: of all frames, (N, C, h, w), where they are wanted.
        tokens: sources (B * S,) -> (B * S, L, D) or None, where they are wanted.
        guides: whether the pose images have guides behind. style: of these, see `signgen.pose_image`.
    """

    cache: FrameCache
    batch: int
    views: int = 1
    canvas: Sequence[int] | None = None
    disturbance: Disturbance | None = None
    keys: Sequence[str] = ("targets",)
    per_clip: int = 1
    latents: StoredArray | None = None
    tokens: Callable[[np.ndarray], np.ndarray | None] | None = None
    guides: bool = False
    told: float = 0.0
    style: str = "signgen"

    def __call__(
        self, rng: np.random.Generator, views: int | None = None, sources: int = 1, unordered: bool = False
    ) -> Batch:
        """``views``: of this batch, where they are others than usual; the others: see `draw_windows`."""
        of = self.cache, self.batch, views or self.views, rng, self.disturbance, self.per_clip, sources, unordered
        return self.of(draw_windows(*of), rng, unordered)

    def of(self, windows: Windows, rng: np.random.Generator, unordered: bool = False) -> Batch:
        """The batch of given windows."""
        frames, latents, tokens = self.cache.frames, self.latents, self.tokens
        more: dict[str, Callable[[], np.ndarray | None]] = {
            "targets": lambda: frames[windows.target],
            "source_latents": lambda: None if latents is None else latents[windows.sources],
            "latents": lambda: None if latents is None else latents[windows.target],
            "tokens": lambda: None if tokens is None else tokens(windows.sources.ravel()),
        }
        wanted = {key: make() for key, make in more.items() if key in self.keys}
        sources, poses = frames[windows.sources], self._poses(windows.keypoints)
        told = self._told(windows.sources, rng)
        if self.guides:
            poses = np.concatenate([poses, self._guides(windows, sources, rng)], -1)
            told = np.concatenate([told, np.full((*told.shape[:-1], CHANNELS), NOTHING, np.uint8)], -1)
        return Batch(windows, rng, unordered, sources, poses, told, **wanted)

    def _told(self, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The pose images of sources (B, S), uint8 (B, S, H', W', 3), black where they are not told."""
        width, height = fit_canvas(*self.cache.size, self.canvas).size
        poses = np.zeros((*sources.shape, height, width, POSE), np.uint8)
        if self.told:
            told = rng.random(len(sources)) < self.told
            if told.any():
                points = np.array(self.cache.keypoints[sources[told].ravel()])
                poses[told] = self._poses(points.reshape(*sources[told].shape, 133, 3))
        return poses

    def _guides(self, windows: Windows, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 (B, V, H', W', `CHANNELS`), see `signgen.model.guide`; ``sources`` uint8 (B, S, H, W, 3)."""
        size = self.cache.size
        fit = fit_canvas(*size, self.canvas)
        chances = rng.random((len(sources), 3))
        guides = np.empty((*windows.target.shape, *fit.size[::-1], CHANNELS), np.uint8)
        for b, (true, hands, body) in enumerate(chances):
            points, solid = windows.keypoints[b], None
            shown: list[SourceRegions] = []
            if hands >= NO_HANDS:
                fitted = windows.truth[b] if true < TRUE_HANDS else points
                solid = HandFitter(size, PIXEL_ASPECT).fit(fitted[..., :2], fitted[..., 2]).pictures(size)
            if body >= NO_BODY:
                where = np.array(self.cache.keypoints[windows.sources[b]])
                shown = [SourceRegions.of(image, own) for image, own in zip(sources[b], where, strict=True)]
            guides[b] = draw_guides(points, solid, shown, size, fit.padding)
        return guides

    def _poses(self, keypoints: np.ndarray) -> np.ndarray:
        width, height = self.cache.size
        size = fit_canvas(width, height, self.canvas).size
        points = fit_points(keypoints.reshape(-1, 133, 3), width, height, self.canvas)
        images = draw_points(points[..., :2], points[..., 2], size, size, self.style)
        return images.reshape(*keypoints.shape[:2], *images.shape[1:])
