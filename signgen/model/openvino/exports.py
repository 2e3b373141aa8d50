"""Exports on the disk: the manifest beside the networks, and the places where renders look for them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from signgen.errors import Damaged, InputError, Unsupported

FILE = "export.json"
COMPILED = "compiled"  # folder inside an export where OpenVINO keeps what it made of it for this processor
KIND = "signgen export"
BESIDE = "openvino"  # name of an export's folder inside a model's folder
OPEN = -1  # the side of a shape that is the number of views or frames
FORMAT = 3  # of the graphs' inputs and outputs; an export with another number has to be made again


@dataclass(frozen=True)
class ExportManifest:
    """An export.

    Attributes:
        weights_sha256: of the model's weights, `SignGenPipeline.weights_sha256`.
        model: its name when it was exported.
        frame_size, canvas_size: (W, H).
        inputs: by graph, by input: its shape, `OPEN` for the number of views or frames.
        precision: by graph: ``float16`` (stored so, computed in what the CPU is best at) or ``int8``.
        versions: of signgen, torch, openvino.
        format: see `FORMAT`.
    """

    weights_sha256: str
    model: str
    frame_size: tuple[int, int]
    canvas_size: tuple[int, int]
    inputs: dict[str, dict[str, list[int]]]
    precision: dict[str, str]
    versions: dict[str, str]
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        content = json.dumps({"kind": KIND, **asdict(self)}, indent=2, ensure_ascii=False)
        (folder / FILE).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: str | Path) -> ExportManifest:
        """From a folder that `signgen export` wrote.

        Raises:
            InputError: there is none, or one of another format.
        """
        advice = "write it with: signgen export MODEL"
        try:
            content = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.pop("kind", None) != KIND:
                raise ValueError
            if content.get("format") != FORMAT:
                raise Unsupported(folder, f"is an export of format {content.get('format')}", advice)
            names = {field.name for field in fields(cls)}
            known: dict[str, Any] = {key: value for key, value in content.items() if key in names}
            for key in ("frame_size", "canvas_size"):
                known[key] = tuple(known[key])
            return cls(**known)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError):
            raise Damaged(folder, f"holds no readable {FILE}", advice) from None


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
