"""Measures that are networks with weight files of their own: LPIPS, FID's features, the recogniser."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from signgen.evaluation.measures import Chunk, Frames, Measure, Parts, WholeClip


def perceptual(weights: str | Path) -> Measure:
    """LPIPS."""
    from signgen.metrics import LPIPS
    from signgen.metrics.alexnet import SMALLEST
    from signgen.metrics.lpips import lpips

    metric = LPIPS(weights)
    return Frames("lpips", metric, lambda pred, true: lpips(pred, true, metric.network), SMALLEST)


class Recognition(Measure):
    """What a recogniser understands of both videos of a clip, against what was signed."""

    def __init__(self, folder: str | Path | None) -> None:
        from signgen.evaluation.scores import ON_REQUEST
        from signgen.recognition import Recogniser

        self.recogniser = Recogniser.load(folder)
        self.signatures = {name: f"{name}|{self.recogniser.signature}|v1" for name in ON_REQUEST}

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        return {}

    def whole(self, clip: WholeClip) -> dict[str, tuple[float, float]]:
        from signgen.recognition import score_clip

        if clip.glosses is None:
            return {}
        heard = score_clip(self.recogniser, clip.glosses, clip.generated(), clip.true(), clip.fps)
        return heard.ratios()


class Features(Measure):
    """FID: sums of features of generated and of true frames, which add up over clips to one number of all of them."""

    def __init__(self, weights: str | Path) -> None:
        from signgen.metrics import FID

        self.metric = FID(weights)
        self.signatures = {"fid": self.metric.signature}

    def begin(self) -> None:
        self.metric.reset()

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        self.metric.update(chunk.pred, chunk.true)
        return {}

    def moments(self) -> dict[str, np.ndarray]:
        return {name: state.cpu().numpy().copy() for name, state in self.metric.metric_state.items()}

    def distance(self, moments: dict[str, np.ndarray]) -> float | None:
        """FID of moments summed over clips; None where fewer than two frames are."""
        import torch

        self.metric.reset()
        for name, value in moments.items():
            setattr(self.metric, name, torch.as_tensor(value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a value without an update: the states are given
            found = float(self.metric.compute())
        return None if np.isnan(found) else found


def wanted(name: str) -> str:
    """Which file ``lpips`` or ``fid`` needs, and how to give it."""
    from signgen.metrics.fid import INCEPTION
    from signgen.metrics.lpips import ALEXNET

    advice = {"lpips": ALEXNET, "fid": INCEPTION}[name].advice
    return f"no weights: {advice}; give the file with --{name}-weights"
