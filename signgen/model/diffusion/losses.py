"""The losses of FPDM's two stages: source-enhanced InfoNCE, and the weighted denoising loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from signgen.errors import Missing
from signgen.model.diffusion.parametrisation import prediction_type, snr

TEMPERATURE = 0.07


def similarity(targets: Tensor, fusion: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Cosine similarity / temperature, (B, B): rows targets, columns fusion embeddings."""
    return functional.normalize(targets, dim=-1) @ functional.normalize(fusion, dim=-1).T / temperature


def info_nce(
    targets: Tensor, fusion: Tensor, temperature: float = TEMPERATURE, false_negatives: Tensor | None = None
) -> Tensor:
    """FPDM eq. 3: each target (B, D) picks its own fusion embedding (B, D) among all, scalar.

    ``false_negatives`` (B, B) bool: pairs left out of the sum (same clip, near frames); the diagonal always stays.
    """
    logits = similarity(targets, fusion, temperature)  # (B, B)
    if false_negatives is not None:
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(false_negatives.to(logits.device) & ~own, float("-inf"))
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def baseline_loss(
    targets: Tensor,
    fusion: Tensor,
    source: Tensor | None = None,
    temperature: float = TEMPERATURE,
    l1_weight: float = 0.0,
    same_target: Tensor | None = None,
) -> Tensor:
    """Eq. 3, with the release's ``l1_weight * mean|e_s - e_f|`` where asked for (needs ``source``); scalar."""
    loss = info_nce(targets, fusion, temperature, same_target)
    if not l1_weight:
        return loss
    if source is None:
        raise Missing("l1_weight", f"got {l1_weight} without source embeddings", "give the sources, or 0")
    return loss + l1_weight * (source - fusion).abs().mean()


def source_enhanced_loss(
    targets: Tensor,
    fusion: Tensor,
    source: Tensor,
    temperature: float = TEMPERATURE,
    l1_weight: float = 0.0,
    same_target: Tensor | None = None,
    same_source: Tensor | None = None,
) -> Tensor:
    """FPDM eq. 4-6: InfoNCE of [e_t; e_s] against [e_f; e_s], so that a source is a hard negative of its target.

    Args:
        targets, fusion, source: (B, D) embeddings.
        temperature: 0.07 in FPDM.
        l1_weight: 1e-4 in the release, 0 in the paper: mean |[e_s; e_s] - [e_f; e_s]|, un-normalised sources.
        same_target: (B, B) bool, target j is as good as target i (same clip, near frames).
        same_source: (B, B) bool, sources i and j are the same picture.

    Returns:
        Scalar.
    """
    rows, columns = torch.cat([targets, source]), torch.cat([fusion, source])  # (2B, D) each
    masked = _block_mask(len(targets), same_target, same_source)  # (2B, 2B) or None
    loss = info_nce(rows, columns, temperature, masked)
    return loss + l1_weight * (torch.cat([source, source]) - columns).abs().mean() if l1_weight else loss


def _block_mask(count: int, same_target: Tensor | None, same_source: Tensor | None) -> Tensor | None:
    """False negatives of the doubled batch; a source and a target are never each other's false negative."""
    if same_target is None and same_source is None:
        return None
    none = torch.zeros(count, count, dtype=torch.bool)
    upper = none if same_target is None else same_target.cpu().bool()
    lower = none if same_source is None else same_source.cpu().bool()
    return torch.block_diag(upper, lower).bool()


def denoising_loss(
    prediction: Tensor, target: Tensor, weights: Tensor, sample_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weighted mean squared error (FPDM eq. 2 and 11), and for the log the plain one; both scalar.

    Args:
        prediction, target: (N, C, h, w) of the same parametrisation.
        weights: (N, h, w) >= 0, such as high at hands and 0 at views that are given; of the whole batch together, so
            that neither their scale matters nor which item they are on.
        sample_weights: (N,), e.g. `min_snr_weights`; multiplies.
    """
    error = (prediction - target).square().mean(1)  # (N, h, w)
    weighed = error if sample_weights is None else error * sample_weights.to(error)[:, None, None]
    return (weighed * weights).sum() / weights.sum(), error.detach().mean()


def min_snr_weights(scheduler: Any, timesteps: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR-gamma weights (N,) float32 for the scheduler's parametrisation (Hang et al. 2023).

    v: min(snr + 1, gamma) / (snr + 1), as IMAGPose's trainers have it, which is 1 at zero SNR.
    epsilon: min(snr, gamma) / snr. x0: min(snr, gamma).
    """
    ratio = snr(scheduler, timesteps)  # (N,)
    kind = prediction_type(scheduler)
    if kind == "v_prediction":
        weights = (ratio + 1).clamp(max=gamma) / (ratio + 1)
    elif kind == "epsilon":
        weights = torch.where(ratio > 0, ratio.clamp(max=gamma) / ratio, torch.ones_like(ratio))
    else:
        weights = ratio.clamp(max=gamma)
    return weights.float()
