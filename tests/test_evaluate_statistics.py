"""Intervals and p-values against closed forms, SciPy, and systems whose difference is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from signgen.scoring.comparison import FLIPS, bootstrap_intervals, compare, percentile_interval, permutation_p, resample


def table(values: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Sums (C, 1, 2) of one metric whose clips have these values and weights."""
    weights = np.broadcast_to(np.asarray(weights, float), np.shape(values))
    return np.stack([values * weights, weights], -1)[:, None]


def test_clips_of_one_ratio_have_an_interval_of_no_width() -> None:
    (interval,) = bootstrap_intervals(table(np.full(12, 0.7), np.arange(1, 13)), seed=0)
    assert interval == pytest.approx((0.7, 0.7), abs=1e-12)


def test_two_clips_give_three_equally_known_outcomes() -> None:
    sums = resample(table(np.array([0.0, 1.0])), seed=3, draws=20_000)[:, 0, 0] / 2
    shares = [np.mean(sums == value) for value in (0, 0.5, 1)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.015)
    assert bootstrap_intervals(table(np.array([0.0, 1.0])), seed=3) == [(0.0, 1.0)]


def test_a_mean_has_the_interval_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    (interval,) = bootstrap_intervals(table(values), seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_a_ratio_of_sums_has_the_interval_of_the_delta_method() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(10, 90, 500).astype(float)
    values = rng.normal(0.8, 0.1, 500) + weights / 300  # long clips score higher
    sums = table(values, weights)
    ratio = (values * weights).sum() / weights.sum()
    half = 1.96 * np.std((values - ratio) * weights) / weights.mean() / np.sqrt(500)
    (interval,) = bootstrap_intervals(sums, seed=2)
    assert interval == pytest.approx((ratio - half, ratio + half), abs=0.1 * half)
    assert abs(np.mean(values) - ratio) > half, "a mean of clips would be another number"


def test_scipy_finds_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    sums = table(rng.random(60), rng.integers(1, 50, 60))

    def statistic(top: np.ndarray, bottom: np.ndarray, axis: int) -> np.ndarray:
        return top.sum(axis) / bottom.sum(axis)

    found = stats.bootstrap(
        (sums[:, 0, 0], sums[:, 0, 1]), statistic, paired=True, method="percentile", n_resamples=20_000, rng=0
    ).confidence_interval
    (interval,) = bootstrap_intervals(sums, seed=0, draws=20_000)
    assert interval == pytest.approx(tuple(found), abs=0.03 * (found.high - found.low))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(4), 0
    for trial in range(150):
        (interval,) = bootstrap_intervals(table(rng.normal(1, 1, 50)), seed=trial, draws=400)
        held += interval[0] <= 1 <= interval[1]
    assert 0.88 <= held / 150 <= 0.99


def test_one_clip_with_something_to_measure_has_no_interval() -> None:
    assert bootstrap_intervals(table(np.array([0.5, 0.5]), np.array([3.0, 0.0])), seed=0) == [None]


def test_draws_without_a_hand_are_no_zeros() -> None:
    sums = table(np.array([0.5, 0.7, 0, 0, 0, 0]), np.array([2.0, 2, 0, 0, 0, 0]))
    assert bootstrap_intervals(sums, seed=0) == [pytest.approx((0.5, 0.7))]
    assert percentile_interval(np.array([np.nan, np.nan])) is None


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    sums = table(np.random.default_rng(5).random(30))
    assert bootstrap_intervals(sums, seed=7) == bootstrap_intervals(sums, seed=7)
    assert bootstrap_intervals(sums, seed=7) != bootstrap_intervals(sums, seed=8)


# --- two systems ----------------------------------------------------------------------------------------------------


def test_a_system_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(6)
    for clips in (5, 40):
        sums = table(rng.random(clips), rng.integers(1, 9, clips))
        found = compare(sums, sums.copy(), ["ssim_wang"], seed=0)["ssim_wang"]
        assert (found.mean, found.interval, found.p_value, found.better) == (0, (0, 0), 1, None)


@pytest.mark.parametrize("clips", [5, 10])
def test_one_sided_differences_have_the_sign_tests_p(clips: int) -> None:
    values = np.random.default_rng(7).random(clips)
    found = compare(table(values + 0.05), table(values), ["ssim_wang"], seed=0)["ssim_wang"]
    assert found.mean == pytest.approx(0.05)
    assert found.interval == pytest.approx((0.05, 0.05))
    assert found.p_value == pytest.approx(2 / 2**clips)
    assert found.better == "generated"


def test_random_swaps_agree_with_all_of_them_and_with_scipy() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(0.4, 1, 12), rng.normal(0, 1, 12)
    both = np.stack([table(first), table(second)], 1)[:, :, 0]  # (C, 2, 2)
    exact = permutation_p(both, "psnr", seed=0)
    drawn = permutation_p(both, "psnr", seed=0, flips=4000)  # fewer than 2**12
    wanted = stats.permutation_test(
        (first, second), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert 0.02 < wanted < 0.98, "a case in which something can go wrong"
    assert exact == pytest.approx(wanted, abs=1e-9)
    assert drawn == pytest.approx(wanted, abs=0.03)


def test_a_clear_difference_of_many_clips_is_as_sure_as_swaps_can_say() -> None:
    values = np.random.default_rng(9).random(60)
    found = compare(table(values + 0.2), table(values), ["lpips"], seed=0)["lpips"]
    assert found.p_value == pytest.approx(1 / (FLIPS + 1))
    assert found.better == "against", "less is better"


def test_systems_that_differ_by_chance_are_rarely_told_apart() -> None:
    rng, alarms, excluded = np.random.default_rng(10), 0, 0
    for trial in range(80):
        clips = rng.random(20)
        sums = [table(clips + rng.normal(0, 0.1, 20)) for _ in range(2)]
        found = compare(*sums, ["ssim_wang"], seed=trial)["ssim_wang"]
        alarms += found.p_value < 0.05
        excluded += not found.interval[0] <= 0 <= found.interval[1]
    assert alarms <= 10
    assert excluded <= 13


def test_pairing_sees_what_two_separate_intervals_hide() -> None:
    rng = np.random.default_rng(11)
    clips = rng.normal(0, 1, 30)  # clips differ far more than systems do
    first, second = table(clips + 0.1 + rng.normal(0, 0.02, 30)), table(clips)
    alone = bootstrap_intervals(first, seed=0)[0], bootstrap_intervals(second, seed=0)[0]
    assert alone[0][0] < alone[1][1], "the systems' own intervals overlap"
    found = compare(first, second, ["psnr"], seed=0)["psnr"]
    assert found.interval[0] > 0
    assert found.p_value < 0.001


def test_motion_ratios_are_compared_by_their_distance_from_one() -> None:
    frozen, shaky = table(np.full(8, 0.5)), table(np.full(8, 1.2))
    found = compare(frozen, shaky, ["motion_ratio"], seed=0)["motion_ratio"]
    assert found.mean == pytest.approx(0.5 - 0.2)
    assert found.better == "against"
    alike = compare(table(np.full(8, 0.8)), table(np.full(8, 1.2)), ["motion_ratio"], seed=0)["motion_ratio"]
    assert alike.mean == pytest.approx(0, abs=1e-12)
    assert alike.p_value == 1


def test_flicker_alone_makes_no_system_better() -> None:
    assert compare(table(np.full(8, 1.0)), table(np.full(8, 2.0)), ["flicker"], seed=0)["flicker"].better is None


def test_nothing_measured_is_no_difference() -> None:
    nothing = table(np.zeros(4), 0.0)
    found = compare(table(np.ones(4)), nothing, ["hand_ssim"], seed=0)["hand_ssim"]
    assert (found.mean, found.interval, found.p_value, found.better) == (None, None, None, None)
