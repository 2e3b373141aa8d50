"""Motion from a keypoint file on a drawn signer's body: inverse kinematics in the camera's view.

The driver's points are brought onto the signer's picture (`view`); trunk, head and face follow (`face`), then arms
(`arms`) and hands (`hands`); what the file misses continues. Hands are kept out of the body
as those of invented motion are. Who may use the motion of a file is for its owner to say.
"""

from __future__ import annotations

import numpy as np

from signgen.errors import Empty
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import ARMS, SHOULDERS
from signgen.synthetic.body.rotations import rotate
from signgen.synthetic.body.template import bone_index
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.collisions import separate, smooth
from signgen.synthetic.motion.movement import Movement, interpolate, time_grid
from signgen.synthetic.motion.performance import Sway
from signgen.synthetic.motion.posture import SIDES, ArmTrack, Joint, Posture, gaze_directions
from signgen.synthetic.picture.camera import Camera
from signgen.synthetic.replay.arms import ArmTargets, fit_arm
from signgen.synthetic.replay.face import ReplayedFace, head_angles
from signgen.synthetic.replay.hands import fit_hand, scaled_hand
from signgen.synthetic.replay.view import View, continued, onto_signer
from signgen.synthetic.signer import Signer

_ARM = dict(zip(SIDES, ARMS, strict=True))
_ROUNDS = 3
_EASE = (0.25, 1.0, 0.25)  # hands leave the body towards the camera, which the picture hardly shows
_LEAN_LIMIT, _LEAN_SHARE, _STANCE = 10.0, 0.7, 1.5  # degrees; share of the shoulders' slope; frames of smoothing


class _Track:
    """Values (T, C) at whole frames, linear between them."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def at(self, times: np.ndarray) -> np.ndarray:
        """(N,) frames -> (N, C)."""
        return interpolate(np.arange(len(self._values), dtype=float), self._values, times)


class Replay(Movement):
    """A driver's motion on one body.

    Args:
        anatomy: the signer's places.
        signer: the same signer.
        camera: the camera that will take the picture.
        keypoints: the driver, at any size and rate; 2 frames or more at 25 a second.
        rng: decides where the signer looks.

    Attributes:
        points: where the driver's 133 points are to be in the picture, (T, 133, 2) native pixels: at the signer's
            place, with the signer's width of shoulders, height of head and size of hands.
        seen: bool (T, 133), whether the driver showed them.

    Raises:
        InputError: no frame shows both shoulders, or there are fewer than 2 frames.
    """

    def __init__(
        self, anatomy: Anatomy, signer: Signer, camera: Camera, keypoints: Keypoints, rng: np.random.Generator
    ) -> None:
        self.anatomy, self.view = anatomy, View(camera, signer.head_top)
        self.points, self.seen = onto_signer(keypoints, signer, self.view)
        self.frames = len(self.points)
        if self.frames < 2:
            raise Empty(keypoints.name or "motion", "fewer than 2 frames at 25 a second", "use a longer clip")
        self._gaze = Sway.draw(rng, (1.0, 2.0), (1.0, 1.5))
        self._face = ReplayedFace(signer, self.view, self.points, self.seen)
        torso = self._lean()
        chest = self.poser.chest(torso)
        head = head_angles(signer, chest, self.view, self.points, self.seen)
        girdle = {side: np.broadcast_to(np.eye(3), chest.rotation.shape) for side in SIDES}
        for _ in range(_ROUNDS):  # the shoulders lift with the hands, so the body's place depends on them
            shift = self._shift(signer, chest, girdle)
            places = {side: self._reach(signer, side, chest, shift) for side in SIDES}
            girdle = {side: self.poser.reach_arm(side, chest, *places[side]).clavicle for side in SIDES}
        self._stance = _Track(shift)
        arms = {side: self._arm(side, chest, shift, *places[side]) for side in SIDES}
        self._grid = time_grid(self.frames)
        whole, frames = Posture(torso, head, self._gaze_at(head), arms), np.arange(self.frames, dtype=float)
        self._posture = separate(anatomy, whole.resampled(lambda v: interpolate(frames, v, self._grid)), _EASE)

    def _shoulder_pixels(self) -> np.ndarray:
        return continued(self.points[:, SHOULDERS], np.all(self.seen[:, SHOULDERS], axis=1))

    def _lean(self) -> np.ndarray:
        """Torso angles (T, 3) from the slope of the shoulders."""
        pixels = self._shoulder_pixels()
        across = (pixels[:, 0] - pixels[:, 1]) / self.view.scale
        slope = np.degrees(np.arctan2(across[:, 1], np.abs(across[:, 0])))
        torso = np.zeros((self.frames, 3))
        torso[:, 1] = smooth(np.clip(_LEAN_SHARE * slope, -_LEAN_LIMIT, _LEAN_LIMIT)[:, None], _STANCE)[:, 0]
        return torso

    def _shift(self, signer: Signer, chest: Joint, girdle: dict[str, np.ndarray]) -> np.ndarray:
        """Metres (T, 3) by which the body is moved so that the middle of its shoulder points is the driver's."""
        posed = []
        for side, name in (("L", "left_shoulder"), ("R", "right_shoulder")):
            collar = self.poser.rest[side].shoulder  # from the chest bone to the collar bone's end
            root = signer.heads[bone_index[f"clavicle.{side}"]]
            posed.append(chest.head + rotate(chest.rotation, collar + rotate(girdle[side], signer.joints[name] - root)))
        middle = self.view.turned(np.stack(posed, 1)).mean(1)
        wanted = self.view.at_depth(self._shoulder_pixels().mean(1), middle[:, 1])
        return smooth(self.view.back(wanted - middle), _STANCE)

    def _reach(self, signer: Signer, side: str, chest: Joint, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Wrist and elbow direction of one arm, (T, 3) each."""
        _, elbow, wrist, hand = _ARM[side]
        rooted = self.seen[:, hand.start]
        root = np.where(rooted[:, None], self.points[:, hand.start], self.points[:, wrist])
        joint = signer.joints["left_elbow" if side == "L" else "right_elbow"]
        beside = joint - signer.heads[bone_index[f"lowerarm01.{side}"]]
        targets = ArmTargets(self.points[:, elbow], root, self.seen[:, elbow], rooted | self.seen[:, wrist], beside)
        return fit_arm(self.poser, side, chest, shift, self.view, targets)

    def _arm(self, side: str, chest: Joint, shift: np.ndarray, place: np.ndarray, pole: np.ndarray) -> ArmTrack:
        hand = _ARM[side].hand
        arm = self.poser.reach_arm(side, chest, place, pole)
        near = self.view.near(self.view.turned(arm.wrist + shift)[:, 1])
        self.points[:, hand] = scaled_hand(self.poser, side, near, self.view, self.points[:, hand], self.seen[:, hand])
        bend, fingers = fit_hand(self.poser, side, arm.lower, near, self.view, self.points[:, hand], self.seen[:, hand])
        return ArmTrack(place, pole, bend, fingers)

    def _gaze_at(self, head: np.ndarray) -> np.ndarray:
        """Directions of the eyes (T, 3): at the camera, following the head a little."""
        look = self._gaze.at(np.arange(self.frames, dtype=float))
        pitch, yaw = np.radians(look[:, 0] + 0.2 * head[:, 0]), np.radians(look[:, 1] + 0.3 * head[:, 1])
        return gaze_directions(pitch, yaw)
