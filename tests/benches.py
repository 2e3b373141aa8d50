"""Programs of ``benchmarks/`` as modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = str(Path(__file__).resolve().parent.parent / "benchmarks")


def load(name: str) -> ModuleType:
    """``benchmarks/NAME.py``, which may import its neighbours."""
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    return importlib.import_module(name)
