"""A clip for the report: frames read when they are asked for, poses drawn then, and its worst hands."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import numpy as np

from signgen.evaluation.pairing import Pair
from signgen.evaluation.report import HandCrop, ReportClip
from signgen.evaluation.scoring import generated_frames, read_pair_keypoints
from signgen.evaluation.source_picture import source_picture
from signgen.keypoints import Keypoints

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
    from signgen.metrics.hands import KNUCKLES, hand_crop, hand_ssim

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
