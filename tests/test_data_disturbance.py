"""The disturbed driving signal: each fault alone, at its share, in runs of frames, and nothing else touched."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from signgen.dataset.disturbance import FACE_PARTS, Disturbance, disturb
from signgen.keypoints.skeleton import (
    BODY,
    FACE,
    HEAD,
    INNER_LIPS,
    JAW,
    LEFT_HAND,
    LEFT_WRIST,
    LOWER_BODY,
    RIGHT_HAND,
    RIGHT_WRIST,
)

SIDES = (LEFT_HAND, RIGHT_HAND)
NOTHING = {field.name: 0.0 for field in fields(Disturbance)} | {"share": 1.0}
COUNT, FRAMES = 2000, 4


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    """(2000, 4, 133, 3): random poses that move a little from frame to frame, hands 30 px large, nothing missing."""
    rng = np.random.default_rng(7)
    points = np.empty((COUNT, FRAMES, 133, 3), np.float32)
    points[..., :2] = rng.uniform(20, 180, (COUNT, 1, 133, 2))
    for hand in SIDES:
        points[:, :, hand, :2] = rng.uniform(20, 180, (COUNT, 1, 1, 2)) + rng.uniform(-15, 15, (COUNT, 1, 21, 2))
    points[..., :2] += np.cumsum(rng.normal(0, 1, (COUNT, FRAMES, 1, 2)), 1) + rng.normal(0, 1, (COUNT, FRAMES, 133, 2))
    points[..., 2] = 0.92
    return points


def _only(windows: np.ndarray, **shares: float) -> np.ndarray:
    return disturb(windows, np.random.default_rng(0), Disturbance(**{**NOTHING, **shares}))


def _in_one_run(wrong: np.ndarray) -> bool:
    """Whether (N, V) truths begin and end at most once in each row."""
    padded = np.pad(wrong, ((0, 0), (1, 1)))
    return bool((np.diff(padded.astype(int), axis=1) != 0).sum(1).max() <= 2)


def test_without_shares_nothing_changes(windows: np.ndarray) -> None:
    before = windows.copy()
    assert np.array_equal(_only(windows), windows)
    disturb(windows, np.random.default_rng(0), Disturbance())
    assert np.array_equal(windows, before), "the truth is needed for the loss"


def test_the_generator_alone_decides(windows: np.ndarray) -> None:
    first, again, other = (disturb(windows[:50], np.random.default_rng(s), Disturbance()) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_defaults_give_usable_points_for_windows_of_any_length(windows: np.ndarray) -> None:
    for frames in (1, 2, 4):
        points = disturb(windows[:300, :frames], np.random.default_rng(1), Disturbance())
        assert points.shape == (300, frames, 133, 3)
        assert points.dtype == np.float32
        assert np.isfinite(points).all()
        assert ((points[..., 2] >= 0) & (points[..., 2] <= 1)).all()
        seen = points[:, :, LEFT_HAND, 2] > 0
        off = np.linalg.norm((points - windows[:300, :frames])[:, :, LEFT_HAND, :2], axis=-1)
        assert np.median(off[seen]) < 1.2, "most hands stay where the picture shows them"


@pytest.mark.parametrize(
    ("name", "parts"), [("drop_hand", SIDES), ("drop_face", (FACE, HEAD)), ("drop_legs", (LOWER_BODY,))]
)
def test_whole_parts_are_lost_for_the_whole_window_at_their_rate(
    windows: np.ndarray, name: str, parts: tuple[slice, ...]
) -> None:
    points = _only(windows, **{name: 0.2})
    for part in parts:
        lost = points[:, :, part, 2] == 0
        assert lost.all((1, 2)).mean() == pytest.approx(0.2, abs=0.03)
        assert np.array_equal(lost.all((1, 2)), lost.any((1, 2)))
    rest = np.setdiff1d(np.arange(133), np.r_[tuple(parts)])
    assert np.array_equal(points[:, :, rest], windows[:, :, rest])
    assert np.array_equal(points[..., :2], windows[..., :2])


def test_hands_are_lost_by_themselves(windows: np.ndarray) -> None:
    lost = _only(windows, drop_hand=0.5)[:, 0, [LEFT_HAND.start, RIGHT_HAND.start], 2] == 0
    assert lost.all(1).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("name", "parts"), [("gap_hand", SIDES), ("gap_face", (FACE,))])
def test_parts_are_lost_for_runs_of_frames(windows: np.ndarray, name: str, parts: tuple[slice, ...]) -> None:
    points = _only(windows, **{name: 0.4})
    for part in parts:
        lost = points[:, :, part, 2] == 0
        assert np.array_equal(lost.all(-1), lost.any(-1)), "all of it or nothing"
        assert lost[..., 0].any(1).mean() == pytest.approx(0.4, abs=0.04)
        assert 0.1 < lost[..., 0].all(1).mean() / 0.4 < 0.3, "some runs are as long as the window, most are not"
        assert _in_one_run(lost[..., 0])
        starts, ends = lost[:, 0, 0] & ~lost[:, -1, 0], lost[:, -1, 0] & ~lost[:, 0, 0]
        inner = lost[..., 0].any(1) & ~lost[:, 0, 0] & ~lost[:, -1, 0]
        assert min(starts.sum(), ends.sum(), inner.sum()) > 20, "hands come, go, and blink"


def test_a_finger_is_lost_as_a_whole_and_alone(windows: np.ndarray) -> None:
    points = _only(windows, drop_finger=0.5)
    lost = points[:, :, RIGHT_HAND, 2] == 0
    assert not lost[..., 0].any(), "the wrist is no finger"
    fingers = lost[..., 1:].reshape(COUNT, FRAMES, 5, 4)
    assert np.array_equal(fingers.all(-1), fingers.any(-1))
    assert fingers.any(-1).sum(-1).max() == 1
    assert (fingers.any((1, 3)).sum(0) > 0.06 * COUNT).all(), "each of the five"


def test_a_share_of_windows_is_left_as_it_is_but_for_the_legs(windows: np.ndarray) -> None:
    how = Disturbance(share=0.4, drop_legs=1.0)
    points = disturb(windows, np.random.default_rng(0), how)
    assert not points[:, :, LOWER_BODY, 2].any(), "hips and legs are lost in all of them"
    points[:, :, LOWER_BODY] = windows[:, :, LOWER_BODY]
    assert (points != windows).any((1, 2, 3)).mean() == pytest.approx(0.4, abs=0.04)


def test_what_an_estimator_has_not_found_stays_missing(windows: np.ndarray) -> None:
    """Such points lie at (0, 0): a hand that is guessed there, or takes its shape from there, would be nonsense."""
    points = windows[:500].copy()
    points[:250, :, LEFT_HAND] = 0
    points[250:, :2, LEFT_HAND] = 0  # found from the third frame on
    guessed = _only(points, beyond_hands=1.0, beyond_body=1.0)
    assert np.array_equal(guessed, points)
    stale = _only(points, stale_hand=1.0)
    assert not stale[:250, :, LEFT_HAND, 2].any()
    seen = stale[..., LEFT_HAND, 2][..., 0] > 0
    size = np.ptp(stale[:, :, LEFT_HAND, :2], axis=2).max(-1)
    assert seen.any()
    assert size[seen].min() > 5, "no hand has collapsed onto its root"


def test_a_burst_shakes_one_finger(windows: np.ndarray) -> None:
    moved = np.abs(_only(windows, burst=0.5) - windows)[:, :, LEFT_HAND, :2].max(-1) > 0
    assert moved.any((1, 2)).mean() == pytest.approx(0.5, abs=0.04)
    assert moved.sum(-1).max() == 4
    assert _in_one_run(moved.any(-1))


def test_jitter_is_white_and_drift_lasts(windows: np.ndarray) -> None:
    for shares, kept in (({"jitter": 1.0}, 0.0), ({"drift": 1.0}, 0.8)):
        error = (_only(windows, **shares) - windows)[..., :2].astype(np.float64)
        deviation = error.reshape(COUNT, -1).std(1)
        assert deviation.max() < 1.15
        assert np.mean(deviation) == pytest.approx(0.5, abs=0.05), "even between 0 and the largest"
        after, before = error[:, 1:].ravel(), error[:, :-1].ravel()
        assert after @ before / (before @ before) == pytest.approx(kept, abs=0.03)
    moved = _only(windows, jitter=1.0, drift=1.0)
    assert np.array_equal(moved[..., 2], windows[..., 2])


def test_body_wrists_lie_beside_their_hands(windows: np.ndarray) -> None:
    error = (_only(windows, wrist_offset=6.0) - windows)[..., :2]
    wrists = error[:, :, [LEFT_WRIST, RIGHT_WRIST]]
    assert wrists.std() == pytest.approx(6 / 3**0.5, abs=0.2), "even between 0 and the largest"
    assert np.abs(wrists - wrists[:, :1]).max() < 1e-4, "the same in all frames of a window"
    error[:, :, [LEFT_WRIST, RIGHT_WRIST]] = 0
    assert not error.any()


def test_hands_change_place_and_size_as_a_whole(windows: np.ndarray) -> None:
    moved = _only(windows, hand_offset=1.5) - windows
    assert np.ptp(moved[:, :, RIGHT_HAND, :2], axis=(1, 2)).max() < 1e-4
    assert moved[:, 0, RIGHT_HAND.start, :2].std() == pytest.approx(1.5, abs=0.1)
    scaled = _only(windows, hand_scale=0.1)
    size, true = (np.linalg.norm(p[:, :, 91:112, :2] - p[:, :, 91:92, :2], axis=-1)[..., 1:] for p in (scaled, windows))
    factor = size / true
    assert np.log(factor[:, 0, 0]).std() == pytest.approx(0.1, abs=0.01)
    assert np.ptp(factor, axis=(1, 2)).max() < 1e-3


def test_a_hand_astray_is_sure_of_itself(windows: np.ndarray) -> None:
    unsure = windows.copy()
    unsure[..., 2] = 0.4
    unsure[:, :, LEFT_HAND.start + 3, 2] = 0
    points = _only(unsure, astray=0.3)
    moved = points[:, :, LEFT_HAND.start, 0] != unsure[:, :, LEFT_HAND.start, 0]
    assert moved.any(1).mean() == pytest.approx(0.3, abs=0.04)
    assert (points[moved][:, LEFT_HAND.start, 2] > 0.9).all()
    assert (points[:, :, LEFT_HAND.start + 3, 2] == 0).all(), "what is missing is not found by that"
    assert (points[~moved][:, LEFT_HAND, 2] < 0.5).all()


def test_only_hands_close_to_each_other_change_sides(windows: np.ndarray) -> None:
    points = windows.copy()
    hand = np.random.default_rng(0).uniform(0, 30, (21, 2)).astype(np.float32)
    points[:, :, LEFT_HAND, :2], points[:, :, RIGHT_HAND, :2] = hand + 50, 0.9 * hand + 58
    points[: COUNT // 2, :, RIGHT_HAND, :2] += 100
    swapped = _only(points, swap_hands=0.5)
    assert np.array_equal(swapped[: COUNT // 2], points[: COUNT // 2]), "far apart"
    changed = (swapped != points).any((2, 3))[COUNT // 2 :]
    assert changed.any(1).mean() == pytest.approx(0.5, abs=0.05)
    assert _in_one_run(changed)
    for one, other in (SIDES, SIDES[::-1]):
        assert np.array_equal(swapped[COUNT // 2 :][changed][:, one], points[COUNT // 2 :][changed][:, other])


def test_a_stale_hand_keeps_its_shape_and_follows_its_root(windows: np.ndarray) -> None:
    points = _only(windows, stale_hand=1.0)
    hand, true = points[:, :, LEFT_HAND], windows[:, :, LEFT_HAND]
    stale = hand[..., 0, 2] < 0.9
    assert stale.any(1).all()
    assert _in_one_run(stale)
    assert np.array_equal(hand[..., 0, :2], true[..., 0, :2])
    shape, fresh = (h[..., :2] - h[..., :1, :2] for h in (hand, true))
    first = stale.argmax(1)
    kept = np.take_along_axis(fresh, np.maximum(first - 1, 0)[:, None, None, None], 1)
    expected = np.where(stale[..., None, None], kept, fresh)
    assert np.abs(shape - expected).max() < 1e-3
    late = stale & (first > 0)[:, None]
    assert (np.abs(shape - fresh)[late].max((1, 2)) > 0.1).all(), "the shape before the run is another one"


def test_confidences_that_are_wrong(windows: np.ndarray) -> None:
    points = _only(windows, unsure=0.3)
    doubted = points[:, :, RIGHT_HAND.start, 2] < 0.5
    assert doubted.any(1).mean() == pytest.approx(0.3, abs=0.04)
    assert np.array_equal(points[..., :2], windows[..., :2])
    assert (points[..., 2] > 0).all()
    levels = _only(_only(windows, unsure=0.5, drop_point=0.1), binary=1.0)[..., 2]
    assert set(np.unique(levels)) == {0.0, 1.0}
    faded = _only(windows, fade=0.5)[..., 2] / 0.92
    assert faded.min() > 0.5
    assert np.ptp(faded, axis=(1, 2)).max() < 1e-6
    assert faded.mean() == pytest.approx(0.75, abs=0.02)


def test_single_points_are_lost_at_their_rate(windows: np.ndarray) -> None:
    lost = _only(windows, drop_point=0.05)[..., 2] == 0
    assert lost[:, :, FACE.start :].mean() == pytest.approx(0.05, abs=0.005)
    assert not lost[:, :, : FACE.start].any()


def test_bare_skeletons_have_what_skels_files_have(windows: np.ndarray) -> None:
    confidence = _only(windows, bare=1.0)[..., 2]
    present = [0, *range(5, 11), *range(91, 133)]
    assert (confidence[:, :, present] == 1).all()
    assert not np.delete(confidence, present, axis=2).any()


def test_other_face_layouts_stay_the_same_over_the_window(windows: np.ndarray) -> None:
    points = _only(windows, face_layout=0.5, face_offset=1.0, face_part=0.0)
    error = (points - windows)[..., :2]
    assert np.abs(error - error[:, :1]).max() < 1e-4
    other = error.any((1, 2, 3))
    assert other.mean() == pytest.approx(0.5, abs=0.04)
    assert not np.delete(error, np.r_[FACE], axis=2).any()
    parts = np.stack([error[other, 0, part].mean(1) for part in FACE_PARTS], 1)  # (N, 6, 2)
    assert parts.std() == pytest.approx(1.0, abs=0.1)
    correlation = np.corrcoef(parts[..., 0].T)
    assert np.abs(correlation - np.eye(len(FACE_PARTS))).max() < 0.15, "each part is displaced by itself"


def test_other_face_layouts_lack_whole_parts(windows: np.ndarray) -> None:
    lost = _only(windows, face_layout=1.0, face_part=0.3)[..., 2] == 0
    for part in (JAW, INNER_LIPS, HEAD):
        assert np.array_equal(lost[:, :, part].all((1, 2)), lost[:, :, part].any((1, 2)))
        assert lost[:, 0, part].all(1).mean() == pytest.approx(0.3, abs=0.04)
    assert not lost[:, :, 5 : BODY.stop].any()


def test_joints_outside_of_the_frame_are_sometimes_guessed(windows: np.ndarray) -> None:
    outside = windows.copy()
    outside[:, :, [7, LEFT_HAND.start + 5], 2] = 0
    confidence = _only(outside, beyond_body=0.6, beyond_hands=0.25)[..., 2]
    assert (confidence[:, 0, 7] > 0).mean() == pytest.approx(0.6, abs=0.04)
    assert (confidence[:, 0, LEFT_HAND.start + 5] > 0).mean() == pytest.approx(0.25, abs=0.04)
    rest = np.delete(np.arange(133), [7, LEFT_HAND.start + 5])
    assert np.array_equal(confidence[:, :, rest], outside[:, :, rest, 2])
