"""Guidance with two weights (FPDM eq. 12), evaluating only the branches that count.

    e = e(null) + w1 [e(source) - e(null)] + w2 [e(full) - e(source)]
      = (1 - w1) e(null) + (w1 - w2) e(source) + w2 e(full)

``null`` has no condition, ``source`` has source and pose, ``full`` has the fusion embedding too. A branch whose
coefficient is 0 is never evaluated, which is exact: w1 == w2 needs two evaluations, w1 == w2 == 1 one.

IMAGPose's own rule differs in what ``null`` goes without: its code takes away the source's tokens alone and keeps the
poses, so that guidance strengthens appearance and not the pose. What is known of a window stays in all branches.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

BRANCHES = ("null", "source", "full")
RULES = ("fpdm", "imagpose")


def branch_weights(w1: float, w2: float) -> dict[str, float]:
    """Coefficients of eq. 12 by branch, without those that are 0."""
    coefficients = (1.0 - w1, w1 - w2, w2)
    return {branch: weight for branch, weight in zip(BRANCHES, coefficients, strict=True) if weight != 0.0}


def evaluations_per_step(w1: float, w2: float) -> int:
    """How many times the denoiser runs per step: 1 to 3."""
    return len(branch_weights(w1, w2))


def guided(denoise_branch: Callable[[str], Tensor], w1: float, w2: float) -> Tensor:
    """Eq. 12.

    Args:
        denoise_branch: branch name (``null``, ``source``, ``full``) -> prediction (N, C, h, w); called once for each
            branch that counts.
        w1, w2: weights of source + pose and of the fusion embedding (FPDM: 2 and 2).

    Returns:
        (N, C, h, w) guided prediction, in the parametrisation of the branches.
    """
    weights = branch_weights(w1, w2)
    predictions = [weight * denoise_branch(branch) if weight != 1.0 else denoise_branch(branch)
                   for branch, weight in weights.items()]  # fmt: skip
    return sum(predictions[1:], start=predictions[0])
