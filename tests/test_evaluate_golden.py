"""`signgen evaluate` on FPDM's published frames gives the recorded figures.

The whole clips (SSIM win51 0.929, motion ratio 1.23) are not stored; of them are stored six pairs of frames and one
sequence of four frames, and these are reproduced to the recorded tolerances.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from clip_maker import save_keypoints

from signgen.cli import main

NAMES = {"ssim_win51": "ssim_win51", "ssim_wang": "ssim_gauss11", "psnr": "psnr"}


@pytest.fixture(scope="module")
def record(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "metrics.json").read_text())


@pytest.fixture(scope="module")
def scored(golden: Path, record: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Any]]:
    """The pairs as folders of PNG, one frame a clip, through the command: its JSON and its lines per frame."""
    root = tmp_path_factory.mktemp("pairs")
    for pair in record["pairs"]:
        for kind in ("gen", "gt"):
            (root / kind / pair["name"]).mkdir(parents=True)
            shutil.copy(golden / pair[kind], root / kind / pair["name"] / "images0001.png")
        centres, sure = np.zeros((1, 2, 2)), np.zeros((1, 2))
        for side, crop in enumerate(pair["hand_crops"]):
            centres[0, side], sure[0, side] = crop["centre_xy"], 1
        save_keypoints(root / "k" / f"{pair['name']}.npz", centres, sure, (pair["width"], pair["height"]))
    result = evaluate(root / "gen", root / "gt", "--keypoints", str(root / "k"), "--csv", str(root / "frames.csv"))
    with (root / "frames.csv").open(newline="") as file:
        return result, list(csv.DictReader(file))


def evaluate(*arguments: object) -> Any:
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--json", "--jobs", "1"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def hand_values(pair: dict[str, Any]) -> list[float]:
    return [crop["by_border_rule"]["shift"]["ssim_gauss11"] for crop in pair["hand_crops"]]


def tolerance(record: dict[str, Any], name: str) -> float:
    return record["tolerance"]["ssim_*" if name.startswith("ssim") else name]["atol"]


def test_each_pair_has_its_recorded_values(record: dict[str, Any], scored: tuple[Any, list[Any]]) -> None:
    result, lines = scored
    by_clip = {clip["name"]: clip for clip in result["clips"]}
    by_line = {line["clip"]: line for line in lines}
    assert set(by_clip) == set(by_line) == {pair["name"] for pair in record["pairs"]}
    for pair in record["pairs"]:
        for ours, theirs in NAMES.items():
            wanted, allowed = pair["values"][theirs], tolerance(record, theirs)
            assert by_clip[pair["name"]]["metrics"][ours] == pytest.approx(wanted, abs=allowed)
            assert float(by_line[pair["name"]][ours]) == pytest.approx(wanted, abs=allowed)
        hands = by_clip[pair["name"]]["metrics"]["hand_ssim"]
        assert hands == pytest.approx(np.mean(hand_values(pair)), abs=tolerance(record, "ssim_gauss11"))


def test_the_totals_are_their_means(record: dict[str, Any], scored: tuple[Any, list[Any]]) -> None:
    result, _ = scored
    for ours, theirs in NAMES.items():
        wanted = np.mean([pair["values"][theirs] for pair in record["pairs"]])
        assert result["metrics"][ours] == pytest.approx(wanted, abs=tolerance(record, theirs))
        low, high = result["intervals"][ours]
        assert low < result["metrics"][ours] < high
    hands = [value for pair in record["pairs"] for value in hand_values(pair)]
    assert result["counts"]["hands"] == len(hands)
    assert result["metrics"]["hand_ssim"] == pytest.approx(np.mean(hands), abs=tolerance(record, "ssim_gauss11"))


def test_the_sequence_moves_as_recorded(golden: Path, record: dict[str, Any], tmp_path: Path) -> None:
    wanted = record["sequence"]
    for kind in ("gen", "gt"):
        (tmp_path / kind).mkdir()
        for i in range(wanted["frames"]):
            shutil.copy(golden / "metrics" / "sequence" / f"{kind}_{i}.png", tmp_path / kind)
    file = tmp_path / "frames.csv"
    result = evaluate(tmp_path / "gen", tmp_path / "gt", "--csv", file)
    metrics = result["metrics"]
    assert metrics["flicker"] == pytest.approx(wanted["mean_frame_diff_gen"], abs=1e-6)
    assert metrics["motion_ratio"] == pytest.approx(wanted["motion_ratio"], abs=1e-6)
    assert metrics["temporal_difference_error"] == pytest.approx(wanted["mean_temporal_difference_error"], abs=1e-6)
    with file.open(newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert lines[0]["flicker"] == "", "the first frame has none before it"
    assert [float(line["flicker"]) for line in lines[1:]] == pytest.approx(wanted["frame_diff_gen"], abs=1e-6)
    ratios = np.divide(wanted["frame_diff_gen"], wanted["frame_diff_gt"])
    assert [float(line["motion_ratio"]) for line in lines[1:]] == pytest.approx(list(ratios), abs=1e-6)
    truth = evaluate(tmp_path / "gt", tmp_path / "gt")["metrics"]
    assert truth["motion_ratio"] == 1.0
    assert truth["flicker"] == pytest.approx(wanted["mean_frame_diff_gt"], abs=1e-6)
