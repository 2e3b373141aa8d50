"""MediaPipe Holistic, whose models come in the wheel of its last release with ``solutions``."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.extract.estimator import PADDING
from signgen.extract.holistic_points import from_holistic
from signgen.extract.native_words import kept_aside
from signgen.metrics.hand_detectors.mediapipe_hands import INSTALL
from signgen.metrics.hand_detectors.packages import import_or_say

COMPLEXITY = 1  # the model in the wheel; the others are downloaded
CONFIDENCE = 0.5  # of its person detector and of its tracker; its own default


class MediaPipeHolistic:
    """Body, face and hands of one person, followed from frame to frame.

    Args:
        holistic: an object of ``mediapipe.solutions.holistic.Holistic``.
        version: of the package, for the signature.
    """

    def __init__(self, holistic: Any, version: str) -> None:
        self.holistic = holistic
        options = f"complexity:{COMPLEXITY},confidence>={CONFIDENCE:g}"
        self.signature = f"mediapipe-holistic,{version},{options}"

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        """See `Estimator.look`. Body points score their visibility, face and hands 1 where they are found."""
        left, top, right, bottom = cut(box, frames.shape[2], frames.shape[1])
        crops = [np.ascontiguousarray(frame[top:bottom, left:right]) for frame in frames]
        first = [] if follows else [self._begin(crops[0])]
        results = first + [self.holistic.process(crop) for crop in crops[len(first) :]]
        found = np.stack([from_holistic(result, (right - left, bottom - top)) for result in results])
        found[..., :2] += np.where(found[..., 2:] > 0, [left, top], 0)
        return found

    def _begin(self, crop: np.ndarray) -> Any:
        """The first frame of somebody else. Its graph starts anew, and says a dozen things that mean nothing here."""
        with kept_aside():
            self.holistic.reset()
            return self.holistic.process(crop)


def cut(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom (the last two excluded) of the region around a box, inside of the frame."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * PADDING / 2
    low = np.clip(np.floor(centre - half + 0.5), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(centre + half + 0.5), low + 1, [width, height]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def load_mediapipe() -> MediaPipeHolistic:
    """MediaPipe Holistic with the models of its wheel.

    Raises:
        InputError: it is not installed, or is a release without ``solutions``.
    """
    mediapipe = import_or_say("mediapipe", INSTALL)
    if not hasattr(mediapipe, "solutions"):
        got = f"version {mediapipe.__version__} has no solutions"
        raise InputError("mediapipe", got, f"install it with: {INSTALL}")
    with kept_aside():
        holistic = mediapipe.solutions.holistic.Holistic(
            static_image_mode=False, model_complexity=COMPLEXITY, smooth_landmarks=True,
            min_detection_confidence=CONFIDENCE, min_tracking_confidence=CONFIDENCE,
        )  # fmt: skip
        holistic.process(np.zeros((64, 64, 3), np.uint8))  # waits for its threads, which have things to say
    return MediaPipeHolistic(holistic, mediapipe.__version__)
