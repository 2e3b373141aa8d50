"""What diffusers' users expect of any pipeline: moving, offloading, other attention, callbacks, saving, the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch
from torch import Tensor

from signgen.errors import InputError
from signgen.model.card import put_card
from signgen.model.networks.attention import ContextMemory

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from signgen.model.engine import Engine
    from signgen.model.networks.denoiser import Denoiser

# `enable_model_cpu_offload`: one part of the pipeline at a time on the accelerator.
# diffusers moves a part there when its ``forward`` is called. This pipeline calls other methods as well (the source is
# encoded, poses and frames are), so it says itself which parts it needs next.


def target(pipeline: DiffusionPipeline) -> torch.device | None:
    """Where parts are computed while the pipeline is offloaded; None: it is not."""
    return getattr(pipeline, "_offload_device", None) if getattr(pipeline, "_all_hooks", None) else None


def bring(pipeline: DiffusionPipeline, *names: str) -> None:
    """Moves these parts to the accelerator and all others away from it; nothing unless the pipeline is offloaded."""
    device = target(pipeline)
    if device is None:
        return
    wanted = [module for name in names if (module := getattr(pipeline, name)) is not None]
    for hook in pipeline._all_hooks:
        if all(hook.model is not module for module in wanted):
            hook.offload()
    for module in wanted:
        module.to(device)


# Callbacks after each sampling step, as diffusers' own pipelines take them.


TENSORS = ("latents",)  # what a callback may see and change

StepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]
"""(pipeline, step number, timestep, the tensors asked for) -> those that are to be others; None: none of them."""


class Interrupted(Exception):
    """Sampling was told to stop; ``latents`` (V, C, h, w) are those of the last step."""

    def __init__(self, latents: Tensor) -> None:
        super().__init__()
        self.latents = latents


def tensor_inputs(callback: StepEnd | None, asked: Sequence[str]) -> tuple[str, ...]:
    """The tensors a callback wants: it may say so itself, as diffusers' `PipelineCallback` does.

    Raises:
        InputError: it wants one that is not there.
    """
    wanted = tuple(getattr(callback, "tensor_inputs", asked))
    unknown = [name for name in wanted if name not in TENSORS]
    if unknown:
        got = f"got {', '.join(map(str, unknown))}"
        raise InputError("callback_on_step_end_tensor_inputs", got, f"allowed is {', '.join(TENSORS)}")
    return wanted


def on_step_end(
    pipeline: DiffusionPipeline, callback: StepEnd | None, wanted: Sequence[str], timesteps: Tensor
) -> Callable[[int, Tensor], None]:
    """What `signgen.model.diffusion.sampling.sample` calls after a step: hands latents out, takes changed ones in."""

    def after(step: int, latents: Tensor) -> None:
        if callback is not None:
            answer = callback(pipeline, step, timesteps[step], dict.fromkeys(wanted, latents)) or {}
            changed = answer.get("latents", latents)
            if changed is not latents:
                latents.copy_(changed)  # the sampler goes on with this very tensor
        if pipeline.interrupt:
            raise Interrupted(latents)

    return after


Result = TypeVar("Result")
_UPLOAD = ("repo_id", "private", "token", "commit_message", "create_pr")


def settled(method: Callable[..., Result]) -> Callable[..., Result]:
    """A method during which the pipeline stays where it is: diffusers walks through all modules to tell where."""

    @wraps(method)
    def called(self: DiffusersTools, *args: Any, **kwargs: Any) -> Result:
        with self.settling():
            return method(self, *args, **kwargs)

    return called


def between_networks(method: Callable[..., Result]) -> Callable[..., Result]:
    """A method in which torch takes as many threads as the engine leaves it.

    Another engine's threads go on waiting for work on their cores for a while. A second thread of torch must first get
    one of these back, which takes longer than the small sums between two networks do.
    """

    @wraps(method)
    def called(self: DiffusersTools, *args: Any, **kwargs: Any) -> Result:
        before, left = torch.get_num_threads(), self.engine.threads
        if left is None or left >= before:
            return method(self, *args, **kwargs)
        torch.set_num_threads(left)
        try:
            return method(self, *args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return called


class DiffusersTools:
    """Stands before diffusers' `DiffusionPipeline` among the bases of `SignGenPipeline`."""

    denoiser: Denoiser
    engine: Engine
    _interrupt: bool
    _steps_done_of: int
    _weights: tuple[float, ...]
    _place: tuple[torch.device, torch.dtype] | None = None  # while a `settled` method runs

    # -- where and in what it computes -----------------------------------------------------------------------------

    @contextmanager
    def settling(self) -> Iterator[None]:
        """While it lasts, the pipeline is taken to stay where it is: asking diffusers takes milliseconds each time."""
        if self._place is not None:  # within another one
            yield
            return
        self._place = self.device, self.dtype
        try:
            yield
        finally:
            self._place = None

    @property
    def device(self) -> torch.device:
        """Where the networks compute; while offloaded that is not where they rest."""
        return self._place[0] if self._place else target(self) or super().device  # type: ignore[misc]

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in."""
        return self._place[1] if self._place else super().dtype  # type: ignore[misc]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As diffusers' `to`, for device and dtype. What was kept of earlier computations is forgotten."""
        self._place = None
        moved = super().to(*args, **kwargs)  # type: ignore[misc]
        moved.forget()
        return moved

    def forget(self) -> None:
        """Drops keys and values kept for a source: to be called after the weights were changed in any way."""
        memory = getattr(getattr(self, "engine", None), "memory", None)
        if isinstance(memory, ContextMemory):
            self.engine.memory = ContextMemory(memory.keep, memory.skip_empty)  # type: ignore[attr-defined]

    def enable_xformers_memory_efficient_attention(self, attention_op: Any = None) -> None:
        """The denoiser's attention through xformers. InputError where it is not installed."""
        from signgen.model.networks.attention import use_xformers

        use_xformers(self.denoiser, attention_op)

    def disable_xformers_memory_efficient_attention(self) -> None:
        """Back to torch's own fused attention."""
        self.denoiser.set_attention("sdpa")

    @property
    def interrupt(self) -> bool:
        """Whether a callback has set ``_interrupt``: sampling stops after the step, what is there is decoded."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the current or last call."""
        return self._steps_done_of

    @property
    def guidance_scale(self) -> tuple[float, ...]:
        """w1 and w2 of the current or last call."""
        return self._weights

    # -- saving ----------------------------------------------------------------------------------------------------

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Writes the folder that `from_pretrained` reads: safetensors only, with a model card (README.md).

        Args:
            push_to_hub: upload it as well; ``repo_id``, ``private``, ``token``, ``commit_message`` and ``create_pr``
                are then those of `push_to_hub`.
        """
        upload = {key: kwargs.pop(key) for key in _UPLOAD if key in kwargs}
        super().save_pretrained(str(save_directory), **{**kwargs, "safe_serialization": True})  # type: ignore[misc]
        put_card(self, Path(save_directory))
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
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, **options)
            return self._upload(Path(folder), repo_id, **upload)

    def _upload(self, folder: Path, repo_id: str, private: bool | None = None, token: Any = None, **how: Any) -> Any:
        from huggingface_hub import create_repo

        repository = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
        return self._upload_folder(str(folder), repository, token=token, **how)
