"""Trains the built-in hand detector on drawn hands, within minutes on one thread, and measures it.

    python tools/train_hand_detector.py CACHE_DIR --held-out known=dev:DEV_DIR --held-out new=test:TEST_DIR

CACHE_DIR is the frame cache that `signgen train` builds from a data set (its folder ``cache``); DEV_DIR and TEST_DIR
are folders of `signgen synthesize`. Writes ``model.safetensors`` (float16) and ``training.json``, with the detector's
own error on true frames that it never saw, to signgen/weights/hand_detector. ``--only-measure`` measures again.
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
from hand_accuracy import measure
from safetensors.torch import save as serialise
from torch import Tensor
from torch.nn import functional as F

from signgen.dataset.cache import FrameCache
from signgen.dataset.phoenix import PhoenixIndex
from signgen.files import place_file
from signgen.keypoints import read_keypoints
from signgen.scoring.metrics.hand_detectors.builtin import CELLS, CROP, FOUND, WEIGHTS, HandNetwork, load_builtin
from signgen.scoring.metrics.hand_detectors.interface import HANDS, LEFT, RULE, Places, search_boxes
from signgen.video import read_image
from signgen.video.tensors import to_unit

SPREAD = 1.0  # cells: deviation of the target map
TURN, SHIFT, ZOOM = 0.5, 0.18, (0.75, 1.35)  # radians, share of the box, factors: random change of a training box
ABSENT = 0.08  # share of crops that show no hand: the network learns to believe in nothing there


@dataclass(frozen=True)
class Hands:
    """Crops (N,3,64,64) in [0, 1] of right hands or of nothing, joints (N,21,2) in shares of the crop, known (N,21)."""

    crops: Tensor
    joints: Tensor
    known: Tensor


class HandSamples:
    """Augmented hands from a frame cache: item (frame, side) for each hand that counts."""

    def __init__(self, cache: FrameCache) -> None:
        self.cache, self.keypoints = cache, np.array(cache.keypoints)
        self.boxes = search_boxes(self.keypoints[..., :2], self.keypoints[..., 2], *cache.size)
        self.hands = np.argwhere(~np.isnan(self.boxes[..., 0]))

    def batch(self, count: int, rng: np.random.Generator) -> Hands:
        """Hands at random, each in a box that is turned, moved and zoomed at random."""
        frame, side = self.hands[rng.integers(len(self.hands), size=count)].T
        points = np.stack([self.keypoints[f, HANDS[s][0]] for f, s in zip(frame, side, strict=True)])  # (N,21,3)
        places, absent = self._places(frame, side, rng)
        pixels = to_unit(np.stack([self.cache.frames[f] for f in frame]))
        joints = places.to_crop(torch.from_numpy(points[..., :2]))
        known = torch.from_numpy(points[..., 2] > 0) & ((joints > 0) & (joints < 1)).all(-1) & ~absent[:, None]
        return Hands(places.cut(pixels, CROP), joints, known)

    def _places(self, frame: np.ndarray, side: np.ndarray, rng: np.random.Generator) -> tuple[Places, Tensor]:
        box = self.boxes[frame, side]
        count, length = len(frame), box[:, 2] - box[:, 0]
        centre = (box[:, :2] + box[:, 2:]) / 2 + length[:, None] * rng.uniform(-SHIFT, SHIFT, (count, 2))
        length = length * np.exp(rng.uniform(*np.log(ZOOM), count))
        absent = np.zeros(count, bool)
        for index in np.flatnonzero(rng.random(count) < ABSENT):
            elsewhere = rng.uniform((0, 0), self.cache.size)
            points = self.keypoints[frame[index], HANDS[0][0].start : HANDS[1][0].stop]
            away = np.abs(points[points[:, 2] > 0, :2] - elsewhere).max(-1)  # as far as a turned square reaches
            if away.min(initial=np.inf) > 0.7 * length[index]:
                centre[index], absent[index] = elsewhere, True
        angle = rng.uniform(-TURN, TURN, count)
        numbers = (torch.from_numpy(v).float() for v in (centre, length, angle))
        return Places(*numbers, torch.from_numpy(side == LEFT)), torch.from_numpy(absent)


def disturb(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Other colours, and for three quarters of the crops a blur, as generated frames have it; some noise."""
    count = len(crops)
    gain = 0.75 + 0.5 * torch.rand(count, 3, 1, 1, generator=generator)
    level = 0.2 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    parts = list((crops * gain + level).chunk(4))
    for index in range(1, len(parts)):
        small = int(CROP / (1 + 3 * float(torch.rand((), generator=generator)) ** 1.5))
        blurred = F.interpolate(parts[index], (small, small), mode="area")
        parts[index] = F.interpolate(blurred, (CROP, CROP), mode="bilinear", align_corners=False)
    noise = 0.04 * torch.rand(count, 1, 1, 1, generator=generator)
    return (torch.cat(parts) + noise * torch.randn(crops.shape, generator=generator)).clamp(0, 1)


