"""The sampler's benchmark at tiny size: evaluations, counted operations, and frames that savings do not change."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from benches import load
from click.testing import CliRunner

from signgen.errors import InputError

TINY = ["--tiny", "--device", "cpu", "--dtype", "float32", "--steps", "4"]
EXACT = ("collapse", "once", "keep", "skip", "exact")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("bench_sampler")


@pytest.fixture(scope="module")
def result(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("bench") / "out.json"
    arguments = [*TINY, "--frames", "0", "--json", str(path)]  # another test measures the time
    done = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "| published | 4 x 3 | 12 |" in done.output
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def rows(bench: ModuleType, result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(zip(bench.WAYS, result["rows"], strict=True))


def test_evaluations_a_frame(rows: dict[str, dict[str, Any]]) -> None:
    counts = {name: row["evaluations_per_frame"] for name, row in rows.items()}
    assert counts == {
        "published": 12, "collapse": 8, "once": 12, "keep": 12, "skip": 12, "exact": 8,
        "student4": 4, "student2": 2, "student1": 1, "small4": 4, "narrow4": 4,
    }  # fmt: skip


def test_savings_do_not_change_the_frames(rows: dict[str, dict[str, Any]]) -> None:
    for name in EXACT:
        assert rows[name]["largest_difference"] <= 1, name
        assert rows[name]["largest_latent_difference"] < 1e-4, name
    for name in ("once", "keep", "skip"):
        assert rows[name]["largest_latent_difference"] == 0, name
    assert "largest_difference" not in rows["student4"]


def test_each_saving_computes_less_where_it_says(rows: dict[str, dict[str, Any]]) -> None:
    parts = {name: row["tflop_by_part"] for name, row in rows.items()}
    published = parts["published"]
    assert parts["collapse"]["denoiser"] == pytest.approx(published["denoiser"] * 2 / 3, rel=1e-6)
    assert parts["once"]["source"] == pytest.approx(published["source"] / 101, rel=1e-6)
    for name in ("keep", "skip"):
        assert parts[name]["denoiser"] < published["denoiser"]
        assert parts[name]["source"] == published["source"]
    total = {name: row["tflop_per_frame"] for name, row in rows.items()}
    assert total["exact"] < min(total[name] for name in EXACT[:-1])
    assert total["published"] / total["exact"] > 1.5
    assert parts["small4"]["decoder"] < parts["student4"]["decoder"]
    assert parts["student4"]["denoiser"] == pytest.approx(2 * parts["student2"]["denoiser"], rel=0.02)
    assert rows["narrow4"]["canvas"] == [56, 64]
    assert total["narrow4"] < total["small4"]


def test_steps_that_are_not_run_are_counted_as_the_last_that_was(
    bench: ModuleType, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "out.json"
    short = [*TINY, "--run-steps", "2", "--ways", "exact,student4", "--frames", "1", "--json", str(path)]
    assert CliRunner().invoke(bench.main, short, catch_exceptions=False).exit_code == 0
    for row, name in zip(json.loads(path.read_text())["rows"], ("published", "exact", "student4"), strict=True):
        assert row["tflop_by_part"] == pytest.approx(rows[name]["tflop_by_part"], rel=1e-9), name
        assert row["seconds_by_part"]["denoiser"] > 0
        assert row["evaluations_per_frame"] == rows[name]["evaluations_per_frame"]


def test_operations_are_those_of_the_layers(bench: ModuleType) -> None:
    """Fused attention included, which torch itself leaves out on a CPU."""
    ways = load("sampler_ways")
    queries, keys = torch.randn(2, 4, 16, 8), torch.randn(2, 4, 10, 8)
    watch = ways.Watch(torch.device("cpu"), counting=True)
    with torch.inference_mode(), watch.part("denoiser"):
        torch.nn.functional.scaled_dot_product_attention(queries, keys, keys)
        torch.nn.Conv2d(3, 5, 3, padding=1)(torch.randn(1, 3, 6, 7))
    assert watch.cost.total() == 2 * (2 * 4 * 16 * 10 * 8) * 2 + 2 * (3 * 5 * 9 * 6 * 7)


def test_what_cannot_be_measured_is_refused(bench: ModuleType) -> None:
    with pytest.raises(InputError, match="'faster'"):
        bench.chosen_ways("exact,faster")
    assert [(way.steps, way.branches) for way in bench.chosen_ways("exact,student2")] == [(20, 3), (20, 2), (2, 1)]
    with pytest.raises(InputError, match="multiples"):
        CliRunner().invoke(bench.main, ["--tiny", "--side", "100"], catch_exceptions=False)
