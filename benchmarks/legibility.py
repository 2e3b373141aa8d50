"""Can the fingers be read in generated frames? Two judges look at true and at generated hands of the same clips.

    python benchmarks/legibility.py                             # `mini`, held-out clips, the package's own judges
    python benchmarks/legibility.py --hand-detector mediapipe   # an outside judge of the joints

A hand detector finds the joints again: how many visible hands lie within 3 px (mean over joints) of the driving
keypoints? A classifier that was trained on true frames tells the hand shapes: how much of its accuracy on true frames
is left? Clips are those of `held_out.py`, rendered from their own first frame; intervals are over clips. Neither judge
was shown a generated frame; their own error stands in the line of the true frames. SSIM and sharpness of hands, face,
mouth and eyes, which need no judge, are printed below. With --visemes a third judge, a small network that is trained
first, on true frames of drawn training clips, tells the shapes of mouths that speak; those at rest are left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import (
    CACHE,
    CONTENT,
    KINDS,
    cache_name,
    generate,
    held_out_clips,
    kept_at,
    pieces,
    reconstruct,
    spread,
)
from held_out_scores import COLUMNS, part_metrics
from legibility_scores import CEILING, MODEL, TRUE, Judges, Tally, kept, read_hands, worst_shapes
from legibility_sheet import HandSheet
from visemes import MOUTH_SHAPES, NONE, REST, Mouths, labels_of, read_mouths, trained

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError, SignGenError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.model import SignGenPipeline
from signgen.scoring.metrics.hand_detectors import NAMES, load_hand_detector
from signgen.scoring.metrics.handshapes import load_handshape_classifier, read_shape_labels
from signgen.scoring.metrics.metric import VideoMetric
from signgen.synthetic.dataset import Plan, write_dataset
from signgen.synthetic.signer import signer_names
from signgen.video import read_frames

GOALS = {"within_3_px": 0.8, "kept": 0.9}
LEARNED = 96  # clips of all signers for training, from whose true frames the judge of mouths learns


def frames_of(
    clip: Clip, keypoints: Keypoints, pipeline: SignGenPipeline | None, renders: Path | None, **options: Any
) -> dict[str, np.ndarray]:
    """Method -> frames 1, 2, ... of a clip, uint8 (T,H,W,3)."""
    stream = read_frames(clip.folder)
    source = next(stream)
    true = np.stack(list(stream))
    if pipeline is None:
        return {TRUE: true}
    again = np.concatenate([reconstruct(pipeline, piece) for piece in pieces(iter(true))])
    made = np.stack(list(islice(generate(pipeline, source, keypoints, kept_at(renders, clip), **options), 1, None)))
    return {TRUE: true, CEILING: again, MODEL: made}


def measure(
    clips: list[Clip], pipeline: SignGenPipeline | None, judges: Judges, sheet: HandSheet, label: str,
    renders: Path | None = None, mouths: Mouths | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """The results over the clips of one kind."""
    tallies: dict[str, Tally] = {}
    spoken: dict[str, Tally] = {}
    parts: dict[str, dict[str, VideoMetric]] = defaultdict(part_metrics)
    begun = time.monotonic()
    for index, clip in enumerate(clips):
        if clip.keypoints is None:
            raise InputError(clip.name, "has no keypoint file", "the labels of its hand shapes are in there")
        keypoints = read_keypoints(clip.keypoints).keypoints
        labels = read_shape_labels(clip.keypoints, judges.classifier.shapes)[1:]
        frames, window = frames_of(clip, keypoints, pipeline, renders, **options), keypoints[1:]
        readings = {name: read_hands(judges, shown, window) for name, shown in frames.items()}
        for name, reading in readings.items():
            tallies.setdefault(name, Tally()).add(reading, labels)
            for metric in parts[name].values() if name != TRUE else ():
                metric.update(frames[name], frames[TRUE], window.xy, window.confidence)
        if mouths is not None:
            seen = labels_of(clip)[1:, None]
            for name, shown in frames.items():
                reading = read_mouths(mouths, shown, window)
                spoken.setdefault(name, Tally()).add(reading, np.where(seen == REST, NONE, seen))
        if MODEL in frames:
            sheet.add((frames[TRUE], frames[MODEL]), (readings[TRUE], readings[MODEL]), labels, window)
        print(f"{label}: {index + 1}/{len(clips)} clips, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    found = {name: {key: float(m.compute()) for key, m in metrics.items()} for name, metrics in parts.items()}
    results = {**summarise(tallies, judges.classifier.shapes, len(clips), options["seed"]), "parts": found}
    return {**results, "visemes": summarise_mouths(spoken, options["seed"])} if spoken else results


def summarise_mouths(tallies: dict[str, Tally], seed: int) -> dict[str, Any]:
    """How many mouths that speak are told right, what is kept of that, and the shapes that lose most."""
    made = {name: tally for name, tally in tallies.items() if name != TRUE}
    told = {name: tally.summary(seed) for name, tally in tallies.items()}
    return {
        "mouths": int(np.sum(tallies[TRUE].clips, 0)[1, 1]),
        "methods": {
            name: {"accuracy": one["shape_accuracy"], "interval": one["shape_accuracy_interval"]}
            for name, one in told.items()
        },
        "kept": {name: kept(tallies[TRUE], tally, seed) for name, tally in made.items()},
        "worst": worst_shapes(tallies[TRUE], made[MODEL], MOUTH_SHAPES, len(MOUTH_SHAPES)) if MODEL in made else [],
    }


def learned_mouths(folder: Path | None, cache: Path, seed: int) -> Mouths:
    """The judge of mouths, from a data set's training clips, which are drawn where there is none."""
    if folder is None:
        plan = Plan(seed, "train", tuple(spread(signer_names(CONTENT), LEARNED)), version=CONTENT)
        folder = cache.expanduser() / cache_name(plan, LEARNED)
        write_dataset(folder, plan, LEARNED)
    return trained(spread(PhoenixIndex(folder).clips("train"), LEARNED), seed)


