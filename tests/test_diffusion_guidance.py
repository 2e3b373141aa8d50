"""Two-weight guidance: the formula, and only the evaluations that count."""

from __future__ import annotations

import pytest
import torch

from signgen.model.diffusion.guidance import BRANCHES, evaluations_per_step, guided

PAIRS = {(2, 2): 2, (1, 1): 1, (0, 0): 1, (1.5, 3.0): 3, (2, 0): 2, (1, 3): 2, (1, 0): 1, (0, 2): 3, (0.3, 0.3): 2}


@pytest.mark.parametrize(("w1", "w2"), PAIRS)
def test_formula_and_count(w1: float, w2: float) -> None:
    torch.manual_seed(0)
    branches = {name: torch.randn(2, 3, dtype=torch.float64) for name in BRANCHES}
    asked: list[str] = []
    out = guided(lambda name: asked.append(name) or branches[name], w1, w2)
    null, source, full = branches.values()
    torch.testing.assert_close(out, null + w1 * (source - null) + w2 * (full - source))
    assert len(asked) == len(set(asked)) == PAIRS[w1, w2] == evaluations_per_step(w1, w2)


def test_without_guidance_the_full_branch_is_returned_as_it_is() -> None:
    full = torch.randn(3)
    assert guided({"full": full}.__getitem__, 1.0, 1.0) is full
