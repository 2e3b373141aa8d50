"""Scores of generated video: torchmetrics classes that stream, and the plain functions under them.

Each class has a ``signature``: name, parameters and version of the definition, to be printed with its number. All but
FID are ratios of two sums: ``sums`` gives them, so that the values of clips can be put together again.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "SSIM": "image",
    "PSNR": "image",
    "MAE": "image",
    "SSIMDefinition": "image",
    "LPIPS": "lpips",
    "FID": "fid",
    "HandSSIM": "hands",
    "HandPE": "hand_pe",
    "HandPEDrive": "hand_pe",
    "WristDistance": "wrists",
    "Flicker": "temporal",
    "MotionRatio": "temporal",
    "StillFlicker": "temporal",
    "TemporalDifferenceError": "temporal",
    "BackgroundDeviation": "temporal",
    "TOF": "flow",
}
__all__ = [*sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen.scoring.metrics' has no attribute {name!r}")
    return getattr(import_module(f"signgen.scoring.metrics.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
