"""Truths about the drawn signers of content version 4, and what all versions share: keypoints, kinematics, clothes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from signgen.errors import Empty, NotFound
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.synthetic.body.mesh import HAIR, hanging, plain_patch, refined
from signgen.synthetic.body.template import (
    BONES,
    PARENTS,
    bone_index,
    forward_kinematics,
    load_shape,
    skin,
    template,
    vertex_normals,
)
from signgen.synthetic.dress.complexion import beard_growth
from signgen.synthetic.dress.folds import crease, squeeze
from signgen.synthetic.dress.glasses import glasses_patch
from signgen.synthetic.dress.looks import BEARDS, MENS_HAIR, NECKLINES, WOMENS_HAIR, draw_look
from signgen.synthetic.motion.posture import Pose
from signgen.synthetic.picture.camera import Camera
from signgen.synthetic.picture.figure import Figure, rest_pose
from signgen.synthetic.picture.raster import FAR, cast
from signgen.synthetic.signer import HELD_OUT, dress, load_signer, signer_names

SIZE = (105, 130)


def turned(pose: Pose, bone: str, axis: tuple[float, float, float], degrees: float) -> Pose:
    """The pose with one bone turned about a rest axis."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    pose.rotations[bone_index[bone]] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return pose


def hands_up() -> Pose:
    """Both upper arms down, elbows bent, so that the hands are before the camera at chest height."""
    pose = rest_pose()
    for side, sign in (("L", 1), ("R", -1)):
        turned(pose, f"upperarm01.{side}", (0, 1, 0), sign * 25)
        turned(pose, f"upperarm02.{side}", (0, 0, 1), -sign * 48)
        turned(pose, f"lowerarm01.{side}", (1, 0, 0), -60)
    return pose


@pytest.fixture(scope="module")
def signer():
    return load_signer("s02", 4)


@pytest.fixture(scope="module")
def figure(signer):
    return Figure(signer, SIZE, supersample=2, seed=3)


def test_eighty_signers_for_training_and_twelve_held_out():
    assert signer_names(4) == [f"s{number:02d}" for number in range(1, 81)]
    assert [f"h{number:02d}" for number in range(1, 13)] == HELD_OUT


def test_no_two_bodies_and_no_two_looks_are_alike():
    shapes = [load_shape(name) for name in (*signer_names(4), *HELD_OUT)]
    heads = np.array([shape.rest[template().part("head")] for shape in shapes], np.float32).reshape(len(shapes), -1)
    for index in range(len(shapes) - 1):
        assert np.abs(heads[index + 1 :] - heads[index]).max(1).min() > 0.002  # metres
    looks = [draw_look(shape.name, shape.phenotype, 4) for shape in shapes]
    assert len({(look.skin, look.hair_colour, look.cloth, look.neckline, look.hair) for look in looks}) == len(looks)


def test_a_look_follows_from_the_name_alone():
    phenotype = load_shape("s07").phenotype
    assert draw_look("s07", phenotype) == draw_look("s07", phenotype)
    assert draw_look("s07", phenotype) != draw_look("s08", phenotype)


def test_held_out_looks_cover_skin_hair_clothes_and_both_genders():
    shapes = [load_shape(name) for name in HELD_OUT]
    looks = [draw_look(shape.name, shape.phenotype, 4) for shape in shapes]
    women = sum(shape.phenotype["gender"] > 0.5 for shape in shapes)
    assert 4 <= women <= 8
    skins = [look.skin[0] for look in looks]
    assert min(skins) < 0.45
    assert max(skins) > 0.75
    assert any(look.skin[0] < 0.6 for look, shape in zip(looks, shapes, strict=True) if shape.phenotype["gender"] > 0.5)
    assert len({look.hair for look in looks}) >= 6
    assert len({look.neckline for look in looks}) >= 5
    assert {look.glasses == "none" for look in looks} == {True, False}


def test_training_looks_use_every_cut_of_clothes_and_most_of_hair():
    looks = [draw_look(name, load_shape(name).phenotype, 4) for name in signer_names(4)]
    assert {look.neckline for look in looks} == set(NECKLINES)
    cuts = set(MENS_HAIR) | set(WOMENS_HAIR)
    assert len({look.hair for look in looks} & cuts) >= len(cuts) - 2
    assert {look.beard_style for look in looks} == set(BEARDS)
    brightness = np.array([np.mean(look.cloth) for look in looks])
    assert 0.5 < (brightness < 0.12).mean() < 0.95  # mostly dark, not all


def test_every_signer_can_be_dressed_and_is_finite():
    for name in [*signer_names(4)[::16], *HELD_OUT]:
        surface = load_signer(name, 4).surface
        assert np.isfinite(surface.vertices).all()
        assert np.isfinite(surface.bump).all()
        assert surface.faces.max() < len(surface.vertices)
        np.testing.assert_allclose(surface.weights.sum(1), 1, atol=1e-3)


