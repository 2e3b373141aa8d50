"""Recognisability: are the signs of the true video still recognised in the generated one?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.recognition.recogniser import Recogniser
from signgen.recognition.wer import WordErrors, word_errors


@dataclass(frozen=True)
class ClipRecognition:
    """One clip.

    Attributes:
        glosses: what was signed.
        true, generated: what was recognised in the true and in the generated video.
        true_errors, generated_errors: against ``glosses``.
    """

    glosses: tuple[str, ...]
    true: tuple[str, ...]
    generated: tuple[str, ...]
    true_errors: WordErrors
    generated_errors: WordErrors

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of each measure; sums over clips give the measure of a set."""
        words = self.true_errors.words
        return {
            "wer_true": (self.true_errors.errors, words),
            "wer_generated": (self.generated_errors.errors, words),
            "recognition_retained": (words - self.generated_errors.errors, words - self.true_errors.errors),
        }


def score_clip(
    recogniser: Recogniser,
    glosses: Sequence[str],
    generated: Iterable[np.ndarray],
    true: Iterable[np.ndarray],
    fps: float = 25.0,
) -> ClipRecognition:
    """Recognises both videos of a clip; frames as for `Recogniser.recognise`."""
    heard_true, heard_generated = (tuple(recogniser.recognise(frames, fps)) for frames in (true, generated))
    return ClipRecognition(
        tuple(glosses),
        heard_true,
        heard_generated,
        word_errors(glosses, heard_true),
        word_errors(glosses, heard_generated),
    )


def summarise(clips: Iterable[ClipRecognition]) -> dict[str, Any]:
    """Word error rates over clips and the share retained, (1 - WER generated) / (1 - WER true).

    Returns:
        wer_true, wer_generated, recognition_retained (None where it is not defined: no words, or none recognised in
        the true video), and words, clips, and substitutions, deletions and insertions of the generated video.
    """
    clips = list(clips)
    sums = {name: np.zeros(2) for name in ("wer_true", "wer_generated", "recognition_retained")}
    for clip in clips:
        for name, ratio in clip.ratios().items():
            sums[name] += ratio
    errors = sum((clip.generated_errors for clip in clips), WordErrors())
    values = {name: float(top / bottom) if bottom > 0 else None for name, (top, bottom) in sums.items()}
    counts = {"clips": len(clips), "words": errors.words, "substitutions": errors.substitutions}
    return {**values, **counts, "deletions": errors.deletions, "insertions": errors.insertions}
