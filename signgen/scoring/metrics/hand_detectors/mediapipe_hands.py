"""MediaPipe Hands, whose models come in the wheel of its last release with ``solutions``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen.errors import BadValue
from signgen.extraction.packages import mediapipe_solutions
from signgen.scoring.metrics.hand_detectors.interface import JOINTS, Places, detect_each
from signgen.video.tensors import channels_first, to_frames

CROP = 256  # pixels: it looks for a palm first, and misses those of a few dozen pixels
COMPLEXITY = 1  # the model in the wheel; the other one is downloaded
CONFIDENCE = 0.3  # of its palm detector


class MediaPipeHands:
    """MediaPipe Hands on one crop at a time, without tracking.

    Args:
        hands: an object of ``mediapipe.solutions.hands.Hands``.
        version: of the package, for the signature.
    """

    found_from = 0.0  # it says itself when it finds none

    def __init__(self, hands: Any, version: str) -> None:
        self.hands = hands
        options = f"complexity:{COMPLEXITY},crop:{CROP},palm>={CONFIDENCE:g}"
        self.signature = f"mediapipe-hands,{version},{options}"

    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        """See `HandDetector.detect`. The score is that of the handedness, the same for all joints of a hand."""
        return detect_each(frames, boxes, self._look)

    def _look(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        place = Places.upright(torch.from_numpy(box)[None].float(), torch.zeros(1, dtype=torch.bool))
        crop = to_frames(place.cut(channels_first(frame[None]).float(), CROP).round().byte())[0]
        result = self.hands.process(np.ascontiguousarray(crop))
        if not result.multi_hand_landmarks:
            return np.zeros((JOINTS, 3), np.float32)
        landmarks = result.multi_hand_landmarks[0].landmark  # in COCO-WholeBody's order: wrist, thumb to little finger
        shares = torch.tensor([[[point.x, point.y] for point in landmarks]], dtype=torch.float32)
        score = result.multi_handedness[0].classification[0].score
        return np.concatenate([place.to_frame(shares)[0].numpy(), np.full((JOINTS, 1), score, np.float32)], -1)


def load_mediapipe(weights: str | Path | None = None) -> MediaPipeHands:
    """MediaPipe Hands with the models of its wheel.

    Raises:
        InputError: it is not installed or does not start, see `mediapipe_solutions`; or weights are given.
    """
    if weights is not None:
        raise BadValue("hand detector mediapipe", f"got weights {weights}", "it uses those of its wheel: give none")
    with mediapipe_solutions() as mediapipe:
        hands = mediapipe.solutions.hands.Hands(
            static_image_mode=True, max_num_hands=1, model_complexity=COMPLEXITY, min_detection_confidence=CONFIDENCE
        )
    return MediaPipeHands(hands, mediapipe.__version__)
