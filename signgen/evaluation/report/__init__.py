"""The report of an evaluation: one HTML file that needs no network and no other file."""

from __future__ import annotations

from signgen.evaluation.report.clips import HandCrop, ReportClip

__all__ = ["HandCrop", "ReportClip"]
