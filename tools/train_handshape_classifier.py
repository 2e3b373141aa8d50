"""Trains the hand-shape classifier on true drawn hands, within minutes on one thread, and measures it.

    python tools/train_handshape_classifier.py DATASET --held-out known=dev:DEV_DIR --held-out new=test:TEST_DIR

DATASET is a folder of `signgen synthesize` with the frame cache that `signgen train` builds from it (its folder
``cache``); the labels are in its keypoint files. DEV_DIR and TEST_DIR are such folders of signers and sentences that
are not in it. Writes ``model.safetensors`` (float16), ``config.json`` and ``training.json``, with the classifier's own
accuracy on true frames, to signgen/weights/handshape_classifier. ``--only-measure`` measures again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from hand_accuracy import blurred
from safetensors.torch import save as serialise
from torch import Tensor
from torch.nn import functional as F

from signgen.dataset.cache import FrameCache
from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import InputError
from signgen.files import place_file
from signgen.keypoints import read_keypoints
from signgen.scoring.metrics.hand_detectors.interface import LEFT, RULE, Places, search_boxes
from signgen.scoring.metrics.handshapes import (
    CROP,
    WEIGHTS,
    HandshapeClassifier,
    HandshapeNetwork,
    load_handshape_classifier,
    read_shape_labels,
    shape_names_in,
)
from signgen.video import read_image
from signgen.video.tensors import to_unit

TURN, SHIFT, ZOOM = 0.3, 0.08, (0.87, 1.15)  # radians, share of the box, factors: random change of a training box
SOFT = 1.5  # half of the crops are reduced by up to this factor and brought back, as a lossy video would
SMOOTHING = 0.05  # of the labels: where one shape ends and the next begins is a matter of taste
AROUND = 128  # pixels around a hand that its crop is cut from: whole frames would take half of the time
LEAST = 20  # labelled hands below which a shape is not learned


class LabelledHands:
    """Labelled hands of a frame cache.

    Args:
        cache: frames and keypoints.
        labels: folder of the clips' keypoint files with their hand shapes.

    Attributes:
        shapes: names of the shapes that occur often enough.
        hands: (M,2) frame and side of each hand; what: (M,) its shape.
    """

    def __init__(self, cache: FrameCache, labels: Path) -> None:
        self.cache = cache
        keypoints = np.asarray(cache.keypoints)
        self.boxes = search_boxes(keypoints[..., :2], keypoints[..., 2], *cache.size)  # (N,2,4)
        names = shape_names_in(labels / f"{cache.clips[0].name}.npz")
        given = np.full(self.boxes.shape[:2], -1, np.int64)
        for clip in cache.clips:
            given[clip.start : clip.stop] = read_shape_labels(labels / f"{clip.name}.npz", names)
        given[np.isnan(self.boxes[..., 0])] = -1
        counts = np.bincount(given[given >= 0], minlength=len(names))
        kept = np.flatnonzero(counts >= LEAST)
        if len(kept) < 2:
            raise InputError(labels, f"labels {len(kept)} shapes often enough", f"two shapes need {LEAST} hands each")
        self.shapes = tuple(names[index] for index in kept)
        place = np.full(len(names) + 1, -1)  # the last one is where -1 looks
        place[kept] = np.arange(len(kept))
        given = place[given]
        self.hands = np.argwhere(given >= 0)
        self.what = given[tuple(self.hands.T)]
        chance = 1 / np.sqrt(np.bincount(self.what))[self.what]  # rare shapes more often than they occur
        self.chance = np.cumsum(chance / chance.sum())

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Crops (N,3,64,64) of hands at random, in boxes turned, moved and zoomed a little, and their shapes (N,)."""
        picked = np.minimum(np.searchsorted(self.chance, rng.random(count)), len(self.what) - 1)
        frame, side = self.hands[picked].T
        box = self.boxes[frame, side]
        length = box[:, 2] - box[:, 0]
        centre = (box[:, :2] + box[:, 2:]) / 2 + length[:, None] * rng.uniform(-SHIFT, SHIFT, (count, 2))
        length = length * np.exp(rng.uniform(*np.log(ZOOM), count))
        angle = rng.uniform(-TURN, TURN, count)
        pixels, corner = self._windows(frame, centre)
        numbers = (torch.from_numpy(values).float() for values in (centre - corner, length, angle))
        places = Places(*numbers, torch.from_numpy(side == LEFT))
        return places.cut(to_unit(pixels), CROP), torch.from_numpy(self.what[picked])

    def _windows(self, frames: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frames (N,) around points (N,2), uint8 (N,h,w,3) of at most ``AROUND``, and their corners (N,2)."""
        size = np.minimum(AROUND, self.cache.size)  # width, height
        corners = np.clip(np.rint(centres - size / 2), 0, np.array(self.cache.size) - size).astype(int)
        windows = [
            self.cache.frames[frame, y : y + size[1], x : x + size[0]]
            for frame, (x, y) in zip(frames, corners, strict=True)
        ]
        return np.stack(windows), corners


def disturb(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Other light and colours, some noise, and a slight blur for half of the crops."""
    count = len(crops)
    gain = 0.8 + 0.4 * torch.rand(count, 3, 1, 1, generator=generator)
    level = 0.16 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    sharp, soft = (crops * gain + level).chunk(2)
    small = int(CROP / (1 + (SOFT - 1) * float(torch.rand((), generator=generator))))
    soft = F.interpolate(F.interpolate(soft, (small, small), mode="area"), (CROP, CROP), mode="bilinear")
    noise = 0.03 * torch.rand(count, 1, 1, 1, generator=generator)
    return (torch.cat([sharp, soft]) + noise * torch.randn(crops.shape, generator=generator)).clamp(0, 1)


def train(samples: LabelledHands, steps: int, batch: int, rate: float, seed: int) -> HandshapeNetwork:
    """The network after that many steps; the learning rate falls to nothing along a cosine."""
    torch.manual_seed(seed)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    network = HandshapeNetwork(len(samples.shapes)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    running, begun = 0.0, time.monotonic()
    for step in range(steps):
        crops, what = samples.batch(batch, rng)
        crops = disturb(crops, generator).contiguous(memory_format=torch.channels_last)
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / 200, 0.5 + 0.5 * np.cos(np.pi * step / steps))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(crops)
        value = F.cross_entropy(logits.float(), what, label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        running = value.item() if not step else 0.98 * running + 0.02 * value.item()
        if (step + 1) % 200 == 0:
            click.echo(f"step {step + 1}/{steps}  loss {running:.3f}  {time.monotonic() - begun:.0f} s", err=True)
    return network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def measure(classifier: HandshapeClassifier, folder: Path, split: str, blur: float = 1.0) -> dict[str, Any]:
    """Accuracy on the true frames of a split, over all labelled hands and as the mean over shapes."""
    right, shapes = [], []
    for clip in PhoenixIndex(folder).clips(split):
        keypoints = read_keypoints(clip.keypoints).keypoints
        frames = np.stack([read_image(path) for path in clip.frames])
        boxes = search_boxes(keypoints.xy, keypoints.confidence, keypoints.width, keypoints.height)
        belief = classifier.classify(blurred(frames, blur) if blur > 1 else frames, boxes)
        assert clip.keypoints is not None, "read above"
        labels = read_shape_labels(clip.keypoints, classifier.shapes)
        wanted = (labels >= 0) & ~np.isnan(boxes[..., 0])
        right.append(belief[wanted].argmax(-1) == labels[wanted])
        shapes.append(labels[wanted])
    hits, what = np.concatenate(right), np.concatenate(shapes)
    counts = np.bincount(what)
    each = np.bincount(what, hits)[counts > 0] / counts[counts > 0]
    figures = {"accuracy": round(float(hits.mean()), 4), "mean_over_shapes": round(float(each.mean()), 4)}
    return {"hands": len(hits), "shapes": len(each), **figures}


def save(network: HandshapeNetwork, shapes: tuple[str, ...], folder: Path) -> None:
    """Weights in float16 and the names of the shapes, each file written whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    place_file(folder / "model.safetensors", serialise({k: v.contiguous() for k, v in state.items()}))
    write_json({"shapes": shapes}, folder / "config.json")


def write_json(content: dict[str, Any], path: Path) -> None:
    place_file(path, (json.dumps(content, indent=1) + "\n").encode())


@click.command(help=__doc__)
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-out", multiple=True, required=True, metavar="NAME=SPLIT:DIR", help="where to measure accuracy")
@click.option("--cache", type=click.Path(exists=True, file_okay=False, path_type=Path), help="default DATASET/cache")
@click.option(
    "--labels", type=click.Path(exists=True, file_okay=False, path_type=Path), help="default DATASET/keypoints"
)
@click.option("--steps", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(4))
@click.option("--rate", default=2e-3, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path))
@click.option("--only-measure", is_flag=True, help="keep the weights that are there")
def main(
    dataset: Path, held_out: tuple[str, ...], cache: Path | None, labels: Path | None, steps: int, batch: int,
    rate: float, seed: int, out: Path, only_measure: bool,
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    begun = time.process_time()
    content: dict[str, Any] = json.loads((out / "training.json").read_text(encoding="utf-8")) if only_measure else {}
    if not only_measure:
        samples = LabelledHands(FrameCache.open(cache or dataset / "cache"), labels or dataset / "keypoints")
        network = train(samples, steps, batch, rate, seed)
        save(network, samples.shapes, out)
        settings = {"steps": steps, "batch": batch, "rate": rate, "seed": seed}
        sizes = {"frames": len(samples.cache.keypoints), "hands": len(samples.hands), "shapes": len(samples.shapes)}
        content["trained"] = {**settings, **sizes, "cpu_minutes": round((time.process_time() - begun) / 60, 1)}
        content["parameters"] = sum(p.numel() for p in network.parameters())
    classifier = load_handshape_classifier(out)
    content |= {"signature": classifier.signature, "box": RULE, "held_out": {}}
    for entry in held_out:
        name, _, place = entry.partition("=")
        split, _, folder = place.partition(":")
        blurs = {"true": 1, "blurred_2x": 2, "blurred_3x": 3}
        content["held_out"][name] = {key: measure(classifier, Path(folder), split, blur) for key, blur in blurs.items()}
    write_json(content, out / "training.json")
    click.echo(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
