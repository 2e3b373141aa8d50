"""FID against closed forms for Gaussians; its Inception against values of torchvision's own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_weights import made_up_weights
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from signgen.errors import InputError
from signgen.scoring.metrics import FID
from signgen.scoring.metrics.fid import InceptionFeatures, InceptionOfFrames

RNG = np.random.default_rng(5)


def colour(images: Tensor) -> Tensor:
    """The colour of one-pixel frames: what is put in is what FID sees."""
    return images[:, :, 0, 0]


def gaussian(count: int, mean: tuple[float, ...], covariance: np.ndarray) -> np.ndarray:
    """One-pixel frames (count,1,1,3) whose sample mean and covariance are exactly these."""
    noise = RNG.normal(size=(count, 3))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise.T))).T
    return (white @ np.linalg.cholesky(covariance).T + mean)[:, None, None]


def score(pred: np.ndarray, true: np.ndarray, features: object = colour) -> float:
    metric = FID(features=features)  # type: ignore[arg-type]
    metric.update(pred, true)
    return float(metric.compute())


def test_gaussians_with_axes_in_common() -> None:
    """(mean difference)^2 + sum of (difference of deviations)^2."""
    pred = gaussian(400, (0.5, 0.5, 0.5), np.diag([0.04, 0.02, 0.06]) ** 2)
    true = gaussian(300, (0.4, 0.5, 0.7), np.diag([0.01, 0.05, 0.06]) ** 2)
    assert score(pred, true) == pytest.approx(0.1**2 + 0.2**2 + 0.03**2 + 0.03**2, rel=1e-4)


def test_gaussians_in_general_position() -> None:
    first, second = (0.002 * (m @ m.T + np.eye(3)) for m in RNG.normal(size=(2, 3, 3)))
    means = (0.5, 0.45, 0.55), (0.5, 0.5, 0.5)
    frames = [gaussian(500, mean, covariance / 5) for mean, covariance in zip(means, (first, second), strict=True)]
    inside = [np.clip(f, 0, 1) for f in frames]
    assert all(np.array_equal(a, b) for a, b in zip(inside, frames, strict=True))
    expected = 0.05**2 * 2 + np.trace(first + second - 2 * sqrtm(first @ second).real) / 5
    assert score(*frames) == pytest.approx(expected, rel=1e-4)


def test_equal_sets_in_any_order_score_nothing() -> None:
    frames = RNG.uniform(size=(50, 1, 1, 3))
    assert score(frames, frames[::-1]) == pytest.approx(0, abs=1e-6)


def test_pieces_and_joined_workers_score_as_the_whole() -> None:
    pred, true = RNG.integers(0, 256, (2, 37, 1, 1, 3), dtype=np.uint8)
    expected = score(pred, true[:29])
    one, other = FID(features=colour), FID(features=colour)
    one.update(pred[:5], true[:20] / 255.0)
    other.update(pred[5:], true[20:29])
    one.merge_state(other)
    assert (one.generated_frames, one.true_frames) == (37, 29)
    assert float(one.compute()) == pytest.approx(expected, rel=1e-6)


def edges(images: Tensor) -> Tensor:
    """Mean sharpness and mean light of a few regions."""
    steps = (images[..., 1:] - images[..., :-1]).abs()
    return torch.cat([F.adaptive_avg_pool2d(x, 2).flatten(1) for x in (steps, images)], 1)


def test_monotone_under_blur_noise_and_displacement() -> None:
    true = gaussian_filter(RNG.normal(size=(60, 32, 32, 3)), (0, 1, 1, 0))
    true = (true - true.min()) / np.ptp(true)
    noise = RNG.normal(size=true.shape)
    ramp = np.linspace(0.5, 1, 32)[:, None]  # light that falls off, so that a displacement changes the distribution
    series = [
        [gaussian_filter(true, (0, s, s, 0)) for s in (0, 0.5, 1, 2)],
        [np.clip(true + level * noise, 0, 1) for level in (0, 0.02, 0.05, 0.1)],
    ]
    for worse in series:
        values = [score(frames, true, edges) for frames in worse]
        assert values == sorted(values)
        assert values[1] > values[0] + 1e-6
    lit = true * ramp
    values = [score(np.roll(lit, shift, axis=2), lit, edges) for shift in (0, 2, 4, 8)]
    assert values == sorted(values)
    assert values[1] > values[0] + 1e-6


def test_too_few_frames_are_nan() -> None:
    assert np.isnan(score(np.zeros((1, 2, 2, 3)), np.zeros((5, 2, 2, 3))))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up weights under torchvision's names, with the classifier's end that nobody wants."""
    path = tmp_path_factory.mktemp("weights") / "inception_v3_google-0cc3c7bd.pth"
    tensors = {n: t for n, t in made_up_weights(InceptionFeatures()).items() if "num_batches" not in n}
    torch.save({**tensors, "fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}, path)
    return path


def test_inception_gives_torchvisions_values(weights: Path) -> None:
    """Recorded from torchvision 0.29's `Inception3` (eval, `fc` removed) with the weights of `made_up_weights`."""
    network = InceptionFeatures().eval()
    network.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    y, x = torch.meshgrid(torch.arange(299.0), torch.arange(299.0), indexing="ij")
    image = torch.stack([torch.sin(x / 17 + c) * torch.cos(y / (11 + 3 * c)) for c in range(3)])[None]
    with torch.no_grad():
        features = network(image)[0]
    expected = [0.615526, 0.09296, 0.02506, 0.141115, 0.268751, 0.507236, 0.0, 0.012571]
    assert features.shape == (2048,)
    assert features[::256].tolist() == pytest.approx(expected, abs=2e-5)
    assert float(features.mean()) == pytest.approx(0.17833996, abs=1e-5)
    assert float(features.std()) == pytest.approx(0.24149156, abs=1e-5)


def test_how_frames_are_prepared() -> None:
    images = torch.rand(1, 3, 260, 210)
    stretched = F.interpolate(images, (299, 299), mode="bilinear")
    trained = InceptionOfFrames(InceptionFeatures(), "imagenet").prepare(images)
    published = InceptionOfFrames(InceptionFeatures(), "fpdm").prepare(images)
    assert trained.numpy() == pytest.approx((2 * stretched - 1).numpy(), abs=1e-5)
    green = stretched[:, 1] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
    assert published[:, 1].numpy() == pytest.approx(green.numpy(), abs=1e-6)
    with pytest.raises(InputError, match="fpdm, imagenet"):
        InceptionOfFrames(InceptionFeatures(), "tensorflow")


def test_the_whole_way_with_weights(weights: Path) -> None:
    frames = RNG.integers(0, 256, (2, 40, 30, 3), dtype=np.uint8)
    metric = FID(weights.parent)
    metric.update(frames, frames)
    assert metric.real_features_sum.shape == (2048,)
    assert metric.real_features_sum.tolist() == pytest.approx(metric.fake_features_sum.tolist())
    assert metric.signature.startswith("fid|inception_v3:torchvision,pool3,weights:")
    assert metric.signature.endswith("|resize:bilinear299|input:fpdm|cov:sample|rgb|v1")
    assert not metric.inception.training


def test_absent_and_wrong_weights(weights: Path, tmp_path: Path) -> None:
    for given in (None, tmp_path, tmp_path / "none.pth"):
        with pytest.raises(InputError, match=r"inception_v3_google-0cc3c7bd\.pth from https://download\.pytorch\.org"):
            FID(given)
    tensors = torch.load(weights, weights_only=True)
    path = tmp_path / "other.pth"
    torch.save({**tensors, "fc.weight": torch.zeros(1008, 2048)}, path)
    with pytest.raises(InputError, match="tells 1008 classes apart: it is another network, such as pytorch-fid's"):
        FID(path)
    torch.save({name: t for name, t in tensors.items() if not name.startswith("Mixed_7c.")}, path)
    with pytest.raises(InputError, match=r"lacks Mixed_7c\.branch1x1\.conv\.weight, .* and 39 more; it needs"):
        FID(path)
