"""Where exports lie: beside the model's weights, or in the user's cache, by the hash of the weights."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from signgen.errors import InputError
from signgen.model.openvino.manifest import ExportManifest

BESIDE = "openvino"  # name of an export's folder inside a model's folder


def cache_folder() -> Path:
    """The user's folder of things that can be made again: ``SIGNGEN_CACHE``, else the system's place for them."""
    given = os.environ.get("SIGNGEN_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "signgen" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "signgen"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signgen"


def default_place(weights_sha256: str) -> Path:
    """Where an export goes that was given no folder."""
    return cache_folder() / "exports" / weights_sha256[:16]


def find_export(weights_sha256: str, model_folder: Path | None) -> Path | None:
    """The folder of an export of these very weights, or None."""
    places = [] if model_folder is None else [model_folder / BESIDE]
    for place in (*places, default_place(weights_sha256)):
        try:
            if ExportManifest.read(place).weights_sha256 == weights_sha256:
                return place
        except InputError:
            continue
    return None


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return find_spec("openvino") is not None
