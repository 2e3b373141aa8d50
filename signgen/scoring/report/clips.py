"""The clips that a report shows: the worst of an evaluation, with pose images and the source picture beside them."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from signgen.errors import InputError
from signgen.pose_image import draw_pose
from signgen.rendering.manifest import is_manifest, is_manifest_of, manifest_names
from signgen.rendering.source import load_source
from signgen.scoring.measures import ClipSums
from signgen.scoring.pairing import Pair
from signgen.scoring.report.pictures import Limits, Pictures, webp

LARGEST_MANIFEST = 1_000_000  # bytes; ours have some thousands


@dataclass(frozen=True, eq=False)
class ReportClip:
    """One clip of the report.

    Attributes:
        name: as in the clips of the evaluation result.
        fps: frames a second, above 0.
        frames: how many the clip has.
        pictures: those that were kept of it.
        per_frame: metric -> (frames,) values, NaN where the metric is not defined (no hand, no frame before).
    """

    name: str
    fps: float
    frames: int
    pictures: Pictures
    per_frame: Mapping[str, np.ndarray] = field(default_factory=dict)


class WorstClips:
    """Keeps the worst clips of the first system: lowest by hand SSIM, or by their frames where no hand was scored.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._heap: list[tuple[float, int, ClipSums]] = []  # the best of the worst on top
        self._seen = 0

    def add(self, sums: ClipSums) -> None:
        """Takes a clip; to be called before its values per frame are released."""
        if sums.system != 0:
            return
        self._seen += 1
        heapq.heappush(self._heap, (-quality(sums), -self._seen, replace(sums, moments={})))
        if len(self._heap) > self.count:
            heapq.heappop(self._heap)

    @property
    def choice(self) -> str:
        """How they were chosen, in words; empty where all are shown."""
        words = f"the {self.count} lowest by Hand SSIM, or by SSIM wang where no hand was scored"
        return words if self._seen > self.count else ""

    def clips(self) -> list[ClipSums]:
        """The worst first."""
        return [sums for _, _, sums in sorted(self._heap, key=lambda item: (-item[0], -item[1]))]


def quality(sums: ClipSums) -> float:
    """The clip's hand SSIM, else its SSIM, else its PSNR."""
    values = sums.values()
    return next((v for name in ("hand_ssim", "ssim_wang", "psnr") if (v := values.get(name)) is not None), 0.0)


def report_clip(pair: Pair, sums: ClipSums, limits: Limits) -> ReportClip:
    """What the report shows of the first system's clip: the pictures kept while it was scored, poses drawn beside."""
    pictures = sums.pictures
    assert pictures is not None, "kept where a report is wanted"
    keypoints, streams = pair.read_keypoints(), dict(pictures.streams)
    if keypoints is not None:
        shown = range(pictures.first, pictures.last + 1)
        streams["pose"] = [webp(draw_pose(keypoints, start=n, stop=n + 1)[0], limits.side) for n in shown]
    source = source_picture(pair.systems[0].path)
    text = None if source is None else webp(source, limits.side)
    values = {name: column for name, column in sums.per_frame.items() if name != "hands"}
    return ReportClip(pair.name, pair.fps, pair.frames, replace(pictures, streams=streams, source=text), values)


def source_picture(video: Path) -> np.ndarray | None:
    """The picture a generated clip's signer was taken from, uint8 (H,W,3).

    None where the manifest beside ``video`` is missing, or names no picture that can be read here. Of two the one is
    taken that names the video.
    """
    found = []
    for path in manifest_names(video):
        try:
            if path.stat().st_size > LARGEST_MANIFEST:
                continue
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if is_manifest(content):
            found.append(content)
    found.sort(key=lambda content: not is_manifest_of(content, video))
    return _picture(found[0].get("source"), video.parent) if found else None


def _picture(named: object, folder: Path) -> np.ndarray | None:
    """The source by its name; a path counts from where the render ran, so it is also looked for beside the video."""
    if not isinstance(named, str) or not named:
        return None
    for spec in (named, folder / named):
        try:
            return load_source(spec).image
        except InputError:
            continue
    return None
