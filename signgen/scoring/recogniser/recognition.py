"""Recognisability: are the signs of the true video still recognised in the generated one?

The word error rate is the least number of changed, missing and surplus words, as a share of the words that were signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from signgen.scoring.metrics.metric import Chunk, ClipFacts, Score, Tools, VideoMetric
from signgen.scoring.recogniser.recogniser import RATE, Recogniser, stride_of


@dataclass(frozen=True)
class WordErrors:
    """Counts over one sentence, or the sum over several.

    Attributes:
        words: of the references.
        substitutions: words recognised as another.
        deletions: words that were not recognised.
        insertions: recognised words that nobody signed.
    """

    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per word of the references, above 1 where too much is recognised; None where there are no words."""
        return self.errors / self.words if self.words else None

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.words + other.words,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """Errors of one sentence by the alignment with fewest of them (Levenshtein distance, all costs 1).

    Of several such alignments the one with most substitutions counts, then the one with most deletions; their sum is
    the same for all.
    """
    # A cell: (errors, -substitutions, -deletions) of the best way from the reference so far to the words so far.
    above = [(count, 0, 0) for count in range(len(hypothesis) + 1)]
    for row, word in enumerate(reference, 1):
        current = [(row, 0, -row)]
        for column, heard in enumerate(hypothesis, 1):
            diagonal, up, left = above[column - 1], above[column], current[-1]
            swap = diagonal if word == heard else (diagonal[0] + 1, diagonal[1] - 1, diagonal[2])
            current.append(min(swap, (up[0] + 1, up[1], up[2] - 1), (left[0] + 1, left[1], left[2])))
        above = current
    errors, substitutions, deletions = above[-1][0], -above[-1][1], -above[-1][2]
    return WordErrors(len(reference), substitutions, deletions, errors - substitutions - deletions)


def recognition_sums(
    recogniser: Recogniser,
    glosses: Sequence[str],
    generated: Iterable[np.ndarray],
    true: Iterable[np.ndarray],
    fps: float = 25.0,
) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each measure of a clip; their sums over clips give the measure of a set.

    Args:
        glosses: what was signed.
        generated, true: frames as for `Recogniser.recognise`.
    """
    true_errors, generated_errors = (word_errors(glosses, recogniser.recognise(v, fps)) for v in (true, generated))
    words = true_errors.words
    return {
        "wer_true": (true_errors.errors, words),
        "wer_generated": (generated_errors.errors, words),
        "recognition_retained": (words - generated_errors.errors, words - true_errors.errors),
    }


class Recognition(VideoMetric):
    """One of the measures of `recognition_sums` over clips; retained is (1 - WER generated) / (1 - WER true).

    Args:
        name: ``wer_true``, ``wer_generated`` or ``recognition_retained``.
        recogniser: what reads both videos.
    """

    total: torch.Tensor
    words: torch.Tensor
    states = ("total", "words")
    ratio = ("total", "words")

    def __init__(self, name: str, recogniser: Recogniser, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name, self.recogniser = name, recogniser

    @property
    def signature(self) -> str:
        return f"{self.name}|{self.recogniser.signature}|v1"

    @property
    def counts(self) -> Mapping[str, str]:  # type: ignore[override]
        return {"words": "words"} if self.name == "wer_generated" else {}

    def update(  # type: ignore[override]
        self, generated: Iterable[np.ndarray], true: Iterable[np.ndarray], glosses: Sequence[str], fps: float = 25.0
    ) -> None:
        """Add a clip: both videos, uint8 (T,H,W,3) or single frames, and what is signed."""
        total, words = recognition_sums(self.recogniser, glosses, generated, true, fps)[self.name]
        self.total += float(total)
        self.words += float(words)

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        """Keeps the small frames that the recogniser looks at; both videos are read at the end."""
        if chunk.clip.glosses is not None:
            chunk.once("small frames", lambda: self._keep(chunk))
        return {}

    def _keep(self, chunk: Chunk) -> None:
        stride = stride_of(chunk.clip.fps)
        wanted = slice(-chunk.start % stride, None, stride)
        for video, frames in zip(_small_videos(chunk.clip), (chunk.pred, chunk.true), strict=True):
            video.extend(self.recogniser.shrink(frames[wanted]))

    def finish(self, clip: ClipFacts) -> Mapping[str, float]:
        """Nothing where the reference does not say what is signed."""
        glosses = clip.glosses
        if glosses is None:
            return {}
        videos = _small_videos(clip)
        found = clip.once("recognition", lambda: recognition_sums(self.recogniser, glosses, *videos, RATE))
        return dict(zip(self.ratio, found[self.name], strict=True))


def _small_videos(clip: ClipFacts) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return clip.once("small videos", lambda: ([], []))


def _score(name: str, label: str, better: str, nothing: str = "nothing to measure") -> Score:
    def make(tools: Tools) -> Recognition:
        return Recognition(name, tools.once("recogniser", lambda: Recogniser.load(tools.options.recogniser_folder)))

    return Score(name, label, better, make, 3, "", ("words", "words"), nothing, per_frame=False, on_request=True)


WER_TRUE = _score("wer_true", "WER on true video", "-")
WER_GENERATED = _score("wer_generated", "WER", "lower")
RECOGNITION_RETAINED = _score(
    "recognition_retained", "recognition retained", "higher", "nothing was recognised in the true video"
)
