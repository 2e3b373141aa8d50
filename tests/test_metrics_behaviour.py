"""What every score must do: grow worse as the picture does, and never prefer a frozen video to the true one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from signgen.scoring.metrics import (
    MAE,
    PSNR,
    SSIM,
    TOF,
    BackgroundDeviation,
    Flicker,
    HandSSIM,
    MotionRatio,
    StillFlicker,
    TemporalDifferenceError,
)

FRAMES, HEIGHT, WIDTH = 7, 110, 96
RNG = np.random.default_rng(6)


def spots(height: int, width: int, size: float) -> np.ndarray:
    """A soft random texture (height,width,3), 20 to 235."""
    noise = gaussian_filter(RNG.normal(size=(height, width, 3)), (size, size, 0))
    return 20 + 215 * (noise - noise.min()) / np.ptp(noise)


def signer(hand: np.ndarray, background: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A textured disc on a still background at places (N,2), x and y of its centre: uint8 (N,HEIGHT,WIDTH,3)."""
    radius = len(hand) // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    alpha = np.clip(radius - np.hypot(x, y), 0, 1)[..., None]
    clip = np.repeat(background[None], len(places), 0)
    for frame, (cx, cy) in zip(clip, np.rint(places).astype(int), strict=True):
        part = frame[cy - radius : cy + radius + 1, cx - radius : cx + radius + 1]
        part[:] = alpha * hand + (1 - alpha) * part
    return np.rint(clip).astype(np.uint8)


HAND, BACKGROUND = spots(31, 31, 2), 128 + 0.2 * (spots(HEIGHT, WIDTH, 4) - 128)
PLACES = np.stack([30 + 5 * np.arange(FRAMES), 50 + 3 * np.arange(FRAMES)], 1).astype(float)
TRUE = signer(HAND, BACKGROUND, PLACES)
XY, CONFIDENCE = np.zeros((FRAMES, 133, 2)), np.zeros((FRAMES, 133))
XY[:, 100], CONFIDENCE[:, 100] = PLACES, 1.0


def mixed(share: float) -> np.ndarray:
    """The true clip (share 0), its first frame over and over (share 1), or a blend of both, in [0, 1]."""
    return (share * TRUE[:1] + (1 - share) * TRUE) / 255.0


def value(kind: Callable[[], object], pred: np.ndarray, true: np.ndarray = TRUE) -> float:
    metric = kind()
    keypoints = (XY, CONFIDENCE) if isinstance(metric, HandSSIM) else ()
    metric.update(pred, true, *keypoints)  # type: ignore[attr-defined]
    return float(metric.compute())  # type: ignore[attr-defined]


def badness(kind: Callable[[], object], pred: np.ndarray) -> float:
    """A metric's value turned so that less is better; for the motion ratio the distance from 1."""
    if kind is MotionRatio:
        return abs(value(kind, pred) - 1)
    sign = -1 if getattr(kind(), "higher_is_better", None) else 1
    return sign * value(kind, pred)


def blurred(sigma: float) -> np.ndarray:
    return gaussian_filter(TRUE, (0, sigma, sigma, 0))


NOISE = RNG.normal(size=TRUE.shape)


def noisy(level: float) -> np.ndarray:
    return np.clip(TRUE + level * NOISE, 0, 255).astype(np.uint8)


def displaced(pixels: float) -> np.ndarray:
    """The hand beside its place, the background as it was."""
    return signer(HAND, BACKGROUND, PLACES + [pixels, 0])


def delayed(frames: int) -> np.ndarray:
    return TRUE[np.maximum(np.arange(FRAMES) - frames, 0)]


PICTURE = [lambda: SSIM("win51"), lambda: SSIM("wang"), PSNR, MAE, HandSSIM]
DAMAGE = {
    "blur": (blurred, (0, 0.6, 1.2, 2.5)),
    "noise": (noisy, (0, 4, 12, 40)),
    "hand displacement": (displaced, (0, 2, 5, 10)),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", PICTURE, ids=["win51", "wang", "psnr", "mae", "hand_ssim"])
def test_pictures_score_worse_the_more_they_are_damaged(kind: Callable[[], object], damage: str) -> None:
    spoil, amounts = DAMAGE[damage]
    values = [badness(kind, spoil(amount)) for amount in amounts]
    assert np.diff(values).min() > 1e-6, values


@pytest.mark.parametrize("kind", [TOF, TemporalDifferenceError, MotionRatio, StillFlicker, BackgroundDeviation])
def test_flickering_noise_scores_worse_the_more_there_is(kind: Callable[[], object]) -> None:
    values = [badness(kind, noisy(level)) for level in (0, 4, 12, 40)]
    assert np.diff(values).min() > 1e-3, values


@pytest.mark.parametrize("kind", [TOF, TemporalDifferenceError])
def test_motion_at_the_wrong_time_scores_worse_than_at_the_right_one(kind: Callable[[], object]) -> None:
    late = [badness(kind, delayed(frames)) for frames in (0, 1, FRAMES)]
    assert late[0] == 0
    assert min(late[1:]) > 0.1


DISTANCES = (
    TOF,
    TemporalDifferenceError,
    MotionRatio,
)  # the temporal table as a whole: the truth scores 0, 0 and |1 - 1|


def frozen_clips() -> dict[str, np.ndarray]:
    still = {f"frame {n}": np.repeat(TRUE[n : n + 1], FRAMES, 0) for n in (0, FRAMES // 2, FRAMES - 1)}
    mean = np.repeat(TRUE.mean(0, keepdims=True), FRAMES, 0) / 255
    return {**still, "mean frame": mean, "grey": np.full(TRUE.shape, 128, np.uint8)}


def test_the_truth_is_the_best_of_the_temporal_table() -> None:
    assert [badness(kind, TRUE) for kind in DISTANCES] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("name", frozen_clips())
def test_a_frozen_video_is_worse_than_the_truth_in_every_distance(name: str) -> None:
    frozen = frozen_clips()[name]
    assert value(MotionRatio, frozen) == pytest.approx(0, abs=1e-9)
    assert value(TemporalDifferenceError, frozen) == pytest.approx(value(Flicker, TRUE))
    assert value(TOF, frozen) > 0.1


def test_what_a_frozen_video_wins_is_why_no_single_column_will_do() -> None:
    frozen = frozen_clips()["frame 0"]
    for kind in (Flicker, StillFlicker, BackgroundDeviation):
        assert value(kind, frozen) == 0
        assert value(kind, TRUE) >= 0
    assert value(Flicker, TRUE) > 1


def test_the_more_of_it_is_frozen_the_worse() -> None:
    shares = (0, 0.25, 0.5, 0.75, 1)
    step = value(Flicker, TRUE)
    for share in shares:
        assert value(TemporalDifferenceError, mixed(share)) == pytest.approx(share * step)
        assert value(MotionRatio, mixed(share)) == pytest.approx(1 - share)


@pytest.mark.parametrize("seed", range(5))
def test_no_frozen_video_passes_for_the_truth_of_any_moving_clip(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pace = rng.uniform(-4, 4, (FRAMES, 2))
    places = np.clip(np.cumsum(pace, 0) + [48, 55], 16, [WIDTH - 17, HEIGHT - 17])
    true = signer(HAND, BACKGROUND, places)
    frozen = np.repeat(true[rng.integers(FRAMES)][None], FRAMES, 0)
    assert value(TOF, frozen, true) > value(TOF, true, true) == 0
    assert value(TemporalDifferenceError, frozen, true) > value(TemporalDifferenceError, true, true) == 0
    assert value(MotionRatio, frozen, true) == 0
    assert value(MotionRatio, true, true) == 1
