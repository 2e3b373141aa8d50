"""Missing hands and faces are completed: near the truth, without flicker, and only where something is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from signgen.cli import main
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.repair.missing import fill_missing, with_elbows
from signgen.keypoints.skeleton import (
    CONFIDENT,
    FACE,
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_WRIST,
    NOSE,
    RIGHT_ARM,
    RIGHT_HAND,
    RIGHT_WRIST,
)
from signgen.pose_image import draw_pose
from signgen.pose_image.strokes import FADE_FROM
from signgen.rendering.driving import read_driving
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source
from signgen.video import read_frame

FRAMES, FPS = 100, 25.0
HANDS = ((LEFT_HAND, LEFT_WRIST), (RIGHT_HAND, RIGHT_WRIST))


def _fingers(curl: np.ndarray) -> np.ndarray:
    """complex (T,21): a hand along the real axis, 25 px from wrist to knuckles, fingers curled by (T,) radians."""
    points = [np.zeros(len(curl), complex)]
    for finger, spread in enumerate((0.7, 0.25, 0.0, -0.2, -0.45)):
        direction, place = np.exp(1j * spread), points[0]
        for joint, length in enumerate((25.0, 10.0, 7.0, 5.0) if finger else (10.0, 9.0, 7.0, 6.0)):
            place = place + length * direction * np.exp(1j * joint * curl * (1 + 0.3 * finger))
            points.append(place)
    return np.stack(points, 1)


def _wave(rng: np.random.Generator, middle: float, reach: float, seconds: float) -> np.ndarray:
    """(T,) a value that swings slowly and unevenly about ``middle``."""
    time = np.arange(FRAMES) / FPS
    phases, rates = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.6, 1.4, 3) / seconds
    return middle + reach * np.sin(2 * np.pi * rates[:, None] * time + phases[:, None]).mean(0)


def _signing(seed: int) -> Keypoints:
    """A clip of two moving arms whose hands turn and curl by themselves; body wrists lie beside the hands' roots."""
    rng = np.random.default_rng(seed)
    points = np.zeros((FRAMES, 133), complex)
    points[:, :5] = 105 + 60j + np.array([0, 6 - 5j, -6 - 5j, 14 - 2j, -14 - 2j]) + _wave(rng, 0, 3, 2)[:, None]
    around = np.exp(1j * np.linspace(0, 2 * np.pi, 68))
    points[:, FACE] = points[:, :1] + 18 * around
    for side, (hand, wrist) in zip((1, -1), HANDS, strict=True):
        shoulder = 105 + side * 40 + 110j
        upper, fore = _wave(rng, 1.2, 0.5, 2.0), _wave(rng, -0.6, 1.6, 2.0)
        elbow = side * 55 * np.exp(1j * side * upper)
        forearm = np.exp(1j * side * fore) * -side
        root = shoulder + elbow + 50 * forearm
        points[:, wrist - 4], points[:, wrist - 2] = shoulder, shoulder + elbow
        points[:, wrist] = root - 7 * forearm + rng.normal(0, 0.4, FRAMES) + 1j * rng.normal(0, 0.4, FRAMES)
        bend = np.exp(1j * _wave(rng, 0.2, 0.5, 1.5))
        fingers = _fingers(_wave(rng, 0.4, 0.4, 1.5))
        points[:, hand] = root[:, None] + (forearm * bend)[:, None] * (fingers if side > 0 else fingers.conj())
    confidence = np.full((FRAMES, 133), 0.9)
    confidence[:, 11:23] = 0
    return Keypoints(np.stack([points.real, points.imag], -1), confidence, 210, 260, FPS, "signing")


def _without(clip: Keypoints, part: slice | int, lost: np.ndarray) -> Keypoints:
    """The clip with a part missing in bool (T,) frames."""
    confidence = clip.confidence.copy()
    confidence[lost, part] = 0
    return replace(clip, confidence=confidence)


def _frames(*ranges: tuple[int, int]) -> np.ndarray:
    lost = np.zeros(FRAMES, bool)
    for start, stop in ranges:
        lost[start:stop] = True
    return lost


def _gaps(length: int, seed: int) -> np.ndarray:
    """(T,) gaps of ``length`` frames with a few seen frames between them."""
    rng = np.random.default_rng(seed)
    lost, start = np.zeros(FRAMES, bool), int(rng.integers(4, 10))
    while start + length + 4 < FRAMES:
        lost[start : start + length] = True
        start += length + int(rng.integers(5, 12))
    return lost


