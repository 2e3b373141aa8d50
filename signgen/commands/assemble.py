"""``signgen assemble``: the trained parts of several runs as one model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.commands.options import GUIDANCE, choice, guidance_rule_option


@click.command(short_help="Put trained parts together to a model.")
@click.argument("target", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(1, 1000), help="Default sampling steps.  [default: 1]")
@click.option("--window", type=click.IntRange(2), help="Default views of a window.  [default: 8]")
@click.option("--overlap", type=click.IntRange(0),
              help="Default rendered frames that the next window sees.  [default: 2]")  # fmt: skip
@click.option("--guidance", type=GUIDANCE, help="Default guidance weights.  [default: 1,1]")
@guidance_rule_option
@click.option("--shutter", type=click.FloatRange(0, 1),
              help="Default share of a frame's time that smears fast hands.  [default: the refiners']")  # fmt: skip
@choice("--dtype", "float16", "bfloat16", "float32", help="Of the weights.")
@click.option("--limit", type=float, metavar="MIB", help="Refuse a model whose weight files are larger together.")
@common_options
def command(target: Path, runs: tuple[Path, ...], as_json: bool, dtype: str, **options: Any) -> None:
    """Put the trained parts of each RUN together to MODEL, a folder to render with.

    A RUN is a training's output folder, or a model, whose parts and defaults are kept where nothing after it has
    others. Parts of later runs replace those of earlier ones: a video run replaces the denoiser of the denoiser stage.
    A part that no run has trained (autoencoder, fusion model, image encoder) is the one that the denoiser's run started
    from.
    """
    from signgen.training.assembly import assemble

    result = assemble(target, runs, dtype=dtype, **options)
    emit(result, as_json, f"{target}: {', '.join(result['parts'])}; {result['size_mib']:.1f} MiB of weights")
