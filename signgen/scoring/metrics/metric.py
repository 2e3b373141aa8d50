"""What a metric is: a torchmetrics class that says what each frame contributes, and one record of how to read it.

Every value but FID's is a ratio of two sums over frames. The sums of a clip give the clip's value, sums over clips the
total, and sums over clips drawn with replacement the bootstrap's, so that all three agree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torchmetrics import Metric

from signgen.errors import Mismatch
from signgen.scoring.metrics.frames import paired
from signgen.scoring.metrics.weight_files import Published

T = TypeVar("T")
Frames = tuple[np.ndarray, np.ndarray]  # generated and true frames, (N,H,W,3) each


class Shared:
    """Something that several metrics look at; what more than one of them needs is computed once."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """``make()``, or what it gave when it was called for the same key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


class ClipFacts(Shared):
    """What is known of a clip as a whole: its frames per second and, where the reference says so, what is signed."""

    def __init__(self, fps: float = 25.0, glosses: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.fps, self.glosses = fps, glosses


class Chunk(Shared):
    """Consecutive frames of one clip.

    Args:
        pred, true: generated and true frames (N,H,W,3), uint8 or float in [0, 1].
        xy, confidence: true (or driving) keypoints (N,133,2) in pixels of these frames, and (N,133); None where there
            are none.
        before: the last generated and true frame of the clip so far, (1,H,W,3) each; None at a clip's beginning.
        start: number of the first of these frames in the clip.
        clip: which they are of.
    """

    def __init__(
        self,
        pred: Any,
        true: Any = None,
        xy: Any = None,
        confidence: Any = None,
        before: Frames | None = None,
        start: int = 0,
        clip: ClipFacts | None = None,
    ) -> None:
        super().__init__()
        self.pred, self.true, self.xy, self.confidence = pred, true, xy, confidence
        self.before, self.start, self.clip = before, start, clip or ClipFacts()

    @property
    def unit(self) -> Frames:
        """Both as float64 in [0, 1]."""
        return self.once("unit", lambda: paired(self.pred, self.true))

    def joined(self, convert: Callable[[Any, Any], Frames]) -> Frames:
        """Both as ``convert`` gives them, behind the frames before where there are some: N or N+1 frames.

        Raises:
            InputError: the frames before are of another size.
        """
        now = convert(self.pred, self.true)
        if self.before is None:
            return now
        last = convert(*self.before)
        if last[0].shape[1:] != now[0].shape[1:]:
            raise Mismatch("frames", f"shape {now[0].shape[1:]}", f"the clip so far has {last[0].shape[1:]}")
        return np.concatenate([last[0], now[0]]), np.concatenate([last[1], now[1]])

    def per_frame(self, steps: np.ndarray) -> np.ndarray:
        """(N,) what each frame contributes, from the steps between the frames of `joined`: a clip's first has none."""
        return steps if self.before is not None else np.concatenate([[0.0], steps])


class Scored(Metric):
    """What an evaluation asks of a metric: `reset` before a clip, `measure` in it, the rest at its end.

    Attributes:
        signature: name, parameters and version of the definition, to be printed with every value.
        ratio: names of the sums that are the value's numerator and denominator; None for a value of another kind.
        counts: sums that an evaluation reports as counts, and the names under which it does.
    """

    ratio: ClassVar[tuple[str, str] | None] = None
    counts: ClassVar[Mapping[str, str]] = {}

    @property
    def signature(self) -> str:
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        """What each frame (N,) contributes to each sum; nothing where a clip is measured as a whole."""
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def finish(self, clip: ClipFacts) -> Mapping[str, float]:
        """The sums that are known at the clip's end only."""
        return {}

    def moments(self) -> dict[str, np.ndarray]:
        """Sums over this clip for a metric that is no ratio; they add up over clips."""
        return {}


class VideoMetric(Scored):
    """A ratio of two sums as a metric that streams; NaN where the denominator is 0.

    A subclass lists its sums, names the two that are divided, and gives each frame's part of them in `measure`.
    ``update`` takes generated and true frames (N,H,W,3), uint8 or float in [0, 1].
    """

    full_state_update = False
    is_differentiable = False
    states: ClassVar[tuple[str, ...]] = ("total", "frames")
    ratio: ClassVar[tuple[str, str]] = ("total", "frames")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in self.states:
            self.add_state(name, zero(), dist_reduce_fx="sum")

    def update(self, pred: Any, target: Any) -> None:
        self._add(Chunk(pred, target))

    def _add(self, chunk: Chunk) -> None:
        for name, values in self.measure(chunk).items():
            setattr(self, name, getattr(self, name) + float(values.sum()))

    def sums(self) -> tuple[float, float]:
        """Numerator and denominator of the value so far."""
        top, bottom = (float(getattr(self, name)) for name in self.ratio)
        return top, bottom

    def compute(self) -> torch.Tensor:
        top, bottom = self.sums()
        return (zero() + top) / bottom


class KeypointMetric(VideoMetric):
    """A `VideoMetric` that looks where the true frames' keypoints are."""

    def update(self, pred: Any, target: Any, xy: Any, confidence: Any) -> None:  # type: ignore[override]
        """Add frames (N,H,W,3), uint8 or float in [0, 1], and the true ones' keypoints (N,133,2) and (N,133)."""
        self._add(Chunk(pred, target, xy, confidence))


class FrameMean(VideoMetric):
    """Mean over frames of a function of one generated and one true frame."""

    def _values(self, chunk: Chunk) -> np.ndarray:
        """The value of each frame, (N,)."""
        raise TypeError(f"{type(self).__name__} measures nothing: use one of its subclasses")

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        values = self._values(chunk)
        return {"total": values, "frames": np.ones(len(values))}


def zero() -> torch.Tensor:
    """The start of a sum."""
    return torch.zeros((), dtype=torch.float64)


@dataclass(frozen=True)
class MeasureOptions:
    """What to measure with.

    Attributes:
        hand_detector, hand_weights: as `signgen.scoring.metrics.hand_detectors.load_hand_detector`.
        lpips_weights, fid_weights, stlpips_weights: files; without them these metrics are not computed.
        recogniser: recognise the signs too; with ``recogniser_folder``'s weights, or those that come with signgen.
    """

    hand_detector: str = "signgen"
    hand_weights: str | Path | None = None
    lpips_weights: str | Path | None = None
    fid_weights: str | Path | None = None
    stlpips_weights: str | Path | None = None
    recogniser: bool = False
    recogniser_folder: str | Path | None = None

    def asks_for(self, score: Score) -> bool:
        """Whether a metric that is only measured on request is to be."""
        if score.weights is None:
            return self.recogniser
        return getattr(self, f"{score.name}_weights") is not None


class Tools(Shared):
    """The networks that metrics share, loaded when the first metric asks for them."""

    def __init__(self, options: MeasureOptions) -> None:
        super().__init__()
        self.options = options


@dataclass(frozen=True)
class Score:
    """A metric of an evaluation: how to make it, what it needs, and how to read its value.

    Attributes:
        name: key in JSON and CSV.
        label: name in tables, its unit included.
        better: ``higher``, ``lower``, ``1`` (nearer to one is better), or ``-``: a value that says something only
            beside another one.
        make: the metric, with the given tools; an `InputError` where its weights are missing.
        digits: decimals in tables.
        unit: of the value; empty for a plain number.
        over: what the value is a mean over: the name of its count, and the noun for it.
        nothing: why there is no value where there was nothing to measure.
        needs: ``hands`` or ``steps``, without which there is nothing to measure and the reason is theirs; or empty.
        keypoints: whether it needs those of the true frames.
        smallest_side: pixels that frames must have a side.
        weights: the file that ``--NAME-weights`` gives, without which it is not computed.
        per_frame: whether it has a value for each frame; that of a step stands at its second frame.
        on_request: listed only where it was asked for, by its weights or as part of a recogniser.
    """

    name: str
    label: str
    better: str
    make: Callable[[Tools], Scored]
    digits: int = 4
    unit: str = ""
    over: tuple[str, str] = ("frames", "frames")
    nothing: str = "nothing to measure"
    needs: str = ""
    keypoints: bool = False
    smallest_side: int = 1
    weights: Published | None = None
    per_frame: bool = True
    on_request: bool = False