def test_unknown_signer_and_action_are_refused(signer):
    with pytest.raises(NotFound, match="^signer:"):
        load_signer("nobody")
    with pytest.raises(NotFound, match="^facial action:"):
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
    child, parent = bone_index["wrist.L"], PARENTS[bone_index["wrist.L"]]
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
    moved = Pose(pose.rotations, {}, np.array([0.0, 0.0, 0.05]))
    shift = figure.draw([moved]).xy - figure.draw([pose]).xy
    assert (shift[:17, 1] < -5).all()
    assert np.abs(shift[:, 0]).max() < 1e-3


def test_backdrop_rows_are_constant():
    rows = Camera().background((210, 260))
    assert rows.shape == (260, 3)
    assert 0.3 < rows.min() < rows.max() <= 1
    assert np.abs(np.diff(rows, axis=0)).max() < 0.03


def test_no_pose_is_refused(figure):
    with pytest.raises(Empty, match="^poses:"):
        figure.draw([])


def garment(signer, pose: Pose) -> np.ndarray:
    """Posed vertices of the clothes without folds."""
    vertices, _, _ = signer.posed(pose.rotations, {})
    return vertices[signer.clothes_start :].copy()


def test_cloth_is_squeezed_inside_a_bent_elbow_and_nowhere_at_rest(signer):
    rest, bent = garment(signer, rest_pose()), garment(signer, turned(rest_pose(), "lowerarm01.L", (1, 0, 0), -80))
    np.testing.assert_allclose(squeeze(signer.folds, rest), 0, atol=1e-3)
    squeezed = squeeze(signer.folds, bent)
    points = signer.surface.canonical[signer.clothes_start :][: len(squeezed)]
    elbow = template().heads[bone_index["lowerarm01.L"]]
    near = np.linalg.norm(points - elbow, axis=1) < 0.07
    assert squeezed[near].max() > 0.2  # the crook of the arm
    assert squeezed[near].min() < -0.1  # the point of the elbow
    np.testing.assert_allclose(squeezed[points[:, 0] < -0.2], 0, atol=1e-3)  # the other arm does not care


def test_folds_grow_where_a_pose_squeezes_the_cloth_and_vanish_where_it_is_stretched(signer):
    lifts, squeezed = [], np.empty(0)
    for pose in (rest_pose(), turned(rest_pose(), "lowerarm01.L", (1, 0, 0), -80)):
        smooth = garment(signer, pose)
        squeezed = squeeze(signer.folds, smooth)
        creased = smooth.copy()
        normals, light = crease(signer.folds, creased)
        assert np.isfinite(normals).all()
        assert light.min() >= 0.4
        assert light.max() <= 1.2 + 1e-6
        lifts.append(np.linalg.norm(creased - smooth, axis=1)[: len(normals)])
    calm = np.abs(squeezed) < 1e-4
    tied = np.isin(np.arange(len(squeezed)), signer.folds.tied[:, 0])
    high = (lifts[0] > 0.001) & ~tied
    assert (lifts[1][high & (squeezed > 0.15)] > 1.5 * lifts[0][high & (squeezed > 0.15)]).all()
    assert lifts[1][(squeezed < -0.15) & ~tied].max() < 1e-6
    np.testing.assert_allclose(lifts[1][calm & ~tied], lifts[0][calm & ~tied], atol=1e-5)
    assert (high & (squeezed > 0.15)).sum() > 10


def test_folds_leave_no_gaps_between_coarse_and_fine_faces(signer):
    moved = garment(signer, rest_pose())
    before = moved.copy()
    crease(signer.folds, moved)
    moves, tied = moved - before, signer.folds.tied
    assert len(tied) > 100
    np.testing.assert_allclose(moves[tied[:, 0]], 0.5 * (moves[tied[:, 1]] + moves[tied[:, 2]]), atol=1e-6)
    assert np.abs(moves).max() > 0.002


def test_folds_change_the_picture_but_no_keypoint(signer):
    flat = dress(load_shape("s02"), replace(signer.look, folds=0.0))
    pose = hands_up()
    plain, folded = (Figure(one, SIZE, seed=4).draw([pose]) for one in (flat, signer))
    np.testing.assert_array_equal(plain.xy, folded.xy)
    assert np.abs(plain.image.astype(int) - folded.image).max() > 15


def test_hanging_vertices_are_the_middles_that_one_side_lacks():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    weights, bones = np.zeros((4, 8), np.float32), np.zeros((4, 8), np.int64)
    weights[:, 0] = 1
    patch = plain_patch(square, np.array([[0, 1, 2], [0, 2, 3]]), HAIR, (0, 0, 0), square, weights, bones)
    assert len(hanging(patch)) == 0
    rows = hanging(refined(patch, np.array([True, False])))
    assert len(rows) == 1  # the diagonal, split on one side only
    np.testing.assert_array_equal(rows[0, 1:], [0, 2])
    assert len(hanging(refined(patch, np.array([True, True])))) == 0


