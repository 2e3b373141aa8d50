"""Pictures of another shape than the frame: people are never squeezed, the frame is cut or gets more backdrop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints.clip import LARGEST_SIDE, Keypoints
from signgen.keypoints.skeleton import ANKLES, CONFIDENT, FACE, LEFT_HAND, RIGHT_HAND, SHOULDERS, UPPER_BODY

Size = tuple[int, int]

SAME_SHAPE = 0.01  # relative difference of aspect below which two frames have the same shape
FITS = ("keep", "stretch")
_SIDE, _TOP = 0.15, 0.65  # shoulder widths of room beside all that is seen, and above it: hair is no keypoint
_SHOWN = [
    joint
    for part in (UPPER_BODY, FACE, LEFT_HAND, RIGHT_HAND)
    for joint in range(part.start, part.stop)
]  # fmt: skip


def same_shape(a: Size, b: Size) -> bool:
    """True if two frames have the same aspect."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= SAME_SHAPE


@dataclass(frozen=True)
class Window:
    """What a picture of another shape shows of a frame; it may reach beyond it.

    Attributes:
        frame: (W,H) of the frame.
        x, y, width, height: the window in pixels of the frame.
    """

    frame: Size
    x: int
    y: int
    width: int
    height: int

    def of(self, keypoints: Keypoints) -> Keypoints:
        """Keypoints of the frame, in the window."""
        return keypoints.shifted(-self.x, -self.y).with_size(self.width, self.height)

    def back(self, keypoints: Keypoints) -> Keypoints:
        """Keypoints of the window, in the frame."""
        return keypoints.shifted(self.x, self.y).with_size(*self.frame)

    def place(self, size: Size) -> tuple[int, int, int, int]:
        """x, y, width and height of the frame in a picture of ``size`` (W,H) that shows the window."""
        across, down = size[0] / self.width, size[1] / self.height
        sides = max(round(self.frame[0] * across), 1), max(round(self.frame[1] * down), 1)
        return round(-self.x * across), round(-self.y * down), *sides

    def line(self, option: str, size: Size) -> str:
        """One line on what is cut and what is added."""
        cut = self.frame[0] - min(self.width, self.frame[0]), self.frame[1] - min(self.height, self.frame[1])
        more = max(self.width - self.frame[0], 0), max(self.height - self.frame[1], 0)
        done = [f"{px} pixels of empty margin are cut {where}" for px, where in zip(cut, _CUT, strict=True) if px]
        done += [f"{px} pixels of backdrop are added {where}" for px, where in zip(more, _ADDED, strict=True) if px]
        return (
            f"{option} {size[0]}x{size[1]} has another shape than the {self.frame[0]}x{self.frame[1]} frame:"
            f" {' and '.join(done)}; --fit stretch would squeeze the person"
        )


_CUT, _ADDED = ("at the sides", "above or below"), ("at the sides", "above")


def window_for(keypoints: Keypoints, size: Size) -> Window | None:
    """The window that fills a picture of ``size`` (W,H) without stretching; None for a picture of the frame's shape.

    Margin that the person never reaches is cut first; where that is not enough, backdrop is added: at both sides, or
    above, since a body may not end above the lower edge.

    Raises:
        BadValue: a shape so long that a frame of it would be too large.
    """
    width, height = keypoints.size
    if same_shape(keypoints.size, size):
        return None
    (left, top), (right, bottom) = _needed(keypoints)
    aspect = size[0] / size[1]
    if width / height > aspect:
        least = round(height * aspect)
        w = min(width, max(right - left, least))
        h = height if w == least else round(w / aspect)
        x = _about((width - w) // 2, right - w, left, width - w)
        window = Window(keypoints.size, x, height - h, w, h)
    else:
        least = round(width / aspect)
        h = min(height, max(bottom - top, least))
        w = width if h == least else round(h * aspect)
        y = _about(height - h, bottom - h, top, height - h)
        window = Window(keypoints.size, (width - w) // 2, y, w, h)
    if max(window.width, window.height) > LARGEST_SIDE or min(window.width, window.height) < 1:
        got = f"got {size[0]}x{size[1]} for a frame of {width}x{height}"
        raise BadValue("--size", got, "choose a shape nearer to the frame's, or add --fit stretch")
    return window


def _about(wanted: int, low: int, high: int, most: int) -> int:
    """A start as wanted, moved so that the window holds what it must and stays in the frame."""
    return int(np.clip(min(max(wanted, low), high), 0, most))


def _needed(keypoints: Keypoints) -> tuple[tuple[int, int], tuple[int, int]]:
    """(left, top), (right, bottom) of what must stay in the picture: all that is seen, down to the lower edge, or to
    the feet where they are in the frame."""
    width, height = keypoints.size
    limit = np.array([width, height])
    seen = keypoints.confidence >= np.minimum(CONFIDENT, keypoints.confidence.max())
    seen &= ((keypoints.xy >= 0) & (keypoints.xy < limit)).all(-1) & (keypoints.confidence > 0)
    shown = seen[:, _SHOWN]
    if not shown.any():
        return (0, 0), (width, height)
    points = keypoints.xy[:, _SHOWN][shown]
    both = seen[:, SHOULDERS].all(1)
    ends = keypoints.xy[both][:, SHOULDERS]
    shoulders = float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))) if both.any() else 0.1 * width
    low = np.clip(np.floor(points.min(0) - np.array([_SIDE, _TOP]) * shoulders), 0, limit)
    right = min(int(np.ceil(points[:, 0].max() + _SIDE * shoulders)) + 1, width)
    feet = seen[:, ANKLES].all(1)
    bottom = height
    if feet.mean() > 0.5:
        bottom = min(int(np.ceil(keypoints.xy[feet][:, ANKLES, 1].max() + _TOP * shoulders)), height)
    return (int(low[0]), int(low[1])), (right, bottom)
