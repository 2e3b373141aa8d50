"""The ablation's table in Markdown: every variant beside the whole model, and the whole model's steps beside one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.scoring.comparison import Difference, compare, quotients
from signgen.scoring.metrics.registry import METRICS

MEASURES = ("ssim_wang", "hand_ssim", "wrist_px", "tof", "motion_ratio")


@dataclass(frozen=True, eq=False)
class Row:
    """What a variant made of the clips of one kind in so many steps.

    Attributes:
        variant, kind, steps: what was measured.
        weights: SHA-256 of the variant's weights.
        clips: their names.
        sums: (C, M, 2) numerators and denominators of `MEASURES`.
    """

    variant: str
    kind: str
    steps: int
    weights: str
    clips: tuple[str, ...]
    sums: np.ndarray

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "clips": list(self.clips), "sums": self.sums.tolist()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Row:
        return cls(**{**content, "clips": tuple(content["clips"]), "sums": np.array(content["sums"], np.float64)})

    def values(self) -> dict[str, float]:
        """Each measure over all clips; NaN where there was nothing to measure."""
        return dict(zip(MEASURES, quotients(self.sums.sum(0)).tolist(), strict=True))


def document(rows: list[Row], against: str, seed: int) -> str:
    """All tables: for each kind of signers the variants, then the steps of the one that they are compared with."""
    parts = [
        f"In brackets: the difference from {against} at the same number of steps (for the motion ratio of the "
        "distances from 1), and p of a paired permutation test over clips, not corrected for the number of tests."
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if row.kind == kind]
        whole = {row.steps: row for row in own if row.variant == against}
        parts.append(f"## {kind} signers, {len(own[0].clips)} clips")
        parts.append(table(own, lambda row, whole=whole: whole.get(row.steps), seed))
        if len(whole) > 1:
            fewest = whole[min(whole)]
            parts.append(f"{against} in other numbers of steps; differences from {fewest.steps}:")
            parts.append(table(list(whole.values()), lambda row, fewest=fewest: fewest, seed))
    return "\n\n".join(parts) + "\n"


def table(rows: list[Row], baseline: Any, seed: int) -> str:
    """Rows with their differences from what ``baseline`` (row -> row or None) names."""
    heads = ["variant", "steps", *(METRICS[name].label for name in MEASURES)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for row in rows:
        other = baseline(row)
        differences = {} if other is None or other is row else differ(row, other, seed)
        cells = (_cell(name, value, differences.get(name)) for name, value in row.values().items())
        lines.append(_line([row.variant, str(row.steps), *cells]))
    return "\n".join(lines)


def differ(row: Row, other: Row, seed: int) -> dict[str, Difference]:
    """How a row differs from another on the same clips."""
    assert row.clips == other.clips, "rows of one kind are measured on the same clips"
    return compare(row.sums, other.sums, list(MEASURES), seed)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(name: str, value: float, difference: Difference | None) -> str:
    digits = METRICS[name].digits
    if np.isnan(value):
        return "none"
    text = f"{value:.{digits}f}"
    if difference is None or difference.mean is None:
        return text
    said = "" if difference.p_value is None else f", p {difference.p_value:.3f}"
    return f"{text} ({difference.mean:+.{digits}f}{said})"
