"""``signgen export``: a model's networks for renders on CPUs (OpenVINO), for other programs (ONNX), for a browser."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.errors import Mismatch


@click.command(short_help="Write a model's networks for CPUs, as ONNX, or as a web page.")
@click.argument("model", default="mini")
@click.option("-o", "--output", type=click.Path(), help="Folder of the export [in the user's cache; MODEL-onnx].")
@click.option("--int8", is_flag=True, help="In eight bits: faster still, nearly the same frames.")
@click.option("--onnx", is_flag=True, help="As plain ONNX graphs, checked against torch.")
@click.option("--web", type=click.Path(), metavar="DIR", help="As a static page that renders in a browser.")
@click.option("--runtime", type=click.Path(), help="Folder of onnxruntime-web, for --web [npm fetches it].")
@common_options
def command(
    as_json: bool, model: str, output: str | None, int8: bool, onnx: bool, web: str | None, runtime: str | None
) -> None:
    """Export MODEL (mini, or a model's folder) for OpenVINO, as ONNX, or as a web page.

    `signgen render` finds the export for OpenVINO in the cache, or in MODEL/openvino, and uses it where it fits the
    weights.
    """
    from signgen.exporter import export, export_onnx, export_web

    _check(output, int8, onnx, web, runtime)
    result: dict[str, Any]
    if web is not None:
        result = export_web(model, web, runtime, say=_say)
        done = f"a page for {model}, {result['bytes'] / 1e6:.1f} MB to load beside ONNX Runtime {result['runtime']}"
    elif onnx:
        result = export_onnx(model, output, say=_say)
        done = f"{', '.join(result['difference'])} of {model} as ONNX"
    else:
        result = export(model, output, int8, say=_say)
        done = f"{', '.join(result['precision'])} of {model} for OpenVINO"
    emit(result, as_json, f"{result['output']}: {done}")


def _check(output: str | None, int8: bool, onnx: bool, web: str | None, runtime: str | None) -> None:
    """Raises `Mismatch` for options that do not go together."""
    if int8 and (onnx or web is not None):
        raise Mismatch("--int8", f"is given with {'--onnx' if onnx else '--web'}", "it is for OpenVINO: leave it out")
    if web is not None and (onnx or output is not None):
        raise Mismatch("--web", f"is given with {'--onnx' if onnx else '--output'}", "leave one of them out")
    if runtime is not None and web is None:
        raise Mismatch("--runtime", "is given without --web", "it is for the page: leave it out")


def _say(name: str) -> None:
    click.echo(f"export: {name}", err=True)
