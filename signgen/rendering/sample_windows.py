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


FIRST_VIEWS = 8  # of a clip's first window, at most


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
    kept: deque[Tensor] = deque(maxlen=max(overlap, 1))
    windows = plan_windows(len(frames), settings.window or pipeline.config.window, overlap)
    with pipeline.fixed_device():
        for window, poses in ahead(partial(_drawn, pipeline, scene, frames, window) for window in windows):
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
            yield RenderedWindow(indices, output.frames, output.evaluations)


def _drawn(pipeline: SignGenPipeline, scene: Scene, frames: range, window: Window) -> tuple[Window, np.ndarray]:
    """A window and the pose images of its known and new frames."""
    first = frames[window.known.start] if window.known else frames[window.new.start]
    return window, draw_canvas(pipeline, scene.driving[first : frames[window.new.stop - 1] + 1])


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
