"""What the trainings say together: word error rates, gains over another arm, and shares of the ceiling's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from signgen.errors import Mismatch
from signgen.scoring.comparison import DRAWS, percentile_interval

Results = dict[int, dict[str, Any]]  # of an arm, by seed
_OTHERWISE = "give the settings of the others, or name another file (--stored)"
KINDS = {  # of what is read, by name
    "drawn": "perfect copies",
    "mini": "`mini`'s copies",
    "again": "perfect copies, drawn again by `mini`",
    "again hands": "the same with true hands",
    "again face": "the same with true faces",
    "again rest": "the same with all true but hands and faces",
}


@dataclass(frozen=True)
class Rate:
    """A word error rate, a difference of two, or a share, and its 95 % interval over signers and seeds together."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Row:
    """An arm.

    Attributes:
        name: of it; seeds: how many trainings; true, copies: clips that each had; steps: mean number.
        wer: over all its seeds; dev: the same on the dev clips.
        gain: by which it lies below the reference's, both over the seeds that both have; None for the reference.
        pairs: how many these seeds are.
        better, worse: of how many signers fewer words are wrong, and of how many more.
        over: the reference's name; empty without a gain.
        share: of the ceiling's gain that it reaches; None where the ceiling's interval is not off zero.
    """

    name: str
    seeds: int
    true: int
    copies: int
    steps: float
    wer: Rate
    dev: Rate
    gain: Rate | None
    pairs: int
    better: int
    worse: int
    over: str
    share: Rate | None


def check_clips(results: dict[str, Results]) -> None:
    """Only trainings of one kind that read the same test clips can be paired.

    Raises:
        Mismatch: a result of an arm, by name, is of other sentences than the first one, or of another kind of training.
    """
    found = [(f"{name}, seed {seed}", one) for name, arm in results.items() for seed, one in arm.items()]
    for which, one in found:
        first, told = found[0][1], found[0][0]
        if any(one[name] != first[name] for name in ("signed", "signers")):
            raise Mismatch(which, f"it read other test clips than {told}", _OTHERWISE)
        if one["training"] != first["training"]:
            raise Mismatch(which, f"it was trained otherwise than {told}", _OTHERWISE)


def row_of(name: str, arm: Results, over: str, reference: Results, ceiling: Results) -> Row:
    """From the results of an arm, the name and the results of the one that it is held against, and the results of
    perfect copies."""
    first, seeds = next(iter(arm.values())), sorted(arm)
    wer, dev = (_rate(found, seeds) for found in (arm, {seed: one["dev"] for seed, one in arm.items()}))
    paired = [] if arm is reference else sorted(arm.keys() & reference.keys())
    gain = share = None
    better = worse = 0
    if paired:
        gain, (errors, _) = _gain(arm, reference, paired), _by_signer([reference, arm], paired)
        fewer = errors[0].sum(0) - errors[1].sum(0)  # of each signer
        better, worse = int((fewer > 0).sum()), int((fewer < 0).sum())
        if arm is not ceiling and (shared := sorted(arm.keys() & reference.keys() & ceiling.keys())):
            share = _share(arm, reference, ceiling, shared)
    steps, over = float(np.mean([one["steps"] for one in arm.values()])), over if paired else ""
    return Row(name, len(arm), first["true"], first["copies"], steps, wer, dev, gain, len(paired), better, worse, over,
               share)  # fmt: skip


def _rate(arm: Results, seeds: Sequence[int]) -> Rate:
    rates, value = _draws([arm], seeds)
    return Rate(float(value[0]), percentile_interval(rates[:, 0]))


def _gain(arm: Results, reference: Results, seeds: Sequence[int]) -> Rate:
    rates, value = _draws([reference, arm], seeds)
    return Rate(float(value[0] - value[1]), percentile_interval(rates[:, 0] - rates[:, 1]))


