"""OpenPose's 18 body points (COCO-18) as a view of the 133: the skeleton of DeepFashion's and Market-1501's points.

Order: nose, neck; right shoulder, elbow, wrist; left ones; right hip, knee, ankle; left ones; right eye, left eye,
right ear, left ear. Right is the person's own right.
"""

from __future__ import annotations

import numpy as np

from signgen.keypoints.skeleton import NUM_JOINTS, SHOULDERS

# COCO body point (position in the list) -> point of the 18. The neck has no partner: it lies between the shoulders.
FROM_BODY_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
NECK = 1
TRUNK = (2, 5, 8, 11)  # both shoulders, both hips: what a pair's poses must show


def to_body18(points: np.ndarray) -> np.ndarray:
    """(..., 133, 3) x, y, confidence -> (..., 18, 3); the neck is the middle of the shoulders, as the less sure one."""
    points = np.asarray(points)
    body = np.zeros((*points.shape[:-2], 18, 3), points.dtype)
    body[..., FROM_BODY_18, :] = points[..., : len(FROM_BODY_18), :]
    shoulders = points[..., SHOULDERS, :]
    seen = (shoulders[..., 2] > 0).all(-1)
    body[..., NECK, :2] = shoulders[..., :2].mean(-2)
    body[..., NECK, 2] = shoulders[..., 2].min(-1)
    body[~seen, NECK] = 0
    return body


def from_body18(body: np.ndarray) -> np.ndarray:
    """(..., 18, 3) -> (..., 133, 3); feet, face and hands are missing, and the neck is left out."""
    points = np.zeros((*body.shape[:-2], NUM_JOINTS, 3), body.dtype)
    points[..., : len(FROM_BODY_18), :] = body[..., FROM_BODY_18, :]
    return points
