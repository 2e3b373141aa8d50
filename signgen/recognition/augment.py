"""Random changes of training clips: pace, place, mirror, light and sharpness, each drawn once for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from signgen.recognition.samples import Sample

PACE = 0.18  # logarithm: largest change of the pace
TURN, ZOOM, SHIFT = 0.06, 0.12, 0.08  # radians, relative, share of the frame: largest change of the place
MIRRORED = 0.15  # share of clips that are mirrored; about as many people sign with the left hand
BLURRED = 0.3  # share of clips that are made softer


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
    frames = torch.from_numpy(sample.frames[picked]).permute(0, 3, 1, 2).float() / 255
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
