"""From a handful of channels (where the wrists are, how the hands bend) to a rotation for every bone.

All instants of a clip are solved together, so a pose costs a fraction of a millisecond. Axes, units and the chest
frame are those of `posture`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from signgen.synthetic.body.rotations import (
    axis_angle,
    between,
    direction_frame,
    normalise,
    rotate,
    rotation_vector,
    to_vector,
    transpose,
    twist_angle,
)
from signgen.synthetic.body.template import CORNEAS, LEFT_EYE, RIGHT_EYE, bone_index
from signgen.synthetic.motion.handshapes import clamp_angles
from signgen.synthetic.motion.posture import SIDES, ArmTrack, Joint, Posture

if TYPE_CHECKING:
    from signgen.synthetic.signer import Signer

SPINE = ("spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
MAX_TWIST = 90.0  # of the forearm, degrees
MAX_FLEX, MAX_DEVIATION = 62.0, 32.0  # of the wrist, half axes of an ellipse, degrees
FOREARM_SHARE = 0.6  # of the twist goes to the forearm's second bone, the rest to the wrist
_X, _Y, _Z = np.eye(3)

# Vertices of the MakeHuman base mesh: the first of 8 around each finger tip's joint, thumb to pinky; cornea, eyeball.
_TIP_STARTS = {"L": (13982, 13854, 13862, 13870, 13878), "R": (14422, 14294, 14302, 14310, 14318)}
_EYES = {"L": (CORNEAS[0], LEFT_EYE), "R": (CORNEAS[1], RIGHT_EYE)}


@dataclass(frozen=True)
class ArmSolution:
    """One solved arm: world rotations (N, 3, 3) and points (N, 3); `reach` (N,) is distance / arm length."""

    clavicle: np.ndarray
    shoulder: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    hand: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True)
class _ArmRest:
    """Rest vectors of one arm (world axes): bone vectors, hand frame, finger geometry; sign +1 R, -1 L."""

    sign: float
    clavicle: np.ndarray
    shoulder: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    hand_frame: np.ndarray  # columns forward, palm, forward x palm
    flex_axis: np.ndarray
    deviation_axis: np.ndarray
    joints: np.ndarray  # (5, 4, 3) thumb..pinky: three joints and the tip, relative to the wrist
    axes: np.ndarray  # (5, 3, 3) flexion axis of each joint
    spread_axis: np.ndarray
    thumb_axes: np.ndarray  # (4, 3): opposition, abduction, MCP, IP


class Poser:
    """Poses the body of one signer."""

    def __init__(self, signer: Signer) -> None:
        body = signer.rest_body
        self.heads = signer.heads  # (J, 3) metres
        self.origin = (self._at("upperarm01.L") + self._at("upperarm01.R")) / 2
        tips = {side: np.stack([body[i : i + 8].mean(0) for i in _TIP_STARTS[side]]) for side in SIDES}
        self.rest = {side: self._arm_rest(side, tips[side]) for side in SIDES}
        balls = {side: body[ball] for side, (_, ball) in _EYES.items()}
        # Directions of the corneas from the middles of the eyeballs.
        self._eyes = {s: normalise(body[_EYES[s][0]] - (balls[s].max(0) + balls[s].min(0)) / 2) for s in SIDES}
        self.arm_length = float(np.linalg.norm(self.rest["R"].upper) + np.linalg.norm(self.rest["R"].lower))

    def _at(self, bone: str) -> np.ndarray:
        return self.heads[bone_index[bone]]

    # ---- rest geometry -------------------------------------------------------------------------------------------
    def _arm_rest(self, side: str, tips: np.ndarray) -> _ArmRest:
        sign = 1.0 if side == "R" else -1.0
        wrist, elbow = self._at(f"wrist.{side}"), self._at(f"lowerarm01.{side}")
        shoulder = self._at(f"upperarm01.{side}")
        joints = np.stack(
            [
                np.stack([*(self._at(f"finger{f}-{k}.{side}") for k in (1, 2, 3)), tips[f - 1]]) - wrist
                for f in range(1, 6)
            ]
        )
        palm = normalise(sign * np.cross(joints[1, 0], joints[4, 0]))
        deviation = normalise(palm - np.dot(palm, normalise(wrist - elbow)) * normalise(wrist - elbow))
        directions = normalise(np.diff(joints, axis=1))
        return _ArmRest(
            sign=sign,
            clavicle=shoulder - self._at(f"clavicle.{side}"),
            shoulder=self._at(f"clavicle.{side}") - self._at("spine01"),
            upper=elbow - shoulder,
            lower=wrist - elbow,
            hand_frame=direction_frame(joints[2, 0], palm),
            flex_axis=np.cross(normalise(wrist - elbow), deviation),
            deviation_axis=-sign * deviation,
            joints=joints,
            axes=normalise(np.cross(directions, palm)),
            spread_axis=-sign * palm,
            thumb_axes=_thumb_axes(joints, directions[0], palm),
        )

    # ---- trunk and head ------------------------------------------------------------------------------------------
    def _chain(self, bones: tuple[str, ...], parent: Joint, start: np.ndarray, step: np.ndarray) -> list[Joint]:
        """Walks along bones that all turn by `step` (N, 3, 3); `start` is the rest head of the parent."""
        joints = []
        for bone in bones:
            head = rotate(parent.rotation, self._at(bone) - start) + parent.head
            parent, start = Joint(parent.rotation @ step, head), self._at(bone)
            joints.append(parent)
        return joints

    def chest(self, torso: np.ndarray) -> Joint:
        """The posed upper-chest bone for torso angles (N, 3)."""
        step = _trunk_step(torso)
        root = Joint(np.broadcast_to(np.eye(3), step.shape), np.broadcast_to(self._at("spine05"), step.shape[:-1]))
        return self._chain(SPINE, root, self._at("spine05"), step)[-1]

    def head(self, chest: Joint, head: np.ndarray) -> Joint:
        """The posed head bone for head angles (N, 3)."""
        return self._chain(NECK, chest, self._at("spine01"), _neck_step(head))[-1]

    def to_world(self, chest: Joint, points: np.ndarray) -> np.ndarray:
        """Chest-frame points (N, 3) in the world."""
        return rotate(chest.rotation, points + self.origin - self._at("spine01")) + chest.head

    def to_chest(self, chest: Joint, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) in the chest frame."""
        return rotate(transpose(chest.rotation), points - chest.head) - self.origin + self._at("spine01")

    # ---- arms ----------------------------------------------------------------------------------------------------
    def reach_arm(self, side: str, chest: Joint, wrist: np.ndarray, pole: np.ndarray) -> ArmSolution:
        """Two-bone inverse kinematics; the hand continues the forearm without twist.

        Args:
            chest: posed chest of N instants.
            wrist, pole: (N, 3), chest frame.

        A target out of reach is approached as far as 99.5 % of the arm's length.
        """
        rest = self.rest[side]
        clavicle = _clavicle(rest, wrist)
        around = chest.rotation @ clavicle
        shoulder = chest.head + rotate(chest.rotation, rest.shoulder) + rotate(around, rest.clavicle)
        a, b = np.linalg.norm(rest.upper), np.linalg.norm(rest.lower)
        span = self.to_world(chest, wrist) - shoulder
        distance = np.linalg.norm(span, axis=-1)
        d = np.clip(distance, abs(a - b) + 0.02, 0.995 * (a + b))
        u = normalise(span)
        cosine = np.clip((a * a + d * d - b * b) / (2 * a * d), -1, 1)[:, None]
        p = rotate(chest.rotation, pole)
        p = normalise(p - np.sum(p * u, -1, keepdims=True) * u)
        upper = a * (cosine * u + np.sqrt(1 - cosine**2) * p)
        lower = d[:, None] * u - upper
        rest_normal, normal = np.cross(rest.upper, rest.lower), np.cross(upper, lower)
        lower_world = direction_frame(lower, normal) @ direction_frame(rest.lower, rest_normal).T
        upper_world = direction_frame(upper, normal) @ direction_frame(rest.upper, rest_normal).T
        return ArmSolution(
            clavicle,
            around,
            upper_world,
            lower_world,
            lower_world,
            shoulder + upper,
            shoulder + upper + lower,
            distance / (a + b),
        )

    def turn_hand(self, side: str, arm: ArmSolution, hand: np.ndarray) -> ArmSolution:
        """Adds forearm twist and wrist bend (N, 3), degrees, to a reached arm."""
        twist, swing = self.hand_parts(side, hand)
        return replace(arm, hand=arm.lower @ twist @ swing)

    def hand_parts(self, side: str, hand: np.ndarray, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (N, 3, 3) of a share of the forearm's twist, and of the wrist's bend, for angles (N, 3)."""
        rest = self.rest[side]
        twist = axis_angle(normalise(rest.lower), rest.sign * share * hand[:, 0])
        swing = hand[:, 1:2] * rest.flex_axis + hand[:, 2:3] * rest.deviation_axis
        return twist, rotation_vector(swing)

    def hand_angles(self, side: str, lower: np.ndarray, fingers: np.ndarray, palm: np.ndarray) -> np.ndarray:
        """Forearm twist and wrist bend, unlimited, that point the hand as wanted.

        Args:
            lower: world rotation of the forearm (N, 3, 3).
            fingers, palm: world directions (N, 3) of the straight fingers and out of the palm.

        Returns:
            (N, 3) degrees.
        """
        rest = self.rest[side]
        wanted = direction_frame(fingers, palm) @ rest.hand_frame.T
        relative = transpose(lower) @ wanted
        along = normalise(rest.lower)
        twist = twist_angle(relative, along)
        swing = to_vector(transpose(axis_angle(along, twist)) @ relative)
        return np.stack([rest.sign * twist, swing @ rest.flex_axis, swing @ rest.deviation_axis], -1)

    # ---- fingers -------------------------------------------------------------------------------------------------
    def finger_rotations(self, side: str, fingers: np.ndarray) -> np.ndarray:
        """Local rotations (N, 5, 3, 3, 3) of thumb..pinky, three joints each, for hand-shape angles (N, 20)."""
        rest, angles = self.rest[side], clamp_angles(np.asarray(fingers, float))
        out = np.empty((len(angles), 5, 3, 3, 3))
        flexion = angles[:, :12].reshape(-1, 4, 3)
        out[:, 1:] = axis_angle(rest.axes[1:], flexion)
        out[:, 1:, 0] = axis_angle(rest.spread_axis, angles[:, 12:16]) @ out[:, 1:, 0]
        opposition, abduction, mcp, ip = np.moveaxis(axis_angle(rest.thumb_axes, angles[:, 16:20]), 1, 0)
        out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = opposition @ abduction, mcp, ip
        return out

    def hand_points(self, side: str, fingers: np.ndarray) -> np.ndarray:
        """Joints and tips (N, 5, 4, 3) of a shaped hand, from the wrist, in the rest hand's axes."""
        local, rest = self.finger_rotations(side, fingers), self.rest[side]
        bones = np.diff(rest.joints, axis=1)
        out = np.empty((len(local), 5, 4, 3))
        out[:, :, 0] = rest.joints[:, 0]
        turned = local[:, :, 0]
        for k in range(3):
            out[:, :, k + 1] = out[:, :, k] + rotate(turned, bones[:, k])
            if k < 2:
                turned = turned @ local[:, :, k + 1]
        return out

    # ---- everything ----------------------------------------------------------------------------------------------
    def rotations(self, posture: Posture) -> np.ndarray:
        """Rotations of every bone: float32 (N, J, 3, 3) in rest-world axes."""
        out = np.broadcast_to(np.eye(3), (len(posture), len(self.heads), 3, 3)).copy()
        spine, neck = _trunk_step(posture.torso), _neck_step(posture.head)
        for bones, step in ((SPINE, spine), (NECK, neck)):
            out[:, [bone_index[b] for b in bones]] = step[:, None]
        chest = self.chest(posture.torso)
        head = self.head(chest, posture.head)
        for side in SIDES:
            self._write_arm(out, side, chest, posture.arms[side])
            wanted = rotate(transpose(head.rotation), normalise(posture.gaze))
            out[:, bone_index[f"eye.{side}"]] = between(self._eyes[side], wanted)
        return out.astype(np.float32)

    def _write_arm(self, out: np.ndarray, side: str, chest: Joint, track: ArmTrack) -> None:
        rest, put = self.rest[side], lambda bone, r: out.__setitem__((slice(None), bone_index[f"{bone}.{side}"]), r)
        arm = self.reach_arm(side, chest, track.wrist, track.pole)
        put("clavicle", arm.clavicle)
        upper, along = transpose(arm.shoulder) @ arm.upper, normalise(rest.upper)
        half = twist_angle(upper, along) / 2
        put("upperarm01", upper @ axis_angle(along, -half))
        put("upperarm02", axis_angle(along, half))
        put("lowerarm01", transpose(arm.upper) @ arm.lower)
        put("lowerarm02", self.hand_parts(side, track.hand, FOREARM_SHARE)[0])
        twist, swing = self.hand_parts(side, track.hand, 1 - FOREARM_SHARE)
        put("wrist", twist @ swing)
        fingers = self.finger_rotations(side, track.fingers)
        for f in range(5):
            for k in range(3):
                put(f"finger{f + 1}-{k + 1}", fingers[:, f, k])


def limit_hand(hand: np.ndarray) -> np.ndarray:
    """Forearm twist and wrist bend (..., 3) brought inside what an arm can do, degrees."""
    hand = np.asarray(hand, float)
    twist = np.clip(hand[..., :1], -MAX_TWIST, MAX_TWIST)
    bend = hand[..., 1:]
    over = np.linalg.norm(bend / (MAX_FLEX, MAX_DEVIATION), axis=-1, keepdims=True)
    return np.concatenate([twist, bend / np.maximum(over, 1.0)], -1)


def _thumb_axes(joints: np.ndarray, directions: np.ndarray, palm: np.ndarray) -> np.ndarray:
    lateral = normalise(joints[4, 0] - joints[1, 0])
    bend = lateral + 0.35 * palm
    return normalise(
        np.stack(
            [
                np.cross(directions[0], lateral),
                np.cross(directions[0], palm),
                np.cross(directions[1], bend),
                np.cross(directions[2], bend),
            ]
        )
    )


def _trunk_step(torso: np.ndarray) -> np.ndarray:
    quarter = np.asarray(torso, float) / 4
    return axis_angle(_X, quarter[:, 0]) @ axis_angle(_Y, quarter[:, 1]) @ axis_angle(_Z, quarter[:, 2])


def _neck_step(head: np.ndarray) -> np.ndarray:
    quarter = np.asarray(head, float) / 4
    return axis_angle(_Z, quarter[:, 1]) @ axis_angle(_X, quarter[:, 0]) @ axis_angle(_Y, quarter[:, 2])


def _clavicle(rest: _ArmRest, wrist: np.ndarray) -> np.ndarray:
    """Shoulder girdle follows the hand: up with a raised hand, forward with a crossing one (wrist in chest frame)."""
    left = -rest.sign
    up = np.clip((wrist[:, 2] + 0.11) * 40, 0, 14)
    forward = np.clip((-left * wrist[:, 0] + 0.05) * 40, -4, 10)
    return axis_angle(-_Y, left * up) @ axis_angle(-_Z, left * forward)
