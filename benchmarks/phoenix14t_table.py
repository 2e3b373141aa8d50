"""The PHOENIX14T benchmark's tables in Markdown: measured systems beside what others have reported."""

from __future__ import annotations

from typing import Any

from signgen.scoring.metrics.registry import METRICS

REPORTED_NOTE = "reported, its own data and evaluator"
# As printed in table 4 of FPDM, where the hand error has no unit and no SSIM is defined. No figures: none at hand.
REPORTED: dict[str, dict[str, float]] = {
    "EDN (Chan et al. 2019)": {"ssim_win51": 0.737, "hand_ssim": 0.553, "hand_pe": 23.09, "fid": 41.54},
    "Vid2Vid (Wang et al. 2018)": {"ssim_win51": 0.750, "hand_ssim": 0.570, "hand_pe": 22.51, "fid": 56.17},
    "Pix2PixHD (Wang et al. 2019)": {"ssim_win51": 0.737, "hand_ssim": 0.553, "hand_pe": 23.06, "fid": 42.57},
    "Stoll et al. (2019)": {"ssim_win51": 0.727, "hand_ssim": 0.533, "hand_pe": 23.17, "fid": 64.01},
    "SignGAN (Saunders et al. 2022)": {"ssim_win51": 0.759, "hand_ssim": 0.605, "hand_pe": 22.05, "fid": 27.75},
    "FPDM (its first version)": {"ssim_win51": 0.886, "hand_ssim": 0.6816, "hand_pe": 21.43, "fid": 5.129},
    "SignViP": {},
}
COLUMNS = (
    "ssim_win51", "ssim_wang", "psnr", "lpips", "fid", "hand_ssim", "hand_pe", "tof", "motion_ratio", "still_flicker",
    "wer_true", "wer_generated", "recognition_retained",
)  # fmt: skip
COUNTS = ("clips", "frames", "hands", "hands_left_out", "words")  # the same for all systems
DASH = "–"


def _cell(name: str, value: float | None, interval: list[float] | None = None) -> str:
    if value is None:
        return DASH
    digits = METRICS[name].digits
    text = f"{value:.{digits}f}"
    return text if interval is None else f"{text} ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(rows: list[dict[str, Any]]) -> list[str]:
    """The columns in which something was measured, and those that others report."""
    reported = {name for row in REPORTED.values() for name in row}
    return [n for n in COLUMNS if n in reported or any(row["metrics"].get(n) is not None for row in rows)]


def main_table(rows: list[dict[str, Any]]) -> str:
    """Measured rows (system, metrics, intervals), then the reported ones; a dash: nobody has measured it."""
    columns = _shown(rows)
    lines = [_line(["system", *(METRICS[name].label for name in columns), ""]), _line(["---"] * (len(columns) + 2))]
    for row in rows:
        cells = [_cell(name, row["metrics"].get(name), row["intervals"].get(name)) for name in columns]
        lines.append(_line([row["system"], *cells, "measured here"]))
    for system, values in REPORTED.items():
        printed = (f"{values[name]:g}" if name in values else DASH for name in columns)  # no digits that nobody gave
        lines.append(_line([system, *printed, REPORTED_NOTE]))
    return "\n".join(lines)


def source_table(rows: list[dict[str, Any]], sources: list[str]) -> str:
    """For each system and score: its value by source, and the spread, largest minus smallest."""
    lines = [_line(["system", "score", *sources, "spread"]), _line(["---"] * (len(sources) + 3))]
    for system in dict.fromkeys(row["system"] for row in rows):
        values = {row["source"]: row["metrics"] for row in rows if row["system"] == system}
        if not all(source in values for source in sources):  # looks at no source
            continue
        for name in COLUMNS:
            found = [values[source].get(name) for source in sources]
            if any(value is None for value in found):
                continue
            spread = max(found) - min(found)
            lines.append(_line([system, METRICS[name].label, *(_cell(name, v) for v in found), _cell(name, spread)]))
    return "\n".join(lines)


def document(results: dict[str, Any]) -> str:
    """The whole Markdown file."""
    run, rows = results["run"], results["rows"]
    first = [row for row in rows if row["source"] == run["sources"][0] or row["source"] is None]
    counts = rows[0]["counts"] if rows else {}
    said = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in COUNTS if name in counts)
    text = [
        f"# {run['title']}: source is the {run['sources'][0]} frame, target every frame",
        f"`{run['command']}`",
        f"{said}. 95 % bootstrap intervals over clips in brackets.",
        main_table(first),
        f'Rows marked "{REPORTED_NOTE}" are figures of FPDM\'s table 4: other people, frames and evaluators, and '
        "definitions of SSIM, hand crops and FID that were not published. They cannot be compared with the rows above. "
        "A later revision of FPDM is listed with SSIM 0.864.",
    ]
    if len(run["sources"]) > 1:
        text += [
            "## The same clips from other source frames of the signer",
            "The least similar frame is looked for in all clips of the signer. In drawn clips each has its own light, "
            "camera and backdrop, which the source brings along and the truth does not have.",
            source_table(rows, run["sources"]),
        ]
    if rows and rows[0]["not_computed"]:
        text += ["Not computed:", "\n".join(f"- {n}: {why}" for n, why in rows[0]["not_computed"].items())]
    if rows:
        text += ["## Signatures", "\n".join(f"- {n}: {said}" for n, said in rows[0]["signatures"].items())]
    return "\n\n".join(text) + "\n"
