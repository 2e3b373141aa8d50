"""The benchmark of legible fingers, with judges whose answers are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import make_pipeline, picture, signing

from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.scoring.metrics.handshapes import HandshapeNetwork
from signgen.synthetic.dataset import Plan, settings_of
from signgen.synthetic.motion.face import VISEMES

FRAMES, SIZE = 9, (210, 260)
SHAPES = ("flat", "fist")


class Detector:
    """Sees each hand as far to the right of the truth as its red level says; 255: nothing there."""

    signature, found_from = "made up", 0.5

    def __init__(self, keypoints: Keypoints) -> None:
        self.keypoints = keypoints

    def detect(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        joints = np.stack([self.keypoints.xy[:, hand] for hand in (LEFT_HAND, RIGHT_HAND)], 1)[: len(frames)].copy()
        level = frames[:, 0, 0, 0].astype(np.float32)
        joints[..., 0] += level[:, None, None]
        score = np.broadcast_to((level < 255)[:, None, None, None], (*joints.shape[:-1], 1))
        joints = np.concatenate([joints, score], -1).astype(np.float32)
        joints[np.isnan(boxes[..., 0])] = np.nan
        return joints


class Classifier:
    """Sees the shape whose number is the green level."""

    signature, shapes = "made up", SHAPES

    def classify(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        belief = np.eye(2, dtype=np.float32)[frames[:, 0, 0, 1]][:, None].repeat(2, 1)
        return np.where(np.isnan(boxes[..., :1]), np.nan, belief)


@pytest.fixture(scope="module")
def scoring() -> ModuleType:
    folder = str(Path(__file__).resolve().parent.parent / "benchmarks")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import legibility_scores

    return legibility_scores


@pytest.fixture(scope="module")
def bench(scoring: ModuleType) -> ModuleType:
    import legibility

    return legibility


def frames_with(red: list[int], green: list[int]) -> np.ndarray:
    frames = np.zeros((len(red), SIZE[1], SIZE[0], 3), np.uint8)
    frames[..., 0], frames[..., 1] = (np.array(values)[:, None, None] for values in (red, green))
    return frames


def read(scoring: ModuleType, red: list[int], green: list[int], keypoints: Keypoints | None = None) -> object:
    keypoints = keypoints or signing(len(red), SIZE)
    judges = scoring.Judges(Detector(keypoints), Classifier())
    return scoring.read_hands(judges, frames_with(red, green), keypoints)


# ---- what is counted -------------------------------------------------------------------------------------------------


def test_distances_and_shapes_are_what_the_judges_say(scoring: ModuleType) -> None:
    reading = read(scoring, [0, 2, 255], [0, 1, 1])
    assert reading.distance[:2] == pytest.approx(np.array([[0, 0], [2, 2]]), abs=1e-3)
    assert np.isinf(reading.distance[2]).all()
    assert reading.shape.tolist() == [[0, 0], [1, 1], [1, 1]]


def test_hands_that_nobody_sees_and_joints_that_nobody_is_sure_of(scoring: ModuleType) -> None:
    whole = signing(2, SIZE)
    confidence = whole.confidence.copy()
    confidence[0, LEFT_HAND] = 0
    confidence[1, RIGHT_HAND.start : RIGHT_HAND.start + 5] = 0.1
    keypoints = Keypoints(whole.xy, confidence, width=SIZE[0], height=SIZE[1], fps=25.0, name="c")
    reading = read(scoring, [1, 1], [0, 0], keypoints)
    assert np.isnan(reading.distance[0, 0])
    assert reading.shape[0].tolist() == [-1, 0]
    assert reading.distance[1, 1] == pytest.approx(1, abs=1e-3)


def test_shares_intervals_and_what_is_kept(scoring: ModuleType) -> None:
    true, made = scoring.Tally(), scoring.Tally()
    labels = np.array([[0, 0], [1, -1], [1, 1]])
    for _ in range(3):
        true.add(read(scoring, [0, 0, 1], [0, 1, 1]), labels)
        made.add(read(scoring, [3, 4, 255], [0, 0, 1]), labels)
    first, second = true.summary(0), made.summary(0)
    assert (first["within_3_px"], first["shape_accuracy"], first["not_found"]) == (1, 1, 0)
    assert second["within_3_px"] == pytest.approx(1 / 3)
    assert second["not_found"] == 6
    assert second["mean_px"] == pytest.approx(3.5, abs=1e-3)
    assert second["shape_accuracy"] == pytest.approx(4 / 5)
    assert second["shape_accuracy_interval"] == pytest.approx((0.8, 0.8))  # clips that are all alike
    assert scoring.kept(true, made, 0)["share"] == pytest.approx(0.8)


def test_intervals_cover_what_differs_between_clips(scoring: ModuleType) -> None:
    tally = scoring.Tally()
    for level in (0, 9, 0, 9):
        tally.add(read(scoring, [level], [0]), np.array([[0, 0]]))
    low, high = tally.summary(0)["within_3_px_interval"]
    assert low < 0.5 < high


def test_the_shapes_that_lose_most_come_first(scoring: ModuleType) -> None:
    true, made = scoring.Tally(), scoring.Tally()
    labels = np.array([[0, 0], [1, 1]])
    true.add(read(scoring, [0, 0], [0, 1]), labels)
    made.add(read(scoring, [0, 0], [0, 0]), labels)
    worst = scoring.worst_shapes(true, made, SHAPES, 5)
    assert [row["shape"] for row in worst] == ["fist", "flat"]
    assert worst[0] == {"shape": "fist", "hands": 2, "right_true": 2, "right": 0, "taken_for": [("flat", 2)]}


def test_nothing_to_count_is_said(scoring: ModuleType, bench: ModuleType) -> None:
    tally = scoring.Tally()
    tally.add(read(scoring, [255], [0]), np.array([[-1, -1]]))
    part = bench.summarise({scoring.TRUE: tally}, SHAPES, 1, 0)
    assert part["methods"][scoring.TRUE]["mean_px"] is None
    assert "-" in bench.table("new", part)
    assert scoring.kept(tally, tally, 0) == {"share": None, "interval": None}


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip in dev and test, its hands labelled."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    release = folder / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    for split in ("dev", "test"):
        frames = release / "features" / "fullFrame-210x260px" / split / split
        corpus = release / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"
        for made in (frames, corpus.parent, folder / "keypoints"):
            made.mkdir(parents=True, exist_ok=True)
        corpus.write_text(f"name|video|start|end|speaker|orth|translation\n{split}|{split}/1/*.png|-1|-1|s01|A|a\n")
        for number in range(1, FRAMES + 1):
            noise = rng.integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
            Image.fromarray(picture(SIZE) - noise).save(frames / f"images{number:04d}.png")
        person = signing(FRAMES, SIZE)
        points = np.concatenate([person.xy, person.confidence[..., None]], -1)
        content = {"keypoints": points, "width": SIZE[0], "height": SIZE[1], "fps": 25.0}
        labels = np.full((FRAMES, 2), (0, 1), np.int16)
        np.savez(folder / "keypoints" / f"{split}.npz", **content, hand_shapes=labels, shapes=np.array(SHAPES))
    return folder


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    folder = tmp_path / "classifier"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"shapes": SHAPES}))
    save_file(HandshapeNetwork(2).state_dict(), folder / "model.safetensors")
    return folder


def test_table_json_and_sheet(
    bench: ModuleType, data: Path, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.SignGenPipeline, "from_pretrained", lambda model: make_pipeline(SIZE))
    out, sheet = tmp_path / "r.json", tmp_path / "s.png"
    options = ["--known", data, "--new", data, "--classifier", classifier, "--json", out, "--sheet", sheet]
    done = CliRunner().invoke(bench.main, [str(option) for option in options], catch_exceptions=False)
    assert done.exit_code == 0
    results = json.loads(out.read_text())
    for kind in ("known", "new"):
        part = results[kind]
        assert (part["clips"], part["visible_hands"], part["labelled_hands"]) == (1, 2 * (FRAMES - 1), 2 * (FRAMES - 1))
        assert set(part["methods"]) == {"true frames", "autoencoder", "model"}
        assert sum(row["hands"] for row in part["worst_shapes"]) == part["labelled_hands"]
    assert len(results["judges"]) == 2
    assert done.stdout.count("goal at least 80 %") == 2
    assert Image.open(sheet).width == 14 * 120


def test_only_true_frames_without_a_model(bench: ModuleType, data: Path, classifier: Path) -> None:
    options = ["--known", data, "--new", data, "--classifier", classifier, "--model", "none"]
    done = CliRunner().invoke(bench.main, [str(option) for option in options])
    assert done.exit_code == 0, done.output
    assert "true frames" in done.stdout
    assert "goal" not in done.stdout


def test_clips_without_labels_are_refused(bench: ModuleType, data: Path, classifier: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    (bare / "keypoints").mkdir(parents=True)
    (bare / "PHOENIX-2014-T-release-v3").symlink_to(data / "PHOENIX-2014-T-release-v3")
    with np.load(data / "keypoints" / "dev.npz") as archive:
        np.savez(bare / "keypoints" / "dev.npz", keypoints=archive["keypoints"], width=210, height=260, fps=25.0)
    options = ["--known", bare, "--new", data, "--classifier", classifier, "--model", "none"]
    with pytest.raises(InputError, match="holds no hand shapes"):
        CliRunner().invoke(bench.main, [str(option) for option in options], catch_exceptions=False)


# ---- mouths ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mouths(scoring: ModuleType) -> ModuleType:
    import visemes

    return visemes


def test_visemes_are_in_the_file_or_made_again(mouths: ModuleType, tmp_path: Path) -> None:
    plan = Plan(3, "test", ("h02",), frames=(40, 40), version=4)
    file = tmp_path / "keypoints" / f"{plan.name(0)}.npz"
    file.parent.mkdir()
    clip = SimpleNamespace(name=plan.name(0), keypoints=file)
    np.savez(file, visemes=np.array([1, 0, -1, 2], np.int8), viseme_names=np.array(["u", "m", "rest"]))
    assert [mouths.MOUTH_SHAPES[i] if i >= 0 else None for i in mouths.labels_of(clip)] == [
        "shut",
        "round",
        None,
        "rest",
    ]
    np.savez(file, keypoints=np.zeros(1))
    with pytest.raises(InputError, match="does not say its visemes"):
        mouths.labels_of(clip)
    (tmp_path / "synthetic.json").write_text(json.dumps({"splits": {"test": {"settings": settings_of(plan)}}}))
    found, wanted = mouths.labels_of(clip), plan.perform(0).visemes()
    assert len(set(found)) > 3
    assert ((found == -1) == (wanted == -1)).all()
    assert ((found == mouths.REST) == (wanted == list(VISEMES).index("rest"))).all()
    assert sorted(name for group in mouths.GROUPS.values() for name in group) == sorted(VISEMES)


def speaking(opened: np.ndarray, light: int) -> tuple[np.ndarray, Keypoints]:
    """Frames in which a mouth is a thin line, or a large dark disc where it is ``opened`` (T,); its keypoints."""
    rows, columns = np.indices((SIZE[1], SIZE[0]))
    line = (abs(rows - 100) < 2) & (abs(columns - 105) < 9)
    disc = np.hypot(rows - 100, columns - 105) < 8
    frames = np.full((len(opened), SIZE[1], SIZE[0], 3), light, np.uint8)
    frames[np.where(opened[:, None, None], disc, line)] = light // 3
    clip = signing(len(opened), SIZE)
    xy = clip.xy.copy()
    xy[:, 23:40] = np.stack([np.linspace(70, 140, 17), np.full(17, 90)], -1)
    xy[:, 71:91] = (105, 100) + 6 * np.stack([np.cos(np.arange(20.0)), np.sin(np.arange(20.0))], -1)
    return frames, Keypoints(xy, clip.confidence, width=SIZE[0], height=SIZE[1], fps=25.0, name="mouths")


def test_a_judge_learns_to_tell_mouths(
    mouths: ModuleType, bench: ModuleType, scoring: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, shut, wide = np.random.default_rng(0), *(mouths.MOUTH_SHAPES.index(name) for name in ("shut", "wide"))
    opened = [rng.random(40) < 0.5 for _ in range(3)]
    clips = [speaking(one, 150 + 20 * number) for number, one in enumerate(opened)]
    labels = [np.where(one, wide, shut) for one in opened]
    monkeypatch.setattr(mouths, "read_frames", lambda number: clips[number][0])
    monkeypatch.setattr(mouths, "read_keypoints", lambda number: SimpleNamespace(keypoints=clips[number][1]))
    monkeypatch.setattr(mouths, "labels_of", lambda clip: labels[clip.folder])
    monkeypatch.setattr(mouths, "EPOCHS", 20)
    shown = [SimpleNamespace(folder=number, keypoints=number) for number in range(3)]
    judge, again = (mouths.trained(shown[:2], seed=4) for _ in range(2))
    assert all((a == b).all() for a, b in zip(judge.state_dict().values(), again.state_dict().values(), strict=True))
    frames, keypoints = clips[2]
    reading = mouths.read_mouths(judge, frames, keypoints)
    assert (reading.shape[:, 0] == labels[2]).all()
    confidence = keypoints.confidence.copy()
    confidence[0, 75] = 0
    hidden = Keypoints(keypoints.xy, confidence, width=SIZE[0], height=SIZE[1], fps=25.0, name="hidden")
    assert mouths.read_mouths(judge, frames, hidden).shape[0, 0] == -1
    tallies = {scoring.TRUE: scoring.Tally(), scoring.MODEL: scoring.Tally()}
    closed = speaking(np.zeros(40, bool), 150)[0]  # what a model makes that opens no mouth
    for tally, some in zip(tallies.values(), (frames, closed), strict=True):
        tally.add(mouths.read_mouths(judge, some, keypoints), labels[2][:, None])
    told = bench.summarise_mouths(tallies, 0)
    assert told["mouths"] == 40
    assert told["methods"][scoring.TRUE]["accuracy"] == 1
    assert told["kept"][scoring.MODEL]["share"] == pytest.approx(1 - opened[2].mean())
    assert told["worst"][0]["shape"] == "wide"
    part = bench.summarise({scoring.TRUE: tallies[scoring.TRUE]}, SHAPES, 1, 0)
    assert "40 mouths that speak" in bench.table("new", {**part, "visemes": told})
    with pytest.raises(InputError, match="40 mouths show"):
        mouths.trained([SimpleNamespace(folder=0, keypoints=0)], seed=0)
