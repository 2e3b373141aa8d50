"""Invented signing: the arm solver against forward kinematics, hands that stay outside of bodies, and the data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from signgen.cli import main
from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import BadValue, Damaged, Mismatch, NotFound, RunError
from signgen.synthetic.body.rotations import quaternion, rotate, rotation_vector, to_vector, twist_angle
from signgen.synthetic.body.template import BONES, bone_index, forward_kinematics
from signgen.synthetic.dataset import Plan, draw_clip, pick_signers, write_clip, write_dataset
from signgen.synthetic.motion import collisions
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.contacts import CONTACTS
from signgen.synthetic.motion.face import Expression, FaceTrack, spell
from signgen.synthetic.motion.handshapes import HANDSHAPES, LIMITS, shape_angles
from signgen.synthetic.motion.labels import held_shapes, visible_hands
from signgen.synthetic.motion.lexicon import SPELLED, glosses, letter_shape, sign, spelled_beats
from signgen.synthetic.motion.performance import Performance, minimum_jerk
from signgen.synthetic.motion.placement import IDLE
from signgen.synthetic.motion.posing import Poser, limit_hand
from signgen.synthetic.motion.posture import SIDES, ArmTrack, Posture
from signgen.synthetic.motion.score import SPLITS, Cue, Mark, Score, compose, sentence_split, wanted_glosses
from signgen.synthetic.motion.signs import Beat
from signgen.synthetic.signer import HELD_OUT, load_signer, signer_names

SMALL = {"frames": (8, 8), "size": (64, 80)}


@pytest.fixture(scope="module")
def poser() -> Poser:
    return Poser(load_signer("s01"))


def posture(poser: Poser, count: int = 20, shape: str = "V") -> Posture:
    """Random reachable postures."""
    rng = np.random.default_rng(0)
    arms = {}
    for side, out in (("R", -1.0), ("L", 1.0)):
        wrist = poser.arm_length * (np.array([0.25 * out, -0.5, -0.15]) + rng.normal(0, 0.06, (count, 3)))
        pole = np.tile([0.6 * out, 0.2, -0.8], (count, 1))
        hand = limit_hand(rng.normal(0, 30, (count, 3)))
        arms[side] = ArmTrack(wrist, pole, hand, np.tile(shape_angles(shape), (count, 1)))
    gaze = np.tile([0.1, -1.0, -0.1], (count, 1))
    return Posture(rng.normal(0, 5, (count, 3)), rng.normal(0, 10, (count, 3)), gaze, arms)


def world(poser: Poser, rotations: np.ndarray, bone: str) -> tuple[np.ndarray, np.ndarray]:
    solved = [forward_kinematics(poser.heads, r) for r in rotations]
    return tuple(np.stack([pair[k][bone_index[bone]] for pair in solved]) for k in (0, 1))


def test_rotations_round_trip() -> None:
    vectors = np.random.default_rng(0).uniform(-100, 100, (50, 3))
    rotations = rotation_vector(vectors)
    assert np.allclose(rotations @ np.swapaxes(rotations, -1, -2), np.eye(3), atol=1e-12)
    assert np.allclose(to_vector(rotations), vectors, atol=1e-8)
    half_turn = np.diag([1.0, -1.0, -1.0])
    assert np.allclose(quaternion(half_turn), [0, 1, 0, 0])
    assert np.isclose(twist_angle(rotation_vector(np.array([0, 0, 75.0])), np.array([0, 0, 1.0])), 75)


def test_arms_reach_their_targets(poser: Poser) -> None:
    wanted = posture(poser)
    rotations = poser.rotations(wanted)
    assert rotations.shape == (20, len(BONES), 3, 3)
    assert rotations.dtype == np.float32
    chest = poser.chest(wanted.torso)
    for side in SIDES:
        hand, wrist = world(poser, rotations, f"wrist.{side}")
        target = poser.to_world(chest, wanted.arms[side].wrist)
        assert np.linalg.norm(wrist - target, axis=-1).max() < 0.008  # the twist bone lies a little off the arm's line
        track = wanted.arms[side]
        arm = poser.turn_hand(side, poser.reach_arm(side, chest, track.wrist, track.pole), track.hand)
        assert np.allclose(arm.hand, hand, atol=1e-5)
        frame = poser.rest[side].hand_frame
        again = poser.hand_angles(side, arm.lower, rotate(hand, frame[:, 0]), rotate(hand, frame[:, 1]))
        assert np.allclose(again, track.hand, atol=1e-3)
        tip = rotate(hand, poser.hand_points(side, track.fingers)[:, 1, 2]) + wrist
        assert np.allclose(tip, world(poser, rotations, f"finger2-3.{side}")[1], atol=1e-5)


def test_eyes_look_where_they_should(poser: Poser) -> None:
    wanted = posture(poser)
    turned, _ = world(poser, poser.rotations(wanted), "eye.L")
    looks = rotate(turned, poser._eyes["L"])
    assert np.allclose(looks, wanted.gaze / np.linalg.norm(wanted.gaze, axis=-1, keepdims=True), atol=1e-5)


def test_equal_channels_mirror(poser: Poser) -> None:
    wanted = posture(poser, 1)
    right = wanted.arms["R"]
    mirrored = ArmTrack(right.wrist * (-1, 1, 1), right.pole * (-1, 1, 1), right.hand, right.fingers)
    both = Posture(np.zeros((1, 3)), np.zeros((1, 3)), wanted.gaze, {"R": right, "L": mirrored})
    rotations = poser.rotations(both)
    for bone in ("lowerarm01", "wrist", "finger1-3", "finger5-3"):
        a, b = (world(poser, rotations, f"{bone}.{side}")[1][0] for side in "RL")
        assert np.allclose(a * (-1, 1, 1), b, atol=0.004)


def test_out_of_reach_is_a_straight_arm(poser: Poser) -> None:
    chest = poser.chest(np.zeros((1, 3)))
    far = np.array([[0.0, -3.0, 0.0]])
    arm = poser.reach_arm("R", chest, far, np.array([[-0.6, 0.2, -0.8]]))
    assert arm.reach[0] > 2
    assert np.linalg.norm(arm.wrist - poser.to_world(chest, far)) > 1


def test_hand_shapes_are_human_and_differ() -> None:
    assert len(HANDSHAPES) >= 30
    for name, angles in HANDSHAPES.items():
        assert (angles >= LIMITS[:, 0]).all(), name
        assert (angles <= LIMITS[:, 1]).all(), name
    stacked = np.stack(list(HANDSHAPES.values()))
    gaps = np.abs(stacked[:, None] - stacked[None]).max(-1) + 100 * np.eye(len(stacked))
    assert gaps.min() > 5
    with pytest.raises(NotFound, match="^hand shape:"):
        shape_angles("foot")


def test_lexicon_is_large_and_fixed() -> None:
    assert len(glosses()) >= 60
    assert {"REGEN", "SONNE", "MORGEN", "NORD"} <= set(glosses())
    signs = [sign(gloss) for gloss in glosses()]
    assert sum(s.two_handed for s in signs) > 20
    assert sum(not s.two_handed for s in signs) > 20
    places = {beat.hand.place for s in signs for beat in s.beats}
    assert {"space", "forehead", "chin", "chest", "other_hand"} <= places
    sign.cache_clear()
    assert [sign(gloss) for gloss in glosses()] == signs
    with pytest.raises(NotFound, match="^gloss:"):
        sign("APFEL")


@pytest.mark.parametrize("frames", [16, 42, 150])
def test_scores_fill_the_clip_in_their_own_split(frames: int) -> None:
    for seed in range(4):
        for split in SPLITS:
            score = compose(np.random.default_rng(seed), split, frames)
            assert score.frames == frames
            assert (2 if frames < 36 else 3) <= len(score.glosses) <= 9
            assert sentence_split(score.glosses) == split
            times = [cue.time for cue in score.cues]
            assert times == sorted(times)
            assert times[0] <= 0
            assert times[-1] >= frames - 1e-6
            assert all(0 <= mark.start <= mark.end <= frames + 1 for mark in score.marks)


def test_every_gloss_comes_round() -> None:
    clips = len(glosses()) // 2
    for split in SPLITS:
        wanted = [wanted_glosses(3, split, index) for index in range(clips)]
        assert {word for pair in wanted for word in pair} == set(glosses())
        plan = Plan(3, split, ("s01",))
        for index in (0, clips - 1):
            assert set(wanted[index]) <= set(plan.score(index).glosses)
    short = Plan(5, "dev", ("s01",), **SMALL)  # room for two signs: one is wanted, one makes it a sentence of the split
    for index in range(12):
        assert sentence_split(short.glosses(index)) == "dev"
        assert set(wanted_glosses(5, "dev", index)) & set(short.glosses(index))
    assert wanted_glosses(3, "train", clips) != wanted_glosses(3, "train", 0)


def held(beats: tuple[Beat, ...]) -> Score:
    """A score in which each beat takes 16 frames and is held for 8; the clip starts and ends at rest."""
    rest, now = IDLE["down"], 0.0
    cues = [Cue(0.0, rest, rest, (0.0, 0.0, 0.0), 0.9)]
    for beat in beats:
        for pause, flow in ((16.0, 0.9), (8.0, 1.0)):
            now += pause
            cues.append(Cue(now, beat.hand, beat.other or rest, (0.0, 0.0, 0.0), flow))
    cues.append(Cue(now + 16.0, rest, rest, (0.0, 0.0, 0.0), 0.9))
    return Score(tuple(cues), (Mark(sign("ULM"), 8.0, now),), int(now + 16), "R")


def gap_between_hands(performance: Performance, times: np.ndarray) -> np.ndarray:
    """The smallest distance (N,) of the two hands' surfaces, metres; below 0 where they enter each other."""
    anatomy, now = performance.anatomy, performance.posture_at(times)
    chest = anatomy.poser.chest(now.torso)
    right, left = (
        collisions._spheres(anatomy, side, now, chest, collisions._shape_points(anatomy, side, now)) for side in "RL"
    )
    radii = collisions._RADII[:, None] + collisions._RADII
    return (np.linalg.norm(right[:, :, None] - left[:, None], axis=-1) - radii).min((1, 2))


