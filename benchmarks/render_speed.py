"""Speed and memory of `signgen render`: time to the first frame, frames a second, engines side by side.

    python benchmarks/render_speed.py [--model mini] [--steps N] [--rounds 3] [--long] [--ways bfloat16,float32,...]
                                      [--against REV] [--shares]

Each render is a process of its own, so that imports and peak memory are its own. Ways take turns, round after round:
other work on the machine then troubles all alike, and the ratio table (medians of each round's quotients to the first
way) says more than the seconds do. The clip is the real one of 86 frames in the sample data (SIGNGEN_SHARED, default
../shared), or an invented one of the same length where that is absent.

What the columns mean, all for the command's default output, an mp4:

* first frame: from the start of the process, Python and imports included, until the first finished frame was handed to
  the encoder. FFmpeg writes its packets when it has looked ahead 40 frames; a folder of PNGs has its first file then.
* ready: from the start of the process until reading the keypoints begins, loaded networks included.
* frames/s: frames over the seconds from reading the keypoints to the finished files in place, networks loaded:
  read, draw, denoise, decode, encode.
* with start: frames over the seconds of the whole process.
* CPU ms: processor time a frame of all threads, networks loaded. On a busy machine it says more than frames/s, above
  all with one thread (OMP_NUM_THREADS=1).

--against takes turns with an earlier commit, its own code and weights; ratios are to it. --shares renders twice in one
thread and says what the parts of the second render took, in CPU ms a frame; what a part calls that is a part itself is
counted there alone.

Ways: `bfloat16` and `float32` run torch; `openvino-bfloat16`, `openvino-float32` run the export that `signgen export`
left in the cache; `int8` and `int8-bfloat16` run the one in the folder of --int8 (made by `signgen export --int8 -o
FOLDER`), what is not in eight bits in float32 (as on a CPU without bfloat16 units) or in bfloat16.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CLIP = Path("data/wholebody133/derived_phoenix14t_86f.npz")
FRAMES, SIZE = 86, (210, 260)
WAYS = {
    "bfloat16": {"dtype": "bfloat16", "backend": "torch"},
    "float32": {"dtype": "float32", "backend": "torch"},
    "openvino-bfloat16": {"dtype": "bfloat16", "backend": "openvino"},
    "openvino-float32": {"dtype": "float32", "backend": "openvino"},
    "int8": {"dtype": "float32", "backend": "openvino"},
    "int8-bfloat16": {"dtype": "bfloat16", "backend": "openvino"},
}
SHARES = {
    "skeleton": ("signgen.rendering.sample_windows", "draw_canvas"),
    "solid hands": ("signgen.rendering.sample_windows", "Shown.hands"),
    "guides": ("signgen.model.pipeline", "draw_guides"),
    "conditions": ("signgen.model.engine", "TorchEngine.conditions"),
    "fusion": ("signgen.model.networks.fusion", "FusionModel.fuse"),
    "denoiser": ("signgen.model.engine", "TorchEngine.denoise"),
    "detail": ("signgen.model.networks.conditions", "DetailHead.forward"),
    "decoder": ("signgen.model.engine", "TorchEngine.frames"),
    "composer": ("signgen.model.engine", "TorchEngine.compose"),
    "crops of hands and faces": ("signgen.model.pipeline", "region_crops"),
    "refiner": ("signgen.model.engine", "TorchEngine.refine"),
    "reach of refiners": ("signgen.model.pipeline", "person_reach"),
    "refined crops into frames": ("signgen.model.pipeline", "paste"),
    "source, once a clip": ("signgen.model.pipeline", "SignGenPipeline.encode_source"),
    "plate and output frame": ("signgen.rendering.compositing", "Compositor.compose"),
    "encode": ("signgen.video.writing", "VideoWriter.write"),
}


def invented() -> tuple[np.ndarray, np.ndarray]:
    """xy (86,133,2) and confidence (86,133) of someone whose hands go round."""
    xy = np.tile(np.random.default_rng(0).uniform(0.35, 0.65, (1, 133, 2)) * SIZE, (FRAMES, 1, 1))
    xy[:, 0], xy[:, 5], xy[:, 6] = (110, 66), (152, 123), (66, 123)
    turn = np.arange(FRAMES) / 12 * 2 * np.pi
    xy[:, 91:] += 30 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)[:, None]
    return xy.astype(np.float32), np.full((FRAMES, 133), 0.9, np.float32)


def write_clip(folder: Path, times: int) -> Path:
    """The clip as a file, forward and backward in turn ``times`` times, so that no jump comes between."""
    from signgen.keypoints import Keypoints, read_keypoints, write_keypoints

    path = Path(os.environ.get("SIGNGEN_SHARED", ROOT.parent / "shared")) / CLIP
    if path.is_file():
        read = read_keypoints(path, frame_size=SIZE, fps=25.0).keypoints
        xy, confidence = read.xy, read.confidence
    else:
        xy, confidence = invented()
    order = np.concatenate([np.arange(len(xy))[:: 1 - 2 * (i % 2)] for i in range(times)])
    clip = Keypoints(xy[order], confidence[order], width=SIZE[0], height=SIZE[1], fps=25.0, name="benchmark")
    write_keypoints(clip, folder / f"clip{times}.npz")
    return folder / f"clip{times}.npz"


def watch(spent: dict[str, float]) -> None:
    """From now on the CPU seconds of each share are added up; those of the hand and the face refiner apart."""
    inner = threading.local()

    def watched(share: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*given: Any, **named: Any) -> Any:
            outside, inner.spent = getattr(inner, "spent", 0.0), 0.0
            begun = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                whole = time.thread_time() - begun
                spent[given[1] if share == "refiner" else share] += whole - inner.spent
                inner.spent = outside + whole

        return counted

    for share, (module, name) in SHARES.items():
        *classes, attribute = name.split(".")
        try:
            owner = functools.reduce(getattr, classes, importlib.import_module(module))
            setattr(owner, attribute, watched(share, getattr(owner, attribute)))
        except (ImportError, AttributeError):
            continue  # an earlier commit that has no such part


def shares(clip: Path, arguments: argparse.Namespace) -> None:
    """Prints the CPU ms a frame of each share, of one thread's second render, as JSON."""
    import torch

    from signgen.rendering import RenderSettings, load_model, render

    torch.set_num_threads(1)
    spent: dict[str, float] = defaultdict(float)
    watch(spent)
    settings = RenderSettings(**WAYS["float32"], steps=arguments.steps, device="cpu")
    model = load_model(arguments.model, settings)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            spent.clear()
            begun = processor_seconds()
            result = render(clip, arguments.source, model, Path(folder) / f"{number}.mp4", steps=arguments.steps)
            whole = processor_seconds() - begun
    spent |= {"all else, threads of the encoder among it": whole - sum(spent.values()), "whole": whole}
    print(json.dumps({share: seconds / result.frames * 1e3 for share, seconds in spent.items()}))


