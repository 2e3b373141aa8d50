"""Every value of the recorded scores that our definitions cover, at the tolerances recorded with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from signgen.scoring.metrics import hands, image, temporal

FLAVOURS = {
    "ssim_win51": image.WIN51,
    "ssim_win7": image.WIN7,
    "ssim_gauss11": image.WANG,
    "ssim_gauss11_pred_range": image.WANG_PRED_RANGE,
}


@pytest.fixture(scope="module")
def record(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "metrics.json").read_text())


def load(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    picture = Image.open(path).convert("RGB")
    if size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)[None]


def pairs(record: dict[str, Any], golden: Path, size: tuple[int, int] | None = None) -> Any:
    for pair in record["pairs"]:
        yield pair, load(golden / pair["gen"], size), load(golden / pair["gt"], size)


def tolerance(record: dict[str, Any], name: str) -> float:
    return record["tolerance"]["ssim_*" if name.startswith("ssim") else name]["atol"]


def measured(pred: np.ndarray, true: np.ndarray) -> dict[str, float]:
    values = {name: image.ssim(pred, true, flavour)[0] for name, flavour in FLAVOURS.items()}
    difference = image.mae(pred, true)[0]
    return {**values, "psnr": image.psnr(pred, true)[0], "mae_255": difference, "similarity_255": 1 - difference / 255}


def test_whole_frames(record: dict[str, Any], golden: Path) -> None:
    for pair, pred, true in pairs(record, golden):
        got = measured(pred, true)
        assert set(got) == set(pair["values"])
        for name, expected in pair["values"].items():
            allowed = tolerance(record, "mae_255" if name == "similarity_255" else name)
            assert got[name] == pytest.approx(expected, abs=allowed), (pair["name"], name)


@pytest.mark.parametrize("variant", ["native", "resized_176x256"])
def test_reference_class(record: dict[str, Any], golden: Path, variant: str) -> None:
    size = None if variant == "native" else (176, 256)
    allowed = record["tolerance"]["reference_class" if size is None else variant]["atol"]
    for pair, pred, true in pairs(record, golden, size):
        got = {
            "psnr": image.psnr(pred, true)[0],
            "ssim": image.ssim(pred, true, image.WIN51)[0],
            "ssim_256": image.ssim(pred, true, image.WANG_PRED_RANGE)[0],
            "mae": image.mae(pred, true)[0] * pred.size / np.add(pred, true, dtype=float).sum(),
            "l1": image.mae(pred, true)[0] / 255,
        }
        for name, expected in pair["reference_class"][variant].items():
            assert got[name] == pytest.approx(expected, abs=allowed), (pair["name"], name)


def test_hand_crops_under_every_border_rule(record: dict[str, Any], golden: Path) -> None:
    checked = set()
    for pair, pred, true in pairs(record, golden):
        for crop in pair["hand_crops"]:
            for rule, values in crop["by_border_rule"].items():
                cut = [hands.hand_crop(f[0] / 255.0, crop["centre_xy"], crop["size"], rule) for f in (pred, true)]
                for name, expected in values.items():
                    got = image.ssim_pair(cut[0], cut[1], FLAVOURS[name])
                    assert got == pytest.approx(expected, abs=tolerance(record, name)), (pair["name"], rule, name)
                    checked.add(rule)
    assert checked == set(hands.BORDERS)


def test_hand_ssim_is_the_shifted_wang_crop(record: dict[str, Any], golden: Path) -> None:
    for pair, pred, true in pairs(record, golden):
        for crop in pair["hand_crops"]:
            xy, confidence = np.zeros((1, 133, 2)), np.zeros((1, 133))
            xy[0, 100], confidence[0, 100] = crop["centre_xy"], 0.3
            left, right = hands.hand_ssim(pred, true, xy, confidence, size=crop["size"])[0]
            expected = crop["by_border_rule"]["shift"]["ssim_gauss11"]
            assert left == pytest.approx(expected, abs=tolerance(record, "ssim_gauss11"))
            assert np.isnan(right)


def test_sequence(record: dict[str, Any], golden: Path) -> None:
    expected = record["sequence"]
    count = expected["frames"]
    pred, true = (
        np.concatenate([load(golden / "metrics" / "sequence" / f"{kind}_{i}.png") for i in range(count)])
        for kind in ("gen", "gt")
    )
    wanted = {
        temporal.Flicker: expected["mean_frame_diff_gen"],
        temporal.MotionRatio: expected["motion_ratio"],
        temporal.TemporalDifferenceError: expected["mean_temporal_difference_error"],
    }
    for kind, value in wanted.items():
        metric = kind()
        metric.update(pred, true)
        assert float(metric.compute()) == pytest.approx(value, abs=1e-6), kind
    for i in range(count - 1):
        step = temporal.Flicker()
        step.update(true[i : i + 2], pred[i : i + 2])
        assert float(step.compute()) == pytest.approx(expected["frame_diff_gt"][i], abs=1e-6)
