"""The quick start: the same frames, without what a render does not call; only where it is safe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_pipeline import save_pipeline

from signgen import quick_start


def run(code: str) -> str:
    """What a new process prints; it must end well and say nothing on standard error."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def rendering(folder: Path, quick: bool) -> str:
    """Code that loads a model, quickly or not, and prints a digest of one window and which modules are there.

    After a quick start it then asks for what was put off, for a process of its own would start for seconds.
    """
    return f"""
import gc, hashlib, importlib.metadata as metadata, sys
import numpy as np
from signgen import quick_start
if {quick}:
    quick_start.allow()
before = metadata.packages_distributions
assert quick_start.start({str(folder)!r}) == {quick}
assert metadata.packages_distributions is before and gc.isenabled()
from signgen.model import SignGenPipeline
pipeline = SignGenPipeline.from_pretrained({str(folder)!r}, dtype="float32")
source = pipeline.encode_source(np.full((52, 42, 3), 90, np.uint8))
frames = pipeline(source, np.zeros((3, 56, 48, 3), np.uint8), [0, 1, 2]).frames
heavy = [name for name in ("transformers", "scipy.stats", "torch._dynamo.eval_frame") if name in sys.modules]
print(hashlib.sha256(frames.tobytes()).hexdigest(), heavy)
if {quick}:
    import scipy.stats, transformers, torch
    assert torch._dynamo.config.cache_size_limit > 0
    assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item() == 2
    print("all there")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "tiny")


def test_the_quick_start_gives_the_same_frames_without_the_weight_and_what_was_put_off_when_asked(model):
    (digest, heavy), (usual_digest, usual_heavy) = (
        run(rendering(model, kind)).split(maxsplit=1) for kind in (True, False)
    )
    assert digest == usual_digest
    assert heavy.splitlines() == ["[]", "all there"]
    assert "transformers" in usual_heavy


def test_a_process_that_only_imports_signgen_is_left_alone(model):
    assert not quick_start.start(model)


def index(folder: Path, **parts: object) -> Path:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "SignGenPipeline", **parts}))
    return folder


OWN = {"denoiser": ["signgen.model.networks.denoiser", "Denoiser"], "scheduler": ["diffusers", "DDIMScheduler"]}


@pytest.mark.parametrize(
    ("parts", "quick"),
    [
        ({**OWN, "frame_size": [210, 260], "image_encoder": [None, None]}, True),
        ({**OWN, "image_encoder": ["transformers", "Dinov2Model"]}, False),
        ({**OWN, "vae": ["diffusers", "AutoencoderKL"]}, False),
        ({**OWN, "scheduler": ["diffusers", "UniPCMultistepScheduler"]}, False),
        ({}, False),
    ],
)
def test_models_with_parts_of_others_are_loaded_the_usual_way(tmp_path, parts, quick):
    assert quick_start.only_own_parts(index(tmp_path, **parts)) == quick


def test_what_cannot_be_told_is_loaded_the_usual_way(tmp_path):
    (tmp_path / "model_index.json").write_text("[")
    assert not quick_start.only_own_parts(tmp_path)
    assert not quick_start.only_own_parts(tmp_path / "absent")
    assert quick_start.only_own_parts("mini")


@pytest.mark.parametrize("theirs", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "77"}])
def test_threads_of_the_command_wait_patiently_unless_the_user_says_otherwise(theirs, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    code = """
import json, os
from signgen import cli, quick_start
quick_start.allow()
print(json.dumps({name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}))
"""
    found = json.loads(run(code))
    if "OMP_WAIT_POLICY" in theirs:
        assert found == {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": None}
    else:
        assert found == {
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": theirs.get("GOMP_SPINCOUNT", quick_start.SPINS),
        }


@pytest.mark.parametrize(
    ("most", "kept"), [(2**31, {-3: 2**30, -1: 2**31 - 1}), (2**25, {-3: 2**25, -1: 2**31 - 1}), (2**19, {})]
)
def test_memory_is_kept_as_far_as_glibc_allows(most, kept, monkeypatch):
    """Half a heap at most in older releases, which is 32 MiB, or 512 KiB on machines of 32 bits."""
    found = {}

    def mallopt(name, value):
        if name == quick_start.M_MMAP_THRESHOLD and value > most:
            return 0
        found[name] = value
        return 1

    monkeypatch.setattr(quick_start.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    quick_start._keep_memory()
    assert found == kept
