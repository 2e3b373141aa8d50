"""The image encoders of a fusion model: CLIP's (Radford et al. 2021, section 2.4), and a small convolutional one.

`ImageTower` has the same parameters, under the same names, and the same numbers as transformers'
``CLIPVisionModelWithProjection``, so its weights load as they are. Importing that class takes longer than rendering the
first frames does; this module needs nothing but torch. `GridTower` is for fusion models that are trained from scratch:
a vision transformer of that size learns who is seen and loses where the hands are, so that retrieval by its fusion
embedding (FPDM, Table 2) stays near chance. Strided convolutions end in a coarse map whose cells are flattened beside
their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import BadValue


def quick_gelu(hidden: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), CLIP's own GELU."""
    return hidden * torch.sigmoid(1.702 * hidden)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": functional.gelu}


@dataclass(frozen=True)
class VisionSettings:
    """Sizes of an `ImageTower`; names and defaults are those of transformers' ``CLIPVisionConfig``."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.hidden_act not in ACTIVATIONS:
            raise BadValue("vision", f"hidden_act {self.hidden_act!r}", f"choose from {', '.join(ACTIVATIONS)}")
        if self.hidden_size % self.num_attention_heads:
            got = f"{self.num_attention_heads} heads for width {self.hidden_size}"
            raise BadValue("vision", got, "the heads must divide the width")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> VisionSettings:
        """From a ``CLIPVisionConfig`` as a dict; what only matters to training or to transformers is passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


class ImageFeatures(NamedTuple):
    """What an `ImageTower` says of B images: ``image_embeds`` (B, D), ``last_hidden_state`` (B, 1 + L, W)."""

    image_embeds: Tensor
    last_hidden_state: Tensor


