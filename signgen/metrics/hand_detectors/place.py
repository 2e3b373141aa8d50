"""A square place in a frame, turned and mirrored at will: cutting it out, and taking points there and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

OVERSAMPLED = 2  # samples along a side for each pixel of the crop, averaged: large hands do not alias


@dataclass(frozen=True)
class Places:
    """N square places.

    Attributes:
        centre: (N,2) x, y in pixels of the frame, pixel centres on whole numbers.
        side: (N,) pixels.
        angle: (N,) radians, 0 upright.
        mirrored: (N,) bool: the crop shows the place as in a mirror, so that a left hand looks like a right one.
    """

    centre: Tensor
    side: Tensor
    angle: Tensor
    mirrored: Tensor

    @classmethod
    def upright(cls, boxes: Tensor, mirrored: Tensor) -> Places:
        """From boxes (N,4) as x0, y0, x1, y1; one that is not square is looked at in the square around it."""
        side = (boxes[:, 2:] - boxes[:, :2]).amax(-1)
        return cls((boxes[:, 2:] + boxes[:, :2]) / 2, side, torch.zeros_like(side), mirrored)

    def _matrix(self) -> Tensor:
        """(N,2,2): offsets in the crop, in shares of its side, to offsets in the frame, in pixels."""
        cosine, sine = self.angle.cos() * self.side, self.angle.sin() * self.side
        across = torch.where(self.mirrored, -1.0, 1.0)
        return torch.stack([torch.stack([cosine * across, -sine], -1), torch.stack([sine * across, cosine], -1)], -2)

    def to_frame(self, points: Tensor) -> Tensor:
        """Points (N,P,2) in shares of the crop, 0 to 1, to pixels of the frame."""
        return (points - 0.5) @ self._matrix().mT + self.centre[:, None]

    def to_crop(self, points: Tensor) -> Tensor:
        """Points (N,P,2) in pixels of the frame to shares of the crop, undoing `to_frame`."""
        return (points - self.centre[:, None]) @ torch.linalg.inv(self._matrix()).mT + 0.5

    def cut(self, frames: Tensor, size: int) -> Tensor:
        """Frames (N,3,H,W) to crops (N,3,size,size); beyond the frame its edge goes on."""
        height, width = frames.shape[-2:]
        fine = size * OVERSAMPLED
        steps = (torch.arange(fine, dtype=frames.dtype, device=frames.device) + 0.5) / fine
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        where = self.to_frame(torch.stack([x, y], -1).flatten(0, 1).expand(len(frames), -1, -1))
        extent = torch.tensor([width, height], dtype=frames.dtype, device=frames.device)
        grid = ((where + 0.5) * 2 / extent - 1).view(len(frames), fine, fine, 2)
        return F.avg_pool2d(F.grid_sample(frames, grid, padding_mode="border", align_corners=False), OVERSAMPLED)
