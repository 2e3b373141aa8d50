"""A whole clip of any length: windows, known views, per-frame seeds, frames streamed to the encoder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.keypoints.skeleton import LOWER_BODY
from signgen.rendering.background_threads import ahead
from signgen.rendering.compare import CompareSheet
from signgen.rendering.compositing import Plate
from signgen.rendering.scene import Scene
from signgen.rendering.settings import Progress
from signgen.rendering.windows import Window, plan_windows

if TYPE_CHECKING:
    from torch import Tensor

    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline


@dataclass(frozen=True)
class Sampling:
    """The resolved settings of sampling: see `RenderSettings`."""

    steps: int
    guidance: tuple[float, float]
    window: int
    overlap: int
    seed: int


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
    pipeline: SignGenPipeline, scene: Scene, frames: range, sampling: Sampling
) -> Iterator[RenderedWindow]:
    """Renders window after window; nothing but the last K latents is kept from one to the next.

    The next window's poses are drawn meanwhile.

    Args:
        pipeline: the model.
        scene: source and driving keypoints on the canvas.
        frames: which frames of the clip to render; noise is seeded with these indices.
        sampling: how.
    """
    person = None if scene.person is None else draw_canvas(pipeline, scene.person)[0]
    source = pipeline.encode_source(scene.image, person)
    kept: deque[Tensor] = deque(maxlen=max(sampling.overlap, 1))
    windows = plan_windows(len(frames), sampling.window, sampling.overlap)
    with pipeline.fixed_device():
        for window, poses in ahead(partial(_drawn, pipeline, scene, frames, window) for window in windows):
            known = list(kept)[len(kept) - len(window.known) :] if window.known else []
            indices = frames[window.new.start : window.new.stop]
            output = pipeline(
                source,
                poses,
                frame_indices=list(indices),
                known_latents=known,
                num_inference_steps=sampling.steps,
                guidance_scale=sampling.guidance,
                seed=sampling.seed,
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


class Sink:
    """Where finished frames go: the video, and the side-by-side video if one is made."""

    def __init__(self, plate: Plate, writer: Any, sheet: CompareSheet | None = None, sheet_writer: Any = None) -> None:
        self._plate, self._writer, self._sheet, self._sheet_writer = plate, writer, sheet, sheet_writer

    def write(self, window: RenderedWindow) -> None:
        """Composes and encodes the frames of one window."""
        for index, canvas in zip(window.indices, window.frames, strict=True):
            frame = self._plate.compose(canvas)
            self._writer.write(frame)
            if self._sheet is not None:
                self._sheet_writer.write(self._sheet.row(index, frame))


def stream(
    windows: Iterator[RenderedWindow], write: Callable[[RenderedWindow], None], total: int, progress: Progress | None
) -> int:
    """Hands windows to ``write`` as they come, and returns the evaluations they took."""
    done = evaluations = 0
    if progress is not None:
        progress(0, total)
    for window in windows:
        write(window)
        done += len(window.indices)
        evaluations += window.evaluations
        if progress is not None:
            progress(done, total)
    return evaluations
