"""What a training configuration needs on this machine before it can begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen.base_weights import CATALOGUE
from signgen.base_weights.places import is_hub_id
from signgen.training.config import TrainConfig
from signgen.training.starts import Start, starts

MODEL_OF = {"autoencoder": "autoencoder", "fusion": "fusion", "denoiser": "denoiser or video"}  # stages that make it


@dataclass(frozen=True)
class Need:
    """One thing.

    Attributes:
        key: of the configuration; what: for people; where: what the configuration says.
        here: whether it is on this machine.
        megabytes: of the download where there is one, in 10**6 bytes.
        command: what gets it.
    """

    key: str
    what: str
    where: str
    here: bool
    megabytes: int | None
    command: str


def needs_of(config: TrainConfig) -> list[Need]:
    """The data set, and all that the stage starts from."""
    prepare = f"signgen prepare DATASET {config.data}  # or signgen synthesize {config.data}"
    data = Need("data", "a data set", config.data, Path(config.data).is_dir(), None, prepare)
    return [data, *map(_need, starts(config))]


def _need(start: Start) -> Need:
    key = f"start.{start.name}"
    if not start.base:
        stage = MODEL_OF.get(start.name, start.name)
        command = f"signgen train CONFIG  # of the stage {stage}, then --set {key}=RUN/model/{_folder(start.name)}"
        return Need(key, f"a trained {start.name}", start.where, start.here, None, command)
    part = CATALOGUE[start.name]
    where = start.where or part.hub
    command = part.command(where, is_hub_id(where))
    return Need(key, part.what, where, start.here, part.megabytes, command)


def _folder(name: str) -> str:
    """Under which name a stage saves the part."""
    return {"autoencoder": "vae", "encoder": "vae"}.get(name, name)
