"""`signgen edit`: what is kept, how clips are joined, when things happen, parts of other clips, lists, bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from keypoint_maker import signer

from signgen import Keypoints, edit, read_keypoints, write_keypoints
from signgen.cli import main
from signgen.editing import timing
from signgen.editing.parts import brought_to, with_part
from signgen.editing.transition import LEAST, PER_WIDTH, between, gap_seconds, transition
from signgen.errors import BadValue, Damaged, Empty, InputError, Mismatch, Missing, NotFound, TooLarge
from signgen.keypoints import WRITE_FORMATS, rows
from signgen.keypoints.keypoint_files import FORMATS
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.skeleton import FACE, LEFT_HAND, LEFT_WRIST, RIGHT_ARM, RIGHT_ELBOW, RIGHT_WRIST, SHOULDERS

EXAMPLES = Path(__file__).resolve().parent.parent / "signgen" / "assets" / "examples"
HOUSE, FOG = EXAMPLES / "house.npz", EXAMPLES / "fog.npz"
ARM = [RIGHT_WRIST, *range(RIGHT_ARM.hand.start, RIGHT_ARM.hand.stop)]  # what moves with the right wrist


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["edit", *(str(argument) for argument in arguments)])


def test_a_folder_that_holds_an_input_is_not_replaced(tmp_path: Path) -> None:
    """Nor a frame of one: the others, or that one, would be lost."""
    frames = tmp_path / "frames"
    write_keypoints(read_keypoints(FOG).keypoints[:4], frames, "openpose")
    files = sorted(frames.iterdir())
    for clip, out in ((files[0], frames), (frames, files[0])):
        said = run(clip, "-o", out, "--to", "openpose" if out == frames else "mmpose")
        assert said.exit_code == 2
        assert "write elsewhere" in said.stderr
    assert sorted(frames.iterdir()) == files


def moved(clip: Keypoints, joints: list[int], way: np.ndarray) -> Keypoints:
    """Some joints moved by (T,2) pixels."""
    xy = clip.xy.copy()
    xy[:, joints] += way[:, None].astype(np.float32)
    return replace(clip, xy=xy)


def without(clip: Keypoints, joints: slice | int, frames: slice = slice(None)) -> Keypoints:
    confidence = clip.confidence.copy()
    confidence[frames, joints] = 0
    return replace(clip, confidence=confidence)


# --- the curve of a transition --------------------------------------------------------------------------------
def known(*sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.ones(side.shape[:2], bool) for side in sides)  # type: ignore[return-value]


def test_from_rest_to_rest_it_is_the_polynomial_of_flash_and_hogan() -> None:
    before, after = np.full((5, 1, 2), 3.0), np.full((5, 1, 2), 11.0)
    s = np.arange(1, 10)[:, None, None] / 10
    path = between(before, after, known(before, after), 9, 12)
    assert np.allclose(path, 3 + 8 * (10 * s**3 - 15 * s**4 + 6 * s**5), atol=1e-12)


def test_a_gap_in_a_throw_is_filled_with_the_throw() -> None:
    """Even acceleration has no jerk at all, so the movement with the least of it is the same one going on."""
    t = np.arange(30.0)
    throw = np.stack([4 * t, 0.3 * t**2 - 7 * t], -1)[:, None]
    path = between(throw[:10], throw[20:], known(throw[:10], throw[20:]), 10, 30)
    assert np.allclose(path, throw[10:20], atol=1e-9)


def test_in_a_long_gap_the_movement_dies_out_soon() -> None:
    t = np.arange(6.0)[:, None, None] * np.ones((1, 1, 2))
    path = between(20 * t, 20 * t[:1] + np.zeros((6, 1, 2)) + 100, known(t, t), 200, 12)
    assert path.max() <= 100 + 20 * 12 / 2 + 1e-6  # half the way that it would have gone in twelve frames
    assert np.abs(np.diff(path[60:], axis=0)).max() < 2


def test_a_speed_is_known_only_from_frames_without_a_hole() -> None:
    t = np.arange(6.0)[:, None, None] * np.ones((1, 1, 2))
    still = np.full((6, 1, 2), 50.0)
    seen, hole = np.ones((6, 1), bool), np.ones((6, 1), bool)
    hole[4] = False  # the frame before the last one: what lies behind it says nothing
    assert between(10 * t, still, (hole, seen), 5, 12)[0, 0, 0] == pytest.approx(50)
    assert between(10 * t, still, (seen, seen), 5, 12)[0, 0, 0] > 55


# --- a transition of a body -----------------------------------------------------------------------------------
def test_no_jump_at_the_seams() -> None:
    """Speeds and accelerations of the hands, at the seams and between them, are such as the clips have themselves."""
    result = edit([HOUSE, FOG])
    end, start = (round(one * 25) for one in (result.clips[0].end, result.clips[1].start))
    points = [RIGHT_WRIST, RIGHT_ELBOW, *SHOULDERS]
    xy = result.keypoints.xy[:, points].astype(np.float64)
    cut = np.concatenate([xy[:end], xy[start:]])

    def bounds(track: np.ndarray, frames: slice) -> tuple[float, float]:
        return tuple(np.linalg.norm(np.diff(track, n, axis=0), axis=-1)[frames].max() for n in (1, 2))  # type: ignore

    speed, acceleration = bounds(xy, slice(end - 3, start + 3))
    clip_speed, clip_acceleration = np.max([bounds(xy[:end], slice(None)), bounds(xy[start:], slice(None))], 0)
    assert speed < clip_speed
    assert acceleration < clip_acceleration
    jump_speed, jump_acceleration = bounds(cut, slice(end - 3, end + 3))
    assert speed < 0.5 * jump_speed
    assert acceleration < 0.25 * jump_acceleration


def test_the_clips_stay_as_they_are_and_the_gap_has_its_length() -> None:
    first, second = signer(30), signer(20)
    result = edit([first, second], gap=0.4)
    assert len(result.keypoints) == 30 + 10 + 20
    assert np.array_equal(result.keypoints.xy[:30], first.xy)
    assert np.array_equal(result.keypoints.xy[40:], second.xy)
    assert [(span.start, span.end, span.gap) for span in result.clips] == [(0, 1.2, 0), (1.6, 2.4, 0.4)]
    assert len(edit([first, second], gap=0).keypoints) == 50


def test_a_forearm_turns_about_its_elbow_and_keeps_its_length() -> None:
    """From hanging to raised aside: between positions the forearm would shrink to 0.71 of its length."""
    low = signer(20)
    elbow = low.xy[0, RIGHT_ELBOW].astype(np.float64)
    length = 60.0
    down, aside = elbow + (0, length), elbow - (length, 0)
    start, end = (moved(low, ARM, place - low.xy[:, RIGHT_WRIST]) for place in (down, aside))
    way = transition(start, end, 9)
    lengths = np.linalg.norm(way.xy[:, RIGHT_WRIST] - way.xy[:, RIGHT_ELBOW], axis=1)
    assert lengths.min() > 0.8 * length
    assert lengths.max() < 1.05 * length
    root = way.xy[:, RIGHT_ARM.hand.start] - way.xy[:, RIGHT_WRIST]
    assert np.abs(root - root[0]).max() < 0.5  # and the hand stays on it


def turned(clip: Keypoints, radians: float) -> Keypoints:
    """The right hand turned about its root."""
    xy = clip.xy.copy().astype(np.float64)
    hand = xy[:, RIGHT_ARM.hand]
    root = hand[:, :1].copy()
    c, s = np.cos(radians), np.sin(radians)
    xy[:, RIGHT_ARM.hand] = root + (hand - root) @ np.array([[c, s], [-s, c]])
    return replace(clip, xy=xy)


def test_a_hand_turns_as_a_hand_and_is_not_squeezed() -> None:
    """A real hand of a drawn signer, turned by 120 degrees; straight ways of its points would halve it."""
    clip = read_keypoints(HOUSE).keypoints[:20]
    away = turned(clip, np.radians(120))
    way = transition(clip, away, 9)
    hand = way.xy[:, RIGHT_ARM.hand]
    sizes = np.linalg.norm(hand - hand[:, :1], axis=-1).max(1)
    straight = (clip.xy[-1, RIGHT_ARM.hand] + away.xy[0, RIGHT_ARM.hand]) / 2
    whole = np.linalg.norm(clip.xy[-1, RIGHT_ARM.hand] - clip.xy[-1, RIGHT_ARM.hand.start], axis=-1).max()
    assert np.linalg.norm(straight - straight[0], axis=-1).max() < 0.55 * whole
    assert sizes.min() > 0.7 * whole
    assert sizes.max() < 1.3 * whole


def test_missing_points_stay_missing_in_a_transition() -> None:
    first, second = signer(20), without(without(signer(20), LEFT_HAND, slice(0, 1)), 3, slice(0, 1))
    way = transition(first, second, 6)
    gone = [3, *range(LEFT_HAND.start, LEFT_HAND.stop)]
    assert not way.confidence[:, gone].any()
    assert not way.xy[:, gone].any()
    there = np.setdiff1d(np.flatnonzero(first.confidence[-1]), gone)
    assert (way.confidence[:, there] > 0).all()


def test_confidence_goes_over_evenly() -> None:
    first, second = signer(10), signer(10)
    second = replace(second, confidence=second.confidence * 0.5)
    assert np.allclose(transition(first, second, 3).confidence[:, 0], [0.875, 0.75, 0.625])


def test_a_gap_is_as_long_as_hands_take_for_the_way() -> None:
    still = signer(1)[:1]
    clip = replace(still, xy=np.repeat(still.xy, 10, 0), confidence=np.repeat(still.confidence, 10, 0))
    width = measure(clip).shoulders
    assert gap_seconds(clip, clip) == pytest.approx(LEAST)
    assert gap_seconds(clip, moved(clip, ARM, np.tile([0, -1.5 * width], (10, 1)))) == pytest.approx(
        LEAST + 1.5 * PER_WIDTH, abs=1e-3
    )


def test_a_way_that_goes_on_takes_less_time_than_one_that_turns_back() -> None:
    clip = signer(10)
    clip = replace(clip, xy=np.repeat(clip.xy[:1], 10, 0))
    up = moved(clip, ARM, np.arange(10)[:, None] * np.array([[0.0, -6.0]]))
    end = moved(clip, ARM, np.tile([0.0, -9 * 6 - 60.0], (10, 1)))
    back = moved(clip, ARM, np.tile([0.0, -9 * 6 + 60.0], (10, 1)))
    assert gap_seconds(up, end) < gap_seconds(up, back)


# --- what is kept ---------------------------------------------------------------------------------------------
def test_trim_in_seconds() -> None:
    clip = signer(50)
    result = edit(clip, trim=(0.4, 1.2))
    assert np.array_equal(result.keypoints.xy, clip.xy[10:30])
    assert result.clips[0].trimmed == pytest.approx((0.4, 0.8))
    assert len(edit(clip, trim=(None, 0.4)).keypoints) == 10


def dictionary_sign(still: int = 20, up: int = 10, sign: int = 25, down: int = 10) -> Keypoints:
    """Hands at rest, the right one goes up, signs small circles there, goes down, and rests."""
    clip = signer(2 * still + up + sign + down)
    clip = replace(clip, xy=np.repeat(clip.xy[:1], len(clip), 0))
    rest = 110.0 - (clip.xy[0, RIGHT_WRIST, 1] - clip.xy[0, 6, 1])  # 1.25 widths below the shoulders
    s = np.linspace(0, 1, up + 1)[1:]
    way = s**3 * (10 - 15 * s + 6 * s**2)
    lift = np.concatenate([np.zeros(still), way, np.ones(sign), way[::-1], np.zeros(still)])
    t = np.arange(sign) / 25
    circles = np.stack([8 * np.cos(2 * np.pi * 2 * t) - 8, 8 * np.sin(2 * np.pi * 2 * t)], -1)
    path = np.stack([np.zeros(len(clip)), rest - 120 * lift], -1)
    path[still + up : still + up + sign] += circles
    left = np.tile([0.0, rest], (len(clip), 1))
    return moved(moved(clip, ARM, path), [LEFT_WRIST, *range(91, 112)], left)


def test_rests_and_the_ways_from_and_to_them_are_cut_away() -> None:
    clip = dictionary_sign()
    result = edit(clip, trim="rests")
    start, end = (round(seconds * 25) for seconds in result.clips[0].trimmed)
    assert abs(start - 30) <= 2
    assert abs(end - 30) <= 2
    assert np.array_equal(result.keypoints.xy, clip.xy[start : len(clip) - end])


@pytest.mark.parametrize("frames", [slice(0, 24), slice(0, 10)])
def test_resting_hands_may_be_lost(frames: slice) -> None:
    lost = without(dictionary_sign(), slice(91, 133), frames)
    for wrist in (LEFT_WRIST, RIGHT_WRIST):
        lost = without(lost, wrist, frames)
    start = round(edit(lost, trim="rests").clips[0].trimmed[0] * 25)
    assert abs(start - 30) <= 2


def test_the_later_of_two_hands_counts_and_a_stop_half_way_does_not() -> None:
    clip = dictionary_sign()
    both = moved(clip, [LEFT_WRIST, *range(91, 112)], np.roll(clip.xy[:, RIGHT_WRIST] - clip.xy[0, RIGHT_WRIST], 4, 0))
    start = round(edit(both, trim="rests").clips[0].trimmed[0] * 25)
    assert abs(start - 34) <= 2  # the left hand follows four frames later
    xy = clip.xy.copy()
    xy[24:27, ARM] = xy[24:25, ARM]  # an estimator that has lost a fast hand
    start = round(edit(replace(clip, xy=xy), trim="rests").clips[0].trimmed[0] * 25)
    assert abs(start - 30) <= 2


def test_raised_hands_are_no_rest_and_that_is_said() -> None:
    clip = dictionary_sign()[30:55]
    result = edit(clip, trim="rests")
    assert len(result.keypoints) == 25
    assert "nothing was cut" in result.warnings[0]


def test_a_clip_in_which_the_hands_always_rest() -> None:
    with pytest.raises(Empty) as caught:
        edit(dictionary_sign()[:15], trim="rests")
    assert caught.value.subject == "drawn"


# --- when things happen ---------------------------------------------------------------------------------------
def waving(frames: int = 51, hertz: float = 1.0) -> Keypoints:
    clip = signer(frames)
    t = np.arange(frames) / clip.fps
    clip = replace(clip, xy=np.repeat(clip.xy[:1], frames, 0))
    return moved(clip, ARM, np.stack([0 * t, 40 * np.sin(2 * np.pi * hertz * t)], -1))


def test_speed_and_duration() -> None:
    clip = waving()
    slow, twice = edit(clip, speed=0.5).keypoints, edit(clip, duration=clip.seconds / 2).keypoints
    assert (slow.seconds, twice.seconds) == (
        pytest.approx(2 * clip.seconds),
        pytest.approx(clip.seconds / 2, abs=0.021),
    )
    t = np.arange(len(slow) - 1) / 50
    true = 40 * np.sin(2 * np.pi * t)
    found = slow.xy[:-1, RIGHT_WRIST, 1] - clip.xy[0, RIGHT_WRIST, 1]
    assert np.abs(found - true).max() < 0.1  # straight lines between the frames would be 0.3 off
    assert np.array_equal(twice.xy[:20], clip.xy[:40:2])


def test_another_rate_keeps_the_seconds() -> None:
    result = edit([waving(), waving()], fps=50, gap=0.2)
    assert result.keypoints.fps == 50
    assert result.keypoints.seconds == pytest.approx(2 * 51 / 25 + 0.2)
    assert result.clips[1].start == pytest.approx(51 / 25 + 0.2)


def test_missing_points_stay_missing_when_the_speed_changes() -> None:
    clip = without(waving(), RIGHT_WRIST, slice(20, 30))
    slow = edit(clip, speed=0.5).keypoints
    assert np.array_equal(slow.confidence[:, RIGHT_WRIST] == 0, (np.arange(102) >= 39) & (np.arange(102) < 59))
    assert not slow.xy[39:59, RIGHT_WRIST].any()


@pytest.mark.filterwarnings("error")
def test_a_hold_of_no_time_is_none() -> None:
    clip = waving()
    assert np.array_equal(edit(clip, hold=(1.0, 0)).keypoints.xy, clip.xy)


def test_a_hold_stops_and_goes_on_without_a_jerk() -> None:
    clip = waving()
    result = edit(clip, hold=(1.0, 0.6)).keypoints
    assert result.seconds == pytest.approx(clip.seconds + 0.6, abs=0.021)
    wrist = result.xy[:, RIGHT_WRIST, 1].astype(np.float64)
    still = np.flatnonzero(np.abs(np.diff(wrist)) < 1e-3)
    assert len(still) >= 10
    assert abs(wrist[still[5]] - clip.xy[25, RIGHT_WRIST, 1]) < 0.2
    assert np.array_equal(result.xy[:20], clip.xy[:20])
    assert np.allclose(result.xy[-20:], clip.xy[-20:], atol=0.02)
    fastest = np.abs(np.diff(clip.xy[:, RIGHT_WRIST, 1])).max()
    assert np.abs(np.diff(wrist, 2)).max() < 0.55 * fastest  # a frozen frame would stop all of it from one to the next


def test_the_last_pose_is_held() -> None:
    clip = signer(20)
    result = edit(clip, hold=0.4).keypoints
    assert len(result) == 30
    assert np.allclose(result.xy[-7:], clip.xy[-1], atol=1e-4)
    assert edit(clip, hold=0.4, duration=1.0).keypoints.seconds == 1.0


@pytest.mark.parametrize("speed", [0.5, 2.0, 4.0, 20.0])
def test_the_last_pose_is_held_at_any_speed(speed: float) -> None:
    clip = moved(signer(10), ARM, np.stack([3.0 * np.arange(10), np.zeros(10)], 1))
    result = edit(clip, speed=speed, hold=0.5).keypoints
    assert np.allclose(result.xy[-3:], clip.xy[-1], atol=1e-4)


@pytest.mark.parametrize(
    ("clips", "options"),
    [
        (1, {"fps": 1000, "speed": 0.05}),
        (1, {"hold": 3600}),
        (1, {"duration": 8, "fps": 300}),
        (2, {"gap": 3600}),
        (3, {"gap": 40}),
    ],
)
def test_more_frames_than_a_clip_may_have_are_refused_before_they_are_built(
    clips: int, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "MOST_FRAMES", 2000)
    sampled = timing._sampled
    monkeypatch.setattr(timing, "_sampled", lambda clip, at, fps: sampled(clip, at, fps) if len(at) <= 2000 else 1 / 0)
    monkeypatch.setattr("signgen.editing.run.transition", lambda *ends: ends[0][:1])
    with pytest.raises(TooLarge):
        edit([signer(10)] * clips, **options)


# --- people and cameras ---------------------------------------------------------------------------------------
def test_another_camera_is_brought_to_the_first_and_said_in_one_line() -> None:
    first, other = signer(20), replace(signer(30, shift=(400.0, 300.0), scale=2.5), width=900, height=800, fps=30.0)
    result = edit([first, replace(other, name="far")])
    second = result.keypoints[round(result.clips[1].start * 25) :]
    assert result.keypoints.size == first.size
    assert result.keypoints.fps == 25
    assert len(second) == 25
    mine, theirs = measure(first), measure(second)
    assert theirs.shoulders == pytest.approx(mine.shoulders, rel=0.01)
    assert np.allclose(theirs.middle, mine.middle, atol=0.5)
    assert len(result.warnings) == 1
    for part in ("far was brought to drawn", "30 to 25 frames", "900x800 to 210x260", "220 to 88 pixels"):
        assert part in result.warnings[0]


def test_a_clip_of_the_same_person_and_camera_stays_as_it_is() -> None:
    clip, said = brought_to(signer(10).shifted(0.5, 0), signer(10), 25.0)
    assert said == ""
    assert np.array_equal(clip.xy, signer(10).shifted(0.5, 0).xy)


def test_without_shoulders_the_frame_is_scaled() -> None:
    headless = without(replace(signer(8), width=420, height=520), slice(5, 7))
    clip, said = brought_to(headless, signer(8), 25.0)
    assert "420x520 to 210x260" in said
    assert "shoulders" not in said
    assert np.allclose(clip.xy[:, 0], headless.xy[:, 0] / 2)


# --- parts of other clips -------------------------------------------------------------------------------------
def test_the_face_of_another_clip() -> None:
    """Half as large, turned and elsewhere: it comes to the head's own place and size, with its own open mouth."""
    clip = signer(12)
    other = signer(12, shift=(60.0, 200.0), scale=0.5)
    xy = other.xy.copy().astype(np.float64)
    xy[:, 23 + 57, 1] += 4  # the lower lip
    c, s = np.cos(0.3), np.sin(0.3)
    other = replace(other, xy=xy @ np.array([[c, s], [-s, c]]) + (0, 40))
    mixed, said = with_part(clip, other, "face")
    away = np.linalg.norm(mixed.xy[:, FACE] - clip.xy[:, FACE], axis=-1)
    assert said == []
    assert np.delete(away, 57, axis=1).max() < 0.6
    assert np.allclose(mixed.xy[:, 23 + 57] - clip.xy[:, 23 + 57], (0, 8), atol=0.6)
    assert np.array_equal(np.delete(mixed.xy, np.r_[FACE], 1), np.delete(clip.xy, np.r_[FACE], 1))