def summarise(tallies: dict[str, Tally], shapes: tuple[str, ...], clips: int, seed: int) -> dict[str, Any]:
    """Figures of all methods, what is kept of the accuracy, and the shapes that lose most."""
    sums = np.sum(tallies[TRUE].clips, 0)
    counts = {"clips": clips, "visible_hands": int(sums[0, 1]), "labelled_hands": int(sums[1, 1])}
    made = {name: tally for name, tally in tallies.items() if name != TRUE}
    return {
        **counts,
        "methods": {name: tally.summary(seed) for name, tally in tallies.items()},
        "kept": {name: kept(tallies[TRUE], tally, seed) for name, tally in made.items()},
        "worst_shapes": worst_shapes(tallies[TRUE], made[MODEL], shapes, len(shapes)) if MODEL in made else [],
    }


# ---- text ------------------------------------------------------------------------------------------------------------


def share(value: float | None, interval: tuple[float, float] | None) -> str:
    """A share with its interval, in per cent."""
    if value is None or np.isnan(value):
        return "-"
    return f"{100 * value:.1f}" + (f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else "")


def table(kind: str, part: dict[str, Any], rows: int = 8) -> str:
    """The results of one kind as text."""
    lines = [f"{kind} signers: {part['clips']} clips, {part['visible_hands']} visible hands, "
             f"{part['labelled_hands']} of them hold a shape"]  # fmt: skip
    lines.append(f"  {'':14}{'within 3 px, %':>24}{'mean px':>10}{'median':>10}{'not found':>12}{'shape right, %':>24}"
                 f"{'of true, %':>24}")  # fmt: skip
    for name, one in part["methods"].items():
        pixels = "".join(
            f"{'-' if one[key] is None else format(one[key], '.2f'):>10}" for key in ("mean_px", "median_px")
        )
        left = part["kept"].get(name, {"share": None, "interval": None})
        lines.append(
            f"  {name:14}{share(one['within_3_px'], one['within_3_px_interval']):>24}{pixels}{one['not_found']:>12}"
            f"{share(one['shape_accuracy'], one['shape_accuracy_interval']):>24}"
            f"{share(left['share'], left['interval']):>24}"
        )
    if found := part.get("parts"):
        names = list(next(iter(found.values())))
        lines.append(f"  {'':14}" + "".join(f"{name:>16}" for name in names))
        for name, values in found.items():
            lines.append(f"  {name:14}" + "".join(f"{COLUMNS[key].format(values[key]):>16}" for key in names))
    if spoken := part.get("visemes"):
        lines.append(f"  {'':14}{'mouth right, %':>24}{'of true, %':>24}   ({spoken['mouths']} mouths that speak)")
        for name, one in spoken["methods"].items():
            left = spoken["kept"].get(name, {"share": None, "interval": None})
            told = share(one["accuracy"], one["interval"]), share(left["share"], left["interval"])
            lines.append(f"  {name:14}{told[0]:>24}{told[1]:>24}")
    lines += goal_lines(part)
    for row in part["worst_shapes"][:rows]:
        taken = ", ".join(f"{name} {number}" for name, number in row["taken_for"]) or "nothing else"
        lines.append(f"  {row['shape']:10} {row['hands']:4} hands, right {row['right_true']} on true frames, "
                     f"{row['right']} on generated; taken for {taken}")  # fmt: skip
    return "\n".join(lines)


