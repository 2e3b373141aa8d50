"""Two systems on the same clips: how far apart they are, and how sure that is.

The interval is a bootstrap over clips that draws both systems' clips together. The p-value is of a permutation test:
were the systems alike, each clip could as well have come from the other one, so they are swapped within clips at
random (for a mean over equal clips this is the sign-flip test) and the p-value is how often the difference gets as
large as the true one, in either direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from signgen.scoring.metrics.registry import METRICS

DRAWS = 2000  # of clips, with replacement: for all metrics the same
LEVEL = 0.95
FLIPS = 10_000  # random swaps; where there are at most as many ways to swap, all of them are taken
_CLOSE = 1e-12  # values this near, relative to their size, are equal but for rounding
Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """One metric of two systems on the same clips.

    Attributes:
        mean: GENERATED's value less OTHER's; for `motion_ratio` the difference of the distances from 1.
        interval: 95 % percentile interval of it, by a paired bootstrap over clips; None where there is none.
        p_value: of the paired permutation test that swaps the systems within clips; None where there is none.
        better: ``generated``, ``against``, or None for equal values and metrics without a direction.
    """

    mean: float | None
    interval: Interval | None
    p_value: float | None
    better: str | None

    @property
    def verdict(self) -> str:
        """Which system is better, and whether the interval of the difference excludes 0.

        Of a few clips it does so by chance: five of equal systems all differ in one direction once in 16 times. So the
        permutation test has to tell them apart, too.
        """
        if self.mean is None:
            return ""
        if self.interval is None:
            return f"{self.better or 'neither'}, no interval"
        low, high = self.interval
        excluded = (low > 0 or high < 0) and (self.p_value is None or self.p_value < 1 - LEVEL)
        if self.better is None:
            return "equal" if self.mean == 0 else "they differ" if excluded else "no clear difference"
        return f"{self.better}, excludes 0" if excluded else f"{self.better}, no clear difference"


def resample(table: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Sums over clips drawn with replacement.

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


def compare(first: np.ndarray, second: np.ndarray, names: list[str], seed: int) -> dict[str, Difference]:
    """Differences of two systems' sums (C, M, 2) on the same C clips, by metric name."""
    found = {}
    both = np.stack([first, second], 1)  # (C, 2, M, 2)
    drawn = quotients(resample(both, seed))  # (draws, 2, M)
    for m, name in enumerate(names):
        enough = ((both[:, :, m, 1] != 0).sum(0) >= 2).all()
        mean = _differences(quotients(both[:, :, m].sum(0))[None], name)[0]
        if np.isnan(mean):
            found[name] = Difference(None, None, None, None)
            continue
        interval = percentile_interval(_differences(drawn[:, :, m], name)) if enough else None
        p_value = permutation_p(both[:, :, m], name, seed) if enough else None
        found[name] = Difference(float(mean), interval, p_value, better_of(name, float(mean)))
    return found


def _differences(values: np.ndarray, name: str) -> np.ndarray:
    """First less second of values (K, 2); of their distances from 1 where 1 is best."""
    if METRICS[name].better == "1":
        values = np.abs(values - 1)
    return values[:, 0] - values[:, 1]


def better_of(name: str, difference: float) -> str | None:
    """Which system is better by a difference of `compare`, interval or not."""
    better = METRICS[name].better
    if abs(difference) <= _CLOSE or better == "-":
        return None
    return "generated" if (difference > 0) == (better == "higher") else "against"


def permutation_p(both: np.ndarray, name: str, seed: int, flips: int = FLIPS) -> float:
    """Two-sided p-value of the paired permutation test on sums (C, 2, 2): clip, system, numerator and denominator."""
    clips = len(both)
    exact = clips < 64 and 2**clips <= flips
    total, step = both.sum(0), both[:, ::-1] - both  # (2,2); what swapping a clip adds
    swaps = _all_swaps(clips) if exact else _random_swaps(clips, flips, seed)
    observed = abs(_differences(quotients(total)[None], name)[0])
    tolerance = _CLOSE * np.nanmax(np.abs(quotients(total)))
    sums = total + np.concatenate([block @ step.reshape(clips, 4) for block in swaps]).reshape(-1, 2, 2)
    differences = _differences(quotients(sums), name)
    differences = differences[~np.isnan(differences)]
    extreme = int((np.abs(differences) >= observed - tolerance).sum())
    return extreme / len(differences) if exact else (extreme + 1) / (len(differences) + 1)


def _all_swaps(clips: int) -> Iterator[np.ndarray]:
    """All ways to swap or not, (2**C, C) of 0 and 1."""
    yield (np.arange(2**clips)[:, None] >> np.arange(clips)) & 1


def _random_swaps(clips: int, flips: int, seed: int, block: int = 500) -> Iterator[np.ndarray]:
    """Pieces (block, C) of 0 and 1, as bytes: memory does not grow with flips times clips."""
    rng = np.random.default_rng(seed)
    for done in range(0, flips, block):
        yield rng.integers(0, 2, (min(block, flips - done), clips), np.int8)
