"""The result as a table for the terminal, signatures below it."""

from __future__ import annotations

import io
from collections.abc import Mapping

from signgen.scoring.scores import METRICS, Against, Difference, EvaluationResult, Interval

_ARROWS = {"higher": "higher", "lower": "lower", "1": "near 1", "-": ""}
# What each metric's value is a mean over, by the name of its count; frames where nothing else is said.
_COUNTED = {
    "hand_ssim": ("hands", "hands"),
    "hand_pe": ("hand_pe_hands", "hands found"),
    "hand_pe_drive": ("hand_pe_drive_hands", "hands found"),
    "wrist_px": ("wrists_found", "wrists found"),
    "tof": ("steps", "steps"),
    "temporal_difference_error": ("steps", "steps"),
    "flicker": ("steps", "steps"),
    "motion_ratio": ("steps", "steps"),
    "still_flicker": ("still_pixels", "still pixels"),
    "background_deviation": ("background_pixels", "background pixels"),
    "wer_true": ("words", "words"),
    "wer_generated": ("words", "words"),
    "recognition_retained": ("words", "words"),
}


def as_text(result: EvaluationResult, width: int = 100, colour: bool = False) -> str:
    """Tables, what was not computed, and the signatures."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    console.print(_scores(result))
    if result.against is not None:
        console.print(_comparison(result, result.against))
    parts = [console.file.getvalue().rstrip(), _left_out(result.counts)]  # type: ignore[attr-defined]
    if result.against is not None:
        parts.append(_left_out(result.against.counts, f" of {result.against.name}"))
    if result.not_computed:
        reasons = (f"  {name}: {reason}" for name, reason in result.not_computed.items())
        parts.append("\n".join(["not computed:", *reasons]))
    parts.append("\n".join(["signatures:", *(f"  {name}: {text}" for name, text in result.signatures.items())]))
    return "\n".join(part for part in parts if part)


def _scores(result: EvaluationResult) -> object:
    from rich import box
    from rich.table import Table

    counts = result.counts
    table = Table(title=f"{counts['clips']} clips, {counts['frames']} frames", box=box.SIMPLE, title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("better", no_wrap=True)
    table.add_column("mean over")
    for name, value in result.metrics.items():
        row = METRICS[name]
        counted = counted_text(name, counts) if value is not None else ""
        interval = interval_text(result.intervals.get(name), row.digits)
        table.add_row(row.label, number_text(value, row.digits), interval, _ARROWS[row.better], counted)
    return table


def counted_text(name: str, counts: Mapping[str, int]) -> str:
    """What a metric is a mean over, such as ``1,204 hands found``; empty where the counts do not say."""
    key, unit = _COUNTED.get(name, ("frames", "frames"))
    return f"{counts[key]:,} {unit}" if key in counts else ""


def _comparison(result: EvaluationResult, against: Against) -> object:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"against {escape(against.name)}", box=box.SIMPLE, title_justify="left")
    for column in ("metric", "generated", "against", "difference", "95 % interval", "p"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    table.add_column("better")
    for name, difference in against.differences.items():
        row = METRICS[name]
        digits = row.digits
        table.add_row(
            row.label,
            number_text(result.metrics.get(name), digits),
            number_text(against.metrics.get(name), digits),
            number_text(difference.mean, digits, sign=True),
            interval_text(difference.interval, digits, sign=True),
            "" if difference.p_value is None else p_text(difference.p_value),
            verdict(difference),
        )
    return table


def verdict(difference: Difference) -> str:
    """Which system is better, and whether the interval of the difference excludes 0."""
    if difference.mean is None:
        return ""
    if difference.interval is None:
        return f"{difference.better or 'neither'}, no interval"
    low, high = difference.interval
    excluded = low > 0 or high < 0
    if difference.better is None:
        return "equal" if difference.mean == 0 else "they differ" if excluded else "not told apart"
    return f"{difference.better}, excludes 0" if excluded else f"{difference.better}, not told apart"


def number_text(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def interval_text(interval: Interval | None, digits: int, sign: bool = False) -> str:
    return "" if interval is None else " to ".join(number_text(end, digits, sign) for end in interval)


def p_text(value: float) -> str:
    """Three digits after the leading zeros are more than 10,000 swaps can tell."""
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


_LEFT_OUT = {
    "hands_left_out": "hands left out (knuckle not confident)",
    "hand_pe_not_found": "hands not found by the detector",
    "clips_left_out": "clips left out",
    "frames_left_out": "frames left out",
    "clips_resized": "clips resized",
    "clips_without_keypoints": "clips without keypoints",
}


def _left_out(counts: Mapping[str, int], whose: str = "") -> str:
    told = [f"{counts[key]} {text}" for key, text in _LEFT_OUT.items() if counts.get(key)]
    return f"counted, not scored{whose}: " + ", ".join(told) if told else ""
