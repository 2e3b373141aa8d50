"""How good is a model on drawn signers that it never saw? Known signers with new sentences, and new signers.

    python benchmarks/held_out.py                          # draws its own clips once, into a cache folder
    python benchmarks/held_out.py --known DIR --new DIR    # or takes data sets of `signgen synthesize`
    python benchmarks/held_out.py --model DIR --table      # all that a new `mini` is judged by, beside the last one

Each clip is rendered from its own first frame and keypoints and compared with its true frames 1, 2, ... Beside the
model stand two marks: copying the source frame, and the autoencoder's reconstruction of the truth, beyond which no
denoiser can get. The share of the gap closed is (model - copy) / (autoencoder - copy), on Hand SSIM. A third line,
"frames apart", is the same model without cross-view attention and with noise of its own for every frame: tOF says by
how much the model moves more as the truth does than single pictures would.

With --table each clip is rendered once and looked at by all judges: scores, the hand detector and the hand-shape
classifier of `legibility.py`, MediaPipe where it is installed (`extract_judge.py`), and the fusion embedding's
`retrieval.py`. Values stand beside those of an earlier run (--before, a file of --json), with 95 % intervals of the
difference over the clips. --turns OLD renders a clip with both models in turns, for the time a frame.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import (
    CACHE,
    CONTENT,
    KINDS,
    generate,
    generate_apart,
    held_out_clips,
    kept_at,
    pieces,
    reconstruct,
    spread,
    without_cross_view,
)
from held_out_scores import APART, CEILING, COPY, MODEL, Scores, gap_closed, table, tof_ratio
from held_out_sheet import Picture, make_picture, write_sheet
from held_out_table import BEFORE, judged, table_text, times

from signgen.dataset.phoenix import Clip
from signgen.errors import BadValue, SignGenError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.model import SignGenPipeline
from signgen.model.networks.wrist_finder import load_wrist_finder
from signgen.model.networks.wrist_finder import report as wrist_finder_report
from signgen.model.openvino.engine import choose_engine
from signgen.synthetic import VERSIONS
from signgen.video import read_frames


@dataclass(frozen=True)
class Models:
    """The model, and the same model taken apart; None: not to be measured."""

    whole: SignGenPipeline | None = None
    apart: SignGenPipeline | None = None

    @classmethod
    def load(cls, model: str, apart: bool = True, export: Path | None = None) -> Models:
        """By name or folder; ``none`` is no model. One without cross-view attention cannot be taken apart."""
        if model == "none":
            return cls()
        whole = SignGenPipeline.from_pretrained(model)
        if export is not None:
            whole.engine = choose_engine(whole, "openvino", export)
        if not (apart and whole.couples_views):
            return cls(whole)
        return cls(whole, without_cross_view(SignGenPipeline.from_pretrained(model)))

    @property
    def names(self) -> list[str]:
        """Methods that are measured, in the table's order."""
        return [COPY] + [CEILING, MODEL] * (self.whole is not None) + [APART] * (self.apart is not None)

    def streams(
        self, source: np.ndarray, keypoints: Keypoints, keep: Path | None = None, **options: Any
    ) -> dict[str, Iterator[np.ndarray]]:
        """Method -> its frames of a clip but the first one, for the methods that do not need the truth."""
        made = {}
        if self.whole is not None:
            made[MODEL] = generate(self.whole, source, keypoints, keep, **options)
        if self.apart is not None:
            made[APART] = generate_apart(self.apart, source, keypoints, **options)
        return {name: islice(frames, 1, None) for name, frames in made.items()}


def score_clip(
    clip: Clip, models: Models, scores: dict[str, Scores], pictured: int | None, renders: Path | None, **options: Any
) -> tuple[int, Picture]:
    """Add a clip to the scores; how many frames it added, and the picture of frame ``pictured``."""
    keypoints, true = read_keypoints(clip.keypoints).keypoints, read_frames(clip.folder)
    source = next(true)
    streams = models.streams(source, keypoints, kept_at(renders, clip), **options)
    start, picture = 1, Picture()
    for stack in pieces(true):
        window = keypoints[start : start + len(stack)]
        made = {COPY: np.repeat(source[None], len(stack), 0)}
        if models.whole is not None:
            made[CEILING] = reconstruct(models.whole, stack)
        made |= {name: np.stack(list(islice(frames, len(stack)))) for name, frames in streams.items()}
        for name, frames in made.items():
            scores[name].update(frames, stack, window, continues=start > 1)
        if pictured is not None and start <= pictured < start + len(stack):
            picture = make_picture(pictured - start, source, keypoints, stack, window, made)
        start += len(stack)
    return start - 1, picture


