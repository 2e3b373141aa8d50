"""Keypoints that come frame after frame, as a render wants them: in pixels, steady, with lost hands carried on.

Nothing here looks farther ahead than it is told to. What is done is what a render does to a whole clip
(`signgen.rendering.driving`), with the frames that are there so far in the clip's place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import isclose

import numpy as np

from signgen.errors import BadValue, Mismatch
from signgen.keypoints import Keypoints
from signgen.keypoints.filters import OneEuro
from signgen.keypoints.pieces import joined
from signgen.keypoints.raw import RawClip
from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.skeleton import NUM_JOINTS, SHOULDERS
from signgen.keypoints.units import DEFAULT_FPS, placing

PAST = 1.6  # seconds that are looked back at to complete a frame
MEASURED = 12  # frames by which a person is measured who is fitted to the source's; they are not shown
MOST_DELAY = 50  # frames


class Causal:
    """The frames of one signer so far.

    Args:
        fps: frames a second at which they come; None: a clip's, see `expect`, or `DEFAULT_FPS`.
        size: (W, H) of the frame they lie in; None: a clip's, or the smallest common one that holds the first frame's
            points.
        delay: frames that may come before one is completed: what is lost for a shorter time goes on to where it is
            seen again.
        smooth: whether points are smoothed by speed, see `OneEuro`.
        fill_hands: whether lost hands, faces and elbows are completed.

    Attributes:
        count: frames that have come.

    Raises:
        BadValue: a delay that is not allowed.

    Example:
        >>> from signgen import read_keypoints
        >>> from signgen.streaming.causal import Causal
        >>> causal = Causal(fps=25.0, size=(210, 260))
        >>> causal.add(read_keypoints("clip.pose").keypoints.points[0])
        >>> causal.frame().confidence.shape
        (1, 133)
    """

    def __init__(
        self,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        delay: int = 0,
        smooth: bool = True,
        fill_hands: bool = True,
    ) -> None:
        if not 0 <= delay <= MOST_DELAY:
            raise BadValue("--delay", f"got {delay}", f"allowed are 0 to {MOST_DELAY} frames")
        self._fps, self.delay, self.count = fps, delay, 0
        self._size, self._smooth, self._fill = size, smooth, fill_hands
        self._to_pixels: Callable[[np.ndarray], np.ndarray] | None = None
        self._euro: OneEuro | None = None
        self._frames: deque[Keypoints] = deque()
        self._upright: deque[Keypoints] = deque()  # those of the frames before that show both shoulders
        self._last: Keypoints | None = None  # the newest with anybody, of those that have been asked for

    @property
    def fps(self) -> float:
        """Frames a second at which they come."""
        return self._fps or DEFAULT_FPS

    def expect(self, clip: Keypoints) -> None:
        """Takes the size and the rate of a clip whose frames come next, where none are known.

        Raises:
            Mismatch: others are known.
        """
        fps, size = self.fps if self.count else self._fps, self._size
        if size not in (None, clip.size):
            got = f"its frame is {clip.width}x{clip.height}, the stream's {size[0]}x{size[1]}"
            raise Mismatch(clip.name or "keypoints", got, "give frame_size of the clip, or bring it to that size")
        if fps is not None and not isclose(fps, clip.fps, rel_tol=1e-3):
            got = f"it has {clip.fps:g} frames per second, the stream {fps:g}"
            raise Mismatch(clip.name or "keypoints", got, "give fps of the clip")
        self._size, self._fps = clip.size, self._fps or clip.fps

    def add(self, points: np.ndarray) -> None:
        """The next frame: (133,3), x, y and confidence, or (133,2); pixels, or fractions of the frame.

        Raises:
            BadValue: another shape.
        """
        given = np.asarray(points, np.float64)
        if given.shape not in ((NUM_JOINTS, 2), (NUM_JOINTS, 3)):
            raise BadValue("keypoints", f"an array of shape {given.shape}", "give (133,3) a frame: x, y, confidence")
        raw = RawClip(given[None], None, "live")
        ((xy, scores),) = raw.blocks()
        if self._to_pixels is None or self._size is None:
            to_pixels, size, _ = placing(raw, self._size)
            if (scores > 0).any():  # else there is nothing to tell the units by
                self._to_pixels, self._size = to_pixels, size
        else:
            to_pixels, size = self._to_pixels, self._size
        frame, _ = Keypoints.clean(to_pixels(xy), scores, *size, self.fps, "live")
        frame = self._steadied(frame)
        back = round(PAST * self.fps)
        _append(self._frames, frame, max(back, 2) + self.delay)
        if (frame.confidence[0, SHOULDERS] > 0).all():
            _append(self._upright, frame, max(back, MEASURED) + self.delay)
        self.count += 1

    def _steadied(self, frame: Keypoints) -> Keypoints:
        if not self._smooth:
            return frame
        if self._euro is None and (frame.confidence[0, SHOULDERS] > 0).all():
            width = float(np.linalg.norm(np.subtract(*frame.xy[0, SHOULDERS])))
            self._euro = OneEuro(self.fps, max(width, 1.0))
        if self._euro is None:
            return frame
        return replace(frame, xy=self._euro.smooth(frame.xy, frame.confidence))

    def seen(self) -> Keypoints | None:
        """What came lately of frames that show both shoulders: by them a person is measured; None: there are none."""
        return joined(list(self._upright)) if self._upright else None

    def frame(self, behind: int = 0) -> Keypoints | None:
        """The frame that came ``behind`` frames before the newest, completed; where nobody was found, the last one
        before that was asked for. None: nobody was found so far."""
        at = len(self._frames) - 1 - behind
        if at < 0:
            return None
        frame = self._frames[at]
        if frame.confidence.any():
            if self._fill:
                frame = fill_missing(joined(list(self._frames)))[0][at : at + 1]
            self._last = frame
        return self._last


def _append(frames: deque[Keypoints], frame: Keypoints, most: int) -> None:
    """Adds a frame to the ``most`` newest."""
    frames.append(frame)
    while len(frames) > most:
        frames.popleft()
