"""The public functions and classes: each has an example that runs, imports nothing before its use, and is typed."""

from __future__ import annotations

import ast
import doctest
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import extract_maker
import numpy as np
import pytest
from docs_stage import clip_frames, drawn_clips, keypoint_file, tiny_model, video_file

import signgen
from signgen.extraction import run as extraction

NAMES = [name for name in signgen.__all__ if not name.startswith("_")]
EXTRAS = {"export": "openvino"}  # packages that an example needs and that are extras


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples take for granted: keypoints, videos, a drawn data set and a tiny model."""
    folder = tmp_path_factory.mktemp("files")
    keypoint_file(folder / "clip.pose", frames=4)
    drawn_clips(folder / "drawn", clips=1, frames=8, split="train", signers=1)
    frames = clip_frames(folder / "drawn", split="train")[:4]
    video_file(folder / "true.mp4", frames)
    video_file(folder / "generated.mp4", frames // 2)
    light = [extract_maker.frame(320, 240, (160 + number, 60)) for number in range(4)]
    video_file(folder / "recording.mp4", np.stack(light))
    tiny_model(folder / "my-model")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        pytest.skip(f"{EXTRAS[name]} is not installed: pip install {EXTRAS[name]}")
    if name == "extract":  # no estimator ships with signgen: one that finds spots of light stands in for it
        monkeypatch.setattr(extraction, "load_estimator", lambda settings: extract_maker.Lights())
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    text = getattr(signgen, name).__doc__
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples, f"signgen.{name} has no example in its docstring"
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


def test_all_names_are_there_and_nothing_else() -> None:
    assert sorted(NAMES) == sorted(signgen._PLACES)
    with pytest.raises(AttributeError, match="nosuch"):
        signgen.nosuch  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_no_package_or_module_hides_a_public_name(name: str) -> None:
    """`import signgen.render` would put a module in the place of the function."""
    folder = Path(signgen.__file__).parent
    assert not (folder / name).exists()
    assert not (folder / f"{name}.py").exists()
    assert getattr(signgen, name) is getattr(import_module(signgen._PLACES[name]), name)


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, signgen; dir(signgen); signgen.InputError\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'numba', 'scipy', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_the_real_definitions() -> None:
    """They read the imports below TYPE_CHECKING, which must name the places that are imported from when it runs."""
    root = Path(signgen.__file__).parent
    assert (root / "py.typed").is_file()
    tree = ast.parse((root / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert shown == signgen._PLACES


def test_progress_is_counted_from_nothing_to_all(files: Path, tmp_path: Path) -> None:
    """The same form in each function: ``progress(done, in all)``."""
    seen: dict[str, list[tuple[int, int]]] = {"evaluate": [], "augment": [], "train": []}

    def watch(name: str) -> Callable[[int, int], None]:
        return lambda done, total: seen[name].append((done, total))

    signgen.evaluate(files / "generated.mp4", files / "true.mp4", progress=watch("evaluate"))
    options: dict[str, Any] = {"model": str(files / "my-model"), "gate": None, "vary": "tempo", "copies": 1}
    signgen.augment(files / "drawn", tmp_path / "more", 1, progress=watch("augment"), **options)
    shutil.copytree(files / "drawn", tmp_path / "drawn")
    small = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_widths": [8, 8], "decoder_blocks": [0, 1]}
    given = {"data": tmp_path / "drawn", "output": tmp_path / "run", "steps": 3, "batch": 1, "model": small}
    signgen.train("mini/autoencoder", progress=watch("train"), optim={"lr": 1e-3}, **given)
    assert seen["evaluate"][-1] == (4, 4)
    assert seen["augment"] == [(0, 1), (1, 1)]
    assert seen["train"] == [(0, 3), (1, 3), (2, 3), (3, 3)]
