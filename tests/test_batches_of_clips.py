"""Batches in which several triplets come from one clip, so that pose alone tells them apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_runs import fusion_config, noise_cache

from signgen.dataset.cache import FrameCache
from signgen.dataset.pairs import draw_windows
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.training.run import run_stage


@pytest.fixture
def cache(tmp_path: Path):
    return FrameCache.open(cache_folder(noise_cache(tmp_path / "set")))


def test_triplets_of_a_clip_stand_together_and_differ(cache) -> None:
    windows = draw_windows(cache, 12, 1, np.random.default_rng(0), per_clip=4)
    assert (windows.clip.reshape(3, 4) == windows.clip.reshape(3, 4)[:, :1]).all()
    for clip, source, target in zip(windows.clip, windows.source, windows.target[:, 0], strict=True):
        first, last = cache.bounds[clip]
        assert first <= source < last
        assert first <= target < last
    assert all(len(set(frames)) > 1 for frames in windows.target.reshape(3, 4).tolist())


def test_without_it_batches_are_as_they_were(cache) -> None:
    usual, one = (draw_windows(cache, 12, 1, np.random.default_rng(0), **more) for more in ({}, {"per_clip": 1}))
    assert (usual.target == one.target).all()
    assert (usual.source == one.source).all()


def test_a_protocols_triplets_are_grouped_too(cache) -> None:
    pairs = np.array([[first, frame] for first, last in cache.bounds for frame in range(first, last)])
    windows = draw_windows(replace(cache, triplets=pairs), 8, 1, np.random.default_rng(1), per_clip=4)
    known = {tuple(pair) for pair in pairs.tolist()}
    assert {*zip(windows.source.tolist(), windows.target[:, 0].tolist(), strict=True)} <= known
    assert (windows.clip.reshape(2, 4) == windows.clip.reshape(2, 4)[:, :1]).all()


def test_it_divides_the_batch(tmp_path: Path) -> None:
    config = fusion_config(noise_cache(tmp_path / "set"), tmp_path / "out", batch=4, loss={"per_clip": 3})
    with pytest.raises(InputError, match=r"per_clip: got 3 for batches of 4; give a divisor of the batch"):
        run_stage(config)