def _error(clip: Keypoints, truth: Keypoints, part: slice, frames: np.ndarray) -> float:
    return float(np.linalg.norm(clip.xy[frames, part] - truth.xy[frames, part], axis=-1).mean())


def _steps(clip: Keypoints, joints: slice | int) -> np.ndarray:
    return np.linalg.norm(np.diff(clip.xy[:, joints], axis=0), axis=-1)


# --- where nothing is missing -----------------------------------------------------------------------------------
def test_a_complete_clip_stays_as_it_is() -> None:
    clip = _signing(0)
    completed, words = fill_missing(clip)
    assert completed == clip
    assert words == []


def test_only_what_is_missing_changes() -> None:
    clip = _signing(1)
    lost = _frames((20, 31), (60, 75))
    given = _without(clip, RIGHT_HAND, lost)
    completed, words = fill_missing(given)
    unchanged = np.delete(np.arange(133), np.r_[RIGHT_HAND])
    assert np.array_equal(completed.xy[:, unchanged], given.xy[:, unchanged])
    assert np.array_equal(completed.confidence[:, unchanged], given.confidence[:, unchanged])
    assert np.array_equal(completed.xy[~lost], given.xy[~lost])
    assert np.array_equal(completed.confidence[~lost], given.confidence[~lost])
    assert words == ["missing parts were completed: right hand in 26 of 100 frames"]


def test_completed_points_are_drawn_and_less_sure_than_seen_ones() -> None:
    for sureness in (0.9, 0.45):
        clip = _signing(2)
        clip = replace(clip, confidence=clip.confidence / 0.9 * sureness)
        completed, _ = fill_missing(_without(clip, LEFT_HAND, _frames((30, 50))))
        confidence = completed.confidence[30:50, LEFT_HAND]
        assert (confidence > FADE_FROM + 0.2).all()
        assert (confidence < sureness).all()


# --- how near the truth -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("length", [3, 8, 20])
def test_nearer_to_the_truth_than_straight_lines_and_than_the_last_shape(length: int) -> None:
    errors = {"carried": [], "lines": [], "held": []}
    for seed in range(6):
        clip = _signing(seed)
        for hand, _ in HANDS:
            lost = _gaps(length, seed)
            given = _without(clip, hand, lost)
            last = np.maximum.accumulate(np.where(lost, -1, np.arange(FRAMES)))
            held = replace(given, xy=given.xy[last], confidence=given.confidence[last])
            for name, guess in (
                ("carried", fill_missing(given)[0]),
                ("lines", given.fill_gaps(length)),
                ("held", held),
            ):
                assert (guess.confidence[lost, hand] > 0).all()
                errors[name].append(_error(guess, clip, hand, lost))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert mean["carried"] < 0.75 * mean["lines"], mean
    assert mean["carried"] < 0.4 * mean["held"], mean


@pytest.mark.parametrize("seed", range(5))
def test_hands_lost_every_now_and_then_neither_flicker_nor_jump(seed: int) -> None:
    clip = _signing(seed)
    rng = np.random.default_rng(seed)
    given = clip
    for hand, _ in HANDS:
        change = rng.random(FRAMES) < 0.25  # about half of the frames, in runs of four
        given = _without(given, hand, np.logical_xor.accumulate(change))
    completed, _ = fill_missing(given)
    for hand, _ in HANDS:
        assert (given.confidence[:, hand] == 0).any()
        assert (completed.confidence[:, hand] > FADE_FROM).all(), "in every frame"
        assert _steps(completed, hand.start).max() < _steps(clip, hand.start).max() + 4
        tips = slice(hand.start + 8, hand.stop, 4)
        assert _steps(completed, tips).max() < 1.5 * _steps(clip, tips).max() + 4


