"""Elbows lost between a shoulder and a wrist: arms keep their lengths, bend outwards, and move on smoothly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_pipeline import signing

from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.skeleton import LEFT_ELBOW, LEFT_SHOULDER, LEFT_WRIST, RIGHT_ELBOW, RIGHT_SHOULDER, RIGHT_WRIST

FRAMES = 24


def person(lost: dict[int, slice]):
    """210x260, arms of 80 and 70 pixels; joint -> the frames in which it is lost, at (0, 0)."""
    clip = signing(FRAMES, (210, 260))
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    sway = 6 * np.sin(np.arange(FRAMES) / FRAMES * 2 * np.pi)[:, None] * (1, 0)
    for side, (shoulder, elbow, wrist) in (
        (1, (LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST)),
        (-1, (RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST)),
    ):
        xy[:, shoulder] = (105 + side * 43, 120)
        xy[:, elbow] = xy[:, shoulder] + np.array([side * 24, np.sqrt(80**2 - 24**2)]) + sway
        away = xy[:, elbow] - (105, 170)
        xy[:, wrist] = xy[:, elbow] - 70 * away / np.linalg.norm(away, axis=-1, keepdims=True)
    for joint, frames in lost.items():
        xy[frames, joint], confidence[frames, joint] = 0, 0
    return replace(clip, xy=xy.astype(np.float32), confidence=confidence)


def lengths(clip, shoulder: int, elbow: int, wrist: int) -> np.ndarray:
    """(2,T): upper arm and forearm."""
    xy = clip.xy.astype(float)
    return np.linalg.norm(np.stack([xy[:, elbow] - xy[:, shoulder], xy[:, wrist] - xy[:, elbow]]), axis=-1)


@pytest.mark.parametrize(
    ("arm", "side"), [((LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST), 1), ((RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST), -1)]
)
def test_a_lost_elbow_is_where_the_arm_has_its_lengths_and_where_it_was(arm, side):
    truth = person({})
    completed, words = fill_missing(person({arm[1]: slice(6, 18)}))
    assert np.abs(lengths(completed, *arm) - [[80], [70]]).max() < 4
    assert np.linalg.norm(completed.xy[:, arm[1]] - truth.xy[:, arm[1]], axis=-1).max() < 4
    assert (completed.confidence[6:18, arm[1]] > 0.3).all()
    assert (completed.confidence[6:18, arm[1]] < truth.confidence[0, arm[1]]).all()
    assert (np.sign(completed.xy[:, arm[1], 0] - completed.xy[:, arm[0], 0]) == side).all()
    assert words == ["missing parts were completed: an elbow in 12 of 24 frames"]


def test_an_elbow_that_was_never_found_is_guessed_from_the_shoulders_width():
    everything = slice(None)
    completed, _ = fill_missing(person({LEFT_ELBOW: everything, RIGHT_ELBOW: everything}))
    for shoulder, elbow, wrist in ((LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST), (RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST)):
        upper, forearm = lengths(completed, shoulder, elbow, wrist)
        assert (upper > 60).all()
        assert (upper < 110).all()
        assert (forearm > 50).all()
        assert (forearm < 90).all()
        assert (completed.xy[:, elbow, 1] > completed.xy[:, shoulder, 1] + 30).all()


@pytest.mark.parametrize("joint", [LEFT_SHOULDER, LEFT_WRIST])
def test_without_a_shoulder_or_a_wrist_nothing_is_invented(joint):
    completed, _ = fill_missing(person({LEFT_ELBOW: slice(None), joint: slice(None)}))
    assert (completed.confidence[:, LEFT_ELBOW] == 0).all()


def test_an_arm_stretched_beyond_its_length_is_straight():
    clip = person({LEFT_ELBOW: slice(10, 14)})
    xy = clip.xy.copy()
    xy[10:14, LEFT_WRIST] = xy[10:14, LEFT_SHOULDER] + (0, 400)
    completed, _ = fill_missing(replace(clip, xy=xy, width=210, height=700))
    shoulder, elbow, wrist = (completed.xy[12, j].astype(float) for j in (LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST))
    along = (elbow - shoulder) @ (wrist - shoulder) / 400
    assert 180 < along < 240
    assert abs(elbow[0] - shoulder[0]) < 15


def test_a_found_elbow_stays_where_it_is():
    clip = person({})
    completed, words = fill_missing(clip)
    assert words == []
    assert (completed.xy == clip.xy).all()
