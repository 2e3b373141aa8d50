"""What a stage starts from: folders of earlier stages, and base weights that others have published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen.base_weights import CATALOGUE, find, find_here
from signgen.errors import InputError, SignGenError
from signgen.models.weight_files import read_settings
from signgen.training.config import TrainConfig

ALWAYS = {"distill": ("denoiser",)}  # what a stage cannot do without, beside what `required` adds


@dataclass(frozen=True)
class Start:
    """One entry of ``start``, or one that is not there and should be.

    Attributes:
        name: its key; where: what the configuration says, "" where it says nothing.
        here: whether it is on this machine, whole.
        base: whether it is base weights, which can be fetched.
    """

    name: str
    where: str
    here: bool
    base: bool


def required(config: TrainConfig) -> tuple[str, ...]:
    """Keys of ``start`` that the stage needs. An autoencoder is ``vae`` or, trained here, ``autoencoder``."""
    if config.stage in ("autoencoder", "fusion"):
        return ()
    names = ["vae" if "vae" in config.start else "autoencoder"]
    if "clip" not in config.start and ("image_encoder" not in config.start or _takes_fusion(config)):
        names.append("fusion")  # for the fusion embedding, or for semantic tokens where nothing else makes them
    return (*names, *ALWAYS.get(config.stage, ()))


def starts(config: TrainConfig) -> list[Start]:
    """What the stage needs and what the configuration names, each once."""
    found = []
    for name in dict.fromkeys((*required(config), *config.start)):
        where = str(config.start.get(name) or "")
        base = name in CATALOGUE
        if base:
            here = bool(where) and find_here(CATALOGUE[name], where) is not None
        else:
            here = bool(where) and (Path(where) / "config.json").is_file()
        found.append(Start(name, where, here, base))
    return found


def check_starts(config: TrainConfig) -> None:
    """What the stage builds on must be there before anything is begun; base weights are fetched where allowed."""
    for start in starts(config):
        if start.here:
            continue
        if start.base and start.where:
            find(CATALOGUE[start.name], start.where, config.allow_download)
            continue
        advice = f"train that stage first, then set start.{start.name} to its model folder"
        raise InputError(f"start.{start.name}", f"no trained {start.name} at {start.where or None!r}", advice)
    if "vae" in config.start and "autoencoder" in config.start:
        raise InputError("start", "got vae and autoencoder", "give one of them")


def _takes_fusion(config: TrainConfig) -> bool:
    """Whether the denoiser takes a fusion embedding: by ``model``, or as the one that it starts from does."""
    if "fusion_dim" in config.model:
        return config.model["fusion_dim"] is not None
    try:
        return read_settings(config.start["denoiser"]).get("fusion_dim", 0) is not None
    except (KeyError, SignGenError):
        return True
