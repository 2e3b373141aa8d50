"""Delay of `signgen live`, from a line of keypoints in to its frame out.

    python benchmarks/live.py [--minutes 5] [--fps 15] [--model mini] [--export FOLDER] [--ways lines,file]

The command runs as a process of its own and writes raw frames into a pipe. With `lines` this program writes a line of
keypoints at each tick of a clock, never waiting for frames, and notes when; with `file` the command plays a file at its
own rate. The delay of a frame is from when its line was written (or its time in the file came, counted from the
first frame) to when the whole frame was read here. The clip is that of `render_speed.py`, forward and backward in turn.

Printed for each way: median and 95th percentile of the delay, frames a second, the share of frames left out, and the
drift: the slope of a line through the delays of all frames, in ms a minute. The first two seconds do not count. Exit
code 1 where the median is above 150 ms, the 95th percentile above 250 ms, or less than 15 frames a second come (of
fewer, all of them). `--json` prints one object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
from render_speed import FRAMES, ROOT, SIZE, machine, write_clip

MEDIAN, LATE, RATE = 150.0, 250.0, 15.0  # ms, ms, frames a second
SETTLED = 2.0  # seconds that do not count


def command(arguments: argparse.Namespace, given: str, log: Path) -> list[str]:
    rate = ["--fps", str(arguments.fps)] if given == "-" else []
    if arguments.export:
        rate += ["--export", arguments.export]
    return [
        sys.executable, "-m", "signgen", "live", given, "-o", "-", "--delays", str(log), "--source", arguments.source,
        "--model", arguments.model, "--device", "cpu", "--delay", str(arguments.delay), *rate,
    ]  # fmt: skip


def run(arguments: argparse.Namespace, way: str, folder: Path) -> dict[str, Any]:
    """One way, measured."""
    from signgen.keypoints import read_keypoints, write_keypoints

    seconds = arguments.minutes * 60
    times = int(np.ceil(seconds * arguments.fps / FRAMES)) + 1
    path = write_clip(folder, times)
    clip = read_keypoints(path).keypoints[: round(seconds * arguments.fps)]
    clip = type(clip)(clip.xy, clip.confidence, *clip.size, arguments.fps, clip.name)
    write_keypoints(clip, path)
    log = folder / f"{way}.jsonl"
    given = "-" if way == "lines" else str(path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(
        command(arguments, given, log), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert child.stdin is not None
    assert child.stdout is not None
    read: list[float] = []
    reader = threading.Thread(target=_read, args=(child.stdout, 3 * SIZE[0] * SIZE[1], read))
    reader.start()
    sent = _write(child.stdin, clip, read) if way == "lines" else []
    child.stdin.close()
    reader.join()
    if child.wait():
        sys.exit("signgen live failed")
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(told) == len(read), "a frame and a line of the log belong together"
    numbers = np.array([one["number"] for one in told])
    out = np.array(read)
    came = np.array(sent)[numbers] if way == "lines" else out[0] + (numbers - numbers[0]) / arguments.fps
    if way == "file":  # the first frame's own delay is told by the command
        came = came - told[0]["delay_ms"] / 1000
    return figures(numbers, came, out, arguments.fps)


def figures(numbers: np.ndarray, came: np.ndarray, out: np.ndarray, fps: float) -> dict[str, Any]:
    """What is told of frames (N,) by their numbers, when their keypoints came and when they were there, in seconds."""
    settled = came >= came[0] + min(SETTLED, (came[-1] - came[0]) / 2)
    numbers, came, out = numbers[settled], came[settled], out[settled]
    delays = (out - came) * 1000
    minutes = (came - came[0]) / 60
    slope = float(np.polyfit(minutes, delays, 1)[0]) if len(minutes) > 2 else 0.0
    return {
        "frames": len(out), "minutes": round(float(minutes[-1]), 3), "fps_in": fps,
        "frames_per_second": round((len(out) - 1) / max(float(out[-1] - out[0]), 1e-9), 2),
        "left_out": round(1 - len(out) / max(int(numbers[-1] - numbers[0]) + 1, 1), 4),
        "median_ms": round(float(np.median(delays)), 1), "p95_ms": round(float(np.quantile(delays, 0.95)), 1),
        "drift_ms_a_minute": round(slope, 2),
    }  # fmt: skip


def _write(stream: IO[bytes], clip: Any, read: list[float]) -> list[float]:
    """Writes header and frames, each when it is due; when that was. The clock begins with the first frame's coming."""
    stream.write(b'{"width": %d, "height": %d, "fps": %g}\n' % (*clip.size, clip.fps))
    lines = [json.dumps(points.round(2).tolist()).encode() + b"\n" for points in clip[: 2 * FRAMES].points]
    sent = []
    begun = 0.0
    for number in range(len(clip)):
        time.sleep(max(begun + number / clip.fps - time.monotonic(), 0))
        sent.append(time.monotonic())
        stream.write(lines[number % len(lines)])
        stream.flush()
        while not read:
            time.sleep(0.01)
        begun = begun or time.monotonic()
    return sent


def _read(stream: IO[bytes], size: int, read: list[float]) -> None:
    while len(stream.read(size)) == size:
        read.append(time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--fps", type=float, default=15.0, help="at which keypoints come")
    parser.add_argument("--source", default="alma")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--export", help="folder of `signgen export`; else one in the cache, or torch")
    parser.add_argument("--delay", type=int, default=0, help="frames of look-ahead; their time counts")
    parser.add_argument("--ways", default="lines,file")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    about, found = machine(), {}
    with tempfile.TemporaryDirectory() as folder:
        for way in arguments.ways.split(","):
            found[way] = run(arguments, way, Path(folder))
    if arguments.json:
        print(json.dumps({"machine": about, **found}))
    else:
        print(about)
        for way, told in found.items():
            print(
                f"{way}: {told['frames']} frames in {told['minutes']:.1f} minutes, median {told['median_ms']:.0f} ms,"
                f" 95% {told['p95_ms']:.0f} ms, {told['frames_per_second']:.1f} a second,"
                f" {told['left_out']:.1%} left out, drift {told['drift_ms_a_minute']:+.1f} ms a minute"
            )
    late = [
        way
        for way, told in found.items()
        if told["median_ms"] > MEDIAN
        or told["p95_ms"] > LATE
        or told["frames_per_second"] < 0.98 * min(RATE, arguments.fps)
    ]
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
