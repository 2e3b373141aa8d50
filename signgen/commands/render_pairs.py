"""``signgen render-pairs``: people of DeepFashion or Market-1501 in the poses of other pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit, progress_to
from signgen.commands.options import (
    GUIDANCE,
    SHARE,
    choice,
    device_option,
    guidance_rule_option,
    layout_option,
    scheduler_option,
)


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
def command(
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
