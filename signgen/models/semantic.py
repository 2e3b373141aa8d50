"""Semantic tokens of the source by an image encoder that stays frozen (FPDM: DINOv2-L at 512)."""

from __future__ import annotations

from torch import Tensor, nn

from signgen.models.fusion import letterbox

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def semantic_tokens(encoder: nn.Module, images: Tensor, size: int) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] -> last hidden states (B, L, D), class token first.

    Args:
        encoder: transformers' ``Dinov2Model`` or one that is called like it.
        size: side of the square that it reads; images are letter-boxed, where FPDM squashes them.
    """
    square = letterbox(images, size)  # (B, 3, S, S)
    mean, std = (square.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return encoder((square * 0.5 + 0.5 - mean) / std).last_hidden_state
