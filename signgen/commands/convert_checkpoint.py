"""``signgen convert-checkpoint``: checkpoints of FPDM's trainers, and networks of a package, as signgen reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.commands.options import SIZE, Parsed, choice

NUMBERS = Parsed(
    "N,N,...", lambda text: [int(part) for part in text.split(",")], "give whole numbers, such as 5,10,20,20"
)


@click.command(short_help="Turn a checkpoint of FPDM's trainers into a model.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("target", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("--frame-size", type=SIZE, default="512x512", show_default=True, help="WxH that it was trained on.")
@click.option("--pixel-aspect", default=1.0, show_default=True, help="Shown width / true width of things in frames.")
@choice("--dtype", "float32", "bfloat16", "float16", help="Of the weights.")
@click.option("--heads", type=NUMBERS, help="Attention heads by level of the denoiser. [widths / 64]")
@click.option("--norm-groups", default=32, show_default=True, help="Groups of the denoiser's norms.")
@click.option("--vae-norm-groups", default=32, show_default=True, help="Groups of the autoencoder's norms.")
@click.option("--clip-heads", type=int, help="Of the fusion model's encoder. [width / 64]")
@click.option("--encoder-heads", type=int, help="Of the source's image encoder. [width / 64]")
@common_options
def command(checkpoint: Path, target: Path, as_json: bool, **options: Any) -> None:
    """Turn CHECKPOINT, a .ckpt file of FPDM's trainers (Lightning), into the folder MODEL.

    A checkpoint of stage 1 becomes MODEL/fusion, for `signgen train ... --set start.fusion=MODEL/fusion`. One of stage
    2 becomes a pipeline, for `signgen render --model MODEL`. Tensors that do not fit are errors that list them.

    With the word stlpips in CHECKPOINT's place, MODEL becomes a folder with the networks of the package stlpips-pytorch
    (pip install "signgen[perceptual]") as safetensors, for `signgen evaluate --stlpips-weights`; no option counts then.
    """
    if str(checkpoint) == "stlpips":
        from signgen.scoring.metrics.stlpips import convert_installed

        made = convert_installed(target)
        emit(made, as_json, f"{made['output']}: {', '.join(made['files'])}")
        return
    from signgen.model.fpdm_checkpoint import convert

    result = convert(checkpoint, target, **options)
    emit(result, as_json, f"{result['output']}: {result['kind']}")
