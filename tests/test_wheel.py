"""From a wheel alone: draw a data set, train a tiny model, put it together, render, without a file of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from signgen.video import probe

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("signgen", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
OLDEST_SETUPTOOLS = 77
TINY = "model={widths: [16, 16], encoder_blocks: [1, 1], decoder_widths: [16, 16], decoder_blocks: [0, 1]}"
COMMON = ["data=data", "steps=1", "optim.warmup=0", "threads=1", "tensorboard=false", "sheet_steps=0"]
COMMANDS: list[list[str]] = [
    ["synthesize", "data", "--clips", "2", "--signers", "1", "--frames-per-clip", "8", "--seed", "3", "--jobs", "1"],
    ["train", "mini/autoencoder", *COMMON, "output=runs/autoencoder", "batch=2", TINY],
    ["train", "mini/fusion", *COMMON, "output=runs/fusion", "batch=8"],
    ["train", "mini/denoiser", *COMMON, "output=runs/denoiser", "batch=1", "loss.zooms=0", "loss.pixel=0",
     "start.autoencoder=runs/autoencoder/model/vae", "start.fusion=runs/fusion/model/fusion"],
    ["assemble", "model", "runs/autoencoder", "runs/fusion", "runs/denoiser"],
    ["render", "clip.npz", "--model", "model", "--frames", "0:3", "-o", "out.mp4"],
]  # fmt: skip
# One process for all commands, as each begins with the import of torch.
PROGRAM = """
import json, shutil, sys
from pathlib import Path
import signgen
from signgen import cli
print(json.dumps([signgen.__file__, *sys.path]))
for command in json.loads(sys.argv[1]):
    if command[0] == "render":
        shutil.copy(next(Path("data/keypoints").glob("*.npz")), "clip.npz")
    cli.main([*command, "--json"], standalone_mode=False)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built from a copy, so that nothing is left in the tree."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(place), str(source)]
    isolated = not _has_setuptools()
    done = subprocess.run(
        command if isolated else [*command, "--no-build-isolation"], capture_output=True, text=True, timeout=800
    )
    if done.returncode and isolated:
        pytest.skip(f"setuptools {OLDEST_SETUPTOOLS} is not installed and cannot be fetched: pip install setuptools")
    assert done.returncode == 0, done.stderr
    return next(place.glob("signgen-*.whl"))


def _has_setuptools() -> bool:
    try:
        return int(version("setuptools").partition(".")[0]) >= OLDEST_SETUPTOOLS
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content as pip unpacks it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_everything_that_a_user_needs_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = {path.relative_to(ROOT) for path in (ROOT / "signgen").rglob("*") if path.is_file()}
    missing = {path.as_posix() for path in files if "__pycache__" not in path.parts} - names
    assert not missing, sorted(missing)
    assert not [name for name in names if name.startswith(("tests/", "tools/", "benchmarks/"))]


@pytest.mark.timeout(900)
def test_train_assemble_and_render_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    """``-S`` leaves out what would put an editable checkout on the path; other packages are this environment's."""
    places = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    commands = [[part for word in command for part in _option(word)] for command in COMMANDS]
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, json.dumps(commands)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (where, *path), *results = map(json.loads, done.stdout.splitlines())
    assert Path(where).is_relative_to(installed)
    assert str(ROOT) not in path
    *_, made, rendered = results
    assert len(results) == len(COMMANDS)
    assert sorted(made["parts"]) == ["denoiser", "fusion", "scheduler", "vae"]
    assert (rendered["frames"], rendered["model"]) == (3, "model")
    info = probe(tmp_path / "out.mp4")
    assert (info.size, info.frames) == ((210, 260), 3)


def _option(word: str) -> list[str]:
    """A training's setting needs ``--set`` before it."""
    return ["--set", word] if "=" in word else [word]
