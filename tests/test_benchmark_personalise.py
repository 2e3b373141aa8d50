"""The benchmark of learning a person: recipes, the gap, and results that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from benches import load
from click.testing import CliRunner, Result

from signgen.errors import InputError
from signgen.keypoints import read_keypoints
from signgen.personal import Recipe
from signgen.personal.scores import FIGURES
from signgen.video import read_frames


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


def test_a_video_is_one_sentence_after_the_other_in_one_light(bench: ModuleType, tmp_path: Path) -> None:
    clips = bench.drawn(tmp_path, "h01", 5, 2, 12, 4)
    video, places = bench.filmed(clips, tmp_path / "h01.mp4", 20)
    shown, points = np.stack(list(read_frames(video))), read_keypoints(places).keypoints
    assert (len(shown), len(points), points.fps) == (20, 20, 25)
    true = [(np.stack(list(clip.pictures())), read_keypoints(clip.keypoints).keypoints) for clip in clips]
    for frames, first in ((true[0], 0), (true[1], 12)):
        some = slice(first, first + 8)
        assert np.allclose(points.xy[some], frames[1].xy[:8], atol=0.01)
        assert np.abs(shown[some].astype(float) - frames[0][:8]).mean() < 6, "but for compression"
    corners = [frames[:, :12, :12].reshape(-1, 3).mean(0) for frames, _ in true]
    assert np.abs(corners[0] - corners[1]).max() < 2, "the same backdrop"
    assert np.abs(points.xy[11] - points.xy[12]).max() > 3, "and another sentence"


def test_a_recording_goes_on_and_leaves_figures_and_pictures(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[bool] = []

    def learn(video, target, consent, *, keypoints, model, recipe, resume):
        assert resume, "goes on with what is there, and else begins"
        work = target.with_name(f"{target.name}.work")
        resumed.append(work.exists())
        if not work.exists():
            work.mkdir()
            return SimpleNamespace(finished=False)
        work.rmdir()
        target.mkdir()
        for name in ("sheet.jpg", "before_after.mp4"):
            (target / name).write_text(name)
        values = dict.fromkeys(FIGURES, 0.5)
        return SimpleNamespace(finished=True, learned=20, frames=30, held_out=10, minutes=9.5, stages={"distill": 7},
                               before=values, after=values, scored=10, warnings=["soft"])  # fmt: skip

    monkeypatch.setattr(bench, "personalise", learn)
    monkeypatch.chdir(tmp_path)
    Path("anna.mp4").write_bytes(b"video")
    words = ["--video", "anna.mp4", "--minutes", "10", "--recipe", "no drawn: drawn=0", "--cache", "cache"]
    stopped = CliRunner().invoke(bench.main, words)
    assert "the same command goes on" in str(stopped.exception)
    done = CliRunner().invoke(bench.main, words, catch_exceptions=False)
    assert resumed == [False, True]
    assert "anna.mp4: no drawn, 20 of 30 frames learned from, 10 held out" in done.stdout
    assert Path("anna-no-drawn-10-sheet.jpg").is_file()
    assert Path("anna-no-drawn-10-before_after.mp4").is_file()
    assert not list(Path("cache/personal").iterdir()), "no weights are kept"


def test_parts_of_seconds_are_refused(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.Bench, "weights", "w")
    monkeypatch.setattr(bench.Bench, "kept", lambda self, key, make: {})
    result = CliRunner().invoke(bench.main, ["--seconds", "7.5", "--cache", str(tmp_path)])
    assert isinstance(result.exception, InputError)
    assert "--seconds: got 7.5; give whole seconds" in str(result.exception)


def test_what_was_measured_is_kept(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[tuple[str, bool]] = []

    def learn(video, target, consent, *, keypoints, model, recipe, resume, progress):
        learned.append((target.name, resume))
        target.mkdir()
        record = {"stages": {"distill": 7}, "minutes": 9.5, "after": {}}
        (target / "personal.json").write_text(json.dumps(record))
        return SimpleNamespace(finished=True)

    values = {"mini": 0.7, "learned": 0.8}
    drawings: list[str] = []

    def loaded(name: str | Path) -> SimpleNamespace:
        known = "mini" if name in ("mini", "other") else "learned"
        return SimpleNamespace(name=known, weights_sha256=lambda: str(name))

    monkeypatch.setattr(bench, "SignGenPipeline", SimpleNamespace(from_pretrained=loaded))
    monkeypatch.setattr(bench, "clip_scores", lambda model, clips: dict.fromkeys(FIGURES, values[model.name]))
    monkeypatch.setattr(bench, "held_out_clips", lambda *given: [])
    monkeypatch.setattr(
        bench, "drawn", lambda *given: drawings.append(given[1]) or [SimpleNamespace(keypoints=Path("clip.npz"))]
    )
    monkeypatch.setattr(bench, "filmed", lambda clips, target, frames: (target, target.with_suffix(".npz")))
    monkeypatch.setattr(bench, "personalise", learn)
    words = ["--signers", "h01,h03", "--minutes", "10", "--clips", "2", "--stored", str(tmp_path / "stored.json")]
    here, elsewhere = (["--cache", str(tmp_path / name)] for name in ("here", "elsewhere"))

    def run(*more: str) -> Result:
        return CliRunner().invoke(bench.main, [*words, *more], catch_exceptions=False)

    with pytest.raises(InputError, match="nothing was measured"):
        run(*here, "--table")
    text = run(*here).stdout
    assert "| h01 | 60 | 9.5 of 10 | recipe | 7 |" in text
    assert "| h03 | 60 |" in text
    assert len(learned) == 2
    assert [path for path in (tmp_path / "here/personal").iterdir() if path.is_dir()] == []
    assert run(*here, "--store").stdout == text
    drawings.clear()
    assert run(*elsewhere).stdout == run(*elsewhere, "--table").stdout == text
    with monkeypatch.context() as machine:
        machine.setattr(bench.torch, "get_num_threads", lambda: 77)
        assert run(*elsewhere, "--table").stdout == text, "a table tells what was learned by other machines"
    assert len(learned) == 2
    assert not drawings
    both = run(*elsewhere, "--recipe", "recipe", "--recipe", "no drawn: drawn=0").stdout
    assert len(learned) == 4, "another recipe is another case"
    assert "| no drawn |" in both
    run(*elsewhere, "--model", "other")
    assert len(learned) == 6, "so are other weights"