def touching_signs() -> list[str]:
    names = {gloss: {beat.hand.place for beat in sign(gloss).beats} for gloss in glosses()}
    return [gloss for gloss, places in names.items() if any(place.startswith("other_") for place in places)]


def test_hands_that_shall_touch_do_so_and_do_not_enter_each_other() -> None:
    anatomy = Anatomy(load_signer("s03"))
    assert len(touching_signs()) >= len(CONTACTS)
    for gloss in touching_signs():
        beats = sign(gloss).beats
        number = next(i for i, beat in enumerate(beats) if beat.hand.place.startswith("other_") and beat.other
                      and np.abs(beat.hand.offset).max() < 0.1)  # fmt: skip
        performance = Performance(anatomy, held(beats), np.random.default_rng(1))
        gaps = gap_between_hands(performance, 24.0 * number + np.arange(19.0, 23.0))
        assert gaps.max() < 0.03, gloss
        assert gaps.min() > -0.016, gloss


def test_spelled_words_hold_their_letters() -> None:
    for word in SPELLED:
        shapes = [beat.hand.shape for beat in spelled_beats(word, np.random.default_rng(0))]
        kept = [shape for i, shape in enumerate(shapes) if i == 0 or shape != shapes[i - 1]]
        wanted = [letter_shape(letter) for letter in word]
        assert kept == [shape for i, shape in enumerate(wanted) if i == 0 or shape != wanted[i - 1]]
        assert set(shapes) <= set(HANDSHAPES)
    assert len({letter for word in SPELLED for letter in word}) >= 20


