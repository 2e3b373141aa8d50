"""The FPDM denoiser: diffusers' UNet2DConditionModel by composition, with IMAGPose's conditions as options.

prediction = f(conv_in(z_t) + P(p_t), t + M(e_f), S(x_s))  (FPDM eq. 11): pose features are added after the
first convolution, the fusion embedding to the timestep embedding, source tokens are cross-attention context.
What is predicted (epsilon, v, x0) is the scheduler's business, see `signgen.model.diffusion.parametrisation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, overload

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention_processor import Attention, AttnProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import BadValue, Mismatch
from signgen.model.networks.attention import ContextMemory, SharedContextProcessor, XFormersContextProcessor
from signgen.model.networks.conditions import FOLD, DetailHead, ImageLevel, PoseEncoder, SourceEncoder
from signgen.model.networks.cross_view import CrossViewAttention, CrossViewTransformer, ViewMemory
from signgen.model.networks.norms import NORMS, use_affine_norms

ATTENTION = {"sdpa": SharedContextProcessor, "math": AttnProcessor, "xformers": XFormersContextProcessor}


class ConditionDrop(NamedTuple):
    """Which conditions a sample goes without: three bool tensors (N,), True = dropped."""

    pose: Tensor
    source: Tensor
    fusion: Tensor


def draw_condition_dropout(
    count: int,
    generator: torch.Generator | None = None,
    rates: Sequence[float] = (0.2, 0.2, 0.2),
    joint_null: float = 0.05,
) -> ConditionDrop:
    """Drops conditions per sample, so that guidance's null branch is trained.

    Args:
        count: N samples.
        generator: of the random draws; the masks lie on its device.
        rates: share of samples that lose pose, source, fusion; these shares hold with the joint ones included.
        joint_null: share of samples that lose all three by one draw; at most the smallest rate.
    """
    if len(rates) != 3 or not 0 <= joint_null <= min(rates) or max(rates) > 1 or joint_null == 1:
        raise BadValue("condition dropout", f"rates {tuple(rates)}, joint null {joint_null}",
                         "give three rates in [0, 1], none below the joint share, which is below 1")  # fmt: skip
    device = generator.device if generator is not None else torch.device("cpu")
    joint = torch.rand(count, generator=generator, device=device) < joint_null  # (N,)
    alone = torch.tensor([(rate - joint_null) / (1 - joint_null) for rate in rates], device=device)  # (3,)
    draws = torch.rand(3, count, generator=generator, device=device) < alone[:, None]  # (3, N)
    return ConditionDrop(*(draws | joint))


class LatentPoseConvIn(nn.Conv2d):
    """The UNet's first module: takes latents and pose features as one tensor, so that nothing is stored between calls.

    conv(latents) + pose features; the parameters are those of a plain ``conv_in``.
    """

    def forward(self, stacked: Tensor) -> Tensor:
        """(N, Cin [+ C0], h, w): latents, then pose features or nothing -> (N, C0, h, w)."""
        hidden = super().forward(stacked[:, : self.in_channels])  # (N, C0, h, w)
        if stacked.shape[1] == self.in_channels:
            return hidden
        return hidden + stacked[:, self.in_channels :]  # (N, C0, h, w)


class FusionProjector(nn.Module):
    """FPDM's class MLP M: Linear, GELU, Dropout, Linear, Dropout; its output joins the timestep embedding."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, out_dim), nn.Dropout(dropout)
        )

    def forward(self, fusion: Tensor) -> Tensor:
        """(N, in_dim) -> (N, out_dim)."""
        return self.net(fusion)  # (N, out_dim)


