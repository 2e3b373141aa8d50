"""What an evaluation gives: `EvaluationResult`, the JSON object that `signgen evaluate --json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from signgen.errors import InputError

Interval = tuple[float, float]


@dataclass(frozen=True)
class Direction:
    """How to read a metric.

    Attributes:
        label: name in tables.
        better: ``higher``, ``lower``, ``1`` (nearer to one is better), or ``-``: a value that says something only
            beside another one.
        digits: decimals in tables.
    """

    label: str
    better: str
    digits: int = 4


# Every metric of an evaluation, in the order of tables.
METRICS: dict[str, Direction] = {
    "ssim_win51": Direction("SSIM win51", "higher"),
    "ssim_wang": Direction("SSIM wang", "higher"),
    "psnr": Direction("PSNR dB", "higher", 2),
    "lpips": Direction("LPIPS", "lower"),
    "fid": Direction("FID", "lower", 2),
    "hand_ssim": Direction("Hand SSIM", "higher"),
    "hand_pe": Direction("Hand PE px", "lower", 2),
    "hand_pe_drive": Direction("Hand PE drive px", "lower", 2),
    "wrist_px": Direction("wrist px", "lower", 2),
    "tof": Direction("tOF px", "lower", 3),
    "temporal_difference_error": Direction("step error", "lower", 2),
    "flicker": Direction("flicker", "-", 2),
    "motion_ratio": Direction("motion ratio", "1", 3),
    "still_flicker": Direction("still flicker", "lower", 2),
    "background_deviation": Direction("background deviation", "lower", 2),
    "wer_true": Direction("WER on true video", "-", 3),
    "wer_generated": Direction("WER", "lower", 3),
    "recognition_retained": Direction("recognition retained", "higher", 3),
}
ON_REQUEST = ("wer_true", "wer_generated", "recognition_retained")  # listed only where a recogniser was asked for


@dataclass(frozen=True)
class ClipScore:
    """One clip's line: ``metrics`` holds None where a metric has no value for this clip."""

    name: str
    frames: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Difference:
    """One metric of two systems on the same clips.

    Attributes:
        mean: GENERATED's value less OTHER's; for `motion_ratio` the difference of the distances from 1.
        interval: 95 % percentile interval of it, by a paired bootstrap over clips; None where there is none.
        p_value: of the paired permutation test that swaps the systems within clips; None where there is none.
        better: ``generated``, ``against``, or None for equal values and metrics without a direction.
    """

    mean: float | None
    interval: Interval | None
    p_value: float | None
    better: str | None


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

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and None; ``against`` is left out where there is none."""
        plain = asdict(self)
        return {key: _plain(value) for key, value in plain.items() if key != "against" or value is not None}

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
            raise InputError("evaluation", f"lacks or misuses {error}", "give what evaluate --json printed") from None


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


def _plain(value: Any) -> Any:
    """Tuples as lists, so that what is printed and what is read back are equal."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
