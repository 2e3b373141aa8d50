"""Training data of the recogniser: clips of small frames with their glosses, from data sets or drawn for the purpose.

Small clips lie in a `FrameCache`, and beside it ``glosses.json`` says what is signed in each:

    {"<clip>": {"glosses": [...], "spans": [[start, end], ...] or null}}      # in small frames, from 0
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import Empty, Missing
from signgen.files import place_file
from signgen.keypoints import read_keypoints
from signgen.keypoints.units import check_placed
from signgen.scoring.recogniser.network import NetworkSize
from signgen.scoring.recogniser.recogniser import RATE, small_frames, stride_of
from signgen.synthetic import VERSIONS
from signgen.synthetic.dataset import Plan
from signgen.synthetic.motion.score import FPS
from signgen.video.tensors import to_unit

ANNOTATIONS = "glosses.json"
PACE = 0.18  # logarithm: largest change of the pace
TURN, ZOOM, SHIFT = 0.06, 0.12, 0.08  # radians, relative, share of the frame: largest change of the place
MIRRORED = 0.15  # share of clips that are mirrored; about as many people sign with the left hand
BLURRED = 0.3  # share of clips that are made softer
Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Sample:
    """One clip.

    Attributes:
        frames: uint8 (T,h,w,3).
        keypoints: float32 (T,133,3) as x, y, confidence; x and y are shares of the frame's width and height.
        glosses: what is signed.
        spans: (first, last) small frame of each sign, or None where nobody knows.
    """

    frames: np.ndarray
    keypoints: np.ndarray
    glosses: tuple[str, ...]
    spans: Spans | None


@dataclass(frozen=True)
class Samples:
    """The clips of one or several caches."""

    items: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        return self.items[index]

    @classmethod
    def open(cls, folders: Iterable[Path]) -> Samples:
        """Maps caches that `cache_dataset` or `cache_drawn` wrote."""
        items = []
        for folder in folders:
            cache = FrameCache.open(folder)
            words = json.loads((folder / ANNOTATIONS).read_text(encoding="utf-8"))
            for clip in cache.clips:
                said, part = words[clip.name], slice(clip.start, clip.stop)
                spans = None if said["spans"] is None else [(a, b) for a, b in said["spans"]]
                frames, keypoints = (np.asarray(stored)[part] for stored in (cache.frames, cache.keypoints))
                items.append(Sample(frames, keypoints, tuple(said["glosses"]), spans))
        if not items:
            raise Empty("training data", "holds no clip", "give a data set")
        return cls(tuple(items))


def cache_dataset(
    root: Path, split: str, folder: Path, size: NetworkSize, advance: Callable[[int], None] = lambda n: None
) -> Path:
    """The clips of a data set, small, in a cache; one that is there already is kept. Returns its folder."""
    if not (folder / ANNOTATIONS).is_file():
        index = PhoenixIndex(root)
        clips, plan = index.clips(split), drawn_by(root, split)
        build_cache((_small(clip, number, size) for number, clip in enumerate(clips)), folder, advance)
        _annotate(
            folder,
            {
                clip.name: (clip.glosses, None if plan is None else spans_of(plan, number, _phase(number)))
                for number, clip in enumerate(clips)
            },
        )
    return folder


def cache_drawn(
    plan: Plan, clips: int, folder: Path, size: NetworkSize, advance: Callable[[int], None] = lambda n: None,
    blurred: bool = False,
) -> Path:  # fmt: skip
    """Clips drawn for training alone, small, with or without motion blur: a tenth of a whole clip's work without."""
    if not (folder / ANNOTATIONS).is_file():
        order = sorted(range(clips), key=lambda index: (plan.signer(index), index))  # a signer takes a while to build
        build_cache((_drawn(plan, index, size, blurred) for index in order), folder, advance)
        words = {plan.name(i): (tuple(plan.score(i).glosses), spans_of(plan, i, _phase(i))) for i in order}
        _annotate(folder, words)
    return folder


def drawn_by(root: Path, split: str) -> Plan | None:
    """The plan that `signgen synthesize` followed, from which the spans of the signs are known; None for others."""
    path = Path(root) / "synthetic.json"
    if not path.is_file():
        return None
    settings = json.loads(path.read_text(encoding="utf-8"))["splits"].get(split, {}).get("settings", {})
    if settings.get("version") not in VERSIONS or not set(settings) <= {field.name for field in fields(Plan)}:
        return None  # drawn otherwise, or from files of motion, which do not say when a sign begins
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    return Plan(**values)


def spans_of(plan: Plan, index: int, first: int) -> Spans:
    """(first, last) small frame of each sign of a drawn clip, counted from frame ``first`` of the clip."""
    stride = stride_of(FPS)
    return [((mark.start - first) / stride, (mark.end - first) / stride) for mark in plan.score(index).marks]


def _phase(number: int) -> int:
    """Which of the clip's first frames is the first small one; all are seen alike often."""
    return number % stride_of(FPS)


def _small(clip: Clip, number: int, size: NetworkSize) -> tuple[str, str, np.ndarray, np.ndarray]:
    from signgen.video import read_image

    if clip.keypoints is None:
        raise Missing(clip.name, "has no keypoints", "training also asks where the hands are")
    read = read_keypoints(clip.keypoints)
    check_placed(read, str(clip.keypoints), "the frames'")
    points = read.keypoints
    stride = stride_of(points.fps)
    first = number % stride
    frames = small_frames((read_image(path) for path in clip.frames[first::stride]), RATE, size.height, size.width)
    xy = points.xy[first::stride] / np.array([points.width, points.height], np.float32)
    keypoints = np.concatenate([xy, points.confidence[first::stride, :, None]], -1)
    return clip.name, clip.speaker, frames, keypoints.astype(np.float32)


