"""Does augmentation help: arms see what they say, rates and shares are right, a stopped run goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from benches import load
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import save_pipeline

from signgen.augmentation.run import MEASURED
from signgen.augmentation.signers import pick_signers
from signgen.errors import Damaged, Mismatch, Missing, SignGenError
from signgen.scoring.recogniser.network import LARGE, NetworkSize
from signgen.scoring.recogniser.samples import Sample, Samples

WORDS = ["--clips", "2", "--dev-clips", "2", "--test-clips", "3", "--glosses", "40", "--frames", "10", "--seeds", "1"]
ONLY = ("photometric", "perfect copies", "mini", "mini, 1:1")
ARMS = load("augmentation").ARMS  # as they are: `finished` puts few in their place
TINY = NetworkSize(32, 32, (4, 4, 4), 2, 8, 4)


@pytest.fixture(scope="module")
def runs() -> ModuleType:
    return load("augmentation_runs")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """Folder, arguments and table of a whole run of few steps, with copies by a model of random weights."""
    root = tmp_path_factory.mktemp("augmentation")
    bench, runs, data = load("augmentation"), load("augmentation_runs"), load("augmentation_data")
    few = [(bench, "ARMS", _few_copies(runs, data))]
    few += [(runs, "READ", 2), (runs, "COPIES", {n: data.Copies(n, 2, vary=False) for n in (data.DRAWN, "mini")})]
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in few:
            patch.setattr(module, name, value)
        kept = ["--work", str(root / "work"), *WORDS, "--stored", str(root / "stored.json")]
        arguments = [*kept, "--model", str(save_pipeline(root / "tiny"))]
        result = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        yield root, arguments, result.stdout


def _few_copies(runs: ModuleType, data: ModuleType) -> tuple[Any, ...]:
    """The arms of `ONLY`, two signers and two copies each."""
    perfect, made = data.Copies(data.DRAWN, 2, 2), data.Copies("mini", 2, 2)
    copies = {"photometric": None, "perfect copies": perfect}
    mixes = {arm.name: arm.mix for arm in ARMS}
    return tuple(runs.Arm(n, copies.get(n, made), mix=mixes[n], steps=4, reads=n in ONLY[:2]) for n in ONLY)


def test_a_whole_run_scores_each_arm_on_new_signers(finished: tuple[Path, list[str], str]) -> None:
    root, _, table = finished
    lines = table.splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:6]] == list(ONLY)
    assert [line.split(" | ")[1] for line in lines[2:6]] == ["4", "4 + 8", "4 + 8", "4 + 8"]
    kinds = [line.split(" | ")[2] for line in lines[9:15]]
    assert kinds == list(load("augmentation_table").KINDS.values())
    found = [json.loads(path.read_text()) for path in (root / "work" / "results").glob("*[0-9a-f].json")]
    assert len(found) == 4
    for one in found:
        data, scored = one["key"]["learned"]["data"], one["key"]["scored"]
        learned = {*data["plan"]["signers"], *data["copies"].get("who", ())}
        dev, test = (set(scored[split]["plan"]["signers"]) for split in ("dev", "test"))
        assert not learned & (dev | test)
        assert not dev & test
        assert len(test) == 48
        assert scored["test"]["plan"]["seed"] != data["plan"]["seed"]
        assert (len(one["errors"]), len(one["dev"]["errors"])) == (3, 2)
        assert set(one["signers"]) < test
        assert set(one["dev"]["signers"]) < dev
    assert not list((root / "work").rglob("*.pt"))


def test_a_sheet_shows_the_copies_of_which_most_is_lost(finished: tuple[Path, list[str], str]) -> None:
    root, arguments, table = finished
    bench, sheet = load("augmentation"), root / "sheet.png"
    assert CliRunner().invoke(bench.main, [*arguments, "--table", "--sheet", str(sheet)]).stdout == table
    shown = np.asarray(Image.open(sheet))
    row, column = 3 * LARGE.height, 3 * LARGE.width
    assert shown.shape == (2 * 3 * row, bench.SHEET_FRAMES * column, 3)  # two clips, of three kinds
    kinds = [shown[row * n : row * (n + 1)].astype(float) for n in range(3)]
    assert np.abs(kinds[0] - kinds[1]).mean() > 5  # the model of the test draws noise


def _language(finished: tuple[Path, list[str], str]) -> Any:
    """Of the whole run."""
    root, arguments, _ = finished
    bench, data = load("augmentation"), load("augmentation_data")
    models = {"mini": arguments[-1]}
    return data.Language(root / "work", 40, (2, 2, 3), ("s05",), models, 10, 62, 162, 2, bench.progress, print)


def test_what_is_read_holds_for_the_copies_of_the_day_alone(
    finished: tuple[Path, list[str], str], runs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, arguments, table = finished
    language, stored = _language(finished), runs.Stored(root / "none.json")

    def run() -> Any:
        return runs.Run(runs.Arm("photometric", steps=4, reads=True), 0, language, stored)

    kept = run()
    assert kept.done("reads")["key"] == kept.reads_key()
    data = load("augmentation_data")
    changes = [(data, "_weights", lambda model: "other"), (runs, "READ", 3), (runs, "PARTS", ("hands",))]
    changes += [(runs, "MARGIN", 0.5), (runs, "READS_VERSION", 0)]
    changes += [(runs, "COPIES", {**runs.COPIES, "mini": data.Copies("mini", 2)})]
    for module, name, value in changes:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            other = run()
            assert other.digest == kept.digest
            assert other.done()
            assert other.done("reads") is None, name
    # A sheet draws the copies of the day, so what was read of others says nothing about them.
    bench, file = load("augmentation"), root / "of_old.json"
    again = [*arguments[:-3], str(file), "--model", str(save_pipeline(root / "other", refined=True))]
    CliRunner().invoke(bench.main, [*again[:-1], arguments[-1], "--table", "--store"], catch_exceptions=False)
    assert CliRunner().invoke(bench.main, [*again, "--table"], catch_exceptions=False).stdout == table
    result = CliRunner().invoke(bench.main, [*again, "--table", "--sheet", str(root / "none.png")])
    assert "has read copies" in str(result.exception)
    assert not (root / "none.png").exists()


def test_copies_to_read_are_opened_once(
    finished: tuple[Path, list[str], str], runs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, opened = load("augmentation_data"), list[str]()

    def open_and_tell(plan: Any, clips: int, folder: Path, *rest: Any, **more: Any) -> Path:
        opened.append(folder.name)
        return cached(plan, clips, folder, *rest, **more)  # type: ignore[no-any-return]

    cached = data.cache_drawn
    monkeypatch.setattr(data, "cache_drawn", open_and_tell)
    clips = runs.copies_to_read(_language(finished))
    assert [name.rpartition("-")[0] for name in opened] == ["true-2-drawn-2-1"]
    assert list(clips) == list(load("augmentation_table").KINDS)
    for part in data.PARTS:
        for name, sample in clips[f"again {part}"].items():
            there = data.part_of(sample, part)
            assert np.array_equal(sample.frames[there], clips["drawn"][name].frames[there])
            assert np.array_equal(sample.frames[~there], clips["again"][name].frames[~there])


def test_the_table_comes_from_what_is_stored(finished: tuple[Path, list[str], str]) -> None:
    root, arguments, table = finished
    bench = load("augmentation")
    assert CliRunner().invoke(bench.main, [*arguments, "--table"]).stdout == table
    gone = next((root / "work" / "results").glob("mini-1-1-0-*[0-9a-f].json"))
    before = json.loads(gone.read_text())
    gone.unlink()
    assert (
        len(CliRunner().invoke(bench.main, [*arguments, "--table"]).stdout.splitlines()) == len(table.splitlines()) - 1
    )
    again = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert again.stdout == table
    assert json.loads(gone.read_text()) == before  # seconds, too: it was only scored again
    # Other test clips need no other training; a recogniser that is gone is trained again, to the same weights.
    kept = sorted((root / "work" / "results").glob("*.model"))
    elsewhere = ["--stored", str(root / "none.json"), "--test-seed", "163"]
    other = CliRunner().invoke(bench.main, [*arguments, *elsewhere], catch_exceptions=False)
    assert other.exit_code == 0
    assert sorted((root / "work" / "results").glob("*.model")) == kept
    weights = (kept[0] / "model.safetensors").read_bytes()
    shutil.rmtree(kept[0])
    kept[0].with_suffix(".training.json").unlink()
    for path in (root / "work" / "results").glob(f"{kept[0].name.rpartition('-')[0]}-*[0-9a-f].json"):
        path.unlink()
    assert CliRunner().invoke(bench.main, arguments, catch_exceptions=False).stdout == table
    assert (kept[0] / "model.safetensors").read_bytes() == weights


def test_stored_results_are_not_repeated_and_give_the_same_table(finished: tuple[Path, list[str], str]) -> None:
    root, arguments, table = finished
    bench = load("augmentation")
    stored = root / "stored.json"
    assert CliRunner().invoke(bench.main, [*arguments, "--store"], catch_exceptions=False).stdout == table
    whole = stored.read_bytes()
    elsewhere = ["--work", str(root / "elsewhere"), *arguments[2:]]
    assert CliRunner().invoke(bench.main, elsewhere, catch_exceptions=False).stdout == table
    assert not (root / "elsewhere").exists()  # nothing was drawn or trained again
    assert CliRunner().invoke(bench.main, [*arguments[2:], "--table"], catch_exceptions=False).stdout == table
    CliRunner().invoke(bench.main, [*arguments, "--store"], catch_exceptions=False)
    assert stored.read_bytes() == whole
    of_other_weights = {digest[::-1]: one for digest, one in json.loads(whole).items()}
    stored.write_text(json.dumps(of_other_weights))
    assert CliRunner().invoke(bench.main, [*arguments[2:], "--table"], catch_exceptions=False).stdout == table
    stored.write_text("{}")
    assert "has no finished training" in str(CliRunner().invoke(bench.main, [*arguments[2:], "--table"]).exception)
    stored.write_text("[1]")
    assert isinstance(CliRunner().invoke(bench.main, arguments).exception, Damaged)
    assert isinstance(CliRunner().invoke(bench.main, arguments[2:]).exception, Missing)
    stored.unlink()


def test_an_arm_is_of_one_data_set_and_the_table_of_the_same_test_clips(
    finished: tuple[Path, list[str], str], runs: ModuleType, tmp_path: Path
) -> None:
    bench, path = load("augmentation"), tmp_path / "stored.json"
    exact = runs.Run(bench.ARMS[0], 0, _language(finished), runs.Stored(path)).digest

    def row(arm: str, seed: int, *signed: str) -> dict[str, Any]:
        read = {"signed": signed, "heard": signed, "errors": [0] * len(signed), "words": [2] * len(signed)}
        read |= {"signers": ["h01"] * len(signed), "training": [1]}
        return {"result": {"arm": arm, "seed": seed, **read, "dev": read, "true": 2, "copies": 0, "steps": 4}}

    def table(**more: dict[str, Any]) -> Any:
        rows = {name: row(arm, seed, "A B", "C D") for name, (arm, seed) in kept.items()}
        path.write_text(json.dumps(rows | more))
        words = [*WORDS[:-1], "2", "--stored", str(path), "--model", finished[1][-1], "--table"]
        return CliRunner().invoke(bench.main, words)

    kept = {exact: ("photometric", 0), "a": ("photometric", 0), "b": ("photometric", 1)}
    kept |= {"c": ("perfect copies", 0), "d": ("perfect copies", 1)}
    seeds = [line.split(" | ")[:3:2] for line in table().stdout.splitlines()[2:]]
    assert seeds == [
        ["| photometric", "1"],
        ["| perfect copies", "2, 1 paired"],
    ]  # the one seed of today is not filled up
    for signed in (("A B", "D C"), ("A B",), ("A B", "C D", "A B")):
        problem = table(d=row("perfect copies", 1, *signed)).exception
        assert getattr(problem, "code", None) == "mismatch", problem
        assert "perfect copies, seed 1: it read other test clips than photometric, seed 0" in str(problem)
    other = row("perfect copies", 1, "A B", "C D")
    other["result"]["training"] = [2]
    assert "seed 1: it was trained otherwise than photometric, seed 0" in str(table(d=other).exception)


def test_perfect_copies_are_the_same_motions_by_the_signers_that_augment_chooses(
    finished: tuple[Path, list[str], str],
) -> None:
    data, work, language = load("augmentation_data"), finished[0] / "work", _language(finished)
    perfect, made = (language.copies(0, data.Copies(kind, 2, 2)) for kind in (data.DRAWN, "mini"))
    assert set(perfect) == set(made)
    assert len(perfect) == 4
    first = language.copies(0, data.Copies("mini", 2, 1))
    assert set(first) == {name for name in made if name.endswith("__aug01")}
    assert all(np.array_equal(one.frames, made[name].frames) for name, one in first.items())
    for name, sample in language.true(0).items():
        for number in (1, 2):
            copy = f"{name}__aug{number:02d}"
            assert perfect[copy].glosses == made[copy].glosses == sample.glosses
            assert perfect[copy].frames.shape == sample.frames.shape
            apart = np.abs(perfect[copy].keypoints[..., :2] - sample.keypoints[..., :2]).max()
            assert 0 < apart < 0.5  # another body before another camera, in the same pose
    records = [
        json.loads(line)
        for path in work.glob("made/true-0-mini-*-2-*/manifest/*")
        for line in path.read_text().splitlines()
    ]
    plan = language.plan("train")
    clips = [data.Clip(plan.name(i), "train", plan.signer(i), (), "", work, None) for i in range(2)]
    assert len(records) == 4
    for record in records:
        clip = clips[int(record["source"][-1])]
        assert record["signer"] == data.choose_signer(clip, record["copy"], language.others(2), 62)


def test_gated_copies_need_what_the_gate_said(
    finished: tuple[Path, list[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, language = load("augmentation_data"), _language(finished)
    every, gated = data.Copies("mini", 2, 2), data.Copies("mini", 2, 2, gated=True)
    records = data.read_records(language._folder(0, every))
    marked = {name for name, record in records.items() if data.failed_gate(record)}
    assert language.copies(0, gated).keys() == language.copies(0, every).keys() - marked
    monkeypatch.setattr(data, "failed_gate", lambda record: record["clip"] == min(records))
    assert language.copies(0, gated).keys() == records.keys() - {min(records)}
    made = finished[0] / "work" / "made"
    made.rename(made.with_name("away"))
    try:
        assert len(language.copies(0, every)) == 4
        with pytest.raises(Missing, match="does not say which clips of .* the gate marks"):
            language.copies(0, gated)
    finally:
        made.with_name("away").rename(made)


def test_what_the_plan_says_was_measured_is_what_is_stored(tmp_path: Path) -> None:
    bench = load("augmentation")
    words = ["--table", "--json", str(tmp_path / "table.json")]
    assert CliRunner().invoke(bench.main, words, catch_exceptions=False).exit_code == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    mini = rows[bench.OWN]
    wer, gain, share = (mini[name]["value"] for name in ("wer", "gain", "share"))
    low, high = (100 * value for value in mini["gain"]["interval"])
    (arm,) = (arm for arm in ARMS if arm.name == bench.OWN)
    assert {
        "true_clips": mini["true"], "copies": mini["copies"], "signers": arm.copies.signers, "trainings": mini["seeds"],
        "wer": round(100 * (wer + gain), 1), "wer_with_copies": round(100 * wer, 1),
        "difference": round(-100 * gain, 1), "interval": [round(-high, 1), round(-low, 1)],
        "share_of_ceiling": round(share, 2), "share_interval": [round(value, 2) for value in mini["share"]["interval"]],
    } == MEASURED  # fmt: skip
    assert arm.copies.signers == len(pick_signers(None))


# ---- a training ------------------------------------------------------------------------------------------------------


def _clips(count: int, seed: int) -> Samples:
    """Clips of one word: a bright square stands left (A) or right (B)."""
    rng, items = np.random.default_rng(seed), []
    for index in range(count):
        frames = rng.integers(0, 30, (6, 32, 32, 3)).astype(np.uint8)
        frames[2:5, 8:24, (2, 18)[index % 2] :][:, :, :12] = 255
        items.append(Sample(frames, np.zeros((6, 133, 3), np.float32), ("AB"[index % 2],), None))
    return Samples(tuple(items))


def _training(runs: ModuleType, patch: pytest.MonkeyPatch, steps: int = 60, **arm: Any) -> Any:
    patch.setitem(runs.NETWORKS, "small", TINY)
    patch.setattr(runs, "WARMUP", 4)
    patch.setattr("signgen.scoring.recogniser.samples.MIRRORED", 0.0)
    return runs.Mixed(runs.Arm("x", steps=steps, **arm), 3, _clips(4, 0), _clips(8, 1), ("A", "B"))


def test_batches_are_mixed_as_the_arm_says(runs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    true = set(range(4))
    for mix, wanted in (("1:1", 3), ("1:2", 2), ("copies", 0)):
        training = _training(runs, monkeypatch, mix=mix)
        seen: list[int] = []
        for training.step in range(8):
            picked = training.picked()
            assert len(picked) == 6
            assert sum(number in true for number in picked) == wanted
            seen += picked
        assert set(seen) == set(range(4 if mix == "copies" else 0, 12))
    training = _training(runs, monkeypatch, mix="all")
    picked = []
    for training.step in range(4):
        picked += training.picked()
    assert sorted(picked) == sorted([*range(12), *range(12)])
    training = _training(runs, monkeypatch, 60, mix="curriculum")
    for training.step, wanted in ((0, 0), (39, 0), (40, 6), (59, 6)):
        assert sum(number in true for number in training.picked()) == wanted


def test_all_arms_but_one_have_the_same_steps(runs: ModuleType) -> None:
    assert {arm.name: arm.steps / runs.STEPS for arm in ARMS if arm.steps != runs.STEPS} == {
        "photometric, twice as long": 2
    }
    kept = {(arm.copies, arm.changes, arm.mix, arm.network, arm.steps) for arm in ARMS}
    assert len(kept) == len(ARMS)


def test_a_training_learns_what_its_clips_show(
    runs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training = _training(runs, monkeypatch, 150)
    training.run(tmp_path / "a.pt", lambda words: None)
    recogniser = runs.Recogniser(training.network.to(memory_format=torch.contiguous_format), ("A", "B"))
    clips = {str(number): clip for number, clip in enumerate(_clips(12, 5))}
    read = runs._scores(recogniser, clips, dict.fromkeys(clips, "h01"))
    assert sum(read["errors"]) <= 1
    assert sum(read["words"]) == 12


def test_a_stopped_training_ends_where_an_uninterrupted_one_does(
    runs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = _training(runs, monkeypatch, 12)
    whole.run(tmp_path / "a.pt", lambda words: None)
    for until in (5, None):
        training = _training(runs, monkeypatch, 12)
        training.run(tmp_path / "b.pt", lambda words: None, until)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, training.network.state_dict()[name]), name


def test_changed_clips_hide_a_rectangle_and_plain_ones_nothing(
    runs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, rng = _clips(1, 0)[0], np.random.default_rng(0)
    plain = _training(runs, monkeypatch, changes=False).version(sample, rng)
    assert torch.equal((plain.frames * 255).round().byte(), torch.from_numpy(sample.frames).permute(0, 3, 1, 2))
    changing = _training(runs, monkeypatch)
    hidden = [(changing.version(sample, rng).frames == 0.5).all(0).all(0).float().mean().item() for _ in range(200)]
    assert 0.35 < np.mean([share > 0 for share in hidden]) < 0.65
    assert max(hidden) <= runs.CUT_SIZE[1] ** 2


# ---- the table -------------------------------------------------------------------------------------------------------


def _results(rate: float, seeds: int, rng: np.random.Generator) -> dict[int, dict[str, Any]]:
    words = [3] * 60
    errors = [rng.binomial(3, rate, 60).tolist() for _ in range(seeds)]
    signers = [f"h{clip // 3:02d}" for clip in range(60)]
    same = {"words": words, "signed": ["A B C"] * 60, "true": 24, "copies": 96, "steps": 500, "signers": signers}
    return {n: {"errors": one, **same, "dev": {"errors": one, **same}} for n, one in enumerate(errors)}


def test_gains_and_shares_of_the_ceiling() -> None:
    table, rng = load("augmentation_table"), np.random.default_rng(0)
    reference, ceiling, arm = (_results(rate, seeds, rng) for rate, seeds in ((0.7, 3), (0.3, 3), (0.5, 2)))
    row = table.row_of("arm", arm, "other", reference, ceiling)
    mean = {name: np.mean([one["errors"] for one in found.values()][:2]) / 3
            for name, found in (("arm", arm), ("reference", reference), ("ceiling", ceiling))}  # fmt: skip
    assert row.wer.value == pytest.approx(mean["arm"])
    assert row.gain.value == pytest.approx(mean["reference"] - mean["arm"])  # over the seeds that both have
    assert row.share.value == pytest.approx(row.gain.value / (mean["reference"] - mean["ceiling"]))
    for rate in (row.wer, row.gain, row.share):
        assert rate.interval[0] < rate.value < rate.interval[1]
    assert row.gain.interval[0] > 0
    assert (row.pairs, row.dev) == (2, row.wer)
    assert row.better + row.worse <= 20 < 2 * row.better
    assert table.row_of("reference", reference, "other", reference, ceiling).gain is None
    top = table.row_of("ceiling", ceiling, "other", reference, ceiling)
    assert (top.seeds, top.share) == (3, None)
    none = table.row_of("arm", arm, "other", reference, _results(0.7, 3, rng))
    assert none.share is None  # a ceiling that gains nothing has no shares
    text = table.markdown([row, top])
    assert f"| arm | 24 + 96 | 2 | 500 | {100 * row.wer.value:.1f} % |" in text
    assert text.count("| other |") == 2


def test_a_gain_by_one_signer_alone_cannot_be_told_from_chance() -> None:
    table = load("augmentation_table")
    same = {"words": [3] * 40, "signers": [f"h{clip // 8}" for clip in range(40)], "true": 1, "copies": 0, "steps": 1}

    def results(first: int) -> dict[int, dict[str, Any]]:
        one = {"errors": [first] * 8 + [1] * 32, **same}
        return {0: {**one, "dev": one}}

    row = table.row_of("arm", results(0), "other", results(3), {})
    assert row.gain.value == pytest.approx(24 / 120)
    assert row.gain.interval[0] == 0  # without that signer there is none
    assert (row.better, row.worse) == (1, 0)


def test_a_share_is_large_where_the_ceiling_gains_nothing() -> None:
    table, rng = load("augmentation_table"), np.random.default_rng(1)
    reference, ceiling, arm = (_results(rate, 2, rng) for rate in (0.5, 0.4, 0.2))
    share = table.row_of("arm", arm, "other", reference, ceiling).share
    assert share is None or 0 < share.interval[0] < share.value < share.interval[1]


def test_copies_are_held_against_photometric_changes_and_perfect_copies_alike() -> None:
    bench = load("augmentation")
    over = {arm.name: bench.held_against(arm) for arm in ARMS}
    assert over["nothing"][0] == over["photometric"][0] == "nothing"
    assert over["mini, unchanged"] == ("photometric", "perfect copies, unchanged")
    assert over["mini, 1 copy"] == over["photometric, twice as long"] == ("photometric", "perfect copies")
    assert over["mini, correlation"] == ("photometric, correlation", "perfect copies, correlation")
    by_name = {arm.name: arm for arm in ARMS}
    for arm in ARMS:
        if arm.copies is not None:
            reference, ceiling = (by_name[name] for name in over[arm.name])
            assert (reference.copies, reference.changes, reference.network) == (None, True, arm.network)
            assert ceiling.copies.renderer == "drawn"
            assert (ceiling.changes, ceiling.network) == (arm.changes, arm.network)


def test_signs_that_copies_lose_come_first() -> None:
    table = load("augmentation_table")
    signed = ["A B", "A C", "B C"]
    whole = {seed: {"signed": signed, "heard": ["A B", "C A A", "B"]} for seed in range(2)}
    lossy = {0: {"signed": signed, "heard": ["A", "A C", "C"]}}
    rows = table.sign_rows([whole, lossy])
    assert rows == [("B", 2, [1.0, 0.0]), ("A", 2, [1.0, 1.0]), ("C", 2, [0.5, 1.0])]
    assert "| B | 2 | 100% | 0% |" in table.signs_markdown(["x", "y"], rows)


def test_what_is_read_is_told_by_kind_and_by_speed() -> None:
    table, rng = load("augmentation_table"), np.random.default_rng(0)
    words, speed = [2] * 60, list(range(60))
    few, many = ([int(n) for n in rng.binomial(2, rate, 60)] for rate in (0.1, 0.1))
    many[40:] = [2] * 20  # nothing is read where hands are fast
    same = {"words": words, "signers": [f"s{clip % 20:02d}" for clip in range(60)]}
    found = {0: {"drawn": {"errors": few, **same}, "again": {"errors": many, **same}, "speed": speed}}
    perfect, again = table.reading_rows({"arm": found})
    assert (perfect.kind, perfect.more, perfect.by_speed) == ("perfect copies", None, ())
    assert again.more.value == pytest.approx((sum(many) - sum(few)) / 120)
    assert again.more.interval[0] > 0
    slow, middle, fast = (rate.value for rate in again.by_speed)
    assert fast == pytest.approx((40 - sum(few[40:])) / 40)
    assert max(abs(slow), abs(middle)) < 0.2 < fast
    assert "| arm | 1 | perfect copies, drawn again by `mini` |" in table.markdown([], [perfect, again])


def test_words_of_each_seed_are_its_own_for_each_reads_other_clips() -> None:
    table = load("augmentation_table")

    def read(words: int) -> dict[str, Any]:
        same = {"words": [words] * 6, "signers": [f"s{clip}" for clip in range(6)]}
        one, more = ({"errors": [errors] * 6, **same} for errors in (1, 2))
        return {"drawn": one, "again": more, "speed": [words * n for n in range(6)]}

    perfect, again = table.reading_rows({"arm": {0: read(2), 1: read(8)}})
    assert perfect.wer.value == pytest.approx(2 / 10)
    assert again.more.value == pytest.approx(2 / 10)
    assert [rate.value for rate in again.by_speed] == pytest.approx([2 / 10] * 3)
    # All signers of a seed are alike, so only the draw of seeds moves the rate: to that of either seed alone.
    assert perfect.wer.interval == pytest.approx((1 / 8, 1 / 2))
    fewer = {**read(2), "speed": [1] * 5}
    with pytest.raises(Mismatch, match="arm: its recognisers read 5 and 6 copies"):
        table.reading_rows({"arm": {0: read(2), 1: fewer}})


def test_a_part_of_a_frame_is_around_its_joints() -> None:
    data = load("augmentation_data")
    points = np.zeros((2, 133, 3), np.float32)
    points[0, data.FACE] = (0.5, 0.25, 1)
    points[0, data.HANDS[0]] = (0.1, 0.9, 1)
    points[0, data.HANDS[1], :2] = -5, 0.5
    points[0, data.HANDS[1], 2] = 1  # outside of the picture
    sample = Sample(np.zeros((2, 40, 20, 3), np.uint8), points, ("A",), None)
    hands, face, rest = (data.part_of(sample, part) for part in data.PARTS)
    assert (hands | face | rest).all()
    assert not (hands & face).any()
    assert hands[0, 36, 2]
    assert face[0, 10, 10]
    assert 0 < hands[0].sum() < 16
    assert rest[1].all()


def test_bad_choices_end_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = load("augmentation")
    for name in ("_train", "_write_sheet"):  # which would take hours where a choice is not refused
        monkeypatch.delattr(bench, name)
    spared = load("augmentation_data").SPARED
    work = ["--work", str(tmp_path / "work")]
    wrong = [(*work, "--only", "nobody"), (*work, "--speakers", "h01"), (*work, "--speakers", f"s05,{spared[1]}")]
    wrong += [(*work, "--speakers", "11"), ("--seeds", "1"), ("--table", "--sheet", str(tmp_path / "none.png"))]
    for words in wrong:
        result = CliRunner().invoke(bench.main, words)
        assert isinstance(result.exception, SignGenError), result.output
        assert result.exception.exit_code == 2
        assert result.exception.subject in ("--only", "--speakers", "--signers", "--work")
    usage = CliRunner().invoke(bench.main, [*work, "--glosses", "2"])
    assert isinstance(usage.exception, SystemExit)  # how click ends after a line
    assert usage.exit_code == 2
    assert "Error: Invalid value for '--glosses'" in usage.output
    assert not list(tmp_path.iterdir())
