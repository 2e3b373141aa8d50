"""The bars of diffusers and transformers, which a command that shows its own progress can do without."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from diffusers.utils import logging


@contextmanager
def no_bars() -> Iterator[None]:
    """Without them while it lasts, afterwards as before; transformers is not imported for it."""
    places: list[Any] = [logging]
    if sys.modules.get("transformers") is not None:  # a model of signgen's own parts does without
        places.append(import_module("transformers.utils.logging"))
    shown = [place for place in places if place.is_progress_bar_enabled()]
    for place in shown:
        place.disable_progress_bar()
    try:
        yield
    finally:
        for place in shown:
            place.enable_progress_bar()
