"""Trains the recogniser on true clips and measures it on sentences that it has not seen.

    python tools/train_recogniser.py DATASET --work RUN_DIR --draw 1400 \\
        --held-out known=dev:DEV_DIR --held-out new=test:TEST_DIR --out signgen/weights/recogniser

DATASET has PHOENIX14T's layout and keypoints beside it. With ``--draw`` more clips are drawn, small and cheap. A run
that was stopped goes on where it was. Writes the weights, ``config.json`` and ``training.json``.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError, SignGenError
from signgen.files import place_file
from signgen.scoring.recogniser import Recogniser, WordErrors, word_errors
from signgen.scoring.recogniser.network import LARGE, NetworkSize
from signgen.scoring.recogniser.recogniser import WEIGHTS
from signgen.scoring.recogniser.samples import Samples, cache_dataset, cache_drawn
from signgen.scoring.recogniser.training import Schedule, Training
from signgen.synthetic.dataset import Plan, pick_signers
from signgen.video import read_frames

DRAWN_SIZE = (96, 119)  # pixels of clips drawn for training: hardly more than the network sees
DRAWS = 2000  # of the bootstrap


def training_data(
    data: Path, split: str, work: Path, draw: int, draw_seed: int, signers: str, size: NetworkSize
) -> Samples:
    """The data set's clips, and as many drawn ones as wanted, small, from caches in ``work``."""
    folders = [cache_dataset(data, split, work / f"clips-{split}", size, _counter(f"clips of {data}"))]
    if draw:
        plan = Plan(draw_seed, "train", pick_signers(signers, "train"), size=DRAWN_SIZE)
        folders.append(cache_drawn(plan, draw, work / f"drawn-{draw_seed}-{draw}", size, _counter("clips drawn")))
    return Samples.open(folders)


def _counter(what: str) -> Any:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done % 100 == 0:
            click.echo(f"{done} {what}", err=True)

    return advance


def measure(recogniser: Recogniser, clips: tuple[Clip, ...]) -> dict[str, Any]:
    """Word errors over true clips, and a 95 % bootstrap interval of the rate over sentences."""
    errors = []
    for clip in clips:
        heard = recogniser.recognise(read_frames(clip.folder))
        click.echo(f"{clip.name}: {' '.join(clip.glosses)} -> {' '.join(heard) or '(nothing)'}", err=True)
        errors.append(word_errors(clip.glosses, heard))
    total = sum(errors, WordErrors())
    pairs = np.array([(one.errors, one.words) for one in errors], np.float64)
    picked = np.random.default_rng(0).integers(len(pairs), size=(DRAWS, len(pairs)))
    rates = pairs[picked].sum(1)
    low, high = np.quantile(rates[:, 0] / rates[:, 1], (0.025, 0.975))
    return {
        "sentences": len(errors),
        "words": total.words,
        "wer": None if total.rate is None else round(total.rate, 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
    }


def held_out_sets(entries: tuple[str, ...]) -> dict[str, tuple[Clip, ...]]:
    """``LABEL=SPLIT:DIR`` to clips by label; several of one label are joined."""
    sets: dict[str, tuple[Clip, ...]] = {}
    for entry in entries:
        label, equals, place = entry.partition("=")
        split, colon, folder = place.partition(":")
        if not (equals and colon and label and folder):
            raise InputError("--held-out", f"got {entry!r}", "give LABEL=SPLIT:DIR, such as new=test:DIR")
        sets[label] = sets.get(label, ()) + PhoenixIndex(folder).clips(split)
    return sets


@click.command(help=__doc__)
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="train", show_default=True)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="folder of caches and checkpoint")
@click.option("--draw", default=0, show_default=True, type=click.IntRange(0), help="clips to be drawn beside DATASET")
@click.option("--draw-seed", default=101, show_default=True, type=click.IntRange(0))
@click.option("--signers", default="36", show_default=True, help="who signs in drawn clips: a number, or names")
@click.option("--held-out", multiple=True, metavar="LABEL=SPLIT:DIR", help="data sets to measure on")
@click.option("--steps", default=Schedule.steps, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=Schedule.batch, show_default=True, type=click.IntRange(2))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--large", is_flag=True, help="3 to 5 million weights, correlation over time, no look at keypoints")
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path))
def main(
    dataset: Path,
    split: str,
    work: Path,
    draw: int,
    draw_seed: int,
    signers: str,
    held_out: tuple[str, ...],
    steps: int,
    batch: int,
    seed: int,
    threads: int,
    large: bool,
    out: Path,
) -> None:
    torch.set_num_threads(threads)
    sets = held_out_sets(held_out)
    size = LARGE if large else NetworkSize()
    samples = training_data(dataset, split, work, draw, draw_seed, signers, size)
    glosses = tuple(sorted({gloss for sample in samples.items for gloss in sample.glosses}))
    schedule = Schedule(steps=steps, batch=batch, seed=seed, points=0.0 if large else Schedule.points)
    training = Training(samples, glosses, size, schedule)
    training.run(work / "checkpoint.pt", lambda line: click.echo(line, err=True))
    Recogniser(training.network.to(memory_format=torch.contiguous_format), glosses).save(out)  # type: ignore[call-overload]
    recogniser = Recogniser.load(out)
    report = {
        "clips": {"data_set": len(samples) - draw, "drawn_small": draw},
        "words": sum(len(sample.glosses) for sample in samples.items),
        "glosses": len(glosses),
        "parameters": sum(p.numel() for p in recogniser.network.parameters()),
        "schedule": {"steps": steps, "batch": batch, "seed": seed, "peak_rate": schedule.rate},
        "processor_seconds": round(training.seconds),
        "machine": f"{threads} thread(s), {platform.machine()}, torch {torch.__version__}",
        "signature": recogniser.signature,
        "held_out": {label: measure(recogniser, clips) for label, clips in sets.items()},
    }
    place_file(out / "training.json", (json.dumps(report, indent=1) + "\n").encode())
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        raise SystemExit(f"error: {problem}") from None
