"""One clip's sums: frames stream through all measures, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from signgen.keypoints import Keypoints
from signgen.processes import in_processes
from signgen.scoring.clips import VideoClip
from signgen.scoring.hand_measures import count_hands
from signgen.scoring.measures import Chunk, Measure, MeasureOptions, WholeClip
from signgen.scoring.pairing import Pair

CHUNK = 16  # frames in memory at a time, at most
PIXELS = CHUNK * 512 * 512  # and of large ones fewer: measures hold several copies of them in float64
Sums = dict[str, tuple[float, float]]


@dataclass(eq=False)
class ClipSums:
    """What one system's clip contributes.

    Attributes:
        sums: numerator and denominator of each metric.
        counts: whatever was counted.
        per_frame: metric -> (frames,) values, NaN where it is not defined; ``hands`` counts those of hand SSIM.
        moments: sums of features, where FID is computed.
    """

    name: str
    system: int
    frames: int
    sums: Sums = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    per_frame: dict[str, np.ndarray] = field(default_factory=dict)
    moments: dict[str, np.ndarray] = field(default_factory=dict)

    def values(self) -> dict[str, float | None]:
        """Each metric of this clip; None where nothing was measured."""
        return {name: ratio(*parts) for name, parts in self.sums.items()}

    def count(self, counts: dict[str, int]) -> None:
        """Adds to the counts."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None for an empty denominator."""
    return numerator / denominator if denominator > 0 else None


def score_clip(
    pair: Pair, system: int, measures: Sequence[Measure], advance: Callable[[int], None] = lambda frames: None
) -> ClipSums:
    """Scores what a system made of a clip.

    Args:
        system: which of ``pair.systems``.
        advance: told the number of frames done since it was last called.

    Raises:
        InputError: a video is damaged or breaks off, or the keypoints cannot be read.
    """
    result = ClipSums(pair.name, system, pair.frames)
    keypoints = read_pair_keypoints(pair)
    measures = [m for m in measures if keypoints is not None or not m.needs_keypoints]
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for measure in measures:
        measure.begin()
    for chunk in _chunks(pair, system, keypoints):
        if chunk.confidence is not None:
            result.count(count_hands(chunk.confidence))
        for measure in measures:
            for name, part in measure.add(chunk).items():
                parts.setdefault(name, []).append(part)
        advance(len(chunk.pred))
    for name, pieces in parts.items():
        top, bottom = (np.concatenate([piece[i] for piece in pieces]) for i in (0, 1))
        result.sums[name] = float(top.sum()), float(bottom.sum())
        result.per_frame[name] = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
        if name == "hand_ssim":
            result.per_frame["hands"] = bottom
    for measure in measures:
        result.sums.update({**measure.end(), **measure.whole(_whole(pair, system))})
        result.count(measure.counts())
        result.moments.update(measure.moments())
    return result


def read_pair_keypoints(pair: Pair) -> Keypoints | None:
    """The pair's keypoints in the true frames' pixels, as many as frames are compared."""
    if pair.keypoints is None:
        return None
    keypoints = pair.keypoints.read(pair.size)[: pair.frames]
    return keypoints if keypoints.size == pair.size else keypoints.resized(*pair.size)


def _whole(pair: Pair, system: int) -> WholeClip:
    glosses = pair.true.entry.glosses if pair.true.entry else None
    return WholeClip(
        lambda: generated_frames(pair.systems[system], pair), lambda: pair.true.read(pair.frames), pair.fps, glosses
    )


def _chunks(pair: Pair, system: int, keypoints: Keypoints | None) -> Iterator[Chunk]:
    generated = generated_frames(pair.systems[system], pair)
    frames = zip(generated, pair.true.read(pair.frames), strict=True)
    start, count = 0, frames_at_a_time(pair.size)
    while piece := list(islice(frames, count)):
        pred, true = (np.stack(side) for side in zip(*piece, strict=True))
        stop = start + len(piece)
        xy = keypoints.xy[start:stop] if keypoints is not None else None
        yield Chunk(pred, true, xy, keypoints.confidence[start:stop] if keypoints is not None else None)
        start = stop


def frames_at_a_time(size: tuple[int, int]) -> int:
    """How many frames of that (width, height) are in memory together."""
    return max(1, min(CHUNK, PIXELS // (size[0] * size[1])))


def generated_frames(clip: VideoClip, pair: Pair, start: int = 0) -> Iterator[np.ndarray]:
    """A generated clip's frames in the true frames' size."""
    from PIL import Image

    for frame in clip.read(pair.frames, start):
        if clip.info.size == pair.size:
            yield frame
        else:
            yield np.asarray(Image.fromarray(frame).resize(pair.size, Image.Resampling.BICUBIC))


# Clips spread over processes; results come in the order of the clips whatever the number of processes.


@dataclass(frozen=True)
class Task:
    """One clip of one system."""

    pair: Pair
    system: int


def score_all(
    tasks: Sequence[Task],
    options: MeasureOptions,
    measures: Sequence[Measure],
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[ClipSums]:
    """Yields the sums of each task in turn.

    Args:
        options: from which other processes make the same ``measures``.
        jobs: processes; 1 works in this one.
        advance: told the number of frames done since it was last called.

    Raises:
        InputError: a clip cannot be read.
        RunError: a process died.
    """
    if jobs == 1 or len(tasks) < 2:
        with _one_thread():
            for task in tasks:
                yield score_clip(task.pair, task.system, measures, advance)
        return
    yield from _in_processes(tasks, options, measures, jobs, advance)


def _in_processes(
    tasks: Sequence[Task],
    options: MeasureOptions,
    measures: Sequence[Measure],
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[ClipSums]:
    # Without keypoints no hand detector is loaded here, and none may be asked for there.
    wanted = [m.signatures for m in measures], any(m.needs_keypoints for m in measures)
    for result in in_processes(_score, tasks, jobs, _begin_worker, (options, *wanted)):
        advance(result.frames)
        yield result


_measures: list[Measure] = []  # of this worker process


def _begin_worker(options: MeasureOptions, wanted: Sequence[object], keypoints: bool) -> None:
    """One thread a process, which fill the machine already."""
    from signgen.scoring.build import build_measures

    _set_threads(1)
    _measures[:] = [m for m in build_measures(options, keypoints).measures if m.signatures in wanted]


def _score(task: Task) -> ClipSums:
    return score_clip(task.pair, task.system, _measures)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The same arithmetic as in several processes, so that their number changes no digit."""
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    _set_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _set_threads(count: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
