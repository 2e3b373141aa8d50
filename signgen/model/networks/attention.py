"""Attention whose context is shared by the views of a window: its keys and values are computed once, not per view.

With a `ContextMemory` they are computed once for as long as the context stays the same: once a clip for the tokens of
its source, instead of in every step and branch of guidance. Both processors, torch's and xformers', share this.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

from signgen.errors import NotInstalled, Unsupported

CONTEXTS = 2  # that a memory keeps at a time: a source's tokens, and those of another branch of guidance


class ContextMemory:
    """What attention layers need not compute again; given to `Denoiser` by the one who calls it again and again.

    Both savings are exact: the same numbers come out, bit by bit. The layers' weights must stay as they are.

    Args:
        keep: keep each layer's keys and values of the last `CONTEXTS` tensors that it looked at, without gradients.
        skip_empty: an empty context (no token at all) is let through by the layers without any attention. Its zero
            tokens would have zero keys and values, so that nothing but the bias of the last projection is left.
    """

    def __init__(self, keep: bool = True, skip_empty: bool = True) -> None:
        self.keep, self.skip_empty = keep, skip_empty
        self._kept: dict[Attention, deque[tuple[Tensor, Tensor, Tensor]]] = {}

    def keys_values(self, attn: Attention, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, M, d) of a layer for a context (B, M, Dc)."""
        if not self.keep or torch.is_grad_enabled():
            return _keys_values(attn, context)
        kept = self._kept.setdefault(attn, deque(maxlen=CONTEXTS))
        for known, keys, values in kept:
            if known is context:
                return keys, values
        kept.append((context, *_keys_values(attn, context)))
        return kept[-1][1:]


def _keys_values(attn: Attention, context: Tensor) -> tuple[Tensor, Tensor]:
    """Context (B, M, Dc) -> keys and values (B, H, M, d)."""
    return _heads(attn, attn.to_k(context)), _heads(attn, attn.to_v(context))


def _heads(attn: Attention, sequence: Tensor) -> Tensor:
    """(N, L, D) -> (N, H, L, d)."""
    return rearrange(sequence, "n l (h d) -> n h l d", h=attn.heads)


class SharedContextProcessor:
    """diffusers' fused attention processor for sequences, with a context of fewer items than there are queries.

    Queries (N, L, D) and a context (B, M, Dc), N = B * V with the views of a window in succession: each item of the
    context serves V queries. Without a context the sequence looks at itself. A mask (N, L or 1, M) is added to logits.
    """

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
        if hidden_states.dim() != 3:
            raise Unsupported("attention", f"{hidden_states.dim()} axes", "give sequences (N, L, D)")
        if encoder_hidden_states is None:
            keys, values = _keys_values(attn, hidden_states)  # (N, H, L, d)
        elif not encoder_hidden_states.shape[1]:
            return _attention_to_nothing(attn, hidden_states)  # (N, L, D)
        elif memory is None:
            keys, values = _keys_values(attn, encoder_hidden_states)  # (N or B, H, M, d)
        else:
            keys, values = memory.keys_values(attn, encoder_hidden_states)
        queries = _heads(attn, attn.to_q(hidden_states))  # (N, H, L, d)
        views = len(queries) // len(keys)
        if views > 1:
            keys, values = (repeat(part, "b h m d -> (b v) h m d", v=views) for part in (keys, values))  # (N, H, M, d)
        mask = attention_mask[:, None] if attention_mask is not None else None  # (N, 1, L or 1, M)
        seen = self.attend(queries, keys, values, attn.scale, mask)  # (N, H, L, d)
        mixed = attn.to_out[0](rearrange(seen, "n h l d -> n l (h d)"))  # (N, L, D)
        return attn.to_out[1](mixed) / attn.rescale_output_factor

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float, mask: Tensor | None = None) -> Tensor:
        """Queries (N, H, L, d), keys and values (N, H, M, d) -> (N, H, L, d): torch's fused kernel."""
        return functional.scaled_dot_product_attention(queries, keys, values, mask, scale=scale)


def _attention_to_nothing(attn: Attention, hidden: Tensor) -> Tensor:
    """Attention to no token, (N, L, D): the values that are mixed are zero, and the last projection adds its bias."""
    bias = attn.to_out[0].bias
    nothing = torch.zeros_like(hidden) if bias is None else bias.to(hidden.dtype).expand_as(hidden)
    return attn.to_out[1](nothing) / attn.rescale_output_factor


class XFormersContextProcessor(SharedContextProcessor):
    """`SharedContextProcessor` with xformers' kernel; the same contexts, the same memory.

    Args:
        operator: xformers' pair of operators, or None for its own choice.

    Raises:
        InputError: xformers is not installed.
    """

    def __init__(self, operator: Any = None) -> None:
        try:
            from xformers.ops import memory_efficient_attention
        except ImportError:
            advice = "pip install xformers (the build for your torch), or leave it out: torch's attention is fused, too"
            raise NotInstalled("xformers", "it is not installed", advice) from None
        self.operator, self._kernel = operator, memory_efficient_attention

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float, mask: Tensor | None = None) -> Tensor:
        """As `SharedContextProcessor.attend`; xformers' own order is (N, L, H, d)."""
        if mask is not None:  # its kernels want masks whole and aligned
            return super().attend(queries, keys, values, scale, mask)
        queries, keys, values = (rearrange(part, "n h l d -> n l h d") for part in (queries, keys, values))
        seen = self._kernel(queries, keys, values, op=self.operator, scale=scale)  # (N, L, H, d)
        return rearrange(seen.to(queries.dtype), "n l h d -> n h l d")  # (N, H, L, d)