def table_of_shares(found: dict[str, dict[str, float]]) -> None:
    """A column of CPU ms a frame for each tree."""
    print(f"{'CPU ms a frame':<44}" + "".join(f"{name:>14}" for name in found))
    *_, now = found.values()
    for share in sorted(now, key=lambda share: -now[share]):
        print(f"{share:<44}" + "".join(f"{one.get(share, 0):>14.2f}" for one in found.values()))


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(begun: float, clip: Path, way: str, arguments: argparse.Namespace) -> None:
    """Renders once as the command does and prints what it took as JSON."""
    from signgen import quick_start

    quick_start.allow()
    if way == "shares":
        shares(clip, arguments)
        return
    from signgen.rendering import RenderSettings, load_model, render
    from signgen.video import VideoWriter

    options: dict[str, Any] = {**WAYS[way], "steps": arguments.steps, "device": "cpu"}
    if "int8" in way:
        options["export"] = arguments.int8
    first: list[float] = []
    write = VideoWriter.write

    def timed(self: VideoWriter, frame: np.ndarray) -> None:
        write(self, frame)
        first.append(time.time())

    VideoWriter.write = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(arguments.model, RenderSettings(**options))
        ready, before = time.time(), processor_seconds()
        result = render(clip, arguments.source, model, Path(folder) / "out.mp4", steps=arguments.steps)
        end, worked = time.time(), processor_seconds() - before
        configuration = json.loads(Path(result.manifest).read_text())["configuration"]
    print(
        json.dumps(
            {
                "frames": result.frames,
                "first": first[0] - begun,
                "ready": ready - begun,
                "rate": result.frames / (end - ready),
                "whole": result.frames / (end - begun),
                "work": worked / result.frames * 1e3,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                **{key: configuration[key] for key in ("engine", "dtype", "steps", "window", "overlap")},
            }
        )
    )


