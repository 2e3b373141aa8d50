"""Which of diffusers' schedulers can stand in for the model's own, and the noise of known views under each.

A model has learned what its prediction means and how noisy each timestep is. A scheduler that differs in either would
sample from it without complaint, and wrongly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from signgen.errors import Mismatch, Unsupported
from signgen.model.diffusion.parametrisation import add_noise

# What a swapped scheduler must say like the model's own; None and False count as the same.
SAME = (
    "prediction_type", "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas",
    "rescale_betas_zero_snr",
)  # fmt: skip
_HOW = "make it with from_config(pipeline.scheduler.config)"


def learned_settings(scheduler: Any) -> dict[str, Any]:
    """The settings of a scheduler on which the network's weights depend."""
    return {key: scheduler.config.get(key) or None for key in SAME}


def check_scheduler(scheduler: Any, learned: dict[str, Any]) -> None:
    """Raises `InputError` for a scheduler that the network's weights do not go with.

    Args:
        scheduler: of diffusers, one with a variance-preserving schedule.
        learned: `learned_settings` of the scheduler that came with the weights.
    """
    name = type(scheduler).__name__
    if not hasattr(scheduler, "alphas_cumprod"):
        raise Unsupported("scheduler", f"{name} has no betas", "use DDIM, DDPM, DPM-Solver, UniPC, Euler or the like")
    given = learned_settings(scheduler)
    for key in SAME:
        if given[key] != learned[key]:
            raise Mismatch("scheduler", f"{name} has {key} {given[key]}, the model {learned[key]}", _HOW)


def noised(scheduler: Any, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """FPDM eq. 1 at a timestep that need not be whole: (N, ...) clean and noise -> noisy, of the network's scale.

    Between two timesteps sigma = s / a is interpolated linearly, as Euler's and other schedulers over sigmas do.
    """
    whole = timestep.round()
    if not timestep.is_floating_point() or bool(whole == timestep):
        return add_noise(scheduler, clean, noise, whole.long())
    alphas = scheduler.alphas_cumprod.to(clean.device)
    below = timestep.floor().long().clamp(0, len(alphas) - 2)
    low, high = (((1 - alphas[t]) / alphas[t]).sqrt() for t in (below, below + 1))
    sigma = torch.lerp(low, high, (timestep.to(clean.device) - below).to(low.dtype))
    return ((clean + sigma * noise) / (sigma**2 + 1).sqrt()).to(clean.dtype)
