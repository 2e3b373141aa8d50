from __future__ import annotations

import numpy as np
import pytest
from torchmetrics import MetricCollection

from signgen.errors import InputError
from signgen.scoring.metrics import BackgroundDeviation, Flicker, MotionRatio, StillFlicker, TemporalDifferenceError
from signgen.scoring.metrics.temporal import STEADY, measure_steps

RNG = np.random.default_rng(2)
STEPS = (Flicker, MotionRatio, StillFlicker, TemporalDifferenceError)
EVERY = (*STEPS, BackgroundDeviation)
TRUE = RNG.integers(0, 4, (7, 12, 10, 3), dtype=np.uint8)
TRUE[:, :4] += RNG.integers(0, 200, (7, 4, 10, 3), dtype=np.uint8)
PRED = RNG.integers(0, 256, TRUE.shape, dtype=np.uint8)


def value(kind: type, *calls: tuple[np.ndarray, np.ndarray, bool]) -> float:
    metric = kind()
    for pred, true, continues in calls:
        metric.update(pred, true, continues=continues)
    return float(metric.compute())


@pytest.mark.parametrize("kind", EVERY)
def test_a_clip_in_pieces_scores_as_the_whole(kind: type) -> None:
    whole = value(kind, (PRED, TRUE, False))
    pieces = value(kind, (PRED[:1], TRUE[:1], False), (PRED[1:5], TRUE[1:5], True), (PRED[5:], TRUE[5:], True))
    assert pieces == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("kind", EVERY)
def test_floats_score_as_bytes(kind: type) -> None:
    expected = value(kind, (PRED, TRUE, False))
    assert value(kind, (PRED / 255.0, TRUE / 255.0, False)) == pytest.approx(expected, rel=1e-9)
    assert value(kind, (PRED[:3], TRUE[:3], False), (PRED[3:] / 255.0, TRUE[3:], True)) == pytest.approx(expected)


def test_step_by_step_values_have_the_sums_of_the_metrics() -> None:
    steps = measure_steps(PRED, TRUE)
    numerator = {
        Flicker: steps.pred_motion,
        MotionRatio: steps.pred_motion,
        StillFlicker: steps.still_sum,
        TemporalDifferenceError: steps.motion_error,
    }
    denominator = {MotionRatio: steps.true_motion, StillFlicker: steps.still_pixels}
    for kind in STEPS:
        assert numerator[kind].shape == (len(TRUE) - 1,)
        metric = kind()
        metric.update(PRED, TRUE)
        below = denominator.get(kind, np.ones(len(TRUE) - 1))
        assert metric.sums() == pytest.approx((numerator[kind].sum(), below.sum()))
    changes = np.abs(np.diff(PRED.astype(float), axis=0)).mean((1, 2, 3))
    assert steps.pred_motion == pytest.approx(changes)
    assert measure_steps(PRED[:1], TRUE[:1]).pred_motion.shape == (0,)


@pytest.mark.parametrize("kind", EVERY)
def test_clips_do_not_join(kind: type) -> None:
    both = value(kind, (PRED[:3], TRUE[:3], False), (PRED[3:], TRUE[3:], False))
    joined = value(kind, (PRED[:3], TRUE[:3], False), (PRED[3:], TRUE[3:], True))
    assert both != pytest.approx(joined, rel=1e-6)


@pytest.mark.parametrize("kind", EVERY)
def test_forward_leaves_the_running_value_alone(kind: type) -> None:
    metric = kind()
    metric(PRED[:4], TRUE[:4])
    metric(PRED[4:], TRUE[4:], continues=True)
    assert float(metric.compute()) == pytest.approx(value(kind, (PRED, TRUE, False)), rel=1e-9)


def test_the_true_video_and_a_frozen_one() -> None:
    frozen = np.repeat(TRUE[:1], len(TRUE), 0)
    assert value(MotionRatio, (TRUE, TRUE, False)) == pytest.approx(1)
    assert value(TemporalDifferenceError, (TRUE, TRUE, False)) == 0
    assert value(MotionRatio, (frozen, TRUE, False)) == 0
    assert value(BackgroundDeviation, (frozen, TRUE, False)) == 0
    assert value(TemporalDifferenceError, (frozen, TRUE, False)) == pytest.approx(value(Flicker, (TRUE, TRUE, False)))


def test_still_flicker_sees_only_still_pixels() -> None:
    pred = TRUE.copy()
    pred[:, 4:] = TRUE[:1, 4:]
    moving = (np.abs(np.diff(TRUE.astype(int), axis=0)) > 6).any(-1)
    assert moving[:, :4].mean() > 0.9
    pred[1::2, 4:] += 10  # flickers where the truth is still: every step is 10 levels
    pred[:, :4] = np.where(RNG.random((7, 4, 10, 3)) > 0.5, 255, 0)
    expected = np.abs(np.diff(pred.astype(float), axis=0)).mean(-1)[~moving].mean()
    assert value(StillFlicker, (pred, TRUE, False)) == pytest.approx(expected)


def test_background_deviation_by_hand() -> None:
    background = (TRUE.astype(float).std(0) <= STEADY).all(-1)
    assert background[4:].all()
    expected = PRED.astype(float).std(0).mean(-1)[background].mean()
    assert value(BackgroundDeviation, (PRED, TRUE, False)) == pytest.approx(expected)


def test_a_collection_shares_the_work_and_the_states() -> None:
    together = MetricCollection({kind.__name__: kind() for kind in STEPS})
    for start, stop in [(0, 2), (2, 4), (4, 7)]:
        together.update(PRED[start:stop], TRUE[start:stop], continues=start > 0)
    assert len(together.compute_groups) == 1
    for name, got in together.compute().items():
        kind = next(k for k in STEPS if k.__name__ == name)
        assert float(got) == pytest.approx(value(kind, (PRED, TRUE, False)), rel=1e-9)


def test_another_size_in_the_same_clip() -> None:
    for kind in EVERY:
        with pytest.raises(InputError, match="the clip so far"):
            value(kind, (PRED, TRUE, False), (PRED[:, :5], TRUE[:, :5], True))