def test_labels_say_which_shape_is_held() -> None:
    anatomy = Anatomy(load_signer("s01"))
    beats = spelled_beats("VEGA", np.random.default_rng(0))
    performance = Performance(anatomy, held(beats), np.random.default_rng(2))
    labels, names = performance.hand_shapes(), list(HANDSHAPES)
    assert (labels[:, 0] == -1).all()  # the left hand rests all the time
    for number, letter in enumerate("VEGA"):
        assert (labels[24 * number + 16 : 24 * number + 24, 1] == names.index(letter)).all()
    assert (labels[[2, 30, 54, 78], 1] == -1).all()  # at rest, and half way from letter to letter
    fingers = {"L": np.zeros((1, 20)), "R": shape_angles("fist")[None].astype(float)}
    assert held_shapes(held(beats), fingers, np.array([20.0]))[0, 1] == -1  # not the shape that is meant


def test_hands_outside_of_the_picture_are_not_visible() -> None:
    points = np.full((1, 133, 3), 50.0)
    points[:, 91:97, 1] = 100.0  # 6 of the left hand's points lie below a picture of 100 rows
    points[:, 112:117, 0] = -1.0  # 5 of the right hand's beside it
    assert visible_hands(points, (80, 100)).tolist() == [[False, True]]


def test_hands_stay_out_of_bodies_and_within_an_arm() -> None:
    plan = Plan(3, "train", ("s01", "s02", "s05"))
    for index in range(6):
        signer = load_signer(plan.signer(index))
        anatomy = Anatomy(signer)
        performance = Performance(anatomy, plan.score(index), plan.streams(index)[1])
        now = performance.posture_at(np.arange(42.0))
        chest = anatomy.poser.chest(now.torso)
        head = anatomy.poser.head(chest, now.head)
        for side in SIDES:
            shape = collisions._shape_points(anatomy, side, now)
            spheres = collisions._spheres(anatomy, side, now, chest, shape)
            pushes = collisions._out_of_body(anatomy, spheres, chest, head)
            assert np.linalg.norm(pushes, axis=-1).max() < 0.015
            track = now.arms[side]
            assert (np.abs(track.hand[:, 0]) < 95).all()
            assert (anatomy.poser.reach_arm(side, chest, track.wrist, track.pole).reach < 1.1).all()
            steps = np.linalg.norm(np.diff(track.wrist, axis=0), axis=-1)
            assert steps.max() < 0.22
            assert steps.max() > 0.01 or side != plan.score(index).dominant


