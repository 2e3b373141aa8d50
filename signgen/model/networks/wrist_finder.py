"""A tiny network that finds the signer's wrists in a frame, to tell whether the drawn arms went where they should.

It is trained on drawn signers alone (``tools/train_wrist_finder.py``) and is a measuring instrument for such frames,
not a general pose estimator.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from signgen import package
from signgen.errors import BadValue, Mismatch, NotFound
from signgen.keypoints.skeleton import LEFT_ELBOW, LEFT_KNUCKLE, LEFT_WRIST, RIGHT_ELBOW, RIGHT_KNUCKLE, RIGHT_WRIST
from signgen.model.networks.canvas import fit_canvas, fit_frames
from signgen.video.tensors import channels_first

POINTS = (LEFT_WRIST, RIGHT_WRIST, LEFT_ELBOW, RIGHT_ELBOW, LEFT_KNUCKLE, RIGHT_KNUCKLE)
MIRRORED = (1, 0, 3, 2, 5, 4)  # which point each one becomes when the frame is mirrored
STRIDE = 4  # pixels of the frame for one cell of the heat map
RADIUS = 2  # cells around the peak that the position is averaged over
HEIGHT = 260  # frames of another height are scaled to this one, on which the network was trained
WEIGHTS = package.WEIGHTS / "wrist_finder"


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: (N, inputs, H, W) -> (N, outputs, H', W').

    All small networks that measure are made of it: a CPU trains them within minutes.
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """x + conv(x), one 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return x + self.conv(x)


class WristFinder(nn.Module):
    """Frames to heat-map logits at a quarter of their size, for wrists, elbows and middle knuckles.

    An hourglass: five halvings give the context in which left and right differ, the way up gives the place.

    Args:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the frame.
    """

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 48, 56, 56)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_block(3, widths[0], stride=2), conv_block(widths[0], widths[1], stride=2), Residual(widths[1])
        )
        lower = widths[1:]
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(wide, deep, stride=2), Residual(deep))
            for wide, deep in zip(lower[:-1], lower[1:], strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(deep, wide, 1) for wide, deep in zip(lower[:-1], lower[1:], strict=True))
        self.up = nn.ModuleList(Residual(wide) for wide in lower[:-1])
        self.head = nn.Conv2d(widths[1], len(POINTS), 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1], H and W multiples of 4 -> logits (N, 6, H/4, W/4), points as in ``POINTS``."""
        levels = [self.stem(frames * 2 - 1)]  # (N, 32, H/4, W/4)
        for down in self.down:
            levels.append(down(levels[-1]))  # (N, C, h, w) -> (N, C', h/2, w/2)
        x = levels.pop()  # (N, 56, H/32, W/32)
        for up, lateral in zip(reversed(self.up), reversed(self.lateral), strict=True):  # type: ignore[call-overload]
            skip = levels.pop()
            x = up(skip + functional.interpolate(lateral(x), skip.shape[-2:], mode="bilinear", align_corners=False))
        return self.head(x)  # (N, 6, H/4, W/4)

    @torch.inference_mode()
    def find(self, frames: Any) -> tuple[np.ndarray, np.ndarray]:
        """Where the points are in each frame.

        Args:
            frames: (N, H, W, 3) RGB, numpy or torch, uint8 in 0..255 or float in [0, 1].

        Returns:
            xy (N, 6, 2) float32 pixels of the frame, y down, and confidence (N, 6) float32: the share of the
            network's belief that lies around the peak.
        """
        weight = self.head.weight
        pixels = torch.as_tensor(np.asarray(frames) if not isinstance(frames, Tensor) else frames)
        if pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise BadValue("frames", f"shape {tuple(pixels.shape)}", "frames are (N,H,W,3) RGB")
        scale = 255.0 if pixels.dtype == torch.uint8 else 1.0
        images = channels_first(pixels, weight.device).to(weight.dtype) / scale  # (N, 3, H, W)
        height, width = images.shape[-2:]
        if height != HEIGHT:
            size = (HEIGHT, max(8, round(width * HEIGHT / height)))
            images = functional.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        shown_height, shown_width = images.shape[-2:]
        cells, confidence = peaks(self(fit_frames(images)).float())
        left, _, top, _ = fit_canvas(shown_width, shown_height).padding
        xy = to_pixels(cells) - torch.tensor([left, top], device=cells.device)
        xy = (xy + 0.5) * torch.tensor([width / shown_width, height / shown_height], device=cells.device) - 0.5
        return xy.cpu().numpy(), confidence.cpu().numpy()


def to_pixels(cells: Tensor) -> Tensor:
    """Heat-map coordinates to pixels of the canvas; pixel centres are whole numbers."""
    return (cells + 0.5) * STRIDE - 0.5


def to_cells(pixels: Tensor) -> Tensor:
    """Pixels of the canvas to heat-map coordinates, undoing `to_pixels`."""
    return (pixels + 0.5) / STRIDE - 0.5


def peaks(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Soft-argmax around the peak: logits (N, P, h, w) -> cells (N, P, 2) as x, y and confidence (N, P).

    The softmax runs over the whole map; its mass within ``RADIUS`` cells of the largest value is the confidence,
    the centre of that mass the position.
    """
    count, points, height, width = logits.shape
    belief = logits.flatten(2).softmax(-1)  # (N, P, h w)
    best = belief.argmax(-1, keepdim=True)  # (N, P, 1)
    y = torch.arange(height, device=logits.device).repeat_interleave(width)
    x = torch.arange(width, device=logits.device).repeat(height)
    near = ((x - best % width).abs() <= RADIUS) & ((y - best // width).abs() <= RADIUS)  # (N, P, h w)
    mass = belief * near
    confidence = mass.sum(-1)
    cells = torch.stack([(mass * x).sum(-1), (mass * y).sum(-1)], -1) / confidence[..., None]
    return cells, confidence


def load_wrist_finder(folder: str | Path = WEIGHTS) -> WristFinder:
    """The trained finder in float32, ready to run.

    Raises:
        InputError: the folder holds no weights, or those of another network.
    """
    from safetensors.torch import load_file

    path = Path(folder) / "model.safetensors"
    if not path.is_file():
        raise NotFound(path, "not found", "train it with tools/train_wrist_finder.py")
    finder = WristFinder()
    try:
        finder.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise Mismatch(path, "weights of another network", "train it with tools/train_wrist_finder.py") from error
    return finder.eval()


def report(folder: str | Path = WEIGHTS) -> dict[str, Any]:
    """What the training tool measured on true frames that it had not seen: error in pixels and shares."""
    return json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