def _share(arm: Results, reference: Results, ceiling: Results, seeds: Sequence[int]) -> Rate | None:
    most = _gain(ceiling, reference, seeds)
    if most.interval is None or most.interval[0] <= 0:
        return None
    rates, value = _draws([reference, arm, ceiling], seeds)
    # Where a draw's ceiling gains nothing, its share is as large as its own gain's sign allows.
    shares = (rates[:, 0] - rates[:, 1]) / np.maximum(rates[:, 0] - rates[:, 2], 1e-9)
    return Rate(float((value[0] - value[1]) / (value[0] - value[2])), percentile_interval(shares))


def _draws(arms: Sequence[Results], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rates (DRAWS, A) over signers and seeds drawn anew, the same ones for all arms so that they stay paired; (A,).

    Signers, not clips: what is said is about new people, and one who is hard to read is so in all clips.
    """
    errors, words = _by_signer(arms, seeds)
    rng, (trainings, people) = np.random.default_rng(0), words.shape
    rates = np.empty((DRAWS, len(errors)))
    with np.errstate(invalid="ignore"):  # no words: no rate
        for draw in range(DRAWS):
            weights = np.bincount(rng.integers(people, size=people), minlength=people)  # (P,)
            chosen = rng.integers(trainings, size=trainings)
            rates[draw] = errors[:, chosen].sum(1) @ weights / (words[chosen].sum(0) @ weights)
        return rates, errors.sum((1, 2)) / words.sum()


def _by_signer(arms: Sequence[Results], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Errors (A,S,P) and words (S,P) of each signer, of arms that read the same clips."""
    people = sorted({who for seed in seeds for who in arms[0][seed]["signers"]})

    def sums(one: dict[str, Any], what: str) -> np.ndarray:
        numbers = [people.index(who) for who in one["signers"]]
        return np.bincount(numbers, np.asarray(one[what], np.float64), len(people))

    errors = np.array([[sums(arm[seed], "errors") for seed in seeds] for arm in arms])
    return errors, np.array([sums(arms[0][seed], "words") for seed in seeds])  # what is read differs by seed


@dataclass(frozen=True)
class Reading:
    """What recognisers of an arm read in clips of one kind that they had not seen.

    Attributes:
        name: of the arm; seeds: how many recognisers.
        kind: of the clips.
        wer: over all of them.
        more: than in the first kind, perfect copies; None for these.
        by_speed: the same in the third of clips with the slowest hands, in the middle one, and in the fastest.
    """

    name: str
    seeds: int
    kind: str
    wer: Rate
    more: Rate | None
    by_speed: tuple[Rate, ...]


def reading_rows(reads: dict[str, Results]) -> list[Reading]:
    """A row for each arm and kind of clips.

    Args:
        reads: by arm, what `Run.read_copies` found by seed.

    Raises:
        Mismatch: the recognisers of an arm read different numbers of clips.
    """
    rows = []
    for name, found in reads.items():
        seeds = sorted(found)
        if len(counts := sorted({len(one["speed"]) for one in found.values()})) > 1:
            got = f"its recognisers read {' and '.join(map(str, counts))} copies"
            raise Mismatch(name, got, _OTHERWISE)
        kinds = [kind for kind in found[seeds[0]] if kind in KINDS]
        of_kinds = [{seed: found[seed][kind] for seed in seeds} for kind in kinds]
        rates, value = _draws(of_kinds, seeds)
        thirds = [_third(of_kinds, {seed: found[seed]["speed"] for seed in seeds}, third) for third in range(3)]
        of_thirds = [_draws(third, seeds) for third in thirds]
        for k, kind in enumerate(kinds):
            wer, more = Rate(float(value[k]), percentile_interval(rates[:, k])), None
            by_speed: tuple[Rate, ...] = ()
            if k:
                more = _more(rates, value, k)
                by_speed = tuple(_more(*third, k) for third in of_thirds)
            rows.append(Reading(name, len(seeds), KINDS[kind], wer, more, by_speed))
    return rows


def _more(rates: np.ndarray, value: np.ndarray, kind: int) -> Rate:
    return Rate(float(value[kind] - value[0]), percentile_interval(rates[:, kind] - rates[:, 0]))


def _third(of_kinds: list[Results], speeds: dict[int, list[float]], third: int) -> list[Results]:
    """The results over one third of the clips, by the speed of their hands."""
    thirds = {seed: np.array_split(np.argsort(speed, kind="stable"), 3)[third] for seed, speed in speeds.items()}

    def part(one: dict[str, Any], seed: int) -> dict[str, Any]:
        return {key: [one[key][clip] for clip in thirds[seed]] for key in ("errors", "words", "signers")}

    return [{seed: part(one, seed) for seed, one in results.items()} for results in of_kinds]


def sign_rows(arms: Sequence[Results]) -> list[tuple[str, int, list[float]]]:
    """Which signs of the test clips were read: sign, how often it was signed in all trainings, share read by each arm.

    Args:
        arms: results of arms; the signs that the last one reads less often than the one before it come first.
    """
    shares = []
    for arm in arms:
        signed, read = Counter[str](), Counter[str]()
        for one in arm.values():
            for wanted, heard in zip(one["signed"], one["heard"], strict=True):
                signed.update(wanted.split())
                read.update(Counter(wanted.split()) & Counter(heard.split()))
        shares.append({sign: (count, read[sign] / count) for sign, count in signed.items()})
    rows = [(sign, shares[-1][sign][0], [share[sign][1] for share in shares]) for sign in shares[-1]]
    return sorted(rows, key=lambda row: (row[2][-1] - row[2][-2], row[0]))


def markdown(rows: Sequence[Row], reading: Sequence[Reading] = ()) -> str:
    """Tables; gains above 0 are fewer errors."""
    lines = [
        "| learned from | clips | seeds | steps | dev WER | WER | gain, points | signers better, worse | over"
        " | share of the ceiling |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        clips = " + ".join(str(count) for count in (row.true, row.copies) if count)
        seeds = str(row.seeds) if row.pairs in (0, row.seeds) else f"{row.seeds}, {row.pairs} paired"
        signers = f"{row.better}, {row.worse}" if row.pairs else ""
        cells = [row.name, clips, seeds, f"{row.steps:.0f}", _cell(replace(row.dev, interval=None)), _cell(row.wer)]
        cells += [_cell(row.gain, "+", unit=""), signers, row.over, _cell(row.share, places=0)]
        lines.append("| " + " | ".join(cells) + " |")
    if reading:
        lines += [
            "",
            "| learned from | seeds | reads | WER | more errors, points | with slow, middle, fast hands |",
            "|---|---|---|---|---|---|",
        ]
    for one in reading:
        thirds = ", ".join(_cell(replace(rate, interval=None), "+", unit="") for rate in one.by_speed)
        cells = [one.name, str(one.seeds), one.kind, _cell(one.wer), _cell(one.more, "+", unit=""), thirds]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def signs_markdown(names: Sequence[str], rows: Sequence[tuple[str, int, list[float]]]) -> str:
    """The table of `sign_rows`."""
    lines = [
        f"| sign | signed | {' | '.join(f'read after {name}' for name in names)} |",
        "|---" * (2 + len(names)) + "|",
    ]
    for sign, count, shares in rows:
        lines.append(f"| {sign} | {count} | {' | '.join(f'{share:.0%}' for share in shares)} |")
    return "\n".join(lines) + "\n"


def _cell(rate: Rate | None, sign: str = "", places: int = 1, unit: str = " %") -> str:
    if rate is None:
        return ""
    text = f"{100 * rate.value:{sign}.{places}f}{unit}"
    if rate.interval is None:
        return text
    low, high = (f"{100 * value:{sign}.{places}f}" for value in rate.interval)
    return f"{text} ({low} to {high})"
