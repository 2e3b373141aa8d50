"""What computes the networks that run for every window: torch here, OpenVINO in `signgen.model.openvino.engine`.

The source is encoded once a clip, always by torch; only what runs again and again is worth another engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from signgen.errors import Unsupported
from signgen.model.guide import NOTHING, POSE
from signgen.model.networks.attention import ContextMemory
from signgen.model.networks.canvas import fit_frames, from_canvas
from signgen.video.tensors import channels_first, channels_last, from_signed, to_frames, to_unit, traced_bytes

if TYPE_CHECKING:
    from signgen.model.networks.composer import FrameComposer
    from signgen.model.networks.denoiser import Denoiser
    from signgen.model.networks.fusion import FusionModel

REFINED_AT_ONCE = 32  # crops; more at a time leave a CPU's caches
COMPOSED_AT_ONCE = 4  # frames, likewise


class Networks(Protocol):
    """What an engine runs, of a `SignGenPipeline`: its networks, where and in what they compute, the size of frames.

    Attributes:
        vae: `FrameAutoencoder` or diffusers' AutoencoderKL.
        couples_views: whether the views of a window see each other.
        frame_size: (W, H).
    """

    vae: Any
    denoiser: Denoiser
    fusion: FusionModel | None
    composer: Any

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def couples_views(self) -> bool: ...
    @property
    def frame_size(self) -> tuple[int, int]: ...


class Engine(Protocol):
    """The computations of a window: its conditions, denoising, frames, and crops of these painted again.

    Attributes:
        name: what the manifest of a render says.
        threads: how many torch may take for what lies between these computations; None: as many as it has.
        slides: whether windows may slide: what earlier views showed to the attention between views is given to
            `denoise` as ``past``, a `ViewMemory`.
    """

    name: str
    threads: int | None

    @property
    def slides(self) -> bool: ...

    def slide(self, sources: int, tokens: int) -> None:
        """Makes ready for windows of one new frame, after ``sources`` pictures of ``tokens`` tokens in all."""

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Pose images uint8 (V, H', W', 3 [+ guides]) and the source's embedding (1, De) -> pose features (V, C0, h, w)
        and fusion embeddings (V, De), None without an embedding."""

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Any]) -> Tensor:
        """float32 latents (V, C, h, w), a timestep and one branch's conditions -> float32 prediction (V, C, h, w)."""

    def frames(self, latents: Tensor) -> np.ndarray:
        """float32 latents (N, C, h, w) -> uint8 frames (N, H, W, 3)."""

    def refine(self, name: str, crops: Tensor) -> Tensor:
        """Crops float32 (N, 16, S, S) through the refiner ``name`` -> float32 (N, 3, S, S)."""

    def compose(
        self, frames: np.ndarray, plate: Tensor, body: np.ndarray, poses: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Painted frames uint8 (N, H, W, 3), the backdrop's plate float32 (1, 3, H', W') in [-1, 1], the source moved
        to the poses, uint8 (N, H' / 2, W' / 2, 4) as guides have it, and pose images uint8 (N, H', W', 3) -> composed
        frames and mattes, uint8 (N, H, W, 3) and (N, H, W)."""


class TorchEngine:
    """torch itself.

    Args:
        networks: what is run, looked up at each call: a part that is exchanged is the one that runs.
        compiled: run them through torch.compile, with CUDA graphs where there is CUDA. Each number of views is
            compiled for itself, which takes a minute or more on a CPU.

    Attributes:
        threads: None, for torch's threads are the engine's own.
        memory: keeps keys and values of the source's tokens for a whole clip; None with torch.compile, which would
            take what is kept for a constant.
    """

    def __init__(self, networks: Networks, compiled: bool = False) -> None:
        self.networks = networks
        self.name = "torch, compiled" if compiled else "torch"
        self.threads: int | None = None
        self.compiled = compiled
        self.memory = None if compiled else ContextMemory()
        self._compiled: dict[str, Callable[..., Any]] = {}
        if compiled:
            options = {"mode": "reduce-overhead"} if networks.device.type == "cuda" else {}
            for name, function in (("denoise", networks.denoiser), ("decode", networks.vae.decode)):
                self._compiled[name] = _compiled(function, options)

    @property
    def slides(self) -> bool:
        return not self.compiled

    def slide(self, sources: int, tokens: int) -> None:
        """Nothing: torch takes any number of views."""

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        images = pixels(poses, self.networks.device).to(self.networks.dtype)  # (V, 3 or more, H', W') in [0, 1]
        features = self.networks.denoiser.encode_pose(images)
        if embedding is None or self.networks.fusion is None:
            return features, None
        return features, self.networks.fusion.fuse(embedding, images[:, :POSE] * 2 - 1)  # (V, De)

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Any]) -> Tensor:
        dtype = self.networks.dtype
        branch = {key: value.to(dtype) if isinstance(value, Tensor) else value for key, value in given.items()}
        views = len(noisy) if self.networks.couples_views else 1
        noisy = noisy.to(dtype, memory_format=torch.channels_last)
        denoiser = self._compiled.get("denoise", self.networks.denoiser)
        memory = {} if self.memory is None else {"memory": self.memory}
        return self._run(denoiser, noisy, timestep, **branch, views=views, **memory).float()

    def frames(self, latents: Tensor) -> np.ndarray:
        vae = self.networks.vae
        scaled = (latents / vae.config.scaling_factor).to(self.networks.dtype, memory_format=torch.channels_last)
        decode = self._compiled.get("decode", vae.decode)
        images = from_canvas(
            self._run(lambda latent: decode(latent).sample, scaled), *self.networks.frame_size
        )  # (N, 3, H, W)
        return to_frames(from_signed(images))

    def refine(self, name: str, crops: Tensor) -> Tensor:
        network = getattr(self.networks, name)
        crops = crops.to(self.networks.dtype, memory_format=torch.channels_last)
        return torch.cat([network(part) for part in crops.split(REFINED_AT_ONCE)]).float()

    def compose(
        self, frames: np.ndarray, plate: Tensor, body: np.ndarray, poses: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        graph = ComposerGraph(self.networks.composer, self.networks.frame_size, self.networks.dtype)
        device, parts = self.networks.device, []
        for start in range(0, len(frames), COMPOSED_AT_ONCE):
            some = slice(start, start + COMPOSED_AT_ONCE)
            painted, moved, drawn = (torch.from_numpy(part[some]).to(device) for part in (frames, body, poses))
            parts.append([part.cpu().numpy() for part in graph(painted, plate.to(device), moved, drawn)])
        made, mattes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return made, mattes

    def _run(self, network: Callable[..., Tensor], *inputs: Tensor, **given: Any) -> Tensor:
        """A network's output. A CUDA graph writes it to the same place every time: what is kept must be a copy."""
        if not self.compiled:
            return network(*inputs, **given)
        torch.compiler.cudagraph_mark_step_begin()  # outputs of earlier graphs are no longer looked at
        return network(*inputs, **given).clone()


class WatchedEngine:
    """Another engine, each computation of which is told of before it begins.

    Args:
        engine: what computes.
        before: called with the computation's name and what it is given; what it raises goes through.
    """

    def __init__(self, engine: Engine, before: Callable[..., None]) -> None:
        self.engine, self._before = engine, before
        self.name, self.threads = engine.name, engine.threads

    @property
    def slides(self) -> bool:
        return self.engine.slides

    def slide(self, sources: int, tokens: int) -> None:
        self._before("slide", sources, tokens)
        self.engine.slide(sources, tokens)

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        self._before("conditions", poses, embedding)
        return self.engine.conditions(poses, embedding)

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Any]) -> Tensor:
        self._before("denoise", noisy, timestep, given)
        return self.engine.denoise(noisy, timestep, given)

    def frames(self, latents: Tensor) -> np.ndarray:
        self._before("frames", latents)
        return self.engine.frames(latents)

    def refine(self, name: str, crops: Tensor) -> Tensor:
        self._before("refine", name, crops)
        return self.engine.refine(name, crops)

    def compose(
        self, frames: np.ndarray, plate: Tensor, body: np.ndarray, poses: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        self._before("compose", frames, plate, body, poses)
        return self.engine.compose(frames, plate, body, poses)


class ComposerGraph(torch.nn.Module):
    """`FrameComposer` from bytes to bytes, see `Engine.compose`."""

    def __init__(self, composer: FrameComposer, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.composer, self.size, self.number = composer, size, dtype

    def forward(self, frames: Tensor, plate: Tensor, body: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
        painted = fit_frames(to_unit(frames).mul(2).sub(1))
        moved = channels_first(body).float().sub(NOTHING).div(127)
        given = (part.to(self.number) for part in (painted, plate, moved, to_unit(poses)))
        made = self.composer(*given)
        composed = traced_bytes(from_canvas(made.frames.float(), *self.size))
        matte = from_canvas(made.matte.float(), *self.size)[:, 0] * 255
        return channels_last(composed), (matte + 0.5).to(torch.uint8)


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    try:
        return torch.compile(function, dynamic=False, **options)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise Unsupported("--compile", f"torch cannot compile here ({reason})", "leave it out") from error


def pixels(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [0, 1], channels last in memory."""
    return to_unit(images, device).contiguous(memory_format=torch.channels_last)
