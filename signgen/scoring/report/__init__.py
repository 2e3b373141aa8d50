"""The report of an evaluation: one HTML file that needs no network and no other file."""

from __future__ import annotations

from signgen.scoring.report.clips import HandCrop, ReportClip
from signgen.scoring.report.embedding import Limits
from signgen.scoring.report.page import write_report

__all__ = ["HandCrop", "Limits", "ReportClip", "write_report"]
