"""Retrieval by the fusion embedding: ranks by hand, and the benchmark's command on tiny models."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from benches import load
from click.testing import CliRunner
from PIL import Image
from training_runs import VISION

from signgen.errors import InputError
from signgen.model.networks.fusion import FusionModel


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("retrieval")


def test_ranks_count_what_is_more_similar(bench: ModuleType) -> None:
    gallery = np.array([[1, 0], [0, 2], [-1, 0], [3, 3]], np.float32)
    queries = np.array([[2, 0.1], [0.1, 1], [1, 0]], np.float32)
    assert bench.ranks(queries, gallery, np.array([0, 1, 2])).tolist() == [1, 1, 4]
    assert bench.ranks(queries, gallery, np.array([3, 3, 3])).tolist() == [2, 2, 2]


def test_what_tells_nothing_apart_comes_last(bench: ModuleType) -> None:
    same = np.ones((5, 3), np.float32)
    assert bench.ranks(same[:2], same, np.array([0, 4])).tolist() == [5, 5]


def test_sums_add_up_to_recall_and_mean_rank(bench: ModuleType) -> None:
    table = bench.sums(np.array([1, 2, 6])) + bench.sums(np.array([1]))
    assert (table[:, 0] / table[:, 1]).tolist() == [0.5, 0.75, 0.75, 2.5]


def test_random_embeddings_are_at_chance(bench: ModuleType) -> None:
    rng = np.random.default_rng(0)
    gallery, queries = rng.normal(size=(40, 16)), rng.normal(size=(4000, 16))
    table = bench.sums(bench.ranks(queries, gallery, rng.integers(40, size=4000)))
    assert table[:, 0] / table[:, 1] == pytest.approx(list(bench.chance(40).values()), rel=0.1)


def test_answers_outside_of_the_gallery_are_refused(bench: ModuleType) -> None:
    with pytest.raises(InputError, match="answers from 0 to 7"):
        bench.ranks(np.ones((2, 3)), np.ones((4, 3)), np.array([0, 7]))
    with pytest.raises(InputError, match="one width"):
        bench.ranks(np.ones((2, 3)), np.ones((4, 2)), np.array([0, 1]))


def write_clips(root: Path, split: str) -> Path:
    """Two clips of nine frames in the release's layout; a bright block stands where the pose's points are."""
    release = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
    rng = np.random.default_rng(len(split))
    rows = ["name|video|start|end|speaker|orth|translation"]
    (root / "keypoints").mkdir(parents=True)
    for name in (f"{split}-one", f"{split}-two"):
        folder = release / "features/fullFrame-210x260px" / split / name
        folder.mkdir(parents=True)
        places = rng.integers(20, 180, (9, 2))
        for number, (x, y) in enumerate(places, 1):
            frame = np.full((260, 210, 3), 90 if name.endswith("one") else 160, np.uint8)
            frame[y : y + 25, x : x + 25] = 255
            Image.fromarray(frame).save(folder / f"images{number:04d}.png")
        points = np.ones((9, 133, 3), np.float32)
        points[..., :2] = places[:, None] + rng.uniform(0, 25, (133, 2))
        np.savez(root / "keypoints" / f"{name}.npz", keypoints=points)
        rows.append(f"{name}|{name}/1/*.png|-1|-1|s01|A|a")
    corpus = release / f"annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"
    corpus.parent.mkdir(parents=True)
    corpus.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def test_the_command_writes_a_table_of_every_model(bench: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name, combine in (("alone", False), ("fused", True)):
        FusionModel(vision=VISION, combine=combine).save_pretrained(tmp_path / name)
    known, new = (write_clips(tmp_path / split, split) for split in ("dev", "test"))
    arguments = [f"A1 alone={tmp_path / 'alone'}", f"A3={tmp_path / 'fused'}", "--known", str(known)]
    arguments += ["--new", str(new), "--gap", "2", "--json", str(tmp_path / "out.json")]
    done = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [(row["kind"], row["model"]) for row in rows[:3]] == [
        ("known", "random order"), ("known", "A1 alone"), ("known", "A3"),
    ]  # fmt: skip
    assert {(row["gallery"], row["queries"]) for row in rows} == {(10, 8)}
    alone = rows[1]["values"]
    assert alone["recall_at_1"] == 0, "the source finds itself first: it is in the gallery"
    assert 2 <= alone["mean_rank"] <= 10
    assert "| A1 alone | 0.000" in done.output
    with pytest.raises(InputError, match="holds no fusion model"):
        bench.named_folders((f"A1={tmp_path}",))
