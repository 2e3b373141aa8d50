"""The words and data that the page's template is filled with."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import numpy as np

from signgen import __version__
from signgen.scoring.report.clips import ReportClip
from signgen.scoring.report.gallery import galleries, ranked
from signgen.scoring.report.labels import badness, label, shown, with_unit
from signgen.scoring.report.pictures import QUALITY, Limits, trimmed
from signgen.scoring.report.summary import clip_orders, clip_scores, compared, counts, rows
from signgen.scoring.summary import EvaluationResult

NOTICE = (
    "Every picture marked “generated” was synthesised by a computer. It is no recording of the person shown; "
    "differences from the true frames are what this report measures."
)
COMPRESSION = (
    f"Pictures on this page are compressed (WebP, quality {QUALITY}); the scores come from the original frames."
)
PANELS = {"source": "Source", "pose": "Pose", "true": "Truth", "generated": "Generated", "difference": "Difference"}


def context(
    result: EvaluationResult,
    clips: Sequence[ReportClip],
    title: str,
    generated: str,
    reference: str,
    choice: str,
    date: str,
) -> dict[str, Any]:
    """Everything that the template asks for but its style and script; see `report_page`."""
    scores = [clip_scores(result, clip.name) for clip in clips]
    orders = clip_orders(scores)
    metrics = list(result.metrics)
    return {
        "version": __version__,
        "title": title or _title(generated, reference),
        "notice": NOTICE,
        "facts": _facts(result, generated, reference, date),
        "warnings": result.warnings,
        "counts": counts(result),
        "rows": rows(result),
        "generated": generated,
        "compared": compared(result),
        "other": result.against.name if result.against else "",
        "choice": _choice(len(clips), len(result.clips), choice),
        "compression": COMPRESSION,
        "clips": [
            {"number": number, "name": clip.name, "extent": _extent(clip), "cut": _cut(clip)}
            for number, clip in enumerate(clips)
        ],
        "orders": [(metric, label(metric).text) for metric in orders],
        "panels": list(PANELS.items()),
        "galleries": galleries(clips),
        "every_metric": [label(metric).text for metric in metrics],
        "every_clip": [
            {"name": c.name, "frames": c.frames, "scores": [shown(m, c.metrics.get(m)) for m in metrics]}
            for c in result.clips
        ],
        "versions": list(result.versions.items()),
        "options": _options(result.settings),
        "data": {
            "orders": orders,
            "scores": [{metric: with_unit(metric, values.get(metric)) for metric in orders} for values in scores],
        },
        "payloads": [_payload(clip, result) for clip in clips],
    }


def _title(generated: str, reference: str) -> str:
    if generated and reference:
        return f"{generated} against {reference}"
    return "Generated and true video compared"


def _facts(result: EvaluationResult, generated: str, reference: str, date: str) -> list[tuple[str, str]]:
    """What was compared, when and by what; empty ones are left out."""
    facts = [
        ("Generated", generated),
        ("Reference", reference),
        ("Compared with", result.against.name if result.against else ""),
        ("Date", date or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Evaluator", f"signgen {result.versions.get('signgen', __version__)}"),
    ]
    return [fact for fact in facts if fact[1]]


def _options(settings: Mapping[str, Any], group: str = "") -> list[tuple[str, str]]:
    """(words, value) of every setting that has one, those of groups under ``group: name``."""
    options = []
    for key, value in settings.items():
        name = f"{group}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            options += _options(value, f"{name}: ")
        elif value is not None and value != "":
            options.append((name, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)))
    return options


def _choice(embedded: int, evaluated: int, choice: str) -> str:
    if embedded == evaluated and not choice:
        return "All clips are embedded." if embedded != 1 else ""
    reason = f": {choice}" if choice else ""
    return f"{embedded} of {evaluated} {'clip is' if evaluated == 1 else 'clips are'} embedded{reason}."


def _extent(clip: ReportClip) -> str:
    if clip.pictures.count == clip.frames:
        return f"{clip.frames} {'frame' if clip.frames == 1 else 'frames'}"
    return f"{clip.pictures.count} of {clip.frames} frames"


def _cut(clip: ReportClip) -> str:
    """What of the clip the page does not show; empty where it shows it all."""
    kept, parts = clip.pictures, []
    if kept.count < clip.frames:
        run = f"Frames {kept.first}–{kept.last}" if kept.count > 1 else f"Frame {kept.first}"
        parts.append(f"{run} of {clip.frames} {'are' if kept.count > 1 else 'is'} embedded.")
    if kept.size != kept.native:
        parts.append("Shown at {}×{}, scored at {}×{}.".format(*kept.size, *kept.native))
    return " ".join(parts)


# --- what the scripts read --------------------------------------------------------------------------------------


def _payload(clip: ReportClip, result: EvaluationResult) -> dict[str, Any]:
    kept = clip.pictures
    return {
        "name": clip.name,
        "cut": _cut(clip),
        "fps": float(clip.fps),
        "frames": clip.frames,
        "first": kept.first,
        "size": list(kept.size),
        "streams": kept.streams,
        "source": kept.source,
        "curves": [_curve(metric, clip, result) for metric in clip.per_frame],
    }


def _curve(metric: str, clip: ReportClip, result: EvaluationResult) -> dict[str, Any]:
    words, worst = label(metric), ranked(clip, metric)
    return {
        "metric": metric,
        "text": words.text,
        "unit": words.unit,
        "digits": words.digits,
        "overall": result.metrics.get(metric),
        "worst": worst[0][0] if worst else None,
        "worst_word": "Lowest" if badness(metric, 0.0) is None else "Worst",
        "values": [round(float(value), 6) if np.isfinite(value) else None for value in clip.per_frame[metric]],
    }


# Template, style and scripts put into one.

ASSETS = files("signgen.scoring.report") / "assets"
# In this order, inside one function: each may use what stands before it.
SCRIPTS = ("data", "pictures", "clock", "stage", "curves", "chooser", "viewer", "keys", "main")


def report_page(
    result: EvaluationResult,
    clips: Sequence[ReportClip] = (),
    *,
    title: str = "",
    generated: str = "",
    reference: str = "",
    choice: str = "",
    date: str = "",
    limits: Limits | None = None,
) -> bytes:
    """The report as one HTML file that needs no network and no other file.

    Args:
        result: the scores.
        clips: the clips to embed. The page sorts them by their scores.
        title: heading; made from ``generated`` and ``reference`` where it is empty.
        generated, reference: what was compared, as a reader knows it.
        choice: how the clips were chosen among all, such as "the six lowest by Hand SSIM".
        date: ISO 8601; now where it is empty.
        limits: how much is embedded, see `Limits`.

    Returns:
        UTF-8; letters that are no Unicode (of strange file names) become question marks.
    """
    share = (limits or Limits()).share(len(clips))
    clips = [replace(clip, pictures=trimmed(clip.pictures, share)) for clip in clips]
    page = render(context(result, clips, title, generated, reference, choice, date))
    return page.encode("utf-8", errors="replace")


def render(content: dict[str, Any]) -> str:
    """The page. Every text of ``content`` is escaped by the template; only this package's own assets are not."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style, script = asset("report.css"), bundle()
    template = environment.from_string(asset("report.html.j2"))
    return template.render(content, style=Markup(style), script=Markup(script), policy=_policy(style, script))


def asset(name: str) -> str:
    """The text of one of the package's files."""
    return (ASSETS / name).read_text(encoding="utf-8")


def bundle() -> str:
    """All scripts as one function that runs at once, so that they share names with each other and with nobody else."""
    return "(() => {\n'use strict';\n" + "\n".join(asset(f"{name}.js") for name in SCRIPTS) + "})();"


def _policy(style: str, script: str) -> str:
    """Content Security Policy: this style, this script and the embedded pictures; no request to anywhere.

    It also means that a name of a clip could run nothing even if its escaping failed.
    """
    hashes = {"style": _hash(style), "script": _hash(script)}
    allowed = "; ".join(f"{kind}-src '{value}'" for kind, value in hashes.items())
    return f"default-src 'none'; img-src data: blob:; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
