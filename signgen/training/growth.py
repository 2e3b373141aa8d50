"""A denoiser that takes over what an earlier one has learned, though its settings, or what it predicts, differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from signgen.errors import InputError
from signgen.models.denoiser import Denoiser
from signgen.models.detail import FOLD
from signgen.models.norms import mean_effect
from signgen.models.reference import widened, wrapped_name
from signgen.training.task import built

FIRST_LAYER, LAST_LAYER = "unet.conv_in.weight", "unet.conv_out."
WRAPPED = ".transformer."  # part of the names of what cross-view attention is put around


def grow(known: Denoiser, changes: Mapping[str, Any], run: Callable[[Denoiser], None]) -> Denoiser:
    """A denoiser with ``changes`` to the settings of ``known``, which computes what ``known`` does, or nearly.

    New parts start as they do in a new network: they add nothing. The first layer's new inputs, flag and known latents
    of the image-level condition, start at zero. Group norms that become affine keep their mean effect. More channels of
    the last layer are added behind those that are there.

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
    for name, value in state.items():
        if name not in own:
            continue
        if name == FIRST_LAYER and value.shape[1] < own[name].shape[1]:
            value = widened(value, own[name].shape[1])
        if name.startswith(LAST_LAYER) and len(value) < len(own[name]):
            value = torch.cat([value, own[name][len(value) :]])
        if value.shape != own[name].shape:
            advice = "leave its setting as it was, or train without start.denoiser"
            raise InputError(name, f"was {tuple(value.shape)}, is {tuple(own[name].shape)}", advice)
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
        raise InputError("start.denoiser", f"it predicts {was}", f"take one that predicts {now}")
    with torch.no_grad():
        head, channels = denoiser.detail_head, denoiser.config.channels
        for tensor in denoiser.unet.conv_out.parameters():
            tensor[:channels].neg_()
        if head is not None:  # it reads the prediction, so that this must be as it was for it, and adds to it
            head.join.weight[:, : channels // FOLD**2].neg_()
            for tensor in head.out.parameters():
                tensor.neg_()
    return denoiser
