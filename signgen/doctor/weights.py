"""The weights that come with the package: what each is for, its size, and a hash to compare two installations by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from signgen.pipeline.loading import PACKAGED

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


def packaged_weights(folder: Path = PACKAGED) -> list[Weights]:
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
