"""What a pose is: rotations of all bones, and the few channels over time that they are solved from.

World axes as in the body model: +x the person's left, -y the front, +z up; metres and degrees. The *chest frame* moves
with the upper body: its origin is the point midway between the shoulder joints and its axes are the rest world's,
turned with the chest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

SIDES = ("L", "R")


@dataclass(frozen=True)
class Pose:
    """One posed body.

    Attributes:
        rotations: float32 (J, 3, 3), one per bone in rest-world axes, parents applied first.
        face: weights 0..1 of the 52 ARKit facial actions; an absent name is 0.
        root_shift: (3,) metres added to the whole body.
    """

    rotations: np.ndarray
    face: dict[str, float] = field(default_factory=dict)
    root_shift: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))


@dataclass(frozen=True)
class ArmTrack:
    """Channels of one arm over N instants.

    Attributes:
        wrist: (N, 3) metres in the chest frame.
        pole: (N, 3) direction that the elbow points to, chest frame.
        hand: (N, 3) degrees: forearm twist, wrist flexion (towards the palm), deviation (towards the thumb). Equal
            numbers on both sides give mirrored hands.
        fingers: (N, 20) degrees, see `handshapes`.
    """

    wrist: np.ndarray
    pole: np.ndarray
    hand: np.ndarray
    fingers: np.ndarray

    def __len__(self) -> int:
        return len(self.wrist)


@dataclass(frozen=True)
class Posture:
    """Channels of the whole body over N instants.

    Attributes:
        torso: (N, 3) degrees: lean forward, lean to the own left, turn to the own left.
        head: (N, 3) degrees: nod down, turn to the own left, tilt to the own left; relative to the chest.
        gaze: (N, 3) unit directions in the world.
        arms: one `ArmTrack` per side, "L" and "R".
    """

    torso: np.ndarray
    head: np.ndarray
    gaze: np.ndarray
    arms: dict[str, ArmTrack]

    def __len__(self) -> int:
        return len(self.torso)

    def resampled(self, at: Callable[[np.ndarray], np.ndarray]) -> Posture:
        """The posture at other instants: `at` takes the samples (N, C) of a channel to those instants."""
        arms = {
            side: ArmTrack(at(arm.wrist), at(arm.pole), at(arm.hand), at(arm.fingers))
            for side, arm in self.arms.items()
        }
        return Posture(at(self.torso), at(self.head), at(self.gaze), arms)

    def with_arm(self, side: str, **channels: np.ndarray) -> Posture:
        """The same posture with some channels of one arm replaced."""
        return replace(self, arms={**self.arms, side: replace(self.arms[side], **channels)})


@dataclass(frozen=True)
class Joint:
    """A bone over N instants: world rotations (N, 3, 3) and heads (N, 3)."""

    rotation: np.ndarray
    head: np.ndarray


def gaze_directions(pitch: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Unit directions (N, 3) of eyes that look `pitch` down and `yaw` to the own left, radians (N,)."""
    return np.stack([np.sin(yaw), -np.cos(yaw) * np.cos(pitch), -np.sin(pitch)], -1)
