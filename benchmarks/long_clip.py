"""Memory and time of inspect, convert, draw and render for clips of a thousand frames up to ten hours.

    python benchmarks/long_clip.py [--frames 1000,100000,900000] [--only inspect,convert]

Each command runs in a process of its own on an npz of noisy signing. ``draw`` and ``render`` make the last frames of
the clip only (a video of ten hours takes hours), but read, measure and complete all of what those depend on. CPU
seconds are shown beside the clock's, for machines that have other work.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import click
import numpy as np

from signgen.keypoints import Keypoints, read_keypoints
from signgen.package import EXAMPLES

DRAWN, RENDERED = 500, 8  # frames
COMMANDS = {
    "inspect": ("inspect", "{clip}", "--json"),
    "convert": ("convert", "{clip}", "{out}/clip.pose", "--json"),
    "draw": ("draw", "{clip}", "-o", "{out}/clip.mp4", "--frames", "{drawn}", "--json"),
    "render": ("render", "{clip}", "-o", "{out}/video.mp4", "--frames", "{rendered}", "--json"),
}


def write_clip(path: Path, frames: int, seed: int = 0) -> None:
    """The example's signing over and over, no frame like another, as `numpy.savez` writes it."""
    example, chance = read_keypoints(EXAMPLES / "weather.pose").keypoints, np.random.default_rng(seed)
    values = {"width": example.width, "height": example.height, "fps": example.fps, "name": "long"}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("keypoints.npy", "w", force_zip64=True) as member:
            shape = frames, *example.points.shape[1:]
            np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for start in range(0, frames, len(example)):
                member.write(_noisy(example, chance, frames - start).tobytes())
        for key, value in values.items():
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(value))


def _noisy(example: Keypoints, chance: np.random.Generator, most: int) -> np.ndarray:
    """float32 (N,133,3), N at most ``most``."""
    points = example.points[:most].copy()
    points[..., :2] += chance.normal(0, 0.3, points[..., :2].shape)
    points[chance.random(points.shape[:2]) < 0.02, 2] = 0
    return points


def measure(arguments: list[str]) -> tuple[int, float, float, float]:
    """Exit code, seconds, CPU seconds and MiB at most of one command."""
    begun = time.monotonic()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "signgen", *arguments], os.environ)
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - begun
    return os.waitstatus_to_exitcode(status), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


@click.command()
@click.option("--frames", default="1000,100000,900000", help="Lengths of the clips.")
@click.option("--only", default=",".join(COMMANDS), help="Commands to measure.")
def main(frames: str, only: str) -> None:
    """Memory and time of four commands for clips of these lengths."""
    click.echo(f"{'frames':>8}  {'command':8} {'seconds':>8} {'CPU s':>8} {'MiB':>6}", err=True)
    for count in map(int, frames.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "long.npz"
            write_clip(clip, count)
            drawn, rendered = (f"{max(count - some, 0)}:{count}" for some in (DRAWN, RENDERED))
            for command in only.split(","):
                places = {"clip": clip, "out": folder, "drawn": drawn, "rendered": rendered}
                arguments = [part.format(**places) for part in COMMANDS[command]]
                code, seconds, cpu, memory = measure(arguments)
                failed = f"  exit code {code}" if code else ""
                click.echo(f"{count:8}  {command:8} {seconds:8.1f} {cpu:8.1f} {memory:6.0f}{failed}", err=True)


if __name__ == "__main__":
    main()
