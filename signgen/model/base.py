"""What users of diffusers expect of any pipeline: moving, offloading, xformers, callbacks, saving, the hub."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from signgen import __version__
from signgen.errors import BadValue
from signgen.files import temporary_folder
from signgen.model.loading import keep_person
from signgen.model.networks.attention import ContextMemory

if TYPE_CHECKING:
    from signgen.model.engine import Engine
    from signgen.model.networks.denoiser import Denoiser

TENSORS = ("latents",)  # what a callback may see and change
CARD = "README.md"
_UPLOAD = ("repo_id", "private", "token", "commit_message", "create_pr")

StepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]
"""(pipeline, step number, timestep, the tensors asked for) -> those that are to be others; None: none of them."""


class Interrupted(Exception):
    """A callback has stopped the sampling; ``latents`` (V, C, h, w) are those of the last step."""

    def __init__(self, latents: Tensor) -> None:
        super().__init__()
        self.latents = latents


class BasePipeline(DiffusionPipeline):
    """diffusers' pipeline with offloading part by part, callbacks after each step, a model card beside the weights.

    Attributes:
        engine: what computes the networks of a window.
        folder: where it was loaded from, or None.
    """

    denoiser: Denoiser
    engine: Engine
    folder: Path | None = None
    _interrupt = False
    _num_timesteps = 0
    _guidance_scale: tuple[float, ...] = ()
    _place: tuple[torch.device, torch.dtype] | None = None  # while `fixed_device` lasts

    # -- where and in what it computes -----------------------------------------------------------------------------

    @contextmanager
    def fixed_device(self) -> Iterator[None]:
        """While it lasts, the pipeline is taken to stay on its device and in its dtype.

        To tell them diffusers walks through all modules, which takes milliseconds each time.
        """
        outermost = self._place is None
        if outermost:
            self._place = self.device, self.dtype
        try:
            yield
        finally:
            if outermost:
                self._place = None

    @contextmanager
    def engine_threads(self) -> Iterator[None]:
        """While it lasts, torch takes as many threads as the engine leaves it.

        Another engine's threads go on waiting for work on their cores for a while. A second thread of torch must first
        get one of these back, which takes longer than the small sums between two networks do.
        """
        before, left = torch.get_num_threads(), self.engine.threads
        if left is None or left >= before:  # setting the number, to the same one even, is not without effect
            yield
            return
        torch.set_num_threads(left)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    @property
    def device(self) -> torch.device:
        """Where the networks compute; while offloaded that is not where they rest."""
        return self._place[0] if self._place else self._offload_target or super().device

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in."""
        return self._place[1] if self._place else super().dtype

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As diffusers' `to`, for device and dtype. What was kept of earlier computations is forgotten."""
        self._place = None
        moved = super().to(*args, **kwargs)
        moved.forget()
        return moved

    def forget(self) -> None:
        """Drops keys and values kept for a source: to be called after the weights were changed in any way."""
        engine: Any = getattr(self, "engine", None)
        memory = getattr(engine, "memory", None)
        if isinstance(memory, ContextMemory):
            engine.memory = ContextMemory(memory.keep, memory.skip_empty)

    # -- offloading: one part of the pipeline at a time on the accelerator -----------------------------------------
    # diffusers moves a part there when its ``forward`` is called. This pipeline calls other methods as well (the source
    # is encoded, poses and frames are), so it loads the parts that it needs next by itself.

    @property
    def _offload_target(self) -> torch.device | None:
        """Where parts are computed while the pipeline is offloaded; None: it is not."""
        return getattr(self, "_offload_device", None) if getattr(self, "_all_hooks", None) else None

    def _load_parts(self, *names: str) -> None:
        """Moves these parts to the accelerator and all others away from it; does nothing unless it is offloaded."""
        device = self._offload_target
        if device is None:
            return
        wanted = [module for name in names if (module := getattr(self, name)) is not None]
        for hook in self._all_hooks:
            if all(hook.model is not module for module in wanted):
                hook.offload()
        for module in wanted:
            module.to(device)

    # -- attention -------------------------------------------------------------------------------------------------

    def enable_xformers_memory_efficient_attention(self, attention_op: Any = None) -> None:
        """The denoiser's attention through xformers. InputError where it is not installed."""
        self.denoiser.set_attention("xformers", attention_op)

    def disable_xformers_memory_efficient_attention(self) -> None:
        """Back to torch's own fused attention."""
        self.denoiser.set_attention("sdpa")

    # -- callbacks after each sampling step ------------------------------------------------------------------------

    @property
    def interrupt(self) -> bool:
        """Whether a callback has set ``_interrupt``: sampling stops after the step, what is there is decoded."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the current or last call."""
        return self._num_timesteps

    @property
    def guidance_scale(self) -> tuple[float, ...]:
        """w1 and w2 of the current or last call."""
        return self._guidance_scale

    def _step_end(
        self, callback: StepEnd | None, asked: Sequence[str], timesteps: Tensor
    ) -> Callable[[int, Tensor], None]:
        """What `signgen.model.diffusion.sampling.sample` calls after a step: hands latents out, takes changed ones in.

        Args:
            asked: the tensors that the callback gets; it may name them itself, as diffusers' `PipelineCallback` does.

        Raises:
            InputError: it wants a tensor that is not there.
        """
        wanted = tuple(getattr(callback, "tensor_inputs", asked))
        unknown = [name for name in wanted if name not in TENSORS]
        if unknown:
            got = f"got {', '.join(map(str, unknown))}"
            raise BadValue("callback_on_step_end_tensor_inputs", got, f"allowed is {', '.join(TENSORS)}")

        def after(step: int, latents: Tensor) -> None:
            if callback is not None:
                answer = callback(self, step, timesteps[step], dict.fromkeys(wanted, latents)) or {}
                changed = answer.get("latents", latents)
                if changed is not latents:
                    latents.copy_(changed)  # the sampler goes on with this very tensor
            if self.interrupt:
                raise Interrupted(latents)

        return after

    # -- saving ----------------------------------------------------------------------------------------------------

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Writes the folder that `from_pretrained` reads: safetensors only, with a model card (README.md).

        A card that is in the folder already stays; else it is the one that came with the weights, or a new one. What a
        model says of the person that it has learned, the consent above all, goes along.

        Args:
            push_to_hub: upload it as well; ``repo_id``, ``private``, ``token``, ``commit_message`` and ``create_pr``
                are then those of `push_to_hub`.
        """
        upload = {key: kwargs.pop(key) for key in _UPLOAD if key in kwargs}
        super().save_pretrained(str(save_directory), **{**kwargs, "safe_serialization": True})
        card = Path(save_directory) / CARD
        if not card.exists():
            if self.folder is not None and (self.folder / CARD).is_file():
                shutil.copyfile(self.folder / CARD, card)
            else:
                card.write_text(model_card(self), encoding="utf-8")
        if self.folder is not None:
            keep_person(self.folder, Path(save_directory))
        if push_to_hub:
            self._upload(Path(save_directory), **{"repo_id": Path(save_directory).name, **upload})

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """Uploads the folder that `save_pretrained` writes, its card included, to a repository of the hub.

        Args:
            repo_id: ``user/name``.
            **options: ``private``, ``token``, ``commit_message``, ``create_pr`` as diffusers has them; others are
                given to `save_pretrained`.
        """
        upload = {key: options.pop(key) for key in _UPLOAD if key in options}
        with temporary_folder() as folder:
            self.save_pretrained(folder, **options)
            return self._upload(folder, repo_id, **upload)

    def _upload(self, folder: Path, repo_id: str, private: bool | None = None, token: Any = None, **how: Any) -> Any:
        from huggingface_hub import create_repo

        repository = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
        return self._upload_folder(str(folder), repository, token=token, **how)


def model_card(pipeline: BasePipeline) -> str:
    """The model card (README.md) as Markdown with the hub's header; what only the trainer knows is left open."""
    config = pipeline.config
    millions = {
        name: sum(parameter.numel() for parameter in part.parameters()) / 1e6
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
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
