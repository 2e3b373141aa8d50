"""An outside judge of a model: MediaPipe, trained on real people, looks for the hands that the model was told to paint.

    python benchmarks/extract_judge.py --sheet judge.png       # all clips of held_out.py; needs the extra mediapipe

Held-out clips of drawn signers are rendered from their own first frame. MediaPipe Holistic then reads the true frames
and the rendered ones as `signgen extract` does, and its points are compared with the driving keypoints. What it misses
on true frames is its own limit (small hands, drawn skin); what it misses on rendered ones beyond that is the model's:
"kept" is the share of the hands found in the true frames that it also finds in the rendered ones.
A hand counts where the knuckle of the driving middle finger is confident; one on the other hand's place is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import CACHE, KINDS, generate, held_out_clips, kept_at, spread
from PIL import Image, ImageDraw

from signgen.errors import SignGenError
from signgen.extraction import EstimatorSettings
from signgen.extraction.estimator import Estimator, whole_frame
from signgen.extraction.loading import load_estimator
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.skeleton import CONFIDENT, LEFT_HAND, RIGHT_HAND
from signgen.model import SignGenPipeline
from signgen.pose_image import palette
from signgen.scoring.comparison import bootstrap_intervals, quotients
from signgen.video import read_frames

HANDS = ((LEFT_HAND, RIGHT_HAND), (RIGHT_HAND, LEFT_HAND))  # a hand, and the one that it may be taken for
KNUCKLE = 9  # of a hand's 21 points: the middle finger's first joint
ARMS = slice(5, 11)  # shoulders, elbows, wrists
ROWS = ("true frames", "rendered")


class Tally:
    """Distances between what was read and what was driven, over clips."""

    def __init__(self) -> None:
        self.clips: list[np.ndarray] = []  # of each clip (T,2): 1 for a hand that was found, 0 for one that was not
        self.hands: list[float] = []  # mean pixels over the 21 points of each hand that was found
        self.arms: list[float] = []
        self.swapped = 0

    def add(self, read: np.ndarray, keypoints: Keypoints) -> None:
        """Points (T,133,3) as an estimator gives them, and the clip of T frames that drove."""
        wanted = np.stack([keypoints.confidence[:, hand.start + KNUCKLE] >= CONFIDENT for hand, _ in HANDS], 1)
        found = np.stack([read[:, hand, 2].all(1) for hand, _ in HANDS], 1)
        self.clips.append(np.where(wanted, found, np.nan))
        for t, side in np.argwhere(wanted & found):
            hand, other = HANDS[side]
            self.hands.append(_distance(read[t, hand], keypoints.xy[t, hand]))
            self.swapped += self.hands[-1] > _distance(read[t, hand], keypoints.xy[t, other])
        sure = (read[:, ARMS, 2] >= CONFIDENT) & (keypoints.confidence[:, ARMS] >= CONFIDENT)
        self.arms += np.linalg.norm(read[:, ARMS, :2] - keypoints.xy[:, ARMS], axis=-1)[sure].tolist()

    def sums(self) -> np.ndarray:
        """Of each clip (C,2): hands that were found, and hands."""
        return np.array([[np.nansum(clip), (~np.isnan(clip)).sum()] for clip in self.clips], np.float64)

    def summary(self) -> dict[str, Any]:
        """Counts, and pixels with a digit too many; None where nothing was found."""
        pixels, (found, wanted) = np.array(self.hands), self.sums().sum(0).astype(int).tolist()
        return {
            "hands": wanted,
            "found": round(found / max(wanted, 1), 4),
            "mean_px": round(float(pixels.mean()), 2) if len(pixels) else None,
            "median_px": round(float(np.median(pixels)), 2) if len(pixels) else None,
            "within_8_px": round(float((pixels <= 8).mean()), 4) if len(pixels) else None,
            "nearer_to_the_other_hand": self.swapped,
            "arms_px": round(float(np.mean(self.arms)), 2) if self.arms else None,
        }


def kept_hands(true: Tally, made: Tally) -> np.ndarray:
    """Of each clip (C,2): hands found in the true frames and in the others of the same clips, and in the true ones."""
    pairs = zip(true.clips, made.clips, strict=True)
    return np.array([[np.nansum(first * second), np.nansum(first)] for first, second in pairs], np.float64)


def _distance(read: np.ndarray, place: np.ndarray) -> float:
    return float(np.linalg.norm(read[:, :2] - place, axis=-1).mean())


def looked_at(estimator: Estimator, frames: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The frames (T,H,W,3), and the points (T,133,3) that the estimator finds in them as a video."""
    stack = np.stack(list(frames))
    return stack, estimator.look(stack, whole_frame(stack.shape[2], stack.shape[1]), follows=False)


def picture(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A frame with the points that were read from it, three times as large."""
    image = Image.fromarray(frame).resize((frame.shape[1] * 3, frame.shape[0] * 3))
    draw = ImageDraw.Draw(image)
    strokes = palette.table()
    for (a, b), (colour, _) in zip(strokes.ends, strokes.colours.astype(int), strict=True):
        if min(points[a, 2], points[b, 2]) >= CONFIDENT:
            draw.line([tuple((points[a, :2] + 0.5) * 3), tuple((points[b, :2] + 0.5) * 3)], fill=tuple(colour), width=2)
    return np.asarray(image)


@click.command(help=__doc__)
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--most", default=60, show_default=True, type=click.IntRange(1), help="frames of a clip")
@click.option("--of", default=12, show_default=True, type=click.IntRange(1), help="they are taken evenly from as many")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--model", default="mini", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--renders", type=click.Path(path_type=Path), help="folder where the model's frames stay, for other runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path))
@click.option("--sheet", type=click.Path(path_type=Path), help="true and rendered frames with what was read")
def main(
    known: Path | None, new: Path | None,
    limit: int, most: int, of: int, cache: Path, model: str, seed: int, renders: Path | None, json_path: Path | None,
    sheet: Path | None,
) -> None:  # fmt: skip
    estimator = load_estimator(EstimatorSettings("mediapipe"))
    pipeline = SignGenPipeline.from_pretrained(model)
    results: dict[str, Any] = {"model": model, "judge": estimator.signature, "seed": seed}
    rows: list[np.ndarray] = []
    folders = {"known": known, "new": new}
    for kind in KINDS:
        tallies = {name: Tally() for name in ROWS}
        for clip in spread(held_out_clips(kind, folders[kind], cache, of, seed), limit):
            keypoints = read_keypoints(clip.keypoints).keypoints[:most]
            true = np.stack(list(islice(read_frames(clip.folder), len(keypoints))))
            rendered = generate(pipeline, true[0], keypoints, kept_at(renders, clip), seed=seed)
            made = dict(zip(ROWS, (true, rendered), strict=True))
            pictures = []
            for name, frames in made.items():
                stack, read = looked_at(estimator, islice(frames, 1, None))  # the first is the source itself
                tallies[name].add(read, keypoints[1:])
                middle = len(stack) // 2
                pictures.append(picture(stack[middle], read[middle]))
            rows.append(np.concatenate(pictures, 1))
            print(f"{kind} signers: {clip.name}", file=sys.stderr)
        both = kept_hands(*tallies.values())
        kept = {"share": float(quotients(both.sum(0))), "interval": bootstrap_intervals(both[:, None], seed)[0]}
        results[kind] = {**{name: tally.summary() for name, tally in tallies.items()}, "kept": kept}
    print(json.dumps(results, indent=1))
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if sheet:
        half = (len(rows) + 1) // 2
        rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
        Image.fromarray(np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], 1)).save(sheet)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
