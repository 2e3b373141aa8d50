"""Which metrics an evaluation has and why it lacks the others, and one clip's sums: frames stream through them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from signgen.errors import InputError, Missing
from signgen.keypoints import Keypoints
from signgen.processes import in_processes
from signgen.scoring.metrics.hands import HandSSIM
from signgen.scoring.metrics.metric import Chunk, ClipFacts, MeasureOptions, Score, Scored, Tools
from signgen.scoring.metrics.registry import METRICS
from signgen.scoring.pairing import Pair
from signgen.scoring.report.pictures import Album, Limits, Pictures

CHUNK = 16  # frames in memory at a time, at most
PIXELS = CHUNK * 512 * 512  # and of large ones fewer: metrics hold several copies of them in float64
_NO_KEYPOINTS = "no keypoints: give those of the true frames with --keypoints"


@dataclass
class Built:
    """The metrics by name, and the reason for each one that is missing."""

    metrics: dict[str, Scored] = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)

    @property
    def signatures(self) -> dict[str, str]:
        return {name: metric.signature for name, metric in self.metrics.items()}


def build_metrics(options: MeasureOptions, pairs: Sequence[Pair]) -> Built:
    """Loads everything that can be measured on these pairs with these options.

    Raises:
        InputError: a weight file or a detector that was asked for is missing or wrong; or nobody says what is signed.
    """
    if options.recogniser and not any(pair.true.entry for pair in pairs):
        got = "the reference does not say what is signed"
        raise Missing("--recogniser", got, "give a data set in PHOENIX14T's layout as REFERENCE")
    built, tools = Built(), Tools(options)
    keypoints = any(pair.keypoints for pair in pairs)
    smallest = min(pairs, key=lambda pair: min(pair.size))
    for name, score in METRICS.items():
        if score.on_request and not options.asks_for(score):
            continue
        found = _make(score, tools, keypoints)
        if isinstance(found, Scored) and min(smallest.size) < score.smallest_side:
            got = f"the frames of {smallest.name} are {smallest.size[0]}x{smallest.size[1]}"
            found = f"{got}, it needs {score.smallest_side} pixels a side"
        if isinstance(found, Scored):
            built.metrics[name] = found
        else:
            built.not_computed[name] = found
    return built


def _make(score: Score, tools: Tools, keypoints: bool) -> Scored | str:
    """The metric, or the reason why there is none."""
    options = tools.options
    if score.keypoints and not keypoints:
        return _NO_KEYPOINTS
    if score.weights is not None and getattr(options, f"{score.name}_weights") is None:
        return f"no weights: {score.weights.advice}; give the file with --{score.name}-weights"
    try:
        return score.make(tools)
    except InputError as error:  # where the hand detector that ships cannot be loaded, all else is still scored
        is_default = options.hand_detector == MeasureOptions.hand_detector and options.hand_weights is None
        if score.name in ("hand_pe", "hand_pe_drive") and is_default:
            return str(error)
        raise


@dataclass(eq=False)
class ClipSums:
    """What one system's clip contributes.

    Attributes:
        sums: numerator and denominator of each metric.
        counts: whatever was counted.
        per_frame: metric -> (frames,) values, NaN where it is not defined; ``hands`` counts those of hand SSIM.
        moments: sums of features, where FID is computed.
        pictures: what a report shows of it, where one is wanted.
    """

    name: str
    system: int
    frames: int
    sums: dict[str, tuple[float, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    per_frame: dict[str, np.ndarray] = field(default_factory=dict)
    moments: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: Pictures | None = None

    def values(self) -> dict[str, float | None]:
        """Each metric of this clip; None where nothing was measured."""
        return {name: ratio(*parts) for name, parts in self.sums.items()}


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None for an empty denominator."""
    return numerator / denominator if denominator > 0 else None


