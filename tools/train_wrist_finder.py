"""Trains the wrist finder of the benchmarks on drawn signers, within minutes on one thread.

    python tools/train_wrist_finder.py TRAIN_DIR --held-out dev=DEV_DIR --held-out test=TEST_DIR

Folders are those of `signgen synthesize`. Writes ``model.safetensors`` (float16) and ``report.json``, the finder's
own error on true frames that it never saw, to signgen/weights/wrist_finder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.torch import save as serialise
from torch import Tensor
from torch.nn import functional as F

from signgen.dataset.phoenix import PhoenixIndex
from signgen.files import place_file
from signgen.keypoints import read_keypoints
from signgen.model.networks.canvas import fit_canvas, fit_frames
from signgen.model.networks.wrist_finder import MIRRORED, POINTS, WEIGHTS, WristFinder, peaks, to_cells
from signgen.scoring.metrics.wrists import FOUND, VISIBLE
from signgen.video import read_image

WEIGHT = (1.0, 1.0, 0.3, 0.3, 0.5, 0.5)  # of wrists, elbows and knuckles in the loss
SPREAD = 1.0  # cells: deviation of the target heat map
ROTATION, ZOOM, SHIFT = 0.15, 0.2, 15.0  # radians, relative, pixels: largest random change of a training frame


@dataclass(frozen=True)
class Samples:
    """Frames uint8 (N,3,H,W) on the canvas, points (N,6,2) in its pixels, visible (N,6) bool."""

    frames: Tensor
    points: Tensor
    visible: Tensor

    def __len__(self) -> int:
        return len(self.frames)


def inside(points: Tensor, width: int, height: int) -> Tensor:
    """Which points (...,2) lie in the frame."""
    limit = torch.tensor([width - 1, height - 1], dtype=points.dtype)
    return ((points >= 0) & (points <= limit)).all(-1)


def load_samples(folder: Path, split: str, most: int) -> Samples:
    """At most ``most`` frames of a data set, evenly over all its clips, with their points."""
    clips = PhoenixIndex(folder).clips(split)
    every = max(1, -(-sum(len(clip.frames) for clip in clips) // most))
    frames, points, visible = [], [], []
    for clip in clips:
        keypoints = read_keypoints(clip.keypoints).keypoints
        left, _, top, _ = fit_canvas(keypoints.width, keypoints.height).padding
        for index in range(0, len(keypoints), every):
            xy = torch.from_numpy(np.array(keypoints.xy[index, POINTS]))
            seen = torch.from_numpy(keypoints.confidence[index, POINTS] >= VISIBLE)
            visible.append(seen & inside(xy, keypoints.width, keypoints.height))
            points.append(xy + torch.tensor([left, top]))
            pixels = torch.from_numpy(read_image(clip.frames[index])).permute(2, 0, 1)
            frames.append(fit_frames(pixels[None].float()).byte()[0])
    return Samples(torch.stack(frames), torch.stack(points), torch.stack(visible))


def _random_affine(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Matrices (N,2,2) and shifts (N,2) in pixels that take a place of the new frame to one of the old."""

    def spread(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle, zoom = spread(ROTATION), 1 + spread(ZOOM)
    cosine, sine = angle.cos() * zoom, angle.sin() * zoom
    matrix = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    return matrix, torch.stack([spread(SHIFT), spread(SHIFT)], -1)


def warp(batch: Samples, generator: torch.Generator) -> Samples:
    """Frames turned, scaled, shifted and half of them mirrored, with points that follow."""
    count, _, height, width = batch.frames.shape
    size = torch.tensor([width, height], dtype=torch.float32)
    centre = (size - 1) / 2
    matrix, shift = _random_affine(count, generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    matrix[mirrored, 0] *= -1  # the x of the old frame runs backwards
    normal = matrix * size[None, None, :] / size[None, :, None]
    theta = torch.cat([normal, (2 * shift / size)[..., None]], -1)  # (N,2,3)
    grid = F.affine_grid(theta, [count, 3, height, width], align_corners=False)
    frames = F.grid_sample(batch.frames.float() / 255, grid, padding_mode="border", align_corners=False)
    offset = (batch.points - centre - shift[:, None])[..., None]  # (N,6,2,1)
    points = (torch.linalg.inv(matrix)[:, None] @ offset)[..., 0] + centre
    swap = torch.where(mirrored[:, None], torch.tensor(MIRRORED), torch.arange(len(POINTS)))  # (N,6)
    points = points.gather(1, swap[..., None].expand(-1, -1, 2))
    visible = batch.visible.gather(1, swap) & inside(points, width, height)
    return Samples(frames, points, visible)


def disturb(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Other colours, and for half of the frames a blur and noise, as generated frames have them."""
    count = len(frames)
    gain = 0.75 + 0.5 * torch.rand(count, 3, 1, 1, generator=generator)
    level = 0.2 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    frames = frames * gain + level
    half = count // 2
    factor = 1.5 + 2.5 * float(torch.rand((), generator=generator))
    small = F.interpolate(frames[:half], scale_factor=1 / factor, mode="area")
    blurred = F.interpolate(small, frames.shape[-2:], mode="bilinear", align_corners=False)
    frames = torch.cat([blurred, frames[half:]])
    noise = 0.04 * torch.rand(count, 1, 1, 1, generator=generator)
    return (frames + noise * torch.randn(frames.shape, generator=generator)).clamp(0, 1)


def loss(logits: Tensor, points: Tensor, visible: Tensor) -> Tensor:
    """Cross entropy between the softmax over the map and a Gaussian around the true place, over visible points."""
    height, width = logits.shape[-2:]
    cells = to_cells(points)
    x = (-0.5 * ((torch.arange(width) - cells[..., :1]) / SPREAD) ** 2).exp()  # (N,6,w)
    y = (-0.5 * ((torch.arange(height) - cells[..., 1:]) / SPREAD) ** 2).exp()  # (N,6,h)
    target = (y[..., None] * x[..., None, :]).flatten(2)
    target = target / target.sum(-1, keepdim=True).clamp_min(1e-6)
    entropy = -(target * logits.flatten(2).log_softmax(-1)).sum(-1)  # (N,6)
    weight = visible * torch.tensor(WEIGHT)
    return (weight * entropy).sum() / weight.sum().clamp_min(1)


def batches(samples: Samples, size: int, generator: torch.Generator) -> Iterator[Samples]:
    """Augmented batches without end."""
    while True:
        pick = torch.randint(len(samples), (size,), generator=generator)
        drawn = warp(Samples(samples.frames[pick], samples.points[pick], samples.visible[pick]), generator)
        yield Samples(disturb(drawn.frames, generator), drawn.points, drawn.visible)


def train(samples: Samples, minutes: float, batch: int, seed: int) -> tuple[WristFinder, int]:
    """The finder after ``minutes``, and how many samples it saw; the learning rate falls with the clock."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    finder = WristFinder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(finder.parameters(), weight_decay=1e-3)
    start, step = time.monotonic(), 0
    for step, drawn in enumerate(batches(samples, batch, generator), 1):
        done = (time.monotonic() - start) / (60 * minutes)
        if done >= 1:
            break
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, step / 100) * (1 - done)
        with torch.autocast("cpu", torch.bfloat16):
            logits = finder(drawn.frames.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), drawn.points, drawn.visible)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 200 == 0:
            click.echo(f"step {step}  {100 * done:.0f} % of the time  loss {value.item():.3f}", err=True)
    return finder.eval(), (step - 1) * batch


@torch.inference_mode()
def measure(finder: WristFinder, samples: Samples, blur: float = 1.0) -> dict[str, float | int]:
    """Error of the wrists on frames, as they are or blurred by a factor."""
    errors, belief = [], []
    for start in range(0, len(samples), 32):
        frames = samples.frames[start : start + 32].float() / 255
        if blur > 1:
            small = F.interpolate(frames, scale_factor=1 / blur, mode="area")
            frames = F.interpolate(small, frames.shape[-2:], mode="bilinear", align_corners=False)
        cells, confidence = peaks(finder(frames))
        errors.append((4 * (cells - to_cells(samples.points[start : start + 32]))[:, :2]).norm(dim=-1))
        belief.append(confidence[:, :2])
    error, confident = torch.cat(errors), torch.cat(belief) >= FOUND
    wanted = samples.visible[:, :2]
    found = wanted & confident
    return {
        "frames": len(samples),
        "wrists": int(wanted.sum()),
        "mean_px": round(float(error[found].mean()), 3),
        "median_px": round(float(error[found].median()), 3),
        "mean_px_all": round(float(error[wanted].mean()), 3),
        "share_found": round(float(confident[wanted].float().mean()), 4),
        "share_within_5px": round(float((error[wanted] <= 5).float().mean()), 4),
    }


def save(finder: WristFinder, content: dict, folder: Path) -> None:
    """Weights in float16 and the report, each written whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() else v for k, v in finder.state_dict().items()}
    place_file(folder / "model.safetensors", serialise({k: v.contiguous() for k, v in state.items()}))
    place_file(folder / "report.json", (json.dumps(content, indent=1) + "\n").encode())


@click.command(help=__doc__)
@click.argument("train_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-out", multiple=True, required=True, metavar="SPLIT=DIR", help="where to measure the error")
@click.option("--minutes", default=8.0, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--frames", default=5000, show_default=True, type=click.IntRange(1), help="most frames to hold")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(2))
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path))
def main(
    train_dir: Path, held_out: tuple[str, ...], minutes: float, frames: int, batch: int, seed: int, out: Path
) -> None:
    torch.set_num_threads(1)
    samples = load_samples(train_dir, "train", frames)
    finder, seen = train(samples, minutes, batch, seed)
    finder = finder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    content: dict = {"trained": {"frames": len(samples), "samples": seen, "minutes": minutes, "seed": seed}}
    content["parameters"] = sum(p.numel() for p in finder.parameters())
    content["visible"], content["found"] = f"confidence >= {VISIBLE}", f"belief >= {FOUND}"
    for entry in held_out:
        split, _, folder = entry.partition("=")
        true = load_samples(Path(folder), split, frames)
        content[split] = {"true": measure(finder, true), "blurred_3x": measure(finder, true, blur=3.0)}
    save(finder, content, out)
    click.echo(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
