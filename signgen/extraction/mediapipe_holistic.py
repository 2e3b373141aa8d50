"""MediaPipe Holistic, whose models come in the wheel of its last release with ``solutions``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from signgen.extraction.estimator import PADDING
from signgen.extraction.packages import mediapipe_solutions
from signgen.keypoints.layouts.holistic import FACE_MESH, HOLISTIC_BODY, POSE_LANDMARKS
from signgen.keypoints.skeleton import BODY, FACE, FEET, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

COMPLEXITY = 1  # the model in the wheel; the others are downloaded
CONFIDENCE = 0.5  # of its person detector and of its tracker; its own default
STANDARD_ERROR = 2
_BODY = slice(BODY.start, FEET.stop)
_KNOWN = np.array([joint for joint, name in enumerate(HOLISTIC_BODY) if name])  # Holistic has no small toes
_SOURCE = np.array([POSE_LANDMARKS.index(name) for name in HOLISTIC_BODY if name])


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
        """The first frame of somebody else: its graph starts again, and logs a dozen lines that mean nothing here."""
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
        NotInstalled: see `mediapipe_solutions`.
    """
    with mediapipe_solutions() as mediapipe, kept_aside():
        holistic = mediapipe.solutions.holistic.Holistic(
            static_image_mode=False, model_complexity=COMPLEXITY, smooth_landmarks=True,
            min_detection_confidence=CONFIDENCE, min_tracking_confidence=CONFIDENCE,
        )  # fmt: skip
        holistic.process(np.zeros((64, 64, 3), np.uint8))  # waits for its threads, which log things
    return MediaPipeHolistic(holistic, mediapipe.__version__)


def from_holistic(result: Any, size: tuple[int, int]) -> np.ndarray:
    """One frame's result as float32 (133,3).

    Args:
        result: has ``pose_landmarks``, ``face_landmarks``, ``left_hand_landmarks`` and ``right_hand_landmarks``, each
            None where nothing was found. Their x and y are shares of the image's width and height.
        size: (width, height) of the image in pixels.

    Returns:
        x, y in pixels (pixel k covers k - 0.5 to k + 0.5) and a score: visibility for the body, 1 for a face or a hand
        that was found; all 0 for what was not.
    """
    points = np.zeros((NUM_JOINTS, 3), np.float32)
    if result.pose_landmarks is not None:
        landmarks = result.pose_landmarks.landmark
        points[_BODY][_KNOWN, :2] = _pixels(landmarks, size)[_SOURCE]
        points[_BODY][_KNOWN, 2] = np.clip([landmarks[i].visibility for i in _SOURCE], 0, 1)
    if result.face_landmarks is not None:
        points[FACE, :2] = _pixels(result.face_landmarks.landmark, size)[list(FACE_MESH)]
        points[FACE, 2] = 1
    for hand, found in ((LEFT_HAND, result.left_hand_landmarks), (RIGHT_HAND, result.right_hand_landmarks)):
        if found is not None:
            points[hand, :2] = _pixels(found.landmark, size)
            points[hand, 2] = 1
    points[points[:, 2] <= 0] = 0
    return points


def _pixels(landmarks: Any, size: tuple[int, int]) -> np.ndarray:
    """float64 (N,2)."""
    return np.array([[landmark.x, landmark.y] for landmark in landmarks]) * size - 0.5


@contextmanager
def kept_aside() -> Iterator[None]:
    """Standard error, also that of C++ code in any thread, goes to a temporary file inside of the block.

    It is shown after all if the block raises. To be used around little: what Python threads write meanwhile is
    kept aside too.
    """
    if sys.stderr is None:  # it was closed; what it was, another file may be by now
        yield
        return
    sys.stderr.flush()
    try:
        before = os.dup(STANDARD_ERROR)
    except OSError:  # this process has none
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(before, STANDARD_ERROR)
            os.close(before)
            if failed:
                aside.seek(0)
                with open(STANDARD_ERROR, "wb", closefd=False) as shown:
                    shutil.copyfileobj(aside, shown)