def test_collision_pushes_leave_the_head_to_the_front(poser: Poser) -> None:
    anatomy = Anatomy(load_signer("s01"))
    still = np.zeros((1, 3))
    chest = poser.chest(still)
    head = poser.head(chest, still)
    inside = (anatomy.head_centre + (0.0, -0.05, 0.0))[None, None]
    push = anatomy.out_of_head(inside, np.array([0.01]), head, 0.0)[0]
    assert push[1] < -0.02
    outside = (anatomy.head_centre + (0.0, -0.3, 0.0))[None, None]
    assert not anatomy.out_of_head(outside, np.array([0.01]), head, 0.0).any()


def test_faster_hands_get_more_subframes() -> None:
    plan = Plan(4, "train", ("s01",))
    signer = load_signer("s01")
    anatomy = Anatomy(signer)
    performance = Performance(anatomy, plan.score(0), plan.streams(0)[1])
    exposures = performance.exposures()
    assert len(exposures) == 42
    counts = np.array([len(poses) for poses in exposures])
    assert counts.min() == 1
    assert 4 <= counts.max() <= 6
    places = np.array([poses[0].root_shift for poses in exposures])
    assert 0.001 < np.ptp(places, axis=0).max() < 0.05  # the body sways a little
    wrist = [performance.posture_at(np.arange(42) + s).arms["R"].wrist for s in (-0.25, 0.25)]
    left = [performance.posture_at(np.arange(42) + s).arms["L"].wrist for s in (-0.25, 0.25)]
    speed = np.maximum(*(np.linalg.norm(b - a, axis=-1) for a, b in (wrist, left)))
    assert speed[counts == counts.max()].mean() > 3 * speed[counts == 1].mean()


def test_minimum_jerk_ends_at_rest() -> None:
    s = np.linspace(0, 1, 1001)
    x = minimum_jerk(s)
    assert x[0] == 0
    assert np.isclose(x[-1], 1)
    assert np.isclose(x[500], 0.5)
    speed = np.gradient(x, s)
    assert np.isclose(speed.max(), 1.875, atol=1e-3)
    assert max(speed[0], speed[-1]) < 1e-2


def test_faces_speak_and_blink() -> None:
    assert spell("SCHNEE") == ["sch", "l", "e"]
    track = FaceTrack([Expression("OMO", 5, 35, 1.0)], 200, np.random.default_rng(2))
    faces = track.at(np.arange(200.0))
    assert all(0 <= weight <= 1 for face in faces for weight in face.values())
    assert max(face.get("mouthFunnel", 0) for face in faces[5:35]) > 0.4
    assert max(face.get("eyeBlinkLeft", 0) for face in faces) > 0.95
    assert faces[20].get("browInnerUp", 0) > faces[60].get("browInnerUp", 0) + 0.5
    from signgen.synthetic.body.template import template

    assert {name for face in faces for name in face} <= set(template().action_names)


def test_signers_of_test_are_never_trained() -> None:
    assert not set(signer_names()) & set(HELD_OUT)
    assert pick_signers("2", "test") == tuple(HELD_OUT[:2])
    assert set(pick_signers("5", "train")) <= set(signer_names())
    with pytest.raises(BadValue, match="^--signers:"):
        pick_signers(HELD_OUT[0], "train")
    with pytest.raises(BadValue, match="^--signers:"):
        pick_signers("s01", "test")
    with pytest.raises(BadValue, match="^--signers:"):
        pick_signers("0", "train")


