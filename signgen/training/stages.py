"""The stages of training as a table of values: a new stage is one more record in it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: the value of ``stage`` in a configuration.
        trains: class of the network that trains, as its ``config.json`` has it.
        task: the `signgen.training.task.Task` that feeds, shows and saves it, as ``module:class``.
        loss: what one step minimises, as ``module:name``; the task calls it.
        batch: what one step reads, by the names of the fields of a batch.
        start: entries of ``start`` that the stage cannot do without; `signgen.training.starts` knows what may stand in
            for them.
    """

    name: str
    trains: str
    task: str
    loss: str
    batch: tuple[str, ...]
    start: tuple[str, ...] = ()


_WINDOWS = ("sources", "poses", "source_latents", "latents", "tokens")
_DENOISER = "signgen.training.denoiser:DenoiserTask"
_DENOISING = "signgen.training.denoiser:Denoising"
_REFINER, _REGION = "signgen.training.refiner:RefinerTask", "signgen.training.refiner:region_loss"

STAGES = {
    stage.name: stage
    for stage in (
        Stage("autoencoder", "FrameAutoencoder", "signgen.training.autoencoder:AutoencoderTask",
              "signgen.training.autoencoder:reconstruction_loss", ("frames", "corners")),
        Stage("fusion", "FusionModel", "signgen.training.fusion:FusionTask",
              "signgen.training.fusion:contrastive_loss", ("sources", "poses", "targets")),
        Stage("denoiser", "Denoiser", _DENOISER, _DENOISING, _WINDOWS, ("autoencoder", "fusion")),
        Stage("video", "Denoiser", _DENOISER, _DENOISING, _WINDOWS, ("autoencoder", "fusion")),
        Stage("distill", "Denoiser", _DENOISER, "signgen.training.distillation:Distillation", _WINDOWS,
              ("autoencoder", "fusion", "denoiser")),
        Stage("matte", "SourceMatte", "signgen.training.composing:MatteTask", "signgen.training.composing:matte_loss",
              ("pictures", "poses", "matte")),
        Stage("composer", "FrameComposer", "signgen.training.composing:ComposerTask",
              "signgen.training.composing:composing_loss", ("painted", "plate", "body", "poses", "frames", "matte"),
              ("model",)),
        Stage("hand_refiner", "RegionRefiner", _REFINER, _REGION, ("inputs", "truth", "points"), ("model",)),
        Stage("face_refiner", "RegionRefiner", _REFINER, _REGION, ("inputs", "truth", "points"), ("model",)),
    )
}  # fmt: skip


def imported(place: str) -> Any:
    """What ``module:name`` says; a stage's own code is imported when the stage runs."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
