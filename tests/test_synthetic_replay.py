"""Motion from keypoint files: drawn motion found again, gaps continued, faces, the data set and real files."""

from __future__ import annotations

import hashlib
import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from signgen.cli import main
from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import Mismatch, Missing, NotFound
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.synthetic.dataset import REPLAYED, Plan, _write_json, anatomy_of, write_clip, write_dataset
from signgen.synthetic.motion.handshapes import shape_angles
from signgen.synthetic.motion.movement import Movement
from signgen.synthetic.motion.posture import SIDES, Pose
from signgen.synthetic.picture.camera import Camera
from signgen.synthetic.picture.landmarks import keypoints_3d
from signgen.synthetic.replay.arms import likeliest
from signgen.synthetic.replay.face import ReplayedFace
from signgen.synthetic.replay.plan import Motion, ReplayPlan, content_sha256, motions
from signgen.synthetic.replay.retarget import Replay
from signgen.synthetic.replay.view import View, continued
from signgen.synthetic.signer import load_signer

CAMERA = Camera()
FINGERS = [*range(92, 112), *range(113, 133)]


def seen_by_camera(name: str, poses: list[Pose]) -> np.ndarray:
    """Native pixels (T, 133, 2) of a signer's keypoints."""
    signer = load_signer(name)
    points = [keypoints_3d(signer, *signer.posed(p.rotations, p.face)) + p.root_shift for p in poses]
    return View(CAMERA, signer.head_top).project(np.stack(points))


