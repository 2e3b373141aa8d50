"""What the report shows of one clip: its frames, its scores frame by frame, and the hands worth looking at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from signgen.errors import InputError

Frames = Sequence[np.ndarray] | np.ndarray  # N frames (H,W,3) uint8 RGB; anything with a length and an index will do


@dataclass(frozen=True, eq=False)
class HandCrop:
    """One hand, generated and true, cut out at the same place.

    Args:
        frame: index in the clip, from 0.
        side: whose hand, as the signer sees it.
        metric: name of the score, such as ``hand_ssim``; it decides which end is the worst.
        score: its value on this hand.
        generated, true: (h,w,3) uint8 RGB of one shape.

    Raises:
        InputError: a frame below 0, an unknown side, a score that is no number, crops that do not match.
    """

    frame: int
    side: Literal["left", "right"]
    metric: str
    score: float
    generated: np.ndarray
    true: np.ndarray

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise InputError("hand", f"frame {self.frame}", "frames count from 0")
        if self.side not in ("left", "right"):
            raise InputError("hand", f"side {self.side!r}", "sides are left and right")
        if not np.isfinite(self.score):
            raise InputError("hand", f"score {self.score}", "give only hands that have a score")
        check_picture(self.generated, "hand (generated)")
        check_picture(self.true, "hand (true)")
        if self.generated.shape != self.true.shape:
            raise InputError("hand", f"crops {self.generated.shape} and {self.true.shape}", "both must be of one shape")


@dataclass(frozen=True, eq=False)
class ReportClip:
    """One clip of the report.

    Frames may be lazy: only those that are embedded are asked for, in order after a first trial.

    Args:
        name: as in the clips of the evaluation result.
        fps: frames a second, above 0.
        generated, true: N frames of one size, (H,W,3) uint8 RGB.
        pose: the driving pose images, N frames, of any one size; None where there are none.
        source: the picture that the signer was taken from, (H,W,3) uint8 RGB.
        per_frame: metric -> (N,) values, NaN where the metric is not defined (no hand, no frame before).
        hands: candidates for the gallery of hands, in any order.

    Raises:
        InputError: no frames, different lengths, a rate that is not above 0, a hand beyond the end.
    """

    name: str
    fps: float
    generated: Frames
    true: Frames
    pose: Frames | None = None
    source: np.ndarray | None = None
    per_frame: Mapping[str, np.ndarray] = field(default_factory=dict)
    hands: Sequence[HandCrop] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(self.name, f"{self.fps} frames a second", "the rate must be above 0")
        if self.frames == 0:
            raise InputError(self.name, "has no frames", "leave out empty clips")
        lengths = {"true frames": len(self.true), **{f"values of {k}": len(v) for k, v in self.per_frame.items()}}
        if self.pose is not None:
            lengths["pose images"] = len(self.pose)
        for what, length in lengths.items():
            if length != self.frames:
                raise InputError(self.name, f"{length} {what}", f"there are {self.frames} generated frames")
        for hand in self.hands:
            if hand.frame >= self.frames:
                raise InputError(self.name, f"a hand of frame {hand.frame}", f"the last frame is {self.frames - 1}")
        if self.source is not None:
            check_picture(self.source, f"{self.name} (source)")

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.generated)


def check_picture(image: np.ndarray, subject: str) -> None:
    """Raises `InputError` unless ``image`` is (H,W,3) uint8 with at least one pixel."""
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if kind != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(subject, f"{kind} {shape}", "a picture is uint8 (height, width, 3), RGB")
