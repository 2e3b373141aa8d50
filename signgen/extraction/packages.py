"""Packages of others and local files of weights: what detectors and estimators need, and what to say without them."""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from safetensors import SafetensorError

from signgen.errors import Missing, NotFound, NotInstalled

# Two steps each. What the packages' metadata asks for is more than is needed here, and does harm: numpy 1 (MediaPipe),
# a torchvision that breaks transformers (mmpose), two more builds of OpenCV over the one that is there (rtmlib).
INSTALL = {
    "mediapipe": 'pip install "signgen[mediapipe]" && pip install --no-deps mediapipe==0.10.21',
    "mmpose": (
        'pip install "signgen[mmpose]" && pip install --no-deps mmpose==1.3.2 mmengine==0.10.7 mmcv-lite==2.2.0'
    ),
    "rtmlib": 'pip install "signgen[rtmlib]" && pip install --no-deps rtmlib==0.0.16',
}
# What `torch.load` and safetensors raise on files that are none of theirs, such as a saved error page.
UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    *(struct.error, pickle.UnpicklingError, SafetensorError),
)


def import_or_say(module: str, command: str) -> ModuleType:
    """The module, or a `NotInstalled` with the command that installs it.

    A module that is there but fails on import is named with the reason, because installing it again would not help.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError):
            got = f"does not import ({error})"
        elif error.name == package:
            got = "is not installed"
        else:
            got = f"needs {error.name}, which is not installed"
        raise NotInstalled(package, got, f"install it with: {command}") from error


@contextmanager
def mediapipe_solutions() -> Iterator[ModuleType]:
    """MediaPipe, for a block that makes one of its ``solutions``.

    Raises:
        NotInstalled: it is not installed, is a release without ``solutions``, or does not start with the protobuf that
            is installed.
    """
    mediapipe, advice = import_or_say("mediapipe", INSTALL["mediapipe"]), f"install it with: {INSTALL['mediapipe']}"
    if not hasattr(mediapipe, "solutions"):
        raise NotInstalled("mediapipe", f"version {mediapipe.__version__} has no solutions", advice)
    try:
        yield mediapipe
    except (AttributeError, TypeError) as error:
        got = f"does not start, since it needs an older protobuf than the installed one ({error})"
        raise NotInstalled("mediapipe", got, advice) from error


def weights_file(path: str | Path | None, name: str, what: str, role: str = "hand detector") -> Path:
    """The file of weights, which must be there: nothing is ever downloaded."""
    if path is None:
        raise Missing(f"{role} {name}", "no weights given", f"name the local file: {what}")
    if not Path(path).is_file():
        raise NotFound(path, "not found", f"{role} {name} needs a local file: {what}")
    return Path(path)


def fingerprint(path: Path, digits: int = 12) -> str:
    """The first digits of the file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:digits]
