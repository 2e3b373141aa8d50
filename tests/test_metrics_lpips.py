"""LPIPS against torchmetrics' network on the same weights, and what is said of weights that are not right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torch import nn
from torchmetrics.functional.image import lpips as other

from signgen.errors import InputError
from signgen.scoring.metrics import LPIPS
from signgen.scoring.metrics.lpips import load_lpips, lpips, public_heads

RNG = np.random.default_rng(4)
TRUE = np.rint(255 * RNG.uniform(size=(9, 48, 40, 3))).astype(np.uint8)
PRED = np.clip(TRUE + RNG.normal(0, 40, TRUE.shape), 0, 255).astype(np.uint8)


def alexnet_layers() -> nn.Sequential:
    """AlexNet's `features` in the order and with the places of torchvision."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )


@pytest.fixture(scope="module")
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return alexnet_layers()


@pytest.fixture(scope="module")
def weights(layers: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under torchvision's names, with a classifier's end that nobody wants."""
    path = tmp_path_factory.mktemp("weights") / "alexnet-owt-7be5be79.pth"
    tensors = {f"features.{name}": value for name, value in layers.state_dict().items()}
    torch.save({**tensors, "classifier.6.bias": torch.zeros(1000)}, path)
    return path


@pytest.fixture
def reference(layers: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """torchmetrics' network with the same backbone and the public heads; it asks torchvision for nothing."""
    monkeypatch.setattr(other, "_get_tv_model_features", lambda net, pretrained: layers)
    return other._LPIPS(net="alex", use_dropout=True)


def images(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames / 255.0).float().permute(0, 3, 1, 2)


def test_it_equals_torchmetrics_network(weights: Path, reference: nn.Module) -> None:
    expected = reference(images(PRED), images(TRUE), normalize=True).flatten()
    assert expected.min() > 1e-3
    assert lpips(PRED, TRUE, load_lpips(weights)[0]) == pytest.approx(expected.numpy(), rel=1e-4)


def test_every_frame_counts_in_pieces_of_any_size(weights: Path) -> None:
    metric = LPIPS(weights)
    expected = lpips(PRED, TRUE, metric.network)
    assert expected.shape == (9,)
    for start, stop in [(0, 2), (2, 9)]:
        metric.update(PRED[start:stop], TRUE[start:stop])
    assert float(metric.compute()) == pytest.approx(expected.mean(), rel=1e-5)
    assert metric.sums()[1] == 9
    assert lpips(TRUE, TRUE, metric.network) == pytest.approx(0)
    assert lpips(TRUE[:0], TRUE[:0], metric.network).shape == (0,)


def test_monotone_under_blur_and_noise(weights: Path) -> None:
    network = load_lpips(weights)[0]
    blurred = [gaussian_filter(TRUE, (0, sigma, sigma, 0)) for sigma in (0, 0.5, 1, 2)]
    noise = RNG.normal(size=TRUE.shape)
    noisy = [np.clip(TRUE + level * noise, 0, 255).astype(np.uint8) for level in (0, 5, 20, 60)]
    for worse in (blurred, noisy):
        values = [lpips(frames, TRUE, network).mean() for frames in worse]
        assert values == sorted(values)
        assert len(set(values)) == len(values)


def test_the_same_from_a_folder_from_safetensors_from_two_files_and_from_the_whole(
    weights: Path, reference: nn.Module, tmp_path: Path
) -> None:
    tensors = torch.load(weights, weights_only=True)
    save_file(
        {name: value.contiguous() for name, value in tensors.items()}, tmp_path / "alexnet-owt-7be5be79.safetensors"
    )
    torch.save({"state_dict": reference.state_dict()}, tmp_path / "whole.pth")
    expected = lpips(PRED[:2], TRUE[:2], load_lpips(weights)[0])
    for given in (weights.parent, tmp_path, [weights, public_heads()], tmp_path / "whole.pth"):
        network, _ = load_lpips(given)
        assert lpips(PRED[:2], TRUE[:2], network) == pytest.approx(expected, rel=1e-6), given


def test_signature_names_the_weights(weights: Path) -> None:
    first = LPIPS(weights).signature
    assert first.startswith("lpips|alexnet,heads:v0.1,weights:")
    assert first.split("weights:")[1].split("|")[0].endswith("+df73285e")  # the public heads


def test_absent_weights_are_asked_for_by_name(tmp_path: Path) -> None:
    for given in (None, tmp_path, tmp_path / "none.pth"):
        with pytest.raises(InputError, match=r"alexnet-owt-7be5be79\.pth from https://download\.pytorch\.org"):
            LPIPS(given)


def test_wrong_files_get_one_line(weights: Path, tmp_path: Path) -> None:
    tensors = torch.load(weights, weights_only=True)
    del tensors["features.3.weight"], tensors["features.8.bias"]
    cases = {"lacks features.3.weight, features.8.bias;": tensors}
    cases["another shape in features.0.weight"] = {
        **torch.load(weights, weights_only=True),
        "features.0.weight": torch.ones(1),
    }
    cases["is no state dict"] = [1, 2]
    cases["cannot be read"] = SimpleNamespace()  # a class that may not be unpickled
    path = tmp_path / "wrong.pth"
    for words, content in cases.items():
        torch.save(content, path)
        with pytest.raises(InputError, match=words) as caught:
            LPIPS(path)
        assert "\n" not in str(caught.value)
    for content in (b"no zip", b"error: not found", b"h\x05.", b"J\x01", b"PK\x03\x04", b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            LPIPS(path)
    torch.save({"nothing": torch.ones(1)}, path)
    with pytest.raises(InputError, match=r"lacks lin0\.model\.1\.weight"):
        LPIPS(weights, heads=path)


def test_small_frames(weights: Path) -> None:
    network = load_lpips(weights)[0]
    assert lpips(PRED[:1, :31, :31], TRUE[:1, :31, :31], network).shape == (1,)
    with pytest.raises(InputError, match="at least 31"):
        lpips(PRED[:, :30], TRUE[:, :30], network)
