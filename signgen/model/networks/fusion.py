"""FPDM stage 1: one embedding that fuses the source image with the target pose (reference: Combiner of CLIP4Cir)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import BadValue
from signgen.model.networks.vision import GridSettings, GridTower, ImageTower, VisionSettings
from signgen.model.networks.weight_files import fill, read_settings, read_tensors

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_WEIGHTS = "model.safetensors"
VIT_L_14 = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
GREY = 0.0  # of the bars around a letter-boxed image, in [-1, 1]


# ------------------------------------------------------------------------------------------------- what encoders read
def letterbox(images: Tensor, size: int) -> Tensor:
    """Fits (B, 3, H, W) in [-1, 1] into (B, 3, size, size): aspect kept, grey bars, nothing cropped.

    FPDM's stage 1 centre-crops and so loses a fifth of the height of 210x260, hands included.
    """
    height, width = images.shape[-2:]
    scale = size / max(height, width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    if (height, width) != inner:
        images = functional.interpolate(images.float(), inner, mode="bicubic", antialias=True).clamp(-1, 1).to(images)
    top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
    return functional.pad(images, (left, size - inner[1] - left, top, size - inner[0] - top), value=GREY)


def normalised(images: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] -> (B, 3, size, size), letter-boxed, with the encoder's own mean and deviation."""
    if tuple(images.shape[-2:]) != (size, size):
        images = letterbox(images, size)  # (B, 3, S, S)
    shift, scale = images.new_tensor(mean)[:, None, None], images.new_tensor(std)[:, None, None]  # (3, 1, 1)
    return (images * 0.5 + 0.5 - shift) / scale  # (B, 3, S, S)


def semantic_tokens(encoder: nn.Module, images: Tensor, size: int) -> Tensor:
    """Semantic tokens of the source by an image encoder that stays frozen (FPDM: DINOv2-L at 512).

    Args:
        encoder: transformers' ``Dinov2Model`` or one that is called like it.
        images: (B, 3, H, W) in [-1, 1].
        size: side of the square that it reads; images are letter-boxed, where FPDM squashes them.

    Returns:
        Last hidden states (B, L, D), class token first.
    """
    return encoder(normalised(images, size, IMAGENET_MEAN, IMAGENET_STD)).last_hidden_state


# --------------------------------------------------------------------------------------------------- fusion embedding
class Combiner(nn.Module):
    """Fuses a source and a pose embedding into one of unit norm.

    c = MLP([k(e_pose), m(e_src)]),  out = W c + l e_pose + (1 - l) e_src,  e_f = out / |out|,
    with l in (0, 1) one number per sample, from the same [k, m] (Baldrati et al. 2022, "Combiner").

    Args:
        dim: D of the embeddings.
        projection: width of k and m; None = ``dim``.
        hidden: width of the two hidden layers; None = ``dim``.
        dropout: after each hidden layer.
    """

    def __init__(
        self, dim: int, hidden: int | None = None, dropout: float = 0.5, projection: int | None = None
    ) -> None:
        super().__init__()
        projection, hidden = projection or dim, hidden or dim
        self.pose_layer = _hidden_layer(dim, projection, dropout)
        self.source_layer = _hidden_layer(dim, projection, dropout)
        self.combine = _hidden_layer(2 * projection, hidden, dropout)
        self.output = nn.Linear(hidden, dim)
        self.weight = nn.Sequential(*_hidden_layer(2 * projection, hidden, dropout), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, e_src: Tensor, e_pose: Tensor) -> Tensor:
        """(B, D), (B, D) -> unit-norm fusion embedding (B, D)."""
        return functional.normalize(self.combined(e_src, e_pose), dim=-1)  # (B, D)

    def combined(self, e_src: Tensor, e_pose: Tensor) -> Tensor:
        """The fusion embedding before it is normalised, (B, D)."""
        joint = self.joint(e_src, e_pose)  # (B, 2P)
        share = self.weight(joint)  # (B, 1)
        return self.output(self.combine(joint)) + share * e_pose + (1 - share) * e_src  # (B, D)

    def joint(self, e_src: Tensor, e_pose: Tensor) -> Tensor:
        """Both projections, the pose's first, (B, 2P)."""
        return torch.cat([self.pose_layer(e_pose), self.source_layer(e_src)], dim=-1)


