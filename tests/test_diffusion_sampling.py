"""Samplers: the right answer from a perfect denoiser, supplied noise, agreement with diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from signgen.errors import BadValue, Missing, Unsupported
from signgen.model.diffusion import sampling
from signgen.model.diffusion.noise import frame_noise, step_noise
from signgen.model.diffusion.parametrisation import signal_and_noise

SHAPE = (2, 3, 4)
ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
            "clip_sample": False}  # fmt: skip


def perfect(scheduler: object, clean: Tensor) -> sampling.Denoise:
    """The v-prediction of a denoiser that knows the answer."""

    def denoise(noisy: Tensor, timestep: Tensor) -> Tensor:
        a, s = signal_and_noise(scheduler, timestep, noisy)
        return a * (noisy - a * clean) / s - s * clean

    return denoise


def replay(step: int) -> Tensor:
    return step_noise(5, range(2), step, SHAPE)


@pytest.mark.parametrize("steps", [1, 2, 4, 20])
def test_a_perfect_denoiser_finds_the_image_in_any_number_of_steps(steps: int) -> None:
    scheduler, clean = DDIMScheduler(**ZERO_SNR), torch.randn(2, *SHAPE)
    timesteps = sampling.schedule(scheduler, steps)
    assert timesteps[0] == 999
    out = sampling.sample(perfect(scheduler, clean), frame_noise(0, range(2), SHAPE), scheduler, timesteps)
    torch.testing.assert_close(out, clean, atol=2e-2, rtol=0)


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, UniPCMultistepScheduler])
def test_solvers_of_diffusers_run_unchanged(kind: type) -> None:
    scheduler, clean = kind(prediction_type="v_prediction"), torch.randn(2, *SHAPE)
    timesteps = sampling.schedule(scheduler, 12)
    out = sampling.sample(perfect(scheduler, clean), frame_noise(0, range(2), SHAPE), scheduler, timesteps)
    torch.testing.assert_close(out, clean, atol=5e-2, rtol=0)


def test_ancestral_steps_are_those_of_diffusers() -> None:
    scheduler, other = (DDPMScheduler(prediction_type="v_prediction", clip_sample=False) for _ in range(2))
    timesteps = sampling.schedule(scheduler, 5)
    other.set_timesteps(5)
    latents, generator = frame_noise(0, range(2), SHAPE), torch.Generator().manual_seed(0)
    expected = latents
    for timestep in timesteps:
        expected = other.step(0.3 * expected, timestep, expected, generator=generator).prev_sample
    again = torch.Generator().manual_seed(0)
    out = sampling.sample(lambda x, _: 0.3 * x, latents, scheduler, timesteps,
                          noises=lambda _: torch.randn(2, *SHAPE, generator=again))  # fmt: skip
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [
    lambda: (DDPMScheduler(prediction_type="v_prediction", clip_sample=False), 0.0),
    lambda: (DDIMScheduler(**ZERO_SNR), 1.0),
])  # fmt: skip
def test_a_recording_replays_and_frames_are_independent(make: object) -> None:
    scheduler, eta = make()
    timesteps, latents = sampling.schedule(scheduler, 4), frame_noise(0, range(2), SHAPE)
    out = sampling.sample(lambda x, _: 0.1 * x, latents, scheduler, timesteps, noises=replay, eta=eta)
    recorded = [replay(step) for step in range(4)]
    again = sampling.sample(lambda x, _: 0.1 * x, latents, scheduler, timesteps, noises=recorded, eta=eta)
    assert torch.equal(again, out)
    alone = sampling.sample(lambda x, _: 0.1 * x, latents[1:], scheduler, timesteps, eta=eta,
                            noises=lambda step: step_noise(5, [1], step, SHAPE))  # fmt: skip
    torch.testing.assert_close(alone, out[1:])
    with pytest.raises(Missing, match="^sampler:"):
        sampling.sample(lambda x, _: 0.1 * x, latents, scheduler, timesteps, eta=eta)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_noised_ddim_steps_are_those_of_diffusers(eta: float) -> None:
    scheduler = DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False)
    timesteps, latents = sampling.schedule(scheduler, 5), frame_noise(0, range(2), SHAPE)
    expected = latents
    for step, timestep in enumerate(timesteps):
        options = {"eta": eta, "variance_noise": replay(step)}
        expected = scheduler.step(0.3 * expected, timestep, expected, **options).prev_sample
    out = sampling.sample(lambda x, _: 0.3 * x, latents, scheduler, timesteps, noises=replay, eta=eta)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_on_step_sees_every_step() -> None:
    scheduler, seen = DDIMScheduler(**ZERO_SNR), []
    latents = frame_noise(0, [0], SHAPE)
    out = sampling.sample(lambda x, _: x, latents, scheduler, sampling.schedule(scheduler, 3),
                          on_step=lambda step, current: seen.append((step, current)))  # fmt: skip
    assert [step for step, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1], out)


def test_what_cannot_be_seeded_by_frame_is_refused() -> None:
    for kind in (EulerAncestralDiscreteScheduler, LCMScheduler):
        with pytest.raises(Unsupported, match="^scheduler:"):
            sampling.step_function(kind())
    with pytest.raises(Unsupported, match="^scheduler:"):
        sampling.step_function(DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"))
    with pytest.raises(BadValue, match="^eta:"):
        sampling.step_function(UniPCMultistepScheduler(), eta=0.5)
    with pytest.raises(BadValue, match="^steps:"):
        sampling.schedule(DDIMScheduler(), 0)
