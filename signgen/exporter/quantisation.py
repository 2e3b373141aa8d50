"""Networks in eight bits by NNCF's post-training quantisation: twice as fast again, nearly the same frames.

The ranges of activations come from what the networks see while the model renders the example clip.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from signgen.errors import missing_extra
from signgen.keypoints import read_keypoints
from signgen.model.engine import WatchedEngine
from signgen.model.openvino.graphs import NAMES, PRESENT, input_names
from signgen.package import EXAMPLES
from signgen.rendering.sample_windows import render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import builtin_names, load_source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

NARROW = 16  # channels of a convolution that reads or writes latents or pictures
VIEWS = 6  # of a window that is traced or recorded; their number stays open in the graphs
Sample = dict[str, np.ndarray]


class Recorder:
    """Keeps what the networks of a pipeline are given, see `WatchedEngine`.

    Args:
        denoiser_inputs: of its graph, beside latents and timestep.

    Attributes:
        seen: by graph, the inputs of each call.
    """

    def __init__(self, denoiser_inputs: tuple[str, ...]) -> None:
        self.denoiser_inputs = denoiser_inputs
        self.seen: dict[str, list[Sample]] = {name: [] for name in NAMES}

    def __call__(self, name: str, *given: Any) -> None:
        """Keeps the inputs of one computation of an `Engine`."""
        if name == "conditions":
            poses, embedding = given
            self.seen[name].append({"poses": poses} | ({} if embedding is None else {"embedding": _array(embedding)}))
        elif name == "denoise":
            self._denoise(*given)
        elif name == "frames":
            self.seen["decoder"].append({"latents": _array(*given)})

    def _denoise(self, noisy: Tensor, timestep: Tensor, given: Mapping[str, Tensor | None]) -> None:
        conditions = {name: given.get(name) for name in self.denoiser_inputs if name != PRESENT}
        if any(value is None for value in conditions.values()):  # a null branch is not what is common
            return
        arrays = {name: _array(value) for name, value in conditions.items() if value is not None}
        if PRESENT in self.denoiser_inputs:
            arrays[PRESENT] = np.ones(len(noisy), np.float32)
        self.seen["denoiser"].append({"noisy": _array(noisy), "timestep": np.asarray(int(timestep)), **arrays})


def _array(value: Tensor) -> np.ndarray:
    return value.float().cpu().numpy()


def record(pipeline: SignGenPipeline) -> dict[str, list[Sample]]:
    """Inputs of each graph while each built-in signer signs another part of the example clip."""
    clip = read_keypoints(EXAMPLES / "weather.pose").keypoints
    recorder, before = Recorder(input_names(pipeline)), pipeline.engine
    pipeline.engine = WatchedEngine(before, recorder)
    config, signers = pipeline.config, builtin_names()
    settings = RenderSettings(window=VIEWS, overlap=min(config.overlap, VIEWS - 2))
    try:
        for number, signer in enumerate(signers):
            scene = build_scene(load_source(signer), clip, pipeline.frame_size, config.pixel_aspect, None, True)
            start = number * (len(clip) - 2 * VIEWS) // len(signers)
            for _ in render_windows(pipeline, scene, range(start, start + 2 * VIEWS), settings):
                pass
    finally:
        pipeline.engine = before
    return recorder.seen


def check_installed() -> None:
    """Raises `NotInstalled` where NNCF is missing."""
    if find_spec("nncf") is None:
        raise missing_extra("nncf", "cpu")


def quantised(model: Any, samples: list[Sample], edges: bool = False) -> Any:
    """An OpenVINO model in eight bits, with the ranges of activations that ``samples`` of its inputs show.

    Args:
        edges: in eight bits where it begins and ends, too.
    """
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # activations on both sides of zero: SiLU's are not symmetric
    names = [] if edges else [node.get_friendly_name() for node in model.get_ops() if _is_edge(node)]
    kept = nncf.IgnoredScope(names=names)
    with redirect_stdout(sys.stderr):  # its bars; standard output belongs to --json
        return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), preset=preset, ignored_scope=kept)


def _is_edge(node: Any) -> bool:
    """Whether a layer reads or writes latents, pictures or embeddings: eight bits of those are seen as flicker.

    These layers are few and narrow; in full they take back a fifth of what all others gain.
    """
    name, kind = node.get_friendly_name(), node.get_type_name()
    if kind == "MatMul":
        return "time_emb" in name or "class_embedding" in name
    if kind != "Convolution":
        return False
    return "conv_in" in name or "conv_out" in name or min(list(node.input(1).get_shape())[:2]) <= NARROW
