"""What a stage starts from: folders of earlier stages, and base weights that others have published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, ModelMixin
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME

from signgen.errors import Damaged, Mismatch, NotFound, SignGenError
from signgen.model.loading import model_folder, parts_of
from signgen.model.networks.conditions import FOLD
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.norms import mean_effect
from signgen.model.networks.reference import widened, wrapped_name
from signgen.model.networks.weight_files import fill, read_settings, read_tensors
from signgen.model.published_weights import CATALOGUE, find, find_here
from signgen.training.config import TrainConfig
from signgen.training.stages import STAGES
from signgen.training.task import built

N = TypeVar("N", bound=ModelMixin)
# Entries of ``start`` -> folders.
PARTS_OF_MODEL = {"autoencoder": "vae", "fusion": "fusion", "denoiser": "denoiser", "image_encoder": "image_encoder"}
MAKERS = {"encoder": "autoencoder"}  # entries of ``start`` that another stage than their namesake makes
AGAIN = "take the folder that the stage wrote"
FIRST_LAYERS = "unet.conv_in.weight", "pose_encoder.net.0.weight"
LAST_LAYER = "unet.conv_out."
READERS = ("source_encoder.semantic.", "unet.class_embedding.")  # what reads semantic tokens and fusion embeddings
WRAPPED = ".transformer."  # part of the names of what cross-view attention is put around


@dataclass(frozen=True)
class Start:
    """One entry of ``start``, or one that is not there and should be.

    Attributes:
        name: its key; where: what the configuration says, "" where it says nothing.
        here: whether it is on this machine, whole.
        base: whether it is base weights, which can be fetched.
    """

    name: str
    where: str
    here: bool
    base: bool


def with_parts(config: TrainConfig) -> TrainConfig:
    """The configuration with ``start.model`` spelt out for the stages of the denoiser: the model's autoencoder (``vae``
    where it is Stable Diffusion's), fusion model, denoiser and image encoder, where ``start`` names no others."""
    if STAGES[config.stage].trains != Denoiser.__name__ or "model" not in config.start:
        return config
    folder = model_folder(config.start["model"])
    places = parts_of(folder, PARTS_OF_MODEL.values())
    parts = {name: str(places[part]) for name, part in PARTS_OF_MODEL.items() if part in places}
    if "autoencoder" in parts:
        if "vae" in config.start:
            del parts["autoencoder"]
        elif read_settings(parts["autoencoder"]).get("_class_name") == AutoencoderKL.__name__:
            given = parts.pop("autoencoder")
            parts |= {} if "autoencoder" in config.start else {"vae": given}
    named = {name: where for name, where in config.start.items() if name != "model"}
    return replace(config, start=parts | named)


def required(config: TrainConfig) -> tuple[str, ...]:
    """Keys of ``start`` that the stage needs, with those that stand in for what its record names.

    An autoencoder is ``vae`` or, trained here, ``autoencoder``. The fusion model makes the fusion embedding, and
    semantic tokens where nothing else does.
    """
    given, needed = config.start, list(STAGES[config.stage].start)
    if "vae" in given and "autoencoder" in needed:
        needed[needed.index("autoencoder")] = "vae"
    if "fusion" in needed and ("clip" in given or ("image_encoder" in given and not _takes_fusion(config))):
        needed.remove("fusion")
    return tuple(needed)


def starts(config: TrainConfig) -> list[Start]:
    """What the stage needs and what the configuration names, each once."""
    found, config = [], with_parts(config)
    for name in dict.fromkeys((*required(config), *config.start)):
        where = str(config.start.get(name) or "")
        base = name in CATALOGUE
        if base:
            here = bool(where) and find_here(CATALOGUE[name], where) is not None
        elif name == "model":
            model_folder(where)  # says what is wrong with it
            here = True
        else:
            here = bool(where) and (Path(where) / "config.json").is_file()
        found.append(Start(name, where, here, base))
    return found


def check_starts(config: TrainConfig) -> None:
    """What the stage builds on must be there before anything is begun; base weights are fetched where allowed."""
    for start in starts(config):
        if start.here:
            _check_kind(start)
            continue
        if start.base and start.where:
            find(CATALOGUE[start.name], start.where, config.allow_download)
            continue
        advice = f"train that stage first, then set start.{start.name} to its model folder"
        raise NotFound(f"start.{start.name}", f"no trained {start.name} at {start.where or None!r}", advice)
    if "vae" in config.start and "autoencoder" in config.start:
        raise Mismatch("start", "got vae and autoencoder", "give one of them")


def _check_kind(start: Start) -> None:
    """An earlier stage's folder must be one of the stage that is asked for."""
    made_by = STAGES.get(MAKERS.get(start.name, start.name))
    wanted = made_by.trains if made_by else None
    got = read_settings(start.where).get("_class_name") if wanted else None
    if got != wanted:
        advice = f"give the folder of a {wanted}, such as model/{start.name} of a run"
        raise Mismatch(f"start.{start.name}", f"{start.where} holds a {got}", advice)


