"""Sums of clips -> totals, intervals, the comparison of two systems, and the reasons for what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.scoring.build import Built
from signgen.scoring.comparison import bootstrap_intervals, compare
from signgen.scoring.hand_measures import Features
from signgen.scoring.pairing import Plan
from signgen.scoring.scores import METRICS, ON_REQUEST, Against, ClipScore, Difference, EvaluationResult, Interval
from signgen.scoring.scoring import ClipSums, ratio

_NOTHING = {
    "hand_ssim": "no true hand is confident enough to count",
    "hand_pe": "the detector found no hand in both frames",
    "hand_pe_drive": "the detector found no hand",
    "wrist_px": "no wrist was found",
    "tof": "no clip has two frames",
    "temporal_difference_error": "no clip has two frames",
    "flicker": "no clip has two frames",
    "motion_ratio": "nothing moves in the true video",
    "still_flicker": "no pixel of the true video stands still from one frame to the next",
    "background_deviation": "no pixel of the true video stands still over a clip",
    "recognition_retained": "nothing was recognised in the true video",
}
# Counts that are the denominator of a metric.
_DENOMINATORS = {
    "steps": "flicker",
    "still_pixels": "still_flicker",
    "background_pixels": "background_deviation",
    "words": "wer_generated",
}
_ONE_CLIP = "one clip: an interval over clips needs at least two"
_FEW = "fewer than two clips have anything to measure"
_FID = "FID is one number of all frames together, with a bias that resampled clips would change"


class Summary:
    """Gathers clips one by one; keeps their sums, not their frames.

    Args:
        plan, built: what is compared and measured.
        seed: of bootstrap and permutation test.
        against: the second system's path, or None.
    """

    def __init__(self, plan: Plan, built: Built, seed: int, against: str | None) -> None:
        self.plan, self.built, self.seed, self.against = plan, built, seed, against
        self.names = [name for name in METRICS if name in built.signatures and name != "fid"]
        self.clips: list[list[ClipSums]] = [[], []]
        self.moments: list[dict[str, np.ndarray]] = [{}, {}]
        self.features = next((m for m in built.measures if isinstance(m, Features)), None)

    def add(self, sums: ClipSums) -> None:
        """Takes a clip's sums; its values per frame and its moments are let go."""
        kept = self.moments[sums.system]
        for name, value in sums.moments.items():
            kept[name] = kept[name] + value if name in kept else value
        sums.moments, sums.per_frame = {}, {}
        self.clips[sums.system].append(sums)

    def result(self, versions: dict[str, str], settings: dict[str, Any]) -> EvaluationResult:
        """Everything about all clips that were added."""
        metrics, intervals = self._values(0)
        reasons = {**self.built.not_computed, **self._reasons(metrics, intervals)}
        counts = {**self.plan.counts, **self._counts(self.clips[0])}
        return EvaluationResult(
            metrics={name: metrics.get(name) for name in self._listed()},
            intervals={name: intervals.get(name) for name in self._listed()},
            not_computed={name: reasons[name] for name in reasons},
            counts=counts,
            signatures={name: self.built.signatures[name] for name in METRICS if name in self.built.signatures},
            clips=tuple(self._clip(clip) for clip in self.clips[0]),
            versions=versions,
            warnings=tuple(self.plan.warnings),
            settings=settings,
            against=self._against(metrics),
        )

    def _listed(self) -> list[str]:
        """The metrics that the result names, computed or not."""
        return [name for name in METRICS if name not in ON_REQUEST or name in self.built.signatures]

    def _table(self, system: int) -> np.ndarray:
        """(C, M, 2) sums of each clip."""
        rows = [[clip.sums.get(name, (0.0, 0.0)) for name in self.names] for clip in self.clips[system]]
        return np.array(rows, float).reshape(len(rows), len(self.names), 2)

    def _values(self, system: int) -> tuple[dict[str, float | None], dict[str, Interval | None]]:
        table = self._table(system)
        totals = table.sum(0)
        metrics = {name: ratio(*totals[m]) for m, name in enumerate(self.names)}
        intervals = dict(zip(self.names, bootstrap_intervals(table, self.seed), strict=True))
        if self.features is not None:
            metrics["fid"] = self.features.distance(self.moments[system])
        return {n: v if v is None else float(v) for n, v in metrics.items()}, intervals

    def _reasons(self, metrics: dict[str, float | None], intervals: dict[str, Interval | None]) -> dict[str, str]:
        """Why there is no value or no interval."""
        nothing = {**_NOTHING, **self._common_cause()}
        reasons = {name: nothing.get(name, "nothing to measure") for name, value in metrics.items() if value is None}
        if metrics.get("fid", 0.0) is None:
            reasons["fid"] = "it needs two frames or more"
        if len(self.clips[0]) == 1:
            return {**reasons, "intervals": _ONE_CLIP}
        for name, value in metrics.items():
            if value is not None and intervals.get(name) is None:
                reasons[f"intervals.{name}"] = _FID if name == "fid" else _FEW
        return reasons

    def _common_cause(self) -> dict[str, str]:
        """Reasons that several metrics share: no hand counts, or no clip has a second frame."""
        causes: dict[str, str] = {}
        if not any(clip.counts.get("hands") for clip in self.clips[0]):
            causes |= dict.fromkeys(("hand_pe", "hand_pe_drive"), _NOTHING["hand_ssim"])
        if all(clip.frames < 2 for clip in self.clips[0]):
            causes |= dict.fromkeys(("motion_ratio", "still_flicker", "background_deviation"), _NOTHING["tof"])
        return causes

    def _counts(self, clips: list[ClipSums]) -> dict[str, int]:
        """What the clips counted, and the denominators that are counts."""
        total = {"hands": 0, "hands_left_out": 0}
        for clip in clips:
            for name, number in clip.counts.items():
                total[name] = total.get(name, 0) + number
        for name, metric in _DENOMINATORS.items():
            if metric in self.built.signatures:
                total[name] = int(sum(clip.sums.get(metric, (0, 0))[1] for clip in clips))
        return total

    def _clip(self, clip: ClipSums) -> ClipScore:
        values = clip.values()
        return ClipScore(clip.name, clip.frames, {name: values.get(name) for name in self._listed()})

    def _against(self, mine: dict[str, float | None]) -> Against | None:
        if self.against is None:
            return None
        metrics, intervals = self._values(1)
        differences = compare(self._table(0), self._table(1), self.names, self.seed)
        if "fid" in metrics:
            first, second = mine["fid"], metrics["fid"]
            gap = None if first is None or second is None else first - second
            better = None if not gap else "generated" if gap < 0 else "against"
            differences["fid"] = Difference(gap, None, None, better)
        listed = self._listed()
        return Against(
            self.against,
            {name: metrics.get(name) for name in listed},
            {name: intervals.get(name) for name in listed},
            {name: differences.get(name, Difference(None, None, None, None)) for name in listed},
            self._counts(self.clips[1]),
        )
