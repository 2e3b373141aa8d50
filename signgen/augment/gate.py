"""Whether the hands of a finished clip are where its keypoints say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from signgen.keypoints import Keypoints
from signgen.metrics.hand_detectors import HandDetector
from signgen.metrics.hand_pe import hand_pe_drive, look

STRIDE = 5  # every fifth frame is looked at: neighbours say the same, and the detector takes its time
MOST_LOST = 0.5  # share of the hands that may stay unfound: smeared ones have no joints to measure
_AT_ONCE = 16  # frames


@dataclass(frozen=True)
class Gate:
    """The judge.

    Attributes:
        detector: finds the hands.
        limit: HandPE-drive in pixels of the frame from which a clip fails.
    """

    detector: HandDetector
    limit: float

    def judge(self, frames: Iterable[np.ndarray], keypoints: Keypoints) -> dict[str, Any]:
        """HandPE-drive over every fifth frame, and whether the clip passes.

        A clip fails above the limit, and where more than half of its hands are not found. One whose keypoints show
        no sure hand cannot be judged: it passes, and ``hand_pe_drive`` is None.
        """
        total = joints = wanted = lost = 0.0
        for at, chunk in _chunks(islice(frames, 0, None, STRIDE)):
            which = slice(at * STRIDE, (at + len(chunk)) * STRIDE, STRIDE)
            xy, confidence = keypoints.xy[which], keypoints.confidence[which]
            errors = hand_pe_drive(look(self.detector, chunk, xy, confidence), xy, confidence, self.detector)
            total += float(errors.sums().sum())
            joints += float(errors.joints().sum())
            wanted += int(errors.counts.sum())
            lost += int(errors.not_found.sum())
        score = round(total / joints, 3) if joints else None
        missed = round(lost / wanted, 4) if wanted else None
        passed = (score is None or score <= self.limit) and (missed is None or missed <= MOST_LOST)
        return {"hand_pe_drive": score, "hands_not_found": missed, "passed": passed}


def _chunks(frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first, (n,H,W,3)) of a few frames at a time."""
    frames, at = iter(frames), 0
    while chunk := list(islice(frames, _AT_ONCE)):
        yield at, np.stack(chunk)
        at += len(chunk)
