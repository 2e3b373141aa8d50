"""Losses: false negatives are left out, weights weigh."""

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


def test_the_denoising_loss_is_a_weighted_mean_over_the_batch() -> None:
    prediction, target = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    target[..., :2] = 2.0
    left, even = torch.zeros(2, 4, 5), torch.ones(2, 4, 5)
    left[..., :2] = 7.0
    loss, plain = losses.denoising_loss(prediction, target, even)
    assert (loss.item(), plain.item()) == pytest.approx((4.0 * 2 / 5,) * 2)
    loss, plain = losses.denoising_loss(prediction, target, left)
    assert (loss.item(), plain.item()) == pytest.approx((4.0, 1.6)), "the log's error is not weighed"
    one = even.clone()
    one[1] = 0  # a view that is given: it counts for nothing, not even in the divisor
    assert losses.denoising_loss(prediction, target, one)[0].item() == pytest.approx(1.6)
    samples = torch.tensor([3.0, 0.0])
    assert losses.denoising_loss(prediction, target, left, samples)[0].item() == pytest.approx(4.0 * 3 / 2)
    leaf = prediction.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.denoising_loss(leaf, target, left, samples)[0], leaf)
    assert not gradient[1].any()
    assert not gradient[0, ..., 2:].any()
    torch.testing.assert_close(gradient[0, ..., :2], torch.full((3, 4, 2), -2.0 * 2 / 3 * 7 * 3 / (7 * 16)))


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