def test_before_the_first_and_after_the_last_detection_the_nearest_shape_is_held() -> None:
    clip = _signing(3)
    completed, _ = fill_missing(_without(clip, LEFT_HAND, _frames((0, 20), (80, 100))))
    assert (completed.confidence[:, LEFT_HAND] > 0).all()
    hand = completed.xy[:, LEFT_HAND]
    apart = np.linalg.norm(hand[:, :, None] - hand[:, None], axis=-1)
    assert np.abs(apart[:20] - apart[20]).max() < 0.01
    assert np.abs(apart[80:] - apart[79]).max() < 0.01
    offset = completed.xy[:, LEFT_HAND.start] - completed.xy[:, LEFT_WRIST]
    assert np.linalg.norm(offset, axis=-1).max() < 12, "it follows the wrist"


def test_a_held_hand_turns_with_its_forearm_and_bends_no_farther_than_a_wrist_does() -> None:
    clip = _signing(3)
    xy = np.array(clip.xy)
    angle = np.radians(np.clip(np.arange(FRAMES) - 20, 0, 60) * 2.5)  # 150 degrees in 2.4 seconds
    forearm = np.exp(1j * angle)
    wrist = xy[:, LEFT_ELBOW, 0] + 1j * xy[:, LEFT_ELBOW, 1] + 43 * forearm
    xy[:, LEFT_WRIST] = np.stack([wrist.real, wrist.imag], -1)
    hand = wrist[:, None] + 7 * forearm[:, None] + _fingers(np.full(FRAMES, 0.2))  # keeps its direction
    xy[:, LEFT_HAND] = np.stack([hand.real, hand.imag], -1)
    completed, _ = fill_missing(_without(replace(clip, xy=xy), LEFT_HAND, _frames((21, FRAMES))))
    along = completed.xy[:, LEFT_HAND.start + 9] - completed.xy[:, LEFT_HAND.start]
    turned = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
    assert turned[44] > 0.5 * angle[44], "60 degrees of turn"
    assert turned[-1] > 0.9 * angle[-1], "after a second as a whole"
    assert np.abs(np.diff(turned)).max() < np.radians(8)

    bent = fill_missing(_without(replace(clip, xy=xy), LEFT_HAND, _frames((51, FRAMES))))[0]  # by 75 degrees
    along = bent.xy[:, LEFT_HAND.start + 9] - bent.xy[:, LEFT_HAND.start]
    bend = np.degrees(np.abs(np.angle((along[:, 0] + 1j * along[:, 1]) / forearm)))
    assert bend[51] == pytest.approx(bend[50], abs=4), "what was seen is believed"
    assert bend[76:].max() < 60


def test_a_mirrored_clip_is_completed_as_the_mirror_of_the_clip() -> None:
    clip = _without(_signing(4), RIGHT_HAND, np.ones(FRAMES, bool))
    clip = _without(clip, LEFT_HAND, _frames((0, 9), (30, 44)))
    mirrored, flipped = fill_missing(clip.mirror())[0], fill_missing(clip)[0].mirror()
    assert np.abs(mirrored.xy - flipped.xy).max() < 0.01
    assert np.array_equal(mirrored.confidence, flipped.confidence)


def test_the_size_of_the_picture_makes_no_difference() -> None:
    clip = _without(_signing(5), RIGHT_HAND, _frames((0, 9), (30, 44)))
    clip = _without(clip, LEFT_HAND, np.ones(FRAMES, bool))
    large = fill_missing(clip.resized(630, 780))[0]
    assert np.abs(large.xy - fill_missing(clip)[0].resized(630, 780).xy).max() < 0.02


# --- what is not believed ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", ["far", "huge", "tiny"])
def test_a_brief_detection_in_an_unlikely_place_is_replaced(wrong: str) -> None:
    clip = _signing(6)
    given = _without(clip, LEFT_HAND, _frames((30, 40), (42, 55)))
    xy = given.xy.copy()
    root = xy[40:42, LEFT_HAND.start, None]
    xy[40:42, LEFT_HAND] = {
        "far": xy[40:42, LEFT_HAND] - [70, 0],
        "huge": root + 3 * (xy[40:42, LEFT_HAND] - root),
        "tiny": root + 0.2 * (xy[40:42, LEFT_HAND] - root),
    }[wrong]
    completed, words = fill_missing(replace(given, xy=xy))
    expected = fill_missing(_without(clip, LEFT_HAND, _frames((30, 55))))[0]
    assert completed == expected
    assert "unlikely detections: left hand in 2" in words[0]


