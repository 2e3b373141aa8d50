"""Does augmentation help? The recogniser trained with and without copies by other signers, tested on new signers.

    python benchmarks/augmentation.py --work runs/augmentation --jobs 2 --json augmentation.json --plot augmentation.svg

Draws a small language of --glosses signs: --clips training clips by --speakers signers, and --test-clips of other
sentences by the twelve held-out signers. `signgen augment` signs each training clip again --copies times, by built-in
signers, with everything varied. Then the CTC recogniser (signgen.scoring.recogniser) is trained from scratch on
--shares per cent of the true clips, alone and with their copies, once a seed: equally many steps, the same clips of a
seed in both, and in both the recogniser's own random changes of pace, place, mirror and light. It learns as on
recorded data, without knowing when a sign begins. The test signers are in neither the clips to learn from, nor the
copies, nor what the renderer was trained on.

Prints a Markdown table. What is finished is kept in --work, trainings to the last half minute: the same command goes on
with a run that was stopped at any moment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import torch
from augmentation_data import SmallLanguage, make_clips
from augmentation_runs import Run, score_all
from augmentation_table import as_data, markdown, picture, row_of

from signgen.augmentation.settings import Settings
from signgen.augmentation.signers import pick_signers as built_in
from signgen.augmentation.variation import Variation
from signgen.commands.common import progress
from signgen.dataset.files import write_text
from signgen.errors import InputError, SignGenError
from signgen.scoring.recogniser.network import NetworkSize
from signgen.scoring.recogniser.training import Schedule
from signgen.synthetic.dataset import pick_signers
from signgen.synthetic.motion.lexicon import glosses as lexicon

HELPS = {"signs": 0.0}  # of `Schedule`: when a sign is made is known of drawn clips alone, so it must not help here


def vocabulary(count: int) -> tuple[str, ...]:
    """Glosses from all over the lexicon."""
    words = lexicon()
    if not 3 <= count <= len(words):
        raise InputError("--glosses", f"got {count}", f"use 3 to {len(words)}")
    return tuple(sorted(words[number * len(words) // count] for number in range(count)))


def shares_of(text: str) -> tuple[int, ...]:
    """ "20,50,100" -> per cents in rising order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 100 for part in parts):
        raise InputError("--shares", f"got {text!r}", "write per cents from 1 to 100 with commas between them")
    return tuple(sorted({int(part) for part in parts}))


@click.command(help=__doc__)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="folder of everything that is kept")
@click.option("--clips", default=120, show_default=True, type=click.IntRange(2), help="true training clips")
@click.option("--speakers", default="s05,s17,s33", show_default=True, help="who signs in them: names, or a number")
@click.option("--test-clips", default=96, show_default=True, type=click.IntRange(2))
@click.option("--glosses", default=16, show_default=True, type=int, help="signs of the language")
@click.option("--frames", default=42, show_default=True, type=int, help="of a clip")
@click.option("--copies", default=2, show_default=True, type=int, help="of each true clip")
@click.option("--signers", default="8", show_default=True, help="of the copies: built-in names, pictures, or a number")
@click.option("--model", default="mini", show_default=True, help="that renders the copies")
@click.option("--shares", default="20,50,100", show_default=True, help="per cent of the true clips")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--steps", default=800, show_default=True, type=click.IntRange(1), help="of each training")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(2), help="clips of a step")
@click.option("--data-seed", default=61, show_default=True, type=click.IntRange(0))
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="processes")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="where the scores go as data")
@click.option("--plot", type=click.Path(path_type=Path), help="where the picture goes, SVG")
def main(
    work: Path, clips: int, speakers: str, test_clips: int, glosses: int, frames: int, copies: int, signers: str,
    model: str, shares: str, seeds: int, steps: int, batch: int, data_seed: int, jobs: int, json_path: Path | None,
    plot: Path | None,
) -> None:  # fmt: skip
    wanted, words, size = shares_of(shares), vocabulary(glosses), NetworkSize()
    plans = (
        SmallLanguage(data_seed, split, pick_signers(who, split), (frames, frames), vocabulary=words)
        for split, who in (("train", speakers), ("test", "12"))
    )
    settings = Settings(
        built_in(signers), copies=copies, seed=data_seed, variation=Variation.parse(["all"]), model=model
    )  # fmt: skip
    data = make_clips(work, *plans, (clips, test_clips), settings, size, jobs, _say, progress)
    # Seed by seed, so that a run that is stopped has whole seeds to show.
    runs = [
        Run(share, augmented, Schedule(steps, batch, seed=seed, **HELPS), size, words)
        for seed in range(seeds) for share in wanted for augmented in (False, True)
    ]  # fmt: skip
    results = dict(zip(runs, score_all(runs, data, work, jobs, _say), strict=True))
    rows = [
        row_of(share, [[results[run] for run in runs if (run.share, run.augmented) == (share, arm)]
                       for arm in (False, True)])
        for share in wanted
    ]  # fmt: skip
    report: dict[str, Any] = {
        "rows": as_data(rows), "seeds": seeds, "steps": steps, "batch": batch, "glosses": list(words),
        "test_words": sum(len(signed) for _, signed in data.test), "data": data.identity,
        "machine": f"{jobs} processes of one thread, torch {torch.__version__}",
    }  # fmt: skip
    if json_path is not None:
        write_text(json_path, json.dumps(report, indent=1) + "\n")
    if plot is not None:
        write_text(plot, picture(rows))
    print(markdown(rows), end="")


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
