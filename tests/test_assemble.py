"""`signgen assemble`: the newest trained parts become one model's folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tiny_pipeline import make_pipeline

from signgen.cli import main
from signgen.model import SignGenPipeline

Written = dict[Path, bytes]


def write_run(folder: Path, parts: tuple[str, ...], start: dict[str, str], shift: float = 0.0) -> Path:
    """A training's output folder that holds ``parts`` of the tiny pipeline, weights moved by ``shift``."""
    pipeline = make_pipeline()
    for name in parts:
        part = getattr(pipeline, name)
        for parameter in part.parameters() if isinstance(part, torch.nn.Module) else ():
            parameter.data += shift
        part.save_pretrained(folder / "model" / name)
    record = {
        "step": 7,
        "seconds": 1.6,
        "config": {"stage": "denoiser", "data": "/secret", "output": "x", "start": start},
    }
    (folder / "model" / "training.json").write_text(json.dumps(record))
    (folder / "model" / "pipeline.json").write_text(json.dumps({"frame_size": [42, 52], "lower_body": True}))
    (folder / "log.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 7, "seconds": 1.5, "loss": 2.5}\n')
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Autoencoder, fusion model, denoiser, and a later stage whose denoiser has other weights."""
    folder = tmp_path_factory.mktemp("runs")
    first = [write_run(folder / name, (name,), {}) for name in ("vae", "fusion")]
    start = {"autoencoder": str(folder / "vae/model/vae"), "fusion": str(folder / "fusion/model/fusion")}
    denoiser = write_run(folder / "denoiser", ("denoiser", "scheduler"), start)
    return [*first, denoiser, write_run(folder / "video", ("denoiser", "scheduler"), start, shift=0.5)]


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["assemble", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def contents(folder: Path) -> Written:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_later_runs_replace_parts_and_the_pipeline_has_the_given_defaults(runs: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "models" / "mine"
    given = ("--steps", 4, "--guidance", "2,3", "--window", 6, "--shutter", 0.25, "--dtype", "float32", "--json")
    code, out, _ = run(target, *runs, *given)
    result = json.loads(out)
    assert (code, result["output"], result["dtype"]) == (0, str(target), "float32")
    assert set(result["parts"]) == {"vae", "denoiser", "scheduler", "fusion"}
    pipeline = SignGenPipeline.from_pretrained(target, device="cpu", dtype="float32")
    assert (pipeline.config.steps, list(pipeline.config.guidance), pipeline.config.window) == (4, [2.0, 3.0], 6)
    assert (pipeline.frame_size, pipeline.config.lower_body) == ((42, 52), True)
    assert pipeline.shutter == 0.25
    first = next(make_pipeline().denoiser.parameters())
    assert torch.allclose(next(pipeline.denoiser.parameters()), first + 0.5)
    size = sum(path.stat().st_size for path in target.rglob("*.safetensors")) / 2**20
    assert result["size_mib"] == pytest.approx(size, abs=0.01)
    stages = json.loads((target / "training.json").read_text())
    assert [(stage["steps"], stage["last"]) for stage in stages] == [(7, {"loss": 2.5})] * 4
    assert b"/secret" not in b"".join(contents(target).values())


def test_parts_that_no_run_has_are_those_that_the_denoiser_started_from(runs: list[Path], tmp_path: Path) -> None:
    assert run(tmp_path / "whole", *runs[:3])[0] == run(tmp_path / "short", runs[2])[0] == 0
    whole, short = contents(tmp_path / "whole"), contents(tmp_path / "short")
    weights = [path for path in whole if path.suffix == ".safetensors"]
    assert len(weights) == 3
    assert all(whole[path] == short[path] for path in weights)


def test_an_earlier_model_is_replaced_but_for_its_card(runs: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "model"
    assert run(target, runs[2])[0] == 0
    (target / "README.md").write_text("my card")
    (target / "denoiser" / "left.txt").write_text("old")
    assert run(target, runs[3])[0] == 0
    assert (target / "README.md").read_text() == "my card"
    assert not (target / "denoiser" / "left.txt").exists()
    before = contents(target)
    code, _, words = run(target, runs[2], "--limit", 0.001)
    assert (code, "MiB are allowed" in words) == (2, True)
    assert contents(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing is left behind"


@pytest.mark.parametrize(
    ("log", "last"), [(None, {}), ("", {}), ('{"step": 6, "loss": 2.0}\n{"step": 7, "lo', {"loss": 2.0})]
)
def test_a_log_that_is_lost_or_cut_off_keeps_no_model_back(
    runs: list[Path], tmp_path: Path, log: str | None, last: dict[str, float]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(runs[2], copy)
    (copy / "log.jsonl").unlink()
    if log is not None:
        (copy / "log.jsonl").write_text(log)
    code, _, said = run(tmp_path / "model", copy)
    assert code == 0, said
    assert [stage["last"] for stage in json.loads((tmp_path / "model/training.json").read_text())] == [last]


def test_bad_input_ends_in_one_line_and_writes_nothing(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"x")
    damaged = write_run(tmp_path / "damaged", ("denoiser", "scheduler"), {"autoencoder": str(tmp_path / "nowhere")})
    alone = write_run(tmp_path / "alone", ("denoiser", "scheduler"), {})
    cases = [
        ((tmp_path / "model", runs[0], alone), "no run has trained a fusion"),
        ((tmp_path / "model", alone), "no run has trained a vae"),
        ((tmp_path / "model", runs[0]), "no run has trained a denoiser"),
        ((tmp_path / "model", tmp_path / "absent"), "training.json"),
        ((tmp_path / "model", damaged), "nowhere"),
        ((tmp_path / "photos", runs[2]), "is no model"),
        ((tmp_path / "model", runs[2], "--guidance", "much"), "--guidance"),
    ]
    for arguments, words in cases:
        code, out, said = run(*arguments)
        assert (code, out, said.count("\n")) == (2, "", 1), said
        assert words in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "damaged", "photos"]
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["me.png"]
