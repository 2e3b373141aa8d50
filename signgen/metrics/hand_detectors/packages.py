"""Third-party packages and files that a detector needs, and what to say where they are missing."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from signgen.errors import InputError

TOP_DOWN_PADDING = 1.25  # mmpose and rtmlib enlarge every box by this before they look


def import_or_say(module: str, command: str) -> ModuleType:
    """The module, or an `InputError` with the command that installs it.

    A module that is there but fails on import is named with the reason, because installing it again would not help.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise InputError(package, "is not installed", f"install it with: {command}") from error
        raise InputError(
            package, f"needs {error.name}, which is not installed", f"install it with: {command}"
        ) from error
    except ImportError as error:
        raise InputError(package, f"does not import ({error})", f"install it with: {command}") from error


def weights_file(path: str | Path | None, name: str, what: str, role: str = "hand detector") -> Path:
    """The file of weights, which must be there: nothing is ever downloaded."""
    if path is None:
        raise InputError(f"{role} {name}", "no weights given", f"name the local file: {what}")
    if not Path(path).is_file():
        raise InputError(path, "not found", f"{role} {name} needs a local file: {what}")
    return Path(path)


def fingerprint(path: Path) -> str:
    """The first 12 digits of the file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def before_padding(box: np.ndarray) -> np.ndarray:
    """The box (4,) that a top-down estimator enlarges to this one, so that every detector sees the same square."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / (2 * TOP_DOWN_PADDING)
    return np.concatenate([centre - half, centre + half])


def as_hand(points: Any, scores: Any, source: str) -> np.ndarray:
    """One hand (21,3) float32 from points (1,21,2) and scores (1,21), as top-down estimators give them."""
    xy, score = np.asarray(points, np.float32), np.asarray(scores, np.float32)
    if xy.shape != (1, 21, 2) or score.shape != (1, 21):
        raise InputError(source, f"gives {xy.shape[1]} points", "a hand model gives 21: take its hand weights")
    return np.concatenate([xy[0], score[0, :, None]], -1)
