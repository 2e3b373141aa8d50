"""Engines of a pipeline: the one in place computes, and a compiled one computes the same."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from tiny_pipeline import make_pipeline, picture

from signgen.model.engine import TorchEngine


def window(pipeline, views: int = 3) -> np.ndarray:
    """Frames of one window of arbitrary poses."""
    poses = np.random.default_rng(3).integers(0, 255, (views, 56, 48, 3), dtype=np.uint8)
    return pipeline(pipeline.encode_source(picture()), poses, range(views)).frames.astype(int)


def test_the_engine_in_place_computes():
    pipeline = make_pipeline()

    class Grey(TorchEngine):
        def frames(self, latents: torch.Tensor) -> np.ndarray:
            return np.full_like(super().frames(latents), 128)

    before = window(pipeline)
    pipeline.engine = Grey(pipeline)
    assert np.ptp(before) > 20
    assert (window(pipeline) == 128).all()


@pytest.mark.parametrize(("left", "wanted"), [(None, 3), (1, 1), (8, 3)])
def test_torch_takes_the_threads_that_the_engine_leaves_it(left: int | None, wanted: int):
    pipeline, seen = make_pipeline(), []

    class Watched(TorchEngine):
        def frames(self, latents: torch.Tensor) -> np.ndarray:
            seen.append(torch.get_num_threads())
            return super().frames(latents)

    pipeline.engine = Watched(pipeline)
    pipeline.engine.threads = left
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        window(pipeline)
        assert torch.get_num_threads() == 3, "it has its threads again"
    finally:
        torch.set_num_threads(before)
    assert seen == [wanted]


def test_a_pipeline_is_asked_once_where_it_is(monkeypatch):
    """diffusers walks through all modules to answer; what moves the pipeline in between is noticed."""
    pipeline, asked = make_pipeline(), []
    known = DiffusionPipeline.device.fget
    monkeypatch.setattr(DiffusionPipeline, "device", property(lambda self: (asked.append(1), known(self))[1]))
    with pipeline.fixed_device():
        window(pipeline)
        window(pipeline)
        assert len(asked) == 1
        pipeline.to(torch.float64)
        assert (pipeline.dtype, pipeline.device.type) == (torch.float64, "cpu")
    assert len(asked) > 1
    del asked[:]
    window(pipeline)
    assert asked, "afterwards it may be anywhere"


def test_a_module_that_is_exchanged_is_the_one_that_runs():
    pipeline, other = make_pipeline(), make_pipeline()
    for parameter in other.vae.parameters():
        parameter.mul_(0.5)
    before = window(pipeline)
    pipeline.register_modules(vae=other.vae)
    assert not np.array_equal(before, window(pipeline))


def test_compiled_networks_are_the_ones_that_run(monkeypatch):
    """Captured by the compiler, run without generating code, which would take minutes."""
    compiled, original = [], torch.compile

    def quick(function: object, **options: object):
        compiled.append(options)
        return original(function, backend="eager", dynamic=options["dynamic"])

    monkeypatch.setattr(torch, "compile", quick)
    pipeline = make_pipeline()
    expected = window(pipeline)
    pipeline.engine = TorchEngine(pipeline, compiled=True)
    assert pipeline.engine.name == "torch, compiled"
    assert np.abs(window(pipeline) - expected).max() <= 1
    assert len(compiled) == 2


@pytest.mark.skipif("SIGNGEN_TEST_COMPILE" not in os.environ, reason="takes minutes: set SIGNGEN_TEST_COMPILE=1")
def test_compiled_code_computes_the_same():
    pipeline = make_pipeline()
    expected = window(pipeline)
    pipeline.engine = TorchEngine(pipeline, compiled=True)
    assert np.abs(window(pipeline) - expected).max() <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_keep_no_output_of_an_earlier_window():
    pipeline = make_pipeline().to("cuda")
    expected = [window(pipeline), window(pipeline, 2)]
    pipeline.engine = TorchEngine(pipeline, compiled=True)
    found = [window(pipeline), window(pipeline, 2)]
    assert max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True)) <= 2