@pytest.mark.parametrize("neckline", NECKLINES)
@pytest.mark.parametrize("tie", [True, False])
def test_every_cut_of_clothes_is_whole_and_close_to_the_body(signer, neckline, tie):
    look = replace(signer.look, neckline=neckline, tie=tie, hair="bald", glasses="none")
    surface = dress(load_shape("s02"), look).surface
    assert np.isfinite(surface.vertices).all()
    assert surface.faces.max() < len(surface.vertices)
    np.testing.assert_allclose(surface.weights.sum(1), 1, atol=1e-3)
    body = surface.vertices[: len(template().hm08)]
    sewn = surface.vertices[-400::7] if neckline in ("shirt", "blouse", "vest", "jacket", "suit") else np.empty((0, 3))
    for point in sewn:
        assert np.linalg.norm(body - point, axis=1).min() < 0.06


def test_collars_stay_with_the_shoulders_when_the_head_turns(signer):
    dressed = dress(load_shape("s02"), replace(signer.look, neckline="suit", tie=True))
    turned_head = turned(rest_pose(), "head", (0, 0, 1), 40)
    moved = garment(dressed, turned_head) - garment(dressed, rest_pose())
    sewn = moved[len(dressed.folds.height) :]
    assert np.linalg.norm(sewn, axis=1).max() < 0.03


@pytest.mark.parametrize("hair", sorted(set(MENS_HAIR) | set(WOMENS_HAIR)))
def test_every_cut_of_hair_is_whole_and_on_the_head(signer, hair):
    look = replace(signer.look, hair=hair, hair_length=0.2, glasses="none", neckline="crew")
    shape = load_shape("s02")
    surface = dress(shape, look).surface
    used = np.unique(surface.faces[surface.material == HAIR])
    assert (len(used) == 0) == (hair == "bald")
    assert np.isfinite(surface.vertices[used]).all()
    head = shape.rest[template().part("head")].mean(0)
    assert (np.linalg.norm(surface.vertices[used] - head, axis=1) < 0.45).all()


def test_beards_keep_off_the_lips_and_grow_where_their_style_says():
    look = draw_look("s01", load_shape("s01").phenotype, 4)
    full, goatee, moustache = (
        beard_growth(replace(look, beard=1.0, beard_style=style)) for style in ("full", "goatee", "moustache")
    )
    shared = template()
    assert full[shared.lip_ring >= 0].max() == 0
    side = (np.abs(shared.canonical[:, 0]) > 0.05) & (full > 0.3)
    assert side.any()
    assert goatee[side].max() < 0.05
    assert moustache[side].max() < 0.05
    assert goatee.max() > 0.5
    assert moustache.max() > 0.3
    assert beard_growth(replace(look, beard=0.0)).max() == 0


def test_glasses_sit_before_the_eyes_and_leave_them_free():
    shape = load_shape("h02")
    look = replace(draw_look("h02", shape.phenotype, 4), glasses="square")
    patch = glasses_patch(look, shape)
    poles = shape.rest[template().new[[14607, 14679]]]
    assert patch.vertices[:, 1].min() < poles[:, 1].min()
    for pole in poles:
        across = np.linalg.norm((patch.vertices - pole)[:, [0, 2]], axis=1)
        front = patch.vertices[:, 1] < pole[1]
        assert across[front].min() > 0.010  # metres


def test_shadows_come_from_the_nearest_front_face():
    points = np.array([[1, 1, 5], [1, 9, 5], [9, 1, 5], [1, 1, 3], [1, 9, 3], [9, 1, 3]], np.float32)
    depth = np.empty((10, 10), np.float32)
    cast(points, np.array([[0, 1, 2]]), depth)
    assert depth[2, 2] == 5
    assert depth[9, 9] == FAR
    cast(points, np.array([[0, 1, 2], [3, 4, 5]]), depth)
    assert depth[2, 2] == 3
    cast(points, np.array([[0, 2, 1]]), depth)  # seen from behind
    assert (depth == FAR).all()


def test_studios_range_from_dark_to_nearly_white_and_light_varies():
    cameras = [Camera.drawn(seed, 4) for seed in range(120)]
    assert len({camera.studio for camera in cameras}) >= 5
    means = np.array([camera.background((210, 260)).mean() for camera in cameras])
    assert means.min() < 0.45
    assert means.max() > 0.85
    for camera in cameras:
        rows = camera.background((210, 260))
        assert rows.min() > 0.1
        assert rows.max() <= 1
    gains = np.array([camera.gains() for camera in cameras])
    assert gains.min() > 0.7
    assert gains.max() < 1.35
    assert np.std(gains[:, 0] / gains[:, 2]) > 0.02  # white balance
    assert Camera.drawn(5) == Camera.drawn(5)


def test_exposure_brightens_the_whole_picture(signer):
    dim, bright = (Figure(signer, SIZE, seed=2, camera=Camera(exposure=e)).draw([hands_up()]) for e in (0.85, 1.15))
    assert bright.image.mean() > 1.1 * dim.image.mean()
    np.testing.assert_array_equal(dim.xy, bright.xy)


def test_normals_of_every_surface_are_finite(signer):
    for name in ("s10", "s24", "h05"):
        surface = load_signer(name, 4).surface
        assert np.isfinite(vertex_normals(surface.vertices, surface.faces)).all()