def test_a_face_without_a_nose_is_placed_by_what_it_has() -> None:
    """MediaPipe's reduced faces, as text-to-sign systems write them."""
    other = without(without(signer(12, shift=(300.0, 200.0), scale=2.0), slice(0, 5)), slice(50, 59))
    mixed, _ = with_part(signer(12), other, "face")
    there = np.r_[23:50, 59:91]
    assert np.abs(mixed.xy[:, there] - signer(12).xy[:, there]).max() < 0.1
    assert not mixed.confidence[:, 50:59].any()


def test_the_hand_of_another_clip_is_put_to_the_wrist_in_its_size() -> None:
    clip, other = signer(12), signer(6, shift=(400.0, 300.0), scale=3.0)
    xy = other.xy.copy()
    xy[:, 91 + 8] += (30, 0)  # the forefinger's tip
    mixed, said = with_part(clip, replace(other, xy=xy, width=900, height=800), "left_hand")
    assert np.allclose(mixed.xy[:, 91], clip.xy[:, 91], atol=1e-3)
    assert np.allclose(mixed.xy[:6, 99] - clip.xy[:6, 99], (10, 0), atol=0.2)
    assert np.array_equal(mixed.xy[:, :91], clip.xy[:, :91])
    assert np.array_equal(mixed.xy[:, 112:], clip.xy[:, 112:])
    assert "its last pose is held" in said[0]
    assert np.allclose(mixed.xy[6:, 99] - mixed.xy[6:, 91], mixed.xy[5, 99] - mixed.xy[5, 91], atol=1e-3)
    gone, told = with_part(clip, without(signer(12), LEFT_HAND, slice(7, 12)), "left_hand")
    assert gone.confidence[:, LEFT_HAND].all()
    assert "after 0.28 of 0.48 s" in told[0]


