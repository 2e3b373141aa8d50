"""The matte stage: pictures to how far their pixels are the person. The composer stage: painted frames to frames before
the source's own backdrop, with the source's own pixels.

Both learn from mattes and plates, which `signgen synthesize` writes beside its clips. The composer learns from what the
model paints of the data set, as refiners do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from signgen.dataset.cache import FrameCache
from signgen.dataset.coarse import clip_path, read_coarse
from signgen.dataset.files import damaged
from signgen.errors import Empty
from signgen.keypoints.skeleton import LOWER_BODY
from signgen.model.networks.canvas import fit_canvas, fit_frames, from_canvas
from signgen.model.networks.composer import Composed, FrameComposer, SourceMatte, fill_plate
from signgen.model.regions import SourceRegions
from signgen.pose_image.strokes import draw_clip
from signgen.training.config import TrainConfig
from signgen.training.painted import painted_clips
from signgen.training.stages import imported
from signgen.training.starts import stage_network
from signgen.training.task import Task, built, gradient_l1, structural_loss, tile, to_uint8
from signgen.video.tensors import to_unit

MATTES = "matte"  # folder of a drawn data set that holds mattes and plates
KEPT_OUT = 8  # clips at the end of the data set that are never trained on; the sheet shows them
UNKNOWN = 0.3  # share of pictures whose person's pose is not told to the matte
WITHOUT = 0.08  # share of frames without the source's body
GAIN, SHIFT = 0.15, 0.1  # of the colours of all pictures of a frame
CLEAR = (0.02, 0.3)  # of `fill_plate`, drawn evenly: a found matte is less sure than the true one
PERSON, MATTE = 0.5, 0.5  # weights of the person alone, and of the matte, beside the frame's
TORN, HOLES = 0.35, 3  # share of painted frames with holes that show the backdrop, as footage unlike the drawn leaves
HOLE = (4.0, 24.0)  # px, half axes of a hole


class Mattes:
    """The true mattes of a drawn data set.

    Args:
        cache: of the data set. folder: the one that lies beside its clips.
    """

    def __init__(self, cache: FrameCache, folder: Path) -> None:
        self.paths = [folder / MATTES / f"{clip.name}.npz" for clip in cache.clips]
        self.bounds = cache.bounds

    def __contains__(self, clip: int) -> bool:
        return self.paths[clip].is_file()

    def of(self, clip: int) -> np.ndarray:
        """uint8 (T, H, W) of one clip, 255 where the person is."""
        try:
            with np.load(self.paths[clip], allow_pickle=False) as archive:
                return archive["matte"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise damaged(self.paths[clip], error, "delete it and let signgen synthesize draw it again") from error


class MatteBatch(NamedTuple):
    """Pictures and poses (B, 3, H, W), and the truth (B, 1, H, W)."""

    pictures: Tensor
    poses: Tensor
    matte: Tensor


class ComposerBatch(NamedTuple):
    """What `FrameComposer.forward` takes, the true frames (B, 3, H, W) and mattes (B, 1, H, W)."""

    painted: Tensor
    plate: Tensor
    body: Tensor
    poses: Tensor
    frames: Tensor
    matte: Tensor


class _WithMattes(Task):
    """What both stages share: clips whose mattes are known, and pictures on the canvas."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        self.mattes = Mattes(cache, folder.parent)
        clips = [number for number in range(len(cache.clips)) if number in self.mattes]
        if not clips:
            raise Empty(config.data, "no clip has a matte", "draw the data set with signgen synthesize")
        apart = min(KEPT_OUT, len(clips) // 4)
        self.clips, self.kept_out = clips[: len(clips) - apart], clips[len(clips) - apart :] or clips

    def poses(self, points: np.ndarray) -> Tensor:
        """Pose images (N, 3, H', W') in [0, 1] of keypoints (N, 133, 3)."""
        points = self.on_canvas(points)
        seen = np.where(
            np.isin(np.arange(133), np.r_[LOWER_BODY]), 0, points[..., 2]
        )  # a render of signers has no legs
        return to_unit(draw_clip(points[..., :2], seen, self.canvas, self.canvas), self.device)

    def truth(self, clip: int, frames: Sequence[int]) -> Tensor:
        """Mattes (N, 1, H', W') of frames of a clip, in [0, 1]."""
        found = torch.from_numpy(self.mattes.of(clip)[list(frames)]).to(self.device).float().div(255)[:, None]
        return fit_frames(found, self.config.canvas)


class MatteTask(_WithMattes):
    """`SourceMatte` on single frames."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        known = config.start.get("matte")
        self.matte = built(SourceMatte, config.model) if known is None else stage_network(SourceMatte, known).train()
        self.trainable = self.matte.to(device, memory_format=torch.channels_last)

    def draw(self, rng: np.random.Generator, step: int = 0) -> MatteBatch:
        return self._of(rng, rng.choice(self.clips, self.config.batch), UNKNOWN, rng.random(self.config.batch) < 0.5)

    def _of(self, rng: np.random.Generator, clips: np.ndarray, unknown: float, flipped: np.ndarray) -> MatteBatch:
        frames = [int(rng.integers(len(range(*self.mattes.bounds[clip])))) for clip in clips]
        places = [int(self.mattes.bounds[clip][0]) + frame for clip, frame in zip(clips, frames, strict=True)]
        pictures = self.images(np.array(places))
        poses = self.poses(np.array(self.cache.keypoints[np.array(places)]))
        poses = poses * torch.from_numpy(rng.random((len(clips), 1, 1, 1)) >= unknown)
        matte = torch.cat([self.truth(clip, [frame]) for clip, frame in zip(clips, frames, strict=True)])
        gain, shift = _colours(rng, len(clips))
        parts = pictures * gain + shift, poses, matte
        turned = torch.from_numpy(flipped)[:, None, None, None]  # a pose's left and right do not matter to a matte
        return MatteBatch(*(torch.where(turned, part.flip(3), part).contiguous() for part in parts))

    def loss(self, network: nn.Module, drawn: MatteBatch) -> tuple[Tensor, dict[str, float]]:
        pictures, poses, matte = (part.to(self.device) for part in drawn)
        return imported(self.stage.loss)(network(pictures, poses).float(), matte)

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: pictures, the matte found, the true one, and the plate that is made with the found one."""
        drawn = self._of(np.random.default_rng(7), np.array(self.kept_out), 0.0, np.zeros(len(self.kept_out), bool))
        found = torch.sigmoid(self.matte(drawn.pictures.to(self.device), drawn.poses.to(self.device))).cpu()
        plates = torch.cat([fill_plate(a[None], b[None]) for a, b in zip(drawn.pictures, found, strict=True)])
        mattes = [part.expand(-1, 3, -1, -1) * 2 - 1 for part in (found, drawn.matte)]
        return tile([to_uint8(row) for row in (drawn.pictures, *mattes, plates)])

    def save(self, folder: Path) -> None:
        self.matte.save_pretrained(folder / self.config.stage)


class ComposerTask(_WithMattes):
    """`FrameComposer` on what the model paints."""

    def __init__(self, config: TrainConfig, cache: FrameCache, device: torch.device, folder: Path) -> None:
        super().__init__(config, cache, device, folder)
        known = config.start.get("composer")
        network = built(FrameComposer, config.model) if known is None else stage_network(FrameComposer, known).train()
        # What it is shown may change while it learns on; its weights are what they are.
        network.register_to_config(arms=config.model.get("arms", network.config.arms))
        self.composer = network
        self.trainable = network.to(device, memory_format=torch.channels_last)
        self.coarse = painted_clips(config, cache, folder, device)
        painted = [clip for clip in (*self.clips, *self.kept_out) if clip_path(self.coarse, clip).is_file()]
        self.clips = [clip for clip in self.clips if clip in set(painted)]
        if not self.clips:
            raise Empty(config.data, "no clip is painted", "let the stage render the data set")

    def draw(self, rng: np.random.Generator, step: int = 0) -> ComposerBatch:
        items = [self._item(int(clip), rng) for clip in rng.choice(self.clips, self.config.batch)]
        parts = [torch.cat(part) for part in zip(*items, strict=True)]
        gain, shift = _colours(rng, len(items))
        coloured = [parts[i] * gain + shift for i in (0, 1, 4)]
        body = torch.cat([parts[2][:, :3] * gain + shift * parts[2][:, 3:], parts[2][:, 3:]], 1)
        body = body * torch.from_numpy(rng.random((len(items), 1, 1, 1)) >= WITHOUT)
        return ComposerBatch(coloured[0], coloured[1], body, parts[3], coloured[2], parts[5])

    def _item(self, number: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """One frame of a clip as `ComposerBatch` has it, a batch of 1."""
        clip, painted = self.cache.clips[number], read_coarse(self.coarse, number)
        frame, own = int(rng.integers(len(painted.frames))), painted.source - clip.start
        matte = self.truth(number, [frame, own])
        source = self.images(np.array([painted.source]))
        plate = fill_plate(source, matte[1:], float(rng.uniform(*CLEAR)))
        image, person = self.cache.frames[np.array([painted.source])][0], None
        if self.composer.config.arms:  # which only the person's own pixels may dress
            person = from_canvas(matte[1:], *self.cache.size)[0, 0].mul(255).round().byte().cpu().numpy()
        regions = SourceRegions.of(image, np.array(self.cache.keypoints[painted.source]), matte=person)
        left, _, top, _ = fit_canvas(*self.cache.size, self.config.canvas).padding
        driving = painted.driving[[frame]]
        body = regions.body(driving, (-left, -top), self.canvas)
        if self.composer.config.arms:
            body = regions.with_arms(body, driving, (-left, -top))
        made = self.placed(painted.frames[[frame]])
        if rng.random() < TORN:
            known = functional.interpolate(body[:, 3:], scale_factor=2.0, mode="bilinear", align_corners=False)
            hole = _holes(rng, matte[:1] * known.to(matte))
            made = made + (plate - made) * hole
        return made, plate, body, self.poses(driving), self.images(np.array([clip.start + frame])), matte[:1]

    def loss(self, network: nn.Module, drawn: ComposerBatch) -> tuple[Tensor, dict[str, float]]:
        painted, plate, body, poses, frames, matte = (part.to(self.device) for part in drawn)
        return imported(self.stage.loss)(Composed(*network(painted, plate, body, poses)), frames, matte)

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: painted, composed, truth, the source moved to the pose, the matte found."""
        rng = np.random.default_rng(7)
        shown = [clip for clip in self.kept_out if clip_path(self.coarse, clip).is_file()] or self.clips[:KEPT_OUT]
        items = [self._item(clip, rng) for clip in shown]
        painted, plate, body, poses, frames, _ = (torch.cat(part).to(self.device) for part in zip(*items, strict=True))
        made = self.composer(painted, plate, body, poses)
        moved = functional.interpolate(body[:, :3], scale_factor=2)
        rows = painted, made.frames, frames, moved, made.matte.expand(-1, 3, -1, -1) * 2 - 1
        return tile([to_uint8(row.cpu()) for row in rows])

    def save(self, folder: Path) -> None:
        self.composer.save_pretrained(folder / self.config.stage)


def _holes(rng: np.random.Generator, inside: Tensor) -> Tensor:
    """(1, 1, H, W): up to `HOLES` soft ellipses, only where ``inside`` (1, 1, H, W) is and never harder than that."""
    places = torch.nonzero(inside[0, 0] > 0.5)
    holes = torch.zeros_like(inside)
    if not len(places):
        return holes
    rows, columns = (torch.arange(size, dtype=inside.dtype, device=inside.device) for size in inside.shape[-2:])
    for _ in range(rng.integers(1, HOLES + 1)):
        y, x = places[rng.integers(len(places))].tolist()
        tall, wide = rng.uniform(*HOLE, 2)
        apart = ((rows[:, None] - y) / tall) ** 2 + ((columns - x) / wide) ** 2
        holes = torch.maximum(holes, torch.sigmoid((1 - apart) * rng.uniform(2, 8))[None, None] * rng.uniform(0.5, 1))
    return holes * inside


def _colours(rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Gain and shift, (B, 3, 1, 1)."""
    values = rng.uniform(1 - GAIN, 1 + GAIN, (count, 3, 1, 1)), rng.uniform(-SHIFT, SHIFT, (count, 3, 1, 1))
    gain, shift = (torch.from_numpy(value).float() for value in values)
    return gain, shift


def matte_loss(logits: Tensor, matte: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy plus L1 of values and differences of mattes (B, 1, H, W) in [0, 1]."""
    entropy = functional.binary_cross_entropy_with_logits(logits, matte)
    apart = gradient_l1(torch.sigmoid(logits), matte)
    return entropy + apart, {"entropy": float(entropy.detach()), "apart": float(apart.detach())}


def composing_loss(made: Composed, frames: Tensor, matte: Tensor) -> tuple[Tensor, dict[str, float]]:
    """2 x L1 + L1 of the differences + (1 - SSIM) of frames (B, 3, H, W), L1 of the person where there is one, and of
    the matte (B, 1, H, W)."""
    composed = made.frames.float()
    pixel, structure = gradient_l1(composed, frames), structural_loss(composed, frames)
    person = (matte * (made.person.float() - frames).abs()).sum() / (3 * matte.sum()).clamp(min=1)
    found = gradient_l1(made.matte.float(), matte)
    loss = 2 * pixel + structure + PERSON * person + MATTE * found
    figures = {"pixel": pixel, "structure": structure, "person": person, "matte": found}
    return loss, {name: float(value.detach()) for name, value in figures.items()}
