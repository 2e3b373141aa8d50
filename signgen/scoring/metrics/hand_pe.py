"""Hand PE: how far the hands' joints are from where they should be, as a hand detector sees them.

    detector = load_hand_detector("signgen")
    generated = look(detector, pred, xy, confidence)              # (N,2,21,3), once for both scores
    errors = hand_pe(generated, look(detector, true, xy, confidence), detector)
    errors.sums(), errors.joints()                                # numerator and denominator of each frame

A hand that counts but is not found has no points to compare: it is counted apart, neither scored nor hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.keypoints.skeleton import CONFIDENT
from signgen.scoring.metrics.frames import as_bytes, check_keypoints, paired_bytes
from signgen.scoring.metrics.hand_detectors import RULE, HandDetector, found, load_hand_detector, search_boxes
from signgen.scoring.metrics.hand_detectors.interface import HANDS
from signgen.scoring.metrics.metric import Chunk, Score, Tools, VideoMetric


@dataclass(frozen=True)
class HandErrors:
    """Distances of the joints of N frames.

    Attributes:
        distance: (N,2,21) |dx|+|dy| in native pixels, NaN for a joint that does not enter the mean.
        counts: (N,2) hands that count: those whose true knuckle is confident.
        not_found: (N,2) of them, those that the detector did not find in the generated frame or in the true one.
        not_found_true: (N,2) of these, those that it did not find in the true frame: its own failure.
    """

    distance: np.ndarray
    counts: np.ndarray
    not_found: np.ndarray
    not_found_true: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """(N,2) hands that enter the mean."""
        return self.counts & ~self.not_found

    def sums(self) -> np.ndarray:
        """Numerator of each frame (N,): the sum of its distances."""
        return np.nansum(self.distance, (1, 2))

    def joints(self) -> np.ndarray:
        """Denominator of each frame (N,): how many joints the sum is over."""
        return (~np.isnan(self.distance)).sum((1, 2))


def look(detector: HandDetector, frames: Any, xy: Any, confidence: Any) -> np.ndarray:
    """Joints (N,2,21,3) that the detector finds in the boxes of the true hands.

    Args:
        frames: generated or true frames (N,H,W,3), uint8 or float in [0, 1].
        xy, confidence: keypoints of the true or driving frames, (N,133,2) in pixels and (N,133).
    """
    pixels = as_bytes(frames, "frames")
    points, scores = check_keypoints(xy, confidence, len(pixels))
    return detector.detect(pixels, search_boxes(points, scores, pixels.shape[2], pixels.shape[1]))


def _distance(first: np.ndarray, second: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """|dx|+|dy| (N,2,21) between points (N,2,21,2), NaN where a joint (N,2,21) is not wanted."""
    apart = np.abs(first.astype(np.float64) - second).sum(-1)
    return np.where(wanted, apart, np.nan)


def hand_pe(generated: np.ndarray, true: np.ndarray, detector: HandDetector) -> HandErrors:
    """Distances between two detections of `look`, on generated and on true frames, over all 21 joints of a hand."""
    counts = ~np.isnan(true[..., 0]).all(-1)
    lost = counts & ~found(true, detector)
    missed = lost | (counts & ~found(generated, detector))
    measured = np.broadcast_to((counts & ~missed)[..., None], true.shape[:-1])
    return HandErrors(_distance(generated[..., :2], true[..., :2], measured), counts, missed, lost)


def hand_pe_drive(generated: np.ndarray, xy: Any, confidence: Any, detector: HandDetector) -> HandErrors:
    """Distances between a detection of `look` on generated frames and the driving joints that are confident."""
    points, scores = check_keypoints(xy, confidence, len(generated))
    truth = np.stack([points[:, hand] for hand, _ in HANDS], 1)  # (N,2,21,2)
    sure = np.stack([scores[:, hand] for hand, _ in HANDS], 1) >= CONFIDENT  # (N,2,21)
    counts = ~np.isnan(generated[..., 0]).all(-1)
    missed = counts & ~found(generated, detector)
    measured = sure & (counts & ~missed)[..., None]
    return HandErrors(_distance(generated[..., :2], truth, measured), counts, missed, np.zeros_like(missed))


class _HandDistance(VideoMetric):
    """Sums and counts that both scores share.

    ``hands`` entered the mean; ``left_out`` have no confident knuckle; ``not_found`` count but were not found by the
    detector, ``not_found_true`` of them not even in the true frame.
    """

    higher_is_better = False
    states = ("total", "joints", "hands", "left_out", "not_found", "not_found_true")
    ratio = ("total", "joints")

    def __init__(self, detector: HandDetector | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.detector = detector or load_hand_detector()

    def _look(self, chunk: Chunk, true: bool = False) -> np.ndarray:
        """What the detector finds in the generated or in the true frames, for both scores once."""
        frames = chunk.true if true else chunk.pred
        return chunk.once((id(self.detector), true), lambda: look(self.detector, frames, chunk.xy, chunk.confidence))

    def _errors(self, chunk: Chunk) -> HandErrors:
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        errors = self._errors(chunk)
        parts = {
            "hands": errors.measured,
            "left_out": ~errors.counts,
            "not_found": errors.not_found,
            "not_found_true": errors.not_found_true,
        }
        counts = {name: which.sum(1).astype(float) for name, which in parts.items()}
        return {"total": errors.sums(), "joints": errors.joints().astype(float), **counts}


class HandPE(_HandDistance):
    """Mean |dx|+|dy| in native pixels between the joints detected in generated and in true frames.

    Over all hands that count and are found in both frames, and their 21 joints; NaN when there is none. The boxes
    that the detector looks into come from the true keypoints and are the same in both frames. Floats are rounded to
    uint8 for the detector.

    Args:
        detector: from `load_hand_detector`; the built-in one when not given.
    """

    counts = {"hands": "hand_pe_hands", "not_found": "hand_pe_not_found", "not_found_true": "hand_pe_not_found_true"}

    @property
    def signature(self) -> str:
        return f"hand_pe|detector:{self.detector.signature}|{RULE}|l1,mean:joints-of-hands-found-in-both|px|v1"

    def update(self, pred: Any, target: Any, xy: Any, confidence: Any) -> None:  # type: ignore[override]
        """Add generated and true frames (N,H,W,3) with the true keypoints (N,133,2) in pixels and (N,133)."""
        self._add(Chunk(*paired_bytes(pred, target), xy, confidence))

    def _errors(self, chunk: Chunk) -> HandErrors:
        return hand_pe(self._look(chunk), self._look(chunk, true=True), self.detector)


class HandPEDrive(_HandDistance):
    """Mean |dx|+|dy| in native pixels between the joints detected in generated frames and the driving keypoints.

    Over all hands that count and are found, and their joints whose driving confidence is at least ``CONFIDENT``; NaN
    when there is none. It contains the detector's own error: read it beside that on true frames.

    Args:
        detector: from `load_hand_detector`; the built-in one when not given.
    """

    counts = {"hands": "hand_pe_drive_hands", "not_found": "hand_pe_drive_not_found"}

    @property
    def signature(self) -> str:
        joints = f"mean:joints-of-hands-found,driving>={CONFIDENT:g}"
        return f"hand_pe_drive|detector:{self.detector.signature}|{RULE}|l1,{joints}|px|v1"

    def update(self, pred: Any, xy: Any, confidence: Any) -> None:  # type: ignore[override]
        """Add generated frames (N,H,W,3) with their driving keypoints (N,133,2) in pixels and (N,133)."""
        self._add(Chunk(pred, xy=xy, confidence=confidence))

    def _errors(self, chunk: Chunk) -> HandErrors:
        return hand_pe_drive(self._look(chunk), chunk.xy, chunk.confidence, self.detector)


def _detector(tools: Tools) -> HandDetector:
    options = tools.options
    return tools.once("hand detector", lambda: load_hand_detector(options.hand_detector, options.hand_weights))


HAND_PE = Score(
    "hand_pe",
    "Hand PE px",
    "lower",
    lambda tools: HandPE(_detector(tools)),
    digits=2,
    unit="px",
    over=("hand_pe_hands", "hands found"),
    nothing="the detector found no hand in both frames",
    needs="hands",
    keypoints=True,
)
HAND_PE_DRIVE = Score(
    "hand_pe_drive",
    "Hand PE drive px",
    "lower",
    lambda tools: HandPEDrive(_detector(tools)),
    digits=2,
    unit="px",
    over=("hand_pe_drive_hands", "hands found"),
    nothing="the detector found no hand",
    needs="hands",
    keypoints=True,
)
