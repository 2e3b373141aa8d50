"""The table of metrics and the order of the clips: the result's numbers as the words that the page prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from signgen.scoring.comparison import Difference, Interval
from signgen.scoring.report.labels import DIRECTIONS, badness, label, shown
from signgen.scoring.report.pictures import FRAME_METRICS
from signgen.scoring.summary import Against, EvaluationResult

SORTED_BY = ("hand_ssim", *FRAME_METRICS)  # what clips are sorted by at first, where it was computed
NONE = "–"


def rows(result: EvaluationResult) -> list[dict[str, str]]:
    """The table of scores: one row of texts for each metric of the result, those that were not computed last."""
    made = [_row(name, result) for name in result.metrics]
    return sorted(made, key=lambda row: bool(row["reason"]))


def _row(name: str, result: EvaluationResult) -> dict[str, str]:
    value, words = result.metrics[name], label(name)
    interval = _interval(name, result.intervals.get(name))
    why_none = result.not_computed.get(f"intervals.{name}") or result.not_computed.get("intervals", "")
    return {
        "name": name,
        "text": words.text,
        "unit": words.unit,
        "direction": DIRECTIONS[words.better],
        "value": shown(name, value),
        "interval": interval,
        "no_interval": why_none if interval == NONE else "",
        "counted": result.counted(name) or NONE,
        "signature": result.signatures.get(name, ""),
        "reason": result.not_computed.get(name, "nothing was there to be measured") if value is None else "",
    }


def counts(result: EvaluationResult) -> list[tuple[str, str]]:
    """(words, number) of what was counted or left out; of zeros only the hands that were left out."""
    shown_counts = ((key, number) for key, number in result.counts.items() if number or key == "hands_left_out")
    return [(key.replace("_", " "), f"{number:,}") for key, number in shown_counts]


def compared(result: EvaluationResult) -> list[dict[str, str]]:
    """The table of two systems: one row of texts for each metric that both have; none without a second system."""
    if result.against is None:
        return []
    found = result.against.differences.items()
    return [_compared(name, result, result.against, d) for name, d in found if d.mean is not None]


def _compared(name: str, result: EvaluationResult, against: Against, difference: Difference) -> dict[str, str]:
    mean, p, words = difference.mean, difference.p_value, label(name)
    assert mean is not None, "left out by the caller"
    return {
        "text": words.text,
        "unit": words.unit,
        "first": shown(name, result.metrics.get(name)),
        "second": shown(name, against.metrics.get(name)),
        "difference": ("+" if mean > 0 else "") + shown(name, mean),
        "interval": _interval(name, difference.interval),
        "p": NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        "better": difference.verdict.replace("generated", "first").replace("against", "second"),
    }


def _interval(name: str, interval: Interval | None) -> str:
    return NONE if interval is None else f"{shown(name, interval[0])} to {shown(name, interval[1])}"


def clip_scores(result: EvaluationResult, name: str) -> dict[str, float]:
    """Metric -> value of one clip, only those that it has."""
    for clip in result.clips:
        if clip.name == name:
            return {metric: value for metric, value in clip.metrics.items() if value is not None}
    return {}


def clip_orders(scores: Sequence[Mapping[str, float]]) -> dict[str, list[int]]:
    """Metric -> clip numbers, the worst first and those without a score last; the metric to begin with comes first.

    Metrics without a direction of their own are sorted from the lowest value up.
    """
    found = list(dict.fromkeys(metric for clip in scores for metric in clip))
    preferred = [metric for metric in SORTED_BY if metric in found]
    return {metric: _worst_first(metric, scores) for metric in dict.fromkeys([*preferred, *found])}


def _worst_first(metric: str, scores: Sequence[Mapping[str, float]]) -> list[int]:
    def place(index: int) -> tuple[bool, float]:
        if metric not in scores[index]:
            return True, 0.0
        bad = badness(metric, scores[index][metric])
        return False, scores[index][metric] if bad is None else -bad

    return sorted(range(len(scores)), key=place)
