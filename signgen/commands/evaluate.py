"""``signgen evaluate``: scores of generated video against true video."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from signgen.commands.common import common_options, emit, progress_to


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
@click.option(
    "--hand-detector",
    type=click.Choice(["signgen", "mmpose", "rtmlib", "mediapipe"]),
    default="signgen",
    show_default=True,
    help="What finds the hands' joints for Hand PE.",
)
@click.option("--hand-weights", type=click.Path(), metavar="FILE", help="The hand detector's weights.")
@click.option("--lpips-weights", type=click.Path(), metavar="FILE", help="Without them no LPIPS.")
@click.option("--fid-weights", type=click.Path(), metavar="FILE", help="Without them no FID.")
@click.option(
    "--recogniser",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Recognise the signs too; REFERENCE must be a data set with glosses. Put it last, or DIR is the next word.",
)
@click.option(
    "--names",
    type=click.Choice(["error", "common"]),
    default="error",
    show_default=True,
    help="Clips that one side lacks.",
)
@click.option(
    "--lengths",
    type=click.Choice(["error", "common"]),
    default="error",
    show_default=True,
    help="Clips of unequal length; common compares their first frames.",
)
@click.option(
    "--sizes",
    type=click.Choice(["error", "resize"]),
    default="error",
    show_default=True,
    help="Frames of unequal size; resize scales the generated ones.",
)
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
    from signgen.scoring.table import as_text

    default = recogniser == ""  # the option without a folder
    with progress_to("frames") as advance:
        result = evaluate(**options, recogniser=default or recogniser or False, progress=advance)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    emit(result.to_json(), as_json, "" if as_json else as_text(result, _width(), colour))


def _width() -> int:
    """Of the terminal; wide where there is none, since files do not wrap."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 120
