"""What the video will show, small, from what the model paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signgen.app.feed import LARGEST_SIDE

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints
    from signgen.pipeline import SignGenPipeline
    from signgen.rendering import RenderSettings
    from signgen.sources import Source


class Preview:
    """The frames of one render as `signgen.rendering` lays them into the output, at the size of a preview.

    Args:
        keypoints, source, settings: of the render.
        pipeline: the model that paints.
    """

    def __init__(
        self, keypoints: Keypoints, source: Source, settings: RenderSettings, pipeline: SignGenPipeline
    ) -> None:
        from signgen.rendering.driving import read_driving
        from signgen.rendering.plate import Plate, resized
        from signgen.rendering.scene import build_scene

        clip = read_driving(keypoints, source, settings).clip
        aspect = pipeline.config.pixel_aspect
        scene = build_scene(source, clip, pipeline.frame_size, aspect, settings.size, settings.align)
        size = small(scene.framing.output)
        around = None if scene.surroundings is None else resized(scene.surroundings, size)
        self._plate = Plate(scene.image, scene.framing.onto(size), around)

    def frames(self, painted: np.ndarray) -> np.ndarray:
        """uint8 (N,H,W,3) of the model's canvas -> uint8 (N,h,w,3) as the video will have it."""
        return np.stack([self._plate.compose(frame) for frame in painted])


def small(size: tuple[int, int], largest: int = LARGEST_SIDE) -> tuple[int, int]:
    """(W,H) with the same shape and no side above ``largest``."""
    scale = min(1.0, largest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
