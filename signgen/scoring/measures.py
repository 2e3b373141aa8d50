"""The metrics of an evaluation as sums per frame: every value is a ratio of two sums, except FID's.

A measure takes consecutive frames of one clip and gives numerators and denominators. Their sums over frames are a
clip's value, their sums over clips the total, and sums over clips drawn anew the bootstrap's: all three agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Parts = tuple[np.ndarray, np.ndarray]  # numerators and denominators (N,)


@dataclass(frozen=True)
class MeasureOptions:
    """What to measure with.

    Attributes:
        hand_detector, hand_weights: as `signgen.scoring.metrics.hand_detectors.load_hand_detector`.
        lpips_weights, fid_weights: files; without them these metrics are not computed.
        recogniser: recognise the signs too; with ``recogniser_folder``'s weights, or those that come with signgen.
    """

    hand_detector: str = "signgen"
    hand_weights: str | Path | None = None
    lpips_weights: str | Path | None = None
    fid_weights: str | Path | None = None
    recogniser: bool = False
    recogniser_folder: str | Path | None = None


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive frames of one clip.

    Attributes:
        pred, true: (N,H,W,3) uint8.
        xy, confidence: true keypoints (N,133,2) in pixels of these frames, and (N,133); None where there are none.
    """

    pred: np.ndarray
    true: np.ndarray
    xy: np.ndarray | None
    confidence: np.ndarray | None


@dataclass(frozen=True, eq=False)
class WholeClip:
    """A clip to be seen once more, from its first frame.

    Attributes:
        generated, true: each call reads the frames anew, (H,W,3) uint8 one after the other.
        fps: frames per second.
        glosses: what is signed, where the reference says so.
    """

    generated: Callable[[], Iterator[np.ndarray]]
    true: Callable[[], Iterator[np.ndarray]]
    fps: float
    glosses: tuple[str, ...] | None


class Measure:
    """One or several metrics that are computed together.

    Attributes:
        signatures: definition of each metric, by its name.
        needs_keypoints: `add` is only called where there are keypoints.
        smallest_side: frames must have this many pixels a side.
    """

    signatures: Mapping[str, str]
    needs_keypoints = False
    smallest_side = 1

    def begin(self) -> None:
        """A new clip; nothing to do for a measure that keeps nothing from frame to frame."""

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        """Numerators and denominators of each frame, of the metrics that have values per frame."""
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def end(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of the metrics that have a value per clip only."""
        return {}

    def whole(self, clip: WholeClip) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of the metrics that look at a clip as a whole, after `end`."""
        return {}

    def counts(self) -> dict[str, int]:
        """What was counted in this clip."""
        return {}

    def moments(self) -> dict[str, np.ndarray]:
        """Sums over this clip for a metric that is no ratio; they add up over clips."""
        return {}


class Frames(Measure):
    """A function of one generated and one true frame, with a value for each."""

    def __init__(self, name: str, metric: Any, function: Any, smallest_side: int = 1) -> None:
        self.signatures = {name: metric.signature}
        self.name, self.function, self.smallest_side = name, function, smallest_side

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        values = self.function(chunk.pred, chunk.true)
        return {self.name: (values, np.ones(len(values)))}


class Steps(Measure):
    """A function of consecutive frames, with values for each step from one to the next.

    A clip's first frame has no step, so that its numerator and denominator are 0.

    Args:
        function: generated and true frames (N,H,W,3) -> metric name -> numerators and denominators (N-1,).
        signatures: by metric name.
    """

    def __init__(
        self, function: Callable[[np.ndarray, np.ndarray], dict[str, Parts]], signatures: Mapping[str, str]
    ) -> None:
        self.function, self.signatures = function, signatures
        self.begin()

    def begin(self) -> None:
        self.last: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        pred, true = chunk.pred, chunk.true
        if self.last is not None:
            pred, true = np.concatenate([self.last[0], pred]), np.concatenate([self.last[1], true])
        found = self.function(pred, true)
        if self.last is None:
            found = {name: (_after_first(top), _after_first(bottom)) for name, (top, bottom) in found.items()}
        self.last = pred[-1:], true[-1:]
        return found


def _after_first(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], values])


class Background(Measure):
    """Background deviation, which is known when the clip is over; one frame has none."""

    def __init__(self) -> None:
        from signgen.scoring.metrics import BackgroundDeviation

        self.metric = BackgroundDeviation()
        self.signatures = {"background_deviation": self.metric.signature}
        self.frames = 0

    def begin(self) -> None:
        self.metric.reset()
        self.frames = 0

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        self.metric.update(chunk.pred, chunk.true, continues=self.frames > 0)
        self.frames += len(chunk.pred)
        return {}

    def end(self) -> dict[str, tuple[float, float]]:
        sums = self.metric.sums() if self.frames > 1 else (0.0, 0.0)
        return {"background_deviation": sums}


def pixel_measures() -> list[Measure]:
    """What needs neither weights nor keypoints."""
    from signgen.scoring.metrics import PSNR, SSIM
    from signgen.scoring.metrics.image import WANG, WIN51, psnr, ssim

    return [
        Frames("ssim_win51", SSIM("win51"), lambda pred, true: ssim(pred, true, WIN51), WIN51.size),
        Frames("ssim_wang", SSIM("wang"), lambda pred, true: ssim(pred, true, WANG), WANG.size),
        Frames("psnr", PSNR(), psnr),
        _flow(),
        _differences(),
        Background(),
    ]


def _differences() -> Measure:
    """Differences of neighbouring frames: four metrics that are made of the same sums."""
    from signgen.scoring.metrics import Flicker, MotionRatio, StillFlicker, TemporalDifferenceError
    from signgen.scoring.metrics.temporal import measure_steps

    def measure(pred: np.ndarray, true: np.ndarray) -> dict[str, Parts]:
        steps = measure_steps(pred, true)
        each = np.ones(len(steps.pred_motion))
        return {
            "temporal_difference_error": (steps.motion_error, each),
            "flicker": (steps.pred_motion, each),
            "motion_ratio": (steps.pred_motion, steps.true_motion),
            "still_flicker": (steps.still_sum, steps.still_pixels),
        }

    kinds = {
        "temporal_difference_error": TemporalDifferenceError,
        "flicker": Flicker,
        "motion_ratio": MotionRatio,
        "still_flicker": StillFlicker,
    }
    return Steps(measure, {name: kind.signature for name, kind in kinds.items()})


def _flow() -> Measure:
    """Difference of generated and true optical flow."""
    from signgen.scoring.metrics import TOF
    from signgen.scoring.metrics.flow import tof

    def measure(pred: np.ndarray, true: np.ndarray) -> dict[str, Parts]:
        values = tof(pred, true)
        return {"tof": (values, np.ones(len(values)))}

    return Steps(measure, {"tof": TOF().signature})
