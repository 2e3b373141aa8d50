"""All measures of one method over the held-out clips, the goals set for them, and how they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import HANDS
from signgen.scoring.metrics import (
    PSNR,
    SSIM,
    TOF,
    BackgroundDeviation,
    EyesSSIM,
    FaceSharpness,
    FaceSSIM,
    HandSharpness,
    HandSSIM,
    MotionRatio,
    MouthSSIM,
    StillFlicker,
    WristDistance,
)
from signgen.scoring.metrics.metric import Chunk, VideoMetric

COPY, CEILING, MODEL = "copy of the source", "autoencoder", "model"
APART = "frames apart"  # the model without cross-view attention, each frame with noise of its own
FAST = 6.0  # px a frame, mean over a hand's points: half a frame's exposure smears it by half a finger's width
COLUMNS = {
    "ssim_wang": "{:.4f}",
    "ssim_win51": "{:.4f}",
    "psnr": "{:.2f}",
    "hand_ssim": "{:.4f}",
    "fast_hand_ssim": "{:.4f}",
    "face_ssim": "{:.4f}",
    "mouth_ssim": "{:.4f}",
    "eyes_ssim": "{:.4f}",
    "hand_sharpness": "{:.3f}",
    "face_sharpness": "{:.3f}",
    "wrist_px": "{:.2f}",
    "wrists_found": "{:.1%}",
    "tof": "{:.3f}",
    "motion_ratio": "{:.3f}",
    "still_flicker": "{:.2f}",
    "background_deviation": "{:.2f}",
}


class FastHandSSIM(HandSSIM):
    """Hand SSIM of the hands alone that move by more than `FAST`, by the driving keypoints of the frames around."""

    @property
    def signature(self) -> str:
        return f"{super().signature}|speed>{FAST:g}px"

    def values(self, chunk: Chunk) -> np.ndarray:
        return np.where(hand_speed(chunk.xy) > FAST, super().values(chunk), np.nan)


def hand_speed(xy: np.ndarray) -> np.ndarray:
    """How far the points (T,133,2) of the left and the right hand move, (T,2), pixels a frame."""
    steps = np.gradient(np.asarray(xy, np.float64), axis=0) if len(xy) > 1 else np.zeros_like(xy)
    return np.stack([np.linalg.norm(steps[:, hand], axis=-1).mean(-1) for hand in HANDS], 1)


def part_metrics() -> dict[str, VideoMetric]:
    """What is measured of hands and faces, on the windows about the true ones."""
    ssim: dict[str, VideoMetric] = {
        "hand_ssim": HandSSIM(), "fast_hand_ssim": FastHandSSIM(), "face_ssim": FaceSSIM(), "mouth_ssim": MouthSSIM(),
        "eyes_ssim": EyesSSIM(),
    }  # fmt: skip
    return {**ssim, "hand_sharpness": HandSharpness(), "face_sharpness": FaceSharpness()}


class Scores:
    """All measures of one method over the clips of one kind."""

    def __init__(self, finder: nn.Module) -> None:
        self.frame_metrics = {"ssim_wang": SSIM("wang"), "ssim_win51": SSIM("win51"), "psnr": PSNR()}
        self.step_metrics = {
            "motion_ratio": MotionRatio(), "still_flicker": StillFlicker(), "tof": TOF(),
            "background_deviation": BackgroundDeviation(),
        }  # fmt: skip
        self.part_metrics, self.wrists = part_metrics(), WristDistance(finder)

    def update(self, pred: np.ndarray, true: np.ndarray, keypoints: Keypoints, continues: bool) -> None:
        """Add frames uint8 (N,H,W,3) with the keypoints of the true ones."""
        for metric in self.frame_metrics.values():
            metric.update(pred, true)
        for metric in self.step_metrics.values():
            metric.update(pred, true, continues=continues)
        for metric in self.part_metrics.values():
            metric.update(pred, true, keypoints.xy, keypoints.confidence)
        self.wrists.update(pred, keypoints.xy, keypoints.confidence)

    def metrics(self) -> dict[str, Any]:
        return {**self.frame_metrics, **self.step_metrics, **self.part_metrics, "wrist_px": self.wrists}

    def summary(self) -> dict[str, float]:
        values = {name: float(metric.compute()) for name, metric in self.metrics().items()}
        return {**values, "wrists_found": self.wrists.share_found()}

    def signatures(self) -> dict[str, str]:
        return {name: metric.signature for name, metric in self.metrics().items()}


# ---- from one method to another --------------------------------------------------------------------------------------


def gap_closed(methods: dict[str, dict[str, float]], measure: str = "hand_ssim") -> float | None:
    """(model - copy) / (autoencoder - copy); None without a model or without a gap."""
    if MODEL not in methods:
        return None
    low, high = methods[COPY][measure], methods[CEILING][measure]
    return (methods[MODEL][measure] - low) / (high - low) if high > low else None


def tof_ratio(methods: dict[str, dict[str, float]]) -> float | None:
    """tOF of the model over that of its frames made apart; None where these were not made."""
    if APART not in methods or not methods[APART]["tof"] > 0:
        return None
    return methods[MODEL]["tof"] / methods[APART]["tof"]


@dataclass(frozen=True)
class Goal:
    """A figure that the model is meant to reach.

    Attributes:
        kind: known or new signers.
        name: a column of `COLUMNS`, ``gap_closed`` or ``tof_ratio``.
        low, high: allowed range.
        method: whose figure.
    """

    kind: str
    name: str
    low: float
    high: float = math.inf
    method: str = MODEL

    def value(self, part: dict[str, Any]) -> float | None:
        """The figure in the results of a kind; None where it was not measured."""
        if self.name in ("gap_closed", "tof_ratio"):
            return part[self.name]
        return part["methods"].get(self.method, {}).get(self.name)

    def line(self, part: dict[str, Any]) -> str | None:
        """The figure beside the goal, or None where it was not measured."""
        value = self.value(part)
        if value is None:
            return None
        bounds = [(f"at least {self.low:g}", self.low > 0), (f"at most {self.high:g}", self.high < math.inf)]
        wanted = " and ".join(words for words, counts in bounds if counts)
        state = "reached" if self.low <= value <= self.high else "NOT reached"
        return f"  {self.method}, {self.name}: {value:.3f}, goal {wanted}: {state}"


GOALS = (
    Goal("known", "ssim_win51", 0.95),
    Goal("known", "hand_ssim", 0.82),
    Goal("known", "hand_ssim", 0.94, method=CEILING),
    *(Goal(kind, "gap_closed", share) for kind, share in (("known", 0.85), ("new", 0.75))),
    *(Goal(kind, "motion_ratio", 0.95, 1.05) for kind in ("known", "new")),
    *(Goal(kind, "tof_ratio", 0.0, 0.5) for kind in ("known", "new")),
)


def table(kind: str, part: dict[str, Any]) -> str:
    """The results of one kind as text, and below them the goals."""
    lines = [f"{kind} signers: {part['clips']} clips, {part['frames']} frames, {part['hands']} hands"]
    lines.append(f"  {'':20}" + "".join(f"{name:>16}" for name in COLUMNS))
    for name, values in part["methods"].items():
        cells = (form.format(values[column]) for column, form in COLUMNS.items())
        lines.append(f"  {name:20}" + "".join(f"{cell:>16}" for cell in cells))
    if part["gap_closed"] is not None:
        lines.append(f"  share of the gap closed on Hand SSIM: {part['gap_closed']:.1%}")
    if part["tof_ratio"] is not None:
        lines.append(f"  tOF over that of frames made apart: {part['tof_ratio']:.3f}")
    lines += [line for goal in GOALS if goal.kind == kind and (line := goal.line(part))]
    return "\n".join(lines)
