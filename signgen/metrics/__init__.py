"""Scores of generated video: torchmetrics classes that stream, and the plain functions under them.

Each class has a ``signature``: name, parameters and version of the definition, to be printed with its number.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "SSIM": "image",
    "PSNR": "image",
    "MAE": "image",
    "SSIMDefinition": "image",
    "HandSSIM": "hands",
    "WristDistance": "wrists",
    "Flicker": "temporal",
    "MotionRatio": "temporal",
    "StillFlicker": "temporal",
    "TemporalDifferenceError": "temporal",
    "BackgroundDeviation": "temporal",
}
__all__ = [*sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen.metrics' has no attribute {name!r}")
    return getattr(import_module(f"signgen.metrics.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
