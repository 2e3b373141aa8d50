"""Attention whose context is shared by the views of a window: its keys and values are computed once, not per view."""

from __future__ import annotations

from typing import Any

from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn import functional

from signgen.errors import InputError


class SharedContextProcessor:
    """diffusers' fused attention processor for sequences, with a context of fewer items than there are queries.

    Queries (N, L, D) and a context (B, M, Dc), N = B * V with the views of a window in succession: each item of the
    context serves V queries. Without a context the sequence looks at itself.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        if hidden_states.dim() != 3 or attention_mask is not None:
            raise InputError("attention", f"{hidden_states.dim()} axes, mask {attention_mask is not None}",
                             "this processor takes sequences (N, L, D) without a mask")  # fmt: skip
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        queries, keys, values = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (N or B, H, L or M, d)
            for part in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        views = len(queries) // len(keys)
        if views > 1:
            keys, values = (part.repeat_interleave(views, dim=0) for part in (keys, values))  # (N, H, M, d)
        seen = functional.scaled_dot_product_attention(queries, keys, values, scale=attn.scale)  # (N, H, L, d)
        mixed = attn.to_out[0](seen.transpose(1, 2).flatten(2))  # (N, L, D)
        return attn.to_out[1](mixed) / attn.rescale_output_factor
