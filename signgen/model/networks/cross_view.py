"""Cross-view attention (IMAGPose): the views of one window look at each other, at the same place or anywhere.

Views are batch items, not tiles of one canvas: the window may have any length, and convolutions never bleed
over the edge of a tile. On four views the numbers are those of the released 2 x 2 canvas module.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.controlnets.controlnet import zero_module
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from einops import rearrange
from torch import Tensor, nn

from signgen.errors import BadValue, Mismatch

ATTENTIONS = ("place", "joint")
ABSENT = 1e4  # e^-10000 is 0 in every kind of number, and bfloat16 and float16 both hold the exponent


def view_positions(length: int, dim: int) -> Tensor:
    """Sinusoidal positions (length, dim) float32: sines on even channels, cosines on odd ones."""
    index = torch.arange(length, dtype=torch.float32)[:, None]  # (V, 1)
    rates = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(10000.0) / dim))  # (D/2,)
    return torch.stack([(index * rates).sin(), (index * rates).cos()], dim=-1).flatten(1)[:, :dim]


class ViewBlock(nn.Module):
    """{LayerNorm + self-attention over views} x attentions, then {LayerNorm + GEGLU feed-forward}, all residual.

    Args:
        dim: token width D.
        heads: attention heads; divides ``dim``.
        attentions: self-attention sub-layers (IMAGPose: 2).
        ff_mult: width of the feed-forward in multiples of ``dim`` (IMAGPose: 4); 0 leaves it out.
        max_views: longest window that has a position; 0 turns positions off.
    """

    def __init__(self, dim: int, heads: int, attentions: int = 2, ff_mult: int = 4, max_views: int = 32) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(attentions))
        self.attentions = nn.ModuleList(
            Attention(dim, heads=heads, dim_head=dim // heads, bias=False) for _ in range(attentions)
        )
        self.ff_norm = nn.LayerNorm(dim) if ff_mult else None
        self.ff = FeedForward(dim, mult=ff_mult, activation_fn="geglu") if ff_mult else None
        self.positions: Tensor | None
        self.register_buffer("positions", view_positions(max_views, dim) if max_views else None, persistent=False)

    def attend(
        self, tokens: Tensor, layer: int = 0, mask: Tensor | None = None, places: int = 1, new: int | None = None
    ) -> Tensor:
        """One attention sub-layer alone, no norm, no residual; shapes as in `forward`."""
        if self.positions is not None:
            # The positions enter queries, keys and values alike; all places of a view have the same one.
            positions = self.positions[: tokens.shape[1] // places].repeat_interleave(places, 0)  # (V*P, D)
            tokens = tokens + positions.to(tokens.dtype)  # (B*L, V*P, D)
        if new is None:
            return self.attentions[layer](tokens, attention_mask=mask)  # (B*L, V*P, D)
        return self.attentions[layer](tokens[:, -new:], tokens, attention_mask=mask)  # (B*L, new, D)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, places: int = 1, new: int | None = None) -> Tensor:
        """(B*L, V*P, D), mask (B*L, 1, V*P) that is added to the attention's logits -> (B*L, V*P, D).

        ``places``: P, tokens of each view that are in one sequence, view after view. ``new``: how many of the last
        tokens are wanted, (B*L, new, D); None: all.
        """
        for layer, norm in enumerate(self.norms):
            wanted = new if layer == len(self.norms) - 1 else None
            seen = self.attend(norm(tokens), layer, mask, places, wanted)
            tokens = seen + (tokens if wanted is None else tokens[:, -wanted:])  # (B*L, V*P, D)
        if self.ff is None or self.ff_norm is None:
            return tokens
        return tokens + self.ff(self.ff_norm(tokens))  # (B*L, V*P, D)


class ViewMemory:
    """What views of earlier calls showed to cross-view attention: a window slides, and only new views are computed.

    A view that is kept looks at no later one any more: the attention is causal. What the new views see is what they
    would see in a window that holds the kept ones, too, but that those did not see what came after them.

    Args:
        first: views of the first call that are kept for good: the sources.
        last: of all later ones, how many are kept: the newest.

    Attributes:
        views: that are kept.
    """

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self.views = self._call = self._new = 0
        self._kept: dict[tuple[int, Hashable], Tensor] = {}

    def __enter__(self) -> ViewMemory:
        """Begins a window, in which the denoiser is evaluated as often as in those before."""
        self._call = self._new = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.views = min(self.views + self._new, self._first + self._last)

    def next_call(self) -> None:
        """Another evaluation of the same window begins."""
        self._call += 1

    def kept(self, layer: Hashable) -> Tensor | None:
        """Tokens (L, K*P, C) of a layer that are kept; None: none are."""
        return self._kept.get((self._call, layer))

    def extended(self, layer: Hashable, tokens: Tensor, places: int) -> Tensor:
        """Tokens (L, V*P, C) of a layer's new views, those of the K that are kept before them: (L, (K + V) * P, C).

        ``places``: P, tokens of each view that are in one sequence.
        """
        key = self._call, layer
        if (kept := self.kept(layer)) is not None:
            tokens = torch.cat([kept, tokens], 1)
        count = tokens.shape[1] // places
        self._new, begin = count - self.views, max(count - self._last, self._first)
        self._kept[key] = torch.cat([tokens[:, : self._first * places], tokens[:, begin * places :]], 1)
        return tokens


class CrossViewAttention(nn.Module):
    """IMAGPose's cross-view attention on feature maps of V views; changes nothing when it is new.

    Args:
        channels: C of the feature map.
        heads: attention heads; divides ``channels``.
        groups: groups of the group norm (IMAGPose: 32).
        blocks, attentions, ff_mult: see `ViewBlock`; a cheap form is ``attentions=1, ff_mult=0``.
        max_views: longest window (IMAGPose: 32).
        positions: add a sinusoid of the view index; without it the module is equivariant to view order.
        attention: what a place of a view looks at. ``place``: the same place of all views, as IMAGPose's module of the
            four quadrants does. ``joint``: all places of all views, as its UNet's own attention does on the joint
            canvas, so that a hand finds its texture wherever the source shows it; V * H * W tokens look at as many.
            Both have the same weights.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        groups: int = 32,
        blocks: int = 1,
        attentions: int = 2,
        ff_mult: int = 4,
        max_views: int = 32,
        positions: bool = True,
        attention: str = "place",
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise BadValue("cross_view.attention", f"got {attention!r}", f"choose from {', '.join(ATTENTIONS)}")
        if channels % heads or channels % groups:
            raise BadValue(
                "cross-view attention", f"{channels} channels, {heads} heads, {groups} groups", "both must divide C"
            )
        self.max_views, self.joint = max_views, attention == "joint"
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        reach = max_views if positions else 0
        self.blocks = nn.ModuleList(ViewBlock(channels, heads, attentions, ff_mult, reach) for _ in range(blocks))
        self.proj_out = zero_module(nn.Linear(channels, channels))

    def forward(
        self, hidden: Tensor, views: int, present: Tensor | None = None, past: ViewMemory | None = None
    ) -> Tensor:
        """(B*V, C, H, W) with the views of a window in succession -> the same shape, residual included.

        ``present``: (V,), 0 for a view that only fills the window up: the others do not see it. ``past``: views that
        come before these, of one window (B = 1); these are kept there, too.
        """
        items, _, height, width = hidden.shape
        if views < 1 or items % views or views > self.max_views:
            allowed = f"the window must divide the batch and have 1 to {self.max_views} views"
            raise Mismatch("views", f"{items} feature maps in windows of {views}", allowed)
        order = "b (v h w) c" if self.joint else "(b h w) v c"
        tokens = rearrange(self.norm(hidden), f"(b v) c h w -> {order}", v=views)  # (B*HW, V, C), or (B, V*HW, C)
        # Of one window this would stay a view, and a linear layer copies its weights for each position of one.
        tokens = self.proj_in(tokens.contiguous())
        places = height * width if self.joint else 1
        if past is not None:
            tokens = past.extended(self, tokens, places)  # (B*HW, K + V, C), or (B, (K + V)*HW, C)
        mask = None if present is None else _unseen(present.repeat_interleave(places), tokens, past is not None)
        for number, block in enumerate(self.blocks, 1):
            last = past is not None and number == len(self.blocks)
            tokens = block(tokens, mask, places, views * places if last else None)  # (B*HW, V, C), or (B, V*HW, C)
        sizes = {"h": height, "w": width} | ({"v": views} if self.joint else {})
        moved = rearrange(self.proj_out(tokens), f"{order} -> (b v) h w c", **sizes)  # channels last
        return hidden + rearrange(moved, "n h w c -> n c h w")  # (B*V, C, H, W)


