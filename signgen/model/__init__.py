"""`SignGenPipeline`: one window of views, tensors in, frames out, in diffusers' own folder layout."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Imported on first use: the networks can then be had without diffusers.
_PUBLIC = {
    "SignGenPipeline": "pipeline",
    "SourceConditions": "window",
    "WindowConditions": "window",
    "WindowOutput": "window",
    "choose_device": "loading",
    "choose_dtype": "loading",
    "model_folder": "loading",
}
__all__ = [*sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen.model' has no attribute {name!r}")
    return getattr(import_module(f"signgen.model.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
