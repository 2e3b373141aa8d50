"""Frame against frame: SSIM in the published flavours, PSNR and mean absolute difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from skimage.metrics import mean_squared_error

from signgen.errors import BadValue
from signgen.scoring.metrics.frames import paired
from signgen.scoring.metrics.metric import Chunk, FrameMean, Score

PSNR_CAP = 100.0  # dB; identical frames have an infinite PSNR, which would swallow every mean


@dataclass(frozen=True)
class SSIMDefinition:
    """One flavour of structural similarity.

    Attributes:
        name: what tables call it.
        window: ``uniform`` or ``gaussian``.
        size: side of the window in pixels, odd.
        sample_covariance: divide by n-1 (True) or n (False) inside a window.
        data_range: span of the pixel values, 1 for frames in [0, 1]; None takes the span of each generated
            frame on the 0..255 scale, as FPDM's second SSIM does, so that the value depends on the image.
        sigma: of the Gaussian window, in pixels.
    """

    name: str
    window: str
    size: int
    sample_covariance: bool
    data_range: float | None = 1.0
    sigma: float = 1.5

    @property
    def signature(self) -> str:
        sigma = f",sigma:{self.sigma:g}" if self.window == "gaussian" else ""
        covariance = "sample" if self.sample_covariance else "population"
        span = "pred255" if self.data_range is None else f"{self.data_range:g}"
        window = f"window:{self.window}{self.size}{sigma}"
        return f"{self.name},{window},cov:{covariance},range:{span},border:valid"


WIN51 = SSIMDefinition("win51", "uniform", 51, True)
WIN7 = SSIMDefinition("win7", "uniform", 7, True)
WANG = SSIMDefinition("wang", "gaussian", 11, False)
WANG_PRED_RANGE = SSIMDefinition("wang_pred_range", "gaussian", 11, False, data_range=None)
DEFINITIONS = {d.name: d for d in (WIN51, WIN7, WANG, WANG_PRED_RANGE)}


def _scale_and_range(pred: np.ndarray, definition: SSIMDefinition) -> tuple[float, float]:
    """Factor for the pixels and their span under ``definition``."""
    if definition.data_range is not None:
        return 1.0, definition.data_range
    span = 255.0 * float(pred.max() - pred.min())
    if span == 0:
        raise BadValue("generated frame", "one flat colour", f"SSIM {definition.name} has no range for it")
    return 255.0, span


def reference_ssim(pred: np.ndarray, target: np.ndarray, definition: SSIMDefinition) -> float:
    """SSIM of one pair (H,W,3) float64 in [0, 1] by scikit-image, the implementation of record."""
    from skimage.metrics import structural_similarity

    scale, span = _scale_and_range(pred, definition)
    is_gaussian = definition.window == "gaussian"
    value = structural_similarity(
        target * scale,
        pred * scale,
        win_size=definition.size,
        data_range=span,
        channel_axis=-1,
        use_sample_covariance=definition.sample_covariance,
        gaussian_weights=is_gaussian,
        **({"sigma": definition.sigma} if is_gaussian else {}),
    )
    return float(value)


# The same compiled: Gaussian windows by separable sums, uniform ones by running sums.

K1, K2 = 0.01, 0.03  # the stabilising constants of Wang et al. 2004


def gaussian_taps(size: int, sigma: float) -> np.ndarray:
    """The normalised 1-D Gaussian of ``size`` taps, float64."""
    offset = np.arange(size) - size // 2
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    return taps / taps.sum()


@numba.njit(cache=True)
def _filter_rows(first: np.ndarray, second: np.ndarray, taps: np.ndarray, moments: np.ndarray) -> None:
    """Weighted moments x, y, xx, yy, xy along each row: planes (H,W) -> moments (5,H,W-K+1)."""
    height, width = moments.shape[1:]
    for row in range(height):
        for column in range(width):
            x = y = xx = yy = xy = 0.0
            for k in range(len(taps)):
                p, q = first[row, column + k], second[row, column + k]
                weighted_p, weighted_q = taps[k] * p, taps[k] * q
                x += weighted_p
                y += weighted_q
                xx += weighted_p * p
                yy += weighted_q * q
                xy += weighted_p * q
            moments[0, row, column], moments[1, row, column] = x, y
            moments[2, row, column], moments[3, row, column], moments[4, row, column] = xx, yy, xy


@numba.njit(cache=True)
def _row_sum(line: np.ndarray, covariance_scale: float, c1: float, c2: float) -> float:
    """Sum of the SSIM map (Wang et al. 2004, eq. 13) over one line of filtered moments (5,W)."""
    total = 0.0
    for column in range(line.shape[1]):
        x, y = line[0, column], line[1, column]
        variance = covariance_scale * (line[2, column] - x * x + line[3, column] - y * y)
        covariance = covariance_scale * (line[4, column] - x * y)
        numerator = (2 * x * y + c1) * (2 * covariance + c2)
        total += numerator / ((x * x + y * y + c1) * (variance + c2))
    return total


@numba.njit(cache=True)
def _plane_ssim(first: np.ndarray, second: np.ndarray, taps: np.ndarray, scale: float, c1: float, c2: float) -> float:
    """Mean SSIM of two planes (H,W) over the positions where the whole window fits."""
    height, width = first.shape[0] - len(taps) + 1, first.shape[1] - len(taps) + 1
    moments = np.empty((5, first.shape[0], width))
    line = np.empty((5, width))
    _filter_rows(first, second, taps, moments)
    total = 0.0
    for row in range(height):
        line[:] = 0.0
        for k in range(len(taps)):
            for m in range(5):
                for column in range(width):
                    line[m, column] += taps[k] * moments[m, row + k, column]
        total += _row_sum(line, scale, c1, c2)
    return total / (height * width)


@numba.njit(cache=True)
def _slide_rows(first: np.ndarray, second: np.ndarray, size: int, sums: np.ndarray) -> None:
    """Running sums of x, y, xx, yy, xy over ``size`` pixels of one line: lines (W,) -> sums (5,W-size+1)."""
    x = y = xx = yy = xy = 0.0
    for column in range(len(first)):
        p, q = first[column], second[column]
        x, y, xx, yy, xy = x + p, y + q, xx + p * p, yy + q * q, xy + p * q
        at = column - size + 1
        if at < 0:
            continue
        sums[0, at], sums[1, at], sums[2, at], sums[3, at], sums[4, at] = x, y, xx, yy, xy
        p, q = first[at], second[at]
        x, y, xx, yy, xy = x - p, y - q, xx - p * p, yy - q * q, xy - p * q


@numba.njit(cache=True)
def _plane_box_ssim(first: np.ndarray, second: np.ndarray, size: int, scale: float, c1: float, c2: float) -> float:
    """As `_plane_ssim` for a uniform window: rows enter the running sum below and leave it above."""
    height, width = first.shape[0] - size + 1, first.shape[1] - size + 1
    rows = np.empty((first.shape[0], 5, width))
    running = np.zeros((5, width))
    total = 0.0
    for row in range(first.shape[0]):
        _slide_rows(first[row], second[row], size, rows[row])
        running += rows[row]
        if row >= size - 1:
            total += _row_sum(running / (size * size), scale, c1, c2)
            running -= rows[row - size + 1]
    return total / (height * width)


def _planes(pred: np.ndarray, target: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The three colour planes (H,W) of two images (H,W,3), in a layout that runs along lines."""
    for channel in range(pred.shape[-1]):
        yield np.ascontiguousarray(pred[..., channel]), np.ascontiguousarray(target[..., channel])


