"""The worst frames and hands of the embedded clips, spread out so that one bad second does not fill the gallery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.scoring.report.clips import ReportClip
from signgen.scoring.report.labels import badness, label, with_unit
from signgen.scoring.report.pictures import FRAME_METRICS, HandCrop, webp

APART = 0.5  # seconds between two pictures of one clip (and one hand)


@dataclass(frozen=True, eq=False)
class Worst:
    """A frame of the gallery, or a hand of it; ``clip`` counts through the clips given."""

    clip: int
    frame: int
    metric: str
    score: float
    hand: HandCrop | None = None

    @property
    def place(self) -> tuple[int, str]:
        """Clip and hand, of which neighbours in time are alike."""
        return self.clip, "" if self.hand is None else self.hand.side


def worst_frames(clips: Sequence[ReportClip], most: int) -> list[Worst]:
    """At most ``most`` embedded frames over all clips, the worst first, by the first frame metric that any clip has."""
    for metric in FRAME_METRICS:
        found = [
            Worst(index, frame, metric, score)
            for index, clip in enumerate(clips)
            for frame, score in ranked(clip, metric)
        ]
        if found:
            return _spread(found, clips, most)
    return []


def worst_hands(clips: Sequence[ReportClip], most: int) -> dict[str, list[Worst]]:
    """Metric -> at most ``most`` hands of embedded frames, the worst first."""
    by_metric: dict[str, list[Worst]] = defaultdict(list)
    for index, clip in enumerate(clips):
        for crop in clip.pictures.hands:
            if clip.pictures.holds(crop.frame):
                by_metric[crop.metric].append(Worst(index, crop.frame, crop.metric, crop.score, crop))
    return {metric: _spread(hands, clips, most) for metric, hands in by_metric.items()}


def ranked(clip: ReportClip, metric: str) -> list[tuple[int, float]]:
    """(frame, score) of the embedded frames that have one, the worst first."""
    values = clip.per_frame.get(metric)
    if values is None:
        return []
    embedded = range(clip.pictures.first, clip.pictures.last + 1)
    found = [(frame, float(values[frame])) for frame in embedded if np.isfinite(values[frame])]
    return sorted(found, key=lambda item: _rank(metric, item[1]), reverse=True)


def _rank(metric: str, score: float) -> float:
    bad = badness(metric, score)
    return -score if bad is None else bad  # without a direction the lowest value is looked at first


def _spread(items: list[Worst], clips: Sequence[ReportClip], most: int) -> list[Worst]:
    """The worst first; an item close in time to one already taken, of the same clip and hand, is passed over."""
    taken: list[Worst] = []
    for item in sorted(items, key=lambda item: _rank(item.metric, item.score), reverse=True):
        if len(taken) == most:
            break
        gap = APART * clips[item.clip].fps
        if not any(item.place == other.place and abs(item.frame - other.frame) < gap for other in taken):
            taken.append(item)
    return taken


# What the galleries show: true beside generated, the score, and the place that a click goes to.

GALLERY = 12  # pictures of each
THUMB = 320  # pixels of the longer side of a hand's picture


def galleries(clips: Sequence[ReportClip]) -> list[dict[str, Any]]:
    """The worst frames, and for each metric of hands the worst hands; one without pictures is left out."""
    made = []
    if frames := worst_frames(clips, GALLERY):
        pictures = [_frame_picture(item, clips[item.clip]) for item in frames]
        made.append(
            {"kind": "frames", "title": f"Worst frames by {label(frames[0].metric).text}", "pictures": pictures}
        )
    for metric, hands in worst_hands(clips, GALLERY).items():
        pictures = [_hand_picture(item, clips[item.clip]) for item in hands]
        made.append({"kind": "hands", "title": f"Worst hands by {label(metric).text}", "pictures": pictures})
    return made


def _frame_picture(item: Worst, clip: ReportClip) -> dict[str, Any]:
    kept = clip.pictures
    true, generated = (kept.streams[name][item.frame - kept.first] for name in ("true", "generated"))
    return _picture(item, clip, f"frame {item.frame}", true, generated, kept.size)


def _hand_picture(item: Worst, clip: ReportClip) -> dict[str, Any]:
    crop = item.hand
    assert crop is not None, "a hand"
    true, generated = (webp(image, THUMB, lossless=True) for image in (crop.true, crop.generated))
    size = (crop.true.shape[1], crop.true.shape[0])
    return _picture(item, clip, f"{crop.side} hand, frame {item.frame}", true, generated, size)


def _picture(
    item: Worst, clip: ReportClip, what: str, true: str, generated: str, size: tuple[int, int]
) -> dict[str, Any]:
    return {
        "clip": item.clip,
        "frame": item.frame,
        "name": clip.name,
        "what": what,
        "score": with_unit(item.metric, item.score),
        "true": true,
        "generated": generated,
        "width": size[0],
        "height": size[1],
    }
