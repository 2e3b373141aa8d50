"""A score performed by one body: continuous channels, kept out of face and chest.

Between two keys a hand moves on a minimum-jerk profile (Flash and Hogan 1985, x = 10 s^3 - 15 s^4 + 6 s^5) over most
of the interval and holds for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from signgen.synthetic.body.rotations import normalise
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.collisions import separate, smooth
from signgen.synthetic.motion.face import Expression, FaceTrack
from signgen.synthetic.motion.handshapes import clamp_angles
from signgen.synthetic.motion.labels import held_shapes
from signgen.synthetic.motion.movement import Movement, locate, time_grid
from signgen.synthetic.motion.placement import hand_places, place_hands, to_axes
from signgen.synthetic.motion.posing import limit_hand
from signgen.synthetic.motion.posture import SIDES, ArmTrack, Posture, gaze_directions
from signgen.synthetic.motion.score import Mark, Score

_SMOOTHING = 1.3  # grid samples, rounds off the corners of the key frames


def minimum_jerk(s: np.ndarray) -> np.ndarray:
    """Smooth step of s clipped to 0..1, with zero speed and acceleration at both ends."""
    s = np.clip(s, 0.0, 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


@dataclass(frozen=True)
class Sway:
    """Slow irregular movement: a sum of three sines per channel; angles in degrees around `base` (C,)."""

    base: np.ndarray
    size: np.ndarray  # (3, C)
    rate: np.ndarray  # (3, C) radians a frame
    phase: np.ndarray  # (3, C)

    @classmethod
    def draw(cls, rng: np.random.Generator, base: Sequence[float], size: Sequence[float]) -> Sway:
        """`base` and `size` are the standard deviations of the mean posture and of the movement around it."""
        c = len(base)
        periods = rng.uniform([[60], [30], [16]], [[120], [60], [30]], (3, c))
        weight = np.array([[1.0], [0.6], [0.25]]) * np.asarray(size)
        return cls(
            rng.normal(0, base),
            weight * rng.uniform(0.5, 1.3, (3, c)),
            2 * np.pi / periods,
            rng.uniform(0, 2 * np.pi, (3, c)),
        )

    def at(self, times: np.ndarray) -> np.ndarray:
        """(N,) frames -> (N, C)."""
        return self.base + np.sum(self.size * np.sin(times[:, None, None] * self.rate + self.phase), 1)


class Performance(Movement):
    """One score on one body.

    Args:
        anatomy: the signer's places.
        score: the sentence.
        rng: decides sway, gaze, mouthing strength and small irregularities.
        version: of the drawn content; from 5 on faces are friendly at rest.
    """

    def __init__(self, anatomy: Anatomy, score: Score, rng: np.random.Generator, version: int = 4) -> None:
        self.anatomy, self.score = anatomy, score
        self._torso = Sway.draw(rng, (1.5, 1.5, 5.0), (1.0, 1.2, 1.8))
        self._head = Sway.draw(rng, (3.0, 6.0, 2.5), (2.0, 2.6, 1.6))
        self._gaze = Sway.draw(rng, (2.0, 3.0), (1.5, 2.0))
        self._gaze_down = rng.random(len(score.marks)) < 0.12
        self._face: FaceTrack = FaceTrack(
            [Expression(m.sign.gloss, m.start, m.end, m.sign.brows) for m in score.marks], score.frames, rng, version
        )
        self._tremor = rng.uniform(0, 2 * np.pi, 12)
        self._phases = rng.uniform(0, 2 * np.pi, (len(score.marks), 5))
        self._finger_lead = float(rng.uniform(0.75, 1.0))
        self._stance = Sway.draw(rng, (0.0, 0.0, 0.0), (0.004, 0.003, 0.0012))
        self.frames = score.frames
        self._grid = time_grid(score.frames)
        self._posture = self._perform()

    # ---- trunk, head and gaze ------------------------------------------------------------------------------------
    def _trunk(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Torso (N, 3), head (N, 3) and gaze (N, 3) at instants (N,)."""
        torso, head = self._torso.at(times), self._head.at(times)
        look = self._gaze.at(times)
        side = 1.0 if self.score.dominant == "L" else -1.0
        for mark, down in zip(self.score.marks, self._gaze_down, strict=True):
            weight = _window(times, mark.start - 4, mark.end + 2, 5.0)
            nod, turn, tilt = mark.sign.head
            head = head + weight[:, None] * (nod, side * turn, side * tilt)
            torso = torso + weight[:, None] * (0.3 * nod, 0.2 * side * tilt, 0.35 * side * turn)
            look = look + weight[:, None] * ((18.0, -8.0 * side) if down else (0.0, 0.0))
        pitch, yaw = np.radians(look[:, 0]), np.radians(look[:, 1] + 0.25 * (torso[:, 2] + head[:, 1]))
        return torso, head, gaze_directions(pitch, yaw)

    # ---- arms ----------------------------------------------------------------------------------------------------
    def _perform(self) -> Posture:
        torso, head, gaze = self._trunk(self._grid)
        keys = self._place_cues()
        arms = {side: self._arm(side, keys[side]) for side in SIDES}
        posture = Posture(torso, head, gaze, arms)
        return separate(self.anatomy, posture)

    def _place_cues(self) -> dict[str, ArmTrack]:
        cues, dominant = self.score.cues, self.score.dominant
        second = "L" if dominant == "R" else "R"
        torso, head, _ = self._trunk(np.array([cue.time for cue in cues]))
        chest = self.poser.chest(torso)
        skull = self.poser.head(chest, head)
        other = place_hands(self.anatomy, second, [cue.other for cue in cues], chest, skull)
        touched = hand_places(self.poser, second, chest, other)
        hand = place_hands(self.anatomy, dominant, [cue.hand for cue in cues], chest, skull, touched)
        return {dominant: hand, second: other}

    def _arm(self, side: str, keys: ArmTrack) -> ArmTrack:
        """Key channels (K) -> channels on the grid."""
        cues = self.score.cues
        gap, phase = locate(self._grid, np.array([cue.time for cue in cues]))
        flow = np.array([cue.flow for cue in cues[1:]])[gap]
        moved, shaped = minimum_jerk(phase / flow), minimum_jerk(phase / (flow * self._finger_lead))
        mix = lambda a, s: a[gap] + (a[gap + 1] - a[gap]) * s[:, None]  # noqa: E731
        distance = np.linalg.norm(np.diff(keys.wrist, axis=0), axis=-1)
        arcs = to_axes([cue.arc for cue in cues[1:]], side) * np.minimum(distance, 0.35)[:, None] * 2.0
        wrist = mix(keys.wrist, moved) + arcs[gap] * np.sin(np.pi * moved)[:, None] ** 2
        track = ArmTrack(wrist, normalise(mix(keys.pole, moved)), mix(keys.hand, moved), mix(keys.fingers, shaped))
        for mark, phases in zip(self.score.marks, self._phases, strict=True):
            if side == self.score.dominant or mark.sign.two_handed:
                track = _local_movement(track, mark, self._grid, side == self.score.dominant, phases)
        return self._finish(side, track)

    def _finish(self, side: str, track: ArmTrack) -> ArmTrack:
        """Rounds the corners and adds a living hand's small unrest."""
        shift = 0 if side == "R" else 6
        unrest = np.sin(self._grid[:, None] * (0.31, 0.23, 0.27, 0.37, 0.29, 0.41) + self._tremor[shift : shift + 6])
        wrist = smooth(track.wrist, _SMOOTHING) + 0.0025 * unrest[:, :3]
        hand = smooth(track.hand, _SMOOTHING) + 2.0 * unrest[:, 3:]
        return ArmTrack(
            wrist, smooth(track.pole, 3 * _SMOOTHING), limit_hand(hand), clamp_angles(smooth(track.fingers, _SMOOTHING))
        )

    def visemes(self) -> np.ndarray:
        """The mouth shape that is seen in each frame: int8 (T,), an index into `face.VISEMES`, -1 for none."""
        return self._face.visemes(np.arange(self.frames, dtype=float))

    def hand_shapes(self) -> np.ndarray:
        """The hand shape held in each frame: int16 (T, 2), left and right, -1 for none; see `labels.held_shapes`."""
        frames = np.arange(self.score.frames, dtype=float)
        arms = self.posture_at(frames).arms
        return held_shapes(self.score, {side: arms[side].fingers for side in SIDES}, frames)


