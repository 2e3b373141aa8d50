"""``signgen export``: a model's networks for renders on CPUs (OpenVINO) or for other programs (ONNX)."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.errors import Mismatch


@click.command(short_help="Write a model's networks for faster renders on CPUs, or as ONNX.")
@click.argument("model", default="mini")
@click.option("-o", "--output", type=click.Path(), help="Folder of the export [in the user's cache; MODEL-onnx].")
@click.option("--int8", is_flag=True, help="In eight bits: faster still, nearly the same frames.")
@click.option("--onnx", is_flag=True, help="As plain ONNX graphs, checked against torch.")
@common_options
def command(as_json: bool, model: str, output: str | None, int8: bool, onnx: bool) -> None:
    """Export MODEL (mini, or a model's folder) for OpenVINO, or as ONNX.

    `signgen render` finds the export for OpenVINO in the cache, or in MODEL/openvino, and uses it where it fits the
    weights.
    """
    from signgen.exporter import export, export_onnx

    if onnx and int8:
        raise Mismatch("--int8", "is given with --onnx", "it is for OpenVINO: leave one of them out")
    result: dict[str, Any]
    if onnx:
        result = export_onnx(model, output, say=_say)
        names, made = result["difference"], "as ONNX"
    else:
        result = export(model, output, int8, say=_say)
        names, made = result["precision"], "for OpenVINO"
    emit(result, as_json, f"{result['output']}: {', '.join(names)} of {model} {made}")


def _say(name: str) -> None:
    click.echo(f"export: {name}", err=True)
