"""What happens from one frame to the next, measured step by step in one compiled pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from signgen.metrics.frames import paired_levels

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
