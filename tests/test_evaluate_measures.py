"""Measures with weights of their own, and what an evaluation loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from clip_maker import clip, noisy, save
from test_evaluate_pairing import data_set

from signgen.cli import main
from signgen.scoring import MeasureOptions, Request
from signgen.scoring.metrics import FID
from signgen.scoring.run import evaluate_request


def colours(images: Any) -> Any:
    """Mean colour of the upper and of the lower half: a backbone of six features."""
    half = images.shape[2] // 2
    import torch

    return torch.cat([images[:, :, :half].mean((2, 3)), images[:, :, half:].mean((2, 3))], 1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for seed, name in enumerate("abc"):
        true = clip(20, seed=seed)
        save(true, tmp_path / "true" / name)
        save(noisy(true, 20, seed), tmp_path / "made" / name)
    return tmp_path


def test_fid_is_that_of_all_frames_together(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signgen.scoring.metrics.fid.FID", lambda weights: FID(features=colours, name="colours"))
    options = MeasureOptions(fid_weights="given")
    result = evaluate_request(Request(pairs / "made", pairs / "true", measure=options, against=pairs / "true"))
    whole = FID(features=colours)
    for seed in range(3):
        whole.update(noisy(clip(20, seed=seed), 20, seed), clip(20, seed=seed))
    assert result.metrics["fid"] == pytest.approx(float(whole.compute()), rel=1e-6)
    assert result.intervals["fid"] is None
    assert "all frames together" in result.not_computed["intervals.fid"]
    assert result.signatures["fid"] == whole.signature.replace("given", "colours")
    assert result.against is not None
    assert result.against.metrics["fid"] == pytest.approx(0, abs=1e-9)
    difference = result.against.differences["fid"]
    assert (difference.interval, difference.p_value, difference.better) == (None, None, "against")


class ByBrightness:
    """Recognises as many signs as the first frame has levels of brightness, in steps of a hundred."""

    signature = "by brightness"

    def shrink(self, frames: Any) -> Any:
        return frames

    def recognise(self, frames: Any, fps: float) -> list[str]:
        frames = list(frames)
        return ["REGEN", "MORGEN"][: int(np.mean(frames[0]) // 100)]


def test_a_recogniser_hears_both_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true, made = data_set(tmp_path / "true", "x y"), data_set(tmp_path / "made", "x y")
    for root, levels in ((true, (250, 150)), (made, (150, 150))):  # 2 and 1 signs; 1 and 1
        for name, level in zip("xy", levels, strict=True):
            folder = next(root.rglob("fullFrame-210x260px")) / "test" / name
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            save(np.full((3, 80, 72, 3), level, np.uint8), folder)
    monkeypatch.setattr("signgen.scoring.recogniser.recogniser.Recogniser.load", lambda folder=None: ByBrightness())
    done = CliRunner().invoke(main, ["evaluate", str(made), str(true), "--json", "--recogniser"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["wer_true"] == pytest.approx(1 / 4)
    assert result["metrics"]["wer_generated"] == pytest.approx(2 / 4)
    assert result["metrics"]["recognition_retained"] == pytest.approx(2 / 3)
    assert result["counts"]["words"] == 4
    assert "by brightness" in result["signatures"]["wer_generated"]


def test_a_broken_hand_detector_of_our_own_costs_hand_pe_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.errors import InputError

    def refuse(*arguments: object) -> None:
        raise InputError("weights.safetensors", "not found", "install signgen again")

    monkeypatch.setattr("signgen.scoring.metrics.hand_pe.load_hand_detector", refuse)
    true = data_set(tmp_path / "true", "x y")
    result = evaluate_request(Request(true, true))
    assert "weights.safetensors: not found" in result.not_computed["hand_pe"]
    assert result.metrics["hand_ssim"] == pytest.approx(1)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        evaluate_request(Request(true, true, measure=MeasureOptions(hand_detector="mmpose")))


@pytest.mark.parametrize("field", ["jobs", "limit", "seed"])
def test_impossible_numbers_are_refused(field: str) -> None:
    from signgen.errors import InputError

    with pytest.raises(InputError, match=f"--{field}"):
        Request("a", "b", **{field: -1})


def test_help_of_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, signgen.cli as cli\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(cli.main, ['evaluate', '--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'scipy', 'cv2', 'numba', 'av', 'PIL', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
