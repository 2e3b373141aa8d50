"""Keypoints of a finished clip as recognisers take them: pixels of the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from signgen.augment.layouts.entries import Entry
from signgen.keypoints.clips import ClipFile, points_in_frame


def points_of(entry: Entry, frame: tuple[int, int]) -> np.ndarray | None:
    """float32 (T,133,3) x, y, confidence in pixels of ``frame``; None where the clip has no keypoints."""
    if entry.keypoints is None:
        return None
    file = ClipFile(Path(entry.keypoints))
    names = [name for name in file.names if name.rsplit("/", 1)[-1] == entry.name] or list(file.names)
    return points_in_frame(file.raw(names[0]), frame, entry.name)[0]
