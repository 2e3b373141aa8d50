"""The model card that lies in a model's folder, in the form the Hugging Face hub reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from signgen import __version__

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

CARD = "README.md"


def put_card(pipeline: DiffusionPipeline, folder: Path) -> None:
    """The card that came with the weights, or one made from what is known; one that is there already stays."""
    if (folder / CARD).exists():
        return
    own = None if pipeline.folder is None else pipeline.folder / CARD
    if own is not None and own.is_file():
        shutil.copyfile(own, folder / CARD)
    else:
        (folder / CARD).write_text(make_card(pipeline), encoding="utf-8")


def make_card(pipeline: DiffusionPipeline) -> str:
    """Markdown with the hub's header. What only the trainer knows is left for the trainer to say, in plain words."""
    config = pipeline.config
    millions = {
        name: sum(parameter.numel() for parameter in module.parameters()) / 1e6
        for name in ("vae", "denoiser", "fusion", "image_encoder")
        if (module := getattr(pipeline, name)) is not None
    }
    parts = "\n".join(
        f"| {name} | {type(getattr(pipeline, name)).__name__} | {size:.2f} |" for name, size in millions.items()
    )
    width, height = pipeline.frame_size
    return f"""---
library_name: signgen
pipeline_tag: image-to-video
tags:
- sign-language
- pose-to-video
- signgen
---

# A signgen model

It turns keypoints of a signer and one picture of a person into frames of {width}x{height} pixels.
Written by signgen {__version__}.

```python
from signgen import SignGenPipeline, render

pipeline = SignGenPipeline.from_pretrained("THIS_FOLDER")
render("clip.json", model=pipeline, output="clip.mp4")
```

| part | class | million parameters |
|---|---|---|
{parts}

Sampling: {type(pipeline.scheduler).__name__}, {config.steps} steps, guidance {config.guidance[0]:g} and \
{config.guidance[1]:g}, windows of {config.window} views that overlap by {config.overlap}.

## To be filled in by whoever trained it

Data it saw and their licence, licence of these weights, scores (`signgen evaluate`), what it cannot do.

## Responsible use

What it makes is generated video, and its container and manifest say so. Show a person only with their consent; do
not pass its signing off as an interpreter's.
"""
