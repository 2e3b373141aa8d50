"""From the lexicon's words (index finger at the chin, palm to the body) to arm channels of one signer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from signgen.synthetic.body.rotations import normalise, rotate, transpose
from signgen.synthetic.motion.anatomy import FINGER_RADIUS, HAND_PLACES, HEAD_PLACES, Anatomy
from signgen.synthetic.motion.handshapes import shape_angles
from signgen.synthetic.motion.posing import Poser, limit_hand
from signgen.synthetic.motion.posture import ArmTrack, Joint
from signgen.synthetic.motion.signs import ORIENTATIONS, HandKey

# Elbow directions (out, front, up) from hanging to lifted; the best one is chosen per key.
_POLES = np.array([(0.15, -0.35, -1.0), (0.4, -0.3, -0.9), (0.65, -0.25, -0.7), (0.9, -0.2, -0.45), (1.0, -0.1, -0.1)])
_LIFTS = np.linspace(0.0, 1.0, len(_POLES))
_HANGING = np.array([0.5, -0.9, -0.1])
_ROUNDS = 4
_PART_RADII = {"wrist": 0.026, "knuckle": 0.011, "edge": 0.012}  # metres; others as thick as a finger tip

IDLE = {
    name: HandKey(place, (0.0, 0.0, 0.0), "wrist", *ORIENTATIONS[orientation], "relax")
    for name, place, orientation in (("down", "thigh", "hang"), ("clasped", "clasp", "clasp"))
}


def to_axes(triples: Sequence | np.ndarray, side: str) -> np.ndarray:
    """(out, front, up) triples (N, 3) as chest-frame vectors: +x the person's left, -y front, +z up."""
    return np.asarray(triples, float) * (-1.0 if side == "R" else 1.0, -1.0, 1.0)


def hand_part(poser: Poser, side: str, part: Sequence[str], fingers: np.ndarray) -> np.ndarray:
    """Where a part of a shaped hand is, from the wrist in the rest hand's axes: (N, 3)."""
    points, palm = poser.hand_points(side, fingers), poser.rest[side].hand_frame[:, 1]
    centre, across = 0.62 * points[:, 2, 0], normalise(points[:, 4, 0] - points[:, 1, 0])
    places = {
        "palm": centre + 0.012 * palm,
        "back": centre - 0.012 * palm,
        "wrist": np.zeros_like(centre),
        "index": points[:, 1, 3],
        "middle": points[:, 2, 3],
        "thumb": points[:, 0, 3],
        "finger": points[:, 1, 2],
        "fork": 0.5 * (points[:, 1, 1] + points[:, 2, 1]),
        "knuckle": points[:, 2, 1],
        "edge": 0.75 * points[:, 4, 0] + 0.006 * across,
    }
    return np.stack([places[name][i] for i, name in enumerate(part)])


def hand_places(poser: Poser, side: str, chest: Joint, track: ArmTrack) -> dict[str, np.ndarray]:
    """Where one hand may be touched by the other, and which way its surface faces there.

    Returns:
        Name of `anatomy.HAND_PLACES` -> (N, 2, 3) in the chest frame: a point of the skin, and the unit direction away
        from the hand there (zero where the other hand's part goes to the point itself).
    """
    arm = poser.turn_hand(side, poser.reach_arm(side, chest, track.wrist, track.pole), track.hand)
    points, frame = poser.hand_points(side, track.fingers), poser.rest[side].hand_frame
    forward, palm = np.broadcast_to(frame[:, :2].T[:, None], (2, len(track), 3))
    centre, thumbwards = 0.62 * points[:, 2, 0], normalise(points[:, 1, 0] - points[:, 4, 0])
    nowhere, finger = np.zeros_like(centre), 0.5 * (points[:, 1, 1] + points[:, 1, 2])
    local = {
        "other_hand": (centre + 0.012 * palm, nowhere),
        "other_palm": (centre + 0.018 * palm, palm),
        "other_back": (centre - 0.018 * palm, -palm),
        "other_top": (0.8 * points[:, 1, 0] + 0.012 * thumbwards, thumbwards),
        "other_tip": (points[:, 1, 3] + 0.008 * palm, nowhere),
        "other_finger": (finger, nowhere),
        "other_wrist": (-0.02 * forward - 0.024 * palm, -palm),
        "other_forearm": (-0.09 * forward - 0.032 * palm, -palm),
    }
    to_local = transpose(chest.rotation) @ arm.hand
    wrist = poser.to_chest(chest, arm.wrist)
    return {
        name: np.stack([wrist + rotate(to_local, point), rotate(to_local, normal)], 1)
        for name, (point, normal) in local.items()
    }


