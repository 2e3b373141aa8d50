"""Aligning one signer to another person's place and proportions."""

from __future__ import annotations

import numpy as np
import pytest
from keypoint_maker import signer

from signgen.errors import Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.repair.align import Completion, align_to


def without(keypoints: Keypoints, *parts: slice) -> Keypoints:
    confidence = keypoints.confidence.copy()
    for part in parts:
        confidence[:, part] = 0
    return Keypoints(keypoints.xy, confidence, *keypoints.size, keypoints.fps, keypoints.name)


def length(keypoints: Keypoints, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(keypoints.xy[:, a] - keypoints.xy[:, b], axis=-1)


def test_aligning_to_oneself_changes_nothing():
    keypoints = signer(16)
    aligned, report = align_to(keypoints, keypoints)
    assert np.abs(aligned.xy - keypoints.xy).max() < 1e-3
    assert report.shift == (0, 0)
    assert report.warnings == []


def test_aligning_undoes_a_similarity():
    keypoints = signer(16)
    far = keypoints.scaled(1.7, 1.7).shifted(30, -20)
    aligned, report = align_to(far, keypoints)
    assert report.shoulders == pytest.approx(1 / 1.7, rel=1e-3)
    seen = keypoints.confidence > 0
    assert np.abs(aligned.xy - keypoints.xy)[seen].max() < 0.05


def test_lengths_follow_the_reference_and_directions_the_driving_signer():
    driving, xy = signer(16), signer(16).xy.copy()
    for shoulder, elbow, wrist, hand in ((5, 7, 9, slice(91, 112)), (6, 8, 10, slice(112, 133))):
        move = 0.2 * (xy[:, elbow] - xy[:, shoulder])  # the reference's upper arms are 1.2 times as long
        for joints in ([elbow, wrist], list(range(hand.start, hand.stop))):
            xy[:, joints] += move[:, None]
    reference = Keypoints(xy, driving.confidence, 210, 260, 25)
    aligned, report = align_to(driving, reference)
    assert report.upper_arm == pytest.approx(1.2, rel=1e-3)
    assert report.forearm == pytest.approx(1.0, rel=1e-3)
    assert np.allclose(length(aligned, 5, 7), 1.2 * length(driving, 5, 7), rtol=1e-3)
    assert np.allclose(aligned.xy[:, 91] - aligned.xy[:, 9], driving.xy[:, 91] - driving.xy[:, 9], atol=1e-3)
    before, after = (k.xy[:, 9] - k.xy[:, 7] for k in (driving, aligned))
    assert np.allclose(before[:, 0] * after[:, 1], before[:, 1] * after[:, 0], rtol=1e-2)


def test_the_face_moves_as_one_piece():
    driving = signer(16)
    xy = driving.xy.copy()
    nose = xy[:, :1].copy()
    head = [*range(5), *range(23, 91)]
    xy[:, head] = nose + 1.3 * (xy[:, head] - nose) + [3, -5]
    aligned, report = align_to(driving, Keypoints(xy, driving.confidence, 210, 260, 25))
    assert report.head == pytest.approx(1.3, rel=1e-3)
    assert np.abs(aligned.xy[:, head] - xy[:, head]).max() < 0.05


def test_missing_parts_stay_missing_and_missing_heads_are_no_error():
    driving = without(signer(16), slice(1, 5), slice(11, 133))  # what little a reduced format shows
    aligned, _ = align_to(driving, signer(16).scaled(1.5, 1.5))
    assert np.array_equal(aligned.confidence, driving.confidence)
    assert (aligned.xy[aligned.confidence == 0] == 0).all()


def test_lost_shoulders_are_bridged_over_time():
    keypoints = signer(16)
    confidence = keypoints.confidence.copy()
    confidence[6:9, 5:7] = 0
    gap = Keypoints(keypoints.xy, confidence, 210, 260, 25)
    aligned, _ = align_to(gap, keypoints)
    seen = confidence > 0
    assert np.abs(aligned.xy - keypoints.xy)[seen].max() < 0.05


@pytest.mark.parametrize("lost", [[*range(23, 91)], [0, 1, 2, 3, 4, *range(23, 90)]])
def test_a_piece_without_a_seen_face_is_aligned_as_in_the_whole(lost):
    whole = signer(16)
    face = [*range(5), *range(23, 91)]
    large = whole.xy.copy()
    large[:, face] = large[:, :1] + 1.4 * (large[:, face] - large[:, :1])
    reference = Keypoints(large, whole.confidence, 210, 260, 25)
    confidence, xy = whole.confidence.copy(), whole.xy.copy()
    confidence[6:9, lost] = 0  # one point of the face is seen at most
    xy[6:9, lost] = 0
    driving = Keypoints(xy, confidence, 210, 260, 25)
    together = align_to(driving, reference)[0]
    piece = align_to(driving[6:9], reference, driving)[0]
    seen = confidence[6:9] > 0
    assert np.abs(piece.xy - together.xy[6:9])[seen].max() < 0.5
    assert np.abs(piece.xy - align_to(whole, reference)[0].xy[6:9])[seen].max() < 0.5


def test_a_piece_without_shoulders_is_completed_where_the_person_stands():
    whole = without(signer(16), slice(0, 5), slice(23, 91))
    confidence = whole.confidence.copy()
    confidence[:, 5:7][9:] = 0
    driving = Keypoints(whole.xy, confidence, 210, 260, 25)
    completion = Completion(signer(16), driving)
    piece, _ = completion.of(driving[10:12])
    assert np.abs(piece.xy[:, :5] - signer(16).xy[10:12, :5]).max() < 2


def test_impossible_proportions_are_held_and_reported():
    driving = signer(16)
    xy = driving.xy.copy()
    for hand in (slice(91, 112), slice(112, 133)):
        xy[:, hand] = xy[:, hand.start : hand.start + 1] + 0.1 * (xy[:, hand] - xy[:, hand.start : hand.start + 1])
    _, report = align_to(driving, Keypoints(xy, driving.confidence, 210, 260, 25))
    assert report.hand == pytest.approx(0.75)
    assert "hands would be scaled 0.10 times" in report.warnings[0]


def test_no_shoulders_is_an_input_error():
    with pytest.raises(Missing):
        align_to(without(signer(4), slice(5, 7)), signer(4))


def test_complete_fills_only_what_no_frame_shows():
    full = signer(16)
    nose_bridge, hips = slice(50, 54), slice(11, 13)
    part = without(full.scaled(1.4, 1.4).shifted(9, 3), nose_bridge, hips)
    done, warnings = Completion(full, part).of(part)
    wanted = full.scaled(1.4, 1.4).shifted(9, 3)
    assert np.abs(done.xy[:, nose_bridge] - wanted.xy[:, nose_bridge]).max() < 0.05
    assert np.abs(done.xy[:, hips] - wanted.xy[:, hips]).max() < 0.05
    assert (done.confidence[:, nose_bridge] == 0.5).all()
    seen = part.confidence > 0
    assert np.array_equal(done.xy[seen], part.xy[seen])
    assert len(warnings) == 2
    assert Completion(full, full).of(full)[1] == []


def test_an_unsure_shoulder_is_better_than_none():
    reference = signer(2)
    confidence = reference.confidence.copy()
    confidence[:, 5] = 0.2
    unsure = Keypoints(reference.xy, confidence, *reference.size, reference.fps)
    aligned, _ = align_to(reference, unsure)
    assert np.abs(aligned.xy - reference.xy).max() < 1e-3
