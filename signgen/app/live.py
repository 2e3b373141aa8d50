"""What the page's player shows: the skeleton of a clip at once, and the frames of a render while it goes on."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline

PER_PIXEL = 4  # units of a coordinate on its way to the browser
MISSING = -32768
_FARTHEST = 32000
LARGEST_SIDE = 400  # px of a live frame; the video itself is whole
QUALITY = 82  # of its JPEG


def player_content(keypoints: Keypoints, title: str, live: str | None = None) -> str:
    """What the page's player is given, as JSON. The browser draws the skeleton: small, at once, and always sharp.

    Args:
        keypoints: the frames to be shown.
        title: name of the clip.
        live: key of the stream that will have the rendered frames.
    """
    width, height = keypoints.size
    content = {
        "title": title, "frames": len(keypoints), "width": width, "height": height, "fps": keypoints.fps,
        "points": packed(keypoints), "live": live,
    }  # fmt: skip
    return json.dumps(content)


def packed(keypoints: Keypoints) -> str:
    """x and y of all points as base64 of little-endian int16 (T,133,2), quarter pixels, `MISSING` where not seen."""
    points = np.clip(np.rint(keypoints.xy * PER_PIXEL), -_FARTHEST, _FARTHEST).astype("<i2")
    points[keypoints.confidence <= 0] = MISSING
    return base64.b64encode(points.tobytes()).decode("ascii")


def strokes() -> list[list[Any]]:
    """What to draw, in order: [point, point, colour as #rrggbb, width for a frame of 260 rows]."""
    from signgen.keypoints.skeleton import FINGERS, LIMB_GROUPS
    from signgen.pose_image.palette import FINGER_WIDTH, GROUPS, LEFT_FINGERS, RIGHT_FINGERS, WRIST_LINKS

    drawn: list[list[Any]] = []
    for name, (colour, width) in GROUPS.items():
        pairs = (*LIMB_GROUPS[name], *WRIST_LINKS.get(name, ()))
        drawn += [[a, b, "#" + bytes(colour).hex(), width] for a, b in pairs]
    for side, colours in (("left", LEFT_FINGERS), ("right", RIGHT_FINGERS)):
        for finger, colour in zip(FINGERS, colours, strict=True):
            drawn += [[a, b, "#" + bytes(colour).hex(), FINGER_WIDTH] for a, b in LIMB_GROUPS[f"{side}_{finger}"]]
    return drawn


def data_url(frame: np.ndarray, largest: int = LARGEST_SIDE) -> str:
    """uint8 (H,W,3) as a JPEG data URL, shrunk to sides of at most ``largest`` pixels."""
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((largest, largest))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


class LiveStream:
    """The frames of one render in their order, as small pictures."""

    def __init__(self) -> None:
        self._frames: list[str] = []
        self._over = False
        self._lock = threading.Lock()

    def add(self, frame: np.ndarray) -> None:
        """Appends uint8 (H,W,3)."""
        picture = data_url(frame)
        with self._lock:
            self._frames.append(picture)

    def close(self) -> None:
        """No more frames will come."""
        with self._lock:
            self._over = True

    def since(self, start: int) -> tuple[list[str], bool]:
        """Data URLs of the frames from number ``start`` on, and whether no more will come."""
        with self._lock:
            return self._frames[max(start, 0) :], self._over


@contextmanager
def watched(pipeline: SignGenPipeline, check: Callable[[], None]) -> Iterator[SignGenPipeline]:
    """The pipeline, between whose computations ``check`` may raise inside the block; only one job may use it then."""
    from signgen.model.engine import WatchedEngine

    before = pipeline.engine
    pipeline.engine = WatchedEngine(before, lambda name, *given: check())
    try:
        yield pipeline
    finally:
        pipeline.engine = before
