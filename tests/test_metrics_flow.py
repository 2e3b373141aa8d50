"""tOF against shifts of a known number of pixels, and its streaming."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from signgen.errors import InputError
from signgen.scoring.metrics import TOF
from signgen.scoring.metrics.flow import Farneback, optical_flow, tof

HEIGHT, WIDTH, EDGE = 120, 110, 16
RNG = np.random.default_rng(3)


def texture(height: int, width: int) -> np.ndarray:
    """Soft random spots (height,width,3) over the whole range of values."""
    noise = gaussian_filter(RNG.normal(size=(height, width)), 4)
    levels = 255 * (noise - noise.min()) / np.ptp(noise)
    return np.repeat(np.rint(levels).astype(np.uint8)[..., None], 3, axis=-1)


PICTURE = texture(HEIGHT + 40, WIDTH + 40)


def sliding(steps: list[tuple[int, int]]) -> np.ndarray:
    """A clip whose content moves by (x, y) pixels at each step: (len(steps)+1, HEIGHT, WIDTH, 3)."""
    x = y = 20
    frames = [PICTURE[y : y + HEIGHT, x : x + WIDTH]]
    for dx, dy in steps:
        x, y = x - dx, y - dy  # the window goes the other way
        frames.append(PICTURE[y : y + HEIGHT, x : x + WIDTH])
    return np.stack(frames)


STILL = sliding([(0, 0), (0, 0)])


@pytest.mark.parametrize("shift", [(1, 0), (0, -2), (3, 4), (-4, 2)])
def test_flow_of_a_shift_is_the_shift(shift: tuple[int, int]) -> None:
    flow = optical_flow(sliding([shift]))
    assert flow.shape == (1, HEIGHT, WIDTH, 2)
    inside = flow[0, EDGE:-EDGE, EDGE:-EDGE].reshape(-1, 2)
    assert np.median(inside, axis=0) == pytest.approx(shift, abs=0.1)


@pytest.mark.parametrize("shift", [(1, 0), (0, -2), (3, 4)])
def test_a_frozen_clip_scores_the_true_motion(shift: tuple[int, int]) -> None:
    moving = sliding([shift, shift])
    values = tof(STILL, moving)
    assert values.shape == (2,)
    assert values == pytest.approx(np.hypot(*shift), rel=0.12)  # at the frame's edge nothing can be followed
    assert tof(moving, moving) == pytest.approx([0, 0], abs=0)


def test_it_is_the_difference_of_motions_and_grows_with_it() -> None:
    true = sliding([(2, 0)])
    values = [tof(sliding([step]), true)[0] for step in [(2, 0), (3, 0), (4, 0), (5, 0), (-2, 0)]]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[1:] == pytest.approx([1, 2, 3, 4], rel=0.15)


def test_flow_sees_motion_and_not_light() -> None:
    moving = sliding([(2, 1), (2, 1)])
    darker = (moving * 0.9).astype(np.uint8)
    assert tof(darker, moving).max() < 0.05


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_clip_in_pieces_scores_as_the_whole_and_clips_do_not_join(cut: int) -> None:
    pred, true = sliding([(1, 0), (0, 2), (-1, 1)]), sliding([(0, 1), (2, 2), (1, 1)])
    expected = tof(pred, true)
    metric = TOF()
    metric.update(pred[:cut], true[:cut])
    metric.update(pred[cut:], true[cut:], continues=True)
    assert float(metric.compute()) == pytest.approx(expected.mean())
    assert metric.sums() == pytest.approx((expected.sum(), 3))
    metric.reset()
    metric.update(pred[:cut], true[:cut])
    metric.update(pred[cut:], true[cut:])
    assert metric.sums()[1] == 2


def test_forward_leaves_the_running_value_alone_and_floats_score_as_bytes() -> None:
    pred, true = sliding([(1, 0), (0, 2)]), sliding([(0, 1), (2, 2)])
    metric = TOF()
    metric(pred[:2], true[:2])
    metric(pred[2:] / 255.0, true[2:] / 255.0, continues=True)
    assert float(metric.compute()) == pytest.approx(tof(pred, true).mean())


def test_parameters_count_and_are_in_the_signature() -> None:
    pred, true = sliding([(6, 0)]), sliding([(0, 0)])
    other = Farneback(levels=1, winsize=7)
    assert tof(pred, true, other) != pytest.approx(tof(pred, true), rel=1e-3)
    assert TOF().signature == (
        "tof|l2|farneback,levels:3,scale:0.5,window:box15,iterations:3,poly:5/1.2,grey:bt601-8bit|px|v1"
    )
    assert "levels:1," in TOF(other).signature
    assert "box7" in TOF(other).signature
    metric = TOF(other).to("cpu")  # a torch module like any other
    metric.update(pred, true)
    assert float(metric.compute()) == pytest.approx(tof(pred, true, other)[0])


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = TOF()
    metric.update(STILL, STILL)
    with pytest.raises(InputError, match="the clip so far"):
        metric.update(STILL[:, :60], STILL[:, :60], continues=True)
    with pytest.raises(InputError, match="the true frames have"):
        tof(STILL[:, :60], STILL)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="pip install opencv-python-headless"):
        tof(STILL, STILL)
