"""``signgen evaluate``: scores of generated video against true video."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit, progress_to
from signgen.commands.options import choice

if TYPE_CHECKING:
    from signgen.scoring.summary import Against, EvaluationResult

_ARROWS = {"higher": "higher", "lower": "lower", "1": "near 1", "-": ""}
_LEFT_OUT = {
    "hands_left_out": "hands left out (knuckle not confident)",
    "hand_pe_not_found": "hands not found by the detector",
    "clips_left_out": "clips left out",
    "frames_left_out": "frames left out",
    "clips_resized": "clips resized",
    "clips_without_keypoints": "clips without keypoints",
}


@click.command(short_help="Score generated video against true video.")
@click.argument("generated", type=click.Path())
@click.argument("reference", type=click.Path())
@click.option(
    "--keypoints",
    type=click.Path(),
    metavar="K",
    help="Keypoints of REFERENCE: a file, or a folder with one per clip [its data set's].",
)
@click.option("--against", type=click.Path(), metavar="OTHER", help="A second system's clips, to compare with.")
@click.option("--csv", type=click.Path(), metavar="OUT.csv", help="One line per frame.")
@click.option("--report", type=click.Path(), metavar="OUT.html", help="A page with players, curves and worst frames.")
@click.option(
    "--report-clips",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    metavar="N",
    help="How many clips the page shows, the worst first.",
)
@choice("--hand-detector", "signgen", "mmpose", "rtmlib", "mediapipe", help="What finds the hands' joints for Hand PE.")
@click.option("--hand-weights", type=click.Path(), metavar="FILE", help="The hand detector's weights.")
@click.option("--lpips-weights", type=click.Path(), metavar="FILE", help="Without them no LPIPS.")
@click.option("--fid-weights", type=click.Path(), metavar="FILE", help="Without them no FID.")
@click.option("--stlpips-weights", type=click.Path(), metavar="FILE", help="Also ST-LPIPS, by this network.")
@click.option(
    "--recogniser",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Recognise the signs too; REFERENCE must be a data set with glosses. Put it last, or DIR is the next word.",
)
@choice("--names", "error", "common", help="Clips that one side lacks.")
@choice("--lengths", "error", "common", help="Clips of unequal length; common compares their first frames.")
@choice("--sizes", "error", "resize", help="Frames of unequal size; resize scales the generated ones.")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Of data sets [test, or the only one].")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N clips of REFERENCE.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes [all cores, fewer for few frames].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and p-values.")
@common_options
def command(as_json: bool, recogniser: str | None, **options: Any) -> None:
    """Score GENERATED against REFERENCE: two videos, two folders of frames, two folders of clips, or two data sets.

    Several clips are matched by name and get 95 % intervals over clips. What does not fit is an error that lists it,
    unless --names, --lengths or --sizes says what to do. Hands that cannot be scored are counted.
    """
    from signgen.scoring import evaluate

    default = recogniser == ""  # the option without a folder
    with progress_to("frames") as advance:
        result = evaluate(**options, recogniser=default or recogniser or False, progress=advance)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    emit(result.to_json(), as_json, "" if as_json else as_text(result, _width(), colour))


def _width() -> int:
    """Of the terminal; wide where there is none, since files do not wrap."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 120


# The result as tables for the terminal, signatures below them.


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

    from signgen.scoring.metrics.registry import METRICS

    counts = result.counts
    table = Table(title=f"{counts['clips']} clips, {counts['frames']} frames", box=box.SIMPLE, title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("better", no_wrap=True)
    table.add_column("mean over")
    for name, value in result.metrics.items():
        row = METRICS[name]
        counted = result.counted(name) if value is not None else ""
        interval = _interval(result.intervals.get(name), row.digits)
        table.add_row(row.label, _number(value, row.digits), interval, _ARROWS[row.better], counted)
    return table


def _comparison(result: EvaluationResult, against: Against) -> object:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from signgen.scoring.metrics.registry import METRICS

    table = Table(title=f"against {escape(against.name)}", box=box.SIMPLE, title_justify="left")
    for column in ("metric", "generated", "against", "difference", "95 % interval", "p"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    table.add_column("better")
    for name, difference in against.differences.items():
        row = METRICS[name]
        digits = row.digits
        table.add_row(
            row.label,
            _number(result.metrics.get(name), digits),
            _number(against.metrics.get(name), digits),
            _number(difference.mean, digits, sign=True),
            _interval(difference.interval, digits, sign=True),
            "" if difference.p_value is None else _p_value(difference.p_value),
            difference.verdict,
        )
    return table


def _number(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _interval(interval: tuple[float, float] | None, digits: int, sign: bool = False) -> str:
    return "" if interval is None else " to ".join(_number(end, digits, sign) for end in interval)


def _p_value(value: float) -> str:
    """Three digits after the leading zeros are more than 10,000 swaps can tell."""
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def _left_out(counts: Mapping[str, int], whose: str = "") -> str:
    found = [f"{counts[key]} {text}" for key, text in _LEFT_OUT.items() if counts.get(key)]
    return f"counted, not scored{whose}: " + ", ".join(found) if found else ""
