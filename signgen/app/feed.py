"""Frames on their way to the browser, as small pictures, while a render goes on."""

from __future__ import annotations

import base64
import io
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline
    from signgen.model.engine import Engine
    from signgen.rendering import RenderSettings
    from signgen.rendering.source import Source

# An engine that shows what it paints and stops when it is told to.


class Watched:
    """Another engine's computations, in between which ``check`` may raise.

    Args:
        engine: what computes.
        show: given the frames of each window, uint8 (N,H,W,3) of the model's canvas.
        check: called before each computation.
    """

    def __init__(self, engine: Engine, show: Callable[[np.ndarray], None], check: Callable[[], None]) -> None:
        self.engine, self._show, self._check = engine, show, check
        self.name, self.threads = engine.name, engine.threads

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        self._check()
        return self.engine.conditions(poses, embedding)

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> Tensor:
        self._check()
        return self.engine.denoise(noisy, timestep, given)

    def frames(self, latents: Tensor) -> np.ndarray:
        self._check()
        frames = self.engine.frames(latents)
        self._show(frames)
        return frames


@contextmanager
def watched(
    pipeline: SignGenPipeline, show: Callable[[np.ndarray], None], check: Callable[[], None]
) -> Iterator[SignGenPipeline]:
    """The pipeline with its engine watched inside the block; only one job may use it meanwhile."""
    before = pipeline.engine
    pipeline.engine = Watched(before, show, check)
    try:
        yield pipeline
    finally:
        pipeline.engine = before


LARGEST_SIDE = 400  # px; a preview, the video itself is whole
QUALITY = 82
MOST_FEEDS = 16


class Feed:
    """The frames of one render in their order.

    Attributes:
        key: names it in addresses; nobody can guess it.
    """

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(16)
        self._frames: list[str] = []
        self._over = False
        self._lock = threading.Lock()

    def add(self, frames: np.ndarray) -> None:
        """Appends uint8 (N,H,W,3)."""
        pictures = [data_url(frame) for frame in frames]
        with self._lock:
            self._frames += pictures

    def close(self) -> None:
        """No more frames will come."""
        with self._lock:
            self._over = True

    def since(self, start: int) -> tuple[list[str], bool]:
        """Data URLs of the frames from number ``start`` on, and whether no more will come."""
        with self._lock:
            return self._frames[max(start, 0) :], self._over


class Feeds:
    """The feeds that browsers may still ask for; the oldest are forgotten."""

    def __init__(self, most: int = MOST_FEEDS) -> None:
        self._most = most
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._lock = threading.Lock()

    def new(self) -> Feed:
        """A new feed."""
        feed = Feed()
        with self._lock:
            self._feeds[feed.key] = feed
            while len(self._feeds) > self._most:
                self._feeds.popitem(last=False)
        return feed

    def get(self, key: str) -> Feed | None:
        """The feed of that key, unless it was never there or is forgotten."""
        with self._lock:
            return self._feeds.get(key)


def data_url(frame: np.ndarray, largest: int = LARGEST_SIDE) -> str:
    """uint8 (H,W,3) as a JPEG data URL, shrunk to sides of at most ``largest`` pixels."""
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((largest, largest))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


# What the video will show, small, from what the model paints.


class Preview:
    """The frames of one render as `signgen.rendering` lays them into the output, at the size of a preview.

    Args:
        keypoints, source, settings: of the render.
        pipeline: the model that paints.
    """

    def __init__(
        self, keypoints: Keypoints, source: Source, settings: RenderSettings, pipeline: SignGenPipeline
    ) -> None:
        from signgen.rendering.compositing import Compositor, resized
        from signgen.rendering.driving import read_driving
        from signgen.rendering.scene import build_scene

        clip = read_driving(keypoints, source, settings).clip
        aspect = pipeline.config.pixel_aspect
        scene = build_scene(source, clip, pipeline.frame_size, aspect, settings.size, settings.align)
        size = small(scene.framing.output)
        around = None if scene.surroundings is None else resized(scene.surroundings, size)
        self._compositor = Compositor(scene.image, scene.framing.onto(size), around)

    def frames(self, painted: np.ndarray) -> np.ndarray:
        """uint8 (N,H,W,3) of the model's canvas -> uint8 (N,h,w,3) as the video will have it."""
        return np.stack([self._compositor.compose(frame) for frame in painted])


def small(size: tuple[int, int], largest: int = LARGEST_SIDE) -> tuple[int, int]:
    """(W,H) with the same shape and no side above ``largest``."""
    scale = min(1.0, largest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
