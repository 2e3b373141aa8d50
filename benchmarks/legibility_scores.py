"""What is counted on hands: joints that lie where they should, and hand shapes that are told right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import CONFIDENT
from signgen.scoring.comparison import percentile_interval, quotients, resample
from signgen.scoring.metrics.hand_detectors import HandDetector, found, search_boxes
from signgen.scoring.metrics.hand_detectors.interface import HANDS
from signgen.scoring.metrics.handshapes import HandshapeClassifier

NEAR = 3.0  # pixels, mean over the joints of a hand
TRUE, CEILING, MODEL = "true frames", "autoencoder", "model"


@dataclass(frozen=True)
class Judges:
    """Who looks at the hands."""

    detector: HandDetector
    classifier: HandshapeClassifier


@dataclass(frozen=True)
class Reading:
    """What the judges see in T frames.

    Attributes:
        distance: (T,2) mean distance in pixels of the joints found from the driving ones; infinite where no hand
            was found, NaN where none is visible.
        shape: (T,2) the shape seen, as an index into the classifier's, -1 where none is visible.
    """

    distance: np.ndarray
    shape: np.ndarray


def read_hands(judges: Judges, frames: np.ndarray, keypoints: Keypoints) -> Reading:
    """Looks at the hands of frames uint8 (T,H,W,3) in the boxes of their driving keypoints.

    A hand is visible where its middle knuckle is confident. Joints that the driving signal is not sure of have no
    distance, those that it says are hidden behind others have.
    """
    boxes = search_boxes(keypoints.xy, keypoints.confidence, keypoints.width, keypoints.height)
    visible = ~np.isnan(boxes[..., 0])
    joints = judges.detector.detect(frames, boxes)  # (T,2,21,3)
    wanted = np.stack([keypoints.xy[:, hand] for hand, _ in HANDS], 1)
    sure = np.stack([keypoints.confidence[:, hand] for hand, _ in HANDS], 1) >= CONFIDENT
    apart = np.linalg.norm(joints[..., :2].astype(np.float64) - wanted, axis=-1)  # (T,2,21)
    distance = np.where(sure, apart, 0).sum(-1) / np.maximum(sure.sum(-1), 1)
    distance[visible & ~found(joints, judges.detector)] = np.inf
    distance[~visible] = np.nan
    belief = judges.classifier.classify(frames, boxes)
    return Reading(distance, np.where(visible, np.nan_to_num(belief).argmax(-1), -1))


@dataclass
class Tally:
    """Counts of one method over clips.

    Attributes:
        clips: for each clip (2,2): hands within ``NEAR`` and visible hands; shapes told right and labelled hands.
        distances: of all hands that were found.
        pairs: (shape held, shape seen) -> hands.
    """

    clips: list[np.ndarray] = field(default_factory=list)
    distances: list[np.ndarray] = field(default_factory=list)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, reading: Reading, labels: np.ndarray) -> None:
        """Adds a clip with its shapes (T,2), -1 for none."""
        visible = ~np.isnan(reading.distance)
        labelled = visible & (labels >= 0)
        near, right = reading.distance[visible] <= NEAR, (reading.shape == labels)[labelled]
        self.clips.append(np.array([[near.sum(), visible.sum()], [right.sum(), labelled.sum()]], np.float64))
        self.distances.append(reading.distance[np.isfinite(reading.distance)])
        self.pairs.update(zip(labels[labelled].tolist(), reading.shape[labelled].tolist(), strict=True))

    def summary(self, seed: int) -> dict[str, Any]:
        """Shares with 95 % intervals over clips, and distances of the hands that were found."""
        sums, drawn = np.sum(self.clips, 0), quotients(resample(np.stack(self.clips), seed))
        near, right = quotients(sums)
        distances = np.concatenate(self.distances)
        return {
            "within_3_px": float(near),
            "within_3_px_interval": percentile_interval(drawn[:, 0]),
            "mean_px": float(distances.mean()) if len(distances) else None,
            "median_px": float(np.median(distances)) if len(distances) else None,
            "not_found": int(sums[0, 1]) - len(distances),
            "shape_accuracy": float(right),
            "shape_accuracy_interval": percentile_interval(drawn[:, 1]),
        }


def kept(true: Tally, made: Tally, seed: int) -> dict[str, Any]:
    """Share of the accuracy on true frames that is left on others of the same clips, drawn in pairs."""
    rates = [quotients(np.sum(tally.clips, 0))[1] for tally in (true, made)]
    before, after = (quotients(resample(np.stack(tally.clips), seed))[:, 1] for tally in (true, made))
    drawn = np.divide(after, before, out=np.full_like(after, np.nan), where=before > 0)
    share = float(rates[1] / rates[0]) if rates[0] > 0 else None
    return {"share": share, "interval": percentile_interval(drawn)}


def worst_shapes(true: Tally, made: Tally, names: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    """The shapes that lose most hands from true to other frames, and what they are then taken for."""
    rows = []
    for shape in sorted({held for held, _ in true.pairs}):
        hands = sum(number for (held, _), number in true.pairs.items() if held == shape)
        before, after = true.pairs[shape, shape], made.pairs[shape, shape]
        wrong = Counter({seen: n for (held, seen), n in made.pairs.items() if held == shape != seen})
        taken = [(names[seen], number) for seen, number in wrong.most_common(2)]
        rows.append({"shape": names[shape], "hands": hands, "right_true": before, "right": after, "taken_for": taken})
    return sorted(rows, key=lambda row: row["right"] - row["right_true"])[:count]
