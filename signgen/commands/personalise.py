"""``signgen personalise``: one person's short video in, a model of that person out."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from signgen import signals
from signgen.commands.common import common_options, emit, existing_path, progress_to
from signgen.commands.options import estimator_options, person_option
from signgen.errors import Missing


@click.command(short_help="Have a model learn one person from a short video.")
@click.argument("video", type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="Folder of the model.")
@click.option("--consent", metavar="WORDS", help="Who agreed to this, and to what; it stays with every video made.")
@click.option("--keypoints", type=click.Path(), help="Of all frames of VIDEO [an installed estimator finds them].")
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Time for everything together, about.")
@click.option("--resume", is_flag=True, help="Go on with what was begun for the same output.")
@click.option("--model", default="mini", show_default=True, help="What it starts from: mini, or a model's folder.")
@click.option("--held-out", type=float, default=0.2, show_default=True, help="Share at the end that is only scored on.")
@click.option("--sources", type=int, default=4, show_default=True, help="Pictures of the person that the model keeps.")
@click.option("--drawn", type=float, default=0.2, show_default=True, help="Share of drawn people, against forgetting.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--stages",
    help="What is trained, with commas.  "
    "[default: autoencoder, distill where it has time, hand_refiner and face_refiner]",
)
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change a stage's setting.")
@click.option("--keep", is_flag=True, help="Keep OUTPUT.work, what was made on the way.")
@person_option
@estimator_options("What finds the keypoints.")
@common_options
def command(
    as_json: bool, video: str, output: str, consent: str | None, minutes: float, held_out: float, sources: int,
    drawn: float, seed: int, stages: str | None, settings: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Have a model learn the one person of VIDEO, one to three minutes of signing, and write it to a folder.

    The folder is for `signgen render --model`, and has pictures of the person inside. Kept beside it while it runs:
    OUTPUT.work, with a sheet of pictures that grows; --resume goes on there. The last part of VIDEO is not learned
    from: the model before and after is scored on it.

    The person must have agreed. Say so with --consent, or answer the question.
    """
    path = existing_path(video)
    from signgen.personal import Recipe, personalise
    from signgen.personal.run import begun_consent
    from signgen.personal.scores import FIGURES

    begun = begun_consent(output) if options["resume"] else ""  # asked once, when it was begun
    words = consent if consent is not None else begun or _asked(video)

    trained = {} if stages is None else {"stages": tuple(stages.split(","))}
    recipe = Recipe(minutes, held_out, sources, drawn, seed, settings=settings, **trained)
    with progress_to("personalise, seconds") as report:
        result = personalise(
            path, output, words, recipe=recipe, progress=lambda done, total: report(int(done), int(total)),
            show=lambda sheet: click.echo(f"personalise: {sheet} has grown", err=True), **options,
        )  # fmt: skip
    if not result.finished:
        text = f"{output}: stopped after {result.minutes:g} minutes; go on with --resume"
    else:
        shown = [(FIGURES[name], result.before[name], result.after[name]) for name in ("hand_ssim", "face_ssim")]
        gains = [f"{figure.words} {figure.text(before)} -> {figure.text(after)}" for figure, before, after in shown]
        text = f"{output}: {result.size_mib:.1f} MiB, {result.minutes:g} minutes; held-out part: {', '.join(gains)}"
    emit(vars(result), as_json, text)


def _asked(video: str) -> str:
    """The words for a yes at the terminal; `Missing` where nobody can be asked, or says no."""
    advice = 'add --consent "who agreed, and to what"'
    if not sys.stdin.isatty():
        raise Missing("--consent", "is not given", advice)
    question = f"Has the person in {video} agreed that a model of them is made, and to what it is used for?"
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if signals.asked():
            raise
        raise Missing("--consent", "the question was not answered", advice) from None
    if not agreed:
        raise Missing("--consent", "the question was answered with no", "ask the person first")
    return f"A yes to the question whether the person agreed, at the terminal on {datetime.now(UTC).date()}"
