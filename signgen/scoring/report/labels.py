"""How the report speaks of each metric: the label, unit and digits of `METRICS` as text."""

from __future__ import annotations

from dataclasses import dataclass

from signgen.scoring.metrics.registry import METRICS

DIRECTIONS = {
    "higher": "↑ higher is better",
    "lower": "↓ lower is better",
    "1": "→ 1 is the truth’s",
    "-": "read it beside the motion ratio",
    "": "no direction known",
}


@dataclass(frozen=True)
class Label:
    """Words for one metric.

    Args:
        text: its name for people, without the unit.
        unit: of its values, empty for a plain number.
        better: a key of `DIRECTIONS`.
        digits: decimals that are shown.
    """

    text: str
    unit: str = ""
    better: str = ""
    digits: int = 4


def label(metric: str) -> Label:
    """The words for a metric; one that `METRICS` does not know keeps its own name and has no direction."""
    known = METRICS.get(metric)
    if known is None:
        return Label(metric.replace("_", " "))
    text = known.label.removesuffix(f" {known.unit}")
    return Label(text[:1].upper() + text[1:] if text.islower() else text, known.unit, known.better, known.digits)


def badness(metric: str, value: float) -> float | None:
    """A number that grows as the value gets worse; None where the metric has no direction of its own."""
    better = label(metric).better
    if better == "higher":
        return -value
    if better == "lower":
        return value
    return abs(value - 1.0) if better == "1" else None


def shown(metric: str, value: float | None) -> str:
    """The value as the page prints it, with a true minus sign; a dash where there is none."""
    return "–" if value is None else f"{value:.{label(metric).digits}f}".replace("-", "\N{MINUS SIGN}")


def with_unit(metric: str, value: float | None) -> str:
    """As `shown`, with the unit behind it."""
    unit = label(metric).unit
    return f"{shown(metric, value)} {unit}" if unit and value is not None else shown(metric, value)
