"""The sampler's benchmark as a table, and the machine that it ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "RTX 4090": 165.0}  # dense bfloat16 TFLOP/s


def machine(device: torch.device) -> dict[str, Any]:
    """Where this ran."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        info = Path("/proc/cpuinfo")
        names = (
            [t.split(":")[1].strip() for t in info.read_text().splitlines() if "model name" in t]
            if info.is_file()
            else []
        )
        name = f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"device": name, "torch": torch.__version__, "load_before": load}


def peak_of(device: torch.device, given: float | None) -> float | None:
    """TFLOP/s that the device can do at most in bfloat16, where it is known."""
    if given or device.type != "cuda":
        return given
    name = torch.cuda.get_device_name(device)
    return next((value for key, value in PEAKS.items() if key in name), None)


def document(result: dict[str, Any]) -> str:
    """The table in Markdown."""
    rows, setting = result["rows"], result["setting"]
    published = rows[0]
    timed = "seconds_per_frame" in published
    heads = ["way", "steps x branches", "evaluations a frame", "TFLOP a frame", "fewer by", "difference"]
    heads += ["s a frame", "frames/s", "faster by"] if timed else []
    heads += ["share of peak"] if timed and result["peak_tflops"] else []
    heads += ["memory GiB"] if "memory_gib" in published else []
    lines = [_line(heads), _line(["---"] * len(heads))]
    lines += [_line(_cells(row, published, result["peak_tflops"])) for row in rows]
    where = result["machine"]
    parts = ", ".join(f"{name} {count / 1e6:.1f}M" for name, count in result["parameters"].items())
    about = f"{where['device']}; torch {where['torch']}; {setting['dtype']}, {setting['side']}x{setting['side']}, "
    about += f"{setting['batch']} frames at a time, clips of {setting['clip']} frames; parameters: {parts}."
    about += f" Peak resident memory {result['resident_gib']:.1f} GiB."
    return "\n".join([about, "", *lines]) + "\n"


def _cells(row: dict[str, Any], published: dict[str, Any], peak: float | None) -> list[str]:
    fewer = published["tflop_per_frame"] / row["tflop_per_frame"]
    canvas = "" if row["canvas"] == published["canvas"] else " ({}x{})".format(*row["canvas"])
    cells = [row["way"] + canvas, f"{row['steps']} x {row['branches']}", str(row["evaluations_per_frame"])]
    cells += [f"{row['tflop_per_frame']:.4g}", f"{fewer:.2f}", str(row.get("largest_difference", "another model"))]
    if "seconds_per_frame" in row:
        faster = published["seconds_per_frame"] / row["seconds_per_frame"]
        cells += [f"{row['seconds_per_frame']:.4g}", f"{row['frames_per_second']:.4g}", f"{faster:.2f}"]
        if peak:
            cells.append(f"{row['tflop_per_frame'] / row['seconds_per_frame'] / peak:.1%}")
    if "memory_gib" in row:
        cells.append(f"{row['memory_gib']:.1f}")
    return cells


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
