"""The benchmark of learning a person: recipes, the gap, and results that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from benches import load

from signgen.errors import InputError
from signgen.personal import Recipe
from signgen.personal.scores import FIGURES


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("personalise")


def test_recipes_are_named_and_checked(bench: ModuleType) -> None:
    name, recipe = bench.parsed("gentle: drawn=0.4 sources=2 stages=distill,face_refiner distill.optim.lr=5e-5", 10, 3)
    assert name == "gentle"
    given = {"stages": ("distill", "face_refiner"), "settings": ("distill.optim.lr=5e-5",)}
    assert recipe == Recipe(minutes=10, seed=3, drawn=0.4, sources=2, **given)
    with pytest.raises(InputError, match="--recipe: got 'speed=2'"):
        bench.parsed("fast: speed=2", 10, 0)
    with pytest.raises(InputError, match="write numbers"):
        bench.numbers("10;60")


def test_the_gap_is_that_to_known_signers(bench: ModuleType) -> None:
    before, after, known = ({"hand_ssim": value} for value in (0.75, 0.80, 0.85))
    assert bench.closed(before, after, known, "hand_ssim") == pytest.approx(0.5)
    assert bench.closed(known, after, before, "hand_ssim") is None
    assert bench.closed({"hand_ssim": None}, after, known, "hand_ssim") is None


def test_what_was_measured_is_kept(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[tuple[str, bool]] = []

    def learn(video, target, consent, *, keypoints, model, recipe, resume, progress):
        learned.append((target.name, resume))
        target.mkdir()
        record = {"stages": {"distill": 7}, "minutes": 9.5, "after": {}}
        (target / "personal.json").write_text(json.dumps(record))
        return SimpleNamespace(finished=True)

    values = {"mini": 0.7, "learned": 0.8}
    loaded = SimpleNamespace(from_pretrained=lambda name: "mini" if name == "mini" else "learned")
    monkeypatch.setattr(bench, "SignGenPipeline", loaded)
    monkeypatch.setattr(bench, "clip_scores", lambda pipeline, clips: dict.fromkeys(FIGURES, values[pipeline]))
    monkeypatch.setattr(bench, "drawn", lambda *given: [SimpleNamespace(keypoints=Path("clip.npz"))])
    monkeypatch.setattr(bench, "filmed", lambda clip, target: target)
    monkeypatch.setattr(bench, "personalise", learn)
    case = bench.Case("h01", 60, Recipe(minutes=10), "full")
    found = bench.measure(case, "mini", tmp_path, 2, 4)
    assert found == bench.measure(case, "mini", tmp_path, 2, 4)
    assert learned == [(case.key("mini"), False)]
    assert [path for path in (tmp_path / "personal").iterdir() if path.is_dir()] == []
    other = bench.Case("h01", 60, Recipe(minutes=10, drawn=0), "no drawn")
    assert other.key("mini") != case.key("mini")
    text = bench.table([(case, found)], dict.fromkeys(FIGURES, 0.9))
    assert "| h01 | 60 | 9.5 of 10 | full | 7 |" in text
    assert "| 50%, 50% |" in text
