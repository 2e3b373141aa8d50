"""signgen as an installed package: where its files lie, its names that are imported on first use, versions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
WEIGHTS = PACKAGE / "weights"  # a folder for each model that signgen brings
PRESETS = PACKAGE / "presets"  # configurations of trainings
EXAMPLES = PACKAGE / "assets" / "examples"  # keypoint files to try things with
UNFINISHED = ".work"  # ends the name of the folder beside that of such a model while it learns
PERSONAL = "personal.json"  # in the folder of a model that has learned a person: whose consent, which pictures
SIGNERS = PACKAGE / "assets" / "signers"  # a picture and its keypoints for each built-in signer


def on_first_use(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose names are imported when they are first asked for.

    Args:
        package: its ``__name__``.
        places: name -> the module that defines it, such as ``.pipeline``.
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(places[name], package), name)

    return get, lambda: sys.modules[package].__all__


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of signgen, of Python and of those of the packages that are installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from signgen import __version__

    found = {"signgen": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
