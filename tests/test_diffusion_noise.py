"""The noise of a frame depends on (seed, frame index) alone."""

from __future__ import annotations

import torch

from signgen.model.diffusion.noise import frame_noise, step_noise

SHAPE = (4, 5, 6)
NUMBERS = [0.0599110350, 0.0155596342, -1.4314630032, 1.6707168818]


def test_noise_of_a_frame_is_independent_of_its_window() -> None:
    whole = frame_noise(7, range(10), SHAPE)
    assert torch.equal(frame_noise(7, range(4, 8), SHAPE), whole[4:8])
    assert torch.equal(frame_noise(7, [9, 2], SHAPE), whole[[9, 2]])
    steps = step_noise(7, range(10), 3, SHAPE)
    assert torch.equal(step_noise(7, [5], 3, SHAPE)[0], steps[5])


def test_no_two_draws_are_alike() -> None:
    draws = [*frame_noise(1, [-1, 0, 1, 2**40], SHAPE), *frame_noise(2, [0, 1], SHAPE), *frame_noise(-1, [0], SHAPE)]
    draws += [*step_noise(1, [0, 1], 0, SHAPE), *step_noise(1, [0, 1], 1, SHAPE)]
    flat = torch.stack(draws).flatten(1)
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.45  # 120 numbers each: 5 standard deviations


def test_noise_is_standard_normal_and_of_the_asked_type() -> None:
    noise = frame_noise(3, range(50), (4, 20, 20), dtype=torch.float64)
    assert noise.dtype == torch.float64
    assert abs(noise.mean().item()) < 0.02
    assert abs(noise.std().item() - 1) < 0.02
    assert frame_noise(3, [], SHAPE).shape == (0, *SHAPE)


def test_shared_noise_keeps_the_variance_and_ties_frames() -> None:
    noise = frame_noise(3, range(40), (4, 20, 20), shared=0.6).flatten(1)
    assert abs(noise.std().item() - 1) < 0.05
    assert abs(torch.corrcoef(noise[:2])[0, 1].item() - 0.6) < 0.06
    assert torch.equal(frame_noise(3, [2], SHAPE, shared=0.6), frame_noise(3, range(4), SHAPE, shared=0.6)[2:3])


def test_numbers_stay_the_same_between_versions() -> None:
    expected = torch.tensor(NUMBERS)
    torch.testing.assert_close(frame_noise(0, [0, 1], (1, 1, 2)).flatten(), expected, atol=1e-6, rtol=0)
