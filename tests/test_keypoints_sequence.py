"""Keypoints: what it accepts, and its operations along space and time."""

from __future__ import annotations

import numpy as np
import pytest
from keypoint_maker import signer

from signgen.errors import BadValue, Empty, InputError
from signgen.keypoints import Keypoints


def make(xy: np.ndarray, confidence: np.ndarray, fps: float = 25.0) -> Keypoints:
    """One moving joint (number 9) with the given points (T,2) and confidences (T,)."""
    points, scores = np.zeros((len(xy), 133, 2)), np.zeros((len(xy), 133))
    points[:, 9], scores[:, 9] = xy, confidence
    return Keypoints(points, scores, 210, 260, fps)


# --- what it accepts ------------------------------------------------------------------------------------------
def test_arrays_are_float32_read_only_copies():
    xy = np.ones((2, 133, 2))
    keypoints = Keypoints(xy, np.ones((2, 133)), 210, 260, 25)
    xy[:] = 7
    assert keypoints.xy.dtype == keypoints.confidence.dtype == np.float32
    assert keypoints.xy.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        keypoints.xy[0] = 0


def test_a_missing_point_is_at_the_origin():
    keypoints = Keypoints(np.ones((1, 133, 2)), np.zeros((1, 133)), 210, 260, 25)
    assert (keypoints.xy == 0).all()


@pytest.mark.parametrize(
    ("xy", "confidence", "size", "fps", "words"),
    [
        (np.zeros((2, 17, 2)), np.zeros((2, 17)), (210, 260), 25, "shape (2, 17, 2)"),
        (np.zeros((0, 133, 2)), np.zeros((0, 133)), (210, 260), 25, "no frames"),
        (np.full((2, 133, 2), np.nan), np.ones((2, 133)), (210, 260), 25, "NaN"),
        (np.zeros((2, 133, 2)), np.full((2, 133), 1.5), (210, 260), 25, "confidences from 1.5 to 1.5"),
        (np.full((2, 133, 2), 1e300), np.ones((2, 133)), (210, 260), 25, "too large"),
        (np.zeros((2, 133, 2)), np.zeros((2, 133)), (0, 260), 25, "frame size 0x260"),
        (np.zeros((2, 133, 2)), np.zeros((2, 133)), (210.5, 260), 25, "frame size 210.5x260"),
        (np.zeros((2, 133, 2)), np.zeros((2, 133)), (210, 260), 0, "0 frames per second"),
        (np.zeros((2, 133, 2)), np.zeros((2, 133)), (210, 260), float("nan"), "nan frames per second"),
    ],
)
def test_refuses(xy, confidence, size, fps, words):
    with np.errstate(all="ignore"), pytest.raises(InputError) as caught:
        Keypoints(xy, confidence, *size, fps)
    assert words in caught.value.got


def test_clean_makes_raw_values_valid_and_says_so():
    xy, confidence = np.ones((2, 133, 2)), np.full((2, 133), 3.0)
    xy[0, 0], xy[0, 1], confidence[0, 2], confidence[0, 3] = np.nan, np.inf, -1, np.nan
    xy[1, 0] = 1e9
    keypoints, warnings = Keypoints.clean(xy, confidence, 210, 260, 25)
    assert (keypoints.confidence[0, :4] == 0).all()
    assert keypoints.confidence[1, 0] == 0
    assert (keypoints.confidence[0, 4:] == 1).all()
    text = " ".join(warnings)
    assert "3 points were NaN" in text
    assert "1 points lay more than" in text
    assert "exceed 1 (up to 3)" in text


def test_a_few_scores_above_one_are_clipped_silently():
    confidence = np.full((10, 133), 0.9)
    confidence[0, 0] = 1.01
    keypoints, warnings = Keypoints.clean(np.ones((10, 133, 2)), confidence, 210, 260, 25)
    assert warnings == []
    assert keypoints.confidence.max() == 1


# --- slices ---------------------------------------------------------------------------------------------------
def test_slices_keep_frames_and_follow_a_step():
    keypoints = signer(8)
    assert np.array_equal(keypoints[2:5].xy, keypoints.xy[2:5])
    assert keypoints[::2].fps == 12.5
    assert keypoints[3:] == keypoints[3:8]
    with pytest.raises(Empty):
        keypoints[8:9]
    with pytest.raises(TypeError):
        keypoints[3]


# --- place ----------------------------------------------------------------------------------------------------
def test_mirror_twice_is_the_same_and_once_swaps_hands():
    keypoints = signer(4)
    flipped = keypoints.mirror()
    assert np.abs(flipped.mirror().xy - keypoints.xy).max() < 1e-4
    assert np.allclose(flipped.xy[:, 91:112, 0], 209 - keypoints.xy[:, 112:133, 0])
    assert flipped.xy[0, 5, 0] > flipped.xy[0, 6, 0]  # the left shoulder stays on the picture's right


