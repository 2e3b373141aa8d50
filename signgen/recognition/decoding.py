"""From probabilities over blank and glosses at each instant to a sequence of glosses (connectionist temporal
classification, Graves et al. 2006): neighbours that are equal merge, then blanks go."""

from __future__ import annotations

from itertools import groupby

import numpy as np

BLANK = 0


def best_path(scores: np.ndarray) -> list[int]:
    """The likeliest label at each instant, merged.

    Args:
        scores: (L, 1 + G), logits or logarithms of probabilities; column 0 is the blank.

    Returns:
        Labels 1 to G.
    """
    return [int(label) for label, _ in groupby(scores.argmax(-1)) if label != BLANK]


def beam_search(log_probs: np.ndarray, width: int = 8) -> list[int]:
    """The likeliest sequence, summed over all its alignments, among the ``width`` best beginnings at each instant.

    Args:
        log_probs: (L, 1 + G) natural logarithms of probabilities; column 0 is the blank.
        width: beginnings kept; with 1 + G of them or more the search of short inputs is exact.

    Returns:
        Labels 1 to G.
    """
    # For each beginning: log probability of its alignments that end in a blank, and of those that end in a label.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for row in log_probs.astype(np.float64):
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        for labels, (blank, last) in beams.items():
            both = np.logaddexp(blank, last)
            _add(grown, labels, both + row[BLANK], -np.inf)
            if labels:
                _add(grown, labels, -np.inf, last + row[labels[-1]])
            for label in range(1, len(row)):
                before = blank if labels and label == labels[-1] else both
                _add(grown, (*labels, label), -np.inf, before + row[label])
        kept = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:width]
        beams = dict(kept)
    return list(next(iter(beams)))


def _add(beams: dict[tuple[int, ...], tuple[float, float]], labels: tuple[int, ...], blank: float, last: float) -> None:
    was = beams.get(labels, (-np.inf, -np.inf))
    beams[labels] = float(np.logaddexp(was[0], blank)), float(np.logaddexp(was[1], last))
