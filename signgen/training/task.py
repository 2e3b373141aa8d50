"""What a stage of training is to the loop, and what all stages share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from signgen.config import check_keys
from signgen.dataset.cache import FrameCache
from signgen.errors import BadValue, InputError
from signgen.model.networks.canvas import fit_canvas, fit_frames, fit_points
from signgen.training.config import TrainConfig
from signgen.training.stages import STAGES
from signgen.video.tensors import from_signed, to_frames, to_signed

N = TypeVar("N", bound=nn.Module)


class Task(ABC):
    """One stage: the network that trains, the loss of a step, a picture of progress, and what is kept in the end."""

    trainable: nn.Module

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        self.config, self.cache, self.device = config, cache, device
        self.stage = STAGES[config.stage]
        self.canvas = fit_canvas(*cache.size, config.canvas).size

    @abstractmethod
    def draw(self, rng: np.random.Generator, step: int = 0) -> Any:
        """What one step looks at. It is made ahead, in another thread: without a device, and random by ``rng`` alone,
        which goes on in `loss`. ``rng`` differs from process to process, ``step`` does not."""

    @abstractmethod
    def loss(self, network: nn.Module, drawn: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of what `draw` gave, and figures for the log. ``network`` is ``trainable``, wrapped for its
        devices."""

    @abstractmethod
    def sheet(self) -> np.ndarray | None:
        """A picture of progress, uint8 (H, W, 3), or None."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the trained parts in diffusers' folder layout."""

    def images(self, indices: np.ndarray) -> Tensor:
        """Frames ``indices`` (N,) on the canvas: float32 (N, 3, H, W) in [-1, 1], channels last."""
        return self.placed(self.cache.frames[np.asarray(indices)])

    def placed(self, frames: np.ndarray) -> Tensor:
        """uint8 (N, H, W, 3) of the data set on the canvas: float32 (N, 3, H', W') in [-1, 1], channels last."""
        return placed_frames(frames, self.device, self.config.canvas)

    def on_canvas(self, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints (..., 133, 3) moved from the frame to the canvas."""
        return fit_points(keypoints, *self.cache.size, self.config.canvas)


def placed_frames(frames: np.ndarray, device: torch.device, canvas: Sequence[int] | None) -> Tensor:
    """See `Task.placed`."""
    return fit_frames(to_signed(frames, device), canvas).contiguous(memory_format=torch.channels_last)


def built(kind: type[N], settings: Mapping[str, Any]) -> N:
    """A network of the configuration's ``model``; InputError for a setting that it has not or cannot take."""
    known = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    with model_settings(settings, known):
        return kind(**settings)


@contextmanager
def model_settings(settings: Mapping[str, Any], known: Sequence[str]) -> Iterator[None]:
    """Around the making of a network: InputError for a setting that is not ``known``, or that it cannot take."""
    check_keys("model", settings, known)
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadValue("model", f"cannot be built ({reason})", "see signgen/presets for settings") from error


def seeded(rng: np.random.Generator, device: torch.device) -> torch.Generator:
    """A torch generator whose stream depends only on the state of ``rng``."""
    return torch.Generator(device).manual_seed(int(rng.integers(2**62)))


def crop_batch(images: Tensor, corners: np.ndarray, side: int) -> Tensor:
    """(N, C, H, W), (N, 2) left and top -> (N, C, side, side)."""
    cut = [image[:, y : y + side, x : x + side] for image, (x, y) in zip(images, corners, strict=True)]
    return torch.stack(cut).contiguous(memory_format=torch.channels_last)


def crop_corners(
    centres: np.ndarray, size: tuple[int, int], side: int, grid: int, rng: np.random.Generator, spread: float = 10.0
) -> np.ndarray:
    """(N, 2) left and top, multiples of ``grid``, of crops about the ``centres`` (N, 2), moved to stay inside."""
    wanted = centres + rng.normal(0, spread, centres.shape) - side / 2
    limit = (np.array(size) - side) // grid
    return (np.clip(np.rint(wanted / grid), 0, limit) * grid).astype(np.int64)


def gradient_l1(
    prediction: Tensor, target: Tensor, margin: int = 0, edge: float = 0.5, weights: Tensor | None = None
) -> Tensor:
    """L1 of the pixels plus ``edge`` x L1 of their horizontal and vertical differences, which keeps outlines sharp.

    Args:
        prediction, target: (N, 3, H, W); margin: pixels at each border that are left out.
        weights: (N, 1, H, W), of the pixels; None: all count alike.
    """
    if margin:
        prediction = prediction[..., margin:-margin, margin:-margin]
        target = target[..., margin:-margin, margin:-margin]
    difference = prediction.float() - target.float()
    across = (difference[..., 1:] - difference[..., :-1]).abs()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs()
    if weights is not None:
        difference, across, down = difference * weights, across * weights[..., 1:], down * weights[..., 1:, :]
    return difference.abs().mean() + edge * (across.mean() + down.mean())


def structural_loss(
    prediction: Tensor,
    target: Tensor,
    margin: int = 0,
    size: int = 11,
    sigma: float = 1.5,
    weights: Tensor | None = None,
) -> Tensor:
    """1 - SSIM (Wang et al. 2004, eq. 13) of images in [-1, 1], scalar: what is lost in structure, not in brightness.

    Zhao et al. 2017 found it beside L1 to keep more of the fine shapes than L1 alone. Gaussian windows, valid interior.

    Args:
        prediction, target: (N, 3, H, W); margin: pixels at each border that are left out; size, sigma: of the window.
        weights: (N, 1, H, W), of the windows by their middles; None: all count alike.
    """
    if margin:
        prediction = prediction[..., margin:-margin, margin:-margin]
        target = target[..., margin:-margin, margin:-margin]
    with torch.autocast(prediction.device.type, enabled=False):  # variances are small differences: not in bfloat16
        x, y = prediction.float().add(1).div(2), target.float().add(1).div(2)
        down, across = (_gaussian_band(length, size, sigma, x.device) for length in x.shape[-2:])
        moments = down @ torch.stack((x, y, x * x + y * y, x * y)) @ across.T  # (4, N, 3, H', W')
        mean_x, mean_y, squares, product = moments
        variances = squares - mean_x.square() - mean_y.square()
        covariance = product - mean_x * mean_y
        similar = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)  # (K1, K2 = .01, .03 of the range) ** 2
        found = similar / ((mean_x.square() + mean_y.square() + 1e-4) * (variances + 9e-4))
        if weights is None:
            return 1 - found.mean()
        half = size // 2
        inner = weights[..., half:-half, half:-half].expand_as(found)
        return 1 - (found * inner).sum() / inner.sum()


def _gaussian_band(length: int, size: int, sigma: float, device: torch.device) -> Tensor:
    """(length - size + 1, length): times a column, its Gaussian averages wherever the whole window fits."""
    offset = torch.arange(size, device=device) - size // 2
    taps = torch.exp(-0.5 * (offset / sigma) ** 2)
    band = torch.zeros(length - size + 1, length, device=device)
    for row in range(len(band)):
        band[row, row : row + size] = taps / taps.sum()
    return band


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> uint8 (N, H, W, 3)."""
    return to_frames(from_signed(images.detach()))


def tile(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of pictures (N, H, W, 3), one below the other, as one picture (rows * H, N * W, 3)."""
    return np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)