def test_moves_leave_missing_points_at_the_origin():
    keypoints = make(np.full((3, 2), 10.0), np.array([1.0, 0.0, 1.0]))
    for moved in (keypoints.shifted(5, 6), keypoints.mirror(), keypoints.resized(420, 520), keypoints.scaled(2, 3)):
        assert (moved.xy[moved.confidence == 0] == 0).all()
    assert keypoints.shifted(5, 6).xy[0, 9].tolist() == [15, 16]


def test_resized_maps_pixel_centres_and_keeps_the_last_one():
    keypoints = make(np.array([[0.0, 0.0], [209.0, 259.0]]), np.ones(2))
    big = keypoints.resized(420, 520)
    assert big.size == (420, 520)
    assert big.xy[:, 9].tolist() == [[0.5, 0.5], [418.5, 518.5]]
    assert keypoints.with_size(420, 520).xy[1, 9].tolist() == [209, 259]


def test_hand_boxes_stay_inside_the_frame():
    keypoints = signer(2).shifted(-60, 0)
    boxes, present = keypoints.hand_boxes(60)
    assert boxes.shape == (2, 2, 4)
    assert present.all()
    assert (boxes[..., 2:] - boxes[..., :2] == 60).all()
    assert boxes[..., :2].min() >= 0
    knuckle = keypoints.xy[0, 100]
    assert np.abs(boxes[0, 0, :2] + 30 - knuckle).max() <= 0.5
    absent = Keypoints(keypoints.xy, np.zeros((2, 133)), 210, 260, 25).hand_boxes()
    assert not absent[1].any()
    assert (absent[0] == 0).all()


# --- time -----------------------------------------------------------------------------------------------------
def test_resample_keeps_seconds_and_straight_movements():
    ramp = np.stack([np.arange(1.0, 26), 2 * np.arange(1.0, 26)], axis=1)
    slow = make(ramp, np.ones(25)).resample(50)
    assert len(slow) == 50
    assert slow.seconds == 1
    assert np.allclose(slow.xy[:48, 9, 0], 1 + np.arange(48) / 2)
    assert np.allclose(make(ramp, np.ones(25)).resample(12.5).xy[:, 9, 0], ramp[::2, 0][:12])


def test_resample_never_mixes_with_missing_points():
    keypoints = make(np.array([[100.0, 100.0], [0, 0], [50.0, 50.0]]), np.array([1.0, 0, 1.0]))
    dense = keypoints.resample(100)
    seen = dense.confidence[:, 9] > 0
    assert set(np.unique(dense.xy[seen, 9, 0])) == {50, 100}
    assert dense.confidence[2:6, 9].tolist() == [0, 0, 0, 0]


def test_fill_gaps_draws_lines_through_short_gaps_only():
    seen = np.array([1, 0, 0, 1, 0, 0, 0, 1, 0], dtype=float)
    keypoints = make(np.arange(1.0, 10)[:, None] * [1, 2] * seen[:, None], seen)
    filled = keypoints.fill_gaps(2)
    assert filled.xy[:, 9, 0].tolist() == [1, 2, 3, 4, 0, 0, 0, 8, 0]
    assert filled.confidence[:, 9].tolist() == [1, 0.5, 0.5, 1, 0, 0, 0, 1, 0]
    assert keypoints.fill_gaps(0) == keypoints
    with pytest.raises(InputError):
        keypoints.fill_gaps(-1)


def test_smooth_halves_the_power_at_the_cut_without_delay():
    t = np.arange(200) / 25
    for hz, gain in ((0.5, 1.0), (4.0, np.sqrt(0.5)), (11.0, 0.0)):
        wave = make(np.stack([100 + 10 * np.sin(2 * np.pi * hz * t), np.full(200, 50.0)], axis=1), np.ones(200))
        smooth = wave.smooth(4.0).xy[20:-20, 9, 0] - 100
        expected = gain * 10 * np.sin(2 * np.pi * hz * t)[20:-20]
        assert np.abs(smooth - expected).max() < 1.0
    assert wave.smooth(12.5) == wave


def test_smooth_keeps_straight_lines_to_the_ends_and_missing_points():
    seen = np.ones(30)
    seen[12:16] = 0
    line = np.arange(30.0)[:, None] * [2, 1] + 20
    line[16:] += 80  # another place after the gap
    keypoints = make(line * seen[:, None], seen)
    smooth = keypoints.smooth(2.0)
    assert np.array_equal(smooth.confidence, keypoints.confidence)
    assert np.abs(smooth.xy - keypoints.xy).max() < 1e-3


def test_smooth_trusts_sure_points_more():
    xy, confidence = np.full((31, 2), 50.0), np.ones(31)
    xy[15], confidence[15] = 90, 0.01
    assert make(xy, confidence).smooth(3.0).xy[15, 9, 0] < 51
    assert make(xy, np.ones(31)).smooth(3.0).xy[15, 9, 0] > 55


@pytest.mark.parametrize("hz", [0, -1, float("nan"), float("inf")])
def test_smooth_refuses(hz):
    with pytest.raises(BadValue):
        signer(4).smooth(hz)
