"""What a frame costs: the published sampler, each saving that changes nothing, and students, side by side in one run.

    python benchmarks/bench_sampler.py --json sampler.json > sampler.md
    python benchmarks/bench_sampler.py --dtype float32 --ways exact --frames 0
    python benchmarks/bench_sampler.py --run-steps 3
    python benchmarks/bench_sampler.py --tiny

The first runs at full size, on a CPU at 256x256 and on a GPU at 512x512; the second shows the differences of frames
without the rounding of bfloat16; the third runs three steps of each frame alone and takes the others to cost what the
third did (differences are then those after three steps); the last takes a minute on a laptop.

The model is FPDM's at its own size (866M UNet, DINOv2-L at 512, CLIP ViT-L/14, Stable Diffusion's autoencoder) with
random weights, which cost what trained ones cost. Published means FPDM's release as our engine runs it: 20 ancestral
steps, three branches of guidance with w1 = w2 = 2, the source encoded anew for each frame, keys and values of its
tokens computed in every step and branch, no condition meaning zero tokens that are attended to.

A frame is everything from keypoints in memory to uint8 pixels in memory: pose picture, encoders, sampling, decoder.
What is done once a clip (the source) is shared by ``--clip`` frames; PHOENIX14T's test clips have 101 on average.
Operations are counted by torch as the frames are made, 2 for a multiplication with addition. "difference" is the
largest one from the frames of the published sampler, in steps of 0 to 255; where a saving is exact by algebra but not
bit by bit (two branches for three), rounding to ``--dtype`` shows in it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from sampler_model import TINY, Model, Sizes, build, with_width
from sampler_table import document, machine, peak_of
from sampler_ways import PARTS, WAYS, Cost, Sampler, Watch, Way

from signgen.errors import InputError, SignGenError
from signgen.model import choose_device, choose_dtype

SOURCE_NOISE = 40


class Bench:
    """Measures ways of one model, all on the same frames of one invented clip."""

    def __init__(self, model: Model, batch: int, frames: int, clip: int, seed: int, compiled: bool, run: int) -> None:
        self.model, self.batch, self.rounds, self.clip, self.run = model, batch, -(-frames // batch), clip, run
        self.seed, self.compiled = seed, compiled
        rng = np.random.default_rng(seed)
        width, height = model.square.canvas_size
        self.image = rng.integers(90, 90 + SOURCE_NOISE, (height, width, 3)).astype(np.uint8)
        points = rng.uniform(0.2, 0.8, (8, 133, 2)) * (width, height)
        self.keypoints = np.concatenate([points, np.ones((8, 133, 1))], -1).astype(np.float32)
        self.reference: tuple[np.ndarray, torch.Tensor] | None = None

    def measure(self, way: Way) -> dict[str, Any]:
        """One way: its operations in two rounds of frames, then the time of the others."""
        device = self.model.square.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        sampler = self._sampler(way, compiled=False)
        watches = [Watch(device, counting=True) for _ in range(2)]
        made = [sampler.frames(turn * self.batch, watch) for turn, watch in enumerate(watches)]
        frames, latents = np.concatenate([f for f, _ in made]), torch.cat([z for _, z in made])
        operations = self._shared(*(watch.cost for watch in watches))
        row: dict[str, Any] = {
            "way": way.name, "steps": way.steps, "branches": way.branches, "exact": way.exact,
            "evaluations_per_frame": way.steps * way.branches, "canvas": list(sampler.pipeline.canvas_size),
            "tflop_per_frame": operations.total() / 1e12,
            "tflop_by_part": {name: value / 1e12 for name, value in operations.of.items()},
            **self._differences(way, frames, latents),
        }  # fmt: skip
        if self.rounds:
            row |= self._timed(way, sampler)
        if device.type == "cuda":
            row["memory_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        return row

    def _sampler(self, way: Way, compiled: bool) -> Sampler:
        common = (self.model, way, self.keypoints, self.image, self.batch, self.seed, self.run)
        return Sampler(*common, compiled=compiled, remembers=not self.compiled)

    def _shared(self, first: Cost, later: Cost) -> Cost:
        """A frame's share: what only the first round took is done once a clip."""
        once = {name: (first.of[name] - later.of[name]) / self.clip for name in PARTS}
        return Cost({name: once[name] + later.of[name] / self.batch for name in PARTS})

    def _differences(self, way: Way, frames: np.ndarray, latents: torch.Tensor) -> dict[str, float]:
        if self.reference is None:
            self.reference = frames, latents
            return {"largest_difference": 0, "share_of_values_that_differ": 0.0, "largest_latent_difference": 0.0}
        if not way.exact:
            return {}
        apart = np.abs(frames.astype(np.int16) - self.reference[0].astype(np.int16))
        return {
            "largest_difference": int(apart.max()),
            "share_of_values_that_differ": float((apart > 0).mean()),
            "largest_latent_difference": float((latents - self.reference[1]).abs().max()),
        }

    def _timed(self, way: Way, sampler: Sampler) -> dict[str, Any]:
        """Seconds of a frame; ``sampler`` is warm, and has the source of the clip where that is encoded once."""
        device = self.model.square.device
        if self.compiled:
            sampler = self._sampler(way, compiled=True)
            for _ in range(2):
                sampler.frames(0, Watch(device))
        once = 0.0
        if way.once:
            again = Watch(device)
            with again.part("source"):
                sampler.pipeline.encode_source(sampler.image)
            once = again.cost.of["source"]
        watch = Watch(device)
        begun = time.perf_counter()
        for turn in range(self.rounds):
            sampler.frames((2 + turn) * self.batch, watch)
        parts = watch.cost.each(self.rounds * self.batch)
        if sampler.run < way.steps:
            seconds = parts.total() + once / self.clip
        else:
            seconds = (time.perf_counter() - begun) / (self.rounds * self.batch) + once / self.clip
        return {
            "seconds_per_frame": seconds,
            "frames_per_second": 1 / seconds,
            "seconds_by_part": {**parts.of, "source": parts.of["source"] + once / self.clip},
        }


