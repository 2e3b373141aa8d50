"""The licence of a data set, which its copies inherit: they show what its signers signed."""

from __future__ import annotations

import json
from pathlib import Path

from signgen.data.phoenix import PhoenixIndex

OF_PHOENIX = (
    "Motion, glosses and translations are those of RWTH-PHOENIX-Weather 2014 T, CC BY-NC-SA 3.0: for research, not for "
    "commercial use, and copies are shared under the same licence."
)
_NOTES = (("augment.json", "licence"), ("synthetic.json", "statement"))


def licence_of(index: PhoenixIndex) -> str:
    """What the data set says of itself, in augment.json or synthetic.json, else PHOENIX14T's licence."""
    for folder in (index.root, index.release, index.release.parent.parent):
        for name, key in _NOTES:
            said = _read(folder / name, key)
            if said:
                return said
    return OF_PHOENIX


def _read(path: Path, key: str) -> str:
    try:
        said = json.loads(path.read_text(encoding="utf-8")).get(key)
    except (OSError, ValueError, AttributeError):
        return ""
    return said if isinstance(said, str) else ""
