"""A clip's movement on one body, wherever it comes from: channels over time, and poses for every exposure."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from signgen.synthetic.body.rotations import rotate
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.placement import hand_part
from signgen.synthetic.motion.posing import Poser
from signgen.synthetic.motion.posture import SIDES, Pose, Posture

GRID = 4  # channel samples per frame
SHUTTER = 0.55  # of a frame's time
TRAVEL_PER_SUBFRAME = 0.006  # metres
MAX_SUBFRAMES = 6
MAX_POSES = 63
CHEAP_SUBFRAMES = 4  # the figure draws four coarse sub-frames faster than two fine ones


class Channel(Protocol):
    """Values over time, frames."""

    def at(self, times: np.ndarray) -> np.ndarray | list[dict[str, float]]:
        """Values at instants (N,)."""


class Movement:
    """What every movement has; subclasses set the attributes.

    Attributes:
        anatomy: the signer's places.
        frames: length of the clip.
    """

    anatomy: Anatomy
    frames: int
    _grid: np.ndarray  # instants (M,) of the posture's samples, frames
    _posture: Posture
    _face: Channel  # facial actions
    _stance: Channel  # (N, 3) metres by which the whole body is moved

    @property
    def poser(self) -> Poser:
        """The signer's poser."""
        return self.anatomy.poser

    def hand_shapes(self) -> np.ndarray:
        """The known hand shape held in each frame: int16 (T, 2), left and right, -1 for none."""
        return np.full((self.frames, 2), -1, np.int16)

    def visemes(self) -> np.ndarray:
        """The mouth shape that is seen in each frame: int8 (T,), an index into `face.VISEMES`, -1 for none."""
        return np.full(self.frames, -1, np.int8)

    def posture_at(self, times: np.ndarray) -> Posture:
        """Channels at instants (N,), frames."""
        return self._posture.resampled(lambda values: interpolate(self._grid, values, times))

    def exposures(self, shutter: float = SHUTTER, step: float | None = None) -> list[list[Pose]]:
        """One list of poses per frame, evenly over the time that the shutter is open, more for faster hands.

        Args:
            shutter: share of a frame's time that it is open, 0 for one instant.
            step: metres that a hand may travel between two poses; there are 1, 3, 5 ... `MAX_POSES` of them and the
                middle one is at the frame's own time. None: 1 to 6, as before content version 5.
        """
        frames = np.arange(self.frames, dtype=float)
        counts = self._subframes(frames) if step is None else self._poses_needed(frames, shutter, step)
        times = np.concatenate(
            [frame + shutter * ((np.arange(n) + 0.5) / n - 0.5) for frame, n in zip(frames, counts, strict=True)]
        )
        rotations, faces = self.poser.rotations(self.posture_at(times)), self._face.at(times)
        stance = self._stance.at(times)
        poses = [Pose(*parts) for parts in zip(rotations, faces, stance, strict=True)]
        ends = np.cumsum(counts)
        return [poses[end - n : end] for end, n in zip(ends, counts, strict=True)]

    def _travel(self, frames: np.ndarray, begin: float, end: float) -> np.ndarray:
        """Metres (2, T, 2) that wrist and middle finger tip of each side move from frame + begin to frame + end."""
        a, b = (self.posture_at(frames + moment) for moment in (begin, end))
        points = [[self._far_points(side, posture) for side in SIDES] for posture in (a, b)]
        return np.linalg.norm(np.array(points[1]) - np.array(points[0]), axis=-1)

    def _poses_needed(self, frames: np.ndarray, shutter: float, step: float) -> np.ndarray:
        """Odd numbers (T,) of poses; the path is measured in two halves, as a hand may turn round on it."""
        halves = self._travel(frames, -shutter / 2, 0.0) + self._travel(frames, 0.0, shutter / 2)
        needed = np.clip(np.ceil(halves.max((0, 2)) / step), 1, MAX_POSES).astype(int)
        return needed + (needed + 1) % 2

    def _subframes(self, frames: np.ndarray) -> np.ndarray:
        """Sub-frames per frame (T,) so that no wrist or finger tip jumps far between two of them."""
        travel = self._travel(frames, -SHUTTER / 2, SHUTTER / 2).mean(-1).max(0)
        counts = np.clip(np.ceil(travel / TRAVEL_PER_SUBFRAME), 1, MAX_SUBFRAMES).astype(int)
        return np.where((counts > 1) & (counts < CHEAP_SUBFRAMES), CHEAP_SUBFRAMES, counts)

    def _far_points(self, side: str, posture: Posture) -> np.ndarray:
        """Wrist and middle finger tip in the world: (N, 2, 3)."""
        track, chest = posture.arms[side], self.poser.chest(posture.torso)
        arm = self.poser.turn_hand(side, self.poser.reach_arm(side, chest, track.wrist, track.pole), track.hand)
        tip = hand_part(self.poser, side, ["middle"] * len(track), track.fingers)
        return np.stack([arm.wrist, arm.wrist + rotate(arm.hand, tip)], 1)


def time_grid(frames: int) -> np.ndarray:
    """Instants of the samples of a clip, one frame beyond both ends."""
    return np.arange(-1.0, frames + 1.0, 1.0 / GRID)


def locate(times: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval (N,) and position 0..1 in it (N,) of instants among key times (K,); clamped at both ends."""
    gap = np.clip(np.searchsorted(keys, times, "right") - 1, 0, len(keys) - 2)
    return gap, np.clip((times - keys[gap]) / np.maximum(keys[gap + 1] - keys[gap], 1e-6), 0, 1)


def interpolate(grid: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Linear interpolation of channels (M, C) at instants (N,)."""
    gap, phase = locate(times, grid)
    return values[gap] + (values[gap + 1] - values[gap]) * phase[:, None]
