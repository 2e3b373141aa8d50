"""Bodies that lie, stand on their heads or are mirrored, hands at the wrong arm, and what mends them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import keypoint_maker
import numpy as np
import pytest
from click.testing import CliRunner

from signgen.cli import main
from signgen.errors import BadValue, Empty, NotFound
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.orientation import View, find_turns, turn_warnings
from signgen.keypoints.skeleton import ARMS, FACE, HEAD, LEFT_HAND, MIRROR, RIGHT_HAND, SHOULDERS, WRISTS
from signgen.package import EXAMPLES
from signgen.rendering.source import builtin_names, load_source

SHARED = Path(os.environ.get("SIGNGEN_SHARED", "/absent"))
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def clip() -> Keypoints:
    """A drawn signer who faces the camera, 75 frames of 210x260."""
    return read_keypoints(EXAMPLES / "fog.npz").keypoints


def moved(clip: Keypoints, change, width: int, height: int) -> Keypoints:
    """The clip with its places changed and its names kept."""
    return replace(clip, xy=change(clip.xy.astype(np.float64)), width=width, height=height)


def turned(clip: Keypoints, quarters: int) -> Keypoints:
    """Turned clockwise, one quarter after the other, by the rule for pixels: the last row becomes the first column."""
    for _ in range(quarters):
        xy = np.stack([clip.height - 1 - clip.xy[..., 1], clip.xy[..., 0]], -1)
        clip = replace(clip, xy=xy, width=clip.height, height=clip.width)
    return clip


def flipped(clip: Keypoints) -> Keypoints:
    return moved(clip, lambda xy: xy * [-1, 1] + [clip.width - 1, 0], *clip.size)


def same(one: Keypoints, other: Keypoints) -> None:
    assert one.size == other.size
    assert np.array_equal(one.confidence, other.confidence)
    assert np.abs(one.xy - other.xy).max() < 1e-3


# --- what is found --------------------------------------------------------------------------------------------
LIES = ["", "lies on the left side", "stands on the head", "lies on the right side"]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_body_that_lies_is_said_in_one_line_with_what_turns_it(clip, quarters):
    lying = turned(clip, quarters)
    (line,) = turn_warnings(lying)
    assert line.startswith(f"the person {LIES[quarters]} in 100% of frames: was a rotation flag lost?")
    option = f"--rotate {360 - 90 * quarters}"
    assert option in line
    upright, _ = View(rotate=360 - 90 * quarters).of(lying)
    same(upright, clip)
    assert turn_warnings(upright) == []


def test_a_mirrored_body_is_said_and_mended(clip):
    (line,) = turn_warnings(flipped(clip))
    assert "the person is mirrored in 100% of frames" in line
    assert "--mirror" in line
    same(View(mirror=True).of(flipped(clip))[0], clip)


def test_a_y_that_points_up_is_said_and_mended(clip):
    up = moved(clip, lambda xy: xy * [1, -1] + [0, clip.height - 1], *clip.size)
    (line,) = turn_warnings(up)
    assert "does y point up" in line
    assert "--rotate 180 --mirror" in line
    same(View(rotate=180, mirror=True).of(up)[0], clip)


def test_x_and_y_exchanged_are_mended_by_the_options_that_the_line_names(clip):
    exchanged = moved(clip, lambda xy: xy[..., ::-1], clip.height, clip.width)
    (line,) = turn_warnings(exchanged)
    degrees = int(line.split("--rotate ")[1].split()[0])
    assert "--mirror" in line
    same(View(rotate=degrees, mirror=True).of(exchanged)[0], clip)


def test_part_of_the_frames_has_its_share(clip):
    mixed = clip.xy.copy()
    mixed[:30] = turned(clip, 2).xy[:30]
    (line,) = turn_warnings(replace(clip, xy=mixed))
    assert "stands on the head in 40% of frames" in line


def test_exchanged_hands_are_said_and_each_frame_is_mended(clip):
    order = np.arange(133)
    order[LEFT_HAND], order[RIGHT_HAND] = np.arange(112, 133), np.arange(91, 112)
    wrong = replace(clip, xy=clip.xy[:, order], confidence=clip.confidence[:, order])
    (line,) = turn_warnings(wrong)
    assert "the hands of the person lie at the other arm's wrist in 100% of frames: --swap-hands" in line
    same(View(swap_hands=True).of(wrong)[0], clip)
    same(View(swap_hands=True).of(clip)[0], clip)
    half = replace(
        clip, xy=np.concatenate([wrong.xy[:40], clip.xy[40:]]),
        confidence=np.concatenate([wrong.confidence[:40], clip.confidence[40:]]),
    )  # fmt: skip
    mended, _ = View(swap_hands=True).of(half)
    told = find_turns(clip.xy, clip.confidence).hands != 0
    assert told.any()
    assert np.abs(mended.xy - clip.xy)[told].max() < 1e-3, (
        "frames that tell are right again, whichever half they are of"
    )


def test_somebody_seen_from_behind_is_not_called_mirrored_for_sure(clip):
    away = flipped(clip)
    confidence = away.confidence.copy()
    confidence[:, HEAD] = confidence[:, FACE] = 0
    confidence[:, 0] = 0.9
    (line,) = turn_warnings(replace(away, confidence=confidence))
    assert "seen from behind" in line


# --- what is not found where nothing is wrong -------------------------------------------------------------------
def test_shipped_examples_and_signers_are_upright():
    for example in EXAMPLES.iterdir():
        assert turn_warnings(read_keypoints(example).keypoints) == [], example
    for name in builtin_names():
        assert turn_warnings(load_source(name).keypoints) == [], name


@pytest.mark.parametrize("narrow", [0.25, 0.05, 0.0, -0.1, -0.25])
def test_a_profile_is_not_mirrored(clip, narrow):
    """Shoulders, eyes and ears almost behind one another, or a little crossed."""
    middle = clip.xy[:, SHOULDERS].mean(1)[:, None, 0]
    xy = clip.xy.copy()
    xy[..., 0] = middle + narrow * (xy[..., 0] - middle)
    assert turn_warnings(replace(clip, xy=np.where(clip.confidence[..., None] > 0, xy, 0))) == []


def test_arms_that_lie_raised_or_crossed_mean_nothing(clip):
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    middle = clip.xy[:, SHOULDERS].mean(1)
    for side, arm in zip((1, -1), ARMS, strict=True):
        for joints, away in ((arm.elbow, [-40, 5]), (arm.wrist, [-90, 8]), (arm.hand, [-100, 8])):
            place = middle + np.array(away) * [side, 1]
            xy[:, joints] = place if isinstance(joints, int) else place[:, None]
            confidence[:, joints] = 0.9
    assert turn_warnings(replace(clip, xy=xy, confidence=confidence)) == []


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_body_that_leans_is_not_turned(clip, degrees):
    turn = np.exp(1j * np.radians(degrees)) * ((clip.xy[..., 0] - 105) + 1j * (clip.xy[..., 1] - 130))
    xy = np.stack([turn.real + 105, turn.imag + 130], -1)
    assert turn_warnings(replace(clip, xy=xy)) == []


def test_crossing_hands_are_not_exchanged(clip):
    """Wrists on the other side of the body, each hand still at its own."""
    xy = clip.xy.copy()
    way = xy[:, WRISTS[1]] - xy[:, WRISTS[0]]
    for arm, sign in zip(ARMS, (1, -1), strict=True):
        xy[:, arm.wrist] += sign * way
        xy[:, arm.hand] += sign * way[:, None]
    assert turn_warnings(replace(clip, xy=xy)) == []


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="SIGNGEN_SHARED does not lead to the shared clips")
def test_no_real_clip_is_called_turned():
    files = [
        path for path in sorted((SHARED / "data").rglob("*")) if path.suffix in (".pose", ".npz", ".pkl", ".skels")
    ]
    looked = 0
    for path in files:
        try:
            read = read_keypoints(path, first=True)
        except ValueError:
            continue
        looked += 1
        assert turn_warnings(read.keypoints) == [], path
        turns = find_turns(read.keypoints.xy, read.keypoints.confidence)
        assert not (turns.quarters > 0).any(), path
        assert not (turns.sides < 0).any(), path
    assert looked >= 8


# --- options ----------------------------------------------------------------------------------------------------
def test_mirror_of_a_usual_clip_exchanges_the_names(clip):
    same(View(mirror=True).of(clip)[0], clip.mirror())
    assert np.array_equal(clip.mirror().confidence, clip.confidence[:, MIRROR])
    same(View(mirror=True).of(View(mirror=True).of(clip)[0])[0], clip)


def test_steps_come_in_their_order(clip):
    view, said = View(rotate=90, mirror=True, crop=(20, 10, 200, 180)).of(clip)
    wanted = turned(clip, 1).mirror()
    same(view, replace(wanted, xy=wanted.xy - [20, 10], width=200, height=180))
    assert said == []


def test_crop_to_the_signer_keeps_all_that_is_seen_and_says_what_is_left(clip):
    wide = replace(clip, xy=clip.xy + [900, 300], width=1920, height=1080)
    close, (line,) = View(crop="signer").of(wide)
    assert line.startswith(f"cropped to the signer: {close.width}x{close.height} pixels of 1920x1080 from (")
    assert close.width < 700 > close.height
    assert close.width % 2 == close.height % 2 == 0
    seen = (clip.confidence >= 0.3) & (np.arange(133) < 11) | (clip.confidence >= 0.3) & (np.arange(133) >= 91)
    assert (close.xy[seen] >= 0).all()
    assert (close.xy[seen] < close.size).mean() > 0.97


@pytest.mark.parametrize(
    "crop", [(0, 0, 300, 100), (-1, 0, 100, 100), (200, 0, 20, 100), (0, 0, 8, 100), "person", (1, 2, 3)]
)
def test_a_crop_must_lie_in_the_frame(clip, crop):
    with pytest.raises(BadValue) as error:
        View(crop=crop).of(clip)
    assert error.value.subject == "--crop"


def broken(clip: Keypoints, tmp_path: Path) -> Path:
    """The clip as an npz in which legs have no number: one in a place, one in a score, one is far away."""
    points = clip.points.astype(np.float64)
    points[:, 13] = np.nan
    points[:, 14] = [40.0, 90.0, np.nan]
    points[:, 17] = [4e6, 90.0, 1.0]
    points[::2, FACE.start + 60] = np.nan
    np.savez(tmp_path / "broken.npz", keypoints=points, width=clip.width, height=clip.height, fps=clip.fps)
    return tmp_path / "broken.npz"


def test_points_without_a_number_decide_nothing(clip, tmp_path):
    path = broken(flipped(clip), tmp_path)
    read = read_keypoints(path, mirror=True).keypoints
    assert not find_turns(read.xy, read.confidence).crossed
    for option in ({"swap_hands": True}, {"crop": "signer"}):
        exchanged = clip.xy.copy()
        exchanged[:, LEFT_HAND], exchanged[:, RIGHT_HAND] = clip.xy[:, RIGHT_HAND], clip.xy[:, LEFT_HAND]
        path = broken(replace(clip, xy=exchanged), tmp_path)
        read = read_keypoints(path, **option)
        plain, _ = View(**option).of(read_keypoints(path).keypoints)
        same(read.keypoints, plain)
        assert any("NaN" in line for line in read.warnings)
        assert any("pixels away" in line for line in read.warnings)


def test_a_crop_to_a_signer_that_is_nowhere(clip, tmp_path):
    points = np.full((3, 133, 3), np.nan)
    points[..., 2] = 1
    np.savez(tmp_path / "nowhere.npz", keypoints=points, width=210, height=260, fps=25.0)
    with pytest.raises(Empty):
        read_keypoints(tmp_path / "nowhere.npz", crop="signer")


def test_a_turn_must_be_one_of_four():
    with pytest.raises(BadValue) as error:
        View(rotate=45)
    assert error.value.subject == "--rotate"


def test_commands_turn_mirror_and_crop(clip, tmp_path):
    write_keypoints(flipped(turned(clip, 1)), tmp_path / "a.npz")
    result = RUNNER.invoke(main, ["inspect", str(tmp_path / "a.npz"), "--json"])
    (line,) = json.loads(result.stdout)["warnings"]
    options = ["--rotate", line.split("--rotate ")[1].split()[0], "--mirror"]
    result = RUNNER.invoke(main, ["inspect", str(tmp_path / "a.npz"), "--json", *options])
    assert json.loads(result.stdout)["warnings"] == []
    result = RUNNER.invoke(main, ["convert", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), *options])
    assert result.exit_code == 0, result.stderr
    same(read_keypoints(tmp_path / "b.npz").keypoints, clip)
    options += ["--crop", "5,10,200,240", "-o", str(tmp_path / "poses"), "--frames", "0:2", "--json"]
    result = RUNNER.invoke(main, ["draw", str(tmp_path / "a.npz"), *options])
    assert (json.loads(result.stdout)["width"], json.loads(result.stdout)["height"]) == (200, 240)


@pytest.mark.parametrize("option", [["--rotate", "45"], ["--person", "0"], ["--person", "best"], ["--crop", "1,2,3"]])
def test_wrong_options_are_one_line(option):
    result = RUNNER.invoke(main, ["inspect", str(EXAMPLES / "fog.npz"), *option])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {option[0]}: got ")


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="SIGNGEN_SHARED does not lead to the cases")
def test_the_cases_that_were_sent():
    right = read_keypoints(SHARED / "cases/size_stretch.npz")
    lying, mirrored = (read_keypoints(SHARED / f"cases/{name}.npz") for name in ("sideways", "mirrored"))
    assert right.warnings == []
    assert lying.warnings == [
        "the person lies on the left side in 100% of frames: was a rotation flag lost? --rotate 270 turns it upright"
    ]
    (line,) = mirrored.warnings
    assert "is mirrored in 100% of frames" in line
    for mended in (
        read_keypoints(SHARED / "cases/sideways.npz", rotate=270),
        read_keypoints(SHARED / "cases/mirrored.npz", mirror=True),
    ):
        assert mended.warnings == []
        assert mended.keypoints.size == right.keypoints.size
        assert np.abs(mended.keypoints.xy - right.keypoints.xy).max() <= 1.01, "the file was turned about its corner"


# --- several people ---------------------------------------------------------------------------------------------
def crowd(*people: tuple[float, float, float, float], frames: int = 40) -> list:
    """MMPose frames of (x of the middle, scale, score, reach of the hands) each; 1280 pixels wide."""
    still = keypoint_maker.points(1)[0]
    still = still - still[[*SHOULDERS]].mean(0)
    arms = [*WRISTS, *range(91, 133)]
    value = []
    for t in range(frames):
        instances = []
        for x, scale, score, reach in people:
            xy = still.copy()
            xy[arms] += reach * 86 * np.array([np.sin(t / 3), np.cos(t / 2)])
            xy = xy * scale + [x, 400]
            instances.append({"keypoints": xy.tolist(), "keypoint_scores": [score] * 133, "bbox_score": score})
        value.append({"frame_id": t, "instances": instances[:: 1 if t % 3 else -1]})
    return value


PRESENTER, INTERPRETER, GUEST = (500, 1.6, 0.95, 0.02), (1130, 0.8, 0.85, 0.5), (120, 1.0, 0.9, 0.03)


@pytest.fixture
def studio(tmp_path) -> Path:
    (tmp_path / "studio.json").write_text(json.dumps(crowd(PRESENTER, INTERPRETER, GUEST)))
    return tmp_path / "studio.json"


def middle(keypoints: Keypoints) -> float:
    return float(np.median(keypoints.xy[:, SHOULDERS, 0]))


def test_the_one_who_signs_is_followed_and_the_line_says_where_everybody_stands(studio):
    read = read_keypoints(studio, frame_size=(1280, 720))
    assert abs(middle(read.keypoints) - 1130) < 5, "smaller, at the side and less sure, but the hands move"
    (line,) = [warning for warning in read.warnings if "people" in warning]
    assert "up to 3 people in a frame (40 of 40 frames): 1 left (shoulders " in line
    assert "2 centre (shoulders " in line
    assert "3 right (shoulders " in line
    assert "follows 3, mean score 0.85 (--person takes another)" in line


@pytest.mark.parametrize(
    ("person", "x"), [(1, 120), (2, 500), (3, 1130), ("largest", 500), ("left", 120), ("right", 1130), ("centre", 500)]
)
def test_any_of_them_can_be_chosen(studio, person, x):
    read = read_keypoints(studio, frame_size=(1280, 720), person=person)
    assert abs(middle(read.keypoints) - x) < 5
    (line,) = [warning for warning in read.warnings if "people" in warning]
    assert f"as asked for ({person})" in line


def test_nobody_has_that_number(studio):
    with pytest.raises(NotFound) as error:
        read_keypoints(studio, person=4)
    assert "--person 4, 3 people found" in str(error.value)
    with pytest.raises(NotFound) as error:
        read_keypoints(EXAMPLES / "fog.npz", person=2)
    assert "--person 2, 1 person found" in str(error.value)
    assert read_keypoints(EXAMPLES / "fog.npz", person=1).people == 1


def test_size_decides_between_people_who_are_alike_and_still(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(crowd((300, 0.6, 0.9, 0), (900, 1.4, 0.9, 0))))
    assert abs(middle(read_keypoints(tmp_path / "a.json").keypoints) - 900) < 5


def test_a_person_is_chosen_by_command(studio, tmp_path):
    result = RUNNER.invoke(main, ["convert", str(studio), str(tmp_path / "out.npz"), "--person", "largest"])
    assert result.exit_code == 0, result.stderr
    assert abs(middle(read_keypoints(tmp_path / "out.npz").keypoints) - 500) < 5