def measure(
    clips: list[Clip], models: Models, rows: int, label: str, renders: Path | None = None, **options: Any
) -> tuple[dict[str, Any], list[Picture]]:
    """The results over clips of one kind, and ``rows`` rows for the contact sheet."""
    finder, begun = load_wrist_finder(), time.monotonic()
    scores = {name: Scores(finder) for name in models.names}
    frames, pictures = 0, []
    shown = set(spread(range(len(clips)), rows)) if rows else set()
    for index, clip in enumerate(clips):
        middle = len(clip.frames) // 2 if index in shown else None
        added, picture = score_clip(clip, models, scores, middle, renders, **options)
        frames += added
        pictures.append(picture)
        print(f"{label}: {index + 1}/{len(clips)} clips, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    methods = {name: score.summary() for name, score in scores.items()}
    one = scores[COPY].part_metrics["hand_ssim"]
    counts = {"clips": len(clips), "frames": frames, "hands": int(one.hands), "hands_left_out": int(one.left_out)}
    counts["wrists"] = int(scores[COPY].wrists.wanted)
    speakers = sorted({clip.speaker for clip in clips})
    shares = {"gap_closed": gap_closed(methods), "tof_ratio": tof_ratio(methods)}
    return {
        **counts,
        "signers": speakers,
        "methods": methods,
        **shares,
        "signatures": scores[COPY].signatures(),
    }, pictures


def report(results: dict[str, Any]) -> str:
    """The results as text."""
    own = results["wrist_finder"]
    errors = ", ".join(f"{own[split]['true']['mean_px']} px ({split})" for split in KINDS.values())
    return "\n".join([table(kind, results[kind]) for kind in KINDS] + [f"the wrist finder's own error: {errors}"])


@click.command(help=__doc__)
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--model", default="mini", show_default=True, help="name or folder; 'none': only copy the source")
@click.option("--export", type=click.Path(exists=True, path_type=Path), help="the networks that `signgen export` wrote")
@click.option("--steps", type=click.IntRange(1), help="sampling steps, default the model's own")
@click.option("--apart/--no-apart", default=True, help="also measure frames made apart (costs as much as the model)")
@click.option("--content", default=str(CONTENT), show_default=True, type=click.Choice([str(v) for v in VERSIONS]),
              help="content version of the clips that are drawn")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn and of the model's noise")
@click.option("--renders", type=click.Path(path_type=Path), help="folder where the model's frames stay, for other runs")
@click.option("--table", "whole", is_flag=True, help="print what a new model is judged by, and nothing else")
@click.option("--before", default=str(BEFORE), help="with --table: --json of an earlier model; 'none': nothing beside")
@click.option("--turns", help="with --table: name or folder of a model, for the time a frame")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the results here")
@click.option("--sheet", type=click.Path(path_type=Path), help="write a picture: source, pose, truth, made")
@click.option("--sheet-rows", default=4, show_default=True, type=click.IntRange(1), help="rows of each kind")
def main(
    known: Path | None, new: Path | None, cache: Path, limit: int, model: str, export: Path | None,
    steps: int | None, apart: bool, content: str, seed: int, renders: Path | None, whole: bool, before: str,
    turns: str | None, json_path: Path | None, sheet: Path | None, sheet_rows: int,
) -> None:  # fmt: skip
    models = Models.load(model, apart and not whole, export)
    folders, options = {"known": known, "new": new}, {"steps": steps, "seed": seed}
    clips = {kind: held_out_clips(kind, folders[kind], cache, limit, seed, int(content)) for kind in KINDS}
    results: dict[str, Any] = {"model": model, **options, "wrist_finder": wrist_finder_report()}
    pictures: list[Picture] = []
    if whole:
        if models.whole is None:
            raise BadValue("--table", "got --model none", "name a model")
        found, earlier = judged(models.whole, clips, renders, None if before == "none" else Path(before), **options)
        if turns is not None:
            other = SignGenPipeline.from_pretrained(turns)
            found |= {"turns": turns, "times": times(models.whole, other, clips["known"][0])}
        results |= found
        print(table_text(results, earlier))
    else:
        for kind in KINDS:
            rows = sheet_rows if sheet else 0
            results[kind], made = measure(clips[kind], models, rows, f"{kind} signers", renders, **options)
            pictures += made
        print(report(results))
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if sheet:
        write_sheet(pictures, sheet)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
