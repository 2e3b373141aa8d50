"""Do the drawn arms go where the keypoints sent them: distance between driving wrists and those found in the frame."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from signgen.keypoints.skeleton import WRISTS
from signgen.model.networks.weight_files import add_weights
from signgen.model.networks.wrist_finder import WristFinder, load_wrist_finder
from signgen.scoring.metrics.frames import check_keypoints
from signgen.scoring.metrics.metric import Chunk, Score, VideoMetric
from signgen.scoring.metrics.weight_files import DIGITS

VISIBLE = 0.5  # confidence of the driving keypoint from which a wrist is looked for
FOUND = 0.5  # share of the finder's belief around its peak from which a wrist counts as found


def looked_for(xy: np.ndarray, confidence: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which wrists (N,2) are confident and inside the frame, from keypoints (N,133,2) and (N,133)."""
    points = xy[:, WRISTS]
    inside = (points >= 0).all(-1) & (points[..., 0] <= width - 1) & (points[..., 1] <= height - 1)
    return inside & (confidence[:, WRISTS] >= VISIBLE)


class WristDistance(VideoMetric):
    """Mean distance in pixels between driving and found wrists, over those found; NaN when there is none.

    ``wanted`` counts the visible driving wrists and ``found`` those of them that the finder saw in the generated
    frame. Read the distance with the share found and with the finder's own error on true frames
    (`signgen.model.networks.wrist_finder.report`).

    Args:
        finder: the network to find them with; the one that comes with the package when not given.
    """

    higher_is_better = False
    wanted: torch.Tensor
    found: torch.Tensor
    states = ("total", "wanted", "found")
    ratio = ("total", "found")
    counts = {"wanted": "wrists", "found": "wrists_found"}

    def __init__(self, finder: WristFinder | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.finder = finder or load_wrist_finder()
        digest = hashlib.sha256()
        add_weights(digest, self.finder)
        self.fingerprint = digest.hexdigest()[:DIGITS]

    @property
    def signature(self) -> str:
        finder = f"signgen,belief>={FOUND:g},weights:{self.fingerprint}"
        return f"wrist_distance|finder:{finder}|driving:9/10,confidence>={VISIBLE:g},in-frame|px|v1"

    def update(self, frames: Any, xy: Any, confidence: Any) -> None:  # type: ignore[override]
        """Add generated frames (N,H,W,3), uint8 or float in [0, 1], and their driving keypoints (N,133,2), (N,133)."""
        self._add(Chunk(frames, xy=xy, confidence=confidence))

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        points, scores = check_keypoints(chunk.xy, chunk.confidence, len(chunk.pred))
        each = [self.finder.find(chunk.pred[n : n + 1]) for n in range(len(chunk.pred))]  # so no batch changes a digit
        where, belief = (np.concatenate(parts) for parts in zip(*each, strict=True))
        wanted = looked_for(points, scores, chunk.pred.shape[2], chunk.pred.shape[1])
        found = wanted & (belief[:, :2] >= FOUND)
        distance = np.linalg.norm(where[:, :2] - points[:, WRISTS], axis=-1)  # (N,2)
        counts = {"wanted": wanted.sum(1).astype(float), "found": found.sum(1).astype(float)}
        return {"total": (distance * found).sum(1), **counts}

    def share_found(self) -> float:
        """Share of the visible driving wrists that were found; NaN when there is none."""
        return float(self.found / self.wanted)


WRIST_PX = Score(
    "wrist_px",
    "wrist px",
    "lower",
    lambda tools: WristDistance(),
    digits=2,
    unit="px",
    over=("wrists_found", "wrists found"),
    nothing="no wrist was found",
    keypoints=True,
)