def measured(clip: Path, way: str, tree: Path = ROOT) -> dict[str, Any]:
    """One render in a process of its own, by the package in ``tree``."""
    command = [sys.executable, __file__, *sys.argv[1:], "--child", repr(time.time()), str(clip), way]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip().splitlines()[-1] if done.stderr else "the render failed")
    return json.loads(done.stdout.splitlines()[-1])


def earlier(revision: str, folder: Path) -> Path:
    """The tree of a commit, written to ``folder``."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", revision], capture_output=True, check=False)
    if packed.returncode:
        sys.exit(packed.stderr.decode().strip())
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


def machine() -> str:
    """Processor, cores and the units that count here."""
    import torch

    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    units = [unit for unit in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512_f", "avx2") if abilities.get(unit)]
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"{name}, {os.cpu_count()} cores, {', '.join(units)}; torch {torch.__version__}; load before {load}"


def table(found: dict[str, list[dict[str, Any]]]) -> None:
    """Medians by way, and quotients to the first way, taken round by round."""
    base = next(iter(found))
    print(f"{'way':<20}{'first frame s':>15}{'ready s':>9}{'frames/s':>10}{'with start':>12}{'peak MB':>9}"
          f"{'CPU ms':>9}{'ratio':>7}{'CPU ratio':>11}")  # fmt: skip
    for way, rounds in found.items():
        middle = {
            key: statistics.median(run[key] for run in rounds) for key in ("first", "ready", "rate", "whole", "work")
        }
        ratio, work = (statistics.median(a[key] / b[key] for a, b in zip(rounds, found[base], strict=True))
                       for key in ("rate", "work"))  # fmt: skip
        peak = max(run["peak_mb"] for run in rounds)
        print(
            f"{way:<20}{middle['first']:>15.2f}{middle['ready']:>9.2f}{middle['rate']:>10.1f}{middle['whole']:>12.1f}"
            f"{peak:>9.0f}{middle['work']:>9.1f}{ratio:>7.2f}{work:>11.2f}",
            flush=True,
        )
    how = {key: found[base][0][key] for key in ("frames", "steps", "window", "overlap")}
    print(how, {way: rounds[0]["engine"] for way, rounds in found.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--source", default=None)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="bfloat16,float32", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--int8", help="folder of an export with --int8")
    parser.add_argument("--long", action="store_true", help="a clip ten times as long too: memory must not grow")
    parser.add_argument("--against", metavar="REV", help="a commit to take turns with")
    parser.add_argument(
        "--shares", action="store_true", help="what the parts of a frame take, instead of whole renders"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        begun, clip, way = arguments.child
        child(float(begun), Path(clip), way, arguments)
        return
    ways = arguments.ways.split(",")
    if set(ways) - set(WAYS) or (any("int8" in way for way in ways) and not arguments.int8):
        parser.error(f"--ways are {', '.join(WAYS)}; int8 needs --int8 FOLDER")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trees = {"": ROOT}
        if arguments.against:
            (tree := Path(folder) / "before").mkdir()
            trees = {f" {arguments.against}": earlier(arguments.against, tree), " now": ROOT}
        if arguments.shares:
            clip = write_clip(Path(folder), 1)
            table_of_shares({name: measured(clip, "shares", tree) for name, tree in trees.items()})
            return
        for times in (1, 10) if arguments.long else (1,):
            clip = write_clip(Path(folder), times)
            found: dict[str, list[dict[str, Any]]] = {f"{way}{name}": [] for way in ways for name in trees}
            if arguments.against and times == 1:
                measured(clip, ways[0], trees[f" {arguments.against}"])  # a new tree compiles its functions first
            for _ in range(arguments.rounds):
                for way in ways:
                    for name, tree in trees.items():
                        found[f"{way}{name}"].append(measured(clip, way, tree))
            table(found)


if __name__ == "__main__":
    main()