def compiled_ssim(pred: np.ndarray, target: np.ndarray, definition: SSIMDefinition) -> float:
    """As `reference_ssim`, compiled; equal to 1e-9 and several times as fast, which counts over thousands of frames."""
    scale, span = _scale_and_range(pred, definition)
    points = definition.size**2
    covariance_scale = points / (points - 1) if definition.sample_covariance else 1.0
    constants = covariance_scale, (K1 * span) ** 2, (K2 * span) ** 2
    planes = _planes(pred * scale, target * scale)
    if definition.window == "uniform":
        return float(np.mean([_plane_box_ssim(p, t, definition.size, *constants) for p, t in planes]))
    taps = gaussian_taps(definition.size, definition.sigma)
    return float(np.mean([_plane_ssim(p, t, taps, *constants) for p, t in planes]))


def ssim_pair(pred: np.ndarray, target: np.ndarray, definition: SSIMDefinition) -> float:
    """SSIM of one pair (H,W,3), float64 in [0, 1].

    Raises:
        InputError: the images are smaller than the window.
    """
    if min(pred.shape[:2]) < definition.size:
        size, need = f"{pred.shape[1]}x{pred.shape[0]}", f"at least {definition.size} pixels a side"
        raise BadValue("frames", size, f"SSIM {definition.name} needs {need}")
    return compiled_ssim(pred, target, definition)


