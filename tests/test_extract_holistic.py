"""MediaPipe's landmarks as the 133 points: left stays left, and pixels are those of the whole frame."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from signgen.extraction.mediapipe_holistic import POSE_LANDMARKS, MediaPipeHolistic, cut, from_holistic, kept_aside
from signgen.extraction.run import extract
from signgen.keypoints import read_keypoints
from signgen.keypoints.skeleton import FACE, LEFT_HAND, LEFT_SHOULDER, NAMES, RIGHT_HAND, RIGHT_SHOULDER

SIZE = (200, 100)


def landmarks(count: int, start: float = 0.0, visibility: float = 0.75) -> SimpleNamespace:
    """``count`` landmarks at x = start, start + 0.001, ... and y = 0.5."""
    points = [SimpleNamespace(x=start + 0.001 * i, y=0.5, z=9.0, visibility=visibility) for i in range(count)]
    return SimpleNamespace(landmark=points)


def result(**parts: Any) -> SimpleNamespace:
    names = ("pose_landmarks", "face_landmarks", "left_hand_landmarks", "right_hand_landmarks")
    return SimpleNamespace(**dict.fromkeys(names) | parts)


def source(points: np.ndarray, joint: int, start: float = 0.0) -> int:
    """Which landmark a point was taken from."""
    return round(((points[joint, 0] + 0.5) / SIZE[0] - start) / 0.001)


def test_body_points_keep_their_names() -> None:
    points = from_holistic(result(pose_landmarks=landmarks(33)), SIZE)
    for joint, name in enumerate(NAMES[:17]):
        assert POSE_LANDMARKS[source(points, joint)] == name.upper()
    feet = {17: "LEFT_FOOT_INDEX", 19: "LEFT_HEEL", 20: "RIGHT_FOOT_INDEX", 22: "RIGHT_HEEL"}
    assert {joint: POSE_LANDMARKS[source(points, joint)] for joint in feet} == feet
    assert (points[[18, 21]] == 0).all()  # it has no small toes
    assert points[:17, 2] == pytest.approx(0.75)
    assert points[:17, 1] == pytest.approx(0.5 * 100 - 0.5)
    assert (points[23:] == 0).all()


def test_hands_and_face_go_to_their_own_places() -> None:
    found = {"left_hand_landmarks": landmarks(21), "right_hand_landmarks": landmarks(21, 0.5)}
    points = from_holistic(result(**found, face_landmarks=landmarks(468, 0.1)), SIZE)
    assert [source(points, joint) for joint in range(*LEFT_HAND.indices(133))] == list(range(21))
    assert [source(points, joint, 0.5) for joint in range(*RIGHT_HAND.indices(133))] == list(range(21))
    # Outer corners of the eyes and of the mouth in its mesh: 33 and 61 on the person's right, 263 and 291 on the left.
    corners = {36: 33, 45: 263, 48: 61, 54: 291, 8: 152}
    assert {point: source(points, FACE.start + point, 0.1) for point in corners} == corners
    assert (points[FACE.start :, 2] == 1).all()
    assert (points[:23] == 0).all()


def test_what_is_found_in_a_crop_is_put_back_into_the_frame() -> None:
    class Holistic:
        resets, shapes = 0, []

        def reset(self) -> None:
            self.resets += 1

        def process(self, image: np.ndarray) -> SimpleNamespace:
            self.shapes.append((image.shape, int(image[0, 0, 0])))
            return result(pose_landmarks=landmarks(33))

    frames = np.zeros((2, 100, 200, 3), np.uint8)
    frames[:, 20, 30] = 77  # the crop's first pixel
    holistic = Holistic()
    points = MediaPipeHolistic(holistic, "0").look(frames, np.array([39.5, 27.5, 119.5, 87.5]), follows=False)
    assert holistic.shapes == [((76, 100, 3), 77)] * 2  # the box, a quarter larger, in whole pixels
    assert points[:, 0, :2] == pytest.approx(np.array([[29.5, 57.5]] * 2))
    assert (points[:, 23:] == 0).all()
    MediaPipeHolistic(holistic, "0").look(frames, np.array([39.5, 27.5, 119.5, 87.5]), follows=True)
    assert holistic.resets == 1


def test_a_crop_never_leaves_the_frame() -> None:
    assert cut(np.array([-0.5, -0.5, 199.5, 99.5]), 200, 100) == (0, 0, 200, 100)
    assert cut(np.array([190.0, 90.0, 199.5, 99.5]), 200, 100) == (189, 89, 200, 100)


# ---- the real one ----------------------------------------------------------------------------------------------------


def test_landmarks_are_mediapipes_own() -> None:
    mediapipe = pytest.importorskip("mediapipe", reason="the extra mediapipe is not installed")
    assert [point.name for point in mediapipe.solutions.holistic.PoseLandmark] == list(POSE_LANDMARKS)


def test_what_a_library_says_is_shown_only_if_it_fails(capfd: pytest.CaptureFixture) -> None:
    with kept_aside():
        os.write(2, b"native\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"

    def fail() -> None:
        os.write(2, b"native\n")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"), kept_aside():
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "native\nafter\n"


def test_a_real_video(shared: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    pytest.importorskip("mediapipe", reason="the extra mediapipe is not installed")
    video = shared / "data" / "video" / "poseformat_test_video.mp4"
    found = extract(video, tmp_path / "a.json", estimator="mediapipe", frames=slice(20, 40))
    assert capfd.readouterr().err == ""
    read = read_keypoints(tmp_path / "a.json")
    clip = read.keypoints
    assert (len(clip), clip.size, read.warnings) == (20, (540, 720), [])
    assert clip.fps == pytest.approx(359 / 12)
    assert found.missing["face"] == 0
    # She faces the camera, so her right is at the left of the picture, and waves her right hand.
    assert (clip.xy[:, RIGHT_SHOULDER, 0] < clip.xy[:, LEFT_SHOULDER, 0] - 100).all()
    assert (clip.xy[:, FACE.start, 0] < clip.xy[:, FACE.start + 16, 0]).all()
    seen = clip.confidence[:, RIGHT_HAND].all(1)
    assert seen.sum() >= 8
    assert not clip.confidence[:, LEFT_HAND].any()
    wrist, root = clip.xy[seen, 10], clip.xy[seen, RIGHT_HAND.start]
    assert math.hypot(*np.median(wrist - root, axis=0)) < 30  # two networks' opinions of one wrist
