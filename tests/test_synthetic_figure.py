"""Truths about the drawn signers: keypoints on the drawn person, visibility, sameness by seed, kinematics."""

from __future__ import annotations

import numpy as np
import pytest

from signgen.errors import InputError
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.synthetic.body import BONES, bone_index, forward_kinematics, skin
from signgen.synthetic.camera import Camera
from signgen.synthetic.figure import Figure, RestPose, rest_pose
from signgen.synthetic.signers import HELD_OUT, load_signer, signer_names

SIZE = (105, 130)


def turned(pose: RestPose, bone: str, axis: tuple[float, float, float], degrees: float) -> RestPose:
    """The pose with one bone turned about a rest axis."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    pose.rotations[bone_index[bone]] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return pose


def hands_up() -> RestPose:
    """Both upper arms down, elbows bent, so that the hands are before the camera at chest height."""
    pose = rest_pose()
    for side, sign in (("L", 1), ("R", -1)):
        turned(pose, f"upperarm01.{side}", (0, 1, 0), sign * 25)
        turned(pose, f"upperarm02.{side}", (0, 0, 1), -sign * 48)
        turned(pose, f"lowerarm01.{side}", (1, 0, 0), -60)
    return pose


@pytest.fixture(scope="module")
def signer():
    return load_signer("s02")


@pytest.fixture(scope="module")
def figure(signer):
    return Figure(signer, SIZE, supersample=2, seed=3)


def test_enough_signers_for_training_and_some_held_out():
    names = signer_names()
    assert len(names) >= 28
    assert len(HELD_OUT) >= 3
    assert not set(names) & set(HELD_OUT)


def test_every_signer_can_be_dressed_and_is_finite():
    for name in [*signer_names()[::6], *HELD_OUT]:
        surface = load_signer(name).surface
        assert np.isfinite(surface.vertices).all()
        assert np.isfinite(surface.bump).all()
        assert surface.faces.max() < len(surface.vertices)
        np.testing.assert_allclose(surface.weights.sum(1), 1, atol=1e-3)


def test_unknown_signer_and_action_are_refused(signer):
    with pytest.raises(InputError, match="nobody"):
        load_signer("nobody")
    with pytest.raises(InputError, match="winkBoth"):
        signer.rest_with_face({"winkBoth": 1.0})


def test_identity_rotations_give_the_rest_mesh(signer):
    vertices, turn, place = signer.posed(rest_pose().rotations, {})
    np.testing.assert_allclose(turn, np.broadcast_to(np.eye(3), turn.shape), atol=1e-9)
    np.testing.assert_allclose(place, signer.heads, atol=1e-9)
    np.testing.assert_allclose(vertices, signer.surface.vertices, atol=2e-5)


def test_turning_the_root_turns_everything_rigidly(signer):
    pose = turned(rest_pose(), "root", (0, 0, 1), 90)
    vertices, _, _ = signer.posed(pose.rotations, {})
    root = signer.heads[bone_index["root"]]
    rest = signer.surface.vertices - root
    expected = np.stack([-rest[:, 1], rest[:, 0], rest[:, 2]], 1) + root
    np.testing.assert_allclose(vertices, expected, atol=1e-4)


def test_kinematics_keep_bone_lengths(signer):
    rng = np.random.default_rng(0)
    turns, _ = np.linalg.qr(rng.normal(size=(len(BONES), 3, 3)))
    _, place = forward_kinematics(signer.heads, turns)
    child, parent = bone_index["wrist.L"], signer.parents[bone_index["wrist.L"]]
    before = np.linalg.norm(signer.heads[child] - signer.heads[parent])
    assert np.linalg.norm(place[child] - place[parent]) == pytest.approx(before, abs=1e-9)


def test_skinning_blends_two_bones_halfway():
    heads = np.zeros((2, 3))
    turn = np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])])
    moved = skin(
        np.array([[1.0, 0.0, 2.0]]), np.array([[0.5, 0.5]], np.float32), np.array([[0, 1]]), heads, turn, heads
    )
    np.testing.assert_allclose(moved, [[0, 0, 2]], atol=1e-6)


def test_same_seed_same_picture_and_other_seed_another(signer):
    pose = hands_up()
    first, again = (Figure(signer, SIZE, seed=5, noise=0.01).draw([pose]) for _ in range(2))
    other = Figure(signer, SIZE, seed=6).draw([pose])
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.xy, again.xy)
    assert np.abs(first.image.astype(int) - other.image).max() > 20


def test_left_hand_is_on_the_right_of_the_picture(figure):
    frame = figure.draw([hands_up()])
    assert frame.xy[LEFT_HAND, 0].min() > frame.xy[RIGHT_HAND, 0].max()
    assert frame.xy[1, 0] > frame.xy[2, 0]  # eyes
    assert frame.xy[5, 0] > frame.xy[6, 0]  # shoulders


def test_keypoints_of_seen_hands_and_face_lie_on_skin(figure):
    frame = figure.draw([hands_up()])
    image = frame.image.astype(float)
    seen = [k for k in (*range(23, 91), *range(91, 133)) if frame.confidence[k] > 0.8]
    assert len(seen) > 70
    columns, rows = np.floor(frame.xy[seen]).astype(int).T
    red, blue = image[rows, columns, 0], image[rows, columns, 2]
    assert (red > 1.15 * blue).mean() > 0.9  # skin is warm; backdrop and cloth are not


def test_a_hand_behind_the_body_is_less_sure(figure):
    front = figure.draw([hands_up()])
    hidden = turned(turned(rest_pose(), "upperarm01.L", (0, 1, 0), 35), "lowerarm01.L", (0, 1, 0), 80)
    hidden = turned(hidden, "upperarm02.L", (1, 0, 0), 40)
    behind = figure.draw([hidden])
    assert (front.confidence[LEFT_HAND] > 0.8).mean() > 0.5
    there = behind.confidence[LEFT_HAND]
    assert ((there >= 0.3) & (there <= 0.5)).mean() > 0.5
    assert there.mean() < 0.6 * front.confidence[LEFT_HAND].mean()


def test_outside_the_frame_has_no_confidence(figure):
    frame = figure.draw([rest_pose()])
    assert (frame.confidence[13:23] == 0).all()  # knees and feet
    assert np.isfinite(frame.xy).all()


def test_exposure_of_one_pose_equals_the_sharp_picture(figure):
    pose = hands_up()
    sharp = figure.draw([pose])
    for count in (2, 4, 8):
        long = figure.draw([pose] * count)
        difference = np.abs(long.image.astype(int) - sharp.image)
        assert difference.mean() < 0.5
        assert np.quantile(difference, 0.999) <= 10
        np.testing.assert_allclose(long.xy, sharp.xy)
        np.testing.assert_allclose(long.confidence, sharp.confidence, atol=0.65)
        assert (long.confidence == sharp.confidence).mean() > 0.9


def test_motion_blurs_and_lowers_confidence(figure):
    poses = [turned(hands_up(), "lowerarm01.L", (1, 0, 0), -75 - 3 * k) for k in range(8)]
    frame, sharp = figure.draw(poses), figure.draw([poses[4]])
    np.testing.assert_allclose(frame.xy, sharp.xy)
    assert frame.confidence[LEFT_HAND].mean() < sharp.confidence[LEFT_HAND].mean()
    assert np.abs(frame.image.astype(int) - sharp.image).max() > 20


def test_twice_the_size_is_the_same_picture(signer):
    small, large = (Figure(signer, size, seed=2).draw([hands_up()]) for size in ((210, 260), (420, 520)))
    np.testing.assert_allclose(large.xy, 2 * small.xy, atol=1e-3)
    reduced = large.image.reshape(260, 2, 210, 2, 3).astype(float).mean((1, 3))
    assert np.abs(reduced - small.image).mean() < 2.0


def test_root_shift_moves_the_picture(figure):
    pose = rest_pose()
    moved = RestPose(pose.rotations, {}, np.array([0.0, 0.0, 0.05]))
    shift = figure.draw([moved]).xy - figure.draw([pose]).xy
    assert (shift[:17, 1] < -5).all()
    assert np.abs(shift[:, 0]).max() < 1e-3


def test_backdrop_rows_are_constant():
    rows = Camera().background((210, 260))
    assert rows.shape == (260, 3)
    assert 0.3 < rows.min() < rows.max() <= 1
    assert np.abs(np.diff(rows, axis=0)).max() < 0.03


def test_no_pose_is_refused(figure):
    with pytest.raises(InputError, match="pose"):
        figure.draw([])
