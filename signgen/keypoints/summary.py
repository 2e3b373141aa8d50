"""What a clip holds and what it lacks, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.skeleton import CONFIDENT, PARTS, SKELETON_NAME
from signgen.keypoints.units import ReadResult

_ENOUGH = 0.25  # share of a part's points that must be confident for the part to be there


def missing_parts(keypoints: Keypoints) -> dict[str, float]:
    """Share of frames (0 to 1) without each part: fewer than a quarter of its points reach confidence 0.3."""
    missing = dict.fromkeys(PARTS, 0)
    for piece in keypoints.blocks():
        confident = piece.confidence >= CONFIDENT
        for name, part in PARTS.items():
            missing[name] += int((confident[:, part].mean(1) < _ENOUGH).sum())
    return {name: count / len(keypoints) for name, count in missing.items()}


def out_of_frame(keypoints: Keypoints) -> int:
    """Number of confident points, over all frames, that lie outside of the frame."""
    count = 0
    for piece in keypoints.blocks():
        outside = (piece.xy < -0.5) | (piece.xy > np.array(piece.size) - 0.5)
        count += int((outside.any(-1) & (piece.confidence >= CONFIDENT)).sum())
    return count


def summary(read: ReadResult) -> dict[str, Any]:
    """The keys of `signgen inspect --json`."""
    keypoints = read.keypoints
    return {
        "format": read.format,
        "name": keypoints.name,
        "frames": len(keypoints),
        "width": keypoints.width,
        "height": keypoints.height,
        "fps": keypoints.fps,
        "skeleton": SKELETON_NAME,
        "missing": {name: round(share, 4) for name, share in missing_parts(keypoints).items()},
        "out_of_frame": out_of_frame(keypoints),
        "people": read.people,
        "warnings": read.warnings,
    }
