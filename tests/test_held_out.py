"""The benchmark of held-out signers, on a tiny untrained model and a few frames."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from tiny_pipeline import make_pipeline, picture, signing

from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import InputError, NotInstalled
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.model.networks.wrist_finder import WristFinder
from signgen.scoring.metrics.hands import hand_ssim

FRAMES, SIZE = 9, (210, 260)


@pytest.fixture(scope="module", autouse=True)
def scripts() -> None:
    folder = str(Path(__file__).resolve().parent.parent / "benchmarks")
    if folder not in sys.path:
        sys.path.insert(0, folder)


@pytest.fixture(scope="module")
def bench(scripts: None) -> ModuleType:
    import held_out

    return held_out


@pytest.fixture(scope="module")
def drawn(scripts: None) -> ModuleType:
    import drawn_clips

    return drawn_clips


@pytest.fixture(scope="module")
def scoring(scripts: None) -> ModuleType:
    import held_out_scores

    return held_out_scores


def write_clip(folder: Path, split: str) -> None:
    """A data set of one clip: noise over a picture, and somebody's keypoints."""
    release = folder / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    frames = release / "features" / "fullFrame-210x260px" / split / split
    corpus = release / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"
    for made in (frames, corpus.parent, folder / "keypoints"):
        made.mkdir(parents=True, exist_ok=True)
    corpus.write_text(f"name|video|start|end|speaker|orth|translation\n{split}|{split}/1/*.png|-1|-1|s01|A|a\n")
    rng = np.random.default_rng(0)
    for number in range(1, FRAMES + 1):
        frame = picture(SIZE) - rng.integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(frame).save(frames / f"images{number:04d}.png")
    person = signing(FRAMES, SIZE)
    points = np.concatenate([person.xy, person.confidence[..., None]], -1)
    content = {"keypoints": points, "width": SIZE[0], "height": SIZE[1], "fps": 25.0}
    labels = {"hand_shapes": np.zeros((FRAMES, 2), np.int16), "shapes": np.array(["flat"])}
    np.savez(folder / "keypoints" / f"{split}.npz", **content, **labels)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for split in ("dev", "test"):
        write_clip(folder, split)
    return folder


