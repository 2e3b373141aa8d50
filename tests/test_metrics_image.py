from __future__ import annotations

import numpy as np
import pytest
import torch

from signgen.errors import InputError
from signgen.scoring.metrics import MAE, PSNR, SSIM, SSIMDefinition, image

RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 256, (3, 64, 70, 3), dtype=np.uint8)
PRED = np.clip(TRUE + RNG.normal(0, 30, TRUE.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "definition",
    [*image.DEFINITIONS.values(), SSIMDefinition("odd", "gaussian", 5, True, sigma=0.7)],
    ids=lambda d: d.name,
)
def test_compiled_ssim_equals_scikit_image(definition: SSIMDefinition) -> None:
    flat = np.full_like(TRUE[0], 90)
    flat[0, 0] = 0
    for pred, true in [(PRED[0], TRUE[0]), (TRUE[1], flat), (flat, TRUE[1]), (flat, flat)]:
        expected = image.reference_ssim(pred / 255.0, true / 255.0, definition)
        assert image.ssim_pair(pred / 255.0, true / 255.0, definition) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", [SSIM("wang"), SSIM("win51"), PSNR(), MAE()], ids=lambda m: m.signature)
def test_streaming_equals_one_batch_and_uint8_equals_float(metric: SSIM) -> None:
    metric.update(PRED[:1], TRUE[:1])
    metric.update(torch.from_numpy(PRED[1:] / 255.0), torch.from_numpy(TRUE[1:] / 255.0))
    streamed = float(metric.compute())
    metric.reset()
    metric.update(PRED, TRUE)
    assert streamed == pytest.approx(float(metric.compute()), abs=1e-12)


def test_identical_frames_score_the_best_value() -> None:
    assert float(SSIM("wang")(TRUE, TRUE)) == pytest.approx(1)
    assert float(SSIM("win51")(TRUE, TRUE)) == pytest.approx(1)
    assert float(PSNR()(TRUE, TRUE)) == image.PSNR_CAP
    assert float(MAE()(TRUE, TRUE)) == 0


def test_psnr_by_hand() -> None:
    true = np.zeros((1, 8, 8, 3), np.uint8)
    assert image.psnr(true + np.uint8(51), true)[0] == pytest.approx(20 * np.log10(5))


def test_no_frames_is_nan() -> None:
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert np.isnan(float(SSIM().compute()))


@pytest.mark.parametrize(
    ("pred", "words"),
    [
        (TRUE[0], "shape"),
        (TRUE[:2], "shape"),
        (TRUE.astype(np.float32), "values 0 to 255"),
        (TRUE.astype(np.int64), "int64"),
        (np.full(TRUE.shape, np.nan), "nan"),
    ],
)
def test_bad_frames_are_named(pred: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SSIM()(pred, TRUE)


def test_window_larger_than_the_frame() -> None:
    with pytest.raises(InputError, match="at least 51"):
        SSIM("win51")(TRUE[:, :40], PRED[:, :40])
    with pytest.raises(InputError, match="wang"):
        SSIM("wing")


def test_signatures_tell_flavours_apart() -> None:
    signatures = {SSIM(name).signature for name in image.DEFINITIONS}
    assert len(signatures) == len(image.DEFINITIONS)
    assert SSIM("win51").signature == "ssim|win51,window:uniform51,cov:sample,range:1,border:valid|rgb|v1"