def goal_lines(part: dict[str, Any]) -> list[str]:
    """The model's figures beside what is wanted."""
    if MODEL not in part["methods"]:
        return []
    values = {"within_3_px": part["methods"][MODEL]["within_3_px"], "kept": part["kept"][MODEL]["share"]}
    words = {"within_3_px": "hands within 3 px", "kept": "shape accuracy kept"}
    return [
        f"  {words[name]}: {100 * value:.1f} %, goal at least {100 * goal:g} %: "
        + ("reached" if value >= goal else "NOT reached")
        for name, goal in GOALS.items()
        if (value := values[name]) is not None
    ]


@click.command(help=__doc__)
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--model", default="mini", show_default=True, help="name or folder; 'none': only the true frames")
@click.option("--steps", type=click.IntRange(1), help="sampling steps, default the model's own")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn and of the model's noise")
@click.option("--hand-detector", default="signgen", show_default=True, type=click.Choice(NAMES))
@click.option("--hand-weights", type=click.Path(exists=True, path_type=Path), help="its local weights")
@click.option("--classifier", type=click.Path(exists=True, path_type=Path), help="folder of other classifier weights")
@click.option("--visemes", is_flag=True, help="also tell the shapes of mouths, by a judge that is trained first")
@click.option(
    "--mouths", type=click.Path(exists=True, path_type=Path), help="data set with a train split, for --visemes"
)
@click.option("--renders", type=click.Path(path_type=Path), help="folder where the model's frames stay, for other runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the results here")
@click.option("--sheet", type=click.Path(path_type=Path), help="write a picture of hands: true above, generated below")
def main(
    known: Path | None, new: Path | None, cache: Path, limit: int, model: str, steps: int | None, seed: int,
    hand_detector: str, hand_weights: Path | None, classifier: Path | None, visemes: bool, mouths: Path | None,
    renders: Path | None, json_path: Path | None, sheet: Path | None,
) -> None:  # fmt: skip
    judges = Judges(load_hand_detector(hand_detector, hand_weights), load_handshape_classifier(classifier))
    pipeline = None if model == "none" else SignGenPipeline.from_pretrained(model)
    folders, hands = {"known": known, "new": new}, HandSheet(judges.classifier.shapes)
    judge = learned_mouths(mouths, cache, seed) if visemes else None
    results: dict[str, Any] = {"model": model, "steps": steps, "seed": seed}
    results["judges"] = [judges.detector.signature, judges.classifier.signature]
    for kind in KINDS:
        clips = held_out_clips(kind, folders[kind], cache, limit, seed)
        label, options = f"{kind} signers", {"steps": steps, "seed": seed}
        results[kind] = measure(clips, pipeline, judges, hands, label, renders, judge, **options)
        print(table(kind, results[kind]))
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if sheet:
        hands.write(sheet)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
