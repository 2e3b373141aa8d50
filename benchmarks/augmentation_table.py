"""What the trainings say together: word error rates with intervals, as data, as a Markdown table, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.scoring.comparison import DRAWS, percentile_interval

ARMS = ("true clips alone", "with copies")
_COLOURS = ("#5f6b7a", "#c2410c")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 320, 56, 16, 16, 48


@dataclass(frozen=True)
class Rate:
    """A word error rate or a difference of two.

    Attributes:
        value: over all test clips and seeds.
        clips: 95 % interval over test clips, the trainings being what they are.
        both: 95 % interval over test clips and seeds together.
    """

    value: float
    clips: tuple[float, float]
    both: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One share of the true clips: how many those are, both rates, their difference, the rates of each seed (A,S)."""

    share: int
    true: int
    copies: int
    arms: tuple[Rate, Rate]
    difference: Rate
    seeds: np.ndarray


def row_of(share: int, results: Sequence[Sequence[dict[str, Any]]]) -> Row:
    """From the results of both arms, each a list over the same seeds."""
    errors = np.array([[one["errors"] for one in arm] for arm in results], np.float64)  # (A,S,C)
    words = np.array(results[0][0]["words"], np.float64)  # (C,)
    value, by_clips, by_both = errors.sum((1, 2)), _draws(errors, words, False), _draws(errors, words, True)
    value = value / (words.sum() * errors.shape[1])  # (A,)
    rates = tuple(_rate(value[arm], by_clips[:, arm], by_both[:, arm]) for arm in range(2))
    gain = _rate(value[1] - value[0], by_clips[:, 1] - by_clips[:, 0], by_both[:, 1] - by_both[:, 0])
    true, whole = (results[arm][0]["clips"] for arm in range(2))
    return Row(share, true, whole - true, (rates[0], rates[1]), gain, errors.sum(2) / words.sum())


def _draws(errors: np.ndarray, words: np.ndarray, seeds: bool) -> np.ndarray:
    """(DRAWS, A) rates over clips, and seeds, drawn anew; both arms from the same ones, so that they stay paired."""
    rng, (_, trainings, clips) = np.random.default_rng(0), errors.shape
    rates = np.empty((DRAWS, len(errors)))
    for draw in range(DRAWS):
        weights = np.bincount(rng.integers(clips, size=clips), minlength=clips)  # (C,)
        chosen = rng.integers(trainings, size=trainings) if seeds else np.arange(trainings)
        rates[draw] = errors[:, chosen].sum(1) @ weights / (trainings * (words @ weights))
    return rates


def _rate(value: float, by_clips: np.ndarray, by_both: np.ndarray) -> Rate:
    over_clips, over_both = percentile_interval(by_clips), percentile_interval(by_both)
    assert over_clips is not None, "every test clip has words"
    assert over_both is not None, "every test clip has words"
    return Rate(float(value), over_clips, over_both)


def as_data(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "share": row.share, "true_clips": row.true, "copies": row.copies,
            **{arm: _plain(rate) for arm, rate in zip(ARMS, row.arms, strict=True)},
            "difference": _plain(row.difference),
            "by_seed": {arm: np.round(values, 4).tolist() for arm, values in zip(ARMS, row.seeds, strict=True)},
        }
        for row in rows
    ]  # fmt: skip


def _plain(rate: Rate) -> dict[str, Any]:
    places = {"wer": [rate.value], "over_clips": rate.clips, "over_clips_and_seeds": rate.both}
    plain: dict[str, Any] = {name: [round(value, 4) for value in values] for name, values in places.items()}
    return {**plain, "wer": plain["wer"][0]}


def markdown(rows: Sequence[Row]) -> str:
    """A table; differences below 0 are a gain."""
    lines = [
        "| true clips | WER, true clips alone | WER, with copies | difference | differences of the seeds |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row.share} % ({row.true}, and {row.copies} copies)", *map(_cell, row.arms)]
        cells.append(_cell(row.difference, sign="+"))
        cells.append(", ".join(f"{100 * value:+.1f}" for value in row.seeds[1] - row.seeds[0]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(rate: Rate, sign: str = "") -> str:
    low, high = rate.both
    return f"{100 * rate.value:{sign}.1f} % ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"


# ---- the picture -----------------------------------------------------------------------------------------------------


def picture(rows: Sequence[Row]) -> str:
    """An SVG: WER against the share of true clips, both arms with their intervals and a small point for each seed."""
    top = max(max(rate.both[1] for row in rows for rate in row.arms), max(row.seeds.max() for row in rows))
    step = 0.1 if top < 0.65 else 0.2
    high = step * np.ceil(top / step + 1e-9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img"><title>Word error rate on new signers by share of true training clips</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    ]
    for number in range(round(high / step) + 1):
        y = _y(number * step, high)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{100 * number * step:.0f} %", "end"))
    last = max(row.share for row in rows)
    for row in rows:
        label = f"{row.share} % ({row.true} clips)"
        parts.append(_text(_x(row.share, last), _HEIGHT - _BOTTOM + 18, label, "middle"))
    for arm, name in enumerate(ARMS):
        parts += _curve(rows, arm, high, last)
        x, y = _WIDTH - 170, _TOP + 4 + 18 * arm
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_COLOURS[arm]}"/>')
        parts.append(_text(x + 18, y + 10, name, "start"))
    middle = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    below = "true clips to learn from; word error rate on signers never seen"
    parts.append(_text(middle, _HEIGHT - 10, below, "middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(rows: Sequence[Row], arm: int, high: float, last: int) -> list[str]:
    """One arm, moved a little aside so that bars do not cover each other."""
    colour, aside = _COLOURS[arm], (-5, 5)[arm]
    places = [(_x(row.share, last) + aside, row) for row in rows]
    line = " ".join(f"{x:.1f},{_y(row.arms[arm].value, high):.1f}" for x, row in places)
    parts = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, row in places:
        low, top = (_y(value, high) for value in row.arms[arm].both)
        parts.append(f'<path d="M{x:.1f} {low:.1f}V{top:.1f}m-4 0h8M{x - 4:.1f} {low:.1f}h8" stroke="{colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{_y(row.arms[arm].value, high):.1f}" r="4" fill="{colour}"/>')
        for value in row.seeds[arm]:
            y = _y(value, high)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="#fff" stroke="{colour}"/>')
    return parts


def _x(share: int, last: int) -> float:
    inner = _WIDTH - _LEFT - _RIGHT
    return _LEFT + inner * (0.08 + 0.8 * share / last)


def _y(value: float, high: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / high


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333">{text}</text>'
