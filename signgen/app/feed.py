"""Frames on their way to the browser, as small pictures, while a render goes on."""

from __future__ import annotations

import base64
import io
import secrets
import threading
from collections import OrderedDict

import numpy as np

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
