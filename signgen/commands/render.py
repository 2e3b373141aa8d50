"""``signgen render``: keypoints in, video out."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import common_options, emit, progress_to
from signgen.commands.options import (
    FRAME_RANGE,
    SIZE,
    SMOOTH,
    TURN,
    export_option,
    fit_option,
    model_options,
    reading_options,
    sampling_options,
)

FILES = ("keypoints", "source", "output", "compare", "original", "source_keypoints")


@click.command(short_help="Turn keypoints into photo-real signing video.")
@click.argument("keypoints", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="OUT.mp4, OUT.webm or a folder [./KEYPOINTS.mp4].")
@click.option("--source", help="Who is shown: an image, a video or a built-in signer.")
@click.option("--source-keypoints", type=click.Path(), help="Where the person stands in the source.")
@click.option("--source-rotate", type=TURN, default=0, help="Turn the source and its keypoints, clockwise.")
@reading_options
@click.option("--size", type=SIZE, help="Size of the output [the keypoints' frame].")
@fit_option
@click.option("--frames", type=FRAME_RANGE, help="Only frames A to B-1.")
@sampling_options
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise of every frame.")
@click.option("--align", is_flag=True, help="Fit the skeleton to the source person's body and place.")
@click.option("--smooth", type=SMOOTH, help="Smooth the keypoints: cut-off in Hz, or auto, which keeps fast hands.")
@click.option("--fill-gaps", type=int, metavar="N", help="Fill gaps of up to N frames.")
@click.option(
    "--fill-hands/--no-fill-hands", default=True, show_default=True, help="Complete hands that the estimator lost."
)
@model_options
@export_option
@click.option("--compile", is_flag=True, help="Compile torch's networks (CUDA graphs on a GPU); for long clips.")
@click.option("--compare", type=click.Path(), help="A second video: source | pose | generated side by side.")
@click.option("--original", type=click.Path(), help="The true video, shown in --compare too.")
@click.option(
    "--estimator",
    type=click.Choice(["auto", "mmpose", "rtmlib", "mediapipe"]),
    help="For a video in KEYPOINTS' place: what finds its keypoints, see `signgen extract`.",
)
@click.option("--estimator-weights", type=click.Path(), help="The estimator's local file of weights.")
@common_options
def command(as_json: bool, model: str, **options: Any) -> None:
    """Render KEYPOINTS (a file, a folder, or - for standard input) as video of the source person signing.

    KEYPOINTS may be a video too, or a folder of its frames: its keypoints are extracted first.

    The output has the frames, the size and the rate of the keypoints. OUT.json beside it says how it was made.
    """
    from signgen.rendering import RenderSettings, load_model, plan_render, run_plan

    files = {name: options.pop(name) for name in FILES}
    settings = RenderSettings(**options)
    with progress_to("extract") as report:
        plan = plan_render(settings, **files, progress=report)
    pipeline = load_model(model, plan.settings)
    with progress_to("render") as report:
        result = run_plan(plan, pipeline, report)
    text = (
        f"{result.output}: {result.frames} frames of {result.width}x{result.height} at {result.fps:g} fps"
        f" in {result.seconds:.1f} s ({result.frames_per_second:.1f} frames/s); {result.manifest}"
    )
    emit(result.as_dict(), as_json, text)
