"""`HandFitter`: 2-D keypoints in, solid hands out, block after block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints.skeleton import BOTH_HANDS, HANDS
from signgen.pose_image.solid.drawing import CHANNELS, Mesh, draw_meshes, exposed, lit
from signgen.pose_image.solid.hand import anatomy, hand_mesh
from signgen.pose_image.solid.order import Order
from signgen.pose_image.solid.person import Person
from signgen.pose_image.solid.surface import surface
from signgen.pose_image.solid.tracking import HandTrack, Poses

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

_SHAPE, _ALIKE, _SQUEEZED = 210 / 260, 0.01, 0.81  # width over height of PHOENIX14T's frames, which are squeezed
_PLACED = 0.5  # confidence of a placed point, times the hand's strength
_SURFACE = ("angles", "forearm", "scale", "wrist", "depth", "bend", "length")  # what of a pose makes its surface
_STILL, _APART = 1.5, 3.0  # px that a hand may move while a shutter is open and be drawn once; between two drawings
MOST_DRAWN = 7  # of one frame
_LEAP = 0.25  # metres a frame from which a hand did not move but was found elsewhere


@dataclass(frozen=True)
class SolidHands:
    """The fitted hands of T frames.

    Attributes:
        xy: float32 (T,133,2), the keypoints that they were fitted to; confidence: (T,133).
        poses: plain arrays a frame and side, left first, see `tracking.Poses`.
        thickness: girth of the person's hands over what follows from their length.
        before: the poses of the frame before the first; None: it is a clip's first.
    """

    xy: np.ndarray
    confidence: np.ndarray
    poses: Poses
    thickness: float = 1.0
    before: Poses | None = None
    _last: dict[int, list[Mesh | None]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def strength(self) -> np.ndarray:
        """(T, 2) 0 to 1: how far the left and the right hand are to be believed; 0 is no hand."""
        return self.poses.strength

    def meshes(self, frame: int) -> list[Mesh | None]:
        """Left and right hand of one frame, as `draw_meshes` takes them; -1 is the frame before the first."""
        if frame not in self._last:
            for old in [one for one in self._last if abs(one - frame) > 1]:
                del self._last[old]
            poses, number = (self.poses, frame) if frame >= 0 else (self.before or Poses.empty(1), 0)
            self._last[frame] = [self._mesh(poses, number, side) for side in range(2)]
        return self._last[frame]

    def _mesh(self, poses: Poses, frame: int, side: int) -> Mesh | None:
        mesh = hand_mesh()
        if poses.strength[frame, side] <= 0:
            return None
        count = len(mesh.rest)
        out = np.empty((count, 2), np.float32), np.empty(count, np.float32), np.empty((count, 3), np.float32)
        of_hand = [getattr(poses, name)[frame, side] for name in _SURFACE]
        surface(*of_hand, self.thickness, anatomy(), mesh, *out)
        return out

    def crop(self, frame: int, left: int, top: int, side: int) -> np.ndarray:
        """Both hands in a square of a frame: uint8 (side, side, 6), see `draw_meshes`; 128 where nothing is.

        Args:
            frame: number in this block.
            left, top: first column and row, pixels; the square may reach beyond the frame.
            side: of the square, pixels.
        """
        return draw_meshes(self.meshes(frame), left, top, side, self.strength[frame])

    def pictures(self, size: tuple[int, int]) -> np.ndarray:
        """All frames whole, uint8 (T, H, W, 6), of ``size`` (W, H); see `crop`."""
        out = np.full((len(self), size[1], size[0], CHANNELS), 128, np.uint8)
        for frame, picture in enumerate(out):
            meshes = self.meshes(frame)
            if box := _box(meshes, size):
                (left, top), (width, height) = box
                drawn = draw_meshes(meshes, left, top, (width, height), self.strength[frame])
                picture[top : top + height, left : left + width] = drawn
        return out

    def smeared(self, pictures: np.ndarray, shutter: float) -> np.ndarray:
        """`pictures` with fast hands as a camera sees them, over the share ``shutter`` (0 to 1) of a frame's time.

        A frame's own instant is the middle of its exposure. Within it a hand goes on as it came from the frame before,
        so that no later frame is needed; the meshes move, and the mean of up to `MOST_DRAWN` drawings is the picture.
        Hands that move by less than `_STILL` pixels meanwhile stay as they are, to the bit.
        """
        out = pictures
        for frame in np.flatnonzero((shutter * self._speed > _STILL).any(1)).tolist():
            for left, top, drawn in self._exposures(frame, shutter, pictures[frame]):
                out = pictures.copy() if out is pictures else out
                out[frame, top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
        return out

    @cached_property
    def _speed(self) -> np.ndarray:
        """Pixels (T, 2) that the fastest point of each hand moved since the frame before; 0 where that is not known."""
        first = Poses.empty(1) if self.before is None else self.before
        points, strength = (
            np.concatenate([getattr(first, name), getattr(self.poses, name)]) for name in ("points", "strength")
        )
        bend = np.concatenate([first.bend, self.poses.bend])
        speed = np.linalg.norm(np.diff(points[..., :2] + bend[:, :, :21], axis=0), axis=-1).max(-1)
        metre = np.abs(self.poses.scale[..., 1])
        known = (strength[1:] > 0) & (strength[:-1] > 0) & (speed < _LEAP * metre)
        return np.where(known, speed, 0)

    def _exposures(
        self, frame: int, shutter: float, crisp: np.ndarray, factor: tuple[float, float] | None = None
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Left and top of the parts of a frame in which a hand is smeared, and the parts uint8 (h, w, 6).

        Args:
            crisp: (H, W, 6), the frame as its own instant shows it. factor: its pixels over those of the keypoints.
        """
        travel = shutter * self._speed[frame]
        before, now = self.meshes(frame - 1), self.meshes(frame)
        steps: list[np.ndarray | None] = [None, None]  # pixels and depth (n,3) a frame
        for side, (was, one) in enumerate(zip(before, now, strict=True)):
            if was is not None and one is not None and travel[side] > _STILL:
                steps[side] = np.column_stack([one[0] - was[0], one[1] - was[1]])
        apart = travel.max() * (1 if factor is None else max(factor))
        count = min(
            max(math.ceil(apart / _APART), 2) // 2 * 2 + 1, MOST_DRAWN
        )  # odd: one is of the frame's own instant
        moments = shutter * ((np.arange(count, dtype=np.float32) + np.float32(0.5)) / count - np.float32(0.5))
        shown = [[_moved(*pair, moment, factor) for pair in zip(now, steps, strict=True)] for moment in moments]
        for side in [side for side, step in enumerate(steps) if step is not None]:
            if box := _box([shown[0][side], shown[-1][side]], crisp.shape[1::-1]):
                (left, top), (width, height) = box
                others = shown[: count // 2] + shown[count // 2 + 1 :]
                drawn = [draw_meshes(two, left, top, (width, height), self.strength[frame]) for two in others]
                yield left, top, exposed([*drawn, crisp[top : top + height, left : left + width]])

    def draw(self, frame: int, picture: np.ndarray, frame_size: tuple[int, int], shutter: float = 0.0) -> None:
        """Lays the lit hands of one frame over a picture uint8 (H,W,3) of it, pixel centres on pixel centres."""
        height, width = picture.shape[:2]
        factor = width / frame_size[0], height / frame_size[1]
        meshes = [_moved(one, None, 0.0, factor) for one in self.meshes(frame)]
        parts = []
        if box := _box(meshes, (width, height)):
            (left, top), size = box
            parts.append((left, top, draw_meshes(meshes, left, top, size, self.strength[frame])))
        if (shutter * self._speed[frame] > _STILL).any():
            whole = np.full((height, width, CHANNELS), 128, np.uint8)
            for left, top, drawn in parts:
                whole[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
            out = whole.copy()
            for left, top, drawn in self._exposures(frame, shutter, whole, factor):
                out[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
            parts = [(0, 0, out)]
        for left, top, drawn in parts:
            colour, cover = lit(drawn)
            part = picture[top : top + drawn.shape[0], left : left + drawn.shape[1]]
            part[:] = part * (1 - cover) + colour + 0.5

    def refitted(self) -> np.ndarray:
        """The keypoints float32 (T,133,2) with the points of both hands where the fit has them.

        A hand that is believed in part is moved in part; points that were missing are placed.
        """
        xy = self.xy.copy()
        for side, hand in enumerate(HANDS):
            share = self.strength[:, side, None, None].astype(np.float32)
            share = np.where((self.confidence[:, hand, None] > 0) | (share == 0), share, 1)
            xy[:, hand] += share * (self.poses.points[:, side, :, :2].astype(np.float32) - xy[:, hand])
        return xy


def _moved(
    mesh: Mesh | None, step: np.ndarray | None, moment: float, factor: tuple[float, float] | None
) -> Mesh | None:
    """A mesh ``moment`` frames later, at ``step`` (n,3) a frame, its pixels multiplied by ``factor``."""
    if mesh is None:
        return None
    pixels, depth, normals = mesh
    if step is not None:
        pixels, depth = pixels + np.float32(moment) * step[:, :2], depth + np.float32(moment) * step[:, 2]
    if factor is not None:
        pixels = (pixels + np.float32(0.5)) * np.array(factor, np.float32)
    return pixels, depth, normals


def _box(meshes: Sequence[Mesh | None], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Left and top, width and height of the part of a picture of ``size`` that shows a hand; None: there is none."""
    # Columns one by one: numpy takes ten times as long over two columns together.
    corners = [(column.min(), column.max()) for one in meshes if one is not None for column in one[0].T]
    if not corners:
        return None
    low, high = (np.reshape(ends, (-1, 2)) for ends in zip(*corners, strict=True))
    first = np.clip(np.floor(low.min(0)).astype(int), 0, size)
    last = np.clip(np.ceil(high.max(0)).astype(int), first, size)
    (left, top), (width, height) = first.tolist(), (last - first).tolist()
    return (left, top), (width, height)


class HandFitter:
    """Fits solid hands to keypoints, frame after frame: blocks of a clip give what the whole clip gives.

    Args:
        size: (width, height) of the frames, pixels.
        pixel_aspect: shown width over true width of things in them (.81 for squeezed broadcast frames); None for
            .81 in frames of PHOENIX14T's shape, and square pixels in others.
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
        self._thickness = proportions[1] / proportions[0] if proportions else 1.0
        aspect = pixel_aspect or (_SQUEEZED if abs(size[0] / size[1] - _SHAPE) < _ALIKE else 1.0)
        self._person = Person(aspect, proportions[0] if proportions else None)
        self._hands, self._order = [HandTrack(side) for side in range(2)], Order()
        self._before: Poses | None = None

    def fit(self, xy: np.ndarray, confidence: np.ndarray) -> SolidHands:
        """Fits the next T frames.

        Args:
            xy: (T,133,2) pixels.
            confidence: (T,133), 0 to 1, 0 for a missing point.
        """
        points, scores = np.ascontiguousarray(xy, np.float64), np.ascontiguousarray(confidence, np.float64)
        scores, points = np.where(np.isfinite(points).all(-1), scores, 0), np.nan_to_num(points)
        poses = Poses.empty(len(points))
        for frame, (one, seen) in enumerate(zip(points, scores, strict=True)):
            self._person.see(one, seen)
            spans = [hand.step(one, seen, self._person, poses, frame) for hand in self._hands]
            self._person.see_hands([found for found in spans if found is not None])
            self._order.step(seen[BOTH_HANDS].reshape(2, 21), poses, frame)
        before, self._before = self._before, Poses(*(part[-1:] for part in poses)) if len(points) else self._before
        return SolidHands(points.astype(np.float32), scores.astype(np.float32), poses, self._thickness, before)


def fit_hands(
    keypoints: Keypoints, pixel_aspect: float | None = None, proportions: tuple[float, float] | None = None
) -> SolidHands:
    """The solid hands of a whole clip; arguments as in `HandFitter`."""
    return HandFitter(keypoints.size, pixel_aspect, proportions).fit(keypoints.xy, keypoints.confidence)


def refit_hands(keypoints: Keypoints, pixel_aspect: float | None = None) -> Keypoints:
    """The clip with the points of hands as an anatomy has them: steadier, and complete while a hand is lost.

    Hands that the fit does not believe stay as they are. Points that were missing get the confidence of an unsure one.

    Example:
        >>> from signgen.pose_image.solid import refit_hands
        >>> write_keypoints(refit_hands(keypoints), "steady.npz")
    """
    hands = fit_hands(keypoints, pixel_aspect)
    confidence = keypoints.confidence.copy()
    placed = np.repeat(hands.strength, 21, axis=1).astype(np.float32) * _PLACED
    both = confidence[:, BOTH_HANDS]
    confidence[:, BOTH_HANDS] = np.where(both > 0, both, placed)
    return replace(keypoints, xy=hands.refitted(), confidence=confidence)
