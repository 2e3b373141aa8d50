"""Throughput of an augmentation's worker beside that of `signgen render` on the same clips.

    python benchmarks/augment_speed.py [--clips 6] [--rounds 3] [--threads 1] [--model mini] [--no-gate]

Both run in this process with the model loaded, the same number of threads and the same keypoints: `render` fits each
clip to the signer and writes PNG frames; a worker does that, judges the hands, hashes the files, writes the keypoints
and the manifest's line. They take turns, clip by clip and round after round, so that other work on the machine troubles
both alike; the ratio is the median of the rounds' quotients. ``ratio_of_cpu_seconds`` is the same of the process's own
seconds, from which other work takes less away. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from signgen.augmentation.clip import Maker, read_clip
from signgen.augmentation.jobs import plan_jobs
from signgen.augmentation.recipe import open_recipe
from signgen.augmentation.settings import Settings
from signgen.augmentation.store import open_part
from signgen.augmentation.variation import Variation
from signgen.dataset.phoenix import PhoenixIndex
from signgen.rendering import render
from signgen.synthetic.dataset import Plan, pick_signers, write_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clips", 6), ("rounds", 3), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--no-gate", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signgen-speed-") as place:
        print(json.dumps(measure(Path(place), options), indent=1))


def measure(place: Path, options: argparse.Namespace) -> dict[str, object]:
    """Frames a second of both ways by round, and their ratio."""
    dataset = place / "set"
    write_dataset(dataset, Plan(5, "train", pick_signers("2", "train")), options.clips)
    index = PhoenixIndex(dataset)
    gate = None if options.no_gate else 6.0
    settings = Settings(
        ("alma",), variation=Variation.parse(["space", "tilt", "noise"]), model=options.model, threads=options.threads,
        gate=gate,
    )  # fmt: skip
    out = place / "out"
    out.mkdir()
    recipe, pipeline = open_recipe(index, out, settings)
    torch.set_num_threads(options.threads)
    maker, source = Maker(recipe, pipeline), recipe.sources["alma"]
    jobs = plan_jobs(index, ("train",), ("alma",), 1, 0)
    rounds, owns = [], []
    with open_part(out) as part:
        for number in range(options.rounds + 1):
            seconds, own, frames = {"render": 0.0, "augment": 0.0}, {"render": 0.0, "augment": 0.0}, 0
            for job in jobs:
                begun = time.perf_counter(), time.process_time()
                keypoints = read_clip(job, recipe.frame)
                target = place / f"render-{number}-{job.name}"
                frames += render(keypoints, source, pipeline, target, align=True, seed=1).frames
                between = time.perf_counter(), time.process_time()
                part.append(maker.make(job))
                end = time.perf_counter(), time.process_time()
                for spent, clock in ((seconds, 0), (own, 1)):
                    spent["render"] += between[clock] - begun[clock]
                    spent["augment"] += end[clock] - between[clock]
            if number:  # the first round warms both up
                rounds.append({way: frames / spent for way, spent in seconds.items()})
                owns.append(own["render"] / own["augment"])
    ratio = statistics.median(each["augment"] / each["render"] for each in rounds)
    speeds = {way: round(statistics.median(each[way] for each in rounds), 2) for way in ("render", "augment")}
    return {
        "frames_per_second": speeds, "ratio": round(ratio, 3),
        "ratio_of_cpu_seconds": round(statistics.median(owns), 3), "threads": options.threads, "gate": gate,
        "computes": recipe.computes, "frames_per_round": frames,
        "rounds": [{way: round(value, 2) for way, value in each.items()} for each in rounds],
    }  # fmt: skip


if __name__ == "__main__":
    main()
