"""Do the drawn signers pass for people? MediaPipe Holistic, trained on photographs of real ones, looks for them.

    python benchmarks/drawn_people.py                      # the held-out signers and every eighth for training
    python benchmarks/drawn_people.py --signers h01,s05 --frames 40 --json

A clip of each signer is drawn with the motion of the training data, and Holistic follows it frame by frame as it would
a video (`--alone` looks at every frame by itself). Frames are enlarged and stretched to a square of 520 pixels, which
takes back the corpus' sideways squeeze.

By our own exact keypoints a hand is visible where at least 14 of its 21 points are inside the frame with a confidence
of 0.5 or more (hidden points have less), a face where 48 of its 68 have. A visible part is found where Holistic gives
it and its points lie within 20 px of ours (mean over the points that both have, native pixels): one in another place
is a miss.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np

from signgen.errors import InputError, SignGenError
from signgen.extraction.packages import INSTALL, import_or_say
from signgen.keypoints.skeleton import FACE, LEFT_HAND, RIGHT_HAND
from signgen.synthetic.dataset import Plan, draw_clip
from signgen.synthetic.signer import HELD_OUT, signer_names

GOAL = 0.9
SIZE, SQUARE = (210, 260), 520
SURE, MOST_OF_HAND, MOST_OF_FACE = 0.5, 14, 48
NEAR = 20.0  # native pixels
PARTS = {"face": FACE, "left_hand": LEFT_HAND, "right_hand": RIGHT_HAND}
# points of the face mesh and their places in the 68: corners of eyes and mouth, nose tip, chin
FACE_PAIRS = {33: 36, 133: 39, 362: 42, 263: 45, 1: 30, 61: 48, 291: 54, 152: 8}


@dataclass
class Tally:
    """Of one signer and part: frames in which it is visible, found among them, and distances in native pixels."""

    visible: int = 0
    found: int = 0
    distances: list[float] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.visible + other.visible, self.found + other.found, self.distances + other.distances)

    def report(self) -> dict[str, Any]:
        """Counts, the share found (None where it was never visible) and the mean distance of what was found."""
        return {
            "visible": self.visible,
            "found": round(self.found / self.visible, 4) if self.visible else None,
            "distance_px": round(float(np.mean(self.distances)), 2) if self.distances else None,
        }


def visible_parts(keypoints: np.ndarray) -> dict[str, bool]:
    """Which parts are to be found in a frame with keypoints (133, 3): x, y, confidence."""
    x, y, sure = keypoints.T
    inside = (x >= 0) & (x < SIZE[0]) & (y >= 0) & (y < SIZE[1]) & (sure >= SURE)
    return {
        name: int(inside[part].sum()) >= (MOST_OF_FACE if name == "face" else MOST_OF_HAND)
        for name, part in PARTS.items()
    }


def distance(part: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean distance in native pixels of Holistic's points (n, 2), shares of the frame, to our keypoints (133, 3)."""
    found = theirs * np.array(SIZE)
    exact = ours[PARTS[part], :2]
    if part == "face":
        found, exact = found[list(FACE_PAIRS)], exact[list(FACE_PAIRS.values())]
    return float(np.linalg.norm(found - exact, axis=1).mean())


class Holistic:
    """MediaPipe Holistic with the models of its wheel; one object a clip, since it follows what it has seen."""

    def __init__(self, alone: bool) -> None:
        mediapipe = import_or_say("mediapipe", INSTALL["mediapipe"])
        self.version = mediapipe.__version__
        self._model = mediapipe.solutions.holistic.Holistic(
            static_image_mode=alone, model_complexity=1, min_detection_confidence=0.5, min_tracking_confidence=0.5
        )

    def look(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Points (n, 2), shares of the frame, of the parts found in an image (H, W, 3)."""
        from PIL import Image

        square = np.asarray(Image.fromarray(image).resize((SQUARE, SQUARE), Image.Resampling.BICUBIC))
        result = self._model.process(square)
        found = {name: getattr(result, f"{name}_landmarks") for name in PARTS}
        return {
            name: np.array([[point.x, point.y] for point in points.landmark])
            for name, points in found.items()
            if points is not None
        }


def clip_of(signer: str, seed: int, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames and keypoints of one clip of a signer, as the data set draws them."""
    split = "test" if signer in HELD_OUT else "train"
    number = (HELD_OUT + signer_names()).index(signer)  # another sentence for everybody
    return draw_clip(Plan(seed, split, (signer,), (frames, frames), SIZE), number)


def judge(signer: str, seed: int, frames: int, alone: bool) -> dict[str, Tally]:
    """What Holistic finds of one signer, by part."""
    holistic = Holistic(alone)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for image, keypoints in clip_of(signer, seed, frames):
        theirs = holistic.look(image)
        for part, visible in visible_parts(keypoints).items():
            if not visible:
                continue
            tally = tallies[part]
            tally.visible += 1
            away = distance(part, keypoints, theirs[part]) if part in theirs else np.inf
            if away <= NEAR:
                tally.found += 1
                tally.distances.append(away)
    return dict(tallies)


def summary(by_signer: dict[str, dict[str, Tally]]) -> dict[str, Any]:
    """Shares by signer and over all, and whether all parts reach the goal."""
    total = {part: sum((tallies.get(part, Tally()) for tallies in by_signer.values()), Tally()) for part in PARTS}
    reached = {part: bool(tally.visible and tally.found / tally.visible >= GOAL) for part, tally in total.items()}
    return {
        "signers": {
            name: {part: tallies.get(part, Tally()).report() for part in PARTS} for name, tallies in by_signer.items()
        },
        "all": {part: tally.report() for part, tally in total.items()},
        "goal": GOAL,
        "reached": reached,
    }


def _row(name: str, parts: dict[str, dict[str, Any]]) -> str:
    cells = [
        f"{100 * p['found']:5.1f} % of {p['visible']:4d}, {p['distance_px'] or float('nan'):4.1f} px"
        if p["visible"]
        else f"{'-':>22}"
        for p in parts.values()
    ]
    return f"{name:6} " + "   ".join(cells)


@click.command()
@click.option("--signers", default="", help="Comma-separated; by default all held-out and every eighth for training.")
@click.option("--frames", default=40, show_default=True, type=click.IntRange(8, 400), help="Of each signer's clip.")
@click.option("--seed", default=17, show_default=True, help="Of sentences, motion and recording.")
@click.option("--alone", is_flag=True, help="Look at each frame by itself instead of following the clip.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(signers: str, frames: int, seed: int, alone: bool, as_json: bool) -> None:
    """Share of frames in which MediaPipe Holistic finds the face and the hands that are visible."""
    names = [name for name in signers.split(",") if name] or HELD_OUT + signer_names()[::8]
    known = HELD_OUT + signer_names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError("--signers", ", ".join(unknown), "use " + ", ".join(known))
    by_signer = {}
    for name in names:
        by_signer[name] = judge(name, seed, frames, alone)
        print(_row(name, {part: by_signer[name].get(part, Tally()).report() for part in PARTS}), file=sys.stderr)
    result = {"detector": "mediapipe holistic", "mode": "alone" if alone else "tracking", **summary(by_signer)}
    result |= {"frames_per_signer": frames, "seed": seed}
    if as_json:
        print(json.dumps(result))
    else:
        print(_row("all", result["all"]))
        print(
            "goal reached: " + ", ".join(f"{part} {'yes' if yes else 'no'}" for part, yes in result["reached"].items())
        )


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