def _unseen(present: Tensor, tokens: Tensor, more: bool) -> Tensor:
    """(L,) and tokens (N, K + L, C) -> what is added to logits, (N, 1, K + L): so little for absent tokens that nothing
    is left of them. ``more``: there may be tokens before the L, which are all there."""
    mask = (present.to(tokens.dtype) - 1) * ABSENT
    if more:
        mask = torch.cat([torch.zeros_like(tokens[0, : tokens.shape[1] - mask.shape[0], 0]), mask])
    return mask.expand(len(tokens), 1, -1)


class CrossViewTransformer(nn.Module):
    """A UNet's cross-attention block followed by cross-view attention; same call and return as the block alone.

    ``views``, ``present`` and ``past`` travel in ``cross_attention_kwargs`` and end here: attention processors never
    see them. Where ``cross_view`` is None this only takes them out.
    """

    def __init__(self, transformer: nn.Module, cross_view: CrossViewAttention | None) -> None:
        super().__init__()
        self.transformer, self.cross_view = transformer, cross_view

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
        **others: Any,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """(B*V, C, H, W) -> (B*V, C, H, W) as diffusers' ``Transformer2DModelOutput``, or a tuple of one."""
        rest = dict(cross_attention_kwargs or {})
        views, present, past = rest.pop("views", 1), rest.pop("present", None), rest.pop("past", None)
        hidden = self.transformer(
            hidden_states,
            encoder_hidden_states=encoder_hidden_states,
            cross_attention_kwargs=rest or None,
            return_dict=False,
            **others,
        )[0]  # (B*V, C, H, W)
        if self.cross_view is not None:
            hidden = self.cross_view(hidden, views, present, past)  # (B*V, C, H, W)
        return Transformer2DModelOutput(sample=hidden) if return_dict else (hidden,)
