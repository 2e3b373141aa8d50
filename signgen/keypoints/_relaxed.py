"""The shape of a hand that hangs or rests, for hands that a clip never shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import InputError
from signgen.keypoints._proportions import measure

if TYPE_CHECKING:
    from signgen.keypoints.sequence import Keypoints

PALM_OF_SHOULDERS = 0.29  # wrist to middle knuckle over the width of the shoulders, for want of a hand to measure

# A left hand's 21 points, fingers a little curled, seen from the back, in lengths of the palm: x runs on from the
# forearm, y to the thumb's side. (The picture's y points down: a left forearm that points to the picture's left has
# the thumb above.)
_LEFT = (
    (0.00, 0.00),
    (0.30, 0.25), (0.58, 0.40), (0.82, 0.45), (1.02, 0.44),
    (0.99, 0.22), (1.30, 0.24), (1.46, 0.20), (1.56, 0.14),
    (1.00, 0.02), (1.35, 0.03), (1.53, -0.01), (1.63, -0.06),
    (0.94, -0.16), (1.26, -0.18), (1.43, -0.20), (1.53, -0.23),
    (0.84, -0.32), (1.07, -0.37), (1.21, -0.39), (1.30, -0.40),
)  # fmt: skip


def relaxed_hand(clip: Keypoints, *, left: bool) -> np.ndarray | None:
    """complex (21,) pixels from the wrist, the real axis along the forearm; None if no shoulders say how large it is.

    Its palm is as long as that of the other hand, or in proportion to the shoulders.
    """
    try:
        person = measure(clip)
    except InputError:
        return None
    x, y = np.array(_LEFT).T
    return (x + 1j * (y if left else -y)) * (person.palm or PALM_OF_SHOULDERS * person.shoulders)