class SourceAlone(nn.Module):
    """In a combiner's place: the source's own embedding, whatever the pose (FPDM's ablation B4)."""

    def forward(self, e_src: Tensor, e_pose: Tensor) -> Tensor:
        """(B, D), (B, D) -> ``e_src`` at unit norm, as long as a fusion embedding, (B, D)."""
        return functional.normalize(e_src, dim=-1)  # (B, D)


def _hidden_layer(before: int, after: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))


def _image_encoder(vision: Mapping[str, Any] | None, grid: Mapping[str, Any] | None) -> ImageTower | GridTower:
    if grid is not None:
        return GridTower(GridSettings.of(grid))
    return ImageTower(VisionSettings.of(VIT_L_14 if vision is None else vision))


class FusionModel(ModelMixin, ConfigMixin):
    """One image encoder for source, pose and target images, and the `Combiner`.

    Args:
        vision: a transformers ``CLIPVisionConfig`` as a dict (hidden_size, num_hidden_layers, image_size, patch_size,
            projection_dim ...); None = CLIP ViT-L/14.
        grid: instead of it, a small convolutional encoder; a dict of `GridSettings`.
        projection, hidden, dropout: of the combiner; None = the embedding's width.
        combine: False = no combiner, the source's embedding alone stands for both.
    """

    @register_to_config
    def __init__(
        self,
        vision: Mapping[str, Any] | None = None,
        hidden: int | None = None,
        dropout: float = 0.5,
        projection: int | None = None,
        combine: bool = True,
        grid: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if vision is not None and grid is not None:
            raise BadValue("vision", "got it beside grid", "a fusion model has one image encoder: give one of them")
        self.encoder = _image_encoder(vision, grid)
        settings = self.encoder.settings
        self.combiner = Combiner(settings.projection_dim, hidden, dropout, projection) if combine else SourceAlone()

    @classmethod
    def from_clip(cls, folder: str | Path, **combiner: Any) -> FusionModel:
        """A new combiner on the image encoder of a local CLIP folder (transformers layout, safetensors).

        Args:
            folder: of a whole CLIP, or of its image encoder alone.
            combiner: ``hidden``, ``dropout``, ``projection``, ``combine``.

        Raises:
            InputError: a file is missing or damaged, or weights do not fit the folder's own configuration.
        """
        content = read_settings(folder)
        settings = VisionSettings.of(content.get("vision_config") or content)
        tensors = read_tensors(Path(folder) / CLIP_WEIGHTS)
        # A whole CLIP holds a text tower too; older files store position ids, which are no weights.
        state = {
            key: value
            for key, value in tensors.items()
            if key.startswith(("vision_model.", "visual_projection.")) and not key.endswith("position_ids")
        }
        model = cls(vision=asdict(settings), **combiner)
        fill(model.encoder, state, folder)
        return model

    @property
    def image_size(self) -> int:
        """Side of the square images that the encoder reads."""
        return self.encoder.settings.image_size

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] -> un-normalised embeddings (B, D); letter-boxed where they are not square."""
        return self.encoder(self._pixels(images)).image_embeds  # (B, D)

    def tokens(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] -> the encoder's last hidden states (B, L, Dh), class token first."""
        return self.encoder(self._pixels(images)).last_hidden_state  # (B, L, Dh)

    def forward(self, source: Tensor, pose: Tensor) -> Tensor:
        """Source and pose images (B, 3, H, W) in [-1, 1] -> unit-norm fusion embeddings (B, D)."""
        return self.combiner(self.encode(source), self.encode(pose))  # (B, D)

    def fuse(self, e_src: Tensor, pose: Tensor) -> Tensor:
        """As `forward`, with the source's embedding (1 or B, D) computed once per clip."""
        e_pose = self.encode(pose)  # (B, D)
        return self.combiner(e_src.expand_as(e_pose), e_pose)  # (B, D)

    def _pixels(self, images: Tensor) -> Tensor:
        """Letter-boxed and normalised as CLIP expects, (B, 3, S, S)."""
        return normalised(images, self.image_size, CLIP_MEAN, CLIP_STD)
