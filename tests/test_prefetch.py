"""Batches made ahead are those that would have been made in time, in order, and failures come where they belong."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from signgen.dataset.batches import BatchMaker, made_ahead
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.pairs import draw_windows
from signgen.errors import InputError
from signgen.model.networks.canvas import fit_points
from signgen.pose_image.strokes import draw_clip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    rng = np.random.default_rng(0)

    def clips():
        for number in range(2):
            xy = rng.uniform(4, 60, (9, 133, 2))
            yield (
                f"c{number}",
                "s",
                rng.integers(0, 255, (9, 64, 66, 3), np.uint8),
                np.concatenate((xy, np.ones((9, 133, 1))), -1),
            )

    return build_cache(clips(), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(("ahead", "threads"), [(1, 1), (4, 3)])
def test_results_come_in_order_with_any_number_of_threads(ahead: int, threads: int) -> None:
    with made_ahead(lambda step: step * step, range(20), ahead, threads) as results:
        assert list(results) == [step * step for step in range(20)]
    with made_ahead(lambda step: step, itertools.count(5), ahead, threads) as endless:
        assert list(itertools.islice(endless, 3)) == [5, 6, 7]
    with made_ahead(lambda step: step, range(3), 0) as plain:
        assert list(plain) == [0, 1, 2]


def test_the_next_result_is_made_before_it_is_asked_for() -> None:
    made = [threading.Event() for _ in range(4)]
    with made_ahead(lambda step: made[step].set(), range(4), ahead=2) as results:
        assert made[1].wait(30)  # nothing was asked for yet
        next(results)
        assert made[2].wait(30)
        assert not made[3].is_set()


def test_a_failure_is_raised_in_its_turn() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise InputError("images0002.png", "is damaged", "unpack it again")
        return step

    with made_ahead(make, range(5)) as results:
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(InputError, match=r"images0002.png: is damaged"):
            next(results)


def test_a_batch_depends_on_seed_process_and_step_alone(cache: FrameCache) -> None:
    maker = BatchMaker(cache, 3, 2, (80, 88), Disturbance())
    make = lambda step: maker(np.random.default_rng((4, 1, step, 0)))  # noqa: E731
    with made_ahead(make, range(6), 3, 2) as batches:
        ahead = list(batches)[5]
    again = make(5)
    rng = np.random.default_rng((4, 1, 5, 0))
    windows = draw_windows(cache, 3, 2, rng, Disturbance())
    for batch in (ahead, again):
        assert np.array_equal(batch.windows.keypoints, windows.keypoints)
        assert np.array_equal(batch.sources, cache.frames[windows.source][:, None])
        assert np.array_equal(batch.targets, cache.frames[windows.target.ravel()].reshape(3, 2, 64, 66, 3))
        points = fit_points(windows.keypoints.reshape(-1, 133, 3), 66, 64, (80, 88))
        poses = draw_clip(points[..., :2], points[..., 2], (80, 88), (80, 88))
        assert np.array_equal(batch.poses.reshape(poses.shape), poses)
    assert again.rng.integers(1 << 40) == rng.integers(1 << 40) == ahead.rng.integers(1 << 40)
    assert BatchMaker(cache, 3, keys=())(rng).targets is None


def test_the_benchmark_measures_each_way_of_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    sys.modules.pop("loader_speed", None)
    bench = importlib.import_module("loader_speed")
    monkeypatch.setattr(bench, "CLIPS", 2)
    monkeypatch.setattr(bench, "FRAMES_A_CLIP", 4)
    done = CliRunner().invoke(bench.main, ["--seconds", "0", "--batch", "2", "--json"], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert [row["way"] for row in found] == ["cached", "cached, latents", "uncached", "uncached, latents"]
    assert all(row["samples_per_second"] > 0 and row["cpu_ms"] > 0 for row in found)
