"""MediaPipe Holistic's landmarks as the 133 points of COCO-WholeBody."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from signgen.keypoints._pose import _HOLISTIC_BODY, _MESH
from signgen.keypoints.skeleton import BODY, FACE, FEET, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

# The names of its 33 body landmarks, in its order. Left is the person's own left, as in COCO.
POSE_LANDMARKS: Final = (
    "NOSE", "LEFT_EYE_INNER", "LEFT_EYE", "LEFT_EYE_OUTER", "RIGHT_EYE_INNER", "RIGHT_EYE", "RIGHT_EYE_OUTER",
    "LEFT_EAR", "RIGHT_EAR", "MOUTH_LEFT", "MOUTH_RIGHT", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_ELBOW",
    "RIGHT_ELBOW", "LEFT_WRIST", "RIGHT_WRIST", "LEFT_PINKY", "RIGHT_PINKY", "LEFT_INDEX", "RIGHT_INDEX",
    "LEFT_THUMB", "RIGHT_THUMB", "LEFT_HIP", "RIGHT_HIP", "LEFT_KNEE", "RIGHT_KNEE", "LEFT_ANKLE", "RIGHT_ANKLE",
    "LEFT_HEEL", "RIGHT_HEEL", "LEFT_FOOT_INDEX", "RIGHT_FOOT_INDEX",
)  # fmt: skip
_BODY = slice(BODY.start, FEET.stop)
_KNOWN = np.array([joint for joint, name in enumerate(_HOLISTIC_BODY) if name])  # Holistic has no small toes
_SOURCE = np.array([POSE_LANDMARKS.index(name) for name in _HOLISTIC_BODY if name])


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
        points[FACE, :2] = _pixels(result.face_landmarks.landmark, size)[list(_MESH)]
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