def _drawn(
    plan: Plan, index: int, size: NetworkSize, blurred: bool
) -> tuple[str, str, np.ndarray, np.ndarray]:  # fmt: skip
    """Every second frame of a clip of `signgen synthesize`, of a whole exposure or of one instant."""
    from signgen.synthetic.picture.figure import Figure
    from signgen.synthetic.signer import load_signer

    signer = load_signer(plan.signer(index), plan.version)
    figure = Figure(signer, plan.size, supersample=1, seed=plan.camera_seed(index))
    exposures = plan.exposures(index, plan.perform(index))[_phase(index) :: stride_of(FPS)]
    frames = [figure.draw(poses if blurred else [poses[len(poses) // 2]]) for poses in exposures]
    small = small_frames([frame.image for frame in frames], RATE, size.height, size.width)
    points = np.stack([np.concatenate([frame.xy, frame.confidence[:, None]], 1) for frame in frames])
    keypoints = points / np.array([*plan.size, 1], np.float32)
    return plan.name(index), plan.signer(index), small, keypoints.astype(np.float32)


def _annotate(folder: Path, words: Mapping[str, tuple[tuple[str, ...], Spans | None]]) -> None:
    content = {name: {"glosses": glosses, "spans": spans} for name, (glosses, spans) in words.items()}
    place_file(folder / ANNOTATIONS, json.dumps(content).encode())


# Random changes of training clips: pace, place, mirror, light and sharpness, each drawn once for a whole clip.


@dataclass(frozen=True)
class Drawn:
    """One clip to learn from: frames float32 (T,3,h,w) in [0, 1], points (T,P,3) as x, y in [-1, 1] and confidence,
    and at each frame the number of the sign (0 the first, -1 between signs), or None where nobody knows."""

    frames: Tensor
    points: Tensor
    signs: Tensor | None


def retimed(length: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the frames that make the clip as much slower or faster as drawn."""
    count = max(4, round(length * float(np.exp(rng.uniform(-PACE, PACE)))))
    return np.clip(np.floor((np.arange(count) + rng.random()) * length / count).astype(int), 0, length - 1)


def sign_at(spans: list[tuple[float, float]], frames: np.ndarray) -> np.ndarray:
    """The number of the sign at each frame (N,), -1 where there is none."""
    signs = np.full(len(frames), -1)
    for number, (start, end) in enumerate(spans):
        signs[(frames >= start) & (frames <= end)] = number
    return signs


def draw(sample: Sample, points: tuple[tuple[int, ...], tuple[int, ...]], rng: np.random.Generator) -> Drawn:
    """One random version of a clip; ``points`` are the wanted keypoints, and the same of a mirrored person."""
    picked = retimed(len(sample.frames), rng)
    frames = to_unit(sample.frames[picked])
    mirrored = bool(rng.random() < MIRRORED)
    chosen = torch.from_numpy(sample.keypoints[picked][:, points[mirrored]].copy())  # (T,P,3)
    matrix, shift = _affine(rng, mirrored)
    frames = _light(_softer(_warp(frames, matrix, shift), rng), rng)
    place = torch.linalg.solve(matrix, (chosen[..., :2] * 2 - 1 - shift)[..., None])[..., 0]
    signs = None if sample.spans is None else torch.from_numpy(sign_at(sample.spans, picked))
    return Drawn(frames, torch.cat([place, chosen[..., 2:]], -1), signs)


def _affine(rng: np.random.Generator, mirrored: bool) -> tuple[Tensor, Tensor]:
    """Matrix (2,2) and shift (2,) that take a place of the new frame, in [-1, 1], to one of the old."""
    angle, zoom, squeeze = rng.uniform(-TURN, TURN), rng.uniform(-ZOOM, ZOOM), rng.uniform(-ZOOM, ZOOM) / 3
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * np.exp(
        [zoom, zoom + squeeze]
    )
    if mirrored:
        matrix[0] *= -1  # the x of the old frame runs backwards
    shift = 2 * rng.uniform(-SHIFT, SHIFT, 2)
    return torch.from_numpy(matrix).float(), torch.from_numpy(shift).float()


def _warp(frames: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    theta = torch.cat([matrix, shift[:, None]], 1)[None]  # (1,2,3)
    grid = F.affine_grid(theta, [1, 3, *frames.shape[-2:]], align_corners=False)
    joined = frames.flatten(0, 1)[None]  # (1,3T,h,w): one grid for all frames
    return F.grid_sample(joined, grid, padding_mode="border", align_corners=False)[0].unflatten(0, (-1, 3))


def _softer(frames: Tensor, rng: np.random.Generator) -> Tensor:
    factor = rng.uniform(1.3, 2.5)
    if rng.random() >= BLURRED:
        return frames
    small = F.interpolate(frames, scale_factor=1 / factor, mode="area")
    return F.interpolate(small, frames.shape[-2:], mode="bilinear", align_corners=False)


def _light(frames: Tensor, rng: np.random.Generator) -> Tensor:
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (3, 1, 1))).float() * rng.uniform(0.85, 1.15)
    return (frames * gain + rng.uniform(-0.1, 0.1)).clamp(0, 1)
