"""Intervals over clips: the percentile bootstrap of a ratio of sums, for all metrics from the same draws."""

from __future__ import annotations

import numpy as np

from signgen.evaluation.scores import Interval

DRAWS = 2000
LEVEL = 0.95


def resample(table: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Sums over clips drawn anew with replacement.

    Args:
        table: (C, ...) what each clip contributes.
        seed: the same seed draws the same clips, so that two systems on the same clips stay paired.

    Returns:
        (draws, ...) sums of as many clips as there are.
    """
    rng, clips = np.random.default_rng(seed), len(table)
    flat = table.reshape(clips, -1)
    sums = np.empty((draws, flat.shape[1]))
    for draw in range(draws):  # one draw at a time: memory does not grow with draws times clips
        sums[draw] = np.bincount(rng.integers(clips, size=clips), minlength=clips) @ flat
    return sums.reshape(draws, *table.shape[1:])


def quotients(sums: np.ndarray) -> np.ndarray:
    """(..., 2) numerators and denominators -> (...) their ratio, NaN where the denominator is not above 0."""
    top, bottom = sums[..., 0], sums[..., 1]
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def percentile_interval(values: np.ndarray, level: float = LEVEL) -> Interval | None:
    """The middle ``level`` of the values that are numbers; None without any.

    Draws without a number come from samples in which no clip had anything to measure, such as no hand.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bootstrap_intervals(table: np.ndarray, seed: int, draws: int = DRAWS) -> list[Interval | None]:
    """One interval per metric of sums (C, M, 2); None where fewer than two clips have anything to measure."""
    resampled = quotients(resample(table, seed, draws))  # (draws, M)
    enough = (table[..., 1] != 0).sum(0) >= 2
    return [percentile_interval(resampled[:, m]) if enough[m] else None for m in range(table.shape[1])]