@pytest.fixture(autouse=True)
def finder(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    own_error = {split: {"true": {"mean_px": 1.0}} for split in ("dev", "test")}
    monkeypatch.setattr(bench, "load_wrist_finder", lambda: WristFinder().eval())
    monkeypatch.setattr(bench, "wrist_finder_report", lambda: own_error)


def run(bench: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: object) -> Result:
    monkeypatch.setattr(bench.SignGenPipeline, "from_pretrained", lambda model: make_pipeline(SIZE))
    return CliRunner().invoke(bench.main, [str(option) for option in options], catch_exceptions=False)


def test_table_json_and_sheet(bench: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, sheet = tmp_path / "r.json", tmp_path / "s.png"
    done = run(bench, monkeypatch, "--known", data, "--new", data, "--json", out, "--sheet", sheet, "--steps", 1)
    assert done.exit_code == 0
    results = json.loads(out.read_text())
    for kind in ("known", "new"):
        part = results[kind]
        assert (part["clips"], part["frames"], part["signers"]) == (1, FRAMES - 1, ["s01"])
        assert part["hands"] + part["hands_left_out"] == 2 * (FRAMES - 1)
        methods = part["methods"]
        assert set(methods) == {"copy of the source", "autoencoder", "model", "frames apart"}
        assert methods["copy of the source"]["motion_ratio"] == 0
        assert part["tof_ratio"] == pytest.approx(methods["model"]["tof"] / methods["frames apart"]["tof"])
        assert "tof|l2|farneback" in part["signatures"]["tof"]
    assert "share of the gap closed" in done.stdout or results["known"]["gap_closed"] is None
    assert "tOF over that of frames made apart" in done.stdout
    assert done.stdout.count("NOT reached") >= 4  # an untrained model
    width, height = Image.open(sheet).size
    assert (width, height) == (5 * (210 + 120), 2 * 260)


def test_without_frames_apart(bench: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r.json"
    run(bench, monkeypatch, "--known", data, "--new", data, "--json", out, "--no-apart")
    part = json.loads(out.read_text())["known"]
    assert part["tof_ratio"] is None
    assert "frames apart" not in part["methods"]


def test_without_a_model_only_the_copy_is_scored(bench: ModuleType, data: Path) -> None:
    done = CliRunner().invoke(bench.main, ["--known", str(data), "--new", str(data), "--model", "none"])
    assert done.exit_code == 0, done.output
    assert "copy of the source" in done.stdout
    assert "gap closed" not in done.stdout
    assert "goal" not in done.stdout


def test_gap_closed(scoring: ModuleType) -> None:
    methods = {scoring.COPY: {"hand_ssim": 0.4}, scoring.CEILING: {"hand_ssim": 0.9}, scoring.MODEL: {"hand_ssim": 0.8}}
    assert scoring.gap_closed(methods) == pytest.approx(0.8)
    assert scoring.gap_closed({scoring.COPY: {"hand_ssim": 0.4}}) is None


def test_fast_hands_are_scored_apart(scoring: ModuleType) -> None:
    clip = signing(6, SIZE)
    xy = np.repeat(clip.xy[:1], 6, 0)
    xy[:, LEFT_HAND, 0] += 7.0 * np.arange(6)[:, None]  # the left hand alone is fast
    xy[:, RIGHT_HAND, 0] += 5.0 * np.arange(6)[:, None]
    assert scoring.hand_speed(xy) == pytest.approx(np.repeat([[7.0, 5.0]], 6, 0), abs=1e-3)
    assert scoring.hand_speed(xy[:1]).tolist() == [[0, 0]]
    true = np.random.default_rng(0).integers(0, 255, (6, SIZE[1], SIZE[0], 3)).astype(np.uint8)
    made = true.copy()
    made[3:] = 0
    metrics = scoring.part_metrics()
    for metric in metrics.values():
        metric.update(made, true, xy, clip.confidence)
    fast, whole = metrics["fast_hand_ssim"], metrics["hand_ssim"]
    assert (fast.hands, whole.hands) == (6, 12)
    left = [float(one) for one in hand_ssim(made, true, xy, clip.confidence)[:, 0]]
    assert float(fast.compute()) == pytest.approx(np.mean(left))
    assert 0.5 < float(fast.compute()) < 0.52
    assert fast.signature != whole.signature
    assert "fast_hand_ssim" in scoring.COLUMNS


def test_goals_are_read_from_the_results(scoring: ModuleType) -> None:
    goal = scoring.Goal("known", "motion_ratio", 0.95, 1.05)
    lines = [goal.line({"methods": {scoring.MODEL: {"motion_ratio": value}}}) for value in (0.94, 1.0, 1.06)]
    assert [line.endswith("NOT reached") for line in lines] == [True, False, True]
    assert "at least 0.95 and at most 1.05" in lines[0]
    assert scoring.Goal("known", "tof_ratio", 0.0, 0.5).line({"tof_ratio": None}) is None


# ---- clips and what is made of them ----------------------------------------------------------------------------------


def test_signers_are_spread_and_the_folder_names_what_was_drawn(drawn: ModuleType) -> None:
    from signgen.synthetic.signer import HELD_OUT, signer_names

    plans = {kind: drawn.held_out_plan(kind, 4, 0) for kind in ("known", "new")}
    assert plans["known"].signers[0] == signer_names(drawn.CONTENT)[0]
    assert plans["known"].signers[-1] == signer_names(drawn.CONTENT)[-1]
    assert set(plans["new"].signers) <= set(HELD_OUT)
    assert len(set(plans["known"].signers)) == 4
    other = replace(plans["known"], signers=("s01",))
    names = {drawn.cache_name(plan, 4) for plan in (*plans.values(), other, replace(other, seed=1))}
    assert len(names) == 4
    assert all(f"-v{drawn.CONTENT}-" in name for name in names)


def test_frames_apart_are_those_of_windows_of_one_frame_but_for_the_noise(
    drawn: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The source's backdrop, which a render puts behind the noise of an untrained model, is not what is compared.
    monkeypatch.setattr("signgen.rendering.backdrop.Backdrop.known", False)
    keypoints = signing(3, SIZE)
    apart = drawn.without_cross_view(make_pipeline(SIZE))
    alone = list(drawn.generate_apart(apart, picture(SIZE), keypoints))
    whole = list(drawn.generate(apart, picture(SIZE), keypoints, seed=2, window=2, overlap=0))
    other = list(drawn.generate(apart, picture(SIZE), keypoints, seed=3, window=2, overlap=0))
    assert len(alone) == len(whole) == 3
    assert np.array_equal(alone[1], whole[1])  # frame 1 has seed 0 + 1 + 1
    assert not np.array_equal(alone[2], whole[2])
    assert np.array_equal(alone[2], other[2])


def test_a_model_without_cross_view_attention_cannot_be_taken_apart(drawn: ModuleType) -> None:
    with pytest.raises(InputError, match="no cross-view attention"):
        drawn.without_cross_view(make_pipeline(SIZE, cross_view=None))


def test_a_hand_that_is_not_there_stays_black(scripts: None) -> None:
    from held_out_sheet import panel

    frame = np.full((260, 210, 3), 200, np.uint8)
    shown = panel(frame, np.array([[50.0, 50.0], [np.nan, np.nan]]))
    assert shown.shape == (260, 330, 3)
    assert not shown[:120, 210:].any()
    assert shown[120:240, 210:].all()


# ---- frames that are kept --------------------------------------------------------------------------------------------


def test_kept_frames_are_not_rendered_again_and_only_taken_for_the_same_model(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keypoints, keep, pipeline = signing(3, SIZE), tmp_path / "renders" / "set" / "clip", make_pipeline(SIZE)
    first = list(drawn.generate(pipeline, picture(SIZE), keypoints, keep, seed=2))
    monkeypatch.setattr(drawn, "render", lambda *_, **__: pytest.fail("rendered again"))
    again = list(drawn.generate(pipeline, picture(SIZE), keypoints, keep, seed=2, steps=None))
    assert np.array_equal(first, again)
    for wrong, options in (("seed", {"seed": 3}), ("steps", {"seed": 2, "steps": 7}), ("frames", {"seed": 2})):
        clip = keypoints[:2] if wrong == "frames" else keypoints
        with pytest.raises(InputError, match=f"rendered with other {wrong};") as refused:
            list(drawn.generate(pipeline, picture(SIZE), clip, keep, **options))
        assert refused.value.subject == str(keep)
    with torch.no_grad():
        next(pipeline.denoiser.parameters()).add_(0.1)
    with pytest.raises(InputError, match="other weights_sha256"):
        list(drawn.generate(pipeline, picture(SIZE), keypoints, keep, seed=2))
    keep.with_name("clip.json").unlink()
    with pytest.raises(InputError, match="other weights_sha256, engine, frames, seed"):
        list(drawn.generate(pipeline, picture(SIZE), keypoints, keep, seed=2))


# ---- the table of all judges -----------------------------------------------------------------------------------------


class Eye:
    """An estimator that sees both hands of true frames, which it is shown first, and the right one of others."""

    signature, shown = "made up", 0

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        assert not follows
        person = signing(FRAMES, SIZE)[1:]
        points = np.concatenate([person.xy, person.confidence[..., None]], -1)
        points[0, 112:] = 0  # seen in neither
        points[:, 91:112] *= self.shown % 2 == 0
        self.shown += 1
        return points


@pytest.fixture
def panel(scripts: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import held_out_table

    monkeypatch.setattr(held_out_table, "load_wrist_finder", lambda: WristFinder().eval())
    monkeypatch.setattr(held_out_table, "load_estimator", lambda settings: Eye())
    return held_out_table


def test_one_command_has_all_judges_and_compares_with_an_earlier_model(
    bench: ModuleType, panel: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, renders = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "renders"
    options = ["--known", data, "--new", data, "--renders", renders, "--table"]
    done = run(bench, monkeypatch, *options, "--before", "none", "--json", first)
    assert done.exit_code == 0
    results = json.loads(first.read_text())
    for kind in ("known", "new"):
        own = results[kind]["model"]
        assert set(own) == {row.name for row in panel.ROWS}
        assert set(results[kind]["true frames"]) == {"within_3_px", "shape_right", "mediapipe_found"}
        assert own["mediapipe_found"]["sums"] == [[FRAMES - 2, 2 * (FRAMES - 1)]]  # the right hand but for a frame
        assert own["mediapipe_kept"]["sums"] == [[FRAMES - 2, 2 * (FRAMES - 1) - 1]]
        assert own["recall_at_1"]["sums"][0][1] == 1  # frame 6 of 9
        for part in own.values():
            top, bottom = part["sums"][0]
            assert part["value"] == (pytest.approx(top / bottom) if bottom else None)
    assert "Hand SSIM" in done.stdout
    assert "at least 0.835: NOT reached" in done.stdout

    monkeypatch.setattr("drawn_clips.render", lambda *_, **__: pytest.fail("rendered again"))
    own = results["known"]["model"]["face_ssim"]
    own["value"], own["sums"] = own["value"] - 0.1, [[own["sums"][0][0] - 0.1 * (FRAMES - 1), FRAMES - 1]]
    first.write_text(json.dumps(results))
    again = run(bench, monkeypatch, *options, "--before", first, "--json", second)
    line = next(line for line in again.stdout.splitlines() if line.startswith("known") and "face SSIM" in line)
    assert "+0.100 (+0.100 to +0.100)" in line
    assert json.loads(second.read_text())["new"] == results["new"]
    results["signatures"]["face_ssim"] = "another one"
    first.write_text(json.dumps(results))
    with pytest.raises(InputError, match="other face_ssim; measure that model again") as refused:
        run(bench, monkeypatch, *options, "--before", first)
    assert refused.value.subject == str(first)
    first.write_text("{}")
    with pytest.raises(InputError, match="holds no results"):
        run(bench, monkeypatch, *options, "--before", first)


def test_mediapipe_is_asked_about_true_and_rendered_frames(
    panel: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import extract_judge

    monkeypatch.setattr(extract_judge, "load_estimator", lambda settings: Eye())
    out, sheet = tmp_path / "r.json", tmp_path / "s.png"
    done = run(extract_judge, monkeypatch, "--known", data, "--new", data, "--json", out, "--sheet", sheet)
    found = json.loads(out.read_text())
    assert json.loads(done.stdout) == found
    for kind in ("known", "new"):
        part, hands = found[kind], 2 * (FRAMES - 1)
        assert part["true frames"]["hands"] == part["rendered"]["hands"] == hands
        assert part["true frames"]["found"] == pytest.approx((hands - 1) / hands, abs=1e-4)
        assert part["rendered"]["found"] == pytest.approx((FRAMES - 2) / hands, abs=1e-4)
        assert part["rendered"]["mean_px"] == 0
        assert part["kept"]["share"] == pytest.approx((FRAMES - 2) / (hands - 1))
    assert Image.open(sheet).size == (2 * 2 * 3 * 210, 3 * 260)


def test_without_mediapipe_the_table_says_so_and_why(
    bench: ModuleType, panel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(settings: object) -> None:
        raise NotInstalled("mediapipe", "is not installed", "install it")

    monkeypatch.setattr(panel, "load_estimator", missing)
    results, before = panel.judged(make_pipeline(SIZE), {}, None, None, seed=0)
    assert before is None
    assert "mediapipe_kept" not in results["signatures"]
    results |= {kind: {"true frames": {}, "model": {}} for kind in ("known", "new")}
    lines = panel.table_text(results, before).splitlines()
    assert lines[-1].startswith("not measured: MediaPipe: mediapipe: is not installed")
    assert [line.split("again, %")[1].split() for line in lines if "finds again" in line] == [["-"] * 4] * 2


def test_a_table_needs_a_model(bench: ModuleType, data: Path) -> None:
    options = ["--known", str(data), "--new", str(data), "--table", "--model", "none"]
    with pytest.raises(InputError, match="name a model"):
        CliRunner().invoke(bench.main, options, catch_exceptions=False)


def test_times_are_quotients_of_rounds_in_turns(panel: ModuleType, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, seconds, order = PhoenixIndex(data).clips("dev")[0], iter((9, 1, 3, 2, 5, 2, 4, 4)), []

    clock = SimpleNamespace(now=0.0, process_time=lambda: clock.now)

    def timed(keypoints: object, person: object, model: object, output: object) -> None:
        order.append(model)
        clock.now += next(seconds)

    def engine(model: object, backend: str) -> str:
        if backend == "openvino":
            raise InputError("--backend openvino", "no export", "write one")
        return backend

    monkeypatch.setattr(panel, "render", timed)
    monkeypatch.setattr(panel, "time", clock)
    monkeypatch.setattr(panel, "choose_engine", engine)
    new, old = SimpleNamespace(), SimpleNamespace()
    found = panel.times(new, old, clip, rounds=3)
    assert order == [new, old] * 4
    assert found["torch"] == {"ratio": 1.5, "rounds": [1.5, 2.5, 1.0]}
    assert "no export" in found["openvino"]
