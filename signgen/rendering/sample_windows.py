"""A clip of any length in windows of V views, each with known views and noise by frame.

View 0 of every window is the source (known). The next K views are the last K frames already rendered (known), so that
motion carries over; the others are new. The first window has no frames behind it; it is kept short, so that the first
frames are there soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from signgen.keypoints.skeleton import LOWER_BODY
from signgen.rendering.background_threads import ahead
from signgen.rendering.scene import Scene
from signgen.rendering.settings import RenderSettings, check_window

if TYPE_CHECKING:
    from torch import Tensor

    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline
    from signgen.model.regions import SourceRegions
    from signgen.pose_image.solid import SolidHands


FIRST_VIEWS = 8  # of a clip's first window, at most
BLOCK = 256  # frames whose hands are fitted at once, where they are not rendered


@dataclass(frozen=True)
class Window:
    """Frames of one window, as indices into the clip.

    Attributes:
        known: frames already rendered, oldest first.
        new: frames to be rendered.
    """

    known: range
    new: range

    @property
    def views(self) -> int:
        """V: the source, the known frames and the new ones."""
        return 1 + len(self.known) + len(self.new)


def plan_windows(frames: int, views: int, overlap: int) -> Iterator[Window]:
    """The windows of a clip of ``frames`` frames, in the order in which they are rendered.

    Where a window ends depends on ``views`` and ``overlap`` alone, never on how long the clip is: a longer clip begins
    with the same whole windows as a shorter one.

    Args:
        frames: T, frames of the clip.
        views: V, at least 2.
        overlap: K, from 0 to V - 2.
    """
    check_window(views, overlap)
    done = 0
    while done < frames:
        known = range(done - min(overlap, done), done)
        most = views if done else min(views, FIRST_VIEWS)
        new = range(done, min(frames, done + most - 1 - len(known)))
        yield Window(known, new)
        done = new.stop


@dataclass(frozen=True)
class RenderedWindow:
    """New frames of one window.

    Attributes:
        indices: which frames of the clip they are.
        frames: uint8 (N,H,W,3) of the canvas's size.
        evaluations: denoiser evaluations of one view each that the window took.
    """

    indices: range
    frames: np.ndarray
    evaluations: int


def render_windows(
    pipeline: SignGenPipeline, scene: Scene, frames: range, settings: RenderSettings
) -> Generator[RenderedWindow, None, None]:
    """Renders window after window; nothing but the last K latents is kept from one to the next.

    The next window's poses are drawn meanwhile.

    Args:
        pipeline: the model.
        scene: source and driving keypoints on the canvas.
        frames: which frames of the clip to render; noise is seeded with these indices.
        settings: how; None means the model's own, for the overlap none.
    """
    person = None if scene.person is None else draw_canvas(pipeline, scene.person)[0]
    source = pipeline.encode_source(scene.image, person)
    overlap = settings.overlap or 0
    looked_at = Shown(pipeline, scene, overlap) if pipeline.refiners or pipeline.guided else None
    kept: deque[Tensor] = deque(maxlen=max(overlap, 1))
    windows = plan_windows(len(frames), settings.window or pipeline.config.window, overlap)
    with pipeline.fixed_device():
        drawn = (partial(_drawn, pipeline, scene, frames, window, looked_at) for window in windows)
        for window, poses, solid in ahead(drawn):
            known = list(kept)[len(kept) - len(window.known) :] if window.known else []
            indices = frames[window.new.start : window.new.stop]
            output = pipeline(
                source,
                poses,
                frame_indices=list(indices),
                known_latents=known,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                seed=settings.seed,
            )
            kept.extend(output.latents)
            painted = output.frames
            if looked_at is not None and solid is not None:
                points, new = scene.driving[indices.start : indices.stop].points, slice(-len(indices), None)
                painted = pipeline.refine(painted, poses[new], points, solid[new], looked_at.sources)
            yield RenderedWindow(indices, painted, output.evaluations)


def _drawn(
    pipeline: SignGenPipeline, scene: Scene, frames: range, window: Window, shown: Shown | None
) -> tuple[Window, np.ndarray, np.ndarray | None]:
    """A window, what the model sees of its known and new frames, and the hands fitted to these."""
    first = frames[window.known.start] if window.known else frames[window.new.start]
    driving = scene.driving[first : frames[window.new.stop - 1] + 1]
    poses = draw_canvas(pipeline, driving)
    if shown is None:
        return window, poses, None
    solid = shown.hands(first, len(driving))
    return window, pipeline.with_guides(poses, driving.points, solid, shown.sources), solid


class Shown:
    """What a model may be shown beside the skeleton: the source's parts, and the hands fitted frame after frame, from
    the clip's first on, so that a part of a clip comes out as in the whole.

    Attributes:
        sources: of the source pictures, those of which it is known where the person stands.
    """

    def __init__(self, pipeline: SignGenPipeline, scene: Scene, overlap: int) -> None:
        from signgen.model.regions import SourceRegions
        from signgen.pose_image.solid import HandFitter

        self.sources: list[SourceRegions] = []
        if scene.person is not None:
            self.sources = [SourceRegions.of(scene.image, scene.person.points[0], pipeline.device)]
        self._size = pipeline.frame_size
        self._fitter = HandFitter(self._size, pipeline.config.pixel_aspect)
        self._driving, self._done = scene.driving, 0
        self._last: deque[np.ndarray] = deque(maxlen=overlap)

    def hands(self, first: int, count: int) -> np.ndarray:
        """uint8 (N, H, W, 6) of ``count`` frames from ``first`` on, of which those that were asked for before come
        first, as many as windows overlap."""
        known = list(self._last)[len(self._last) - (self._done - first) :] if first < self._done else []
        while self._done < first:  # block after block, so that memory does not grow with the clip
            self._fit(min(self._done + BLOCK, first))
        new = self._fit(first + count).pictures(self._size)
        self._last.extend(new)
        return np.concatenate([np.stack(known), new]) if known else new

    def _fit(self, stop: int) -> SolidHands:
        part = self._driving[self._done : stop]
        self._done = stop
        return self._fitter.fit(part.xy, part.confidence)


def draw_canvas(pipeline: SignGenPipeline, keypoints: Keypoints) -> np.ndarray:
    """Pose images uint8 (N,H',W',3) of keypoints in frame pixels, on the pipeline's padded canvas."""
    from signgen.pose_image import draw_pose

    left, _, top, _ = pipeline.canvas_padding
    if not pipeline.config.lower_body:
        confidence = keypoints.confidence.copy()
        confidence[:, LOWER_BODY] = 0
        keypoints = replace(keypoints, confidence=confidence)
    on_canvas = keypoints.shifted(left, top).with_size(*pipeline.canvas_size)
    return draw_pose(on_canvas, style=pipeline.config.pose_style)