def loss(logits: Tensor, hands: Hands) -> Tensor:
    """Cross entropy between the softmax over a map and a Gaussian around the joint; no hand: an even map."""
    steps = (torch.arange(CELLS) + 0.5) / CELLS
    gauss = (-0.5 * ((steps - hands.joints[..., None]) * CELLS / SPREAD) ** 2).exp()  # (N,21,2,cells)
    target = (gauss[..., 1, :, None] * gauss[..., 0, None, :]).flatten(2)
    absent = ~hands.known.any(-1)
    target[absent] = 1.0
    target = target / target.sum(-1, keepdim=True).clamp_min(1e-6)
    entropy = -(target * logits.flatten(2).log_softmax(-1)).sum(-1)  # (N,21)
    weight = (hands.known | absent[:, None]).float()
    return (weight * entropy).sum() / weight.sum().clamp_min(1)


def train(samples: HandSamples, steps: int, batch: int, rate: float, seed: int) -> HandNetwork:
    """The network after that many steps; the learning rate falls to nothing along a cosine."""
    torch.manual_seed(seed)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    network = HandNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    running, begun = 0.0, time.monotonic()
    for step in range(steps):
        hands = samples.batch(batch, rng)
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / 200, 0.5 + 0.5 * np.cos(np.pi * step / steps))
        crops = disturb(hands.crops, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(crops)
        value = loss(logits.float(), hands)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        running = value.item() if not step else 0.98 * running + 0.02 * value.item()
        if (step + 1) % 200 == 0:
            click.echo(f"step {step + 1}/{steps}  loss {running:.3f}  {time.monotonic() - begun:.0f} s", err=True)
    return network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def true_frames(folder: Path, split: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Clip by clip: frames (T,H,W,3), xy (T,133,2) and confidence (T,133)."""
    for clip in PhoenixIndex(folder).clips(split):
        keypoints = read_keypoints(clip.keypoints).keypoints
        yield np.stack([read_image(path) for path in clip.frames]), keypoints.xy, keypoints.confidence


def save(network: HandNetwork, folder: Path) -> None:
    """Weights in float16, written whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    place_file(folder / "model.safetensors", serialise({k: v.contiguous() for k, v in state.items()}))


@click.command(help=__doc__)
@click.argument("cache_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-out", multiple=True, required=True, metavar="NAME=SPLIT:DIR", help="where to measure the error")
@click.option("--steps", default=5000, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=32, show_default=True, type=click.IntRange(4))
@click.option("--rate", default=2e-3, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path))
@click.option("--only-measure", is_flag=True, help="keep the weights that are there")
def main(
    cache_dir: Path, held_out: tuple[str, ...], steps: int, batch: int, rate: float, seed: int, out: Path,
    only_measure: bool,
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    begun = time.process_time()
    content: dict = json.loads((out / "training.json").read_text(encoding="utf-8")) if only_measure else {}
    if not only_measure:
        samples = HandSamples(FrameCache.open(cache_dir))
        network = train(samples, steps, batch, rate, seed)
        save(network, out)
        settings = {"steps": steps, "batch": batch, "rate": rate, "seed": seed}
        sizes = {"frames": len(samples.keypoints), "hands": len(samples.hands)}
        content["trained"] = {**settings, **sizes, "cpu_minutes": round((time.process_time() - begun) / 60, 1)}
        content["parameters"] = sum(p.numel() for p in network.parameters())
    detector = load_builtin(out)
    content |= {"signature": detector.signature, "box": RULE, "found": f"belief >= {FOUND:g}", "held_out": {}}
    for entry in held_out:
        name, _, place = entry.partition("=")
        split, _, folder = place.partition(":")
        blurs = {"true": 1, "blurred_3x": 3}
        content["held_out"][name] = {
            key: measure(detector, true_frames(Path(folder), split), blur) for key, blur in blurs.items()
        }
    place_file(out / "training.json", (json.dumps(content, indent=1) + "\n").encode())
    click.echo(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