class Denoiser(ModelMixin, ConfigMixin):
    """FPDM denoiser with IMAGPose's feature-level, image-level and cross-view parts.

    Args:
        channels: C of the latents.
        block_out_channels: UNet widths per level; C0 is the first.
        layers_per_block: residual blocks per level.
        attention: per level, whether it has cross-attention; the middle block always has.
        heads: attention heads per level; None = as many as ``head_dim`` gives.
        head_dim: wished width of a head where ``heads`` is None.
        norm_groups: groups of every group norm; divides all widths.
        cross_attention_dim: width of the source tokens.
        linear_projection: of the transformer blocks (SD 2.1 True, SD 1.5 False).
        pose: keywords of `PoseEncoder` without ``out_channels``.
        source: keywords of `SourceEncoder` without ``dim`` and ``latent_channels``.
        source_pose: stack the source's own pose features on its latents before they become patch tokens.
        fusion_dim: width of the fusion embedding; None = no class embedding.
        fusion_hidden: hidden width of the class MLP (FPDM 768).
        image_level: input [noisy C, flag 1, known C] instead of noisy alone.
        fill: what known channels of views to be generated hold, see `ImageLevel`.
        cross_view: None, or ``levels`` (those with attention that get cross-view attention; default all) and ``mid``
            (default True) beside keywords of `CrossViewAttention`, such as ``attention``: ``place`` or ``joint``.
        detail: None, or keywords of `DetailHead` without ``channels`` and ``pose_channels``; the pose encoder then
            needs ``fine``.
        norms: ``group``, or ``affine``: their mean effect as a scale and a shift, see `signgen.model.networks.norms`.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        channels: int = 4,
        block_out_channels: Sequence[int] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention: Sequence[bool] = (True, True, True, False),
        heads: Sequence[int] | None = None,
        head_dim: int = 64,
        norm_groups: int = 32,
        cross_attention_dim: int = 1024,
        linear_projection: bool = True,
        pose: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        source_pose: bool = False,
        fusion_dim: int | None = 768,
        fusion_hidden: int = 768,
        image_level: bool = False,
        fill: str = "zeros",
        cross_view: Mapping[str, Any] | None = None,
        detail: Mapping[str, Any] | None = None,
        norms: str = "group",
    ) -> None:
        super().__init__()
        widths = tuple(block_out_channels)
        if len(attention) != len(widths) or (heads is not None and len(heads) != len(widths)):
            raise BadValue("denoiser", f"{len(widths)} levels, {len(attention)} attention flags, heads {heads}",
                             "give one of each per level")  # fmt: skip
        fine = int((pose or {}).get("fine", 0))
        if norms not in NORMS or (detail is None) != (fine == 0):
            raise BadValue("denoiser", f"norms {norms!r}, detail {detail}, pose.fine {fine}",
                             f"norms are {', '.join(NORMS)}; detail and pose.fine come together")  # fmt: skip
        head_counts = tuple(heads or (_head_count(width, head_dim) for width in widths))
        self.unet = UNet2DConditionModel(
            in_channels=channels,
            out_channels=channels + (detail or {}).get("features", 0),
            block_out_channels=widths,
            layers_per_block=layers_per_block,
            down_block_types=tuple("CrossAttnDownBlock2D" if on else "DownBlock2D" for on in attention),
            up_block_types=tuple("CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(attention)),
            attention_head_dim=head_counts,  # diffusers' name for the number of heads
            norm_num_groups=norm_groups,
            cross_attention_dim=cross_attention_dim,
            use_linear_projection=linear_projection,
        )
        inputs = 2 * channels + 1 if image_level else channels
        self.unet.conv_in = LatentPoseConvIn(inputs, widths[0], 3, padding=1)
        if fusion_dim is not None:
            time_dim = self.unet.time_embedding.linear_1.out_features
            self.unet.class_embedding = FusionProjector(fusion_dim, fusion_hidden, time_dim)
        self.pose_encoder = PoseEncoder(widths[0], **(pose or {}))
        patch_inputs = channels + (widths[0] if source_pose else 0)
        self.source_encoder = SourceEncoder(
            cross_attention_dim, latent_channels=patch_inputs, **(source or {"semantic_dim": 1024})
        )
        self.known_input = ImageLevel(fill) if image_level else None
        if cross_view is not None:
            _add_cross_view(self.unet, dict(cross_view))
        self._attentions = tuple(part for part in self.unet.modules() if isinstance(part, Attention))
        self.detail_head = None if detail is None else DetailHead(channels, pose_channels=fine, **detail)
        if norms == "affine":
            use_affine_norms(self.unet)

    # ------------------------------------------------------------------ what depends on pose or source only
    def encode_pose(self, pose: Tensor, crop: Tensor | None = None) -> Tensor:
        """Pose images (N, 3, H, W) in [0, 1] -> features (N, C0 [+ 4 fine], h, w); once per frame, not per step.

        ``crop``: (N, 4) place of the images in the whole frame, see `conditions.frame_coordinates`.
        """
        return self.pose_encoder(pose, crop)

    def encode_source(
        self, semantic: Tensor | None = None, latents: Tensor | None = None, pose_features: Tensor | None = None
    ) -> Tensor:
        """Image-encoder tokens (B, L1, Ds) and latents (B, C, h, w) of the source -> tokens (B, L, D); once per clip.

        ``pose_features``: the source's own from `encode_pose`, where the model was made with ``source_pose``.
        """
        if (pose_features is not None) != self.config.source_pose:
            wanted = "needs" if self.config.source_pose else "does not take"
            raise Mismatch("source encoder", f"{wanted} the source's pose features", "see source_pose of its config")
        if pose_features is not None and latents is not None:
            coarse = pose_features[:, : self.config.block_out_channels[0]]  # (B, C0, h, w)
            latents = torch.cat([latents, coarse.to(latents.dtype)], dim=1)  # (B, C+C0, h, w)
        return self.source_encoder(semantic, latents)  # (B, L, D)

    # --------------------------------------------------------------------------------------------- denoising
    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor | int,
        *,
        pose: Tensor | None = None,
        pose_features: Tensor | None = None,
        crop: Tensor | None = None,
        tokens: Tensor | None = None,
        fusion: Tensor | None = None,
        known: Tensor | None = None,
        flag: Tensor | None = None,
        views: int = 1,
        present: Tensor | None = None,
        drop: ConditionDrop | None = None,
        memory: ContextMemory | None = None,
        past: ViewMemory | None = None,
    ) -> Tensor:
        """One evaluation; a condition left out is the null condition.

        Args:
            noisy: (N, C, h, w) noisy latents, N = B*V, the views of a window in succession.
            timesteps: (N,), or one for all.
            pose: (N, 3, H, W) pose images in [0, 1], or give ``pose_features`` (N, C0 [+ 4 fine], h, w) from
                `encode_pose`.
            crop: (N, 4) place of the pose images in the whole frame; None = they are whole frames.
            tokens: (N or B, L, D) from `encode_source`.
            fusion: (N or B, fusion_dim) fusion embeddings.
            known, flag: (N, C, h, w) and (N, 1, h, w) from ``known_input.known_views``; image-level models only.
            views: V, the views that see each other.
            present: (V,), 0 for views that only fill the windows up to a length: what comes out for the others is
                what it is without them. None: all are there.
            drop: conditions to zero per sample.
            memory: what the attention to the tokens keeps from call to call; fused attention only.
            past: views before these that they see, too, and where they are kept.

        Returns:
            (N, C, h, w) prediction of what the scheduler's parametrisation says.
        """
        count = noisy.shape[0]
        if pose is not None:
            pose_features = self.encode_pose(pose, crop)  # (N, C0, h, w)
        if drop is not None:
            pose_features = _without(pose_features, drop.pose)
            tokens = _without(_per_item(tokens, count), drop.source)
            fusion = _without(_per_item(fusion, count), drop.fusion)
        memory = memory if self._shares_context() else None
        # Zero tokens have zero keys and values, so one of them equals any number of them.
        length = 0 if memory is not None and memory.skip_empty else 1
        empty = noisy.new_zeros(count, length, self.config.cross_attention_dim)  # (N, 0 or 1, D)
        coarse, fine = self._split(pose_features, noisy)
        output = self.unet(
            self._unet_input(noisy, coarse, known, flag),  # (N, Cin [+ C0], h, w)
            timesteps,
            encoder_hidden_states=empty if tokens is None else self._context(tokens, count),
            class_labels=self._class_input(fusion, noisy),
            cross_attention_kwargs=self._attention_arguments(views, present, memory, past),
            return_dict=False,
        )[0]  # (N, C [+ features], h, w)
        if past is not None:
            past.next_call()
        return output if self.detail_head is None else self.detail_head(output, fine)  # (N, C, h, w)

    def _split(self, features: Tensor | None, noisy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Pose features -> those at the latents' resolution, and the fine ones (N, fine, 2h, 2w) if there are any."""
        if self.detail_head is None:
            return features, None
        width = self.config.block_out_channels[0]
        if features is None:
            shape = (noisy.shape[0], self.config.pose["fine"], FOLD * noisy.shape[2], FOLD * noisy.shape[3])
            return None, noisy.new_zeros(shape)
        return features[:, :width], functional.pixel_shuffle(features[:, width:], FOLD)  # (N, fine, 2h, 2w)

    def _context(self, tokens: Tensor, count: int) -> Tensor:
        """(N or B, L, D): a window's tokens stay one where the attention shares them among its views."""
        return tokens if self._shares_context() and count % len(tokens) == 0 else _per_item(tokens, count)

    def _shares_context(self) -> bool:
        return all(isinstance(attention.processor, SharedContextProcessor) for attention in self._attentions)

    def _attention_arguments(
        self, views: int, present: Tensor | None, memory: ContextMemory | None, past: ViewMemory | None = None
    ) -> dict[str, Any] | None:
        """What diffusers hands through the UNet to its cross-attention blocks and their processors."""
        given: dict[str, Any] = {} if self.config.cross_view is None else {"views": views}
        if given and present is not None:
            given["present"] = present
        if given and past is not None:
            given["past"] = past
        return (given if memory is None else {**given, "memory": memory}) or None

    def _unet_input(
        self, noisy: Tensor, pose_features: Tensor | None, known: Tensor | None, flag: Tensor | None
    ) -> Tensor:
        """[noisy, flag, known, pose features] on the channel axis, without the parts that are absent."""
        if self.known_input is not None:
            noisy = self.known_input(noisy, known, flag)  # (N, 2C+1, h, w)
        elif known is not None or flag is not None:
            raise Mismatch("known views", "this model has no image-level condition", "make it with image_level=True")
        if pose_features is None:
            return noisy
        if pose_features.shape[-2:] != noisy.shape[-2:]:
            raise Mismatch("pose image", f"gives features of {tuple(pose_features.shape[-2:])} (height, width)",
                             f"the latents are {tuple(noisy.shape[-2:])}")  # fmt: skip
        return torch.cat([noisy, pose_features.to(noisy.dtype)], dim=1)  # (N, Cin + C0, h, w)

    def _class_input(self, fusion: Tensor | None, noisy: Tensor) -> Tensor | None:
        """The fusion embedding per item; null is zeros, of which the class MLP then makes its bias path."""
        if self.config.fusion_dim is None:
            if fusion is not None:
                raise Mismatch("fusion embedding", "this model takes none", "make it with fusion_dim")
            return None
        if fusion is None:
            return noisy.new_zeros(noisy.shape[0], self.config.fusion_dim)  # (N, D)
        return _per_item(fusion, noisy.shape[0])

    def set_attention(self, kind: str, *options: Any) -> None:
        """Chooses how attention is computed.

        Args:
            kind: ``sdpa`` (fused; for inference), ``xformers``, or ``math`` (bmm + softmax; training in bfloat16 on a
                CPU is faster with it).
            options: xformers' pair of operators.

        Raises:
            InputError: it is none of these, or xformers is not installed.
        """
        if kind not in ATTENTION:
            raise BadValue("attention", f"got {kind!r}", f"choose from {', '.join(ATTENTION)}")
        self.unet.set_attn_processor(ATTENTION[kind](*options))


