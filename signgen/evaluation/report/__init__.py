"""The report of an evaluation: one HTML file that needs no network and no other file."""

from __future__ import annotations

from signgen.evaluation.report.clips import HandCrop, ReportClip
from signgen.evaluation.report.embedding import Limits
from signgen.evaluation.report.writing import write_report

__all__ = ["HandCrop", "Limits", "ReportClip", "write_report"]
