"""Frame after frame: flicker, motion and the stillness of what should stand still.

Frames enter in order. A call of ``update`` starts a new clip unless ``continues`` says that it goes on with
the last one, so that a long clip can be fed in pieces and no difference spans two clips. Levels are on the
0..255 scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torchmetrics import Metric

from signgen.errors import InputError
from signgen.metrics.frames import paired

STILL = 6.0  # levels: a pixel is still between two true frames when no channel changes by more
STEADY = 3.0  # levels: a pixel belongs to the background when no channel of the true clip deviates by more


def _zero() -> torch.Tensor:
    return torch.zeros((), dtype=torch.float64)


class _Clips(Metric):
    """Keeps the end of the open clip, so that pieces of it join.

    The carried frames are list states and the metric is of the full-update kind: ``forward`` then gives the
    value of one piece without disturbing the running one.
    """

    full_state_update = True
    is_differentiable = False

    def _carry(self, name: str) -> None:
        self.add_state(name, [], dist_reduce_fx=None)


class _Differences(_Clips):
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
        first, second = (255.0 * frames for frames in paired(pred, target))
        if not len(first):
            return
        if continues and self.last_pred:
            first = np.concatenate([self._joined(self.last_pred, first), first])
            second = np.concatenate([self._joined(self.last_true, second), second])
        self.last_pred, self.last_true = [torch.from_numpy(first[-1:])], [torch.from_numpy(second[-1:])]
        self._add(np.diff(first, axis=0), np.diff(second, axis=0))

    @staticmethod
    def _joined(carried: list[torch.Tensor], frames: np.ndarray) -> np.ndarray:
        last = carried[0].cpu().numpy()
        if last.shape[1:] != frames.shape[1:]:
            raise InputError("frames", f"shape {frames.shape[1:]}", f"the clip so far has {last.shape[1:]}")
        return last

    def _add(self, pred: np.ndarray, true: np.ndarray) -> None:
        """Take differences of neighbouring frames, (N-1,H,W,3) in levels."""
        if not len(pred):
            return
        moved = np.abs(pred)
        self.pairs += len(pred)
        self.pred_motion += float(moved.mean((1, 2, 3)).sum())
        self.true_motion += float(np.abs(true).mean((1, 2, 3)).sum())
        self.motion_error += float(np.abs(pred - true).mean((1, 2, 3)).sum())
        still = (np.abs(true) <= STILL).all(-1)
        self.still_sum += float(moved.mean(-1)[still].sum())
        self.still_pixels += int(still.sum())

    def compute(self) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} only gathers: use one of its subclasses")


class Flicker(_Differences):
    """Mean absolute difference of neighbouring generated frames, in levels; read it with the motion ratio."""

    higher_is_better = False
    signature = "flicker|mean-abs-difference|scale:255|rgb|v1"

    def compute(self) -> torch.Tensor:
        return self.pred_motion / self.pairs


class MotionRatio(_Differences):
    """Mean absolute difference of neighbouring frames, generated over true: above 1 flickers, 0 is frozen."""

    signature = "motion_ratio|mean-abs-difference|pred/true|rgb|v1"

    def compute(self) -> torch.Tensor:
        return self.pred_motion / self.true_motion


class StillFlicker(_Differences):
    """Mean absolute difference of neighbouring generated frames where the true ones are still, in levels."""

    higher_is_better = False
    signature = f"still_flicker|mean-abs-difference|still:true<={STILL:g}|scale:255|rgb|v1"

    def compute(self) -> torch.Tensor:
        return self.still_sum / self.still_pixels


class TemporalDifferenceError(_Differences):
    """Mean |(generated step) - (true step)| in levels: 0 for the true video, its motion for a frozen one."""

    higher_is_better = False
    signature = "temporal_difference_error|scale:255|rgb|v1"

    def compute(self) -> torch.Tensor:
        return self.motion_error / self.pairs


class BackgroundDeviation(_Clips):
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
        both = np.stack(paired(pred, target)) * 255.0  # (2,N,H,W,3)
        if not both.shape[1]:
            return
        if not continues:
            self._close()
        self._accumulate(both)
        count, _, squares = (m.cpu().numpy() for m in self.moments)
        pred_std, true_std = np.sqrt(squares / count)
        background = (true_std <= STEADY).all(-1)
        self.open_sum = _zero() + float(pred_std.mean(-1)[background].sum())
        self.open_pixels = _zero() + int(background.sum())

    def _close(self) -> None:
        self.closed_sum += self.open_sum
        self.closed_pixels += self.open_pixels
        self.open_sum, self.open_pixels, self.moments = _zero(), _zero(), []

    def _accumulate(self, both: np.ndarray) -> None:
        """Join count, mean and squared deviations of the clip so far with those of new frames (Chan et al.)."""
        new, mean = both.shape[1], both.mean(1)
        squares = ((both - mean[:, None]) ** 2).sum(1)
        if self.moments:
            count, old_mean, old_squares = (m.cpu().numpy() for m in self.moments)
            if old_mean.shape != mean.shape:
                raise InputError("frames", f"shape {mean.shape[1:]}", f"the clip so far has {old_mean.shape[1:]}")
            step, total = mean - old_mean, count + new
            squares += old_squares + step**2 * (count * new / total)
            mean, new = old_mean + step * (new / total), int(total)
        self.moments = [_zero() + new, torch.from_numpy(mean), torch.from_numpy(squares)]

    def compute(self) -> torch.Tensor:
        return (self.closed_sum + self.open_sum) / (self.closed_pixels + self.open_pixels)
