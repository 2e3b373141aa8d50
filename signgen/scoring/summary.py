"""What an evaluation gives, `EvaluationResult`, and how clips' sums become it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import Damaged
from signgen.scoring.comparison import Difference, Interval, bootstrap_intervals, compare
from signgen.scoring.measures import Built, ClipSums, ratio
from signgen.scoring.metrics.fid import FID
from signgen.scoring.metrics.registry import METRICS
from signgen.scoring.pairing import Plan

_LACKING = {"hands": "no true hand is confident enough to count", "steps": "no clip has two frames"}
_ONE_CLIP = "one clip: an interval over clips needs at least two"
_FEW = "fewer than two clips have anything to measure"
_FID = "FID is one number of all frames together, with a bias that resampled clips would change"


@dataclass(frozen=True)
class ClipScore:
    """One clip's line: ``metrics`` holds None where a metric has no value for this clip."""

    name: str
    frames: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Against:
    """The second system's own values, and how the first differs from it.

    ``counts`` are those of `EvaluationResult` that depend on the system, such as hands that were not found.
    """

    name: str
    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    differences: Mapping[str, Difference]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of generated clips against true ones.

    Attributes:
        metrics: value of each metric of `METRICS` over all clips (a ratio of sums, so that a long clip counts more
            than a short one); None where it could not be computed.
        intervals: 95 % percentile bootstrap interval over clips; None where there is none.
        not_computed: why a metric is None, by its name; under ``intervals`` or ``intervals.<metric>`` why there is
            a value but no interval.
        counts: clips, frames, hands, hands_left_out and whatever else was counted or left out.
        signatures: definition of each metric that was computed.
        clips: one entry per clip, in the reference's order.
        versions: of everything that has a say in the numbers.
        warnings: what a reader of the numbers must know.
        settings: what was compared, and under which options.
        against: the comparison with another system, where one was given.
    """

    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    not_computed: Mapping[str, str]
    counts: Mapping[str, int]
    signatures: Mapping[str, str]
    clips: tuple[ClipScore, ...]
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    against: Against | None = None

    def counted(self, metric: str) -> str:
        """What a metric is a mean over, such as ``1,204 hands found``; empty where the counts do not say."""
        count, noun = METRICS[metric].over if metric in METRICS else ("frames", "frames")
        return f"{self.counts[count]:,} {noun}" if count in self.counts else ""

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and None; ``against`` is left out where there is none."""
        return {key: value for key, value in plain(asdict(self)).items() if key != "against" or value is not None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> EvaluationResult:
        """The inverse of `to_json`; unknown keys are left out.

        Raises:
            InputError: a part is missing.
        """
        known = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        try:
            known["intervals"] = _intervals(known["intervals"])
            known["clips"] = tuple(ClipScore(c["name"], c["frames"], c["metrics"]) for c in known["clips"])
            known["warnings"] = tuple(known.get("warnings", ()))
            if known.get("against") is not None:
                known["against"] = _against(known["against"])
            return cls(**known)
        except (KeyError, TypeError) as error:
            raise Damaged("evaluation", f"lacks or misuses {error}", "give what evaluate --json printed") from None


def _against(content: Mapping[str, Any]) -> Against:
    differences = {
        name: Difference(d["mean"], _interval(d["interval"]), d["p_value"], d["better"])
        for name, d in content["differences"].items()
    }
    intervals = _intervals(content["intervals"])
    return Against(content["name"], content["metrics"], intervals, differences, content.get("counts", {}))


def _intervals(content: Mapping[str, Any]) -> dict[str, Interval | None]:
    return {name: _interval(value) for name, value in content.items()}


def _interval(value: Any) -> Interval | None:
    return None if value is None else (value[0], value[1])


def plain(value: Any) -> Any:
    """Tuples as lists and paths as texts, so that what is printed and what is read back are equal."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


class Summary:
    """Gathers clips one by one; keeps their sums, not their frames.

    Args:
        plan, built: what is compared and measured.
        seed: of bootstrap and permutation test.
        against: the second system's path, or None.
    """

    def __init__(self, plan: Plan, built: Built, seed: int, against: str | None) -> None:
        self.plan, self.built, self.seed, self.against = plan, built, seed, against
        self.names = [name for name, metric in built.metrics.items() if metric.ratio is not None]
        self.clips: list[list[ClipSums]] = [[], []]
        self.moments: list[dict[str, np.ndarray]] = [{}, {}]

    def add(self, sums: ClipSums) -> None:
        """Takes a clip's sums; its values per frame, its moments and its pictures are released."""
        kept = self.moments[sums.system]
        for name, value in sums.moments.items():
            kept[name] = kept[name] + value if name in kept else value
        sums.moments, sums.per_frame, sums.pictures = {}, {}, None
        self.clips[sums.system].append(sums)

    def result(self, versions: dict[str, str], settings: dict[str, Any]) -> EvaluationResult:
        """Everything about all clips that were added."""
        metrics, intervals = self._values(0)
        reasons = {**self.built.not_computed, **self._reasons(metrics, intervals)}
        return EvaluationResult(
            metrics={name: metrics.get(name) for name in self._listed()},
            intervals={name: intervals.get(name) for name in self._listed()},
            not_computed=reasons,
            counts={**self.plan.counts, **self._counts(self.clips[0])},
            signatures=self.built.signatures,
            clips=tuple(self._clip(clip) for clip in self.clips[0]),
            versions=versions,
            warnings=tuple(self.plan.warnings),
            settings=settings,
            against=self._against(metrics),
        )

    def _listed(self) -> list[str]:
        """The metrics that the result names, computed or not."""
        return [name for name, score in METRICS.items() if not score.on_request or name in self.built.metrics]

    def _table(self, system: int) -> np.ndarray:
        """(C, M, 2) sums of each clip."""
        rows = [[clip.sums.get(name, (0.0, 0.0)) for name in self.names] for clip in self.clips[system]]
        return np.array(rows, float).reshape(len(rows), len(self.names), 2)

    def _values(self, system: int) -> tuple[dict[str, float | None], dict[str, Interval | None]]:
        table = self._table(system)
        totals = table.sum(0)
        metrics = {name: ratio(*totals[m]) for m, name in enumerate(self.names)}
        intervals = dict(zip(self.names, bootstrap_intervals(table, self.seed), strict=True))
        if isinstance(fid := self.built.metrics.get("fid"), FID):
            metrics["fid"] = fid.distance(self.moments[system])
        return {n: v if v is None else float(v) for n, v in metrics.items()}, intervals

    def _reasons(self, metrics: dict[str, float | None], intervals: dict[str, Interval | None]) -> dict[str, str]:
        """Why there is no value or no interval."""
        lacks = {
            "hands": not any(clip.counts.get("hands") for clip in self.clips[0]),
            "steps": all(clip.frames < 2 for clip in self.clips[0]),
        }
        reasons = {}
        for name, value in metrics.items():
            needs = METRICS[name].needs
            if value is None:
                reasons[name] = _LACKING[needs] if lacks.get(needs) else METRICS[name].nothing
        if len(self.clips[0]) == 1:
            return {**reasons, "intervals": _ONE_CLIP}
        for name, value in metrics.items():
            if value is not None and intervals.get(name) is None:
                reasons[f"intervals.{name}"] = _FID if name == "fid" else _FEW
        return reasons

    def _counts(self, clips: list[ClipSums]) -> dict[str, int]:
        """What the clips counted."""
        counted = (name for metric in self.built.metrics.values() for name in metric.counts.values())
        total = {"hands": 0, "hands_left_out": 0, **dict.fromkeys(counted, 0)}
        for clip in clips:
            for name, number in clip.counts.items():
                total[name] += number
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
