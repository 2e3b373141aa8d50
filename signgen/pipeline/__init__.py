"""`SignGenPipeline`: one window of views, tensors in, frames out, in diffusers' own folder layout."""

from signgen.pipeline.loading import choose_device, choose_dtype, model_folder
from signgen.pipeline.pipeline import SignGenPipeline
from signgen.pipeline.window import SourceConditions, WindowConditions, WindowOutput

__all__ = [
    "SignGenPipeline",
    "SourceConditions",
    "WindowConditions",
    "WindowOutput",
    "choose_device",
    "choose_dtype",
    "model_folder",
]
