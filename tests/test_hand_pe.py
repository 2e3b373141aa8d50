from __future__ import annotations

import numpy as np
import pytest
from hand_painter import HEIGHT, LEFT, RIGHT, WIDTH, Spotter, keypoints, painted

from signgen.errors import InputError
from signgen.scoring.metrics.hand_detectors import search_boxes
from signgen.scoring.metrics.hand_pe import HandPE, HandPEDrive, hand_pe, hand_pe_drive, look


def moved(by: tuple[int, int]) -> np.ndarray:
    """The right hand elsewhere, the left one in its place."""
    return painted(right=(RIGHT[0] + by[0], RIGHT[1] + by[1]))


# --- search_boxes ------------------------------------------------------------------------------------------------


def test_box_is_the_stated_square_around_the_points() -> None:
    boxes = search_boxes(*keypoints(), WIDTH, HEIGHT)
    # 20 pixels across and down (rows -2 to 2 of 5 pixels): 1.5 times that is below 0.12 of 260, which is the side.
    assert boxes[0, 0] == pytest.approx([150 - 15.6, 120 - 15.6, 150 + 15.6, 120 + 15.6])
    xy, confidence = keypoints()
    xy[0, 92] = LEFT[0] - 50, LEFT[1]  # 60 across
    assert search_boxes(xy, confidence, WIDTH, HEIGHT)[0, 0] == pytest.approx([130 - 45, 75, 130 + 45, 165])


def test_box_leaves_out_points_without_confidence_and_hands_without_knuckle() -> None:
    xy, confidence = keypoints(sure=(1, 0.29))
    xy[0, 92], confidence[0, 92] = (0, 0), 0.29
    boxes = search_boxes(xy, confidence, WIDTH, HEIGHT)
    assert boxes[0, 0] == pytest.approx([134.4, 104.4, 165.6, 135.6])
    assert np.isnan(boxes[0, 1]).all()


def test_box_is_shifted_into_the_frame_and_centred_where_it_does_not_fit() -> None:
    boxes = search_boxes(*keypoints((3, 258), (200, 5)), WIDTH, HEIGHT)
    assert boxes[0, 0] == pytest.approx([-0.5, 259.5 - 31.2, 30.7, 259.5])
    assert boxes[0, 1] == pytest.approx([209.5 - 31.2, -0.5, 209.5, 30.7])
    xy, confidence = keypoints((12, 12), (12, 12))
    assert search_boxes(xy, confidence, 24, 300)[0, 0] == pytest.approx([11.5 - 18, -0.5, 11.5 + 18, 35.5])


# ---- the scores, with a detector that can be computed by hand --------------------------------------------------------


def test_identical_frames_score_zero() -> None:
    metric = HandPE(Spotter())
    metric.update(painted(count=3), painted(count=3), *keypoints(count=3))
    assert float(metric.compute()) == 0
    assert (int(metric.hands), int(metric.joints), int(metric.left_out), int(metric.not_found)) == (6, 126, 0, 0)


def test_displaced_hand_scores_its_displacement_on_each_axis() -> None:
    metric = HandPE(Spotter())
    metric.update(moved((4, -3)), painted(), *keypoints())
    assert float(metric.compute()) == pytest.approx((0 + 7) / 2)  # the left hand is in its place
    metric.update(moved((0, 5)), painted(), *keypoints(sure=(0, 1)))  # a frame with one hand weighs half
    assert float(metric.compute()) == pytest.approx((0 + 7 + 5) / 3)
    assert (int(metric.hands), int(metric.left_out)) == (3, 1)


def test_drive_compares_with_the_keypoints_that_are_sure() -> None:
    metric = HandPEDrive(Spotter())
    xy, confidence = keypoints()
    xy[0, 112] += 40  # the right hand's root, of which the estimator is not sure: box and score leave it out
    confidence[0, 112] = 0.1
    metric.update(moved((-2, 2)), xy, confidence)
    assert float(metric.compute()) == pytest.approx((21 * 0 + 20 * 4) / 41)
    assert (int(metric.hands), int(metric.joints)) == (2, 41)


def test_per_frame_sums_give_the_total() -> None:
    detector, (xy, confidence) = Spotter(), keypoints(count=2)
    true, pred = painted(count=2), np.concatenate([moved((3, 0)), moved((6, 1))])
    found_pred, found_true = (look(detector, frames, xy, confidence) for frames in (pred, true))
    errors = hand_pe(found_pred, found_true, detector)
    assert errors.sums() == pytest.approx([21 * 3, 21 * 7])
    assert errors.joints().tolist() == [42, 42]
    assert errors.sums() == pytest.approx(hand_pe_drive(found_pred, xy, confidence, detector).sums())


def test_hands_that_are_not_found_are_counted_and_not_scored() -> None:
    empty = np.zeros_like(painted())
    metric = HandPE(Spotter())
    metric.update(empty, painted(), *keypoints())
    assert np.isnan(float(metric.compute()))
    assert (int(metric.hands), int(metric.not_found), int(metric.not_found_true)) == (0, 2, 0)
    metric.update(painted(), empty, *keypoints(sure=(0.1, 1)))
    assert (int(metric.hands), int(metric.left_out), int(metric.not_found), int(metric.not_found_true)) == (0, 1, 3, 1)
    metric.update(moved((1, 0)), painted(), *keypoints())
    assert float(metric.compute()) == pytest.approx(0.5)
    drive = HandPEDrive(Spotter())
    drive.update(empty, *keypoints())
    assert (int(drive.hands), int(drive.not_found)) == (0, 2)


def test_pieces_score_as_the_whole_and_states_merge() -> None:
    true, pred = painted(count=3), np.concatenate([moved((k, k)) for k in (1, 2, 5)])
    xy, confidence = keypoints(count=3)
    whole, pieces = HandPE(Spotter()), HandPE(Spotter())
    whole.update(pred, true, xy, confidence)
    for i in range(3):
        pieces.update(pred[i : i + 1], true[i : i + 1], xy[i : i + 1], confidence[i : i + 1])
    assert float(whole.compute()) == pytest.approx(float(pieces.compute())) == pytest.approx(16 / 6)


def test_floats_score_as_bytes_and_signatures_name_detector_and_box() -> None:
    first, second = HandPE(Spotter()), HandPE(Spotter())
    first.update(moved((4, 4)), painted(), *keypoints())
    second.update(moved((4, 4)) / 255.0, painted() / 255.0, *keypoints())
    assert float(first.compute()) == float(second.compute())
    for metric in (HandPE(Spotter()), HandPEDrive(Spotter())):
        assert "detector:spotter" in metric.signature
        assert "1.5x-extent" in metric.signature
    assert HandPE(Spotter()).signature != HandPEDrive(Spotter()).signature


def test_bad_input_is_one_line() -> None:
    metric, frames = HandPE(Spotter()), painted()
    bad = [
        ((frames, painted(count=2), *keypoints()), "true frames have"),
        ((frames, frames, *keypoints(count=2)), "keypoints"),
        ((frames[0], frames[0], *keypoints()), "N,H,W,3"),
        ((frames.astype(np.int32), frames.astype(np.int32), *keypoints()), "uint8"),
        ((frames / 100.0, frames / 100.0, *keypoints()), "lie in"),
        ((frames, frames, keypoints()[0] * np.nan, keypoints()[1]), "not finite"),
    ]
    for arguments, words in bad:
        with pytest.raises(InputError, match=words) as caught:
            metric.update(*arguments)
        assert "\n" not in str(caught.value)
    assert int(metric.joints) == 0