def test_a_clip_of_a_few_frames_that_shows_the_hand_in_all_is_believed() -> None:
    clip = _signing(6)[:3]
    xy = clip.xy + np.array([70, 0]) * (np.arange(133) >= LEFT_HAND.start)[:, None]
    odd = replace(clip, xy=xy)
    assert fill_missing(odd) == (odd, [])


def test_a_brief_detection_in_a_likely_place_is_kept() -> None:
    clip = _signing(6)
    completed, words = fill_missing(_without(clip, LEFT_HAND, _frames((30, 40), (42, 55))))
    assert np.array_equal(completed.xy[40:42, LEFT_HAND], clip.xy[40:42, LEFT_HAND])
    assert "unlikely" not in words[0]


# --- what is not invented ---------------------------------------------------------------------------------------
def test_without_a_wrist_a_hand_goes_on_for_a_moment_only() -> None:
    clip = _signing(7)
    short, long = _frames((20, 25)), _frames((50, 80))
    given = _without(_without(clip, LEFT_HAND, short | long), LEFT_WRIST, short | long)
    completed, _ = fill_missing(given)
    assert (completed.confidence[short, LEFT_HAND] > 0).all()
    assert _error(completed, clip, LEFT_HAND, short) < 8
    assert not completed.confidence[long, LEFT_HAND].any()


def test_beyond_the_frame_nothing_is_invented() -> None:
    clip = _signing(8)
    low = clip.shifted(0, 400)
    lost = _frames((40, 70))
    xy = np.where(lost[:, None, None], low.xy, clip.xy)
    given = _without(replace(clip, xy=xy), LEFT_HAND, lost)
    assert not fill_missing(given)[0].confidence[lost, LEFT_HAND].any()


def test_frames_without_anybody_stay_empty() -> None:
    given = _without(_signing(9), slice(None), _frames((40, 43)))
    assert not fill_missing(given)[0].confidence[40:43].any()


def test_a_hand_never_found_hangs_along_its_forearm() -> None:
    clip = _signing(10)
    completed, words = fill_missing(_without(clip, LEFT_HAND, np.ones(FRAMES, bool)))
    assert "left hand in 100 of 100 frames" in words[0]
    assert (completed.confidence[:, LEFT_HAND] > FADE_FROM).all()
    hand, wrist = completed.xy[:, LEFT_HAND], completed.xy[:, LEFT_WRIST]
    assert np.linalg.norm(hand[:, 0] - wrist, axis=-1).max() < 4
    along, forearm = hand[:, 9] - hand[:, 0], wrist - completed.xy[:, LEFT_ELBOW]
    lengths = np.linalg.norm(along, axis=-1) * np.linalg.norm(forearm, axis=-1)
    assert np.quantile((along * forearm).sum(-1) / lengths, 0.1) > 0.8
    size = np.linalg.norm(along, axis=-1)
    assert np.ptp(size) < 0.01
    assert 20 < size[0] < 30, "as large as the other hand"


# --- points and faces -------------------------------------------------------------------------------------------
def test_single_points_of_a_hand_that_is_there_are_filled() -> None:
    clip = _signing(11)
    tip, lost = LEFT_HAND.start + 8, _frames((30, 34))
    completed, words = fill_missing(_without(clip, tip, lost))
    assert (completed.confidence[lost, tip] > FADE_FROM).all()
    assert np.linalg.norm(completed.xy[lost, tip] - clip.xy[lost, tip], axis=-1).max() < 5
    assert words == []
    long = fill_missing(_without(clip, tip, _frames((30, 60))))[0]
    assert not long.confidence[30:60, tip].any(), "a finger that is hidden for a second"


def test_a_face_lost_for_some_frames_moves_with_the_head() -> None:
    clip, lost = _signing(12), _frames((30, 42))
    completed, words = fill_missing(_without(clip, FACE, lost))
    assert words == ["missing parts were completed: face in 12 of 100 frames"]
    assert _error(completed, clip, FACE, lost) < 1.5
    unknown = fill_missing(_without(_without(clip, FACE, lost), NOSE, lost))[0]
    assert not unknown.confidence[lost, FACE].any()
    never = fill_missing(_without(clip, FACE, np.ones(FRAMES, bool)))[0]
    assert not never.confidence[:, FACE].any()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_of_a_few_frames(frames: int) -> None:
    given = _without(_signing(13), LEFT_HAND, np.ones(FRAMES, bool))[:frames]
    completed, _ = fill_missing(given)
    assert (completed.confidence[:, LEFT_HAND] > 0).all()


