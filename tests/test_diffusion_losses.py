"""Losses: false negatives are left out, weights weigh, offsets have the asked size."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from signgen.model.diffusion import losses


def test_masked_pairs_do_not_count_and_the_diagonal_stays() -> None:
    torch.manual_seed(0)
    targets, fusion = torch.randn(2, 4, 8)
    plain, everything = losses.info_nce(targets, fusion), torch.ones(4, 4).bool()
    assert losses.info_nce(targets, fusion, false_negatives=everything).item() == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(losses.info_nce(targets, fusion, false_negatives=torch.eye(4).bool()), plain)
    pair = torch.zeros(4, 4).bool()
    pair[0, 1] = True
    changed = torch.cat([fusion[:1], -fusion[1:2], fusion[2:]])
    rows = [losses.info_nce(targets, other, false_negatives=pair) for other in (fusion, changed)]
    assert rows[0] != rows[1]  # other rows still see column 1
    assert rows[0] < plain


def test_the_own_source_is_a_hard_negative() -> None:
    torch.manual_seed(0)
    targets, source = torch.randn(2, 4, 8)
    copied = losses.source_enhanced_loss(targets, source, source)  # a fusion that ignores the pose
    perfect = losses.source_enhanced_loss(targets, targets, source)
    assert perfect < copied
    gradient = torch.autograd.grad(
        losses.source_enhanced_loss(targets, leaf := source.clone().requires_grad_(), source), leaf
    )
    assert gradient[0].abs().sum() > 0


def test_identical_sources_need_their_mask() -> None:
    torch.manual_seed(0)
    targets, source = torch.randn(4, 8), torch.randn(1, 8).expand(4, 8)
    everything = torch.ones(4, 4).bool()
    plain = losses.source_enhanced_loss(targets, targets, source)
    masked = losses.source_enhanced_loss(targets, targets, source, same_source=everything)
    assert masked < plain - 0.3  # four equal sources cost half of the rows log 4
    both = losses.source_enhanced_loss(targets, targets, source, same_target=everything, same_source=everything)
    assert both <= masked


def test_spatial_weights_are_a_weighted_mean() -> None:
    prediction, target = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    target[..., :2] = 2.0
    left = torch.zeros(1, 1, 4, 5)
    left[..., :2] = 7.0
    assert losses.denoising_loss(prediction, target).item() == pytest.approx(4.0 * 2 / 5)
    assert losses.denoising_loss(prediction, target, spatial_weights=left).item() == pytest.approx(4.0)
    assert losses.denoising_loss(prediction, target, spatial_weights=left.new_ones(2, 1, 4, 5)) == pytest.approx(1.6)
    samples = torch.tensor([2.0, 0.0])
    assert losses.denoising_loss(prediction, target, samples, left).item() == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_min_snr_weights_the_same_x0_error_whatever_is_predicted(kind: str) -> None:
    scheduler, steps = DDPMScheduler(prediction_type=kind), torch.tensor([5, 300, 700, 999])
    ratio = scheduler.alphas_cumprod[steps] / (1 - scheduler.alphas_cumprod[steps])
    weights = losses.min_snr_weights(scheduler, steps, 5.0)
    if kind == "v_prediction":  # the released form caps snr + 1
        torch.testing.assert_close(weights, (ratio + 1).clamp(max=5) / (ratio + 1), atol=1e-6, rtol=1e-4)
    else:
        scale = 1 if kind == "sample" else ratio
        torch.testing.assert_close(weights * scale, ratio.clamp(max=5), atol=1e-6, rtol=1e-4)


def test_offset_is_one_draw_per_sample_and_channel() -> None:
    noise = torch.zeros(200, 8, 3, 4)
    shifted = losses.offset_noise(noise, 0.1, torch.Generator().manual_seed(0))
    assert shifted.std().item() == pytest.approx(0.1, rel=0.1)
    assert (shifted.flatten(2).std(dim=2) < 1e-6).all()
    assert losses.offset_noise(noise, 0.0) is noise
