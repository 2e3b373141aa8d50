"""What each part of the model brings, on drawn signers that no training saw: FPDM's B3 to B6, without and with CVA.

    python benchmarks/ablation.py runs/mini/ablation/models/* --json ablation.json > ablation.md

Each FOLDER is a pipeline (`signgen assemble`); its name is the variant's. All variants are compared with the
one named ``--against``, by paired tests on the same clips with the same noise. What the JSON file holds already is not
measured again. One command trains all of it, or goes on where it was stopped, and writes the tables of this file, of
`retrieval.py` (Table 2) and of `source_spread.py` (Figure 6) to runs/mini/ablation:

    ABLATION=1 tools/train_mini.sh

All variants begin with one denoiser and see equally many frames. By hand, after `mini`'s first four stages:

    signgen train mini/ablation/base            # the denoiser without fusion embedding and semantic tokens
    signgen train mini/ablation/source          # B4's embedding: of the source alone
    signgen train mini/ablation/baseline        # B5's embedding: baseline InfoNCE
    signgen train mini/ablation/enhanced        # B6's embedding: source-enhanced InfoNCE
    R=runs/mini/ablation; V=mini/ablation/variant; NO_CVA='model.cross_view={levels: [], mid: false}'
    signgen train $V --set output=$R/b3-cva --set model.fusion_dim=null
    signgen train $V --set output=$R/b4-cva --set start.fusion=$R/source/model/fusion
    signgen train $V --set output=$R/b5-cva --set start.fusion=$R/baseline/model/fusion
    signgen train $V --set output=$R/b6-cva

and each once more with ``--set "$NO_CVA"`` and an output without ``-cva``. Then, for each variant with the fusion run
that it was trained with (B3 with any):

    signgen assemble $R/models/b6-cva runs/mini/autoencoder $R/enhanced $R/b6-cva
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from ablation_table import MEASURES, Row, document
from drawn_clips import CACHE, KINDS, generate, held_out_clips, pieces

from signgen.dataset.phoenix import Clip
from signgen.errors import InputError, SignGenError
from signgen.keypoints import read_keypoints
from signgen.model import SignGenPipeline
from signgen.model.networks.wrist_finder import load_wrist_finder
from signgen.scoring.metrics import SSIM, TOF, HandSSIM, MotionRatio, WristDistance
from signgen.video import read_frames


def clip_sums(clip: Clip, pipeline: SignGenPipeline, finder: Any, **options: Any) -> np.ndarray:
    """(M, 2) numerators and denominators of `MEASURES` over a clip, rendered from its own first frame."""
    keypoints, true = read_keypoints(clip.keypoints).keypoints, read_frames(clip.folder)
    source = next(true)
    made = islice(generate(pipeline, source, keypoints, **options), 1, None)
    ssim, hands, wrists = SSIM("wang"), HandSSIM(), WristDistance(finder)
    tof, ratio = TOF(), MotionRatio()
    start = 1
    for stack in pieces(true):
        window, frames = keypoints[start : start + len(stack)], np.stack(list(islice(made, len(stack))))
        ssim.update(frames, stack)
        hands.update(frames, stack, window.xy, window.confidence)
        wrists.update(frames, window.xy, window.confidence)
        for metric in (tof, ratio):
            metric.update(frames, stack, continues=start > 1)
        start += len(stack)
    found = {"ssim_wang": ssim, "hand_ssim": hands, "wrist_px": wrists, "tof": tof, "motion_ratio": ratio}
    return np.array([found[name].sums() for name in MEASURES], np.float64)


def measure(
    folder: Path, clips: dict[str, list[Clip]], steps: tuple[int, ...], seed: int, known: list[Row]
) -> Iterator[Row]:
    """A variant's rows: those of the ``known`` ones that say the same, the others measured now."""
    pipeline, finder = SignGenPipeline.from_pretrained(str(folder)), load_wrist_finder()
    weights = pipeline.weights_sha256()
    before = {(row.variant, row.weights, row.kind, row.steps, row.clips): row for row in known}
    for kind, chosen in clips.items():
        names = tuple(clip.name for clip in chosen)
        for count in steps:
            row = before.get((folder.name, weights, kind, count, names))
            if row is None:
                begun = time.monotonic()
                sums = np.stack([clip_sums(clip, pipeline, finder, steps=count, seed=seed) for clip in chosen])
                print(f"{folder.name}, {kind}, {count} steps: {time.monotonic() - begun:.0f} s", file=sys.stderr)
                row = Row(folder.name, kind, count, weights, names, sums)
            yield row


def read_rows(path: Path | None, seed: int) -> list[Row]:
    """Rows of an earlier run with the same seed; none where there is no file.

    Raises:
        InputError: the file holds something else, or rows of another seed.
    """
    if path is None or not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows, measures, noise = [Row.from_json(r) for r in content["rows"]], content["measures"], content["seed"]
    except (ValueError, KeyError, TypeError):
        raise InputError(path, "holds no ablation", "name another file") from None
    if (measures, noise) != (list(MEASURES), seed):
        raise InputError(path, f"was measured with seed {noise} and {measures}", "name another file")
    return rows


def write_rows(path: Path | None, rows: list[Row], seed: int) -> None:
    """Writes the file whole or not at all."""
    if path is None:
        return
    temporary = path.with_name(f".{path.name}.tmp")
    content = {"seed": seed, "measures": list(MEASURES), "rows": [row.to_json() for row in rows]}
    temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    os.replace(temporary, path)


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--against", default="b6-cva", show_default=True, help="the variant that the others are compared with")
@click.option("--steps", default="1,2,4,20", show_default=True, help="numbers of sampling steps")
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn, the noise and the tests")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="keep the results here, and go on from them")
def main(
    folders: tuple[Path, ...], against: str, steps: str, known: Path | None, new: Path | None, cache: Path, limit: int,
    seed: int, json_path: Path | None,
) -> None:  # fmt: skip
    names = [folder.name for folder in folders]
    if against not in names or len(set(names)) < len(names):
        raise InputError("--against", f"got {against!r}", f"choose one of the variants, each named once: {names}")
    counts = step_counts(steps)
    rows = read_rows(json_path, seed)
    folder_of = {"known": known, "new": new}
    clips = {kind: held_out_clips(kind, folder_of[kind], cache, limit, seed) for kind in KINDS}
    wanted = []
    for folder in folders:
        for row in measure(folder, clips, counts, seed, rows):
            wanted.append(row)
            if row not in rows:
                rows.append(row)
                write_rows(json_path, rows, seed)
    print(document(wanted, against, seed), end="")


def step_counts(text: str) -> tuple[int, ...]:
    """ "1,2,4" -> numbers in rising order."""
    if not all(part.strip().isdigit() and int(part) > 0 for part in text.split(",")):
        raise InputError("--steps", f"got {text!r}", "write numbers of 1 or more with commas between them")
    return tuple(sorted({int(part) for part in text.split(",")}))


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