def test_missing_points_of_the_other_clip_are_missing() -> None:
    other = without(signer(8), slice(95, 99), slice(2, 4))
    mixed, _ = with_part(signer(8), other, "left_hand")
    assert not mixed.confidence[2:4, 95:99].any()
    assert mixed.confidence[4:, 95:99].all()


def test_mirror() -> None:
    clip = signer(8)
    assert np.array_equal(edit(clip, mirror=True).keypoints.xy, clip.mirror().xy)


# --- files ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("format", WRITE_FORMATS)
def test_every_format_goes_in_and_out(format: str, tmp_path: Path) -> None:
    suffix = FORMATS[format].suffix or ("" if FORMATS[format].folder else ".dat")
    write_keypoints(signer(10), tmp_path / f"in{suffix}", format)
    done = run(tmp_path / f"in{suffix}", tmp_path / f"in{suffix}", "-o", tmp_path / f"out{suffix}", "--to", format,
               "--gap", "0.2", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 25
    assert len(read_keypoints(tmp_path / f"out{suffix}", format=format).keypoints) == 25


def test_a_list_does_what_the_call_does(tmp_path: Path) -> None:
    write_keypoints(signer(30), tmp_path / "a.npz")
    write_keypoints(signer(20).mirror(), tmp_path / "b.pose")
    clips = [{"file": "a.npz", "trim": [0.2, 1.0]}, {"file": "b.pose", "mirror": True, "gap": 0.24, "hold": [0.2, 0.2]}]
    text = {"clips": clips, "gap": 0.1, "fps": 50, "speed": 1.25}
    (tmp_path / "list.json").write_text(json.dumps(text))
    done = run(tmp_path / "list.json", "-o", tmp_path / "out.npz", "--json")
    assert done.exit_code == 0, done.stderr
    there = [{**clip, "file": tmp_path / clip["file"]} for clip in clips]
    result = edit(there, gap=0.1, fps=50, speed=1.25)
    found = read_keypoints(tmp_path / "out.npz").keypoints
    assert np.array_equal(found.xy, result.keypoints.xy)
    shown = json.loads(done.stdout)
    assert [span["name"] for span in shown["clips"]] == ["drawn", "b"]
    assert shown["clips"][1]["gap"] == pytest.approx(0.24)
    assert shown["seconds"] == pytest.approx((0.8 + 0.24 + 0.8 + 0.2) / 1.25, abs=0.03)


def test_a_long_clip_is_edited_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, other = signer(60), replace(signer(70, shift=(300.0, 300.0), scale=2.0), width=600, height=700)
    whole = edit([clip, other], speed=0.7, face=other).keypoints
    monkeypatch.setattr(rows, "IN_MEMORY", 16)
    monkeypatch.setattr(rows, "BLOCK", 13)
    monkeypatch.setattr(timing.blocks, "__defaults__", (13,))
    pieces = edit([clip, other], speed=0.7, face=other).keypoints
    assert rows.is_mapped(pieces.xy)
    assert np.array_equal(whole.xy, pieces.xy)
    assert np.array_equal(whole.confidence, pieces.confidence)


def test_the_command_says_where_each_clip_is(tmp_path: Path) -> None:
    write_keypoints(signer(25), tmp_path / "a.npz")
    done = run(tmp_path / "a.npz", tmp_path / "a.npz", "-o", tmp_path / "b.pose", "--gap", "0.2", "--trim", "0.2:")
    assert done.exit_code == 0
    assert "0.00 to 0.80 s: drawn, 0.20 and 0.00 s cut off" in done.stdout
    assert "1.00 to 1.80 s: drawn, 0.20 s after the one before" in done.stdout


def test_spans_are_those_of_the_result() -> None:
    """Each clip is where it says: 0.4 s and 0.4 s, 0.2 s between them."""
    pair = [signer(10), signer(10)]

    def spans(**options: object) -> list[tuple[float, float, float]]:
        result = edit(pair, gap=0.2, **options)  # type: ignore[arg-type]
        assert result.clips[-1].end == pytest.approx(result.keypoints.seconds)
        assert result.clips[-1].gap == 0.2
        return [pytest.approx((span.start, span.end)) for span in result.clips]

    assert spans() == [(0, 0.4), (0.6, 1)]
    assert spans(speed=0.5) == [(0, 0.8), (1.2, 2)]
    assert spans(duration=2.0) == [(0, 0.8), (1.2, 2)]
    assert spans(hold=0.4) == [(0, 0.4), (0.6, 1.4)]
    assert spans(hold=(0.2, 0.4)) == [(0, 0.8), (1, 1.4)]
    assert spans(hold=(0.48, 0.4)) == [(0, 0.4), (1, 1.4)]
    assert spans(speed=0.5, hold=(1.0, 0.4)) == [(0, 0.8), (1.6, 2.4)]


def test_what_parts_are_taken_from_is_read_as_clips_are(tmp_path: Path) -> None:
    """A donor that says neither rate nor size: at 50 a second its face moves as fast as the clip's own."""
    clip = replace(moved(signer(20), [*range(FACE.start, FACE.stop)], np.zeros((20, 2))), fps=50.0)
    xy = clip.xy.copy()
    xy[:, FACE.start + 57, 1] += np.arange(20) / 4  # the mouth opens
    other = replace(clip, xy=xy)
    write_keypoints(other, tmp_path / "face.json")
    result = edit(clip, face=tmp_path / "face.json", fps=50, frame_size=(210, 260))
    assert result.keypoints == edit(clip, face=other, name="drawn").keypoints
    assert result.warnings == []
    one = edit([{"file": clip, "face": tmp_path / "face.json"}], fps=50, frame_size=(210, 260))
    assert one.keypoints == result.keypoints


def test_keypoints_are_taken_as_files_of_them_are(tmp_path: Path) -> None:
    given = signer(10)
    write_keypoints(given, tmp_path / "drawn.npz")
    for options in (
        {"rotate": 90}, {"crop": (20, 30, 160, 200)}, {"swap_hands": True}, {"frame_size": (300, 280)}, {"fps": 50.0},
        {"person": "largest"}, {"person": 1}, {"crop": "signer", "rotate": 180},
    ):  # fmt: skip
        file, clip = (edit([{"file": one, **options}]) for one in (tmp_path / "drawn.npz", given))
        assert clip.keypoints == file.keypoints, options
        if "fps" not in options:
            assert edit(given, **options).keypoints == clip.keypoints  # type: ignore[arg-type]
    assert edit([{"file": given, "fps": 50.0}]).keypoints.seconds == 0.2


def test_files_without_a_rate_have_that_of_the_result(tmp_path: Path) -> None:
    """MMPose's files say no rate: 20 frames of one at 50 a second are 0.4 seconds, and are not taken for 0.8."""
    write_keypoints(signer(20), tmp_path / "a.json")
    result = edit(tmp_path / "a.json", fps=50, frame_size=(210, 260))
    assert len(result.keypoints) == 20
    assert result.warnings == []
    write_keypoints(signer(20), tmp_path / "b.npz")  # this one says 25
    assert len(edit(tmp_path / "b.npz", fps=50).keypoints) == 40


def test_turned_clips_are_turned_back_one_by_one_or_all(tmp_path: Path) -> None:
    upright = signer(10)
    lying = upright.xy[..., ::-1].copy()
    lying[..., 0] = 259 - lying[..., 0]  # turned clockwise: what was above is at the right
    turned = Keypoints(lying, upright.confidence, 260, 210, 25, "turned")
    write_keypoints(turned, tmp_path / "turned.npz")
    write_keypoints(upright, tmp_path / "upright.npz")
    one = edit([tmp_path / "upright.npz", {"file": tmp_path / "turned.npz", "rotate": 270}], gap=0).keypoints
    assert np.allclose(one.xy[10:], upright.xy, atol=1e-3)
    done = run(tmp_path / "turned.npz", "-o", tmp_path / "out.npz", "--rotate", 270)
    assert done.exit_code == 0
    assert np.allclose(read_keypoints(tmp_path / "out.npz").keypoints.xy, upright.xy, atol=1e-3)


# --- bad input ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("clips", "options", "kind", "subject"),
    [
        ([], {}, Empty, "edit"),
        (["absent.pose"], {}, NotFound, "absent.pose"),
        ([{"trim": "rests"}], {}, Missing, "edit: clip 1"),
        ([{"file": "a.npz", "sped": 2}], {}, BadValue, "edit: clip 1"),
        ([{"file": 5}], {}, BadValue, "edit: clip 1"),
        ([7], {}, BadValue, "edit: clip 1"),
        (None, {"trim": "all"}, BadValue, "edit"),
        (None, {"trim": (3.0, 4.0)}, BadValue, "trim"),
        (None, {"trim": (0.2, 0.1)}, BadValue, "trim"),
        (None, {"gap": -1}, BadValue, "edit"),
        (None, {"gap": float("nan")}, BadValue, "edit"),
        (None, {"speed": 0}, BadValue, "edit"),
        (None, {"speed": True}, BadValue, "edit"),
        (None, {"speed": 2, "duration": 1}, Mismatch, "edit"),
        (None, {"duration": 0.1, "hold": 0.2}, BadValue, "duration"),
        (None, {"duration": 0.01}, BadValue, "duration"),
        (None, {"hold": (9, 1)}, BadValue, "hold"),
        (None, {"fps": 0}, BadValue, "edit"),
        (None, {"face": "absent.npz"}, NotFound, "absent.npz"),
        (None, {"mirror": "yes"}, BadValue, "edit"),
        (None, {"crop": [1, 2, 3]}, BadValue, "edit"),
        (None, {"person": True}, BadValue, "edit"),
        ([{"file": str(HOUSE), "rotate": 45}], {}, BadValue, "--rotate"),
        (None, {"rotate": 45}, BadValue, "--rotate"),
        (None, {"person": 2}, NotFound, "drawn"),
        (None, {"person": "tall"}, BadValue, "--person"),
        (None, {"subject": "a"}, BadValue, "edit"),
        (None, {"folder": "a"}, BadValue, "edit"),
        (None, {"speed": 10**400}, BadValue, "edit"),
        (None, {"hold": [0.1, 10**400]}, BadValue, "edit"),
    ],
)
def test_bad_input_names_what_is_wrong(clips: object, options: dict, kind: type[InputError], subject: str) -> None:
    with pytest.raises(kind) as caught:
        edit(signer(10) if clips is None else clips, **options)  # type: ignore[arg-type]
    assert caught.value.subject == subject


