"""Do the drawn arms go where the keypoints sent them: distance between driving wrists and those found in the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torchmetrics import Metric

from signgen.keypoints.skeleton import WRISTS
from signgen.model.networks.wrist_finder import WristFinder, load_wrist_finder
from signgen.scoring.metrics.frames import check_keypoints

VISIBLE = 0.5  # confidence of the driving keypoint from which a wrist is looked for
FOUND = 0.5  # share of the finder's belief around its peak from which a wrist counts as found


def looked_for(xy: np.ndarray, confidence: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which wrists (N,2) are confident and inside the frame, from keypoints (N,133,2) and (N,133)."""
    points = xy[:, WRISTS]
    inside = (points >= 0).all(-1) & (points[..., 0] <= width - 1) & (points[..., 1] <= height - 1)
    return inside & (confidence[:, WRISTS] >= VISIBLE)


class WristDistance(Metric):
    """Mean distance in pixels between driving and found wrists, over those found; NaN when there is none.

    ``wanted`` counts the visible driving wrists and ``found`` those of them that the finder saw in the generated
    frame. Read the distance with the share found and with the finder's own error on true frames
    (`signgen.model.networks.wrist_finder.report`).

    Args:
        finder: the network to find them with; the one that comes with the package when not given.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    signature = f"wrist_distance|finder:signgen,belief>={FOUND:g}|driving:9/10,confidence>={VISIBLE:g},in-frame|px|v1"
    total: torch.Tensor
    wanted: torch.Tensor
    found: torch.Tensor

    def __init__(self, finder: WristFinder | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.finder = finder or load_wrist_finder()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("wanted", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("found", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, frames: Any, xy: Any, confidence: Any) -> None:
        """Add generated frames (N,H,W,3), uint8 or float in [0, 1], and their driving keypoints (N,133,2), (N,133)."""
        points, scores = check_keypoints(xy, confidence, len(frames))
        where, belief = self.finder.find(frames)
        wanted = looked_for(points, scores, frames.shape[2], frames.shape[1])
        found = wanted & (belief[:, :2] >= FOUND)
        distance = np.linalg.norm(where[:, :2] - points[:, WRISTS], axis=-1)  # (N,2)
        self.total += float(distance[found].sum())
        self.wanted += int(wanted.sum())
        self.found += int(found.sum())

    def sums(self) -> tuple[float, float]:
        """Numerator and denominator of the value so far."""
        return float(self.total), float(self.found)

    def compute(self) -> torch.Tensor:
        return self.total / self.found

    def share_found(self) -> float:
        """Share of the visible driving wrists that were found; NaN when there is none."""
        return int(self.found) / int(self.wanted) if int(self.wanted) else float("nan")
