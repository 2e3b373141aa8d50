"""`HandFitter`: 2-D keypoints in, solid hands out, block after block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints.skeleton import HANDS
from signgen.pose_image.solid import tracking
from signgen.pose_image.solid.drawing import Mesh, draw_meshes
from signgen.pose_image.solid.hand import anatomy, hand_mesh
from signgen.pose_image.solid.surface import surface


@dataclass(frozen=True)
class SolidHands:
    """The fitted hands of T frames.

    Attributes:
        xy: float32 (T,133,2), the keypoints that they were fitted to; confidence: (T,133).
        poses: plain arrays a frame and side, left first, see `tracking.Poses`.
        length, thickness: of the person's hands over the neutral ones: (T,) and a number.
    """

    xy: np.ndarray
    confidence: np.ndarray
    poses: tracking.Poses
    length: np.ndarray
    thickness: float = 1.0
    _last: dict[int, list[Mesh | None]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def strength(self) -> np.ndarray:
        """(T, 2) 0 to 1: how far the left and the right hand are to be believed; 0 is no hand."""
        return self.poses.strength

    def meshes(self, frame: int) -> list[Mesh | None]:
        """Left and right hand of one frame, as `draw_meshes` takes them."""
        if frame not in self._last:
            self._last.clear()
            self._last[frame] = [self._mesh(frame, side) for side in range(2)]
        return self._last[frame]

    def _mesh(self, frame: int, side: int) -> Mesh | None:
        poses, mesh = self.poses, hand_mesh()
        if poses.strength[frame, side] <= 0:
            return None
        count = len(mesh.rest)
        out = np.empty((count, 2), np.float32), np.empty(count, np.float32), np.empty((count, 3), np.float32)
        surface(
            poses.angles[frame, side], poses.forearm[frame, side], poses.scale[frame, side], poses.wrist[frame, side],
            poses.depth[frame, side], poses.bend[frame, side], self.length[frame], self.thickness, anatomy(), mesh,
            *out,
        )  # fmt: skip
        return out

    def crop(self, frame: int, left: int, top: int, side: int) -> np.ndarray:
        """Both hands in a square of a frame: uint8 (side, side, 6), see `draw_meshes`; 128 where nothing is.

        Args:
            frame: number in this block.
            left, top: first column and row, pixels; the square may reach beyond the frame.
            side: of the square, pixels.
        """
        return draw_meshes(self.meshes(frame), left, top, side, self.strength[frame])

    def refitted(self) -> np.ndarray:
        """The keypoints float32 (T,133,2) with the points of both hands where the fit has them."""
        xy = self.xy.copy()
        for side, hand in enumerate(HANDS):
            there = self.poses.strength[:, side] > 0
            moved = self.poses.points[:, side] + self.poses.bend[:, side, :21]
            xy[there, hand] = moved[there]
        return xy


class HandFitter:
    """Fits solid hands to keypoints, frame after frame: blocks of a clip give what the whole clip gives.

    Args:
        size: (width, height) of the frames, pixels.
        pixel_aspect: shown width over true width of things in them (.81 for squeezed broadcast frames); None to find
            it from the person's shoulders and head.
        proportions: length and thickness of the person's hands over those of the neutral ones, relative to the width
            of the shoulders; None to find the length from the points.

    Raises:
        BadValue: a size, aspect or proportion that is not above 0.

    Example:
        >>> fitter = HandFitter((210, 260), pixel_aspect=0.81)
        >>> hands = fitter.fit(keypoints.xy, keypoints.confidence)
        >>> hands.crop(0, 60, 100, 72).shape
        (72, 72, 6)
    """

    def __init__(
        self, size: tuple[int, int], pixel_aspect: float | None = 1.0, proportions: tuple[float, float] | None = None
    ) -> None:
        numbers = {"size": min(size), "pixel_aspect": pixel_aspect, "proportions": min(proportions or (1, 1))}
        for name, number in numbers.items():
            if number is not None and not 0 < number < np.inf:
                raise BadValue(name, f"got {number}", "use numbers above 0")
        self.size = size
        self._aspect, self._length = pixel_aspect or 0.0, proportions[0] if proportions else 0.0
        self._thickness = proportions[1] / proportions[0] if proportions else 1.0
        self._memory = tracking.blank()

    def fit(self, xy: np.ndarray, confidence: np.ndarray) -> SolidHands:
        """Fits the next T frames.

        Args:
            xy: (T,133,2) pixels.
            confidence: (T,133), 0 to 1, 0 for a missing point.
        """
        points, scores = np.ascontiguousarray(xy, np.float64), np.ascontiguousarray(confidence, np.float64)
        scores = np.where(np.isfinite(points).all(-1), scores, 0)
        poses, lengths = tracking.empty(len(points)), np.empty(len(points))
        tracking.fit_frames(
            np.nan_to_num(points), scores, self._aspect, self._length, self._memory, anatomy(), poses, lengths
        )
        return SolidHands(points.astype(np.float32), scores.astype(np.float32), poses, lengths, self._thickness)
