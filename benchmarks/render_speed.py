"""Speed and memory of `signgen render`: a clip of 86 frames and one ten times as long.

    python benchmarks/render_speed.py [--model mini] [--device auto] [--steps N]

Each render runs in its own process, so that its peak memory is its own. The clip is the real one of 86 frames in
the sample data (SIGNGEN_SHARED, default ../shared), or an invented one of the same length where that is absent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CLIP = Path("data/wholebody133/derived_phoenix14t_86f.npz")
FRAMES, SIZE = 86, (210, 260)


def invented() -> tuple[np.ndarray, np.ndarray]:
    """xy (86,133,2) and confidence (86,133) of someone whose hands go round."""
    xy = np.tile(np.random.default_rng(0).uniform(0.35, 0.65, (1, 133, 2)) * SIZE, (FRAMES, 1, 1))
    xy[:, 0], xy[:, 5], xy[:, 6] = (110, 66), (152, 123), (66, 123)
    turn = np.arange(FRAMES) / 12 * 2 * np.pi
    xy[:, 91:] += 30 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)[:, None]
    return xy.astype(np.float32), np.full((FRAMES, 133), 0.9, np.float32)


def clip(times: int):
    """The clip, forward and backward in turn ``times`` times, so that no jump comes between."""
    from signgen.keypoints import Keypoints, read_keypoints

    path = Path(os.environ.get("SIGNGEN_SHARED", ROOT.parent / "shared")) / CLIP
    if path.is_file():
        read = read_keypoints(path, frame_size=SIZE, fps=25.0).keypoints
        xy, confidence = read.xy, read.confidence
    else:
        xy, confidence = invented()
    order = np.concatenate([np.arange(len(xy))[:: 1 - 2 * (i % 2)] for i in range(times)])
    return Keypoints(xy[order], confidence[order], width=SIZE[0], height=SIZE[1], fps=25.0, name="benchmark")


def child(times: int, arguments: argparse.Namespace) -> None:
    """Renders once and prints what it took as JSON."""
    from signgen.rendering import render

    with tempfile.TemporaryDirectory() as folder:
        result = render(
            clip(times), arguments.source, arguments.model, Path(folder) / "out.mp4",
            steps=arguments.steps, device=arguments.device, dtype=arguments.dtype,
        )  # fmt: skip
        configuration = json.loads(Path(result.manifest).read_text())["configuration"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    named = {key: configuration[key] for key in ("device", "dtype", "steps", "window", "overlap")}
    print(json.dumps({"frames": result.frames, "seconds": result.seconds, "peak_mb": peak, **named}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--source", default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments)
        return
    print(f"{'frames':>7}{'seconds':>9}{'frames/s':>10}{'peak MB':>9}  how", flush=True)
    for times in (1, 10):
        command = [sys.executable, __file__, *sys.argv[1:], "--child", str(times)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(done.stderr.strip().splitlines()[-1] if done.stderr else "the render failed")
        found = json.loads(done.stdout.splitlines()[-1])
        frames, seconds = found.pop("frames"), found.pop("seconds")
        print(f"{frames:7}{seconds:9.2f}{frames / seconds:10.1f}{found.pop('peak_mb'):9.0f}  {found}", flush=True)


if __name__ == "__main__":
    main()