def score_clip(
    pair: Pair,
    system: int,
    metrics: Mapping[str, Scored],
    advance: Callable[[int], None] = lambda frames: None,
    limits: Limits | None = None,
) -> ClipSums:
    """Scores what a system made of a clip.

    Args:
        system: which of ``pair.systems``.
        advance: gets the number of frames done since it was last called.
        limits: of the pictures that are kept for a report; None keeps none.

    Raises:
        InputError: a video is damaged or breaks off, or the keypoints cannot be read.
    """
    keypoints = pair.read_keypoints()
    metrics = {n: metric for n, metric in metrics.items() if keypoints is not None or not METRICS[n].keypoints}
    album = Album(pair.frames, limits) if limits is not None else None
    clip = ClipFacts(pair.fps, pair.true.entry.glosses if pair.true.entry else None)
    pieces: dict[str, list[Mapping[str, np.ndarray]]] = {name: [] for name in metrics}
    for metric in metrics.values():
        metric.reset()
    for chunk in _chunks(pair, system, keypoints, clip):
        for name, metric in metrics.items():
            pieces[name].append(metric.measure(chunk))
        if album is not None:
            hands = metrics.get("hand_ssim")
            values = {name: _quotient(metrics[name], parts[-1]) for name, parts in pieces.items() if parts[-1]}
            album.add(chunk, values, hands.values(chunk) if isinstance(hands, HandSSIM) else None)
        advance(len(chunk.pred))
    result = ClipSums(pair.name, system, pair.frames, pictures=None if album is None else album.pictures())
    if keypoints is not None:
        _, sure = keypoints.hand_boxes()
        result.counts = {"hands": int(sure.sum()), "hands_left_out": int((~sure).sum())}
    for name, metric in metrics.items():
        _add_metric(result, name, metric, pieces[name], metric.finish(clip))
    return result


def _add_metric(
    result: ClipSums, name: str, metric: Scored, pieces: list[Mapping[str, np.ndarray]], whole: Mapping[str, float]
) -> None:
    """A metric's part of a clip's sums: ``pieces`` per frame of each chunk, ``whole`` what is known at the end."""
    series = {state: np.concatenate([piece[state] for piece in pieces]) for state in (pieces[0] if pieces else ())}
    sums = {**{state: float(values.sum()) for state, values in series.items()}, **whole}
    if series:
        result.per_frame[name] = _quotient(metric, series)
    if name == "hand_ssim":
        result.per_frame["hands"] = series["hands"]
    if metric.ratio is not None and sums:
        result.sums[name] = sums[metric.ratio[0]], sums[metric.ratio[1]]
    for state, count in metric.counts.items():
        result.counts[count] = int(sums.get(state, 0))
    result.moments.update(metric.moments())


def _quotient(metric: Scored, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) values per frame, NaN where there is nothing to measure."""
    assert metric.ratio is not None, "a metric with values per frame is a ratio"
    top, bottom = (parts[state] for state in metric.ratio)
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _chunks(pair: Pair, system: int, keypoints: Keypoints | None, clip: ClipFacts) -> Iterator[Chunk]:
    frames = zip(pair.generated(system), pair.true.read(pair.frames), strict=True)
    start, count, before = 0, frames_at_a_time(pair.size), None
    while piece := list(islice(frames, count)):
        pred, true = (np.stack(side) for side in zip(*piece, strict=True))
        which = slice(start, start + len(piece))
        xy = None if keypoints is None else keypoints.xy[which]
        confidence = None if keypoints is None else keypoints.confidence[which]
        yield Chunk(pred, true, xy, confidence, before, start, clip)
        start, before = which.stop, (pred[-1:], true[-1:])


def frames_at_a_time(size: tuple[int, int]) -> int:
    """How many frames of that (width, height) are in memory together."""
    return max(1, min(CHUNK, PIXELS // (size[0] * size[1])))


# Clips spread over processes; results come in the order of the clips whatever the number of processes.


@dataclass(frozen=True)
class Task:
    """One clip of one system; ``limits`` as in `score_clip`."""

    pair: Pair
    system: int
    limits: Limits | None = None


def score_all(
    tasks: Sequence[Task],
    options: MeasureOptions,
    metrics: Mapping[str, Scored],
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[ClipSums]:
    """Yields the sums of each task in turn.

    Args:
        options: from which other processes make the same ``metrics``.
        jobs: processes; 1 works in this one.
        advance: gets the number of frames done since it was last called.

    Raises:
        InputError: a clip cannot be read.
        RunError: a process died.
    """
    if jobs == 1 or len(tasks) < 2:
        with _one_thread():
            for task in tasks:
                yield score_clip(task.pair, task.system, metrics, advance, task.limits)
        return
    for result in in_processes(_score, tasks, jobs, _begin_worker, (options, tuple(metrics))):
        advance(result.frames)
        yield result


_metrics: dict[str, Scored] = {}  # of this worker process


def _begin_worker(options: MeasureOptions, names: Sequence[str]) -> None:
    """One thread a process, which fill the machine already."""
    _set_threads(1)
    tools = Tools(options)
    _metrics.update({name: METRICS[name].make(tools) for name in names})


def _score(task: Task) -> ClipSums:
    return score_clip(task.pair, task.system, _metrics, limits=task.limits)


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
