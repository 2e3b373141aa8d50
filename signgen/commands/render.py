"""``signgen render``: keypoints in, video out; and ``signgen render-pairs``: a data set of pairs in, pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit, progress_to
from signgen.commands.options import (
    FRAME_RANGE,
    GUIDANCE,
    KNOWN,
    SHARE,
    SIZE,
    SMOOTH,
    TURN,
    choice,
    device_option,
    estimator_options,
    export_option,
    fit_option,
    guidance_rule_option,
    layout_option,
    model_options,
    reading_options,
    sampling_options,
    scheduler_option,
    shutter_option,
)
from signgen.errors import BadValue

FILES = ("keypoints", "output", "compare", "original", "source_frames")


@click.command(short_help="Turn keypoints into photo-real signing video.")
@click.argument("keypoints", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="OUT.mp4, OUT.webm or a folder [./KEYPOINTS.mp4].")
@click.option(
    "--source", multiple=True,
    help="Who is shown: an image, a video or a built-in signer; again for more pictures of the same person.",
)  # fmt: skip
@click.option(
    "--source-keypoints", type=click.Path(), multiple=True,
    help="Where the person stands in the source; again for each picture.",
)  # fmt: skip
@click.option(
    "--source-frames", type=click.IntRange(1, 8), default=1, show_default=True,
    help="Of a source video, the frames that show most; --source-keypoints are then of all its frames.",
)  # fmt: skip
@click.option(
    "--known", type=KNOWN, multiple=True, help="Frame N of the video is this picture, and those beside it lead there."
)
@click.option("--source-rotate", type=TURN, default=0, help="Turn the source and its keypoints, clockwise.")
@reading_options
@click.option("--size", type=SIZE, help="Size of the output [the keypoints' frame].")
@fit_option
@click.option(
    "--background", default="source", show_default=True,
    help="What is behind the person: source, none (transparent, for OUT.webm and folders), #RRGGBB, or an image.",
)  # fmt: skip
@click.option("--frames", type=FRAME_RANGE, help="Only frames A to B-1.")
@sampling_options
@guidance_rule_option
@scheduler_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise of every frame.")
@shutter_option
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
@estimator_options("For a video in KEYPOINTS' place: what finds its keypoints, see `signgen extract`.")
@common_options
def command(as_json: bool, model: str, **options: Any) -> None:
    """Render KEYPOINTS (a file, a folder, or - for standard input) as video of the source person signing.

    KEYPOINTS may be a video too, or a folder of its frames: its keypoints are extracted first.

    The output has the frames, the size and the rate of the keypoints. OUT.json beside it says how it was made.
    """
    from signgen.rendering import RenderSettings, load_model, plan_render, run_plan

    files = {name: options.pop(name) for name in FILES}
    files |= {name: options.pop(name) or None for name in ("source", "source_keypoints")}
    files["known"] = _numbered(options.pop("known"))
    settings = RenderSettings(**options)
    with progress_to("extract") as report:
        plan = plan_render(settings, **files, model=model, progress=report)
    pipeline = load_model(model, plan.settings)
    with progress_to("render") as report:
        result = run_plan(plan, pipeline, report)
    text = (
        f"{result.output}: {result.frames} frames of {result.width}x{result.height} at {result.fps:g} fps"
        f" in {result.seconds:.1f} s ({result.frames_per_second:.1f} frames/s); {result.manifest}"
    )
    emit(result.as_dict(), as_json, text)


def _numbered(known: Sequence[tuple[int, str]]) -> dict[int, str]:
    """Given frames by number; `BadValue` where one is given twice."""
    numbers = [number for number, _ in known]
    if twice := [number for number in numbers if numbers.count(number) > 1]:
        raise BadValue("--known", f"frame {twice[0]} is given twice", "give each frame once")
    return dict(known)


# Pairs of pictures, in the place of a clip.


@click.command(short_help="Render the pairs of DeepFashion or Market-1501.")
@click.argument("data", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder to write.")
@click.option("--model", required=True, metavar="DIR", help="Folder of a model that was trained on pairs.")
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@layout_option
@click.option(
    "--sources", type=click.IntRange(1, 8), default=1, show_default=True,
    help="Pictures of each person: the pair's source, and others of its outfit.",
)  # fmt: skip
@click.option("--steps", type=int, help="Sampling steps [the model's].")
@click.option("--guidance", type=GUIDANCE, help="Guidance weights [the model's].")
@guidance_rule_option
@scheduler_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise of every picture.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N pairs.")
@click.option("--shard", type=SHARE, default="1/1", show_default=True, help="This process's share of the pairs.")
@device_option
@choice("--dtype", "auto", "float32", "bfloat16", "float16")
@common_options
def pairs_command(
    data: str, output: Path, model: str, split: str, layout: str | None, sources: int, limit: int | None,
    shard: tuple[int, int], as_json: bool, **sampling: Any,
) -> None:  # fmt: skip
    """Render each pair of DATA, the person of its source picture in the pose of its target, as a PNG file in OUT.

    DATA is DeepFashion or Market-1501 as the papers have it on the disk, or what `signgen prepare` made of it. The same
    command goes on with a run that was stopped. `signgen evaluate OUT DATA --protocol NAME` scores the pictures.
    """
    from signgen.dataset.persons.prepare import table_of
    from signgen.dataset.persons.render import render_pairs
    from signgen.rendering import RenderSettings, load_model

    settings = RenderSettings(**sampling)
    table = table_of(data, split, layout)
    pipeline = load_model(model, settings)
    with progress_to("pairs") as report:
        result = render_pairs(table, pipeline, output, settings, sources, shard, limit, report)
    size = "x".join(map(str, result["size"]))
    text = f"{result['output']}: {result['pairs']} pairs at {size}, {result['rendered']} of them now"
    emit(result, as_json, f"{text} in {result['seconds']:.1f} s")
