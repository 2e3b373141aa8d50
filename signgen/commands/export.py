"""``signgen export``: a model's networks as OpenVINO models, which renders on a CPU then use by themselves."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import common_options, emit


@click.command(short_help="Write a model's networks for faster renders on CPUs.")
@click.argument("model", default="mini")
@click.option("-o", "--output", type=click.Path(), help="Folder of the export [in the user's cache].")
@click.option("--int8", is_flag=True, help="In eight bits: faster still, nearly the same frames.")
@common_options
def command(as_json: bool, model: str, output: str | None, int8: bool) -> None:
    """Export MODEL (mini, or a model's folder) for OpenVINO.

    `signgen render` finds the export in the cache, or in MODEL/openvino, and uses it where it fits the weights.
    """
    from signgen.exporter import export

    result: dict[str, Any] = export(model, output, int8, say=_say)
    emit(result, as_json, f"{result['output']}: {', '.join(result['precision'])} of {model} for OpenVINO")


def _say(name: str) -> None:
    click.echo(f"export: {name}", err=True)