def chosen_ways(text: str, steps: int = 20) -> list[Way]:
    """``a,b`` -> ways; the published one is always there, and first, for all others are compared with it.

    ``steps`` are those of every way that is no student.
    """
    names = [name.strip() for name in text.split(",") if name.strip()] or list(WAYS)
    unknown = [name for name in names if name not in WAYS]
    if unknown:
        raise InputError("--ways", f"got {unknown[0]!r}", f"choose from {', '.join(WAYS)}")
    ways = [WAYS[name] for name in dict.fromkeys(["published", *names])]
    return [way if way.student else replace(way, steps=steps) for way in ways]


@click.command(help=__doc__)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda")
@click.option("--dtype", default="bfloat16", show_default=True, help="float32, bfloat16 or float16")
@click.option(
    "--side", type=click.IntRange(64), help="of the square frames, a multiple of 64 [default: CPU 256, GPU 512]"
)
@click.option(
    "--frames", type=click.IntRange(0), help="timed frames of each way, 0: count only [default: CPU 1, GPU 32]"
)
@click.option("--batch", type=click.IntRange(1), help="frames that are made at a time [default: CPU 1, GPU 8]")
@click.option("--clip", default=101, show_default=True, type=click.IntRange(1), help="frames that share a source")
@click.option("--ways", default="", help=f"of {', '.join(WAYS)} [default: all]")
@click.option("--steps", default=20, show_default=True, type=click.IntRange(1, 1000), help="of the published sampler")
@click.option(
    "--run-steps", default=1000, type=click.IntRange(2), help="steps run at most, the rest are reckoned [all]"
)
@click.option("--width", type=click.IntRange(32), help="first width of the UNet instead of 320, a multiple of 32")
@click.option("--tiny", is_flag=True, help="all parts small, for tests and laptops")
@click.option("--compile", "compiled", is_flag=True, help="run the networks through torch.compile")
@click.option("--peak", type=float, help="TFLOP/s of the device, where it is not known")
@click.option("--seed", default=0, show_default=True, help="of weights, clip and noise")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the figures here too")
def main(
    device: str, dtype: str, side: int | None, frames: int | None, batch: int | None, clip: int, ways: str, steps: int,
    run_steps: int, width: int | None, tiny: bool, compiled: bool, peak: float | None, seed: int,
    json_path: Path | None,
) -> None:  # fmt: skip
    place = choose_device(device)
    numbers, on_gpu = choose_dtype(dtype, place), place.type == "cuda"
    chosen = chosen_ways(ways, steps)
    side = side or (64 if tiny else 512 if on_gpu else 256)
    if side % 64 or (width or 32) % 32:
        raise InputError("--side, --width", f"got {side}, {width}", "give multiples of 64 and of 32")
    sizes = TINY if tiny else with_width(width) if width else Sizes()
    model = build(sizes, side, numbers, place, seed)
    setting: dict[str, Any] = {"batch": batch or (8 if on_gpu else 1), "clip": clip, "seed": seed, "run": run_steps}
    frames = frames if frames is not None else 32 if on_gpu else 1
    where = machine(place)
    bench = Bench(model, frames=frames, compiled=compiled, **setting)
    rows = []
    for way in chosen:
        begun = time.monotonic()
        rows.append(bench.measure(way))
        print(f"{way.name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    result = {
        "machine": where, "setting": setting | {"side": side, "dtype": dtype, "frames": frames, "compiled": compiled},
        "parameters": model.parameters(), "peak_tflops": peak_of(place, peak), "rows": rows,
        "resident_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip
    if json_path is not None:
        temporary = json_path.with_name(f".{json_path.name}.tmp")
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, json_path)
    print(document(result), end="")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
