"""Frame against frame: SSIM in the published flavours, PSNR and mean absolute difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchmetrics import Metric

from signgen.errors import InputError
from signgen.metrics import fast_ssim
from signgen.metrics.frames import paired

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
        raise InputError("generated frame", "one flat colour", f"SSIM {definition.name} has no range for it")
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


def compiled_ssim(pred: np.ndarray, target: np.ndarray, definition: SSIMDefinition) -> float:
    """As `reference_ssim`, compiled; equal to 1e-9."""
    scale, span = _scale_and_range(pred, definition)
    points = definition.size**2
    covariance_scale = points / (points - 1) if definition.sample_covariance else 1.0
    if definition.window == "uniform":
        return fast_ssim.uniform_ssim(pred * scale, target * scale, definition.size, covariance_scale, span)
    taps = fast_ssim.gaussian_taps(definition.size, definition.sigma)
    return fast_ssim.gaussian_ssim(pred * scale, target * scale, taps, covariance_scale, span)


def ssim_pair(pred: np.ndarray, target: np.ndarray, definition: SSIMDefinition) -> float:
    """SSIM of one pair (H,W,3), float64 in [0, 1].

    Raises:
        InputError: the images are smaller than the window.
    """
    if min(pred.shape[:2]) < definition.size:
        size, need = f"{pred.shape[1]}x{pred.shape[0]}", f"at least {definition.size} pixels a side"
        raise InputError("frames", size, f"SSIM {definition.name} needs {need}")
    return compiled_ssim(pred, target, definition)


def ssim(pred: Any, target: Any, definition: SSIMDefinition = WANG) -> np.ndarray:
    """SSIM of each frame, float64 (N,). Frames as in :func:`signgen.metrics.frames.as_unit`."""
    return np.array([ssim_pair(p, t, definition) for p, t in zip(*paired(pred, target), strict=True)])


def mae(pred: Any, target: Any) -> np.ndarray:
    """Mean absolute difference of each frame on the 0..255 scale, float64 (N,)."""
    first, second = paired(pred, target)
    return 255.0 * np.abs(first - second).mean((1, 2, 3))


def relative_mae(pred: Any, target: Any) -> np.ndarray:
    """sum|a-b| / sum(a+b) of each frame, float64 (N,) in [0, 1]; 0 for two black frames."""
    first, second = paired(pred, target)
    total = (first + second).sum((1, 2, 3))
    return np.abs(first - second).sum((1, 2, 3)) / np.where(total > 0, total, 1.0)


def psnr(pred: Any, target: Any, cap: float = PSNR_CAP) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame in dB at peak 1, at most ``cap``, float64 (N,)."""
    first, second = paired(pred, target)
    error = ((first - second) ** 2).mean((1, 2, 3))
    return -10.0 * np.log10(np.maximum(error, 10.0 ** (-cap / 10.0)))


class FrameMean(Metric):
    """Mean of a value per frame over all frames seen; NaN before the first frame.

    Args of ``update``: generated and true frames (N,H,W,3), uint8 or float in [0, 1].
    """

    full_state_update = False
    is_differentiable = False
    total: torch.Tensor
    frames: torch.Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _values(self, pred: Any, target: Any) -> np.ndarray:
        """The measure of each frame, (N,)."""
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def update(self, pred: Any, target: Any) -> None:
        values = self._values(pred, target)
        self.total += float(values.sum())
        self.frames += len(values)

    def sums(self) -> tuple[float, float]:
        """Numerator and denominator of the value so far."""
        return float(self.total), float(self.frames)

    def compute(self) -> torch.Tensor:
        return self.total / self.frames


class SSIM(FrameMean):
    """Mean structural similarity.

    Args:
        flavour: ``wang``, ``win51``, ``win7``, ``wang_pred_range`` or a definition of your own.
    """

    higher_is_better = True

    def __init__(self, flavour: str | SSIMDefinition = "wang", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(flavour, str) and flavour not in DEFINITIONS:
            raise InputError("SSIM", repr(flavour), f"flavours are {', '.join(DEFINITIONS)}")
        self.definition = DEFINITIONS[flavour] if isinstance(flavour, str) else flavour

    @property
    def signature(self) -> str:
        return f"ssim|{self.definition.signature}|rgb|v1"

    def _values(self, pred: Any, target: Any) -> np.ndarray:
        return ssim(pred, target, self.definition)


class PSNR(FrameMean):
    """Mean over frames of the peak signal-to-noise ratio in dB, each frame at most 100 dB."""

    higher_is_better = True
    signature = f"psnr|peak:1|mean:frames|cap:{PSNR_CAP:g}dB|rgb|v1"

    def _values(self, pred: Any, target: Any) -> np.ndarray:
        return psnr(pred, target)


class MAE(FrameMean):
    """Mean absolute difference on the 0..255 scale."""

    higher_is_better = False
    signature = "mae|scale:255|rgb|v1"

    def _values(self, pred: Any, target: Any) -> np.ndarray:
        return mae(pred, target)
