"""Which clips a report shows: the worst by their hands, or by their frames where no hand was scored."""

from __future__ import annotations

import csv
import heapq
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.rendering.manifest import is_manifest, manifest_names
from signgen.rendering.source import load_source
from signgen.scoring.pairing import Pair
from signgen.scoring.report import HandCrop, ReportClip
from signgen.scoring.scores import METRICS, ON_REQUEST
from signgen.scoring.scoring import ClipSums, generated_frames, read_pair_keypoints

# One line per frame: ``--csv``.


SYSTEMS = ("generated", "against")
# Those that have a value for each frame; a step's value stands at its second frame.
PER_FRAME = tuple(name for name in METRICS if name not in {"fid", "background_deviation", *ON_REQUEST})


class FrameTable:
    """Writes a CSV file clip by clip; an empty field is a value that is not defined.

    Columns: system (``generated`` or ``against``), clip, frame (from 0), hands (that count in hand SSIM), and the
    metrics, in full precision.
    """

    def __init__(self, path: Path) -> None:
        # surrogateescape: a clip's name that is no Unicode is written as its bytes are
        self._file = path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(["system", "clip", "frame", "hands", *PER_FRAME])

    def add(self, sums: ClipSums) -> None:
        """The lines of one clip."""
        hands = sums.per_frame.get("hands")
        columns = [sums.per_frame.get(name) for name in PER_FRAME]
        for frame in range(sums.frames):
            values = ["" if c is None or math.isnan(c[frame]) else repr(float(c[frame])) for c in columns]
            count = "" if hands is None else int(hands[frame])
            self._writer.writerow([SYSTEMS[sums.system], sums.name, frame, count, *values])

    def __enter__(self) -> FrameTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


# A clip for the report: frames read when they are asked for, poses drawn then, and its worst hands.


HANDS = 24  # candidates of a clip for the gallery


def report_clip(pair: Pair, per_frame: Mapping[str, np.ndarray]) -> ReportClip:
    """What the report shows of the first system's clip.

    Args:
        per_frame: as in `ClipSums`.
    """
    keypoints = read_pair_keypoints(pair)
    values = {name: column for name, column in per_frame.items() if name != "hands"}
    return ReportClip(
        name=pair.name,
        fps=pair.fps,
        generated=LazyFrames(pair.frames, lambda start: generated_frames(pair.systems[0], pair, start)),
        true=LazyFrames(pair.frames, lambda start: pair.true.read(pair.frames, start)),
        source=source_picture(pair.systems[0].path),
        pose=None if keypoints is None else LazyFrames(pair.frames, lambda start: _poses(keypoints, start)),
        per_frame=values,
        hands=[] if keypoints is None or "hand_ssim" not in values else worst_hands(pair, keypoints),
    )


class LazyFrames(Sequence[np.ndarray]):
    """Frames of a video by their number, read one after the other where they are asked for in order.

    Args:
        length: how many there are.
        read: gives the frames from a number on.
    """

    def __init__(self, length: int, read: Callable[[int], Iterator[np.ndarray]]) -> None:
        self._length, self._read = length, read
        self._next, self._frames = 0, iter(())
        self._at: tuple[int, np.ndarray] | None = None  # the last one given, which is often asked for twice

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        index = range(self._length)[index]  # negative ones, and those beyond the end
        if self._at is not None and self._at[0] == index:
            return self._at[1]
        if self._at is None or index != self._next:
            self._frames = self._read(index)
        self._at, self._next = (index, next(self._frames)), index + 1
        return self._at[1]


def _poses(keypoints: Keypoints, start: int) -> Iterator[np.ndarray]:
    from signgen.pose_image import draw_pose

    return (draw_pose(keypoints, start=frame, stop=frame + 1)[0] for frame in range(start, len(keypoints)))


def worst_hands(pair: Pair, keypoints: Keypoints, most: int = HANDS) -> list[HandCrop]:
    """The hands with the lowest hand SSIM, the worst first."""
    from signgen.scoring.metrics.hands import KNUCKLES, hand_crop, hand_ssim

    worst: list[tuple[float, int, HandCrop]] = []
    order = count()
    frames = zip(generated_frames(pair.systems[0], pair), pair.true.read(pair.frames), strict=True)
    for frame, (made, true) in enumerate(frames):
        one = slice(frame, frame + 1)
        scores = hand_ssim(made[None], true[None], keypoints.xy[one], keypoints.confidence[one])[0]
        for side, knuckle, score in zip(("left", "right"), KNUCKLES, scores, strict=True):
            if np.isnan(score) or (len(worst) == most and -score <= worst[0][0]):
                continue
            crops = [hand_crop(image, tuple(keypoints.xy[frame, knuckle])) for image in (made, true)]
            heapq.heappush(worst, (-score, next(order), HandCrop(frame, side, "hand_ssim", float(score), *crops)))
            if len(worst) > most:
                heapq.heappop(worst)
    return [crop for _, _, crop in sorted(worst, key=lambda item: -item[0])]


# The picture a generated clip's signer was taken from, where its manifest says which.


LARGEST_MANIFEST = 1_000_000  # bytes; ours have some thousands


def source_picture(video: Path) -> np.ndarray | None:
    """uint8 (H,W,3), or None: the manifest beside ``video`` is missing, or names no picture that can be read here."""
    for path in manifest_names(video):
        try:
            if path.stat().st_size > LARGEST_MANIFEST:
                continue
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if is_manifest(content):
            return _picture(content.get("source"), path.parent)
    return None


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


class WorstClips:
    """Keeps the worst clips of the first system with their values per frame, and forgets all others.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._heap: list[tuple[float, int, ClipSums]] = []  # the best of the worst on top
        self._seen = 0

    def add(self, sums: ClipSums) -> None:
        """Takes a clip; to be called before its values per frame are let go."""
        if sums.system != 0 or not self.count:
            return
        self._seen += 1
        heapq.heappush(self._heap, (-quality(sums), -self._seen, replace(sums, moments={})))
        if len(self._heap) > self.count:
            heapq.heappop(self._heap)

    @property
    def choice(self) -> str:
        """How they were chosen, in words."""
        return f"the {self.count} lowest by Hand SSIM, or by SSIM wang where no hand was scored"

    def clips(self) -> list[ClipSums]:
        """The worst first."""
        return [sums for _, _, sums in sorted(self._heap, key=lambda item: (-item[0], -item[1]))]


def quality(sums: ClipSums) -> float:
    """The clip's hand SSIM, else its SSIM, else its PSNR."""
    values = sums.values()
    return next((v for name in ("hand_ssim", "ssim_wang", "psnr") if (v := values.get(name)) is not None), 0.0)
