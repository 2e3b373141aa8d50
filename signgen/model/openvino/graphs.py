"""The computations of a window as plain modules, tensors in and tensors out, ready to be traced.

The batch is one window: all its views see each other. Their number is nowhere a constant of the graph; who runs it for
one length alone fills shorter windows up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from signgen.model.engine import ComposerGraph
from signgen.model.guide import POSE
from signgen.model.networks.canvas import from_canvas
from signgen.model.networks.fusion import GREY
from signgen.model.networks.refiner import INPUTS as CHANNELS
from signgen.model.regions import REFINERS
from signgen.video.tensors import channels_last, to_unit, traced_bytes

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

NAMES = ("conditions", "denoiser", "decoder")  # of every model
OPTIONAL = (*REFINERS, "composer")  # of those that have them
PRESENT = "present"  # (V,), 0 for views that only fill a window up
OF_SOURCE = ("tokens", "embedding", "timestep", "plate")  # inputs that are the same for all views
PAST = "past_"  # begins the names of what views before these showed, a number behind it for each layer
Inputs = dict[str, Tensor]


class ConditionsGraph(nn.Module):
    """uint8 poses (V, H', W', 3 [+ guides]) and, where the denoiser takes fusion embeddings, the source's (1, De) ->
    pose features (V, C0, h, w) and fusion embeddings (V, De)."""

    def __init__(self, pipeline: SignGenPipeline) -> None:
        super().__init__()
        self.encoder = pipeline.denoiser.pose_encoder
        self.fusion = pipeline.fusion if pipeline.denoiser.config.fusion_dim is not None else None
        width, height = pipeline.canvas_size
        self.letterbox = None if self.fusion is None else Letterbox(width, height, self.fusion.image_size)

    def forward(self, poses: Tensor, embedding: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        images = to_unit(poses)  # (V, 3 or more, H', W') in [0, 1]
        features = self.encoder(images)
        if self.fusion is None or self.letterbox is None or embedding is None:
            return features
        return features, self.fusion.fuse(embedding, self.letterbox(images[:, :POSE] * 2 - 1))


class Letterbox(nn.Module):
    """`signgen.model.networks.fusion.letterbox` for one size of image, as two matrix products.

    Resizing is linear along each axis, so its matrices are the resized identities.
    """

    down: Tensor  # (h, H)
    across: Tensor  # (W, w)

    def __init__(self, width: int, height: int, size: int) -> None:
        super().__init__()
        scale = size / max(width, height)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        self.register_buffer("down", _resizing(height, inner[0]))
        self.register_buffer("across", _resizing(width, inner[1]).T.contiguous())
        top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
        self.padding = (left, size - inner[1] - left, top, size - inner[0] - top)

    def forward(self, images: Tensor) -> Tensor:
        """(V, 3, H, W) in [-1, 1] -> (V, 3, S, S)."""
        inner = (self.down @ (images @ self.across)).clamp(-1, 1)  # (V, 3, h, w)
        return functional.pad(inner, self.padding, value=GREY)


def _resizing(before: int, after: int) -> Tensor:
    """float32 (after, before): the matrix of bicubic, anti-aliased resizing."""
    identity = torch.eye(before)[None, None]
    return functional.interpolate(identity, (after, before), mode="bicubic", antialias=True)[0, 0]


class DenoiserGraph(nn.Module):
    """Latents (V, C, h, w), a timestep, and the inputs in ``names``, in their order -> prediction (V, C, h, w).

    With what views before these showed to each layer of cross-view attention, (L, K*P, C) behind the other inputs,
    what the new views show comes out behind the prediction, (L, V*P, C); see `ViewMemory`.
    """

    def __init__(self, pipeline: SignGenPipeline, names: tuple[str, ...]) -> None:
        super().__init__()
        self.denoiser, self.names = pipeline.denoiser, names
        self.coupled = pipeline.couples_views

    def forward(self, noisy: Tensor, timestep: Tensor, *conditions: Tensor) -> Tensor | tuple[Tensor, ...]:
        given: dict[str, Any] = dict(zip(self.names, conditions[: len(self.names)], strict=True))
        count = noisy.shape[0]
        given["tokens"] = given["tokens"].expand(count, -1, -1)  # (V, L, D)
        past = None
        if before := conditions[len(self.names) :]:
            past = given["past"] = GivenViews(before)
        prediction = self.denoiser(noisy, timestep, **given, views=count if self.coupled else 1)
        return prediction if past is None else (prediction, *past.shown)


class GivenViews:
    """A `ViewMemory` of tensors that are inputs of a graph.

    Args:
        before: (L, K*P, C) of each layer, in the order in which they run; empty: there is nothing before.

    Attributes:
        shown: (L, V*P, C) of the new views, likewise.
    """

    def __init__(self, before: Sequence[Tensor]) -> None:
        self._before, self.shown = before, list[Tensor]()

    def extended(self, layer: object, tokens: Tensor, places: int) -> Tensor:
        """As `ViewMemory.extended`."""
        self.shown.append(tokens)
        return torch.cat([self._before[len(self.shown) - 1], tokens], 1) if self._before else tokens

    def next_call(self) -> None:
        """Nothing is kept from one evaluation to the next."""


class DecoderGraph(nn.Module):
    """Latents (N, C, h, w) -> uint8 frames (N, H, W, 3)."""

    def __init__(self, pipeline: SignGenPipeline) -> None:
        super().__init__()
        self.vae, self.size = pipeline.vae, pipeline.frame_size

    def forward(self, latents: Tensor) -> Tensor:
        images = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]  # (N, 3, H', W')
        return channels_last(traced_bytes(from_canvas(images, *self.size)))


def input_names(pipeline: SignGenPipeline) -> tuple[str, ...]:
    """What the denoiser of this pipeline takes beside latents and timestep, in the order of `DenoiserGraph`.

    Its conditions, and where views see each other which of them are there.
    """
    names = ["pose_features", "tokens"]
    if pipeline.denoiser.config.fusion_dim is not None:
        names.append("fusion")
    if pipeline.denoiser.known_input is not None:
        names += ["known", "flag"]
    return (*names, PRESENT) if pipeline.couples_views else tuple(names)


@torch.inference_mode()
def examples(pipeline: SignGenPipeline, views: int) -> dict[str, Inputs]:
    """Inputs of each graph by name, in order, of the shapes that a window of ``views`` views has."""
    source = pipeline.encode_source(np.full((*pipeline.frame_size[::-1], 3), 128, np.uint8))
    poses = pipeline.no_poses(views)
    features, fusion = pipeline.engine.conditions(poses, source.embedding)
    latents = source.latents.float().repeat(views, 1, 1, 1)
    everything = {
        "pose_features": features.float(),
        "tokens": source.tokens.float(),
        "known": latents,
        "flag": torch.zeros_like(latents[:, :1]),
        PRESENT: torch.ones(views),
    }
    if fusion is not None:
        everything["fusion"] = fusion.float()
    conditions = {"poses": torch.from_numpy(poses)}
    if source.embedding is not None:
        conditions["embedding"] = source.embedding.float()
    denoiser = {"noisy": latents, "timestep": torch.tensor(999)}
    denoiser |= {name: everything[name] for name in input_names(pipeline)}
    inputs = {"conditions": conditions, "denoiser": denoiser, "decoder": {"latents": latents}}
    for name, refiner in pipeline.refiners.items():
        side = refiner.config.side
        inputs[name] = {"crops": torch.zeros(2, CHANNELS, side, side)}
    if pipeline.composes:
        (width, height), (across, down) = pipeline.frame_size, pipeline.canvas_size
        inputs["composer"] = {
            "frames": torch.zeros(2, height, width, 3, dtype=torch.uint8),
            "plate": torch.zeros(1, 3, down, across),
            "body": torch.zeros(2, down // 2, across // 2, 4, dtype=torch.uint8),
            "poses": torch.zeros(2, down, across, 3, dtype=torch.uint8),
        }
    return inputs


@torch.inference_mode()
def past_examples(pipeline: SignGenPipeline, denoiser: Inputs) -> Inputs:
    """What may come behind the other inputs of the denoiser, ``denoiser`` as `examples` has them, for views that see
    what earlier ones showed; none if views do not see each other."""
    if not pipeline.couples_views:
        return {}
    past = GivenViews(())
    noisy, timestep, *conditions = denoiser.values()
    given = dict(zip(input_names(pipeline), conditions, strict=True))
    pipeline.denoiser(noisy, timestep, **given, views=len(noisy), past=past)
    return {f"{PAST}{layer}": shown for layer, shown in enumerate(past.shown)}


def graphs(pipeline: SignGenPipeline) -> dict[str, nn.Module]:
    """The modules by name, float32, on the CPU."""
    return {
        "conditions": ConditionsGraph(pipeline).eval(),
        "denoiser": DenoiserGraph(pipeline, input_names(pipeline)).eval(),
        "decoder": DecoderGraph(pipeline).eval(),
        **pipeline.refiners,
        **({"composer": ComposerGraph(pipeline.composer, pipeline.frame_size).eval()} if pipeline.composes else {}),
    }
