"""Samples a second of the loader alone: what a device may eat before it has to wait.

    python benchmarks/loader_speed.py                                # on a data set that it makes up
    python benchmarks/loader_speed.py --data PREPARED --canvas 416x512 --threads 2

A sample is a triplet: source frame, target frame (210x260, decoded) and the target's pose image on the canvas, from
disturbed keypoints. "Cached" reads frames that `signgen prepare` has decoded, "uncached" the PNG files; "latents" reads
no target frames, as the denoiser's stages do. On a machine with other work the seconds of CPU a sample are what counts:
a core makes their reciprocal.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image

from signgen.commands.options import SIZE
from signgen.dataset.batches import BatchMaker, made_ahead
from signgen.dataset.cache import FrameCache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.encoded import Encoders
from signgen.dataset.planning import Plan
from signgen.dataset.prepare import Work, prepare
from signgen.dataset.prepared import FRAMES, open_prepared

CLIPS, FRAMES_A_CLIP = 8, 48


def make_data(folder: Path) -> Path:
    """A prepared data set of a built-in signer, moved about under film grain: its PNG files are of real size."""
    from signgen.keypoints import read_keypoints
    from signgen.rendering.source import load_source

    package = Path(__file__).resolve().parent.parent / "signgen"
    motion = read_keypoints(package / "assets" / "examples" / "weather.pose").keypoints.resized(210, 260)
    points = np.concatenate((motion.xy, motion.confidence[..., None]), -1)
    person = np.asarray(Image.fromarray(load_source().image).resize((210, 260)), np.int16)
    rng = np.random.default_rng(0)
    release = folder / "data" / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    rows = ["name|video|start|end|speaker|orth|translation"]
    (folder / "data" / "keypoints").mkdir(parents=True)
    for clip in range(CLIPS):
        name = f"clip-{clip}"
        rows.append(f"{name}|{name}/1/*.png|-1|-1|Signer01|REGEN|regen")
        place = release / "features" / "fullFrame-210x260px" / "train" / name
        place.mkdir(parents=True)
        for number in range(1, FRAMES_A_CLIP + 1):
            moved = np.roll(person, (number, clip), (0, 1)) + np.rint(rng.normal(0, 1.5, person.shape)).astype(np.int16)
            Image.fromarray(moved.clip(0, 255).astype(np.uint8)).save(place / f"images{number:04d}.png")
        some = np.resize(points, (FRAMES_A_CLIP, 133, 3))
        np.savez(folder / "data" / "keypoints" / f"{name}.npz", keypoints=some, width=210, height=260, fps=25.0)
    manual = release / "annotations" / "manual"
    manual.mkdir(parents=True)
    (manual / "PHOENIX-2014-T.train.corpus.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    work = Work(str(folder / "data"), folder / "out", lambda: Encoders(torch.device("cpu")), Plan(triplets=2000))
    prepare(work, lambda needs, free: None, lambda total, name: nullcontext(lambda n: None))
    return folder / "out"


def measure(maker: BatchMaker, threads: int, seconds: float) -> dict[str, float]:
    """Samples a second, and milliseconds of CPU a sample, over about ``seconds`` after two batches to warm up."""
    with made_ahead(lambda step: maker(np.random.default_rng(step)), range(10**9), 2 * threads, threads) as batches:
        next(batches), next(batches)
        count, begun, cpu = 0, time.monotonic(), time.process_time()
        while time.monotonic() - begun < seconds or count < 4:
            next(batches)
            count += 1
        wall, spent = time.monotonic() - begun, time.process_time() - cpu
    samples = count * maker.batch
    return {"samples_per_second": round(samples / wall, 1), "cpu_ms": round(1000 * spent / samples, 3)}


def rows(
    folder: Path, batch: int, canvas: tuple[int, int] | None, threads: int, seconds: float
) -> list[dict[str, Any]]:
    """One row for each way of loading."""
    uncached = open_prepared(folder, frames=False)
    ways: list[tuple[str, FrameCache, bool]] = [("uncached", uncached, True), ("uncached, latents", uncached, False)]
    if (folder / "train" / FRAMES).is_dir():
        cached = open_prepared(folder)
        ways = [("cached", cached, True), ("cached, latents", cached, False), *ways]
    found = []
    for name, cache, targets in ways:
        maker = BatchMaker(cache, batch, 1, canvas, Disturbance(), ("targets",) if targets else ())
        figures = measure(maker, threads, seconds)
        found.append({"way": name, **figures, "per_core": round(1000 / figures["cpu_ms"], 1)})
    return found


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A folder that signgen prepare wrote.")
@click.option("--batch", default=16, show_default=True, help="Samples of a batch.")
@click.option("--canvas", type=SIZE, help="Size of the pose images; the padded frame by default.")
@click.option("--threads", default=2, show_default=True, help="Threads that make batches.")
@click.option("--seconds", default=5.0, show_default=True, help="Time for each row.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    data: Path | None, batch: int, canvas: tuple[int, int] | None, threads: int, seconds: float, as_json: bool
) -> None:  # fmt: skip
    """Measure the loader alone."""
    with tempfile.TemporaryDirectory() as scratch:
        found = rows(data or make_data(Path(scratch)), batch, canvas, threads, seconds)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo("| loader | samples/s | CPU ms a sample | samples/s of a whole core |\n|---|---|---|---|")
    for row in found:
        click.echo(f"| {row['way']} | {row['samples_per_second']} | {row['cpu_ms']} | {row['per_core']} |")


if __name__ == "__main__":
    main()
