"""Epsilon, v and x0 say the same thing, zero terminal SNR included."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from signgen.errors import Unsupported
from signgen.model.diffusion import parametrisation as p

ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
STEPS = torch.tensor([3, 400, 900])
KINDS = pytest.mark.parametrize("kind", p.PARAMETRISATIONS)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 5, 6, dtype=torch.float64), torch.randn(3, 4, 5, 6, dtype=torch.float64)


@KINDS
def test_the_target_gives_back_image_and_noise(kind: str) -> None:
    scheduler, (clean, noise) = DDPMScheduler(prediction_type=kind), pair()
    noisy, target = p.add_noise(scheduler, clean, noise, STEPS), p.target_for(scheduler, clean, noise, STEPS)
    # a^2 + s^2 = 1 holds to float32 only, and x0 divides by s (0.02 at t = 3) or a.
    close = {"atol": 2e-4, "rtol": 1e-4}
    torch.testing.assert_close(p.denoised_from(scheduler, target, noisy, STEPS), clean, **close)
    torch.testing.assert_close(p.noise_from(scheduler, target, noisy, STEPS), noise, **close)


@KINDS
def test_diffusers_means_the_same(kind: str) -> None:
    scheduler = DDIMScheduler(prediction_type=kind, clip_sample=False)
    scheduler.set_timesteps(10)
    latents, prediction = (value.float()[:1] for value in pair())
    step = scheduler.step(prediction, 501, latents)
    ours = p.denoised_from(scheduler, prediction, latents, 501)
    torch.testing.assert_close(ours, step.pred_original_sample, atol=1e-5, rtol=1e-5)


def test_zero_terminal_snr() -> None:
    last, (clean, noise) = torch.full((3,), 999), pair()
    velocity = DDIMScheduler(prediction_type="v_prediction", **ZERO_SNR)
    assert torch.equal(p.add_noise(velocity, clean, noise, last), noise)
    assert torch.equal(p.denoised_from(velocity, -clean, noise, last), clean)
    assert p.snr(velocity, last).tolist() == [0.0] * 3
    epsilon = DDIMScheduler(prediction_type="epsilon", **ZERO_SNR)
    with pytest.raises(Unsupported, match="^prediction:"):
        p.denoised_from(epsilon, noise, noise, last)


def test_unknown_parametrisations_are_refused() -> None:
    scheduler = DDPMScheduler()
    scheduler.register_to_config(prediction_type="flow")
    with pytest.raises(Unsupported, match="^scheduler:"):
        p.target_for(scheduler, *pair(), STEPS)
