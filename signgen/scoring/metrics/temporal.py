"""Frame after frame: flicker, motion and the stillness of what should stand still.

Frames enter in order. A call of ``update`` starts a new clip unless ``continues`` says that it goes on with the last
one, so that a long clip can come in pieces and no difference spans two clips. Levels are on the 0..255 scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from signgen.errors import Mismatch
from signgen.scoring.metrics.frames import paired_arrays, paired_levels
from signgen.scoring.metrics.metric import Chunk, ClipFacts, Score, Scored, VideoMetric, zero

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
    return _steps(*paired_levels(pred, target))


def _steps(pred: np.ndarray, true: np.ndarray) -> Steps:
    if len(pred) < 2:
        return Steps(*np.zeros((5, 0)))
    sums = _measure(pred, true, STILL + ROUNDING)
    sums[:3] /= np.prod(pred.shape[1:])
    return Steps(*sums)


class StepMetric(VideoMetric):
    """A ratio of two sums over the steps of clips that come in pieces; it keeps the open clip's last frames.

    These are list states and the metric is of the full-update kind: ``forward`` then gives the value of one piece
    without disturbing the running one.
    """

    full_state_update = True
    last: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("last", [], dist_reduce_fx=None)

    def update(self, pred: Any, target: Any, continues: bool = False) -> None:
        """Add consecutive frames (N,H,W,3), uint8 or float in [0, 1]; ``continues`` goes on with the last clip."""
        first, second = paired_arrays(pred, target)
        if not len(first):
            return
        last = [frame.cpu().numpy() for frame in self.last] if continues else []
        self._add(Chunk(first, second, before=(last[0], last[1]) if last else None))
        self.last = [torch.from_numpy(frames[-1:].copy()) for frames in (first, second)]


class _Differences(StepMetric):
    """Sums over all pairs of neighbouring frames; the public classes below differ in what they make of them.

    All have the same states, so that a ``MetricCollection`` computes them once, and so does an evaluation.
    """

    states = ("pairs", "pred_motion", "true_motion", "motion_error", "still_sum", "still_pixels")

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        return chunk.once("differences", lambda: _differences(chunk))


def _differences(chunk: Chunk) -> dict[str, np.ndarray]:
    steps = _steps(*chunk.joined(paired_levels))
    parts = {**vars(steps), "pairs": np.ones(len(steps.pred_motion))}
    return {name: chunk.per_frame(values) for name, values in parts.items()}


class Flicker(_Differences):
    """Mean absolute difference of neighbouring generated frames, in levels; read it with the motion ratio."""

    higher_is_better = False
    signature = "flicker|mean-abs-difference|scale:255|rgb|v1"
    ratio = ("pred_motion", "pairs")
    counts = {"pairs": "steps"}


class MotionRatio(_Differences):
    """Mean absolute difference of neighbouring frames, generated over true: above 1 flickers, 0 is frozen."""

    signature = "motion_ratio|mean-abs-difference|pred/true|rgb|v1"
    ratio = ("pred_motion", "true_motion")


class StillFlicker(_Differences):
    """Mean absolute difference of neighbouring generated frames where the true ones are still, in levels."""

    higher_is_better = False
    signature = f"still_flicker|mean-abs-difference|still:true<={STILL:g}|scale:255|rgb|v1"
    ratio = ("still_sum", "still_pixels")
    counts = {"still_pixels": "still_pixels"}


class TemporalDifferenceError(_Differences):
    """Mean |(generated step) - (true step)| in levels: 0 for the true video, its motion for a frozen one."""

    higher_is_better = False
    signature = "temporal_difference_error|scale:255|rgb|v1"
    ratio = ("motion_error", "pairs")


STEPS = ("steps", "steps")
TEMPORAL_DIFFERENCE_ERROR = Score(
    "temporal_difference_error",
    "step error",
    "lower",
    lambda tools: TemporalDifferenceError(),
    digits=2,
    unit="levels",
    over=STEPS,
    needs="steps",
)
FLICKER = Score("flicker", "flicker", "-", lambda tools: Flicker(), digits=2, unit="levels", over=STEPS, needs="steps")
MOTION_RATIO = Score(
    "motion_ratio",
    "motion ratio",
    "1",
    lambda tools: MotionRatio(),
    digits=3,
    over=STEPS,
    nothing="nothing moves in the true video",
    needs="steps",
)
STILL_FLICKER = Score(
    "still_flicker",
    "still flicker",
    "lower",
    lambda tools: StillFlicker(),
    digits=2,
    unit="levels",
    over=("still_pixels", "still pixels"),
    nothing="no pixel of the true video stands still from one frame to the next",
    needs="steps",
)


# The background's deviation over a whole clip, known when the clip is over.


@numba.njit(cache=True)
def _gather_moments(frames: np.ndarray, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
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


class BackgroundDeviation(Scored):
    """Standard deviation over a clip's time of generated background pixels, in levels; mean over pixels.

    Background are the pixels whose true values deviate by at most ``STEADY`` levels in every channel.
    """

    full_state_update = True
    is_differentiable = False
    higher_is_better = False
    signature = f"background_deviation|std-over-time|background:true-std<={STEADY:g}|scale:255|rgb|v1"
    ratio = ("total", "pixels")
    counts = {"pixels": "background_pixels"}
    total: torch.Tensor
    pixels: torch.Tensor
    open_clip: list[torch.Tensor]  # frames so far; mean and squared deviations of both videos (2,H,W,3)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in self.ratio:  # of the clips that are over
            self.add_state(name, zero(), dist_reduce_fx="sum")
        self.add_state("open_clip", [], dist_reduce_fx=None)

    def update(self, pred: Any, target: Any, continues: bool = False) -> None:
        """Add consecutive frames (N,H,W,3), uint8 or float in [0, 1]; memory does not grow with the clip."""
        if not continues and len(pred):
            total, pixels = self.sums()
            self.total, self.pixels, self.open_clip = zero() + total, zero() + pixels, []
        self.measure(Chunk(pred, target))

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        both = paired_levels(chunk.pred, chunk.true)
        if len(both[0]):
            count, mean, squares = self._moments(both[0].shape[1:])
            for i, frames in enumerate(both):
                _gather_moments(frames, count, mean[i], squares[i])
            parts = np.array(count + len(both[0])), mean, squares
            self.open_clip = [torch.from_numpy(part) for part in parts]
        return {}

    def _moments(self, shape: tuple[int, ...]) -> tuple[int, np.ndarray, np.ndarray]:
        """Frames of the clip so far, their mean and squared deviations (2,H,W,3), generated and true; new arrays."""
        if not self.open_clip:
            return 0, np.zeros((2, *shape)), np.zeros((2, *shape))
        count, mean, squares = (part.cpu().numpy().copy() for part in self.open_clip)
        if mean.shape[1:] != shape:
            raise Mismatch("frames", f"shape {shape}", f"the clip so far has {mean.shape[1:]}")
        return int(count), mean, squares

    def finish(self, clip: ClipFacts) -> Mapping[str, float]:
        """One frame has no deviation."""
        several = bool(self.open_clip) and int(self.open_clip[0]) > 1
        return dict(zip(self.ratio, self.sums() if several else (0.0, 0.0), strict=True))

    def sums(self) -> tuple[float, float]:
        """Numerator and denominator of the value so far, the open clip's included."""
        total, pixels = float(self.total), float(self.pixels)
        if self.open_clip:
            count, _, squares = (part.cpu().numpy() for part in self.open_clip)
            deviation, steady = _background(squares[0], squares[1], int(count), STEADY + ROUNDING)
            total, pixels = total + deviation, pixels + steady
        return total, pixels

    def compute(self) -> torch.Tensor:
        total, pixels = self.sums()
        return (zero() + total) / pixels


BACKGROUND_DEVIATION = Score(
    "background_deviation",
    "background deviation",
    "lower",
    lambda tools: BackgroundDeviation(),
    digits=2,
    unit="levels",
    over=("background_pixels", "background pixels"),
    nothing="no pixel of the true video stands still over a clip",
    needs="steps",
    per_frame=False,
)
