"""The picture a generated clip's signer was taken from, where its manifest says which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from signgen.errors import InputError
from signgen.rendering.manifest import is_manifest, manifest_names
from signgen.sources import load_source

LARGEST_MANIFEST = 1_000_000  # bytes; ours have some thousands


def source_picture(video: Path) -> np.ndarray | None:
    """uint8 (H,W,3), or None: the manifest beside ``video`` is missing, or names no picture that can be read here."""
    for path in manifest_names(video):
        try:
            if path.stat().st_size > LARGEST_MANIFEST:
                continue
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if is_manifest(content):
            return _picture(content.get("source"), path.parent)
    return None


def _picture(named: object, folder: Path) -> np.ndarray | None:
    """The source by its name; a path counts from where the render ran, so it is also looked for beside the video."""
    if not isinstance(named, str) or not named:
        return None
    for spec in (named, folder / named):
        try:
            return load_source(spec).image
        except InputError:
            continue
    return None
