"""Epsilon, v and x0: what a prediction means, from the scheduler's alphas_cumprod.

z_t = a x0 + s e, with a^2 = alphas_cumprod[t], s^2 = 1 - a^2 (FPDM eq. 1); v = a e - s x0. At zero terminal SNR
a = 0: v and x0 stay meaningful there, epsilon says nothing about x0 and is refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from signgen.errors import Unsupported

PARAMETRISATIONS = ("epsilon", "v_prediction", "sample")


def prediction_type(scheduler: Any) -> str:
    """The scheduler's parametrisation: ``epsilon``, ``v_prediction`` or ``sample`` (x0)."""
    kind = scheduler.config.prediction_type
    if kind not in PARAMETRISATIONS:
        raise Unsupported("scheduler", f"prediction type {kind!r}", f"choose from {', '.join(PARAMETRISATIONS)}")
    return kind


def signal_and_noise(scheduler: Any, timesteps: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
    """(a, s) of z_t = a x0 + s e, each (N or 1, 1, ..., 1) in the dtype of ``like`` (N, ...)."""
    alphas = _alphas(scheduler, timesteps, like.device).view(-1, *[1] * (like.dim() - 1))  # (N or 1, 1, ..., 1)
    return alphas.sqrt().to(like.dtype), (1.0 - alphas).sqrt().to(like.dtype)


def add_noise(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
    """FPDM eq. 1: (N, ...) clean and noise -> noisy."""
    a, s = signal_and_noise(scheduler, timesteps, clean)
    return a * clean + s * noise


def target_for(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
    """What the network is trained to predict, (N, ...), by the scheduler's parametrisation."""
    kind = prediction_type(scheduler)
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return clean
    a, s = signal_and_noise(scheduler, timesteps, clean)
    return a * noise - s * clean


def denoised_from(scheduler: Any, prediction: Tensor, noisy: Tensor, timesteps: Tensor | int) -> Tensor:
    """x0 from a prediction, (N, ...)."""
    kind = prediction_type(scheduler)
    a, s = signal_and_noise(scheduler, timesteps, noisy)
    if kind == "sample":
        return prediction
    if kind == "v_prediction":
        return a * noisy - s * prediction
    _refuse_zero(a, "epsilon says nothing about the image at zero signal")
    return (noisy - s * prediction) / a


def noise_from(scheduler: Any, prediction: Tensor, noisy: Tensor, timesteps: Tensor | int) -> Tensor:
    """Epsilon from a prediction, (N, ...)."""
    kind = prediction_type(scheduler)
    a, s = signal_and_noise(scheduler, timesteps, noisy)
    if kind == "epsilon":
        return prediction
    if kind == "v_prediction":
        return s * noisy + a * prediction
    _refuse_zero(s, "x0 says nothing about the noise where there is none")
    return (noisy - a * prediction) / s


def snr(scheduler: Any, timesteps: Tensor) -> Tensor:
    """Signal-to-noise ratio a^2 / s^2, float32 (N,); 0 at zero terminal SNR."""
    alphas = _alphas(scheduler, timesteps, timesteps.device)  # (N,)
    return alphas / (1.0 - alphas)


def _alphas(scheduler: Any, timesteps: Tensor | int, device: torch.device) -> Tensor:
    """alphas_cumprod at the timesteps, (N,) or (1,) float32."""
    steps = torch.as_tensor(timesteps, device=device).reshape(-1)
    return scheduler.alphas_cumprod.to(device)[steps].float()


def _refuse_zero(divisor: Tensor, reason: str) -> None:
    if bool((divisor == 0).any()):
        raise Unsupported("prediction", reason, "use v_prediction with a zero terminal SNR schedule")
