"""Does augmentation help? Recognisers trained with and without copies by other signers, tested on new signers.

    python benchmarks/augmentation.py --work runs/augmentation                       # everything that is missing
    python benchmarks/augmentation.py --work runs/augmentation --only photometric --only "perfect copies" --seeds 3
    python benchmarks/augmentation.py --table                                        # what is there, no training

Draws a small language of --glosses signs: ten folds of --clips true clips by --speakers, a dev set, and --test-clips
of other sentences by 48 other signers: the twelve held-out ones, and 36 who are drawn for nothing else. An arm says
what a recogniser learns from: true clips of two folds (20 % of them all), changed at random as the field does or not
("unchanged", "nothing"), alone or with copies. Perfect copies are the same motions, drawn by the true renderer with
other signers: the ceiling of what copies of the same motions by these signers can bring. `mini`'s copies also vary in
pace, signing space, tilt, small errors of the joints and framing (`--vary all`); perfect ones do not. Test signers are
in neither the clips to learn from, nor the dev clips, nor the copies, nor what the renderer was trained on.

All arms are trained for equally many steps, in which the rate falls to 0, and the last weights are kept. "photometric,
twice as long" tells what more steps would bring. The dev clips are for choices between arms. Intervals are over signers
and trainings. The test clips of --test-seed were drawn after task and arms were settled; by those of --data-seed and
twelve signers the task was found.

Every finished training is a file in WORK/results, clips are kept, and a training that was stopped goes on where it was
half a minute before: the command may be killed at any moment, and given again. Those of earlier machines are in
augmentation_results.json beside this file (--stored), and are not repeated; --store adds the new ones to it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from augmentation_data import DRAWN, FOLDS, SPARED, Copies, Language
from augmentation_runs import AGAIN, STEPS, Arm, Run, copies_to_read
from augmentation_table import Results, check_clips, markdown, reading_rows, row_of, sign_rows, signs_markdown
from PIL import Image
from stored import Stored

from signgen.commands.common import progress
from signgen.dataset.files import write_text
from signgen.errors import BadValue, Missing, SignGenError
from signgen.files import whole
from signgen.synthetic.dataset import pick_signers
from signgen.synthetic.motion.lexicon import glosses as lexicon
from signgen.training.task import tile

STORED = Path(__file__).with_name("augmentation_results.json")
REFERENCE, CEILING, OWN = "photometric", "perfect copies", "mini"
NOTHING, UNCHANGED = "nothing", "perfect copies, unchanged"
_PERFECT, _MINI = Copies(DRAWN, signers=32, count=4), Copies("mini", signers=32, count=4)
SHEET_CLIPS, SHEET_FRAMES, SHEET_SCALE = 5, 8, 3  # clips and frames of the sheet; a pixel's side
# In order of interest.
ARMS = (
    Arm(REFERENCE, reads=True),
    Arm(CEILING, _PERFECT, reads=True),
    Arm(OWN, _MINI, reads=True),
    Arm("photometric, twice as long", steps=2 * STEPS),
    Arm(NOTHING, changes=False),  # not even photometric changes; the next two have copies and none of these
    Arm(UNCHANGED, _PERFECT, changes=False),
    Arm("mini, unchanged", _MINI, changes=False),
    Arm("perfect copies, 1", replace(_PERFECT, count=1)),
    Arm("mini, 1 copy", replace(_MINI, count=1)),
    Arm("mini, 2 copies", replace(_MINI, count=2)),
    Arm("perfect copies alone", _PERFECT, mix="copies"),
    Arm("mini alone", _MINI, mix="copies"),
    Arm("mini, gated", replace(_MINI, gated=True)),
    Arm("mini, 1:1", _MINI, mix="1:1"),
    Arm("mini, 1:2", _MINI, mix="1:2"),
    Arm("mini, curriculum", _MINI, mix="curriculum"),
    # What needs copies of its own: one of each clip.
    Arm("mini 0.1, 1 copy", replace(_MINI, renderer="mini-0.1", count=1)),
    Arm("mini, 1 copy, nothing varied", replace(_MINI, count=1, vary=False)),
    Arm("mini, 1 copy, 2 signers", replace(_MINI, signers=2, count=1)),
    Arm("mini, 1 copy, 8 signers", replace(_MINI, signers=8, count=1)),
    Arm("perfect copies, 1, 2 signers", replace(_PERFECT, signers=2, count=1)),
    Arm("perfect copies, 1, 8 signers", replace(_PERFECT, signers=8, count=1)),
    *(
        Arm(f"{name}, correlation", copies, network="correlation")
        for name, copies in ((REFERENCE, None), (CEILING, _PERFECT), ("mini", _MINI))
    ),
)


@click.command(help=__doc__)
@click.option("--work", type=click.Path(path_type=Path), help="folder of all that is kept; --table alone needs none")
@click.option("--only", multiple=True, metavar="ARM", help="train these arms; may be repeated  [default: all]")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="trainings of each arm")
@click.option("--folds", default=2, show_default=True, type=click.IntRange(1, FOLDS), help="learned from")
@click.option("--table", "only_table", is_flag=True, help="print what is there and train nothing")
@click.option("--stored", default=STORED, type=click.Path(path_type=Path), show_default="beside this file",
              help="file of finished trainings, which are not repeated")  # fmt: skip
@click.option("--store", is_flag=True, help="add the finished trainings to that file")
@click.option("--clips", default=120, show_default=True, type=click.IntRange(2), help="true clips of a fold")
@click.option("--speakers", default="s05", show_default=True, help="who signs in them: names, or a number")
@click.option("--dev-clips", default=32, show_default=True, type=click.IntRange(2))
@click.option("--test-clips", default=144, show_default=True, type=click.IntRange(2))
@click.option(
    "--glosses", default=16, show_default=True, type=click.IntRange(3, len(lexicon())), help="of the language"
)
@click.option("--frames", default=42, show_default=True, type=click.IntRange(8, 400), help="of a clip, 25 a second")
@click.option("--model", default="mini", show_default=True, help="that renders the copies")
@click.option("--before", help="folder of mini 0.1; without it the arm is left out")
@click.option("--data-seed", default=62, show_default=True, type=click.IntRange(0))
@click.option("--test-seed", default=162, show_default=True, type=click.IntRange(0), help="of the test clips")
@click.option("--sheet", type=click.Path(path_type=Path), help="PNG of the copies of which most is lost")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="where the figures go as data")
def main(
    work: Path | None, only: tuple[str, ...], seeds: int, folds: int, only_table: bool, stored: Path, store: bool,
    clips: int, speakers: str, dev_clips: int, test_clips: int, glosses: int, frames: int, model: str,
    before: str | None, data_seed: int, test_seed: int, sheet: Path | None, json_path: Path | None,
) -> None:  # fmt: skip
    if work is None and not (only_table and sheet is None):
        advice = "name one where clips and results are kept, or give --table without --sheet"
        raise Missing("--work", "names no folder", advice)
    if unknown := sorted(set(only) - {arm.name for arm in ARMS}):
        raise BadValue("--only", f"got {unknown[0]!r}", "it is one of " + "; ".join(arm.name for arm in ARMS))
    torch.set_num_threads(1)  # sums of several threads differ in their last bits
    models = {"mini": model, **({} if before is None else {"mini-0.1": before})}
    counts, who = (clips, dev_clips, test_clips), pick_signers(speakers, "train")
    if spared := [name for name in who if name in SPARED]:
        raise BadValue("--speakers", f"{spared[0]} signs dev clips", f"name others than {', '.join(SPARED)}")
    seeded = (data_seed, test_seed)
    language = Language(work or Path(), glosses, counts, who, models, frames, *seeded, folds, progress, _say)
    before_now = Stored(stored)
    able = [arm for arm in ARMS if arm.copies is None or arm.copies.renderer in (DRAWN, *models)]
    if not only_table:
        _train([arm for arm in able if not only or arm.name in only], seeds, language, before_now)
    arms = ARMS if only_table else able
    results, reads = dict[str, Results](), dict[str, Results]()
    for arm in arms:
        runs = {seed: Run(arm, seed, language, before_now) for seed in range(seeds)}
        if store and arm in able:
            for run in runs.values():
                run.store()
        for kind, there in (("result", results), ("reads", reads)):
            there[arm.name] = _there({seed: run.done(kind) for seed, run in runs.items() if arm in able})
            if only_table and not there[arm.name]:  # what was found with other weights or settings still holds
                like = {seed: before_now.like(kind, arm=arm.name, seed=seed) for seed in runs}
                there[arm.name] = _there(like)
    if store:
        before_now.write()
    check_clips(results)
    rows = []
    for arm in arms:
        if mine := results[arm.name]:
            over, most = held_against(arm)
            rows.append(row_of(arm.name, mine, over, results[over], results[most]))
    reading = reading_rows({name: found for name, found in reads.items() if found})
    if json_path is not None:
        report = {"rows": [asdict(row) for row in rows], "reading": [asdict(one) for one in reading],
                  "data": {"learned": language.identity(None), "scored": language.identity_scored()}}  # fmt: skip
        write_text(json_path, json.dumps(report, indent=1) + "\n")
    if not rows:
        raise Missing("--table", f"{stored} has no finished training", "leave it out, or name another file (--stored)")
    if sheet is not None:
        ceiling = next(arm for arm in ARMS if arm.name == CEILING)
        of_today = {seed: Run(ceiling, seed, language, before_now).done("reads") for seed in range(seeds)}
        _write_sheet(sheet, language, _there(of_today))  # clips are drawn by today's weights
    print(markdown(rows, reading), end="")
    if len(told := [name for name in (REFERENCE, CEILING, OWN) if results.get(name)]) == 3:
        print("\n" + signs_markdown(told, sign_rows([results[name] for name in told])), end="")


def held_against(arm: Arm) -> tuple[str, str]:
    """The arm that another one's gain is over, and the one whose gain is its ceiling, by name.

    Photometric changes, as the field uses them, are held against nothing, and all copies against these changes. The
    ceiling is of perfect copies that are changed as the arm's are.
    """
    if arm.copies is None and arm.network == "small" and arm.steps == STEPS:
        return NOTHING, NOTHING
    ending = "" if arm.network == "small" else f", {arm.network}"
    return REFERENCE + ending, (CEILING if arm.changes else UNCHANGED) + ending


def _there(found: dict[int, dict[str, Any] | None]) -> Results:
    return {seed: one for seed, one in found.items() if one is not None}


def _train(arms: list[Arm], seeds: int, language: Language, stored: Stored) -> None:
    """Makes what is missing, seed by seed, so that a run that is stopped has whole seeds to show."""
    for seed in range(seeds):
        for arm in arms:
            run = Run(arm, seed, language, stored)
            found = run.make()
            wer = sum(found["errors"]) / sum(found["words"])
            _say(f"{arm.name}, seed {seed}: WER {wer:.3f}, {found['steps']} steps, {found.get('seconds', 0):.0f} s")
        for arm in arms:
            if arm.reads and any(other.copies and other.copies.renderer == "mini" for other in arms):
                Run(arm, seed, language, stored).read_copies()


def _write_sheet(path: Path, language: Language, reads: Results) -> None:
    """A first seed's reading of perfect copies and of `mini`'s: frames of the clips that differ most, one above the
    other.

    Raises:
        Missing: no recogniser has read copies.
    """
    if not reads:
        raise Missing(
            "--sheet", f"no recogniser of {CEILING!r} has read copies", f"train {CEILING!r} and {OWN!r} first"
        )
    seed = min(reads)
    clips = copies_to_read(language)
    names = sorted(set.intersection(*map(set, clips.values())))
    lost = np.array(reads[seed]["mini"]["errors"]) - reads[seed][DRAWN]["errors"]
    rows = []
    for place in np.argsort(-lost, kind="stable")[:SHEET_CLIPS]:
        shown = [clips[kind][names[place]].frames for kind in (DRAWN, AGAIN, "mini")]
        at = np.linspace(0, min(map(len, shown)) - 1, SHEET_FRAMES).round().astype(int)
        rows += [frames[at].repeat(SHEET_SCALE, 1).repeat(SHEET_SCALE, 2) for frames in shown]
    with whole(path) as temporary:
        Image.fromarray(tile(rows)).save(temporary, "PNG")


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