def test_data_set_reads_back_and_goes_on(tmp_path: Path) -> None:
    from PIL import Image

    plan = Plan(5, "train", ("s01",), **SMALL)
    result = write_dataset(tmp_path, plan, 2)
    assert (result["clips"], result["written"], result["frames"]) == (2, 2, 16)
    index = PhoenixIndex(tmp_path)
    clips = index.clips("train")
    assert [clip.name for clip in clips] == [plan.name(0), plan.name(1)]
    assert clips[0].glosses == tuple(plan.score(0).glosses)
    assert np.array(Image.open(clips[0].frames[0])).shape == (80, 64, 3)
    with np.load(clips[0].keypoints) as stored:
        assert stored["keypoints"].shape == (8, 133, 3)
        assert stored["hand_shapes"].dtype == np.int16
        assert stored["hand_shapes"].shape == (8, 2)
        assert (np.isin(stored["hand_shapes"], [-1, *plan.perform(0).hand_shapes().ravel()])).all()
        assert stored["shapes"].tolist() == list(HANDSHAPES)
        assert (int(stored["width"]), int(stored["height"]), float(stored["fps"])) == (64, 80, 25.0)
    assert json.loads((tmp_path / "synthetic.json").read_text())["splits"]["train"]["counts"]["clips"] == 2

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    clips[1].keypoints.unlink()
    again = write_dataset(tmp_path, plan, 2)
    assert (again["written"], again["kept"]) == (1, 1)
    kept = [path for path in clips[0].frames if path.stat().st_mtime_ns == before[path]]
    assert len(kept) == 8
    with pytest.raises(Mismatch) as error:
        write_dataset(tmp_path, Plan(6, "train", ("s01",), **SMALL), 2)
    assert error.value.subject == str(tmp_path)
    with pytest.raises(Mismatch, match=r"--clips: got 1, and .* holds 2 clips of split train; give 2 or more"):
        write_dataset(tmp_path, plan, 1)
    assert not list(tmp_path.rglob(".*"))
    for content in ("[]", "{}", '{"splits": {"train": 3}}', '{"splits": {"dev": {}}}', "[" * 9999):
        (tmp_path / "synthetic.json").write_text(content)
        with pytest.raises(Damaged, match="delete it or use another folder"):
            write_dataset(tmp_path, plan, 2)


def test_a_clip_depends_on_its_number_alone(tmp_path: Path) -> None:
    plan = Plan(5, "dev", ("s01", "s02"), **SMALL)
    first = [image for image, _ in draw_clip(plan, 1)]
    list(draw_clip(plan, 0))
    assert all((a == b).all() for a, (b, _) in zip(first, draw_clip(plan, 1), strict=True))


def test_a_failing_clip_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.synthetic import dataset

    drawn = dataset.draw_frames

    def broken(plan: Plan, index: int, movement: Performance):
        yield next(drawn(plan, index, movement))
        raise OSError("disk full")

    monkeypatch.setattr(dataset, "draw_frames", broken)
    with pytest.raises(OSError, match="disk full"):
        write_clip(tmp_path, Plan(5, "train", ("s01",), **SMALL), 0)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("failing", range(1, 7))
def test_an_older_clip_survives_every_failed_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Frames and keypoints change together or not at all, whichever of the steps that put them in place fails."""
    from signgen import files

    plan, calls, replace = Plan(5, "train", ("s01",), **SMALL), [], files.os.replace
    write_clip(tmp_path, plan, 0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def broken(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", broken)
    try:
        write_clip(tmp_path, plan, 0)
    except (RunError, OSError):
        assert len(calls) >= failing
    else:
        assert len(calls) < failing
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_command(tmp_path: Path) -> None:
    arguments = ["synthesize", str(tmp_path / "out"), "--clips", "1", "--signers", "h01", "--split", "test",
                 "--frames-per-clip", "8:9", "--size", "64x80", "--jobs", "1", "--json"]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["split"] == "test"
    assert 8 <= result["frames"] <= 9
    for wrong, words in ((["--signers", "s01"], "split test"), (["--frames-per-clip", "x"], "--frames-per-clip"),
                         (["--clips", "0"], "--clips")):  # fmt: skip
        failed = CliRunner().invoke(main, [*arguments, *wrong])
        assert failed.exit_code == 2
        assert words in failed.stderr
