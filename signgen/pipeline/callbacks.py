"""Callbacks after each sampling step, as diffusers' own pipelines take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from signgen.errors import InputError

if TYPE_CHECKING:
    from signgen.pipeline.pipeline import SignGenPipeline

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
    pipeline: SignGenPipeline, callback: StepEnd | None, wanted: Sequence[str], timesteps: Tensor
) -> Callable[[int, Tensor], None]:
    """What `signgen.diffusion.sampling.sample` calls after a step: hands latents out, takes changed ones in."""

    def after(step: int, latents: Tensor) -> None:
        if callback is not None:
            answer = callback(pipeline, step, timesteps[step], dict.fromkeys(wanted, latents)) or {}
            changed = answer.get("latents", latents)
            if changed is not latents:
                latents.copy_(changed)  # the sampler goes on with this very tensor
        if pipeline.interrupt:
            raise Interrupted(latents)

    return after
