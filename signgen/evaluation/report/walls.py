"""What the walls of pictures show: true beside generated, the score, and the place that a click goes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from signgen.evaluation.report.clips import ReportClip
from signgen.evaluation.report.embedding import Embedded, webp
from signgen.evaluation.report.gallery import WorstFrame, WorstHand, worst_frames, worst_hands
from signgen.evaluation.report.labels import label, with_unit

GALLERY = 12  # pictures of each wall
THUMB = 320  # pixels of the longer side of a hand's picture


def walls(clips: Sequence[ReportClip], embedded: Sequence[Embedded]) -> list[dict[str, Any]]:
    """The worst frames, and for each metric of hands the worst hands; a wall without pictures is left out."""
    made = []
    frames = worst_frames(clips, embedded, GALLERY)
    if frames:
        pictures = [_frame_picture(item, clips[item.clip], embedded[item.clip]) for item in frames]
        made.append(_wall("frames", f"Worst frames by {label(frames[0].metric).text}", pictures))
    for metric, hands in worst_hands(clips, embedded, GALLERY).items():
        pictures = [_hand_picture(item, clips[item.clip]) for item in hands]
        made.append(_wall("hands", f"Worst hands by {label(metric).text}", pictures))
    return made


def _wall(kind: str, title: str, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "title": title, "pictures": pictures}


def _frame_picture(item: WorstFrame, clip: ReportClip, kept: Embedded) -> dict[str, Any]:
    index = item.frame - kept.first
    true, generated = kept.streams["true"][index], kept.streams["generated"][index]
    return _picture(item, clip, f"frame {item.frame}", true, generated, kept.size)


def _hand_picture(item: WorstHand, clip: ReportClip) -> dict[str, Any]:
    crop = item.crop
    true, generated = (webp(image, THUMB, lossless=True) for image in (crop.true, crop.generated))
    return _picture(
        item, clip, f"{crop.side} hand, frame {item.frame}", true, generated, (crop.true.shape[1], crop.true.shape[0])
    )


def _picture(
    item: WorstFrame | WorstHand, clip: ReportClip, what: str, true: str, generated: str, size: tuple[int, int]
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
