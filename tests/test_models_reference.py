"""Reading released state dicts: sizes from the tensors, nothing silently left out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from signgen.errors import Damaged, InputError, Mismatch
from signgen.model.networks import reference
from signgen.model.networks.conditions import PatchTokens, PoseEncoder
from signgen.model.networks.cross_view import CrossViewAttention
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel

VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 32, "patch_size": 8, "projection_dim": 12}  # fmt: skip
SIZES: dict[str, Any] = {"block_out_channels": (16, 24), "layers_per_block": 1, "attention": (True, False),
                         "heads": (2, 3), "norm_groups": 8, "cross_attention_dim": 10, "fusion_dim": 6,
                         "fusion_hidden": 8, "pose": {"block_out_channels": (4, 6, 8, 12)},
                         "source": {"semantic_dim": 14, "hidden": 9}}  # fmt: skip


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{key}": value for key, value in state.items()}


def stage1_state(model: FusionModel) -> dict[str, Tensor]:
    """The model as FPDM's stage-1 trainer names it."""
    names = {ours: theirs for theirs, ours in reference._COMBINER.items()}
    combiner = {}
    for key, value in model.combiner.state_dict().items():
        ours = next(name for name in names if key.startswith(f"{name}."))
        combiner[key.replace(ours, names[ours], 1)] = value
    encoder = model.encoder.state_dict()
    return prefixed("combiner", combiner) | prefixed("img_encoder", encoder) | prefixed("pose_encoder", encoder)


def stage2_state(model: Denoiser) -> dict[str, Tensor]:
    return (prefixed("unet", model.unet.state_dict()) | prefixed("pose_t_proj", model.pose_encoder.net.state_dict())
            | prefixed("srcimage_proj_model", model.source_encoder.semantic.state_dict()))  # fmt: skip


@torch.no_grad()
def test_stage_1_checkpoint() -> None:
    model = FusionModel(VISION, hidden=20, projection=11).eval()
    again = reference.fpdm_fusion_model(prefixed("fusion_model", stage1_state(model)), heads=2).eval()
    source, pose = torch.rand(2, 2, 3, 32, 32)
    torch.testing.assert_close(again(source, pose), model(source, pose))
    assert again.config.vision == VISION


def test_stage_1_encoders_must_be_shared() -> None:
    state = stage1_state(FusionModel(VISION))
    state["pose_encoder.visual_projection.weight"] = state["pose_encoder.visual_projection.weight"] + 1
    with pytest.raises(Damaged, match="^state dict:"):
        reference.fpdm_fusion_model(state, heads=2)


@torch.no_grad()
def test_stage_2_checkpoint_by_parts() -> None:
    model = Denoiser(**SIZES).eval()
    inner = stage2_state(model)
    checkpoint = prefixed("sd_model", inner) | {key: value for key, value in inner.items() if key.startswith("unet.")}
    parts = reference.stage2_parts(checkpoint | {"vae.encoder.x": torch.zeros(1)})
    assert set(parts) == {"sd_model", "vae", "src_image_encoder", "fusion_model"}
    again = reference.fpdm_denoiser(parts["sd_model"], heads=SIZES["heads"], norm_groups=8).eval()
    given = {"pose": torch.rand(1, 3, 32, 32), "tokens": torch.randn(1, 3, 10), "fusion": torch.randn(1, 6)}
    noisy = torch.randn(1, 4, 4, 4)
    torch.testing.assert_close(again(noisy, 7, **given), model(noisy, 7, **given))
    checkpoint["unet.conv_in.bias"] = checkpoint["unet.conv_in.bias"] + 1
    with pytest.raises(Damaged, match="^state dict:"):
        reference.stage2_parts(checkpoint)


