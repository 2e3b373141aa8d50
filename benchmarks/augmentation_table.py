"""What the trainings say together: word error rates, gains over photometric changes, and shares of the ceiling's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.scoring.comparison import DRAWS, percentile_interval

Results = dict[int, dict[str, Any]]  # of an arm, by seed


@dataclass(frozen=True)
class Rate:
    """A word error rate, a difference of two, or a share, and its 95 % interval over test clips and seeds together."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Row:
    """An arm.

    Attributes:
        name: of it; seeds: how many trainings; true, copies: clips that each had; steps: mean number.
        wer: over all its seeds.
        gain: by which it lies below the reference's, both over the seeds that both have; None for the reference.
        share: of the ceiling's gain that it reaches; None where the ceiling's interval is not off zero.
    """

    name: str
    seeds: int
    true: int
    copies: int
    steps: float
    wer: Rate
    gain: Rate | None
    share: Rate | None


def row_of(name: str, arm: Results, reference: Results, ceiling: Results) -> Row:
    """From the results of an arm, of the arm that it is held against, and of perfect copies."""
    first = next(iter(arm.values()))
    rates, value = _draws([arm], sorted(arm))
    wer = Rate(float(value[0]), percentile_interval(rates[:, 0]))
    gain = share = None
    if arm is not reference and (seeds := sorted(arm.keys() & reference.keys())):
        gain, share = _gain(arm, reference, seeds), None
        if arm is not ceiling and (seeds := sorted(arm.keys() & reference.keys() & ceiling.keys())):
            share = _share(arm, reference, ceiling, seeds)
    steps = float(np.mean([one["steps"] for one in arm.values()]))
    return Row(name, len(arm), first["true"], first["copies"], steps, wer, gain, share)


def _gain(arm: Results, reference: Results, seeds: Sequence[int]) -> Rate:
    rates, value = _draws([reference, arm], seeds)
    return Rate(float(value[0] - value[1]), percentile_interval(rates[:, 0] - rates[:, 1]))


def _share(arm: Results, reference: Results, ceiling: Results, seeds: Sequence[int]) -> Rate | None:
    most = _gain(ceiling, reference, seeds)
    if most.interval is None or most.interval[0] <= 0:
        return None
    rates, value = _draws([reference, arm, ceiling], seeds)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (rates[:, 0] - rates[:, 1]) / (rates[:, 0] - rates[:, 2])
    return Rate(float((value[0] - value[1]) / (value[0] - value[2])), percentile_interval(shares))


def _draws(arms: Sequence[Results], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rates (DRAWS, A) over clips and seeds drawn anew, the same ones for all arms so that they stay paired; (A,)."""
    errors = np.array([[arm[seed]["errors"] for seed in seeds] for arm in arms], np.float64)  # (A,S,C)
    words = np.array(arms[0][seeds[0]]["words"], np.float64)  # (C,)
    rng, (_, trainings, clips) = np.random.default_rng(0), errors.shape
    rates = np.empty((DRAWS, len(errors)))
    for draw in range(DRAWS):
        weights = np.bincount(rng.integers(clips, size=clips), minlength=clips)  # (C,)
        chosen = rng.integers(trainings, size=trainings)
        rates[draw] = errors[:, chosen].sum(1) @ weights / (trainings * (words @ weights))
    return rates, errors.sum((1, 2)) / (words.sum() * trainings)


def reading_rows(reads: dict[str, Results], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Arm -> what its recognisers read in copies of clips that they had not seen; a row for each arm.

    Args:
        reads: by arm, what `Run.read_copies` found by seed; kinds: perfect copies and `mini`'s.
    """
    rows = []
    for name, found in reads.items():
        seeds = sorted(found)
        of_kinds = [{seed: found[seed][kind] for seed in seeds} for kind in kinds]
        rates, value = _draws(of_kinds, seeds)
        wers = [Rate(float(value[k]), percentile_interval(rates[:, k])) for k in range(len(kinds))]
        more = Rate(float(value[1] - value[0]), percentile_interval(rates[:, 1] - rates[:, 0]))
        rows.append({"name": name, "seeds": len(seeds), "wer": wers, "more": more})
    return rows


def markdown(rows: Sequence[Row], reading: Sequence[dict[str, Any]] = ()) -> str:
    """Tables; gains above 0 are fewer errors."""
    lines = [
        "| learned from | clips | seeds | steps | WER | gain | share of the ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        clips = " + ".join(str(count) for count in (row.true, row.copies) if count)
        cells = [row.name, clips, str(row.seeds), f"{row.steps:.0f}"]
        cells += [_cell(row.wer), _cell(row.gain, "+"), _cell(row.share, places=0)]
        lines.append("| " + " | ".join(cells) + " |")
    if reading:
        lines += [
            "",
            "| learned from | seeds | reads perfect copies | reads `mini`'s | more errors |",
            "|---|---|---|---|---|",
        ]
    for one in reading:
        cells = [one["name"], str(one["seeds"]), *map(_cell, one["wer"]), _cell(one["more"], "+")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(rate: Rate | None, sign: str = "", places: int = 1) -> str:
    if rate is None:
        return ""
    text = f"{100 * rate.value:{sign}.{places}f} %"
    if rate.interval is None:
        return text
    low, high = (f"{100 * value:{sign}.{places}f}" for value in rate.interval)
    return f"{text} ({low} to {high})"
