"""The refiner stages: crops of hands or faces as the model paints them, to what they truly are.

Trained with what the product sees: keypoints disturbed, hands fitted to them, sources of other clips of the signer.
Half of the crops carry the solid hands as they truly were, where the data set knows them: trained on fits alone, a
refiner learns that its condition lies, and hedges.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from signgen.dataset.cache import FrameCache
from signgen.dataset.region_store import (
    COARSE,
    FITTED,
    KNOWN,
    MARGIN,
    MIRRORED_POSE,
    POSE,
    REFERENCE,
    TRUE_SOLID,
    TRUTH,
    ClipCrops,
    crops_path,
    cut_crops,
    read_crops,
)
from signgen.errors import Empty, Unsupported
from signgen.keypoints.skeleton import EYELIDS, FACE, INNER_LIPS, OUTER_LIPS
from signgen.model.networks.refiner import RegionRefiner
from signgen.model.regions import from_solid
from signgen.training.config import TrainConfig
from signgen.training.painted import composed_clips, processes, progress
from signgen.training.stages import imported
from signgen.training.starts import stage_network
from signgen.training.task import Task, built, gradient_l1, structural_loss, tile, to_uint8
from signgen.video.tensors import to_signed

KEPT_OUT = 8  # clips at the end of the data set that are never trained on, where there is a sheet, which shows them
SLOW = 3.0  # px a frame; faster hands are smeared in the truth and are drawn less often
LEAST_SHARE = 0.1
TRUE_SHARE = 0.5  # of the crops that carry the true solid hands
WITHOUT = 0.08  # share of crops without anything of the source
NEAR = 4.0  # px about a joint that count more
GAIN, SHIFT, TINT, GRAIN = 0.15, 0.1, 0.03, 0.015  # of colours: all pictures alike; and of what was painted alone
# Of faces: the share whose source shows what no drawn person has; the sizes of its texture, px, and how strong each is
# at most; over how many pixels what was painted has lost its detail, and how much other colours it has.
STRANGERS, TEXTURE, STRONG, DULL, OFF = 0.5, (1, 2, 4, 8), 0.12, 4, 0.15


class RegionBatch(NamedTuple):
    """Crops float32 (B, 16, S, S) as a refiner sees them, the truth (B, 3, S, S), the points (B, K, 3) in the crop."""

    inputs: Tensor
    truth: Tensor
    points: np.ndarray


class RefinerTask(Task):
    """One refiner and its crops, which are rendered and cut before the first step."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        self.kind = config.stage.removesuffix("_refiner")
        self.refiner = self._refiner()
        self.side = self.refiner.config.side
        if min(cache.size) < self.side + MARGIN:
            got = f"frames of {cache.size[0]}x{cache.size[1]}"
            raise Unsupported(config.data, got, f"this stage trains on crops of {self.side + MARGIN} pixels")
        self.trainable = self.refiner.to(device, memory_format=torch.channels_last)
        self.clips, self.kept_out = self._crops(folder)
        self.shares = [np.cumsum(_shares(clip.speed)) for clip in self.clips]
        self.sizes = np.array([shares[-1] for shares in self.shares])

    def _refiner(self) -> RegionRefiner:
        if self.config.stage in self.config.start:
            network = stage_network(RegionRefiner, self.config.start[self.config.stage]).train()
            # How it is shown fast hands may change while it learns on; its weights are what they are.
            network.register_to_config(shutter=self.config.model.get("shutter", network.config.shutter))
            return network
        return built(RegionRefiner, self.config.model)

    def _crops(self, folder: Path) -> tuple[list[ClipCrops], list[ClipCrops]]:
        config, clips = self.config, range(len(self.cache.clips))
        coarse = composed_clips(config, self.cache, folder, self.device)
        how = self.kind, self.side, config.seed, processes(self.device), progress("cut", len(clips))
        where = cut_crops(self.cache, folder, coarse, *how, shutter=self.refiner.config.shutter)
        crops = [read_crops(where, number) for number in clips if crops_path(where, number).is_file()]
        if sum(len(clip.pixels) for clip in crops) < config.batch:
            raise Empty(config.data, f"hardly a {self.kind} is seen", "give clips with keypoints of hands and faces")
        trained = len(crops) - (min(KEPT_OUT, len(crops) // 4) if config.sheet_steps else 0)
        seen, kept = ([clip for clip in part if len(clip.pixels)] for part in (crops[:trained], crops[trained:]))
        return seen, kept

    def draw(self, rng: np.random.Generator, step: int = 0) -> RegionBatch:
        chosen = rng.choice(len(self.clips), self.config.batch, p=self.sizes / self.sizes.sum())
        items = [self._item(self.clips[i], _drawn(self.shares[i], rng), rng) for i in chosen]
        pixels, points = (np.stack(part) for part in zip(*items, strict=True))
        inputs, truth = self._pictures(pixels)
        colours = (
            rng.uniform(1 - GAIN, 1 + GAIN, (len(pixels), 3, 1, 1)),
            rng.uniform(-SHIFT, SHIFT, (len(pixels), 3, 1, 1)),
        )
        gain, shift = (torch.from_numpy(value).float() for value in colours)
        known = inputs[:, KNOWN] * torch.from_numpy(rng.random((len(pixels), 1, 1, 1)) >= WITHOUT)
        painted, reference = inputs[:, COARSE] * gain + shift, inputs[:, REFERENCE] * (known > 0) * gain + shift * known
        painted = painted * torch.from_numpy(rng.uniform(1 - TINT, 1 + TINT, gain.shape)).float()
        painted = painted + torch.from_numpy(rng.normal(0, GRAIN, gain.shape)).float()
        truth = truth * gain + shift
        if self.kind == "face":
            strange = known * torch.from_numpy(rng.random((len(pixels), 1, 1, 1)) < STRANGERS)
            apart = strange * (1 - self._near(points))  # eyes and lips are told by what was painted
            texture = _texture(rng, *truth.shape) * apart
            painted, reference, truth = _as_drawn(painted, strange, apart, rng), reference + texture, truth + texture
        inputs = torch.cat([painted, inputs[:, POSE], reference, known, inputs[:, FITTED]], 1)
        return RegionBatch(inputs.contiguous(memory_format=torch.channels_last), truth, points)

    def _item(self, clip: ClipCrops, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A crop of the refiner's size, moved, perhaps mirrored, with fitted or true solid hands; and its points."""
        left, top = rng.integers(0, MARGIN + 1, 2)
        pixels = np.array(clip.pixels[index, top : top + self.side, left : left + self.side])
        points = clip.points[index] - (left, top, 0)
        if clip.solid and rng.random() < TRUE_SHARE:
            pixels[..., FITTED] = pixels[..., TRUE_SOLID]
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1].copy()
            pixels[..., POSE] = pixels[..., MIRRORED_POSE]
            across = pixels[..., FITTED.start]
            pixels[..., FITTED.start] = np.minimum(256 - across.astype(np.int16), 255)
            points = points * (-1, 1, 1) + (self.side - 1, 0, 0)
        return pixels, points

    def _pictures(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Stored pixels (N, S, S, CHANNELS) -> what a refiner is given (N, 16, S, S), and the truth (N, 3, S, S)."""
        known = torch.from_numpy(pixels[..., KNOWN]).permute(0, 3, 1, 2).float() / 255
        # Where nothing is known the stored byte is the middle of the range, which must be 0 to the very bit.
        reference = to_signed(pixels[..., REFERENCE]) * (known > 0)
        parts = (
            to_signed(pixels[..., COARSE]),
            to_signed(pixels[..., POSE]),
            reference,
            known,
            from_solid(pixels[..., FITTED]),
        )
        return torch.cat(parts, 1), to_signed(pixels[..., TRUTH])

    def loss(self, network: nn.Module, drawn: RegionBatch) -> tuple[Tensor, dict[str, float]]:
        inputs = drawn.inputs.to(self.device)
        truth, weights = drawn.truth.to(self.device), self._weights(drawn.points).to(self.device)
        output = network(inputs).float()
        loss, figures = imported(self.stage.loss)(output, truth, weights)
        with torch.no_grad():
            _, before = region_loss(inputs[:, COARSE], truth, weights)
        return loss, figures | {f"painted_{name}": value for name, value in before.items()}

    def _weights(self, points: np.ndarray) -> Tensor:
        """(B, 1, S, S): 0.5, and up to 2 near joints of a hand, or near eyes and lips."""
        return 0.5 + 1.5 * self._near(points)

    def _near(self, points: np.ndarray) -> Tensor:
        """(B, 1, S, S): 1 at joints of a hand, or at eyes and lips, falling to 0 around them."""
        if self.kind == "face":
            parts = [
                points[:, part.start - FACE.start : part.stop - FACE.start]
                for part in (EYELIDS, OUTER_LIPS, INNER_LIPS)
            ]
            points = np.concatenate(parts, 1)
        middles = np.arange(self.side // 4) * 4 + 1.5
        apart = (middles - points[..., :1])[:, :, None] ** 2 + (middles - points[..., 1:2])[..., None] ** 2
        near = (np.exp(-apart / (2 * NEAR**2)) * (points[..., 2] > 0.2)[..., None, None]).max(1)
        grid = torch.from_numpy(near).float()[:, None]
        return functional.interpolate(grid, (self.side, self.side), mode="bilinear")

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: painted, refined, truth, the source's, solid hands; of clips that are never trained on."""
        rng = np.random.default_rng(7)
        pixels = np.stack([clip.pixels[rng.integers(len(clip.pixels))] for clip in self.kept_out or self.clips[:8]])
        half = MARGIN // 2
        inputs, truth = self._pictures(pixels[:, half : half + self.side, half : half + self.side])
        self.trainable.eval()
        output = self.trainable(inputs.to(self.device)).cpu()
        self.trainable.train()
        rows = inputs[:, COARSE], output, truth, inputs[:, REFERENCE], inputs[:, FITTED][:, :3]
        return tile([to_uint8(row) for row in rows])

    def save(self, folder: Path) -> None:
        self.refiner.save_pretrained(folder / self.config.stage)


def region_loss(output: Tensor, truth: Tensor, weights: Tensor) -> tuple[Tensor, dict[str, float]]:
    """2 x L1 + L1 of the differences + (1 - SSIM) of crops (B, 3, S, S), weighted by ``weights`` (B, 1, S, S)."""
    pixel = gradient_l1(output, truth, edge=0.5, weights=weights)
    structure = structural_loss(output, truth, weights=weights)
    return 2 * pixel + structure, {"pixel": float(pixel.detach()), "structure": float(structure.detach())}


def _texture(rng: np.random.Generator, count: int, channels: int, height: int, width: int) -> Tensor:
    """Spots of several sizes, (N, C, H, W) about 0: as skin, beards and shadows of photographs have them."""
    total = torch.zeros(count, channels, height, width)
    for size in TEXTURE:
        grey = rng.standard_normal((count, 1, height // size, width // size))
        spots = grey + 0.3 * rng.standard_normal((count, channels, height // size, width // size))
        spots *= rng.uniform(0, STRONG, (count, 1, 1, 1))
        total += functional.interpolate(torch.from_numpy(spots).float(), (height, width), mode="bilinear")
    return total


def _as_drawn(painted: Tensor, strange: Tensor, apart: Tensor, rng: np.random.Generator) -> Tensor:
    """What was painted (N, 3, S, S), in other colours as far as the source is ``strange`` (N, 1, S, S), and with less
    detail where that is ``apart`` from eyes and lips: a model of drawn people paints photographed ones like them."""
    gain, shift = (
        rng.uniform(1 - OFF, 1 + OFF, (len(painted), 3, 1, 1)),
        rng.uniform(-OFF, OFF, (len(painted), 3, 1, 1)),
    )
    dull = functional.interpolate(functional.avg_pool2d(painted, DULL), scale_factor=DULL, mode="bilinear")
    share = torch.from_numpy(rng.random((len(painted), 1, 1, 1))).float()
    painted = painted + apart * share * (dull - painted)
    other = painted * torch.from_numpy(gain).float() + torch.from_numpy(shift).float()
    return painted + strange * (other - painted)


def _shares(speed: np.ndarray) -> np.ndarray:
    return np.maximum(1 / (1 + (speed / SLOW) ** 2), LEAST_SHARE)


def _drawn(shares: np.ndarray, rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(shares, rng.random() * shares[-1])), len(shares) - 1)