def test_what_is_missing_unused_or_misshapen_is_listed() -> None:
    state = stage2_state(Denoiser(**SIZES))
    load = {"heads": SIZES["heads"], "norm_groups": 8}
    with pytest.raises(Mismatch, match="^FPDM denoiser:"):
        reference.fpdm_denoiser(state | {"unet.extra": torch.zeros(1)}, **load)
    with pytest.raises(Mismatch, match="^state dict:"):
        reference.fpdm_denoiser(state | {"motion.weight": torch.zeros(1)}, **load)
    with pytest.raises(Mismatch, match="^FPDM denoiser:"):
        reference.fpdm_denoiser({k: v for k, v in state.items() if k != "unet.conv_out.bias"}, **load)
    with pytest.raises(Mismatch, match="^FPDM denoiser:"):
        reference.fpdm_denoiser(state | {"unet.conv_out.bias": torch.zeros(3)}, **load)
    with pytest.raises(Mismatch, match="^state dict:"):
        reference.fpdm_denoiser({k: v for k, v in state.items() if "class_embedding" not in k}, **load)


@torch.no_grad()
def test_a_plain_unet_starts_a_larger_denoiser() -> None:
    plain = Denoiser(**SIZES | {"fusion_dim": None}).eval()
    larger = Denoiser(**SIZES, image_level=True, cross_view={"heads": 2, "groups": 8}).eval()
    reference.load_unet(larger, plain.unet.state_dict())
    larger.unet.class_embedding.net[3].weight.zero_()
    larger.unet.class_embedding.net[3].bias.zero_()
    noisy, tokens = torch.randn(2, 4, 4, 4), torch.randn(2, 3, 10)
    known, flag = torch.randn(2, 4, 4, 4), torch.ones(2, 1, 4, 4)
    out = larger(noisy, 7, tokens=tokens, known=known, flag=flag, views=2)
    torch.testing.assert_close(out, plain(noisy, 7, tokens=tokens), atol=1e-5, rtol=1e-5)
    with pytest.raises(Mismatch, match="^conv_in:"):
        reference.load_unet(plain, {key.replace(".transformer.", "."): value
                                    for key, value in larger.unet.state_dict().items()})  # fmt: skip


@torch.no_grad()
def test_vae_with_older_attention_names() -> None:
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    vae = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, down_block_types=down, up_block_types=up)
    older = {present: old for old, present in reference._OLD_VAE_ATTENTION.items()}
    state = {}
    for key, value in vae.state_dict().items():
        for present, old in older.items():
            key = key.replace(f".attentions.0.{present}.", f".attentions.0.{old}.")
        state[f"vae.{key}"] = value[..., None, None] if ".attentions.0." in key and value.dim() == 2 else value
    again = reference.fpdm_vae(state, norm_groups=4)
    images = torch.rand(1, 3, 8, 8)
    assert torch.equal(again.encode(images).latent_dist.mean, vae.encode(images).latent_dist.mean)


def test_imagpose_parts_round_trip_their_sizes() -> None:
    torch.manual_seed(0)
    module = CrossViewAttention(16, heads=4, groups=8, attentions=1, ff_mult=2, max_views=12)
    patch, guider = PatchTokens(4, 2, 10), PoseEncoder(16, (4, 6, 8, 12))
    names = {key: key.replace("blocks.0.", "transformer_blocks.0.").replace("attentions.", "attention_blocks.")
             for key in module.state_dict()}  # fmt: skip
    inner = {names[key]: value for key, value in module.state_dict().items()}
    table = module.blocks[0].positions[None]
    inner["transformer_blocks.0.attention_blocks.0.pos_encoder.pe"] = table
    state = (prefixed("motion_module.temporal_transformer", inner) | prefixed("patch", patch.state_dict())
             | prefixed("pose_guider", guider.net.state_dict()))  # fmt: skip
    parts = reference.imagpose_parts(state, heads=4, groups=8)
    hidden = torch.randn(4, 16, 3, 2)
    assert torch.equal(parts["motion_module"](hidden, 4), module(hidden, 4))
    assert parts["motion_module"].max_views == 12
    assert parts["patch"].proj.kernel_size == (2, 2)
    altered = dict(inner) | {"transformer_blocks.0.attention_blocks.0.pos_encoder.pe": table + 0.1}
    with pytest.raises(InputError, match="sinusoids"):
        reference.imagpose_cross_view(altered, heads=4, groups=8)
