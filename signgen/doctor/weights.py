"""Weights that come with the package, and what a training needs before it can begin.

diffusers and transformers are imported only where a training is asked about: `signgen doctor` must work where they do
not, and say why.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.package import WEIGHTS

if TYPE_CHECKING:
    from signgen.training.config import TrainConfig
    from signgen.training.starts import Start

MODEL_OF = {"autoencoder": "autoencoder", "fusion": "fusion", "denoiser": "denoiser or video"}  # stages that make it
USES = {
    "mini": "the default model of signgen render",
    "hand_detector": "Hand PE",
    "handshape_classifier": "legibility of hands",
    "recogniser": "glosses read back from video",
    "wrist_finder": "where hands are in frames",
}


@dataclass(frozen=True)
class Weights:
    """One folder of weights.

    Attributes:
        name: of the folder; use: what for; megabytes: of its weight files, in 10**6 bytes.
        sha256: over the weight files, their paths in the folder and their content; of a model, as manifests have it.
    """

    name: str
    use: str
    megabytes: float
    sha256: str


def packaged_weights(folder: Path = WEIGHTS) -> list[Weights]:
    """All that are there, by name."""
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(place.rglob("*.safetensors"))
        if files:
            size = sum(path.stat().st_size for path in files)
            found.append(Weights(place.name, USES.get(place.name, ""), round(size / 1e6, 1), _hash(place, files)))
    return found


def _hash(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
    from signgen.training.starts import starts

    prepare = f"signgen prepare DATASET {config.data}  # or signgen synthesize {config.data}"
    data = Need("data", "a data set", config.data, Path(config.data).is_dir(), None, prepare)
    return [data, *map(_need, starts(config))]


def _need(start: Start) -> Need:
    from signgen.model.published_weights import CATALOGUE, is_hub_id

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
