"""Attention through xformers, for the denoiser's shared contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from signgen.errors import InputError
from signgen.models.attention import SharedContextProcessor


def xformers_attention() -> Callable[..., Tensor]:
    """xformers' function. InputError where it is not installed."""
    try:
        from xformers.ops import memory_efficient_attention
    except ImportError:
        advice = "pip install xformers (the build for your torch), or leave it out: torch's own attention is fused, too"
        raise InputError("xformers", "it is not installed", advice) from None
    return memory_efficient_attention


class XFormersContextProcessor(SharedContextProcessor):
    """`SharedContextProcessor` with xformers' kernel; the same contexts, the same memory.

    Args:
        operator: xformers' pair of operators, or None for its own choice.
    """

    def __init__(self, operator: Any = None) -> None:
        self.operator = operator
        self._kernel = xformers_attention()

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float, mask: Tensor | None = None) -> Tensor:
        """As `SharedContextProcessor.attend`; xformers' own order is (N, L, H, d)."""
        if mask is not None:  # its kernels want masks whole and aligned
            return super().attend(queries, keys, values, scale, mask)
        queries, keys, values = (part.transpose(1, 2) for part in (queries, keys, values))
        seen = self._kernel(queries, keys, values, op=self.operator, scale=scale)  # (N, L, H, d)
        return seen.to(queries.dtype).transpose(1, 2)


def use_xformers(denoiser: torch.nn.Module, operator: Any = None) -> None:
    """Lets a denoiser's attention run through xformers. InputError where it is not installed."""
    denoiser.unet.set_attn_processor(XFormersContextProcessor(operator))