def ssim(pred: Any, target: Any, definition: SSIMDefinition = WANG) -> np.ndarray:
    """SSIM of each frame, float64 (N,). Frames as in :func:`signgen.scoring.metrics.frames.as_unit`."""
    return np.array([ssim_pair(p, t, definition) for p, t in zip(*paired(pred, target), strict=True)])


class SSIM(FrameMean):
    """Mean structural similarity.

    Args:
        flavour: ``wang``, ``win51``, ``win7``, ``wang_pred_range`` or a definition of your own.
    """

    higher_is_better = True

    def __init__(self, flavour: str | SSIMDefinition = "wang", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(flavour, str) and flavour not in DEFINITIONS:
            raise BadValue("SSIM", repr(flavour), f"flavours are {', '.join(DEFINITIONS)}")
        self.definition = DEFINITIONS[flavour] if isinstance(flavour, str) else flavour

    @property
    def signature(self) -> str:
        return f"ssim|{self.definition.signature}|rgb|v1"

    def _values(self, chunk: Chunk) -> np.ndarray:
        return np.array([ssim_pair(p, t, self.definition) for p, t in zip(*chunk.unit, strict=True)])


SSIM_WIN51 = Score("ssim_win51", "SSIM win51", "higher", lambda tools: SSIM("win51"), smallest_side=WIN51.size)
SSIM_WANG = Score("ssim_wang", "SSIM wang", "higher", lambda tools: SSIM("wang"), smallest_side=WANG.size)


# PSNR and mean absolute differences.


def psnr(pred: Any, target: Any, cap: float = PSNR_CAP) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame in dB at peak 1, at most ``cap``, float64 (N,)."""
    return peak_ratio(*paired(pred, target), cap)


def peak_ratio(first: np.ndarray, second: np.ndarray, cap: float = PSNR_CAP) -> np.ndarray:
    """`psnr` of frames (N,H,W,3) in floats, whatever their range."""
    error = np.array([mean_squared_error(t, p) for p, t in zip(first, second, strict=True)])
    return -10.0 * np.log10(np.maximum(error, 10.0 ** (-cap / 10.0)))


class PSNR(FrameMean):
    """Mean over frames of the peak signal-to-noise ratio in dB, each frame at most 100 dB."""

    higher_is_better = True
    signature = f"psnr|peak:1|mean:frames|cap:{PSNR_CAP:g}dB|rgb|v1"

    def _values(self, chunk: Chunk) -> np.ndarray:
        return peak_ratio(*chunk.unit)


PSNR_SCORE = Score("psnr", "PSNR dB", "higher", lambda tools: PSNR(), digits=2, unit="dB")


def mae(pred: Any, target: Any) -> np.ndarray:
    """Mean absolute difference of each frame on the 0..255 scale, float64 (N,)."""
    first, second = paired(pred, target)
    return 255.0 * np.abs(first - second).mean((1, 2, 3))


class MAE(FrameMean):
    """Mean absolute difference on the 0..255 scale."""

    higher_is_better = False
    signature = "mae|scale:255|rgb|v1"

    def _values(self, chunk: Chunk) -> np.ndarray:
        return mae(chunk.pred, chunk.true)
