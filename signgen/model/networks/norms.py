"""Group norms replaced by what they do on average: a scale and a shift per channel.

A group norm reads the whole frame before it may change a pixel: on a CPU it costs as much as a third of the
convolutions, and a crop is normalised otherwise than the frame it was cut from. In a network that always sees the same
kind of picture its statistics hardly move (a few per cent over drawn studio frames), so a trained network can go on
with their mean: the function stays nearly the same, crops and frames are treated alike, and what is left is one
multiplication and one addition per value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from signgen.errors import Missing

NORMS = ("group", "affine")


class ChannelAffine(nn.Module):
    """x * weight + bias per channel: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        weight, bias = (value.to(hidden.dtype)[:, None, None] for value in (self.weight, self.bias))
        return torch.addcmul(bias, hidden, weight)


def use_affine_norms(network: nn.Module) -> None:
    """Replaces every `GroupNorm` inside ``network`` by a new `ChannelAffine`."""
    for parent, name, norm in list(_group_norms(network)):
        setattr(parent, name, ChannelAffine(norm.num_channels))


@torch.no_grad()
def mean_effect(network: nn.Module, run: Callable[[], None]) -> dict[str, Tensor]:
    """What the group norms of ``network`` do on average while ``run`` evaluates it.

    Returns:
        ``<norm>.weight`` and ``<norm>.bias``, float32 (C,) each: the state of the `ChannelAffine` modules that
        `use_affine_norms` puts in their places.

    Raises:
        InputError: a norm was never evaluated.
    """
    gathered: dict[str, list[tuple[Tensor, Tensor]]] = {}
    names = {id(module): name for name, module in network.named_modules()}

    def gather(norm: nn.GroupNorm, inputs: tuple[Tensor, ...]) -> None:
        groups = inputs[0].float().reshape(inputs[0].shape[0], norm.num_groups, -1)  # (N, G, C/G * H * W)
        spread, mean = torch.std_mean(groups, dim=-1, correction=0)
        scale = (spread.square() + norm.eps).rsqrt()
        gathered.setdefault(names[id(norm)], []).append((scale.mean(0), (mean * scale).mean(0)))  # (G,) each

    norms = [norm for _, _, norm in _group_norms(network)]
    hooks = [norm.register_forward_pre_hook(gather) for norm in norms]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    state = {}
    for norm in norms:
        name = names[id(norm)]
        if name not in gathered:
            raise Missing("norms", f"{name} was not evaluated", "run the whole network, all conditions given")
        width = norm.num_channels // norm.num_groups
        means = torch.stack([torch.stack(pair) for pair in gathered[name]]).mean(0)  # (2, G)
        scale, shift = means.repeat_interleave(width, dim=1)  # (C,) each
        state[f"{name}.weight"] = norm.weight.detach().float() * scale
        state[f"{name}.bias"] = norm.bias.detach().float() - norm.weight.detach().float() * shift
    return state


def _group_norms(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.GroupNorm]]:
    """(parent, attribute, norm) of every group norm."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                yield parent, name, child