def place_hands(
    anatomy: Anatomy,
    side: str,
    keys: Sequence[HandKey],
    chest: Joint,
    head: Joint,
    other: dict[str, np.ndarray] | None = None,
) -> ArmTrack:
    """Solves keys of one hand: elbow direction, wrist and hand angles within an arm's limits.

    Args:
        keys: N keys.
        chest, head: posed chest and head at the N instants.
        other: `hand_places` of the other hand, for keys at one of them.

    Returns:
        ArmTrack of the N keys. Where the wanted direction is out of reach the hand turns as far as it can, and the
        wrist moves so that the wanted part of the hand still gets to its place.
    """
    poser = anatomy.poser
    fingers = np.stack([shape_angles(key.shape) for key in keys]).astype(float)
    part = hand_part(poser, side, [key.part for key in keys], fingers)
    targets = _targets(anatomy, side, keys, chest, head, other)
    towards, palm = (to_axes([getattr(key, name) for key in keys], side) for name in ("fingers", "palm"))
    poles = _pole_choices(keys, side)
    n, c = poles.shape[:2]
    spread = lambda a: np.repeat(a, c, 0)  # noqa: E731 - one row per key and elbow direction
    chests = Joint(spread(chest.rotation), spread(chest.head))
    towards, palm, goal, offset = (
        spread(a) for a in (rotate(chest.rotation, towards), rotate(chest.rotation, palm), targets, part)
    )
    wrist, pole = goal.copy(), poles.reshape(-1, 3)
    for _ in range(_ROUNDS):
        arm = poser.reach_arm(side, chests, wrist, pole)
        wanted = poser.hand_angles(side, arm.lower, towards, palm)
        hand = limit_hand(wanted)
        turned = poser.turn_hand(side, arm, hand).hand
        wrist = goal - rotate(np.swapaxes(chests.rotation, -1, -2), rotate(turned, offset))
    lifts = _wanted_lift(wrist, poser.arm_length)
    cost = (
        np.linalg.norm((wanted - hand) / (20.0, 12.0, 12.0), axis=-1)
        + 25 * np.maximum(arm.reach - 0.98, 0)
        + 3.0 * (np.tile(_LIFTS, n) - lifts) ** 2
    )
    best = np.arange(n) * c + np.argmin(cost.reshape(n, c), 1)
    return ArmTrack(wrist[best], pole[best], hand[best], fingers)


def _targets(
    anatomy: Anatomy, side: str, keys: Sequence[HandKey], chest: Joint, head: Joint, other: dict[str, np.ndarray] | None
) -> np.ndarray:
    out = np.empty((len(keys), 3))
    for i, key in enumerate(keys):
        now = slice(i, i + 1)
        if key.place in HAND_PLACES:
            if other is None:
                raise ValueError(f"a key at the place {key.place} needs the other hand's places")
            point, normal = other[key.place][i]
            out[i] = point + normal * _PART_RADII.get(key.part, FINGER_RADIUS)
        else:
            out[i] = anatomy.place(
                key.place, side, Joint(chest.rotation[now], chest.head[now]), Joint(head.rotation[now], head.head[now])
            )[0]
        out[i] += to_axes([key.offset], side)[0] * anatomy.poser.arm_length
        if key.place == "space":
            out[i] += np.array([0.0, -0.60, 0.0]) * anatomy.poser.arm_length
        elif key.place in HEAD_PLACES:
            out[i, 1] -= 0.004
    return out


def _pole_choices(keys: Sequence[HandKey], side: str) -> np.ndarray:
    """(N, C, 3) unit elbow directions in the chest frame."""
    rows = [np.tile(_HANGING, (len(_POLES), 1)) if key.place == "thigh" else _POLES for key in keys]
    return normalise(to_axes(np.stack(rows), side))


def _wanted_lift(wrist: np.ndarray, length: float) -> np.ndarray:
    """The usual elbow lift 0..1: higher hands and hands near the body lift the elbow."""
    height = wrist[:, 2] / length
    near = np.clip(1.0 + wrist[:, 1] / (0.7 * length), 0.0, 1.0)
    return np.clip(0.28 + 0.55 * (height + 0.35) + 0.5 * near * (height > -0.6), 0.05, 0.9)
