"""Where a body's places are (forehead, chin, chest, ...) and which space its trunk and head fill.

Everything is measured on the signer's own rest mesh, so signs land on every body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signgen.synthetic.body.rotations import normalise, rotate, transpose
from signgen.synthetic.body.template import SKIN_END, bone_index
from signgen.synthetic.motion.posing import Poser
from signgen.synthetic.motion.posture import Joint

if TYPE_CHECKING:
    from signgen.synthetic.signer import Signer

# Vertices of the MakeHuman base mesh.
_NOSE, _CHIN, _BROW, _UPPER_LIP, _LOWER_LIP = 297, 732, 205, 474, 493
_EAR = {"L": 12229, "R": 5632}

HEAD_PLACES = ("forehead", "temple", "eye", "cheek", "ear", "nose", "mouth", "chin")
CHEST_PLACES = ("space", "chest", "shoulder", "far_shoulder", "belly", "thigh", "clasp")
HAND_PLACES = (
    "other_hand", "other_palm", "other_back", "other_top", "other_tip", "other_finger", "other_wrist", "other_forearm",
)  # fmt: skip
PLACES = (*HEAD_PLACES, *CHEST_PLACES, *HAND_PLACES)
FINGER_RADIUS = 0.010  # metres, of a finger tip
CLOTH = 0.018  # thickness of cloth over the skin
_SLICES = 24


class Anatomy:
    """Places and obstacles of one signer; `poser` poses the body."""

    def __init__(self, signer: Signer) -> None:
        self.poser, body = Poser(signer), signer.rest_body
        self.head_centre, self._head_radii = _head_ellipsoid(body)
        self._places = {"R": self._points(body), "L": {}}
        self._places["L"] = {name: p * (-1, 1, 1) for name, p in self._places["R"].items()}
        self._heights, self._fronts, self._middles, self._widths = self._torso(body)

    def _points(self, body: np.ndarray) -> dict[str, np.ndarray]:
        """Places of the right hand's side in rest-world metres."""
        nose, chin, brow, ear = body[_NOSE], body[_CHIN], body[_BROW], body[_EAR["R"]]
        mouth = (body[_UPPER_LIP] + body[_LOWER_LIP]) / 2
        eye = self.poser.heads[bone_index["eye.R"]]
        front = brow[1]
        length, origin = self.poser.arm_length, self.poser.origin
        skin = _skin(body)
        bust = skin[np.abs(skin[:, 0]) < 0.10]
        surface = lambda z: bust[np.abs(bust[:, 2] - z) < 0.03][:, 1].min() - CLOTH  # noqa: E731
        at = lambda x, z: np.array([x, surface(z), z])  # noqa: E731
        low = origin[2] - 0.66 * length
        return {
            "forehead": np.array([-0.02, front + 0.004, eye[2] + 0.055]),
            "temple": np.array([ear[0] * 0.93, 0.55 * front + 0.45 * ear[1], eye[2] + 0.02]),
            "eye": np.array([eye[0] * 1.3, front - 0.005, eye[2]]),
            "ear": ear + (-0.006, 0.0, 0.0),
            "cheek": np.array([eye[0] * 1.55, 0.65 * front + 0.35 * ear[1], nose[2] - 0.005]),
            "nose": nose,
            "mouth": mouth,
            "chin": chin + (0.0, -0.004, -0.004),
            "space": origin,
            "chest": at(-0.02, origin[2] - 0.12),
            "shoulder": at(-0.11, origin[2] - 0.04) + (0, 0.03, 0),
            "far_shoulder": at(0.10, origin[2] - 0.05) + (0, 0.03, 0),
            "belly": at(0.0, origin[2] - 0.3),
            "thigh": origin + np.array([-0.42, -0.17, -0.80]) * length,
            "clasp": at(0.0, low) + (-0.06, -0.07, 0),
        }

    def _torso(self, body: np.ndarray) -> tuple[np.ndarray, ...]:
        """Front, middle (y) and half width of the trunk per height, chest frame."""
        skin = _skin(body) - self.poser.origin
        top, bottom = 0.02, -1.05 * self.poser.arm_length
        heights = np.linspace(bottom, top, _SLICES)
        near = skin[np.abs(skin[:, 0]) < 0.12]
        rows = [near[np.abs(near[:, 2] - z) < 0.03] for z in heights]
        fronts = np.array([row[:, 1].min() if len(row) else 0.0 for row in rows]) - CLOTH
        backs = np.array([row[:, 1].max() if len(row) else 0.1 for row in rows])
        shoulder = abs(self.poser.heads[bone_index["upperarm01.L"], 0])
        return heights, fronts, (0.35 * fronts + 0.65 * backs), np.full(_SLICES, shoulder * 0.98)

    def place(self, name: str, side: str, chest: Joint, head: Joint) -> np.ndarray:
        """A place in the chest frame (N, 3), for N posed chests and heads; `side` is the hand's side."""
        point = self._places[side][name]
        if name not in HEAD_PLACES:
            return np.broadcast_to(point - self.poser.origin, chest.head.shape)
        outward = normalise((point - self.head_centre) * (1.0, 1.3, 0.6)) * FINGER_RADIUS
        world = rotate(head.rotation, point + outward - self._head_rest()) + head.head
        return self.poser.to_chest(chest, world)

    def _head_rest(self) -> np.ndarray:
        return self.poser.heads[bone_index["head"]]

    def out_of_head(self, points: np.ndarray, radii: np.ndarray, head: Joint, margin: float) -> np.ndarray:
        """How far to move hands so that no point is in the head.

        Args:
            points: world points (N, P, 3) of one hand, with radii (P,) in metres.
            margin: free distance to keep, metres.

        Returns:
            (N, 3) world vectors, zero where nothing touches; the deepest point decides.
        """
        inverse = transpose(head.rotation)[:, None]
        local = rotate(inverse, points - head.head[:, None]) + self._head_rest() - self.head_centre
        grown = self._head_radii + (radii + margin)[:, None]
        level = np.linalg.norm(local / grown, axis=-1)
        depth = np.maximum(1.0 - level, 0.0) * grown.min(-1)
        worst = np.argmax(depth, -1)
        rows = np.arange(len(points))
        gradient = local[rows, worst] / grown[worst] ** 2
        gradient[:, 1] = np.minimum(gradient[:, 1], 0.0) - 4.0  # hands leave the face to the front
        push = normalise(gradient * (1.0, 1.0, 0.4)) * depth[rows, worst][:, None]
        return rotate(head.rotation, push)

    def out_of_torso(self, points: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """The same for the trunk, in the chest frame: points (N, P, 3) -> forward pushes (N, 3)."""
        x, y, z = np.moveaxis(points, -1, 0)
        front, middle, width = (np.interp(z, self._heights, v) for v in (self._fronts, self._middles, self._widths))
        inside = np.abs(x) < width
        bulge = np.sqrt(np.clip(1.0 - (x / width) ** 2, 0.0, 1.0))
        surface = middle + (front - middle) * bulge
        depth = np.where(inside & (z < self._heights[-1] + 0.01) & (y < middle + 0.1), y + radii - surface, 0.0)
        out = np.zeros((len(points), 3))
        out[:, 1] = -np.maximum(depth.max(-1), 0.0)
        return out


def _skin(body: np.ndarray) -> np.ndarray:
    """Skin vertices; those that a signer does not keep (legs) are not a number in `body`."""
    skin = body[:SKIN_END]
    return skin[np.isfinite(skin[:, 0])]


def _head_ellipsoid(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radii (3,) of an ellipsoid through ears, forehead and chin, in rest-world metres; the nose sticks out
    a little."""
    chin, brow, ear = body[_CHIN], body[_BROW], body[_EAR["L"]]
    crown = _skin(body)[:, 2].max()
    centre = np.array([0.0, ear[1] - 0.012, 0.5 * (crown + chin[2])])
    reach_front = centre[1] - min(brow[1], chin[1] - 0.012)
    return centre, np.array([abs(ear[0]) * 0.98, reach_front + 0.004, 0.5 * (crown - chin[2]) + 0.004])
