"""Does augmentation help: what the benchmark compares is comparable, its rates are right, a stopped run goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from augment_maker import make_signers
from benches import load
from click.testing import CliRunner
from tiny_pipeline import save_pipeline

WORDS = ["--clips", "4", "--test-clips", "3", "--glosses", "40", "--frames", "12", "--copies", "2"]
Finished = tuple[Path, list[str], str, dict[str, Any]]
LEARN = ["--shares", "50,100", "--seeds", "2", "--batch", "2", "--jobs", "1"]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("augmentation")


@pytest.fixture(scope="module")
def finished(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Folder, arguments, table and data of a whole run of two steps a training."""
    root = tmp_path_factory.mktemp("augmentation")
    signers, model = ",".join(make_signers(root)), str(save_pipeline(root / "tiny"))
    arguments = [
        "--work", str(root / "work"), *WORDS, *LEARN, "--signers", signers, "--model", model,
        "--json", str(root / "scores.json"), "--plot", str(root / "plot.svg"), "--steps", "2",
    ]  # fmt: skip
    result = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return root, arguments, result.stdout, json.loads((root / "scores.json").read_text(encoding="utf-8"))


def test_arms_see_the_same_true_clips_and_new_signers_are_tested(finished: Finished, bench: ModuleType) -> None:
    root, _, table, report = finished
    assert [(row["share"], row["true_clips"], row["copies"]) for row in report["rows"]] == [(50, 2, 4), (100, 4, 8)]
    learned, tested = report["data"]["train"], report["data"]["test"]
    assert not {*learned["signers"], *report["data"]["augmentation"]["signers"]} & set(tested["signers"])
    assert len(tested["signers"]) == 12
    assert len(list((root / "work" / "runs").glob("*.json"))) == 8
    assert not list((root / "work").rglob("*.pt"))
    assert len(table.splitlines()) == 4
    assert "50 % (2, and 4 copies)" in table
    corpora = [(root / "work" / kind).rglob("*.corpus.csv") for kind in ("augmented", "test")]
    sentences = [
        {line.split("|")[5] for path in paths for line in path.read_text(encoding="utf-8").splitlines()[1:]}
        for paths in corpora
    ]
    assert sentences[0]
    assert sentences[1]
    assert not sentences[0] & sentences[1]
    assert {word for one in sentences for text in one for word in text.split()} <= set(bench.vocabulary(40))


def test_picture_shows_every_rate(finished: Finished) -> None:
    root, _, _, report = finished
    drawing = ElementTree.parse(root / "plot.svg").getroot()
    circles = [element for element in drawing.iter() if element.tag.endswith("circle")]
    assert len(circles) == 2 * 2 * (1 + report["seeds"])
    heights = [float(circle.get("cy", "nan")) for circle in circles]
    assert all(0 < height < 320 for height in heights)


def test_finished_trainings_are_kept_and_changed_ones_are_not(
    finished: Finished, bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, arguments, table, _ = finished
    again = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert again.stdout == table
    assert "8 of 8 trainings are there" in again.stderr
    gone = next((root / "work" / "runs").glob("*.json"))
    before = json.loads(gone.read_text(encoding="utf-8"))
    gone.unlink()
    repeated = CliRunner().invoke(bench.main, arguments, catch_exceptions=False)
    assert repeated.stdout == table
    assert "7 of 8 trainings are there" in repeated.stderr
    after = json.loads(gone.read_text(encoding="utf-8"))
    assert {**before, "seconds": 0} == {**after, "seconds": 0}
    longer = CliRunner().invoke(bench.main, [*arguments[:-1], "3", "--seeds", "1", "--shares", "50"])
    assert longer.exit_code == 0
    assert "0 of 2 trainings are there" in longer.stderr


def test_subsets_grow_and_are_the_same_in_both_arms() -> None:
    data = load("augmentation_data")
    names = [str(number) for number in range(10)]
    clips = data.Clips(tuple((n, n) for n in names), {n: (f"{n}a", f"{n}b") for n in names}, (), {})
    small, large = (set(clips.chosen(share, 3, False).items) for share in (20, 50))
    assert len(small) == 2
    assert len(large) == 5
    assert small < large
    both = clips.chosen(20, 3, True).items
    assert set(both) == {text for name in small for text in (name, f"{name}a", f"{name}b")}
    assert set(clips.chosen(20, 4, False).items) != small or set(clips.chosen(50, 4, False).items) != large


def test_rates_differences_and_intervals() -> None:
    table = load("augmentation_table")
    rng = np.random.default_rng(0)
    words = [3] * 40

    def arm(rate: float, clips: int) -> list[dict[str, Any]]:
        return [{"errors": rng.binomial(3, rate, 40).tolist(), "words": words, "clips": clips} for _ in range(3)]

    row = table.row_of(50, [arm(0.6, 20), arm(0.3, 60)])
    pooled = [np.mean(row.seeds[number]) for number in range(2)]
    assert [one.value for one in row.arms] == pytest.approx(pooled)
    assert row.difference.value == pytest.approx(pooled[1] - pooled[0])
    assert row.difference.both[1] < 0
    assert (row.true, row.copies) == (20, 40)
    for one in (*row.arms, row.difference):
        assert one.clips[0] < one.value < one.clips[1]
        assert one.both[0] < one.value < one.both[1]
    same = arm(0.5, 20)
    nothing = table.row_of(20, [same, same]).difference
    assert (nothing.value, *nothing.clips, *nothing.both) == (0, 0, 0, 0, 0)
    assert re.search(r"\| 50 % \(20, and 40 copies\) \| \d+\.\d % \(", table.markdown([row]))


def test_bad_choices_end_in_a_line(bench: ModuleType, tmp_path: Path) -> None:
    for option, value in (("--shares", "20,,50"), ("--shares", "0"), ("--glosses", "2"), ("--signers", "h01")):
        result = CliRunner().invoke(bench.main, ["--work", str(tmp_path), option, value])
        assert result.exit_code != 0
        assert getattr(result.exception, "exit_code", 2) == 2
