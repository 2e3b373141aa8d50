"""State dicts of the released FPDM and IMAGPose trainers -> our modules.

Sizes are read off the tensors; what tensors cannot tell (number of heads, groups of the norms) has the released
value as default. A tensor that finds no place, or a place that finds no tensor, is an error that lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from signgen.errors import Damaged, Mismatch
from signgen.model.networks.conditions import PatchTokens, PoseEncoder
from signgen.model.networks.cross_view import CrossViewAttention
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import Combiner, FusionModel
from signgen.model.networks.weight_files import fill, some

State = Mapping[str, Tensor]

_COMBINER = {
    "kpt_projection_layer": "pose_layer.0",
    "image_projection_layer": "source_layer.0",
    "combiner_layer": "combine.0",
    "dynamic_scalar": "weight",
    "output_layer": "output",
}
_STAGE2_PARTS = ("sd_model", "vae", "src_image_encoder", "fusion_model")
_OLD_VAE_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


# ------------------------------------------------------------------------------------------------------- FPDM
def fpdm_combiner(state: State) -> Combiner:
    """The combiner alone; ``state`` may carry the prefixes ``combiner.`` or ``fusion_model.combiner.``."""
    state = _under(state, ("fusion_model.combiner.", "combiner."))
    renamed = {f"{_COMBINER.get(name, name)}.{rest}": value
               for name, _, rest, value in ((*key.partition("."), value) for key, value in state.items())}  # fmt: skip
    projection, dim = _shape(state, "image_projection_layer.weight")
    hidden = _shape(state, "output_layer.weight")[1]
    return fill(Combiner(dim, hidden, projection=projection), renamed, "FPDM combiner")


def fpdm_fusion_model(state: State, heads: int | None = None) -> FusionModel:
    """Stage 1: ``img_encoder.*`` (shared, stored again as ``pose_encoder.*``) and ``combiner.*``.

    ``heads``: of the image encoder; None = its width / 64, as in CLIP.
    """
    state = _under(state, ("fusion_model.",))
    parts = split(state, ("img_encoder", "pose_encoder", "combiner"))
    encoder = _without_buffers(parts["img_encoder"])
    _check_shared(encoder, _without_buffers(parts["pose_encoder"]))
    combiner = fpdm_combiner(parts["combiner"])
    hidden, projection = combiner.output.in_features, combiner.source_layer[0].out_features
    model = FusionModel(clip_settings(encoder, heads), hidden, projection=projection)
    fill(model.encoder, encoder, "FPDM image encoder")
    model.combiner = combiner
    return model


def clip_settings(state: State, heads: int | None = None) -> dict[str, int]:
    """A CLIP vision configuration from its tensors (names of ``CLIPVisionModelWithProjection``)."""
    embeddings = "vision_model.embeddings"
    width, _, patch, _ = _shape(state, f"{embeddings}.patch_embedding.weight")
    side = round((_shape(state, f"{embeddings}.position_embedding.weight")[0] - 1) ** 0.5)
    return {
        "hidden_size": width,
        "intermediate_size": _shape(state, "vision_model.encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": _count(state, r"vision_model\.encoder\.layers\.(\d+)\."),
        "num_attention_heads": heads or max(1, width // 64),
        "image_size": side * patch,
        "patch_size": patch,
        "projection_dim": _shape(state, "visual_projection.weight")[0],
    }


def stage2_parts(state: State) -> dict[str, dict[str, Tensor]]:
    """A stage-2 checkpoint by part: ``sd_model`` (denoiser), ``vae``, ``src_image_encoder``, ``fusion_model``.

    The trainer stores the UNet a second time under ``unet.``; it must hold the same tensors and is dropped.
    """
    parts = split(state, (*_STAGE2_PARTS, "unet"))
    inner = {key: value for key, value in parts["sd_model"].items() if key.startswith("unet.")}
    _check_shared(inner, {f"unet.{key}": value for key, value in parts.pop("unet").items()})
    return parts


def fpdm_denoiser(state: State, heads: Iterable[int] | None = None, norm_groups: int = 32, **options: Any) -> Denoiser:
    """Stage 2: ``unet.*``, ``pose_t_proj.*``, ``srcimage_proj_model.*`` (with or without ``sd_model.``).

    Args:
        state: the three parts, such as ``stage2_parts(checkpoint)["sd_model"]``.
        heads: attention heads per level; None = widths / 64 (SD 2.1).
        norm_groups: of the UNet (SD 2.1: 32).
        options: IMAGPose additions for `Denoiser`: ``image_level``, ``fill``, ``cross_view``. Their new parameters
            start so that they change nothing.
    """
    state = _under(state, ("sd_model.",))
    parts = split(state, ("unet", "pose_t_proj", "srcimage_proj_model"))
    settings = unet_settings(parts["unet"])
    hidden, semantic_dim = _shape(parts["srcimage_proj_model"], "net.0.weight")
    fusion_hidden, fusion_dim = _shape(parts["unet"], "class_embedding.net.0.weight")
    denoiser = Denoiser(
        **settings,
        heads=list(heads) if heads else None,
        norm_groups=norm_groups,
        pose={"block_out_channels": pose_widths(parts["pose_t_proj"])},
        source={"semantic_dim": semantic_dim, "hidden": hidden},
        fusion_dim=fusion_dim,
        fusion_hidden=fusion_hidden,
        **options,
    )
    load_unet(denoiser, parts["unet"], "FPDM denoiser")
    fill(denoiser.pose_encoder.net, parts["pose_t_proj"], "FPDM pose encoder")
    fill(denoiser.source_encoder.semantic, parts["srcimage_proj_model"], "FPDM source projector")
    return denoiser


def unet_settings(state: State) -> dict[str, Any]:
    """Sizes of a diffusers UNet for `Denoiser`: channels, widths, layers, attention, token width, projection."""
    levels = _count(state, r"down_blocks\.(\d+)\.")
    attention = [f"down_blocks.{level}.attentions.0.proj_in.weight" in state for level in range(levels)]
    return {
        "channels": _shape(state, "conv_out.weight")[0],
        "block_out_channels": [_shape(state, f"down_blocks.{n}.resnets.0.conv1.weight")[0] for n in range(levels)],
        "layers_per_block": _count(state, r"down_blocks\.0\.resnets\.(\d+)\."),
        "attention": attention,
        "cross_attention_dim": _shape(state, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight")[1],
        "linear_projection": state["mid_block.attentions.0.proj_in.weight"].dim() == 2,
    }


def load_unet(denoiser: Denoiser, state: State, subject: object = "UNet") -> None:
    """Loads a diffusers UNet (Stable Diffusion's or FPDM's) into a denoiser of the same sizes.

    Input channels that ``state`` lacks (flag, known latents) start at zero. Parts of the denoiser that a plain UNet
    has not (cross-view attention, the class MLP) keep their start values; what the UNet has must find its place.
    """
    renamed = {wrapped_name(key, denoiser): value for key, value in state.items()}
    _shape(state, "conv_in.weight")
    renamed["conv_in.weight"] = widened(state["conv_in.weight"], denoiser.unet.conv_in.in_channels)
    fresh = [key for key in denoiser.unet.state_dict() if ".cross_view." in key]
    if not any(key.startswith("class_embedding.") for key in state):
        fresh += [key for key in denoiser.unet.state_dict() if key.startswith("class_embedding.")]
    fill(denoiser.unet, renamed, subject, fresh)


def fpdm_vae(state: State, norm_groups: int = 32, scaling_factor: float = 0.18215) -> AutoencoderKL:
    """``vae.*`` of a stage-2 checkpoint, with present or older names of its attention."""
    state = _under(state, ("vae.",))
    levels = _count(state, r"encoder\.down_blocks\.(\d+)\.")
    vae = AutoencoderKL(
        block_out_channels=[_shape(state, f"encoder.down_blocks.{n}.resnets.0.conv1.weight")[0] for n in range(levels)],
        layers_per_block=_count(state, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=_shape(state, "post_quant_conv.weight")[0],
        norm_num_groups=norm_groups,
        scaling_factor=scaling_factor,
    )
    return load_vae(vae, state, "VAE")


def load_vae(vae: AutoencoderKL, state: State, subject: object = "VAE") -> AutoencoderKL:
    """Fills an AutoencoderKL; its attention may have present or older names, and weights of 1x1 convolutions."""
    wanted = vae.state_dict()
    renamed = {_present_vae_name(key): value for key, value in state.items()}
    squeezed = {key: value.reshape(wanted[key].shape) if ".attentions." in key and key in wanted
                and value.numel() == wanted[key].numel() else value for key, value in renamed.items()}  # fmt: skip
    return fill(vae, squeezed, subject)


def dinov2_settings(state: State, heads: int | None = None) -> dict[str, Any]:
    """A transformers ``Dinov2Config`` from the tensors of ``src_image_encoder.*``; ``heads``: None = width / 64."""
    width, _, patch, _ = _shape(state, "embeddings.patch_embeddings.projection.weight")
    side = round((_shape(state, "embeddings.position_embeddings")[1] - 1) ** 0.5)
    return {
        "hidden_size": width,
        "num_hidden_layers": _count(state, r"encoder\.layer\.(\d+)\."),
        "num_attention_heads": heads or max(1, width // 64),
        "mlp_ratio": _shape(state, "encoder.layer.0.mlp.fc1.weight")[0] // width,
        "image_size": side * patch,
        "patch_size": patch,
    }


# ---------------------------------------------------------------------------------------------------- IMAGPose
def imagpose_cross_view(state: State, heads: int = 8, groups: int = 32) -> CrossViewAttention:
    """One motion module (``motion_module.*``, or below ``...motion_modules.N.``) -> cross-view attention."""
    state = _under(state, ("motion_module.",))
    inner = _under(state, ("temporal_transformer.",))
    names = {key: key.replace("transformer_blocks.", "blocks.").replace("attention_blocks.", "attentions.")
             for key in inner}  # fmt: skip
    tables = [value for key, value in inner.items() if key.endswith("pos_encoder.pe")]
    channels = _shape(inner, "proj_in.weight")[0]
    module = CrossViewAttention(
        channels,
        heads=heads,
        groups=groups,
        blocks=_count(inner, r"transformer_blocks\.(\d+)\."),
        attentions=_count(inner, r"transformer_blocks\.0\.attention_blocks\.(\d+)\."),
        ff_mult=_shape(inner, "transformer_blocks.0.ff.net.2.weight")[1] // channels,
        max_views=tables[0].shape[1] if tables else 32,
        positions=bool(tables),
    )
    _check_positions(module, tables)
    kept = {names[key]: value for key, value in inner.items() if not key.endswith("pos_encoder.pe")}
    return fill(module, kept, "IMAGPose motion module")


def imagpose_parts(state: State, heads: int = 8, groups: int = 32) -> dict[str, nn.Module]:
    """``motion_module.*``, ``patch.*`` and ``pose_guider.*`` in one dict -> the three modules by these names."""
    parts = split(state, ("motion_module", "patch", "pose_guider"))
    dim, channels, patch, _ = _shape(parts["patch"], "proj.weight")
    guider = parts["pose_guider"]
    encoder = PoseEncoder(_shape(guider, "conv_out.weight")[0], pose_widths(guider))
    fill(encoder.net, guider, "IMAGPose pose guider")
    return {
        "motion_module": imagpose_cross_view(parts["motion_module"], heads, groups),
        "patch": fill(PatchTokens(channels, patch, dim), parts["patch"], "IMAGPose patch embedding"),
        "pose_guider": encoder,
    }


# ------------------------------------------------------------------------------------------------- small pieces
def pose_widths(state: State) -> list[int]:
    """Widths of a ControlNet conditioning embedding from its tensors."""
    strided = range(1, _count(state, r"blocks\.(\d+)\."), 2)
    return [_shape(state, "conv_in.weight")[0], *(_shape(state, f"blocks.{index}.weight")[0] for index in strided)]


def split(state: State, parts: Iterable[str]) -> dict[str, dict[str, Tensor]]:
    """Tensors by their first name, without it; a name not in ``parts`` is an error."""
    found: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
    unknown = sorted(key for key in state if key.partition(".")[0] not in found)
    if unknown:
        raise Mismatch("state dict", f"has no use for {some(unknown)}", f"known parts are {', '.join(found)}")
    for key, value in state.items():
        part, _, rest = key.partition(".")
        found[part][rest] = value
    return found


def _under(state: State, prefixes: Iterable[str]) -> dict[str, Tensor]:
    """``state`` without the first of ``prefixes`` that all of its names have."""
    for prefix in prefixes:
        if state and all(key.startswith(prefix) for key in state):
            return {key[len(prefix) :]: value for key, value in state.items()}
    return dict(state)


def _shape(state: State, name: str) -> tuple[int, ...]:
    if name not in state:
        raise Mismatch("state dict", f"missing {name}", f"it holds {some(sorted(state)) or 'nothing'}")
    return tuple(state[name].shape)


def _count(state: State, pattern: str) -> int:
    """1 + the highest number that ``pattern`` finds in the names."""
    return 1 + max((int(match[1]) for match in (re.match(pattern, key) for key in state) if match), default=-1)


def _without_buffers(state: State) -> dict[str, Tensor]:
    """Older checkpoints store position ids, which are no weights."""
    return {key: value for key, value in state.items() if not key.endswith("position_ids")}


def _check_shared(first: State, second: State) -> None:
    """A part that is stored twice must be stored the same; an absent second copy is fine."""
    unlike = sorted(key for key in second if key not in first or not torch.equal(first[key], second[key]))
    if unlike:
        raise Damaged("state dict", f"two copies differ in {some(unlike)}", "they are one shared part in FPDM")


def _check_positions(module: CrossViewAttention, tables: list[Tensor]) -> None:
    sinusoids = [buffer for name, buffer in module.named_buffers() if name.endswith("positions")]
    if not all(torch.allclose(table[0].float(), own, atol=1e-5) for table in tables for own in sinusoids):
        raise Mismatch("IMAGPose motion module", "positions are not its sinusoids", "its pos_encoder.pe is altered")


def wrapped_name(key: str, denoiser: Denoiser) -> str:
    """Where cross-view attention wraps a transformer block, its names move one level down."""
    if denoiser.config.cross_view is None:
        return key
    return re.sub(r"(\.attentions\.\d+\.)", r"\1transformer.", key, count=1)


def widened(weight: Tensor, channels: int) -> Tensor:
    """(C0, c, k, k) -> (C0, channels, k, k), zeros for the new input channels."""
    if weight.shape[1] > channels:
        raise Mismatch("conv_in", f"{weight.shape[1]} input channels for {channels}", "make it with image_level=True")
    wide = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
    wide[:, : weight.shape[1]] = weight
    return wide


def _present_vae_name(key: str) -> str:
    head, attention, tail = key.partition(".attentions.0.")
    name, dot, rest = tail.partition(".")
    return f"{head}{attention}{_OLD_VAE_ATTENTION.get(name, name)}{dot}{rest}"
