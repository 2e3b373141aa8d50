from __future__ import annotations

import numpy as np
import pytest

from signgen.errors import InputError
from signgen.scoring.metrics import HandSSIM, hands

RNG = np.random.default_rng(1)
TRUE = RNG.integers(0, 256, (2, 90, 100, 3), dtype=np.uint8)


def keypoints(left: tuple[float, float], right: tuple[float, float], confidence: float) -> tuple[np.ndarray, ...]:
    xy, scores = np.zeros((2, 133, 2), np.float32), np.zeros((2, 133), np.float32)
    xy[:, 100], xy[:, 121] = left, right
    scores[:, 100], scores[:, 121] = 1, confidence
    return xy, scores


@pytest.mark.parametrize(
    ("centre", "corner"),
    [((50, 45), (20, 15)), ((49.5, 44.4), (20, 14)), ((0, 0), (0, 0)), ((99, 89), (40, 30)), ((500, -9), (40, 0))],
)
def test_shifted_window_stays_inside(centre: tuple[float, float], corner: tuple[int, int]) -> None:
    grid = np.stack(np.meshgrid(np.arange(100), np.arange(90)), -1)
    crop = hands.hand_crop(grid, centre)
    assert crop.shape == (60, 60, 2)
    assert tuple(crop[0, 0]) == corner


def test_only_confident_hands_count() -> None:
    metric = HandSSIM()
    metric.update(TRUE, TRUE, *keypoints((50, 45), (20, 20), 0.29))
    assert (int(metric.hands), int(metric.left_out)) == (2, 2)
    metric.update(TRUE, TRUE, *keypoints((50, 45), (20, 20), 0.3))
    assert (int(metric.hands), int(metric.left_out)) == (6, 2)
    assert float(metric.compute()) == pytest.approx(1)


def test_damage_outside_the_crops_does_not_matter_and_inside_does() -> None:
    xy, scores = keypoints((30, 30), (30, 40), 1)
    damaged = TRUE.copy()
    damaged[:, :, 60:] = 0
    assert hands.hand_ssim(damaged, TRUE, xy, scores) == pytest.approx(1)
    damaged[:, 61:68] = 0  # the right hand's crop (rows 10 to 69) reaches it, the left one's (0 to 59) does not
    values = hands.hand_ssim(damaged, TRUE, xy, scores)
    assert values[:, 0] == pytest.approx(1)
    assert (values[:, 1] < 0.95).all()


def test_no_hands_is_nan_and_counts_say_so() -> None:
    metric = HandSSIM()
    metric.update(TRUE, TRUE, np.zeros((2, 133, 2)), np.zeros((2, 133)))
    assert np.isnan(float(metric.compute()))
    assert int(metric.left_out) == 4


def test_bad_input() -> None:
    xy, scores = keypoints((30, 30), (30, 40), 1)
    with pytest.raises(InputError, match="keypoints"):
        hands.hand_ssim(TRUE, TRUE, xy[:1], scores)
    with pytest.raises(InputError, match="not finite"):
        hands.hand_ssim(TRUE, TRUE, xy * np.nan, scores)
    with pytest.raises(InputError, match="at least 60"):
        hands.hand_ssim(TRUE[:, :50], TRUE[:, :50], xy, scores)
    with pytest.raises(InputError, match="rules are"):
        hands.hand_crop(TRUE[0], (3, 3), border="wrap")
