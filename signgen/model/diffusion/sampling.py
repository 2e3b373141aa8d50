"""Samplers: functions from noise to latents over diffusers' schedulers, with the noise of every step supplied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from signgen.errors import BadValue, Missing, Unsupported
from signgen.model.diffusion.parametrisation import denoised_from, noise_from

Denoise = Callable[[Tensor, Tensor], Tensor]  # (latents (N, C, h, w), timestep ()) -> prediction (N, C, h, w)
StepNoise = Callable[[int], Tensor] | Sequence[Tensor]  # step number -> (N, C, h, w), or a recording


def schedule(scheduler: Any, steps: int, device: torch.device | str = "cpu") -> Tensor:
    """The ``steps`` timesteps of a scheduler, (steps,) in order of use; it is set for them."""
    limit = scheduler.config.num_train_timesteps
    if not 1 <= steps <= limit:
        raise BadValue("steps", f"got {steps}", f"allowed are 1 to {limit}")
    scheduler.set_timesteps(steps, device=device)
    return scheduler.timesteps


def sample(
    denoise: Denoise,
    latents: Tensor,
    scheduler: Any,
    timesteps: Tensor,
    *,
    noises: StepNoise | None = None,
    eta: float = 0.0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Runs a scheduler from noise to latents.

    Args:
        denoise: the guided denoiser.
        latents: (N, C, h, w) standard normal initial noise; see `signgen.model.diffusion.noise.frame_noise`.
        scheduler: a diffusers scheduler that was set for ``timesteps``, see `schedule`.
        timesteps: (S,) in order of use.
        noises: for samplers that add noise: step number -> (N, C, h, w), or one tensor per step (a recording).
        eta: DDIM's share of ancestral noise, 0 to 1.
        on_step: called with step number and latents (N, C, h, w) after each step.

    Returns:
        (N, C, h, w) clean latents.
    """
    take = step_function(scheduler, eta)
    latents = latents * scheduler.init_noise_sigma
    for index, timestep in enumerate(timesteps):
        prediction = denoise(scheduler.scale_model_input(latents, timestep), timestep)  # (N, C, h, w)
        latents = take(prediction, timestep, latents, _NoiseAt(noises, index))  # (N, C, h, w)
        if on_step is not None:
            on_step(index, latents)
    return latents


class _NoiseAt:
    """The noise of one step, looked up only when a sampler asks for it."""

    def __init__(self, noises: StepNoise | None, index: int) -> None:
        self.noises, self.index = noises, index

    def __call__(self) -> Tensor:
        if self.noises is None:
            raise Missing("sampler", "adds noise in each step", "give the noises of its steps")
        return self.noises(self.index) if callable(self.noises) else self.noises[self.index]


def step_function(scheduler: Any, eta: float = 0.0) -> Callable[[Tensor, Tensor, Tensor, Callable[[], Tensor]], Tensor]:
    """(prediction, timestep, latents, noise) -> latents for a scheduler; one that draws its own noise is refused."""
    name = type(scheduler).__name__
    if name == "DDPMScheduler":
        return lambda *step: ancestral_step(scheduler, *step)
    if name == "DDIMScheduler" and eta > 0:
        return lambda *step: noised_ddim_step(scheduler, eta, *step)
    draws = any(word in name for word in ("Ancestral", "SDE", "LCM", "TCD"))
    if draws or str(scheduler.config.get("algorithm_type", "")).startswith("sde"):
        raise Unsupported("scheduler", name, "it draws its own noise; use DDPM, DDIM or a deterministic solver")
    if eta > 0:
        raise BadValue("eta", f"got {eta} for {name}", "only DDIM takes it")
    return lambda prediction, timestep, latents, noise: scheduler.step(
        prediction, timestep, latents, return_dict=False
    )[0]


def ancestral_step(
    scheduler: Any, prediction: Tensor, timestep: Tensor, latents: Tensor, noise: Callable[[], Tensor]
) -> Tensor:
    """One DDPM step (Ho et al. eq. 6, 7) between any two timesteps, noise supplied.

    diffusers' own step draws from a generator, which cannot be keyed by frame. Asks for noise but at t = 0.
    """
    previous = int(scheduler.previous_timestep(timestep))
    now, before = _products(scheduler, int(timestep), previous, torch.tensor(1.0), latents)
    alpha = now / before  # of the whole jump
    clean = _clean(scheduler, prediction, latents, timestep)  # (N, C, h, w)
    mean = (before.sqrt() * (1 - alpha) * clean + alpha.sqrt() * (1 - before) * latents) / (1 - now)
    if int(timestep) == 0:
        return mean
    variance = ((1 - before) / (1 - now) * (1 - alpha)).clamp(min=1e-20)
    return mean + variance.sqrt() * noise().to(latents)  # (N, C, h, w)


def noised_ddim_step(
    scheduler: Any, eta: float, prediction: Tensor, timestep: Tensor, latents: Tensor, noise: Callable[[], Tensor]
) -> Tensor:
    """One DDIM step with ancestral noise (Song et al. eq. 12, 16), noise supplied.

    diffusers' own step takes the root of a number that rounding makes negative at eta = 1 and zero terminal SNR.
    """
    jump = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    now, before = _products(scheduler, int(timestep), int(timestep) - jump, scheduler.final_alpha_cumprod, latents)
    clean = _clean(scheduler, prediction, latents, timestep)  # (N, C, h, w)
    direction = noise_from(scheduler, prediction, latents, timestep)  # (N, C, h, w)
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    along = (1 - before - variance).clamp(min=0).sqrt()
    return before.sqrt() * clean + along * direction + variance.sqrt() * noise().to(latents)


def _products(scheduler: Any, timestep: int, previous: int, last: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """alphas_cumprod at a timestep and at the one that follows it in sampling, ``last`` beyond the end."""
    before = scheduler.alphas_cumprod[previous] if previous >= 0 else last
    return scheduler.alphas_cumprod[timestep].to(like), before.to(like)


def _clean(scheduler: Any, prediction: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
    """x0 (N, C, h, w), clipped where the scheduler says so."""
    clean = denoised_from(scheduler, prediction, latents, timestep)
    reach = scheduler.config.clip_sample_range
    return clean.clamp(-reach, reach) if scheduler.config.clip_sample else clean