# --- as users meet it -------------------------------------------------------------------------------------------
def test_render_completes_hands_unless_told_not_to() -> None:
    given = _without(_signing(14), LEFT_HAND, _frames((20, 50)))
    source = load_source()
    driving = read_driving(given, source, RenderSettings())
    clip, warnings = driving.clip, driving.warnings
    assert clip == fill_missing(given)[0]
    assert warnings == ["missing parts were completed: left hand in 30 of 100 frames"]
    driving = read_driving(given, source, RenderSettings(fill_hands=False))
    clip, warnings = driving.clip, driving.warnings
    assert clip == given
    assert warnings == []


@pytest.mark.parametrize(
    ("options", "completed"),
    [
        ([], True),
        (["--no-fill-hands"], False),
        (["--style", "fpdm"], False),
        (["--style", "fpdm", "--fill-hands"], True),
    ],
)
def test_draw_shows_what_render_uses(tmp_path: Path, options: list[str], completed: bool) -> None:
    given = _without(_signing(15), LEFT_HAND, _frames((20, 50)))
    write_keypoints(given, tmp_path / "clip.npz")
    arguments = ["draw", tmp_path / "clip.npz", "-o", tmp_path / "out", "--frames", "30:32", "--json", *options]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert any("left hand in 30" in line for line in json.loads(done.stdout)["warnings"]) == completed
    poses = fill_missing(given)[0] if completed else given
    wanted = draw_pose(poses, style="fpdm" if "fpdm" in options else "signgen", start=30, stop=31)
    assert np.array_equal(read_frame(tmp_path / "out", 0), wanted[0])


def test_real_clip_that_misses_a_hand_in_half_of_its_frames(shared: Path) -> None:
    clip = read_keypoints(shared / "data/pose/phoenix14t_25October_2010_Monday_tagesschau-17.pose").keypoints
    completed, _ = fill_missing(clip)
    for hand, _ in HANDS:
        before, after = (c.confidence[:, hand.start + 9] > FADE_FROM for c in (clip, completed))
        assert before.mean() < 0.5
        assert after.mean() > 0.98
        assert np.diff(before.astype(int)).any()
        assert np.abs(np.diff(after[1:].astype(int))).sum() == 0
        assert _steps(completed, hand.start)[1:].max() < 30


def test_a_lost_elbow_stays_at_its_arm_when_the_wrist_passes_the_shoulder() -> None:
    clip = _signing(3)
    xy = clip.xy.copy()
    shoulder, elbow, wrist = (xy[:, joint] for joint in RIGHT_ARM[:3])
    shoulder[:] = 65, 110
    wrist[:] = np.stack([np.linspace(95, 35, FRAMES), np.linspace(112, 109, FRAMES)], -1)  # right across it
    elbow[:] = 20, 140  # out of the picture, say
    completed, words = fill_missing(_without(replace(clip, xy=xy), RIGHT_ARM.elbow, _frames((6, FRAMES - 6))))
    found = completed.xy[:, RIGHT_ARM.elbow]
    assert "an elbow" in words[0]
    assert np.linalg.norm(found - shoulder, axis=-1).max() < 90, "no longer than an arm"
    assert _steps(completed, RIGHT_ARM.elbow).max() < 20, "it does not turn about the shoulder"
    beside = np.linalg.norm(wrist - shoulder, axis=-1) < 15
    assert (found[beside, 0] < 45).all(), "on the outer side"


def test_lost_elbows_alone_are_completed_and_as_sure_as_seen_ones() -> None:
    clip = _signing(2)
    assert with_elbows(clip) is clip
    lost = _without(_without(clip, RIGHT_ARM.elbow, _frames((0, FRAMES))), LEFT_HAND, _frames((0, 9)))
    whole = with_elbows(lost)
    assert (whole.confidence[:, RIGHT_ARM.elbow] >= CONFIDENT).all()
    others = np.delete(np.arange(133), RIGHT_ARM.elbow)
    assert np.array_equal(whole.points[:, others], lost.points[:, others])
    bare = _without(lost, RIGHT_WRIST, _frames((0, FRAMES)))
    assert with_elbows(bare) == bare, "nothing says where it is"
