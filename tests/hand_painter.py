"""A picture with a bright square for each hand, its keypoints, and a detector that finds bright pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.scoring.metrics.hand_detectors.interface import detect_each

WIDTH, HEIGHT = 210, 260
LEFT, RIGHT = (150, 120), (60, 140)  # centres of the hands, whole pixels
SPREAD = np.stack([np.arange(21) % 5 - 2, np.arange(21) // 5 - 2], -1) * 5  # joints around the centre


def painted(left: tuple[int, int] = LEFT, right: tuple[int, int] = RIGHT, count: int = 1) -> np.ndarray:
    """Black frames (count,260,210,3) with a white square of 5 pixels at each hand's centre."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x, y in (left, right):
        frame[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 255
    return np.repeat(frame[None], count, 0)


def keypoints(
    left: tuple[int, int] = LEFT, right: tuple[int, int] = RIGHT, sure: tuple[float, float] = (1, 1), count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """xy (count,133,2) and confidence (count,133): 21 joints around each centre."""
    xy, confidence = np.zeros((count, 133, 2), np.float32), np.zeros((count, 133), np.float32)
    for start, centre, score in ((91, left, sure[0]), (112, right, sure[1])):
        xy[:, start : start + 21], confidence[:, start : start + 21] = SPREAD + centre, score
    return xy, confidence


class Spotter:
    """Puts all joints of a hand on the centre of the bright pixels in its box, in the pattern of the keypoints."""

    signature = "spotter"
    found_from = 0.5

    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        return detect_each(frames, boxes, self._look)

    @staticmethod
    def _look(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = np.clip(np.ceil(box), 0, None).astype(int)
        y, x = np.nonzero(frame[y0:y1, x0:x1].mean(-1) > 128)
        if not len(x):
            return np.zeros((21, 3), np.float32)
        centre = np.array([x0 + x.mean(), y0 + y.mean()])
        return np.concatenate([SPREAD + centre, np.ones((21, 1))], -1).astype(np.float32)
