"""Whether the hands of a finished clip are where its keypoints say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from signgen.augmentation.variation import Change
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import CONFIDENT, HANDS
from signgen.scoring.metrics.hand_detectors import HandDetector
from signgen.scoring.metrics.hand_pe import hand_pe_drive, look
from signgen.video import frame_files, read_frames, read_image

STRIDE = 5  # every fifth frame is looked at: neighbours say the same, and the detector takes its time
MOST_LOST = 0.5  # share of the hands that may stay unfound: smeared ones have no joints to measure
LENIENCE = 1.25  # times the detector's error on the source's own frames that a copy may have: people of flesh and
# blood, and their estimated keypoints, cost it more than drawn ones
IN_VIEW = 0.5  # share of a hand's joints that must lie in the picture: a resting one below its edge cannot be found
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
        """HandPE-drive over the frames of `looked_at`, and whether the clip passes.

        A clip fails above the limit, and where more than half of its hands are not found. Hands outside of the picture
        do not count. A clip whose keypoints show no sure hand cannot be judged: it passes, and ``hand_pe_drive`` is
        None.
        """
        total = joints = wanted = lost = 0.0
        for at, chunk in _chunks(frames):
            which = slice(at * STRIDE, (at + len(chunk)) * STRIDE, STRIDE)
            xy = keypoints.xy[which]
            confidence = in_view(xy, keypoints.confidence[which], keypoints.size)
            errors = hand_pe_drive(look(self.detector, chunk, xy, confidence), xy, confidence, self.detector)
            total += float(errors.sums().sum())
            joints += float(errors.joints().sum())
            wanted += int(errors.counts.sum())
            lost += int(errors.not_found.sum())
        score = round(total / joints, 3) if joints else None
        missed = round(lost / wanted, 4) if wanted else None
        passed = (score is None or score <= self.limit) and (missed is None or missed <= MOST_LOST)
        return {"hand_pe_drive": score, "hands_not_found": missed, "passed": passed}

    def reconsider(self, verdict: dict[str, Any], source: dict[str, Any] | None) -> dict[str, Any]:
        """The verdict of a clip in the light of that of its source's own frames, which it then names.

        A copy passes up to ``LENIENCE`` times the score of the source: what the detector gets wrong there, or the
        keypoints themselves, are not the copy's fault. Hands that are not found in the copy stay lost.
        """
        score, reference = verdict["hand_pe_drive"], source["hand_pe_drive"] if source else None
        if score is None or reference is None:
            return verdict
        near = score <= max(self.limit, LENIENCE * reference)
        passed = near and verdict["hands_not_found"] <= MOST_LOST
        return {**verdict, "passed": passed, "source_hand_pe_drive": reference}


def looked_at(clip: Path) -> Iterator[np.ndarray]:
    """Every fifth frame (H,W,3) of a video, or of a folder, of which the others are not even read."""
    if clip.is_dir():
        return (read_image(path) for path in frame_files(clip)[::STRIDE])
    return islice(read_frames(clip), 0, None, STRIDE)


def certain_points(clip: Keypoints, whole: Keypoints, change: Change) -> np.ndarray:
    """Which points of a changed clip were found in its source, bool (T,133); the others complete lost hands.

    Args:
        clip: the source; whole: the same, completed; change: what was then done to it.
    """
    same = (whole.confidence == clip.confidence) & (whole.xy == clip.xy).all(-1)
    known = replace(clip, xy=np.where(same[..., None], clip.xy, 0), confidence=np.where(same, clip.confidence, 0))
    return replace(change, space=1.0, tilt=0.0, noise=0.0).moved(known).confidence > 0


def in_view(xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Confidence (N,133) with 0 for hands' joints outside of the picture, and for hands of which most are."""
    inside = np.all((xy > -0.5) & (xy < np.array(size) - 0.5), axis=-1)  # (N,133)
    out = confidence.copy()
    for hand in HANDS:
        sure = confidence[:, hand] >= CONFIDENT
        enough = (sure & inside[:, hand]).sum(1) >= IN_VIEW * np.maximum(sure.sum(1), 1)
        out[:, hand] = np.where(inside[:, hand] & enough[:, None], confidence[:, hand], 0)
    return out


def _chunks(frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first, (n,H,W,3)) of a few frames at a time."""
    frames, at = iter(frames), 0
    while chunk := list(islice(frames, _AT_ONCE)):
        yield at, np.stack(chunk)
        at += len(chunk)
