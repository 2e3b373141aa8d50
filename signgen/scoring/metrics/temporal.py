"""Frame after frame: flicker, motion and the stillness of what should stand still.

Frames enter in order. A call of ``update`` starts a new clip unless ``continues`` says that it goes on with
the last one, so that a long clip can be fed in pieces and no difference spans two clips. Levels are on the
0..255 scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torchmetrics import Metric

from signgen.errors import InputError
from signgen.scoring.metrics.frames import paired_levels

# What happens from one frame to the next, measured step by step in one compiled pass.


STILL = 6.0  # levels: a pixel is still between two true frames when no channel changes by more
STEADY = 3.0  # levels: a pixel belongs to the background when no channel of the true clip deviates by more
ROUNDING = 1e-6  # levels; frames given in [0, 1] return from there to 0..255 with rounding errors


@dataclass(frozen=True)
class Steps:
    """Sums of each of the N-1 steps of a clip of N frames, all arrays float64 (N-1,) in levels of 0..255.

    Attributes:
        pred_motion: mean absolute change of the generated frames; its mean over steps is the flicker.
        true_motion: the same of the true frames; the motion ratio is sum(pred_motion) / sum(true_motion).
        motion_error: mean |(generated change) - (true change)|.
        still_sum: absolute change of generated pixels (mean of the channels), summed over those that are still in
            the true step; the still flicker is sum(still_sum) / sum(still_pixels).
        still_pixels: how many those are.
    """

    pred_motion: np.ndarray
    true_motion: np.ndarray
    motion_error: np.ndarray
    still_sum: np.ndarray
    still_pixels: np.ndarray


@numba.njit(cache=True)
def _measure(pred: np.ndarray, true: np.ndarray, still: float) -> np.ndarray:
    """Levels (N,H,W,3) twice -> (5,N-1): the three sums over values, the sum over still pixels, their count."""
    steps, height, width = len(pred) - 1, pred.shape[1], pred.shape[2]
    sums = np.zeros((5, steps))
    for n in range(steps):
        motion, truth, error, still_sum, pixels = 0.0, 0.0, 0.0, 0.0, 0
        for row in range(height):
            for column in range(width):
                moved, largest = 0.0, 0.0
                for channel in range(3):
                    p = np.float64(pred[n + 1, row, column, channel]) - np.float64(pred[n, row, column, channel])
                    t = np.float64(true[n + 1, row, column, channel]) - np.float64(true[n, row, column, channel])
                    moved += abs(p)
                    truth += abs(t)
                    error += abs(p - t)
                    largest = max(largest, abs(t))
                motion += moved
                if largest <= still:
                    still_sum += moved
                    pixels += 1
        sums[0, n], sums[1, n], sums[2, n], sums[3, n], sums[4, n] = motion, truth, error, still_sum / 3, pixels
    return sums


def measure_steps(pred: Any, target: Any) -> Steps:
    """The steps between neighbouring frames of a generated and a true clip.

    To measure a clip in pieces, begin each piece with the last frame of the one before.

    Args:
        pred, target: generated and true frames (N,H,W,3), uint8 or float in [0, 1].
    """
    return steps_of_levels(*paired_levels(pred, target))


def steps_of_levels(pred: np.ndarray, true: np.ndarray) -> Steps:
    """As `measure_steps`, of what `paired_levels` gave."""
    if len(pred) < 2:
        return Steps(*np.zeros((5, 0)))
    sums = _measure(pred, true, STILL + ROUNDING)
    sums[:3] /= np.prod(pred.shape[1:])
    return Steps(*sums)


@numba.njit(cache=True)
def gather_moments(frames: np.ndarray, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
    """Take levels (N,H,W,3) into the running mean and squared deviations (H,W,3) of ``count`` frames (Welford 1962)."""
    flat_mean, flat_squares = mean.reshape(-1), squares.reshape(-1)
    for n in range(len(frames)):
        frame, seen = frames[n].reshape(-1), count + n + 1
        for i in range(len(frame)):
            away = np.float64(frame[i]) - flat_mean[i]
            flat_mean[i] += away / seen
            flat_squares[i] += away * (np.float64(frame[i]) - flat_mean[i])


@numba.njit(cache=True)
def _background(pred: np.ndarray, true: np.ndarray, count: int, steady: float) -> tuple[float, int]:
    """Squared deviations (H,W,3) of ``count`` frames -> sum of generated deviations over the background, its pixels."""
    total, pixels = 0.0, 0
    for row in range(pred.shape[0]):
        for column in range(pred.shape[1]):
            largest = max(true[row, column, 0], true[row, column, 1], true[row, column, 2])
            if np.sqrt(largest / count) <= steady:
                for channel in range(3):
                    total += np.sqrt(pred[row, column, channel] / count) / 3
                pixels += 1
    return total, pixels


def background_sums(pred: np.ndarray, true: np.ndarray, count: int) -> tuple[float, int]:
    """Sum over background pixels of the generated deviation over time (mean of the channels), and how many there are.

    Args:
        pred, true: squared deviations from the mean over time, summed over ``count`` frames, (H,W,3) float64.
    """
    return _background(pred, true, count, STEADY + ROUNDING)


def background_deviation(pred: Any, target: Any) -> tuple[float, int]:
    """`background_sums` of a whole clip (N,H,W,3), uint8 or float in [0, 1]: their ratio is the measure."""
    squares = []
    both = paired_levels(pred, target)
    for frames in both:
        mean, squared = np.zeros(frames.shape[1:]), np.zeros(frames.shape[1:])
        gather_moments(frames, 0, mean, squared)
        squares.append(squared)
    return background_sums(squares[0], squares[1], max(1, len(both[0])))


def _zero() -> torch.Tensor:
    return torch.zeros((), dtype=torch.float64)


def joined(carried: list[torch.Tensor], frames: np.ndarray) -> np.ndarray:
    """New frames (N,H,W,...) after the carried last one (1,H,W,...) of the clip so far.

    Raises:
        InputError: they are of another size.
    """
    last = carried[0].cpu().numpy()
    if last.shape[1:] != frames.shape[1:]:
        raise InputError("frames", f"shape {frames.shape[1:]}", f"the clip so far has {last.shape[1:]}")
    return np.concatenate([last, frames])


class Clips(Metric):
    """A ratio of two sums over clips that come in pieces; it keeps the end of the open clip, so that pieces join.

    The carried frames are list states and the metric is of the full-update kind: ``forward`` then gives the
    value of one piece without disturbing the running one.
    """

    full_state_update = True
    is_differentiable = False

    def _carry(self, name: str) -> None:
        self.add_state(name, [], dist_reduce_fx=None)

    def sums(self) -> tuple[float, float]:
        """Numerator and denominator of the value so far."""
        raise TypeError(f"{type(self).__name__} only gathers: use one of its subclasses")

    def compute(self) -> torch.Tensor:
        numerator, denominator = self.sums()
        return (_zero() + numerator) / denominator


class _Differences(Clips):
    """Sums over all pairs of neighbouring frames; the public classes below differ in what they make of them.

    All have the same states, so that a ``MetricCollection`` computes them once.
    """

    pairs: torch.Tensor
    pred_motion: torch.Tensor
    true_motion: torch.Tensor
    motion_error: torch.Tensor
    still_sum: torch.Tensor
    still_pixels: torch.Tensor
    last_pred: list[torch.Tensor]
    last_true: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("pairs", "pred_motion", "true_motion", "motion_error", "still_sum", "still_pixels"):
            self.add_state(name, _zero(), dist_reduce_fx="sum")
        self._carry("last_pred")
        self._carry("last_true")

    def update(self, pred: Any, target: Any, continues: bool = False) -> None:
        """Add consecutive frames (N,H,W,3), uint8 or float in [0, 1]."""
        first, second = paired_levels(pred, target)
        if not len(first):
            return
        if continues and self.last_pred:
            first, second = joined(self.last_pred, first), joined(self.last_true, second)
        self.last_pred, self.last_true = [torch.from_numpy(first[-1:].copy())], [torch.from_numpy(second[-1:].copy())]
        self._add(steps_of_levels(first, second))

    def _add(self, steps: Steps) -> None:
        self.pairs += len(steps.pred_motion)
        for name in ("pred_motion", "true_motion", "motion_error", "still_sum", "still_pixels"):
            setattr(self, name, getattr(self, name) + float(getattr(steps, name).sum()))


class Flicker(_Differences):
    """Mean absolute difference of neighbouring generated frames, in levels; read it with the motion ratio."""

    higher_is_better = False
    signature = "flicker|mean-abs-difference|scale:255|rgb|v1"

    def sums(self) -> tuple[float, float]:
        return float(self.pred_motion), float(self.pairs)


class MotionRatio(_Differences):
    """Mean absolute difference of neighbouring frames, generated over true: above 1 flickers, 0 is frozen."""

    signature = "motion_ratio|mean-abs-difference|pred/true|rgb|v1"

    def sums(self) -> tuple[float, float]:
        return float(self.pred_motion), float(self.true_motion)


class StillFlicker(_Differences):
    """Mean absolute difference of neighbouring generated frames where the true ones are still, in levels."""

    higher_is_better = False
    signature = f"still_flicker|mean-abs-difference|still:true<={STILL:g}|scale:255|rgb|v1"

    def sums(self) -> tuple[float, float]:
        return float(self.still_sum), float(self.still_pixels)


class TemporalDifferenceError(_Differences):
    """Mean |(generated step) - (true step)| in levels: 0 for the true video, its motion for a frozen one."""

    higher_is_better = False
    signature = "temporal_difference_error|scale:255|rgb|v1"

    def sums(self) -> tuple[float, float]:
        return float(self.motion_error), float(self.pairs)


class BackgroundDeviation(Clips):
    """Standard deviation over a clip's time of generated background pixels, in levels; mean over pixels.

    Background are the pixels whose true values deviate by at most ``STEADY`` levels in every channel.
    """

    higher_is_better = False
    signature = f"background_deviation|std-over-time|background:true-std<={STEADY:g}|scale:255|rgb|v1"
    closed_sum: torch.Tensor
    closed_pixels: torch.Tensor
    open_sum: torch.Tensor
    open_pixels: torch.Tensor
    moments: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("closed_sum", "closed_pixels", "open_sum", "open_pixels"):
            self.add_state(name, _zero(), dist_reduce_fx="sum")
        self._carry("moments")

    def update(self, pred: Any, target: Any, continues: bool = False) -> None:
        """Add consecutive frames (N,H,W,3), uint8 or float in [0, 1]; memory does not grow with the clip."""
        both = paired_levels(pred, target)
        if not len(both[0]):
            return
        if not continues:
            self._close()
        count, mean, squares = self._moments(both[0].shape[1:])
        for i, frames in enumerate(both):
            gather_moments(frames, count, mean[i], squares[i])
        count += len(both[0])
        self.moments = [_zero() + count, torch.from_numpy(mean), torch.from_numpy(squares)]
        total, pixels = background_sums(squares[0], squares[1], count)
        self.open_sum, self.open_pixels = _zero() + total, _zero() + pixels

    def _close(self) -> None:
        self.closed_sum += self.open_sum
        self.closed_pixels += self.open_pixels
        self.open_sum, self.open_pixels, self.moments = _zero(), _zero(), []

    def _moments(self, shape: tuple[int, ...]) -> tuple[int, np.ndarray, np.ndarray]:
        """Frames of the clip so far, their mean and squared deviations (2,H,W,3), generated and true; new arrays."""
        if not self.moments:
            return 0, np.zeros((2, *shape)), np.zeros((2, *shape))
        count, mean, squares = (m.cpu().numpy().copy() for m in self.moments)
        if mean.shape[1:] != shape:
            raise InputError("frames", f"shape {shape}", f"the clip so far has {mean.shape[1:]}")
        return int(count), mean, squares

    def sums(self) -> tuple[float, float]:
        return float(self.closed_sum + self.open_sum), float(self.closed_pixels + self.open_pixels)
