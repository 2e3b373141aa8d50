"""The benchmark of held-out signers, on a tiny untrained model and a few frames."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import make_pipeline, picture, signing

from signgen.models.wrist_finder import WristFinder

FRAMES, SIZE = 9, (210, 260)


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "held_out.py"
    spec = importlib.util.spec_from_file_location("held_out", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_clip(folder: Path, split: str) -> None:
    """A data set of one clip: noise over a picture, and somebody's keypoints."""
    release = folder / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    frames = release / "features" / "fullFrame-210x260px" / split / split
    corpus = release / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"
    for made in (frames, corpus.parent, folder / "keypoints"):
        made.mkdir(parents=True, exist_ok=True)
    corpus.write_text(f"name|video|start|end|speaker|orth|translation\n{split}|{split}/1/*.png|-1|-1|s01|A|a\n")
    rng = np.random.default_rng(0)
    for number in range(1, FRAMES + 1):
        frame = picture(SIZE) - rng.integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(frame).save(frames / f"images{number:04d}.png")
    person = signing(FRAMES, SIZE)
    points = np.concatenate([person.xy, person.confidence[..., None]], -1)
    np.savez(folder / "keypoints" / f"{split}.npz", keypoints=points, width=SIZE[0], height=SIZE[1], fps=25.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for split in ("dev", "test"):
        write_clip(folder, split)
    return folder


@pytest.fixture(autouse=True)
def finder(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    own_error = {split: {"true": {"mean_px": 1.0}} for split in ("dev", "test")}
    monkeypatch.setattr(bench, "load_wrist_finder", lambda: WristFinder().eval())
    monkeypatch.setattr(bench, "wrist_finder_report", lambda: own_error)


def test_table_json_and_sheet(bench: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.SignGenPipeline, "from_pretrained", lambda model: make_pipeline(SIZE))
    out, sheet = tmp_path / "r.json", tmp_path / "s.png"
    options = ["--known", data, "--new", data, "--json", out, "--sheet", sheet, "--steps", 1]
    done = CliRunner().invoke(bench.main, [str(option) for option in options], catch_exceptions=False)
    assert done.exit_code == 0
    results = json.loads(out.read_text())
    for kind in ("known", "new"):
        part = results[kind]
        assert (part["clips"], part["frames"]) == (1, FRAMES - 1)
        assert part["hands"] + part["hands_left_out"] == 2 * (FRAMES - 1)
        assert set(part["methods"]) == {"copy of the source", "autoencoder", "model"}
        assert part["methods"]["copy of the source"]["motion_ratio"] == 0
    assert "share of the gap closed" in done.stdout or results["known"]["gap_closed"] is None
    width, height = Image.open(sheet).size
    assert (width, height) == (5 * (210 + 120), 2 * 260)


def test_without_a_model_only_the_copy_is_scored(bench: ModuleType, data: Path) -> None:
    done = CliRunner().invoke(bench.main, ["--known", str(data), "--new", str(data), "--model", "none"])
    assert done.exit_code == 0, done.output
    assert "copy of the source" in done.stdout
    assert "gap closed" not in done.stdout


def test_gap_closed(bench: ModuleType) -> None:
    methods = {bench.COPY: {"hand_ssim": 0.4}, bench.CEILING: {"hand_ssim": 0.9}, bench.MODEL: {"hand_ssim": 0.8}}
    assert bench.gap_closed(methods) == pytest.approx(0.8)
    assert bench.gap_closed({bench.COPY: {"hand_ssim": 0.4}}) is None


def test_a_hand_that_is_not_there_stays_black(bench: ModuleType) -> None:
    frame = np.full((260, 210, 3), 200, np.uint8)
    panel = bench._panel(frame, np.array([[50.0, 50.0], [np.nan, np.nan]]))
    assert panel.shape == (260, 330, 3)
    assert not panel[:120, 210:].any()
    assert panel[120:240, 210:].all()
