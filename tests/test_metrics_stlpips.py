"""ST-LPIPS: the network against the package's own, its conversion, and its place in an evaluation."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import clip_maker
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from signgen.cli import main
from signgen.errors import InputError, Mismatch, NotFound, NotInstalled
from signgen.scoring.metrics import stlpips
from signgen.scoring.metrics.stlpips import NETWORKS, STLPIPSNetwork, convert_installed, halved, load_stlpips

SLICES = {"alex": (0, 5, 9, 11, 13), "vgg": (0, 2, 6, 8, 12, 14, 16, 20, 22, 24, 28, 30, 32)}
"""Where the package has its convolutions."""


def package_state(kind: str, seed: int = 0) -> dict[str, Tensor]:
    """Small random weights under the package's names, with its blurs and its scale of images."""
    torch.manual_seed(seed)
    network = STLPIPSNetwork(kind)
    state = {name: value.abs() / 100 for name, value in network.state_dict().items() if name.startswith("lin")}
    for number, place in enumerate(SLICES[kind]):
        for part in ("weight", "bias"):
            state[f"net.slice{1 + number % 5}.{place}.{part}"] = network.state_dict()[f"features.{number}.{part}"]
    state["net.slice2.4.filt"] = torch.ones(64, 1, 3, 3)
    return state | {"scaling_layer.shift": torch.zeros(1, 3, 1, 1), "scaling_layer.scale": torch.ones(1, 3, 1, 1)}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, dict[str, Tensor]]], None]:
    """Puts a package with given weights in the place of the real one; it has no code that could run."""

    def install(states: dict[str, dict[str, Tensor]]) -> None:
        place = tmp_path / "site" / stlpips.PACKAGE
        for kind, state in states.items():
            path = place / stlpips.FILES.format(kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, path)
        spec = importlib.machinery.ModuleSpec(stlpips.PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        monkeypatch.setattr(stlpips, "find_spec", lambda name: spec)

    return install


def test_the_package_s_weights_under_our_names(installed: Callable, tmp_path: Path) -> None:
    states = {kind: package_state(kind) for kind in NETWORKS}
    installed(states)
    result = json.loads(
        CliRunner().invoke(main, ["convert-checkpoint", "stlpips", str(tmp_path / "out"), "--json"]).stdout
    )
    assert result["files"] == ["alex.safetensors", "vgg.safetensors"]
    assert result["licence"].startswith("BSD-2-Clause")
    for kind, state in states.items():
        network, digits = load_stlpips(tmp_path / "out" / f"{kind}.safetensors")
        assert network.kind == kind
        assert len(digits) == 8
        for number, place in enumerate(SLICES[kind]):
            slice_name = next(name for name in state if name.endswith(f".{place}.weight") and name.startswith("net."))
            assert torch.equal(network.features[number].weight, state[slice_name])
    assert load_stlpips(tmp_path / "out")[0].kind == "alex"
    torch.manual_seed(0)
    image = torch.rand(1, 3, 48, 48)
    assert float(network.distance(image, image)) == 0
    assert float(network.distance(image, image.flip(-1))) > 0


def test_what_is_not_the_package(installed: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stlpips, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match=r"signgen\[perceptual\]"):
        convert_installed(tmp_path / "out")
    installed({"alex": package_state("alex")})
    with pytest.raises(NotFound, match="is not in the installed package"):
        convert_installed(tmp_path / "out")
    installed({"alex": package_state("vgg"), "vgg": package_state("vgg")})
    with pytest.raises(Mismatch, match="another shape"):
        convert_installed(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError):
        load_stlpips(tmp_path / "nothing")


def test_a_blur_keeps_what_is_even_and_halves_the_rest() -> None:
    assert torch.allclose(halved(torch.full((1, 2, 8, 9), 0.5)), torch.full((1, 2, 5, 6), 0.5))
    stripes = torch.arange(8.0).remainder(2).expand(1, 1, 8, 8)
    assert torch.allclose(halved(stripes), torch.full((1, 1, 5, 5), 0.5)), "stripes of a pixel are gone"
    point = torch.zeros(1, 1, 8, 8)
    point[0, 0, 4, 4] = 1
    assert float(halved(point)[0, 0, 2, 2]) == pytest.approx(1 / 16)  # a corner of its 1-2-1 both ways
    assert float(halved(point).sum()) == pytest.approx(0.25)


def test_an_evaluation_has_it_on_request(installed: Callable, tmp_path: Path) -> None:
    installed({kind: package_state(kind) for kind in NETWORKS})
    convert_installed(tmp_path / "weights")
    true = clip_maker.clip(3)
    clip_maker.save(true, tmp_path / "true")
    clip_maker.save(clip_maker.noisy(true, 20), tmp_path / "made")
    weights = ["--stlpips-weights", str(tmp_path / "weights" / "vgg.safetensors")]
    found = {}
    for name, more in (("without", []), ("with", weights)):
        done = CliRunner().invoke(main, ["evaluate", str(tmp_path / "made"), str(tmp_path / "true"), "--json", *more])
        assert done.exit_code == 0, done.stderr
        found[name] = json.loads(done.stdout)
    assert "stlpips" not in found["without"]["metrics"]
    assert found["with"]["metrics"]["stlpips"] > 0
    assert found["with"]["signatures"]["stlpips"].startswith("stlpips|vgg,heads:vST0.0,weights:")
    assert found["with"]["metrics"]["lpips"] is None, "it does not stand in for LPIPS"


def test_against_the_package_s_own_figures(tmp_path: Path) -> None:
    """Computed once by the package's own code (0.0.2) on the same two pairs of pictures."""
    if importlib.util.find_spec(stlpips.PACKAGE) is None:
        pytest.skip('needs pip install "signgen[perceptual]"')
    rng = np.random.default_rng(0)
    first = rng.random((2, 3, 64, 48)).astype(np.float32)
    second = (0.7 * first + 0.3 * rng.random(first.shape)).astype(np.float32)
    first[1] = np.linspace(0, 1, 48, dtype=np.float32)
    second[1] = np.roll(first[1], 1, -1)
    convert_installed(tmp_path / "out")
    for kind, wanted in {"alex": (0.0126505, 0.0774758), "vgg": (0.0102280, 0.2970201)}.items():
        network, _ = load_stlpips(tmp_path / "out" / f"{kind}.safetensors")
        found = network.distance(torch.from_numpy(first), torch.from_numpy(second))
        assert found.numpy() == pytest.approx(wanted, abs=1e-6)
