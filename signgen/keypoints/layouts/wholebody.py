"""Other orders of a whole body's points, as places in them of the 133 points of COCO-WholeBody."""

from __future__ import annotations

import numpy as np

from signgen.keypoints.skeleton import NUM_JOINTS

NONE = -1  # a point that an order does not have

# Halpe-136 (AlphaPose): 17 body points as COCO, head, neck, hip, feet in pairs of left and right, 68 face, two hands.
# Fang et al., "AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in Real-Time", TPAMI 2022.
HALPE_136 = (*range(17), 20, 22, 24, 21, 23, 25, *range(26, 136))

# Goliath-308 (Sapiens): 15 body points without wrists, feet, each hand from the tips of its fingers to its wrist, then
# a fine face without the line of the jaw. "Midpoints" are numbered from the picture's left to its right.
# Khirodkar et al., "Sapiens: Foundation for Human Vision Models", ECCV 2024.
_RIGHT_HAND, _LEFT_HAND = 21, 42
_FINGERS = tuple(4 * finger + 3 - joint for finger in range(5) for joint in range(4))
_FACE = (
    *(NONE,) * 8, 77, *(NONE,) * 8,  # of the jaw only the chin
    80, 83, 81, 84, 78, 87, 92, 90, 93, 89,  # brows
    71, 74, 75, 178, 183, 182, 179, 185, 186,  # nose
    121, 123, 124, 120, 165, 164, 96, 100, 99, 97, 147, 148,  # lash lines
    188, 192, 197, 190, 198, 193, 189, 195, 202, 191, 201, 194,  # outer lips
    204, 208, 206, 209, 205, 211, 207, 210,  # inner lips
)  # fmt: skip
SAPIENS_308 = (
    *range(9), _LEFT_HAND + 20, _RIGHT_HAND + 20, *range(9, 21), *_FACE,
    _LEFT_HAND + 20, *(_LEFT_HAND + point for point in _FINGERS),
    _RIGHT_HAND + 20, *(_RIGHT_HAND + point for point in _FINGERS),
)  # fmt: skip
ORDERS = {136: HALPE_136, 308: SAPIENS_308}  # number of points -> order


def in_order(points: np.ndarray, axis: int = -2) -> np.ndarray:
    """The 133 points of arrays that have them in another order along ``axis``; zeros where that lacks a point.

    Raises:
        KeyError: no order in `ORDERS` has so many points.
    """
    count = points.shape[axis]
    if count == NUM_JOINTS:
        return points
    places = np.array(ORDERS[count])
    found = np.moveaxis(np.take(points, places, axis), axis, 0)
    found[places == NONE] = 0
    return np.moveaxis(found, 0, axis)
