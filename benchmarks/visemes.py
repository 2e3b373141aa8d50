"""A judge of mouth shapes, trained on true frames of drawn clips: which kind of viseme does a mouth show?"""

from __future__ import annotations

import json
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from legibility_scores import Reading
from torch import Tensor, nn
from torch.nn import functional

from signgen.dataset.phoenix import Clip
from signgen.errors import Empty, InputError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.skeleton import CONFIDENT, FACE, INNER_LIPS, OUTER_LIPS
from signgen.synthetic.dataset import Plan
from signgen.synthetic.motion.face import VISEMES
from signgen.video import read_frames

# Visemes that differ by less than a pixel in frames of 210x260 count as one shape.
GROUPS = {
    "rest": ("rest",), "ajar": ("open", "l"), "wide": ("a",), "spread": ("e", "i", "s"), "round": ("o", "u", "sch"),
    "shut": ("m",), "lip": ("f",),
}  # fmt: skip
MOUTH_SHAPES = tuple(GROUPS)
REST, NONE = MOUTH_SHAPES.index("rest"), -1
WIDTH, HEIGHT = 40, 32  # px of a crop, which shows `SHARE` of the width of the face
SHARE = 0.6
LIPS, JAW = slice(OUTER_LIPS.start, INNER_LIPS.stop), (FACE.start, FACE.start + 16)
EPOCHS, BATCH, RATE = 30, 64, 2e-3
MOVED, LIGHTER = 1.5, 0.2  # px and share by which crops differ from epoch to epoch, at most


def labels_of(clip: Clip) -> np.ndarray:
    """The mouth shape of each frame of a drawn clip, (T,), an index into `MOUTH_SHAPES`; `NONE` in between.

    Keypoint files say it since content version 5; for earlier ones the movement is made again.

    Raises:
        InputError: the clip was not drawn by `signgen synthesize`.
    """
    with np.load(clip.keypoints, allow_pickle=False) as archive:
        if "visemes" in archive:
            return _grouped(archive["visemes"], [str(name) for name in archive["viseme_names"]])
    record = clip.keypoints.parent.parent / "synthetic.json"
    split = clip.name.split("-")[1] if record.is_file() and clip.name.startswith("synthetic") else ""
    found = json.loads(record.read_text(encoding="utf-8"))["splits"].get(split) if split else None
    if found is None:
        raise InputError(clip.name, "does not say its visemes", "take clips of `signgen synthesize`")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in found["settings"].items()}
    return _grouped(Plan(**settings).perform(int(clip.name.rsplit("-", 1)[1])).visemes(), list(VISEMES))


def _grouped(visemes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Indices into ``names``, -1 for none -> into `MOUTH_SHAPES`."""
    groups = {name: MOUTH_SHAPES.index(group) for group, alike in GROUPS.items() for name in alike}
    return np.array([*(groups[name] for name in names), NONE])[visemes]


def mouth_crops(frames: np.ndarray, keypoints: Keypoints) -> tuple[np.ndarray, np.ndarray]:
    """Mouths of frames uint8 (T,H,W,3): float32 (T, 3, `HEIGHT`, `WIDTH`), without their mean and contrast, and which
    of them are seen, (T,)."""
    xy, seen = keypoints.xy, keypoints.confidence >= CONFIDENT
    whole = seen[:, LIPS].all(1) & seen[:, JAW].all(1)
    crops = np.zeros((len(frames), HEIGHT, WIDTH, 3), np.float32)
    for number in np.flatnonzero(whole):
        middle = xy[number, LIPS].mean(0)
        scale = (
            SHARE * float(np.linalg.norm(np.subtract(*xy[number, JAW]))) / WIDTH
        )  # px of the frame to one of the crop
        there = np.float32([[scale, 0, middle[0] - scale * WIDTH / 2], [0, scale, middle[1] - scale * HEIGHT / 2]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crops[number] = cv2.warpAffine(
            frames[number], there, (WIDTH, HEIGHT), flags=how, borderMode=cv2.BORDER_REPLICATE
        )
    crops -= crops.mean((1, 2), keepdims=True)
    crops /= crops.std((1, 2, 3), keepdims=True) + 1
    return crops.transpose(0, 3, 1, 2), whole


class Mouths(nn.Sequential):
    """Crops (N, 3, `HEIGHT`, `WIDTH`) -> logits (N, visemes)."""

    def __init__(self) -> None:
        channels = (3, 16, 32, 64)
        layers: list[nn.Module] = []
        for before, after in zip(channels[:-1], channels[1:], strict=True):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
        flat = channels[-1] * HEIGHT * WIDTH // 64
        super().__init__(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(flat, len(MOUTH_SHAPES)))


def trained(clips: Sequence[Clip], seed: int) -> Mouths:
    """A judge of the clips' true frames; with the same clips and seed it is the same.

    Raises:
        Empty: hardly a mouth shows one of them.
    """
    parts = []
    for clip in clips:
        crops, whole = mouth_crops(np.stack(list(read_frames(clip.folder))), read_keypoints(clip.keypoints).keypoints)
        labels = labels_of(clip)
        usable = whole & (labels != NONE)
        parts.append((crops[usable], labels[usable]))
    crops, labels = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
    if len(labels) < BATCH:
        raise Empty("clips", f"{len(labels)} mouths show a viseme", f"give clips with {BATCH} or more")
    torch.manual_seed(seed)
    generator, network = torch.Generator().manual_seed(seed), Mouths()
    # As many mouths of each kind: most are at rest.
    shares = 1 / torch.bincount(labels, minlength=len(MOUTH_SHAPES)).clamp(min=1)[labels].double()
    steps = EPOCHS * len(labels) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(steps):
        which = torch.multinomial(shares, BATCH, True, generator=generator)
        loss = functional.cross_entropy(network(_varied(crops[which], generator)), labels[which])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _varied(crops: Tensor, generator: torch.Generator) -> Tensor:
    """The crops moved, mirrored, and with another contrast."""
    count = len(crops)
    side = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * torch.tensor([2 * MOVED / WIDTH, 2 * MOVED / HEIGHT])
    zero, one = torch.zeros(count), torch.ones(count)
    maps = torch.stack(
        [torch.stack([side, zero, shift[:, 0]], 1), torch.stack([zero, one, shift[:, 1]], 1)], 1
    )  # (N, 2, 3)
    grid = functional.affine_grid(maps, list(crops.shape), align_corners=False)
    moved = functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)
    return moved * (1 + LIGHTER * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1))


@torch.inference_mode()
def read_mouths(judge: Mouths, frames: np.ndarray, keypoints: Keypoints) -> Reading:
    """Which viseme each mouth shows, as a `Reading` of one hand that is always in its place."""
    crops, whole = mouth_crops(frames, keypoints)
    seen = judge(torch.from_numpy(crops)).argmax(-1).numpy()
    return Reading(np.where(whole, 0.0, np.nan)[:, None], np.where(whole, seen, NONE)[:, None])