def _window(times: np.ndarray, start: float, end: float, ramp: float) -> np.ndarray:
    """1 between start and end, smooth ramps of `ramp` frames around."""
    return minimum_jerk((times - start) / ramp + 0.5) * minimum_jerk((end - times) / ramp + 0.5)


def _local_movement(track: ArmTrack, mark: Mark, times: np.ndarray, dominant: bool, phases: np.ndarray) -> ArmTrack:
    """Adds the small repeated movement of one sign: fingers flutter, the forearm shakes, the hand circles or nods."""
    kind = mark.sign.local
    if not kind:
        return track
    weight = _window(times, mark.start - 1, mark.end + 1, 3.0) * mark.sign.local_size
    flip = np.pi if mark.sign.alternate and not dominant else 0.0
    turn = times * (2 * np.pi / 7.0) + phases[0] + flip
    if kind == "wiggle":
        fingers = track.fingers.copy()
        for f in range(4):
            wave = weight * np.sin(times * (2 * np.pi / 5.5) + 1.3 * f + phases[f])
            fingers[:, 3 * f] += 14 + 16 * wave
            fingers[:, 3 * f + 1] += 6 * weight + 6 * wave
        return replace(track, fingers=fingers)
    if kind == "circle":
        across, up = np.cos(turn), np.sin(turn)
        return replace(track, wrist=track.wrist + weight[:, None] * 0.035 * np.stack([across, 0 * up, up], -1))
    size, channel = (22.0, 0) if kind == "shake" else (20.0, 1)
    hand = track.hand.copy()
    hand[:, channel] += weight * size * np.sin(turn * 1.15)
    return replace(track, hand=hand)
