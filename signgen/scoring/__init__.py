"""Scores of generated video against true video: pairs of clips in, `EvaluationResult` out.

from signgen.scoring import Request, evaluate
result = evaluate(Request("out.mp4", "truth.mp4", keypoints="truth.pose"))
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "EvaluationResult": "scores",
    "MeasureOptions": "measures",
    "Request": "run",
    "Rules": "pairing",
    "evaluate": "run",
}
__all__ = [*sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen.scoring' has no attribute {name!r}")
    return getattr(import_module(f"signgen.scoring.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