def test_a_part_that_is_not_there() -> None:
    with pytest.raises(Missing):
        edit(signer(8), left_hand=without(signer(8), LEFT_HAND))
    with pytest.raises(Missing):
        edit(without(without(signer(8), slice(0, 5)), FACE), face=signer(8))


@pytest.mark.parametrize(
    "text",
    [
        '{"clips": [', '{"clips": []}', '{"clips": [{"fil": "a"}]}', '{"clips": 3}',
        '{"clips": ["a.npz"], "subject": 1}', '{"clips": ["a.npz"], "folder": "b"}',
        '{"clips": ["a.npz"], "speed": 1' + 400 * "0" + "}",
    ],
)  # fmt: skip
def test_a_list_that_is_none_ends_with_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    done = run(tmp_path / "list.json", "-o", tmp_path / "out.npz")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "list.json" in done.stderr
    assert not (tmp_path / "out.npz").exists()


def test_options_beside_a_list_and_an_output_that_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keypoints(signer(8), tmp_path / "a.npz")
    (tmp_path / "list.json").write_text('{"clips": ["a.npz"]}')
    assert run(tmp_path / "list.json", "-o", tmp_path / "b.npz", "--speed", 2).exit_code == 2
    with pytest.raises(Mismatch):
        edit(tmp_path / "a.npz", tmp_path / "a.npz")
    write_keypoints(signer(8), tmp_path / "face.npz")
    for clips, options in (("a.npz", {"face": "face.npz"}), ([{"file": "a.npz", "left_hand": "face.npz"}], {})):
        monkeypatch.chdir(tmp_path)
        before = (tmp_path / "face.npz").read_bytes()
        with pytest.raises(Mismatch):
            edit(clips, tmp_path / "face.npz", **options)  # type: ignore[arg-type]
        assert (tmp_path / "face.npz").read_bytes() == before
    (tmp_path / "bad.json").write_text('{"clips": [1')
    with pytest.raises(Damaged):
        edit(tmp_path / "bad.json")


def test_wording() -> None:
    done = run("a.npz", "-o", "b.npz", "--trim", "rest")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: --trim: got 'rest'; give seconds as A:B, such as 0.2:1.5, 0.2: or :1.5, or the word rests\n"
    )
