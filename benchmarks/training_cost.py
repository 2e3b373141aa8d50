"""What the trainings of the phoenix14t presets compute: operations counted, not computed; hours reckoned from them.

    python benchmarks/training_cost.py
    python benchmarks/training_cost.py --tflops 60 --tokens computed

Each network is built at its size on torch's meta device, which has shapes and no numbers, and torch counts the
operations of one forward pass, 2 for a multiplication with addition. A trained network takes three forward passes'
worth, four with checkpointing; a frozen one takes one. Hours are these operations at ``--tflops`` a second: an
estimate, for no card reaches its peak. 989 TFLOP/s is an H100's and H200's peak in bfloat16; a UNet gets to 30 to
40 % of it. Not counted: decoding, pictures, optimiser, the loader.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from signgen import config as configuration
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.training.config import TrainConfig

PRESETS = Path(__file__).resolve().parent.parent / "signgen" / "presets" / "phoenix14t"
STAGES = ("fusion", "denoiser", "video")
CELL = 8  # pixels of a latent cell
PATCH, DINO_WIDTH = 14, 1024


def operations(network: torch.nn.Module, *given: Any, **named: Any) -> float:
    """TFLOP of one forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*given, **named)
    return counter.get_total_flops() / 1e12


def blank(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def fusion_model(settings: dict[str, Any]) -> FusionModel:
    """CLIP ViT-L/14 with its combiner."""
    with torch.device("meta"):
        return FusionModel(**{key: value for key, value in settings.items() if key != "dropout"}).eval()


def denoiser_of(settings: dict[str, Any]) -> Denoiser:
    with torch.device("meta"):
        denoiser = Denoiser(**settings).eval()
    denoiser.set_attention("math")  # whose products torch counts on any device
    return denoiser


def one_view(denoiser: Denoiser, canvas: tuple[int, int], views: int, encoder_size: int) -> float:
    """TFLOP of one view of a window: pose encoder, source encoder and UNet."""
    width, height = canvas
    latent = (denoiser.config.channels, height // CELL, width // CELL)
    count = (encoder_size // PATCH) ** 2 + 1
    patch = denoiser.source_encoder.patch is not None

    def forward() -> Tensor:
        tokens = denoiser.encode_source(blank(1, count, DINO_WIDTH), blank(1, *latent) if patch else None)
        pictures = {"known": blank(views, *latent), "flag": blank(views, 1, *latent[1:])}
        flags = pictures if denoiser.known_input is not None else {}
        fusion, pose = blank(views, denoiser.config.fusion_dim), blank(views, 3, height, width)
        time = torch.full((views,), 500, device="meta")
        return denoiser(blank(views, *latent), time, pose=pose, tokens=tokens, fusion=fusion, views=views, **flags)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops() / 1e12 / views


def costs(tokens: str) -> list[dict[str, Any]]:
    """A row for each stage: what a sample takes, and how many samples there are."""
    presets = {stage: configuration.load(TrainConfig, PRESETS / f"{stage}.yaml") for stage in STAGES}
    settings = {stage: preset.model for stage, preset in presets.items()}
    clip = fusion_model(settings["fusion"])
    canvas = presets["denoiser"].canvas
    assert canvas is not None
    picture = operations(clip.encoder, blank(1, 3, clip.encoder.settings.image_size, clip.encoder.settings.image_size))
    parts = {"fusion": (3 * picture, 0.0)}  # trained, frozen: source, pose and target
    encoder = 0.0 if tokens == "stored" else dino(presets["denoiser"].image_encoder_size)
    for stage in ("denoiser", "video"):
        model = settings["denoiser"] | (settings["video"] if stage == "video" else {})
        views = presets[stage].views + (presets[stage].views > 1)
        trained = one_view(denoiser_of(model), (canvas[0], canvas[1]), views, presets[stage].image_encoder_size)
        parts[stage] = trained, picture + (picture + encoder) / views  # a pose each; the source once a window
    return [_row(stage, presets[stage], *parts[stage]) for stage in STAGES]


def _row(stage: str, preset: TrainConfig, trained: float, frozen: float) -> dict[str, Any]:
    views = preset.views + (preset.views > 1)
    samples = preset.steps * preset.batch * preset.optim.accumulate * (views if stage != "fusion" else 1)
    each = trained * (4 if preset.optim.checkpointing else 3) + frozen
    return {"stage": stage, "samples": samples, "tflop_per_forward": trained, "tflop_per_sample": each,
            "exaflop": each * samples / 1e6}  # fmt: skip


def dino(size: int) -> float:
    """TFLOP of DINOv2-L on a square."""
    from transformers import Dinov2Config, Dinov2Model

    shape = {"hidden_size": DINO_WIDTH, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 518}
    with torch.device("meta"):
        model = Dinov2Model(Dinov2Config(**shape, patch_size=PATCH)).eval()
    side = size // PATCH * PATCH
    return operations(model, blank(1, 3, side, side))


@click.command(help=__doc__)
@click.option("--tflops", default=300.0, show_default=True, help="Of the device, as it really gets them.")
@click.option("--tokens", type=click.Choice(["stored", "computed"]), default="stored", show_default=True,
              help="Whether signgen prepare has made the sources' tokens.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(tflops: float, tokens: str, as_json: bool) -> None:
    found = [row | {"hours": row["exaflop"] * 1e6 / tflops / 3600} for row in costs(tokens)]
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo("| stage | samples | TFLOP forward | TFLOP a sample | EFLOP | hours |\n|---|---|---|---|---|---|")
    for row in found:
        numbers = [f"{row[name]:.3g}" for name in ("tflop_per_forward", "tflop_per_sample", "exaflop", "hours")]
        click.echo(f"| {row['stage']} | {row['samples']:,} | {' | '.join(numbers)} |")


if __name__ == "__main__":
    main()
