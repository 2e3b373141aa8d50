"""Measures that look where the true keypoints say: hands and wrists."""

from __future__ import annotations

import numpy as np

from signgen.evaluation.measures import Chunk, Measure, MeasureOptions, Parts


class HandCrops(Measure):
    """Hand SSIM over the hands of a frame; a frame's denominator is how many count."""

    needs_keypoints = True

    def __init__(self) -> None:
        from signgen.metrics import HandSSIM
        from signgen.metrics.hands import CROP

        metric = HandSSIM()
        self.signatures = {"hand_ssim": metric.signature}
        self.smallest_side = CROP

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        from signgen.metrics.hands import hand_ssim

        values = hand_ssim(chunk.pred, chunk.true, chunk.xy, chunk.confidence)  # (N,2)
        return {"hand_ssim": (np.nansum(values, 1), (~np.isnan(values)).sum(1).astype(float))}


class HandJoints(Measure):
    """Hand PE and HandPE-drive: the detector looks once at the generated frame for both."""

    needs_keypoints = True

    def __init__(self, options: MeasureOptions) -> None:
        from signgen.metrics.hand_detectors import load_hand_detector
        from signgen.metrics.hand_pe import HandPE, HandPEDrive

        self.detector = load_hand_detector(options.hand_detector, options.hand_weights)
        kinds = {"hand_pe": HandPE, "hand_pe_drive": HandPEDrive}
        self.signatures = {name: kind(self.detector).signature for name, kind in kinds.items()}
        self.begin()

    def begin(self) -> None:
        self.tally: dict[str, int] = {}

    def add(self, chunk: Chunk) -> dict[str, Parts]:
        from signgen.metrics.hand_pe import hand_pe, hand_pe_drive, look

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
        from signgen.metrics import WristDistance

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
    from signgen.metrics.hands import KNUCKLES

    sure = confidence[:, KNUCKLES] >= CONFIDENT
    return {"hands": int(sure.sum()), "hands_left_out": int((~sure).sum())}
