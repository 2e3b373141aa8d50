"""The page under attack, scaled down; `benchmarks/app_attack.py` does it at full size, with the speed of a render."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny_pipeline import make_pipeline

from signgen.app.context import MIB, Limits

BENCHMARKS = str(Path(__file__).resolve().parent.parent / "benchmarks")


def test_an_attack_stops_nobody_else_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")
    monkeypatch.setattr(sys, "path", [BENCHMARKS, *sys.path])
    from app_attack import under_attack

    limits = Limits(video_bytes=8 * MIB, total_bytes=18 * MIB)
    found = under_attack(make_pipeline(), limits, frames=8, large=3, size=7 * MIB, crowd=20)
    assert [wrong for wrong in found["wrong"] if "the render fell" not in wrong] == []  # no timings in tests
    assert "507" in found["large"], "there is a limit for all together"
    assert set(found["large"]) <= {"200", "507"}
    assert found["left an hour later"] == 0
