"""The page's second job: two videos in, scores and the report of `signgen evaluate` out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.app.context import Context, Limits
from signgen.app.jobs import Job, Report, Work, Working
from signgen.app.status import page_text

if TYPE_CHECKING:
    from signgen.scoring import EvaluationResult

_BETTER = {"higher": "higher is better", "lower": "lower is better", "1": "nearer to 1 is better", "-": ""}


@dataclass(frozen=True)
class Pair:
    """Two videos to compare, in files of their own.

    Attributes:
        generated, reference: the videos.
        keypoints: of the reference, or None: then nothing about hands is measured.
        lengths, sizes: what to do with those that differ, see `signgen.scoring.pairing.Rules`.
        folder: where the report goes.
    """

    generated: Path
    reference: Path
    keypoints: Path | None
    lengths: str
    sizes: str
    folder: Path


@dataclass(frozen=True)
class Scored:
    """The scores and the page that shows them."""

    result: EvaluationResult
    report: Path


def score_job(pair: Pair, context: Context) -> Work:
    """The work of an evaluation, for `signgen.app.jobs.follow`: gives a `Scored`."""

    def work(job: Job, report: Report) -> Scored:
        def progress(done: int, total: int) -> None:
            report(Working("Scoring", done, total))

        report(Working("Opening the videos"))
        limits = context.limits
        return context.apart(job, pair.generated.name, limits.scoring, _score, pair, limits, report=progress)

    return work


def _score(progress: Callable[[int, int], None], pair: Pair, limits: Limits) -> Scored:
    from signgen.scoring import evaluate

    for path in (pair.generated, pair.reference):
        limits.check_video(path)
    if pair.keypoints is not None:
        limits.check_files([pair.keypoints], limits.keypoint_bytes)
    page = pair.folder / "report.html"
    result = evaluate(
        pair.generated, pair.reference, pair.keypoints, report=page, lengths=pair.lengths, sizes=pair.sizes,
        progress=progress,
    )  # fmt: skip
    name_files_only(page, [pair.generated, pair.reference, *([pair.keypoints] if pair.keypoints else [])])
    return Scored(result, page)


def name_files_only(report: Path, files: list[Path]) -> None:
    """Removes the server's folders from a report, so that it calls the files what their owner calls them."""
    text = report.read_text(encoding="utf-8")
    for folder in {file.parent for file in files}:
        text = text.replace(f"{folder}{os.sep}", "")
    report.write_text(text, encoding="utf-8")


def score_table(result: EvaluationResult) -> str:
    """The metrics as an HTML table, and below it what was not computed and why."""
    from signgen.scoring.metrics.registry import METRICS

    rows = []
    for name, value in result.metrics.items():
        row = METRICS[name]
        if value is None:
            continue
        signature = escape(result.signatures.get(name, ""))
        rows.append(
            f'<tr><th scope="row" title="{signature}">{escape(row.label)}</th>'
            f"<td>{value:.{row.digits}f}</td><td>{_BETTER[row.better]}</td></tr>"
        )
    missing = "".join(
        f"<li>{escape(METRICS[name].label if name in METRICS else name)}: {escape(page_text(reason))}</li>"
        for name, reason in result.not_computed.items()
    )
    left_out = f"<details><summary>Not computed</summary><ul>{missing}</ul></details>" if missing else ""
    head = '<thead><tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col"></th></tr></thead>'
    caption = f"<caption>{result.counts['frames']} frames</caption>"
    return f'<table class="sg-scores">{caption}{head}<tbody>{"".join(rows)}</tbody></table>{left_out}'
