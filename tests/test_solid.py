"""Solid hands: what is fitted to drawn signers' points is their hand, block by block and in a mirror."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from docs_pages import ROOT

from signgen.errors import BadValue
from signgen.keypoints import Keypoints
from signgen.pose_image.solid import HandFitter, SolidHands, draw_meshes, refit_hands
from signgen.pose_image.solid.drawing import Mesh
from signgen.pose_image.solid.hand import FILE, anatomy, hand_mesh
from signgen.synthetic.dataset import Plan, draw_clip
from signgen.synthetic.picture.hand_meshes import true_meshes
from signgen.synthetic.signer import load_signer

SIZE, ASPECT = (210, 260), 0.81
HAND = hand_mesh().attributes[:, 0] > 0  # not the forearm


@pytest.fixture(scope="module")
def drawn() -> tuple[Keypoints, list[list[Mesh]]]:
    """A drawn clip's keypoints and its true hands."""
    plan = Plan(3, "test", ("h02",), frames=(40, 40), version=4)
    movement, camera, signer = plan.perform(0), plan.camera(0), load_signer("h02", 4)
    points = np.stack([one for _, one in draw_clip(plan, 0)])
    keypoints = Keypoints(points[..., :2], points[..., 2], *SIZE, 25.0)
    return keypoints, [true_meshes(signer, camera, poses[len(poses) // 2]) for poses in movement.exposures()]


def fit(keypoints: Keypoints) -> SolidHands:
    return HandFitter(SIZE, ASPECT).fit(keypoints.xy, keypoints.confidence)


def test_the_fit_is_the_drawn_hand(drawn) -> None:
    keypoints, truth = drawn
    hands = fit(keypoints)
    off, turned = [], []
    for frame, meshes in enumerate(truth):
        for side, (pixels, _, normals) in enumerate(meshes):
            mine = hands.meshes(frame)[side]
            if mine is not None:
                off.append(np.linalg.norm(mine[0] - pixels, axis=1)[HAND].mean())
                cosine = (mine[2] * normals)[HAND].sum(1)
                turned.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())
    assert len(off) > 30
    assert np.median(off) < 1.0
    assert np.median(turned) < 14
    assert np.max(turned) < 75  # no hand shows its back for its palm


def test_blocks_give_what_the_whole_gives(drawn) -> None:
    keypoints, _ = drawn
    whole, fitter = fit(keypoints), HandFitter(SIZE, ASPECT)
    blocks = [fitter.fit(keypoints.xy[a:b], keypoints.confidence[a:b]) for a, b in ((0, 1), (1, 9), (9, 40))]
    for name in whole.poses._fields:
        joined = np.concatenate([getattr(block.poses, name) for block in blocks])
        assert np.array_equal(joined, getattr(whole.poses, name)), name


def test_fast_hands_are_smeared_as_a_shutter_sees_them(drawn) -> None:
    keypoints, _ = drawn
    hands, fitter = fit(keypoints), HandFitter(SIZE, ASPECT)
    crisp = hands.pictures(SIZE)
    smeared = hands.smeared(crisp, 0.6)
    fast = (smeared != crisp).any((1, 2, 3))
    assert 3 < fast.sum() < 30
    assert hands.smeared(crisp, 0.0) is crisp
    assert not (hands.smeared(crisp, 0.1) != crisp).any((1, 2, 3))[~fast].any()
    # Speed of the keypoints themselves, not of the fit.
    speed = np.linalg.norm(np.diff(keypoints.xy[:, 91:], axis=0, prepend=keypoints.xy[:1, 91:]), axis=-1).max(1)
    assert speed[fast].min() > 1.5
    assert speed[~fast].max() < 6
    for frame in np.flatnonzero(fast):
        # A point of a hand is in the middle of where it is seen while the shutter is open: nothing moves away.
        cover = [np.linalg.norm(one[frame, ..., :3] / 127.0 - 128 / 127, axis=-1) for one in (crisp, smeared)]
        assert cover[1].sum() == pytest.approx(cover[0].sum(), rel=0.25)
        assert (cover[1] > 0.02).sum() > (cover[0] > 0.02).sum()
    blocks = [
        fitter.fit(keypoints.xy[a:b], keypoints.confidence[a:b]) for a, b in ((0, 1), (1, 17), (17, 18), (18, 40))
    ]
    assert np.array_equal(np.concatenate([one.smeared(one.pictures(SIZE), 0.6) for one in blocks]), smeared)


def test_a_smeared_hand_is_the_mean_of_where_it_was(drawn) -> None:
    """A hand that moves to the right at an even speed, beside one that rests."""
    keypoints, _ = drawn
    still = replace(
        keypoints, xy=np.repeat(keypoints.xy[:1], 3, 0), confidence=np.repeat(keypoints.confidence[:1], 3, 0)
    )
    xy = still.xy.copy()
    xy[:, [7, 9, *range(91, 112)], 0] += 8.0 * np.arange(3, dtype=np.float32)[:, None]
    hands = fit(replace(still, xy=xy))
    crisp, step = hands.pictures(SIZE), hands.meshes(2)[0][0] - hands.meshes(1)[0][0]
    assert np.median(step, 0) == pytest.approx((8, 0), abs=0.5)
    smeared = hands.smeared(crisp, 0.75)[2]
    at = []
    for moment in (-0.25, 0.0, 0.25):  # 6 px in three drawings
        (pixels, depth, normals), *_ = hands.meshes(2)
        moved = (pixels + np.float32(moment) * step, depth, normals)
        at.append(draw_meshes([moved, hands.meshes(2)[1]], 0, 0, SIZE, hands.strength[2]).astype(float))
    mean = np.mean(at, 0)  # without the change of depth, which decides a pixel here and there
    assert np.abs(smeared - mean).mean() < 0.1 * np.abs(crisp[2] - mean).mean()
    other = draw_meshes([None, hands.meshes(2)[1]], 0, 0, SIZE, hands.strength[2])
    alone = (np.stack(at) == other).all((0, -1))
    assert (other[alone] != 128).any()  # the resting hand is there,
    assert np.array_equal(smeared[alone], crisp[2][alone])  # as it was


def test_hands_that_were_found_anew_are_not_smeared(drawn) -> None:
    keypoints, _ = drawn
    xy = keypoints.xy.copy()
    xy[20:, 91:] += 90
    hands = fit(replace(keypoints, xy=xy))
    crisp = hands.pictures(SIZE)
    assert np.array_equal(hands.smeared(crisp, 1.0)[20], crisp[20])


def test_a_mirror_negates_the_first_channel_alone(drawn) -> None:
    keypoints, _ = drawn
    seen, mirrored = fit(keypoints), fit(keypoints.mirror())
    for frame in (0, 20, 39):
        crop = seen.crop(frame, 10, 90, 100).astype(int)  # columns 10 to 110: x becomes 209 - x
        other = mirrored.crop(frame, 209 - 110, 90, 100)[:, ::-1].astype(int)
        other[..., 0] = 256 - other[..., 0]
        assert np.abs(crop - 128).mean() > 1
        assert np.abs(crop - other).mean() < 0.02


def test_hands_jump_no_more_than_they_move(drawn) -> None:
    keypoints, truth = drawn
    hands = fit(keypoints)
    for side in range(2):
        fitted = np.stack([hands.meshes(frame)[side][2] for frame in range(len(hands))])[:, HAND]
        true = np.stack([meshes[side][2] for meshes in truth])[:, HAND]
        turned, moved = (
            np.degrees(np.arccos(np.clip((n[1:] * n[:-1]).sum(-1), -1, 1))).mean(1) for n in (fitted, true)
        )
        assert (turned < 1.5 * moved + 20).all()  # degrees from one frame to the next


def test_the_size_of_the_hands_is_found_or_given(drawn) -> None:
    keypoints, truth = drawn
    found = fit(keypoints)
    given = HandFitter(SIZE, ASPECT, proportions=(0.9, 1.08)).fit(keypoints.xy, keypoints.confidence)
    thin = HandFitter(SIZE, ASPECT, proportions=(0.9, 0.9)).fit(keypoints.xy, keypoints.confidence)
    assert abs(found.poses.length[-1, 0] - 1) < 0.1  # drawn signers' hands go with their shoulders
    assert (given.poses.length == 0.9).all()
    areas = [(hands.crop(20, 0, 50, 210) != 128).any(-1).sum() for hands in (given, thin)]
    assert areas[0] > 1.05 * areas[1]


def test_frames_of_phoenix_are_squeezed_and_others_are_not() -> None:
    xy, confidence = np.full((1, 133, 2), 50.0), np.zeros((1, 133))
    xy[0, 5], xy[0, 91:112] = (100, 50), np.random.default_rng(0).uniform(40, 60, (21, 2))
    confidence[0, [5, 6, 9, *range(91, 112)]] = 0.9
    scales = [HandFitter(size, None).fit(xy, confidence).poses.scale[0, 0] for size in (SIZE, (640, 480))]
    assert scales[0][0] / scales[0][1] == pytest.approx(0.81)
    assert scales[1][0] / scales[1][1] == pytest.approx(1)


def test_true_hands_lie_where_the_signer_has_them(drawn) -> None:
    keypoints, truth = drawn
    tips = (4, 8, 12, 16, 20)
    for frame in (0, 20, 39):
        for (pixels, depth, normals), first in zip(truth[frame], (91, 112), strict=True):
            points = keypoints.xy[frame, [first + tip for tip in tips]]
            assert np.linalg.norm(points[:, None] - pixels, axis=-1).min(1).max() < 4  # a tip's point lies in the tip
            assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)
            # of the vertices around a place the front one looks at the camera
            front = depth < np.quantile(depth[HAND], 0.1)
            assert np.median(normals[front & HAND, 2]) > 0


def test_the_shipped_hand_is_what_the_tool_makes() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    from make_hand_mesh import NEUTRAL, hand

    made = hand(load_signer(NEUTRAL))
    with np.load(FILE) as file:
        assert sorted(file.files) == sorted(made)
        for name, array in made.items():
            assert np.allclose(file[name], array, atol=1e-5), name
    assert FILE.stat().st_size < 300_000


def test_angles_stay_within_the_joints_limits(drawn) -> None:
    keypoints, _ = drawn
    wild = keypoints.xy + np.random.default_rng(0).normal(0, 12, keypoints.xy.shape)
    hands, body = HandFitter(SIZE, ASPECT).fit(wild, keypoints.confidence), anatomy()
    angles = hands.poses.angles[hands.poses.scale[..., 1] > 0]
    assert len(angles) == 80
    fingers = angles[:, 3:]
    assert (fingers >= body.low[3:] - 1e-6).all()
    assert (fingers <= body.high[3:] + 1e-6).all()


def test_points_that_no_hand_could_make_fade_it(drawn) -> None:
    keypoints, _ = drawn
    xy = keypoints.xy.copy()
    xy[8:, 91:112] += np.random.default_rng(1).normal(0, 15, xy[8:, 91:112].shape)
    hands = HandFitter(SIZE, ASPECT).fit(xy, keypoints.confidence)
    assert hands.strength[:8].min() > 0.7
    assert hands.strength[14:, 0].max() < 0.3
    assert hands.strength[14:, 1].min() > 0.7


def test_a_lost_hand_goes_on_with_its_arm_and_fades(drawn) -> None:
    keypoints, _ = drawn
    confidence = keypoints.confidence.copy()
    confidence[6:, 112:133] = 0
    hands = HandFitter(SIZE, ASPECT).fit(keypoints.xy, confidence)
    away = np.linalg.norm(hands.poses.wrist[6:9, 1] - keypoints.xy[6:9, 112], axis=-1)
    assert hands.strength[6:9, 1].min() > 0.5
    assert away.max() < 3  # pixels: the body's wrist carries it
    assert hands.strength[20:, 1].max() == 0


def shake(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean pixels by which points (T,N,2) tremble: what their second differences have beside the truth's."""
    return float(np.linalg.norm(np.diff(points - truth, 2, axis=0), axis=-1).mean())


def test_refitting_steadies_hands_and_leaves_the_rest(drawn) -> None:
    keypoints, _ = drawn
    noise = np.random.default_rng(2).normal(0, 1.5, keypoints.xy.shape).astype(np.float32)
    noisy = replace(keypoints, xy=keypoints.xy + noise)
    steady = refit_hands(noisy, ASPECT)
    truth = keypoints.xy[:, 91:]
    assert shake(steady.xy[:, 91:], truth) < 0.65 * shake(noisy.xy[:, 91:], truth)
    off = np.linalg.norm(steady.xy[:, 91:] - truth, axis=-1).mean()
    assert off < np.linalg.norm(noisy.xy[:, 91:] - truth, axis=-1).mean()
    assert np.array_equal(steady.xy[:, :91], noisy.xy[:, :91])
    assert np.array_equal(steady.confidence, noisy.confidence)


def test_refitting_places_what_is_missing(drawn) -> None:
    keypoints, _ = drawn
    confidence = keypoints.confidence.copy()
    confidence[10, 96:100] = 0  # a forefinger
    steady = refit_hands(replace(keypoints, confidence=confidence), ASPECT)
    away = np.linalg.norm(steady.xy[10, 96:100] - keypoints.xy[10, 96:100], axis=-1)
    assert away.max() < 6
    assert (steady.confidence[10, 96:100] > 0.3).all()


def overlapping(keypoints: Keypoints, confidences: tuple[float, float]) -> SolidHands:
    """A left hand before the chest and its mirror image in the same place, with ``confidences``, left first."""
    middle = keypoints.xy[:, 91:112, 0].mean(1)
    frame = int(np.abs(middle - keypoints.xy[:, 5:7, 0].mean(1)).argmin())
    xy = np.repeat(keypoints.xy[frame : frame + 1], 4, axis=0)
    confidence = np.where(np.arange(133) < 91, 0.9, 0)[None].repeat(4, 0)
    for right, left in (*((k + 1, k) for k in (5, 7, 9)), *((k + 21, k) for k in range(91, 112))):
        xy[:, right] = xy[:, left] * (-1, 1) + (2 * middle[frame], 0)
    confidence[:, 91:112], confidence[:, 112:133] = confidences
    return HandFitter(SIZE, ASPECT).fit(xy, confidence)


def test_of_two_hands_the_surer_one_lies_in_front(drawn) -> None:
    for confidences, front in (((0.9, 0.4), 0), ((0.4, 0.9), 1)):
        hands = overlapping(drawn[0], confidences)
        both = hands.meshes(3)
        alone = [draw_meshes([both[0], None], 0, 60, 210), draw_meshes([None, both[1]], 0, 60, 210)]
        shared = ((alone[0] != 128).any(-1)) & ((alone[1] != 128).any(-1))
        crop = hands.crop(3, 0, 60, 210)
        assert shared.sum() > 200
        assert (crop == alone[front]).all(-1)[shared].mean() > 0.8  # edges mix both


def test_nothing_seen_draws_nothing() -> None:
    hands = HandFitter(SIZE).fit(np.zeros((3, 133, 2)), np.zeros((3, 133)))
    assert (hands.crop(1, 0, 0, 72) == 128).all()
    assert np.array_equal(hands.refitted(), np.zeros((3, 133, 2)))


def test_strength_fades_towards_grey(drawn) -> None:
    _, truth = drawn
    full = draw_meshes(truth[5], 40, 90, 100).astype(int) - 128
    half = draw_meshes(truth[5], 40, 90, 100, (0.5, 0.5)).astype(int) - 128
    assert np.abs(full).max() > 100
    assert np.abs(full - 2 * half).max() <= 2


@pytest.mark.parametrize("arguments", [((0, 260),), (SIZE, -1.0), (SIZE, 0.81, (1.0, 0.0))])
def test_impossible_arguments(arguments) -> None:
    with pytest.raises(BadValue):
        HandFitter(*arguments)