def middles(movement: Movement) -> list[Pose]:
    return [poses[len(poses) // 2] for poses in movement.exposures()]


def as_keypoints(pixels: np.ndarray) -> Keypoints:
    return Keypoints(pixels.astype(np.float32), np.full(pixels.shape[:2], 0.9, np.float32), 210, 260, 25.0, "driver")


def replayed(keypoints: Keypoints, name: str) -> Replay:
    return Replay(anatomy_of(name), load_signer(name), CAMERA, keypoints, np.random.default_rng(0))


def misses(replay: Replay, name: str) -> np.ndarray:
    """Pixels (T, 133) by which the drawn points miss where they shall be; nan where the driver showed none."""
    drawn = seen_by_camera(name, middles(replay))
    inside = ((replay.points >= 0) & (replay.points < (210, 260))).all(-1)
    return np.where(replay.seen & inside, np.linalg.norm(drawn - replay.points, axis=-1), np.nan)


@pytest.fixture(scope="module")
def driver() -> tuple[Movement, Keypoints]:
    movement = Plan(31, "train", ("s01", "s04")).perform(3)
    return movement, as_keypoints(seen_by_camera("s04", middles(movement)))


def test_drawn_motion_is_found_again(driver: tuple[Movement, Keypoints]) -> None:
    movement, keypoints = driver
    replay = replayed(keypoints, "s04")
    off = misses(replay, "s04")
    assert np.nanmedian(off[:, [91, 112]]) < 1.5
    assert np.nanmedian(off[:, [7, 8]]) < 2.5
    assert np.nanmean(off[:, FINGERS]) < 3.0
    assert np.nanmean(off[:, 23:91]) < 2.0
    times = np.arange(movement.frames, dtype=float)
    truth, found = movement.posture_at(times), replay.posture_at(times)
    assert np.abs(truth.head - found.head).mean() < 5
    for side in SIDES:  # depth is not seen, only concluded
        assert np.abs(truth.arms[side].wrist - found.arms[side].wrist).mean() < 0.05
        assert np.abs(truth.arms[side].fingers - found.arms[side].fingers).mean() < 12


def test_another_signer_keeps_own_proportions(driver: tuple[Movement, Keypoints]) -> None:
    wide = driver[1].resized(640, 480)  # another frame, other pixels
    replay = replayed(wide, "s01")
    off = misses(replay, "s01")
    assert np.nanmedian(off[:, [91, 112]]) < 2.5
    width = np.median(np.abs(replay.points[:, 5, 0] - replay.points[:, 6, 0]))
    rest = seen_by_camera("s01", middles(replay))
    assert abs(width - np.median(np.abs(rest[:, 5, 0] - rest[:, 6, 0]))) < 0.08 * width


def test_missing_hands_continue(driver: tuple[Movement, Keypoints]) -> None:
    _, keypoints = driver
    confidence = keypoints.confidence.copy()
    confidence[12:26, 112:133] = 0.0
    confidence[:, 91:112] = 0.0
    gappy = Keypoints(keypoints.xy, confidence, 210, 260, 25.0)
    now = replayed(gappy, "s04").posture_at(np.arange(len(gappy), dtype=float))
    right, left = now.arms["R"].fingers, now.arms["L"].fingers
    assert np.allclose(left, shape_angles("relax"), atol=1e-3)
    inside, ends = right[13:25], right[[11, 26]]
    assert (inside >= ends.min(0) - 15).all()
    assert (inside <= ends.max(0) + 15).all()
    assert np.abs(np.diff(right[11:27], axis=0)).max() < 25  # degrees a frame: no jump into or out of the gap


def test_without_shoulders_there_is_no_body() -> None:
    confidence = np.full((4, 133), 0.9, np.float32)
    confidence[:, 5] = 0
    with pytest.raises(Missing, match="^motion:"):
        replayed(Keypoints(np.full((4, 133, 2), 50.0, np.float32), confidence, 210, 260, 25.0), "s04")


def test_the_likeliest_run_is_the_cheapest() -> None:
    rng = np.random.default_rng(0)
    cost, change = rng.random((5, 3)), rng.random((4, 3, 3))

    def price(path: tuple[int, ...]) -> float:
        steps = sum(change[t, path[t], path[t + 1]] for t in range(4))
        return sum(cost[t, k] for t, k in enumerate(path)) + steps

    assert tuple(likeliest(cost, change)) == min(itertools.product(range(3), repeat=5), key=price)


def test_gaps_are_filled_between_neighbours() -> None:
    values = np.array([[9.0], [1.0], [9.0], [3.0], [9.0]])
    known = np.array([False, True, False, True, False])
    assert continued(values, known)[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_mouths_brows_and_lids_follow() -> None:
    count = 40
    jaw, lids = np.zeros(count), np.zeros(count)
    jaw[8:16], lids[24:30] = 0.35, 1.0
    still = np.tile(np.eye(3, dtype=np.float32), (len(load_signer("s01").heads), 1, 1))
    faces = [{"jawOpen": j, "eyeBlinkLeft": b, "eyeBlinkRight": b} for j, b in zip(jaw, lids, strict=True)]
    pixels = seen_by_camera("s01", [Pose(still, face) for face in faces])
    signer = load_signer("s04")
    face = ReplayedFace(signer, View(CAMERA, signer.head_top), pixels, np.ones((count, 133), bool))
    found = face.at(np.arange(count, dtype=float))
    opened = np.array([one.get("jawOpen", 0.0) for one in found])
    closed = np.array([one.get("eyeBlinkLeft", 0.0) for one in found])
    assert opened[10:14].min() > 0.2
    assert closed[26:28].min() > 0.6
    assert max(opened[:6].max(), opened[20:].max()) < 0.08
    assert max(closed[:20].max(), closed[34:].max()) < 0.05


@pytest.fixture(scope="module")
def drawn_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    plan = Plan(5, "train", ("s01",), frames=(8, 8), size=(64, 80))
    write_clip(folder, plan, 0)
    return folder / "keypoints" / f"{plan.name(0)}.npz"


def test_data_set_of_replayed_motion(tmp_path: Path, drawn_file: Path) -> None:
    out = tmp_path / "out"
    arguments = ["synthesize", str(out), "--motion", str(drawn_file), "--motion-glosses", "REGEN NORD", "--clips", "2",
                 "--signers", "s02,s03", "--size", "64x80", "--jobs", "1", "--json"]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    clips = PhoenixIndex(out).clips("train")
    assert [clip.name for clip in clips] == [drawn_file.stem, f"{drawn_file.stem}-2"]
    assert [clip.glosses for clip in clips] == [("REGEN", "NORD")] * 2
    found = read_keypoints(clips[1].keypoints).keypoints
    assert (len(found), found.size) == (8, (64, 80))
    content = json.loads((out / "synthetic.json").read_text())
    listed = content["splits"]["train"]["settings"]["motion"]
    assert listed == [{"path": str(drawn_file), "sha256": hashlib.sha256(drawn_file.read_bytes()).hexdigest(),
                       "glosses": ["REGEN", "NORD"]}]  # fmt: skip
    assert "licence" in content["statement"]
    again = CliRunner().invoke(main, arguments)
    assert json.loads(again.stdout)["kept"] == 2


def test_one_clip_of_a_file_of_several(tmp_path: Path, drawn_file: Path) -> None:
    keypoints = read_keypoints(drawn_file).keypoints
    rows = np.concatenate([keypoints.xy, keypoints.confidence[..., None]], -1)
    several = tmp_path / "several#two.pkl"
    several.write_bytes(pickle.dumps({f"train/{name}": {"keypoints": rows[:n]} for name, n in (("a", 5), ("b", 7))}))
    chosen = motions([f"{several}#b", f"{several}#a"])
    plan = ReplayPlan(0, "train", ("s01",), motion=chosen)
    assert [plan.name(i) for i in range(3)] == ["b", "a", "b-2"]
    assert [plan.length(i) for i in range(2)] == [7, 5]
    assert len({one.sha256 for one in chosen}) == 1
    with pytest.raises(NotFound, match="c"):
        motions([f"{several}#c"])


def test_bad_motion(tmp_path: Path, drawn_file: Path) -> None:
    same = tmp_path / drawn_file.name
    same.write_bytes(drawn_file.read_bytes())
    for extra, words in ((["--motion", str(tmp_path / "no.npz")], "no.npz"),
                         (["--motion", str(drawn_file), "--motion", str(same)], "several files named"),
                         (["--motion", str(drawn_file), "--motion-glosses", "A", "--motion-glosses", "B"], "2 for 1"),
                         (["--motion", str(drawn_file), "--frames-per-clip", "8"], "as long as their files"),
                         (["--motion-glosses", "A", "--clips", "1"], "without --motion"), ([], "--clips")):  # fmt: skip
        failed = CliRunner().invoke(main, ["synthesize", str(tmp_path / "out"), *extra])
        assert failed.exit_code == 2, failed.output
        assert words in failed.stderr
    with pytest.raises(Missing, match="^--motion:"):
        ReplayPlan(0, "train", ("s01",))


def test_invented_clips_do_not_replace_replayed_ones(tmp_path: Path) -> None:
    """Their pictures would stay, and the statement on whose movements they show would go."""
    replayed_plan = ReplayPlan(0, "train", ("s01",), motion=(Motion("a.pose", "0" * 64),))
    _write_json(tmp_path, replayed_plan, {"clips": 1})
    with pytest.raises(Mismatch, match="motion"):
        write_dataset(tmp_path, Plan(0, "train", ("s01",)), 1)
    assert json.loads((tmp_path / "synthetic.json").read_text())["statement"] == REPLAYED


def test_two_clips_never_have_one_name(tmp_path: Path) -> None:
    """The second round over a.pose would be the first over a-2.pose, and be taken for written."""
    plan = ReplayPlan(0, "train", ("s01",), motion=tuple(Motion(name, "0" * 64) for name in ("a.pose", "a-2.pose")))
    with pytest.raises(Mismatch, match="two clips would be called a-2"):
        write_dataset(tmp_path / "out", plan, 3)
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_rate_is_said_to_have_none(tmp_path: Path) -> None:
    clip = as_keypoints(np.full((3, 133, 2), 50.0))
    write_keypoints(clip, tmp_path / "a.json")
    write_keypoints(clip, tmp_path / "b.pose")
    plan = ReplayPlan(0, "train", ("s01",), motion=motions([str(tmp_path / "a.json"), str(tmp_path / "b.pose")]))
    (line,) = plan.warnings()
    assert line.startswith(f"{tmp_path / 'a.json'} says no frame rate: taken as 25 a second")


def test_a_folder_has_one_hash(tmp_path: Path) -> None:
    for name, text in (("b.json", "2"), ("a.json", "1")):
        (tmp_path / name).write_text(text)
    before = content_sha256(str(tmp_path))
    (tmp_path / "b.json").rename(tmp_path / "c.json")
    assert content_sha256(str(tmp_path)) != before


@pytest.mark.parametrize(
    "name", ["pose/phoenix14t_25October_2010_Monday_tagesschau-17.pose", "pose/poseformat_mediapipe.pose"]
)
def test_real_files_are_followed(shared: Path, name: str) -> None:
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    plan = ReplayPlan(0, "train", ("s04",), motion=motions([str(path)]))
    replay = replayed(read_keypoints(path).keypoints[:60], "s04")
    assert plan.length(0) >= replay.frames
    off, width = misses(replay, "s04"), np.median(np.linalg.norm(replay.points[:, 5] - replay.points[:, 6], axis=-1))
    assert np.nanmedian(off[:, [91, 112]]) < 0.02 * width
    assert np.nanmedian(off[:, FINGERS]) < 0.08 * width
    now = replay.posture_at(np.arange(replay.frames, dtype=float))
    for arm in now.arms.values():
        assert np.isfinite(arm.fingers).all()
        assert np.linalg.norm(np.diff(arm.wrist, axis=0), axis=-1).max() < 0.25  # metres a frame
