"""A small recogniser of continuous signing, to measure whether generated video can still be understood."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Recogniser": "recogniser",
    "Recognition": "recognition",
    "WordErrors": "recognition",
    "word_errors": "recognition",
}
__all__ = [*sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen.scoring.recogniser' has no attribute {name!r}")
    return getattr(import_module(f"signgen.scoring.recogniser.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
