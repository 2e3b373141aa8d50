"""``signgen evaluate``: scores of generated video against true video."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit, given, option_of, progress_to
from signgen.commands.options import SIZE, choice, layout_option

if TYPE_CHECKING:
    from signgen.scoring.persons.published import Reported
    from signgen.scoring.persons.run import PairResult
    from signgen.scoring.summary import Against, EvaluationResult

_ARROWS = {"higher": "higher", "lower": "lower", "1": "near 1", "-": ""}
_POSES = ("signgen", "fpdm18", "cfld18", "imagpose18")
_RETRIEVAL = {"layout", "size", "pose_style", "limit", "seed"}
_PROTOCOL = {
    "layout", "names", "limit", "seed", "jobs", "csv", "lpips_weights", "fid_weights", "stlpips_weights",
}  # fmt: skip
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
@click.option(
    "--protocol",
    metavar="NAME",
    help="Score pictures of pairs as papers do: cfld-256, cfld-512, fpdm-256, fpdm-512, pidm-256, pcdm-256, pcdm-512, "
    "market; or a fusion model by retrieval.",
)
@layout_option
@click.option("--size", type=SIZE, help="Of the pictures of retrieval [352x512, or 64x128].")
@click.option("--pose-style", type=click.Choice(_POSES), help="How the poses of retrieval are drawn [fpdm18].")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes [all cores, fewer for few frames].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and p-values.")
@common_options
def command(
    as_json: bool, recogniser: str | None, protocol: str | None, layout: str | None,
    size: tuple[int, int] | None, pose_style: str | None, **options: Any,
) -> None:  # fmt: skip
    """Score GENERATED against REFERENCE: two videos, two folders of frames, two folders of clips, or two data sets.

    Several clips are matched by name and get 95 % intervals over clips. What does not fit is an error that lists it,
    unless --names, --lengths or --sizes says what to do. Hands that cannot be scored are counted.

    With --protocol, GENERATED is a folder of pictures as signgen, NTED, PIDM, CFLD, FPDM or PCDMs name theirs,
    and REFERENCE is DeepFashion or Market-1501; published figures of the same family stand below, marked as reported.
    For retrieval GENERATED is the folder of a fusion model.
    """
    from signgen.scoring import evaluate

    _check_options(protocol)
    if protocol is not None:
        with progress_to("pictures") as advance:
            found = _of_pairs(protocol, layout, size, pose_style, options, advance)
        emit(found.to_json(), as_json, "" if as_json else pairs_as_text(found, _width()))
        return
    default = recogniser == ""  # the option without a folder
    with progress_to("frames") as advance:
        result = evaluate(**options, recogniser=default or recogniser or False, progress=advance)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    emit(result.to_json(), as_json, "" if as_json else as_text(result, _width(), colour))


def _check_options(protocol: str | None) -> None:
    """`Mismatch` for an option of clips beside a protocol, or one of pairs without it."""
    from signgen.errors import Mismatch

    found = given("generated", "reference", "protocol")
    if protocol is None:
        wrong, advice = found & {"layout", "size", "pose_style"}, "it is for --protocol"
    else:
        known = _RETRIEVAL if protocol == "retrieval" else _PROTOCOL
        wrong, advice = found - known, f"--protocol {protocol} takes {', '.join(map(option_of, sorted(known)))}"
    if wrong:
        raise Mismatch(option_of(min(wrong)), f"got it with {protocol or 'no'} protocol", advice)


def _of_pairs(
    protocol: str, layout: str | None, size: tuple[int, int] | None, style: str | None, options: dict[str, Any],
    advance: Callable[[int, int], None],
) -> PairResult:  # fmt: skip
    generated, data, limit, seed = (options[name] for name in ("generated", "reference", "limit", "seed"))
    if protocol == "retrieval":
        from signgen.scoring.persons.retrieval import evaluate_retrieval

        more: dict[str, Any] = {"size": size} if size else {}
        more |= {"pose_style": style} if style else {}
        return evaluate_retrieval(generated, data, layout=layout, limit=limit, seed=seed, progress=advance, **more)
    from signgen.scoring.persons.run import Weights, evaluate_pairs

    weights = Weights(*(options[f"{name}_weights"] for name in ("lpips", "fid", "stlpips")))
    return evaluate_pairs(
        generated, data, protocol, layout=layout, names=options["names"], limit=limit, weights=weights,
        csv_file=options["csv"], seed=seed, jobs=options["jobs"], progress=advance,
    )  # fmt: skip


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


# Pairs: the result, and each published table by itself, for their columns are not the same measures.


def pairs_as_text(result: PairResult, width: int = 100) -> str:
    """The scores with their signatures, then the published tables of the same family."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=width, highlight=False)
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.counts.items())
    table = Table(title=f"{result.protocol}, family {result.family}: {counts}", box=box.SIMPLE, title_justify="left")
    table.add_column("score", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for name, value in result.metrics.items():
        own = " (the family's SSIM)" if name == result.settings.get("family_ssim") else ""
        table.add_row(f"{name}{own}", _number(value, 4), _interval(result.intervals.get(name), 4))
    console.print(table)
    for reported in result.reported:
        console.print(_reported(reported))
        if reported.note:
            console.print(f"  {reported.note}", markup=False, soft_wrap=True)
    parts = [console.file.getvalue().rstrip()]  # type: ignore[attr-defined]
    if result.not_computed:
        parts.append("\n".join(["not computed:", *(f"  {name}: {why}" for name, why in result.not_computed.items())]))
    parts.append("\n".join(["signatures:", *(f"  {name}: {text}" for name, text in result.signatures.items())]))
    return "\n".join(parts)


def _reported(reported: Reported) -> object:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = f"reported: {reported.source}, {reported.resolution}, family {reported.family}; nothing of it measured here"
    table = Table(title=escape(title), box=box.SIMPLE, title_justify="left")
    table.add_column("method", no_wrap=True)
    for column in reported.columns:
        table.add_column(f"{column} (reported)", justify="right", no_wrap=True)
    for method, row in reported.rows.items():
        table.add_row(escape(method), *("-" if value is None else f"{value:g}" for value in row))
    return table