def stage_network(kind: type[N], folder: str | Path) -> N:
    """The network that an earlier stage wrote into a folder, in eval mode, as ``kind.from_pretrained`` gives it.

    Raises:
        InputError: its weights are missing, damaged, or not those of its ``config.json``.
    """
    path = Path(folder) / SAFETENSORS_WEIGHTS_NAME
    tensors = read_tensors(path)
    settings = read_settings(folder)
    try:
        network = kind.from_config(settings)
    except (TypeError, ValueError, LookupError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise Damaged(Path(folder) / "config.json", f"makes no {kind.__name__} ({reason})", AGAIN) from error
    return fill(network, tensors, path).eval()


def stage_prediction(folder: str | Path) -> str:
    """What the denoiser in a folder predicts, by the scheduler beside it; v where there is none."""
    scheduler = Path(folder).parent / "scheduler"
    if not (scheduler / "scheduler_config.json").is_file():
        return "v_prediction"
    return str(read_settings(scheduler, "scheduler_config.json").get("prediction_type", "epsilon"))


def _takes_fusion(config: TrainConfig) -> bool:
    """Whether the denoiser takes a fusion embedding: by ``model``, or as the one that it starts from does."""
    if "fusion_dim" in config.model:
        return config.model["fusion_dim"] is not None
    try:
        return read_settings(config.start["denoiser"]).get("fusion_dim", 0) is not None
    except (KeyError, SignGenError):
        return True


# -- a denoiser of an earlier stage whose settings, or what it predicts, are to be others -----------------------------


def grow(known: Denoiser, changes: Mapping[str, Any], run: Callable[[Denoiser], None]) -> Denoiser:
    """A denoiser with ``changes`` to the settings of ``known``, which computes what ``known`` does, or nearly.

    New parts start as they do in a new network: they add nothing. New inputs of first layers, flag and known latents of
    the image-level condition and a pose encoder's guide, start at zero. Group norms that become affine keep their mean
    effect. More channels of the last layer are added behind those that are there. What reads tokens or embeddings of
    another width, those of another fusion model, begins again: until it has learned them, the denoiser is worse than
    ``known``.

    Args:
        known: what was trained before.
        changes: settings of `Denoiser` that shall be other; none: ``known`` itself comes back.
        run: evaluates a denoiser on typical inputs, all conditions given; for the norms.

    Raises:
        InputError: a part that both have differs in shape.
    """
    if not changes:
        return known
    settings = {key: value for key, value in known.config.items() if not key.startswith("_")}
    grown = built(Denoiser, {**settings, **changes})
    state = dict(known.state_dict())
    if grown.config.norms == "affine" and known.config.norms == "group":
        state |= {f"unet.{name}": value for name, value in mean_effect(known.unet, lambda: run(known)).items()}
    if known.config.cross_view is None:  # its transformer blocks have no cross-view attention around them yet
        state = {wrapped_name(name, grown): value for name, value in state.items()}
    elif grown.config.cross_view is None:
        state = {name.replace(WRAPPED, "."): value for name, value in state.items()}
    own = grown.state_dict()
    other = {name for name, value in state.items() if name in own and value.shape != own[name].shape}
    again = tuple(reader for reader in READERS if any(name.startswith(reader) for name in other))
    for name, value in state.items():
        if name not in own or name.startswith(again):
            continue
        if name in FIRST_LAYERS and value.shape[1] < own[name].shape[1]:
            value = widened(value, own[name].shape[1])
        if name.startswith(LAST_LAYER) and len(value) < len(own[name]):
            value = torch.cat([value, own[name][len(value) :]])
        if value.shape != own[name].shape:
            advice = "leave its setting as it was, or train without start.denoiser"
            raise Mismatch(name, f"was {tuple(value.shape)}, is {tuple(own[name].shape)}", advice)
        own[name] = value
    grown.load_state_dict(own)
    return grown


def restated(denoiser: Denoiser, was: str, now: str) -> Denoiser:
    """The denoiser, which has learned to predict ``was``, as a start for one that predicts ``now``: v or x0.

    v = a e - s x0. At the last timestep of a zero terminal SNR a = 0 and s = 1, so x0 = -v exactly and one step renders
    what it did. At other timesteps -v is but a start.

    Raises:
        InputError: an earlier stage predicted something else than these two.
    """
    if was == now:
        return denoiser
    if {was, now} != {"v_prediction", "sample"}:
        raise Mismatch("start.denoiser", f"it predicts {was}", f"take one that predicts {now}")
    with torch.no_grad():
        head, channels = denoiser.detail_head, denoiser.config.channels
        for tensor in denoiser.unet.conv_out.parameters():
            tensor[:channels].neg_()
        if head is not None:  # it reads the prediction, so that this must be as it was for it, and adds to it
            head.join.weight[:, : channels // FOLD**2].neg_()
            for tensor in head.out.parameters():
                tensor.neg_()
    return denoiser
