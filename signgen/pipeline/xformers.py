"""Attention through xformers, for the denoiser's shared contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from signgen.errors import InputError
from signgen.models.attention import ContextMemory, SharedContextProcessor, _keys_values, _of_nothing


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
        self.attend = xformers_attention()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        memory: ContextMemory | None = None,
        **others: Any,
    ) -> Tensor:
        """Queries (N, L, D) and a context (B, M, Dc), each of whose items serves N / B queries; (N, L, D)."""
        if hidden_states.dim() != 3 or attention_mask is not None:
            raise InputError("attention", f"{hidden_states.dim()} axes, mask {attention_mask is not None}",
                             "this processor takes sequences (N, L, D) without a mask")  # fmt: skip
        if encoder_hidden_states is not None and not encoder_hidden_states.shape[1]:
            return _of_nothing(attn, hidden_states)
        if encoder_hidden_states is None or memory is None:
            keys, values = _keys_values(attn, hidden_states if encoder_hidden_states is None else encoder_hidden_states)
        else:
            keys, values = memory.keys_values(attn, encoder_hidden_states)  # (B, H, M, d)
        queries = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1))  # (N, L, H, d), xformers' own order
        views = len(queries) // len(keys)
        keys, values = (part.repeat_interleave(views, dim=0).transpose(1, 2) for part in (keys, values))  # (N, M, H, d)
        seen = self.attend(queries, keys, values, op=self.operator, scale=attn.scale)  # (N, L, H, d)
        mixed = attn.to_out[0](seen.flatten(2).to(hidden_states.dtype))  # (N, L, D)
        return attn.to_out[1](mixed) / attn.rescale_output_factor


def use_xformers(denoiser: torch.nn.Module, operator: Any = None) -> None:
    """Lets a denoiser's attention run through xformers. InputError where it is not installed."""
    denoiser.unet.set_attn_processor(XFormersContextProcessor(operator))
