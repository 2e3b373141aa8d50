"""Word error rate: the least number of changed, missing and surplus words, as a share of the words that were signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signgen.errors import InputError


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


def word_error_rate(references: Iterable[Sequence[str]], hypotheses: Iterable[Sequence[str]]) -> WordErrors:
    """The sum over sentences; ``.rate`` is the word error rate.

    Raises:
        InputError: not as many hypotheses as references.
    """
    first, second = list(references), list(hypotheses)
    if len(first) != len(second):
        raise InputError("hypotheses", f"{len(second)} for {len(first)} references", "give one per sentence")
    return sum((word_errors(a, b) for a, b in zip(first, second, strict=True)), WordErrors())
