"""`SignGenPipeline`: one window of views, tensors in, frames out, in diffusers' own folder layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signgen.package import on_first_use

if TYPE_CHECKING:
    from signgen.model.loading import choose_device, choose_dtype, model_folder
    from signgen.model.pipeline import SignGenPipeline
    from signgen.model.window import SourceConditions, WindowConditions, WindowOutput

# Imported on first use: the networks can then be had without diffusers.
_PUBLIC = {
    "SignGenPipeline": ".pipeline",
    "SourceConditions": ".window",
    "WindowConditions": ".window",
    "WindowOutput": ".window",
    "choose_device": ".loading",
    "choose_dtype": ".loading",
    "model_folder": ".loading",
}
__all__ = [
    "SignGenPipeline",
    "SourceConditions",
    "WindowConditions",
    "WindowOutput",
    "choose_device",
    "choose_dtype",
    "model_folder",
]
__getattr__, __dir__ = on_first_use(__name__, _PUBLIC)
