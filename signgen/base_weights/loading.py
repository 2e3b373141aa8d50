"""Base weights into modules: diffusers' and transformers' own classes, and our denoiser and fusion model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import AutoencoderKL
from torch import nn

from signgen.base_weights.catalogue import CATALOGUE
from signgen.base_weights.places import find, weight_file
from signgen.errors import InputError
from signgen.models.autoencoder import FrameAutoencoder
from signgen.models.denoiser import Denoiser
from signgen.models.fusion import FusionModel
from signgen.models.progress_bars import no_bars
from signgen.models.reference import load_unet, load_vae
from signgen.models.weight_files import read_settings, read_tensors

# What decides a UNet's numbers and cannot be told from the shapes of its tensors.
UNET_SETTINGS = ("down_block_types", "up_block_types", "attention_head_dim", "norm_num_groups", "use_linear_projection",
                 "act_fn", "norm_eps", "flip_sin_to_cos", "freq_shift")  # fmt: skip


def load_autoencoder(where: str, allow_download: bool = False) -> FrameAutoencoder | AutoencoderKL:
    """The autoencoder of a folder or hub id: Stable Diffusion's (float32), or one that signgen has trained."""
    folder = find(CATALOGUE["vae"], where, allow_download)
    settings = read_settings(folder)
    if settings.get("_class_name") == FrameAutoencoder.__name__:
        return FrameAutoencoder.from_pretrained(folder)
    if settings.get("_class_name") != AutoencoderKL.__name__:
        got = f"is a {settings.get('_class_name')}"
        raise InputError(folder, got, f"give an {AutoencoderKL.__name__} or {FrameAutoencoder.__name__}")
    path = weight_file(CATALOGUE["vae"], folder)
    return load_vae(AutoencoderKL.from_config(settings), read_tensors(path), path)


def start_unet(denoiser: Denoiser, where: str, allow_download: bool = False) -> Denoiser:
    """Puts a Stable Diffusion UNet into ``denoiser`` and returns it.

    Parts that the UNet has not (class MLP, cross-view attention, input channels of known views) keep their start
    values, which change nothing or stand at zero.

    Raises:
        InputError: it is another kind of UNet than the denoiser's settings say.
    """
    part = CATALOGUE["unet"]
    folder = find(part, where, allow_download)
    _check_unet(folder, read_settings(folder), denoiser.unet.config)
    path = weight_file(part, folder)
    load_unet(denoiser, read_tensors(path), path)
    return denoiser


def load_clip(where: str, allow_download: bool = False, **combiner: Any) -> FusionModel:
    """A fusion model with CLIP's image encoder and a new combiner; see `FusionModel.from_clip`."""
    return FusionModel.from_clip(find(CATALOGUE["clip"], where, allow_download), **combiner)


def load_image_encoder(where: str, allow_download: bool = False) -> nn.Module:
    """DINOv2 without gradients, in eval mode."""
    from transformers import Dinov2Model

    folder = find(CATALOGUE["image_encoder"], where, allow_download)
    kind = read_settings(folder).get("model_type")
    if kind != "dinov2":
        raise InputError(folder, f"is a {kind} model", "give a DINOv2 model")
    try:
        with no_bars():
            encoder, notes = Dinov2Model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(folder, f"cannot be loaded ({reason})", "get its files anew") from None
    if notes["missing_keys"]:
        missing = ", ".join(sorted(notes["missing_keys"])[:3])
        raise InputError(folder, f"its weights lack {missing}", "get its files anew")
    return encoder.eval().requires_grad_(False)


def _check_unet(folder: Any, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    levels = len(wanted["block_out_channels"])
    for name in UNET_SETTINGS:
        if name in given and _per_level(given[name], levels) != _per_level(wanted[name], levels):
            advice = f"the configuration's model needs {wanted[name]}"
            raise InputError(folder, f"{name} is {given[name]}", advice)


def _per_level(value: Any, levels: int) -> Any:
    """diffusers takes one number for all levels, or one for each."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value] * levels
    return list(value) if isinstance(value, (list, tuple)) else value
