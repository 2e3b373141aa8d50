"""What the networks see while the model renders: the inputs by which eight-bit ranges are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from signgen.keypoints import read_keypoints
from signgen.model.openvino.graphs import NAMES, PRESENT, input_names
from signgen.rendering.sample_windows import Sampling, render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.source import load_source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline
    from signgen.model.engine import Engine

EXAMPLE = Path(__file__).parent.parent / "assets" / "examples" / "weather.pose"
SIGNERS = ("alma", "bela", "cora", "dara", "emil", "femi", "gwen", "hana")
VIEWS = 6  # of a window
Sample = dict[str, np.ndarray]


@dataclass
class Recorder:
    """An engine that keeps the inputs of another one, by graph."""

    engine: Engine
    denoiser_inputs: tuple[str, ...]
    seen: dict[str, list[Sample]] = field(default_factory=lambda: {name: [] for name in NAMES})
    name: str = "recorder"
    threads: int | None = None

    def conditions(self, poses: np.ndarray, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        given = {"poses": poses} | ({} if embedding is None else {"embedding": _array(embedding)})
        self.seen["conditions"].append(given)
        return self.engine.conditions(poses, embedding)

    def denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> Tensor:
        conditions = {name: given.get(name) for name in self.denoiser_inputs if name != PRESENT}
        if all(value is not None for value in conditions.values()):  # a null branch is not what is common
            arrays = {name: _array(value) for name, value in conditions.items() if value is not None}
            if PRESENT in self.denoiser_inputs:
                arrays[PRESENT] = np.ones(len(noisy), np.float32)
            self.seen["denoiser"].append({"noisy": _array(noisy), "timestep": np.asarray(int(timestep)), **arrays})
        return self.engine.denoise(noisy, timestep, given)

    def frames(self, latents: Tensor) -> np.ndarray:
        self.seen["decoder"].append({"latents": _array(latents)})
        return self.engine.frames(latents)


def record(pipeline: SignGenPipeline) -> dict[str, list[Sample]]:
    """Inputs of each graph while each built-in signer signs another part of the example clip."""
    clip = read_keypoints(EXAMPLE).keypoints
    recorder = Recorder(pipeline.engine, input_names(pipeline))
    pipeline.engine, before = recorder, pipeline.engine
    config = pipeline.config
    sampling = Sampling(config.steps, tuple(config.guidance), VIEWS, min(config.overlap, VIEWS - 2), 0)
    try:
        for number, signer in enumerate(SIGNERS):
            scene = build_scene(load_source(signer), clip, pipeline.frame_size, config.pixel_aspect, None, True)
            start = number * (len(clip) - 2 * VIEWS) // len(SIGNERS)
            for _ in render_windows(pipeline, scene, range(start, start + 2 * VIEWS), sampling):
                pass
    finally:
        pipeline.engine = before
    return recorder.seen


def _array(value: Tensor) -> np.ndarray:
    return value.float().cpu().numpy()