class ImageTower(nn.Module):
    """Images to one embedding and to tokens.

    Args:
        settings: see `VisionSettings`.
    """

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vision_model = _Transformer(settings)
        self.visual_projection = nn.Linear(settings.hidden_size, settings.projection_dim, bias=False)
        nn.init.normal_(self.visual_projection.weight, std=settings.hidden_size**-0.5)

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S), normalised as CLIP expects; tokens are the class token and L patches, row by row."""
        tokens = self.vision_model(pixels)  # (B, 1 + L, W)
        pooled = self.vision_model.post_layernorm(tokens[:, 0])  # (B, W)
        return ImageFeatures(self.visual_projection(pooled), tokens)


class _Transformer(nn.Module):
    """Patches and class token through all layers."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width, eps = settings.hidden_size, settings.layer_norm_eps
        self.embeddings = _Embeddings(settings)
        self.pre_layrnorm = nn.LayerNorm(width, eps=eps)  # the released weights' spelling
        self.encoder = nn.ModuleDict(
            {"layers": nn.ModuleList(_Layer(settings) for _ in range(settings.num_hidden_layers))}
        )
        self.post_layernorm = nn.LayerNorm(width, eps=eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 1 + L, W), before the last norm."""
        hidden = self.pre_layrnorm(self.embeddings(pixels))  # (B, 1 + L, W)
        for layer in self.encoder["layers"].children():
            hidden = layer(hidden)  # (B, 1 + L, W)
        return hidden


class _Embeddings(nn.Module):
    """Class token and patches, with learned positions."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width, patch = settings.hidden_size, settings.patch_size
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((settings.image_size // patch) ** 2 + 1, width)
        for module in (self.patch_embedding, self.position_embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 1 + L, W)."""
        grid = self.patch_embedding(pixels.to(self.class_embedding.dtype))  # (B, W, h, w)
        patches = rearrange(grid, "b d h w -> b (h w) d")  # (B, L, W)
        first = self.class_embedding.expand(patches.shape[0], 1, -1)  # (B, 1, W)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight  # (B, 1 + L, W)


class _Layer(nn.Module):
    """Attention and perceptron, each after a norm and added to its input."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width, eps = settings.hidden_size, settings.layer_norm_eps
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.self_attn = _Attention(settings)
        self.mlp = _Perceptron(settings)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, W) -> (B, L, W)."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))  # (B, L, W)
        return hidden + self.mlp(self.layer_norm2(hidden))  # (B, L, W)


class _Attention(nn.Module):
    """Self-attention with H heads of width d."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width, self.heads = settings.hidden_size, settings.num_attention_heads
        deep = (2 * settings.num_hidden_layers) ** -0.5 * width**-0.5
        self.q_proj, self.k_proj, self.v_proj = (_linear(width, width, std=deep) for _ in range(3))
        self.out_proj = _linear(width, width, std=width**-0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, W) -> (B, L, W)."""
        parts = (project(hidden) for project in (self.q_proj, self.k_proj, self.v_proj))  # (B, L, W) each
        queries, keys, values = (rearrange(part, "b l (h d) -> b h l d", h=self.heads) for part in parts)
        seen = functional.scaled_dot_product_attention(queries, keys, values)  # (B, H, L, d)
        return self.out_proj(rearrange(seen, "b h l d -> b l (h d)"))  # (B, L, W)


class _Perceptron(nn.Module):
    """Two linear layers."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width, inner = settings.hidden_size, settings.intermediate_size
        self.activation = ACTIVATIONS[settings.hidden_act]
        self.fc1 = _linear(width, inner, std=(2 * width) ** -0.5)
        self.fc2 = _linear(inner, width, std=(2 * width * settings.num_hidden_layers) ** -0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, W) -> (B, L, W)."""
        return self.fc2(self.activation(self.fc1(hidden)))  # (B, L, W)


def _linear(before: int, after: int, std: float) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


# ------------------------------------------------------------------------------------ trained from scratch, places kept
@dataclass(frozen=True)
class GridSettings:
    """Sizes of a `GridTower`.

    Attributes:
        channels: width of each stage; every stage halves the map.
        image_size: side of the square images, a multiple of 2 to the number of stages.
        cell: numbers of each cell of the last map that go into the embedding.
        projection_dim: D of the embedding.
        norm_groups: groups of the norms; they must divide every width.
    """

    channels: tuple[int, ...] = (32, 64, 96, 128, 160)
    image_size: int = 128
    cell: int = 48
    projection_dim: int = 192
    norm_groups: int = 8

    def __post_init__(self) -> None:
        if not self.channels or self.image_size % 2 ** len(self.channels):
            got = f"images of {self.image_size} pixels for {len(self.channels)} stages"
            raise BadValue("grid", got, "give one stage or more, and a multiple of 2 to their number")
        if any(width % self.norm_groups for width in self.channels):
            raise BadValue("grid.channels", f"got {list(self.channels)}", f"give multiples of {self.norm_groups}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> GridSettings:
        """From a dict; an unknown key is an error."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise BadValue(f"grid.{unknown[0]}", "is no setting of it", f"choose from {', '.join(sorted(known))}")
        return cls(**{**values, "channels": tuple(values.get("channels", cls.channels))})

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.channels[-1]

    @property
    def side(self) -> int:
        """Cells of the last map along one side."""
        return self.image_size // 2 ** len(self.channels)


class GridTower(nn.Module):
    """Images to one embedding and to tokens, called like `ImageTower`.

    Args:
        settings: see `GridSettings`.
    """

    def __init__(self, settings: GridSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = (3, *settings.channels)
        self.stages = nn.Sequential(
            *(_stage(before, after, settings.norm_groups) for before, after in zip(widths, widths[1:], strict=False))
        )
        self.cells = nn.Sequential(nn.Conv2d(settings.hidden_size, settings.cell, 1), nn.ReLU())
        self.placed = nn.Linear(settings.cell * settings.side**2, settings.projection_dim)
        self.pooled = nn.Linear(settings.hidden_size, settings.projection_dim)

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) -> embedding (B, D), and tokens (B, 1 + L, W): the mean of the map, then its L cells by rows."""
        grid = self.stages(pixels)  # (B, W, s, s)
        cells = grid.flatten(2).transpose(1, 2)  # (B, L, W)
        mean = cells.mean(1)  # (B, W)
        embeds = self.placed(self.cells(grid).flatten(1)) + self.pooled(mean)  # (B, D)
        return ImageFeatures(embeds, torch.cat([mean[:, None], cells], dim=1))


def _stage(before: int, after: int, groups: int) -> nn.Sequential:
    """(B, before, h, w) -> (B, after, h/2, w/2)."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1),
        nn.GroupNorm(groups, after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )
