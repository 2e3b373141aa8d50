"""The script that trains `mini` and the ablation: which commands it gives, in which order, and how it goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from signgen import config as configuration
from signgen.training.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent
CALL = f"""#!{sys.executable}
# Notes what it was asked for, and leaves what the true command would; a stage named in $LATER has its time up.
import json, os, sys
from pathlib import Path

given = sys.argv[1:]
if given[0] == "-c":
    os.execv(sys.executable, [sys.executable, *given])
with open(os.environ["CALLS"], "a") as log:
    log.write(json.dumps(given) + "\\n")
if given[0].startswith("benchmarks/"):
    print("a table of", given[0])
elif given[2] == "train":
    output = Path(next(text for text in given if text.startswith("output=")).removeprefix("output="))
    (output / "checkpoints").mkdir(parents=True, exist_ok=True)
    print(json.dumps({{"finished": output.name != os.environ.get("LATER")}}))
elif given[2] == "assemble":
    Path(given[3]).mkdir(parents=True, exist_ok=True)
    (Path(given[3]) / "model_index.json").touch()
"""
FIRST = ["autoencoder", "fusion", "denoiser", "video"]
VARIANTS = [f"{name}{cva}" for name in ("b3", "b4", "b5", "b6") for cva in ("-cva", "")]
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def run(folder: Path, **environment: str) -> list[list[str]]:
    """What one call of the script asks for."""
    calls, python = folder / "calls", folder / "bin" / "python"
    python.parent.mkdir(exist_ok=True)
    python.write_text(CALL)
    python.chmod(0o755)
    calls.write_text("")
    environment |= {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    kept = {
        key: value for key, value in os.environ.items() if key not in ("ABLATION", "STAGES", "MINUTES", "PROCESSES")
    }
    command = ["bash", str(ROOT / "tools/train_mini.sh"), str(folder / "runs"), str(folder / "data")]
    subprocess.run(command, env=kept | environment, check=True, capture_output=True, timeout=120)
    return [json.loads(line) for line in calls.read_text().splitlines()]


def settings(call: list[str]) -> list[str]:
    return [value for key, value in zip(call, call[1:], strict=False) if key == "--set"]


def trained(calls: list[list[str]], runs: Path) -> dict[str, TrainConfig]:
    """Stage -> its whole configuration, in the order of the calls."""
    given = [call for call in calls if call[2] == "train"]
    found = {}
    for call in given:
        config = configuration.load(TrainConfig, call[3], settings(call))
        found[str(Path(config.output).relative_to(runs))] = config
    assert len(found) == len(given), "no stage twice"
    return found


def test_the_model_is_trained_stage_by_stage_and_not_again(tmp_path: Path) -> None:
    calls, runs = run(tmp_path), tmp_path / "runs"
    stages = trained(calls, runs)
    assert list(stages) == [*FIRST, "distill", "matte", "composer", "hand_refiner", "face_refiner"]
    assert stages["video"].start["denoiser"] == str(runs / "denoiser/model/denoiser")
    made = [str(runs / name) for name in ("coarse", "composed", "model")]
    assert [call[3] for call in calls if call[2] == "assemble"] == made
    assert stages["composer"].start["model"] == made[0]
    assert stages["face_refiner"].start["model"] == made[1], "refiners see composed frames"
    assert not any(call[2] == "train" for call in run(tmp_path))


def test_the_ablation_trains_all_variants_from_one_start_and_makes_its_tables(tmp_path: Path) -> None:
    calls, runs = run(tmp_path, ABLATION="1"), tmp_path / "runs"
    own = runs / "ablation"
    stages = trained(calls, own.parent)
    fusions = ["ablation/source", "ablation/baseline", "ablation/enhanced"]
    assert list(stages) == [*FIRST, "ablation/base", *fusions, *(f"ablation/{name}" for name in VARIANTS)]
    assert stages["ablation/base"].start["denoiser"] == str(runs / "video/model/denoiser")
    embedding = {"b3": "enhanced", "b4": "source", "b5": "baseline", "b6": "enhanced"}
    for name in VARIANTS:
        config, row = stages[f"ablation/{name}"], name.removesuffix("-cva")
        assert config.start["denoiser"] == str(own / "base/model/denoiser")
        assert config.start["fusion"] == str(own / embedding[row] / "model/fusion")
        assert config.model["fusion_dim"] == (None if row == "b3" else 192)
        assert bool(config.model["cross_view"]["levels"]) == name.endswith("-cva")
        assert config.data == str(tmp_path / "data")
        assert ["-m", "signgen", "assemble", str(own / "models" / name), str(own / name)] in calls
    for bench in ("ablation", "retrieval", "source_spread"):
        assert (own / f"{bench}.md").read_text() == f"a table of benchmarks/{bench}.py\n"
    spread = next(call for call in calls if call[0] == "benchmarks/source_spread.py")
    assert spread[1] == f"b6-cva={own / 'models/b6-cva'}", "the first is what the others are compared with"
    assert sorted(spread[1:9]) == sorted(f"{name}={own / 'models' / name}" for name in VARIANTS)
    assert [call[2] for call in run(tmp_path, ABLATION="1")] == ["synthesize"], "all is there"


def test_a_call_ends_with_its_time_and_the_next_one_goes_on(tmp_path: Path) -> None:
    first = run(tmp_path, ABLATION="1", LATER="b4-cva", MINUTES="5")
    stages = [Path(text).name for call in first for text in settings(call) if text.startswith("output=")]
    assert stages == [*FIRST, "base", "source", "baseline", "enhanced", "b3-cva", "b3", "b4-cva"]
    minutes = [float(text.removeprefix("minutes=")) for call in first for text in settings(call) if "minutes=" in text]
    assert 0 < minutes[-1] <= minutes[0] <= 5
    assert not any("--resume" in call for call in first)
    second = [call for call in run(tmp_path, ABLATION="1") if call[2] == "train"]
    assert [Path(text).name for call in second for text in settings(call) if "output=" in text] == VARIANTS[2:]
    assert ["--resume" in call for call in second] == [True] + [False] * 5
    assert (tmp_path / "runs/ablation/source_spread.md").is_file()