@overload
def _per_item(values: Tensor, count: int) -> Tensor: ...
@overload
def _per_item(values: None, count: int) -> None: ...
def _per_item(values: Tensor | None, count: int) -> Tensor | None:
    """(N or B, ...) -> (N, ...): what is given once per window is repeated for its views."""
    if values is None or values.shape[0] == count:
        return values
    if count % values.shape[0]:
        raise Mismatch("condition", f"{values.shape[0]} for {count} latents", "give one per latent or per window")
    return repeat(values, "b ... -> (b v) ...", v=count // values.shape[0])  # (N, ...)


def _without(values: Tensor | None, dropped: Tensor) -> Tensor | None:
    """Zeros where ``dropped`` (N,) is True."""
    if values is None:
        return None
    mask = dropped.to(values.device).view(-1, *[1] * (values.dim() - 1))
    return values.masked_fill(mask, 0.0)


def _head_count(width: int, head_dim: int) -> int:
    """The largest number of heads, at most width / head_dim, that divides ``width``."""
    return max(count for count in range(1, max(1, width // head_dim) + 1) if width % count == 0)


def _add_cross_view(unet: UNet2DConditionModel, settings: dict[str, Any]) -> None:
    """Puts cross-view attention behind the cross-attention blocks of the chosen levels and of the middle."""
    depth = len(unet.down_blocks)
    levels = settings.pop("levels", None)
    chosen = set(range(depth) if levels is None else levels)
    blocks = [(unet.mid_block, settings.pop("mid", True))]
    blocks += [(block, level in chosen) for level, block in enumerate(unet.down_blocks)]
    blocks += [(block, depth - 1 - index in chosen) for index, block in enumerate(unet.up_blocks)]
    for block, on in blocks:
        for index, transformer in enumerate(getattr(block, "attentions", ())):
            cross_view = CrossViewAttention(transformer.in_channels, **settings) if on else None
            block.attentions[index] = CrossViewTransformer(transformer, cross_view)
