"""Turning raw estimator output into arrays that `Keypoints` accepts, and saying what was changed."""

from __future__ import annotations

import numpy as np

from signgen.errors import InputError
from signgen.keypoints.skeleton import NUM_JOINTS

FARTHEST = 1e5  # pixels; a coordinate beyond this is a broken file, not a point outside the frame
_MANY_ABOVE_ONE = 0.05  # share of scores above 1 that is worth a word


def as_points(xy: object, confidence: object, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """float64 (T,133,2) and (T,133) from array-likes; InputError for any other shape or for non-numbers."""
    try:
        points = np.array(xy, dtype=np.float64)
        scores = np.array(confidence, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        got = f"points that are not numbers ({error})"
        raise InputError(subject, got, "give arrays (T,133,2) and (T,133)") from None
    if points.ndim != 3 or points.shape[1:] != (NUM_JOINTS, 2) or scores.shape != points.shape[:2]:
        got = f"points of shape {points.shape} with scores of shape {scores.shape}"
        raise InputError(subject, got, "give (T,133,2) with (T,133), the COCO-WholeBody points")
    return points, scores


def clean_points(xy: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Make every value finite, every confidence lie in [0, 1] and every missing point lie at the origin.

    A point with a coordinate or score that is not finite, or farther out than 100,000 pixels, becomes missing.
    Scores above 1 (SimCC heads such as RTMPose give them) are clipped: a score is used as a confidence, for which
    "1 or more" and "sure" mean the same. Scores below 0 become 0.

    Returns:
        float32 (T,133,2), float32 (T,133), and warnings with figures.
    """
    warnings = []
    present = ~(confidence <= 0)
    broken = ~(np.isfinite(xy).all(-1) & np.isfinite(confidence)) & present
    if broken.any():
        warnings.append(f"{broken.sum()} points were NaN or infinite; they count as missing")
    far = np.abs(np.where(broken[..., None], 0, xy)).max(-1, initial=0) > FARTHEST
    far &= present & ~broken
    if far.any():
        warnings.append(f"{far.sum()} points lay more than {FARTHEST:.0f} pixels away; they count as missing")
    keep = present & ~broken & ~far
    above = keep & (confidence > 1)
    if above.sum() > _MANY_ABOVE_ONE * max(keep.sum(), 1):
        warnings.append(
            f"{above.sum()} of {keep.sum()} scores exceed 1 (up to {confidence[above].max():.3g}); clipped to 1"
        )
    scores = np.where(keep, np.clip(np.where(keep, confidence, 0), 0, 1), 0).astype(np.float32)
    points = np.where((scores > 0)[..., None], np.where(keep[..., None], xy, 0), 0).astype(np.float32)
    return points, scores, warnings
