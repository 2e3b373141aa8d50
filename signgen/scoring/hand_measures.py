"""Measures that look where the true keypoints say: hands and wrists."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from signgen.scoring.measures import Chunk, Frames, Measure, MeasureOptions, Parts, WholeClip

# Measures that are networks with weight files of their own: LPIPS, FID's features, the recogniser.


def perceptual(weights: str | Path) -> Measure:
    """LPIPS."""
    from signgen.scoring.metrics import LPIPS
    from signgen.scoring.metrics.lpips import SMALLEST, lpips

    metric = LPIPS(weights)
    return Frames("lpips", metric, lambda pred, true: lpips(pred, true, metric.network), SMALLEST)


class Recognition(Measure):
    """What a recogniser understands of both videos of a clip, against what was signed."""

    def __init__(self, folder: str | Path | None) -> None:
        from signgen.scoring.recogniser import Recogniser
        from signgen.scoring.scores import ON_REQUEST

        self.recogniser = Recogniser.load(folder)
        self.signatures = {name: f"{name}|{self.recogniser.signature}|v1" for name in ON_REQUEST}

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        return {}

    def whole(self, clip: WholeClip) -> dict[str, tuple[float, float]]:
        from signgen.scoring.recogniser import score_clip

        if clip.glosses is None:
            return {}
        heard = score_clip(self.recogniser, clip.glosses, clip.generated(), clip.true(), clip.fps)
        return heard.ratios()


class Features(Measure):
    """FID: sums of features of generated and of true frames, which add up over clips to one number of all of them."""

    def __init__(self, weights: str | Path) -> None:
        from signgen.scoring.metrics import FID

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
    from signgen.scoring.metrics.fid import INCEPTION
    from signgen.scoring.metrics.lpips import ALEXNET

    advice = {"lpips": ALEXNET, "fid": INCEPTION}[name].advice
    return f"no weights: {advice}; give the file with --{name}-weights"


class HandCrops(Measure):
    """Hand SSIM over the hands of a frame; a frame's denominator is how many count."""

    needs_keypoints = True

    def __init__(self) -> None:
        from signgen.scoring.metrics import HandSSIM
        from signgen.scoring.metrics.hands import CROP

        metric = HandSSIM()
        self.signatures = {"hand_ssim": metric.signature}
        self.smallest_side = CROP

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        from signgen.scoring.metrics.hands import hand_ssim

        values = hand_ssim(chunk.pred, chunk.true, chunk.xy, chunk.confidence)  # (N,2)
        return {"hand_ssim": (np.nansum(values, 1), (~np.isnan(values)).sum(1).astype(float))}


class HandJoints(Measure):
    """Hand PE and HandPE-drive: the detector looks once at the generated frame for both."""

    needs_keypoints = True

    def __init__(self, options: MeasureOptions) -> None:
        from signgen.scoring.metrics.hand_detectors import load_hand_detector
        from signgen.scoring.metrics.hand_pe import HandPE, HandPEDrive

        self.detector = load_hand_detector(options.hand_detector, options.hand_weights)
        kinds = {"hand_pe": HandPE, "hand_pe_drive": HandPEDrive}
        self.signatures = {name: kind(self.detector).signature for name, kind in kinds.items()}
        self.begin()

    def begin(self) -> None:
        self.tally: dict[str, int] = {}

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        from signgen.scoring.metrics.hand_pe import hand_pe, hand_pe_drive, look

        made, true = (look(self.detector, f, chunk.xy, chunk.confidence) for f in (chunk.pred, chunk.true))
        found = {
            "hand_pe": hand_pe(made, true, self.detector),
            "hand_pe_drive": hand_pe_drive(made, chunk.xy, chunk.confidence, self.detector),
        }
        for name, errors in found.items():
            self._count(f"{name}_hands", errors.measured)
            self._count(f"{name}_not_found", errors.not_found)
        self._count("hand_pe_not_found_true", found["hand_pe"].not_found_true)
        return {name: (errors.sums(), errors.joints().astype(float)) for name, errors in found.items()}

    def _count(self, name: str, which: np.ndarray) -> None:
        self.tally[name] = self.tally.get(name, 0) + int(which.sum())

    def counts(self) -> dict[str, int]:
        return dict(self.tally)


class Wrists(Measure):
    """Distance between true wrists and those that the wrist finder sees in the generated frame."""

    needs_keypoints = True

    def __init__(self) -> None:
        from signgen.scoring.metrics import WristDistance

        self.metric = WristDistance()
        self.signatures = {"wrist_px": self.metric.signature}
        self.begin()

    def begin(self) -> None:
        self.wanted = self.found = 0

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        assert chunk.xy is not None, "called only with keypoints"
        assert chunk.confidence is not None, "called only with keypoints"
        sums = []
        for frame in range(len(chunk.pred)):
            one = slice(frame, frame + 1)
            self.metric.reset()
            self.metric.update(chunk.pred[one], chunk.xy[one], chunk.confidence[one])
            sums.append((float(self.metric.total), float(self.metric.found)))
            self.wanted += int(self.metric.wanted)
            self.found += int(self.metric.found)
        total, found = np.array(sums).T
        return {"wrist_px": (total, found)}

    def counts(self) -> dict[str, int]:
        return {"wrists": self.wanted, "wrists_found": self.found}


def count_hands(confidence: np.ndarray) -> dict[str, int]:
    """Hands of confidences (N,133) that count, and those left out because their knuckle is not confident."""
    from signgen.keypoints.skeleton import CONFIDENT
    from signgen.scoring.metrics.hands import KNUCKLES

    sure = confidence[:, KNUCKLES] >= CONFIDENT
    return {"hands": int(sure.sum()), "hands_left_out": int((~sure).sum())}
