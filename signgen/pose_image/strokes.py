"""Style ``signgen``: confidence and palm side -> opacity, order and colour of every layer of a frame."""

from __future__ import annotations

import numpy as np

from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.pose_image import palette
from signgen.pose_image.coverage import draw_layers

FADE_FROM, FADE_TO = 0.05, 0.7
# Sine of the angle between index and little knuckle, seen from the wrist, of a hand held flat to the camera.
FLAT_HAND_SINE = 0.5


def draw_clip(xy: np.ndarray, confidence: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(T,133,2) pixels of ``frame_size`` and (T,133) -> (T,H,W,3) uint8 RGB pictures of ``size``.

    Coordinate 0 is the centre of the first pixel, so pixel centres stay pixel centres when ``size`` differs.
    """
    width, height = size
    xy = (np.asarray(xy, np.float64) + 0.5) * (width / frame_size[0], height / frame_size[1])  # from the corner now
    opacity = fade(confidence) * np.isfinite(xy).all(-1)
    xy = np.clip(np.nan_to_num(xy), -1e7, 1e7)  # keeps squared distances exact enough; far outside any picture
    scale = min(width / palette.REFERENCE_SIZE[0], height / palette.REFERENCE_SIZE[1])
    facing = palm_facing(xy, scale)
    table = palette.table()
    table = table._replace(radii=table.radii * scale, orders=table.orders[_orders(confidence, facing)])
    out = np.empty((len(xy), height, width, 3), np.uint8)
    draw_layers(xy, opacity, facing, table, palette.PALM_OPACITY, out)
    return out


def fade(confidence: np.ndarray) -> np.ndarray:
    """(T,133) confidence -> opacity: 0 up to `FADE_FROM`, then rising evenly, 1 from `FADE_TO` on.

    Detectors and drawn signers give covered points about 0.3 to 0.5 and clear ones 0.7 and more.
    """
    scores = np.nan_to_num(np.asarray(confidence, np.float64))
    return np.clip((scores - FADE_FROM) / (FADE_TO - FADE_FROM), 0, 1)


def palm_facing(xy: np.ndarray, scale: float) -> np.ndarray:
    """(T,133,2) -> (T,2), left and right: 1 = palm to the camera, -1 = back, near 0 = edge on.

    The sign of the cross product of the index and little knuckles seen from the wrist, y down: positive is the palm of
    a left hand and the back of a right one. A hand too small to tell tends to 0.
    """
    blur = (2 * scale) ** 2  # square of two pixels at 260 rows, about the error of a detector
    sides = []
    for wrist, sign in ((LEFT_HAND.start, 1), (RIGHT_HAND.start, -1)):
        index, little = (xy[:, wrist + k] - xy[:, wrist] for k in (5, 17))
        cross = index[:, 0] * little[:, 1] - index[:, 1] * little[:, 0]
        spread = np.hypot(*index.T) * np.hypot(*little.T) + blur
        sides.append(np.clip(sign * cross / spread / FLAT_HAND_SINE, -1, 1))
    return np.stack(sides, -1)


def _orders(confidence: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(T,) rows of the table of orders: the hand that is seen better lies over the other."""
    left, right = (confidence[:, w : w + 21].sum(-1) for w in (LEFT_HAND.start, RIGHT_HAND.start))
    left_back, right_back = (facing < 0).T
    return 4 * (right >= left) + 2 * left_back + right_back
