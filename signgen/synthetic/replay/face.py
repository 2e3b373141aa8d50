"""Heads and faces from a picture: how the head is turned, and how far mouth, brows and lids are moved."""

from __future__ import annotations

import numpy as np

from signgen.keypoints.skeleton import FACE
from signgen.synthetic.body.rotations import to_vector, transpose
from signgen.synthetic.motion.collisions import smooth
from signgen.synthetic.motion.posture import Joint
from signgen.synthetic.picture.landmarks import rest_points
from signgen.synthetic.replay.view import View, continued
from signgen.synthetic.signer import Signer

# Points of the face that hardly move with its expression: jaw below the ears, nose, corners of the eyes.
_STIFF = np.array([23, 24, 25, 37, 38, 39, *range(50, 59), 59, 62, 65, 68])
_HEAD_LIMITS = (28.0, 45.0, 25.0)  # nod, turn, tilt in degrees
_NOD_KEPT = 0.5  # of a clip's mean nod: the rest is how a face is built
_OPEN, _WIDTH = ((84, 90), (85, 89), (86, 88)), (71, 77)
_BROWS = ((42, 59), (43, 60), (47, 67), (48, 68), (44, 61), (46, 66))
_LIDS = ((60, 64), (61, 63), (66, 70), (67, 69))
_MOST = {"jawOpen": 0.45}
_SMOOTHING = 0.7


def head_angles(signer: Signer, chest: Joint, view: View, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Nod, turn and tilt (T, 3), degrees, of a driver's head; zero where no face was ever seen.

    The turned head is the scaled orthographic picture of the signer's own rest head that comes nearest to the
    driver's stiff points (Procrustes with the third row completed).
    """
    known = seen[:, _STIFF].sum(1) >= 12
    if not known.any():
        return np.zeros((len(points), 3))
    rest = rest_points(signer)[_STIFF]
    rest = rest - rest.mean(0)
    flat = points[:, _STIFF] / view.scale * (1.0, -1.0)
    weight = seen[:, _STIFF].astype(float)
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1.0)
    flat = flat - (weight[..., None] * flat).sum(1, keepdims=True)
    centred = rest[None] - (weight[..., None] * rest).sum(1, keepdims=True)
    left = np.einsum("tp,tpi,tpj->tij", weight, centred, centred) + 1e-9 * np.eye(3)
    rows = np.einsum("tp,tpi,tpj->tij", weight, flat, centred) @ np.linalg.inv(left)  # (T, 2, 3): columns, up
    frames = np.stack([_frame(*row) for row in rows])
    frames = np.einsum("ij,tjk->tik", view.back(np.eye(3)).T, frames)
    vector = to_vector(transpose(chest.rotation) @ frames)
    angles = continued(vector[:, [0, 2, 1]], known)
    angles[:, 0] -= (1 - _NOD_KEPT) * np.median(angles[known, 0])
    return np.clip(smooth(angles, _SMOOTHING), -np.array(_HEAD_LIMITS), _HEAD_LIMITS)


def _frame(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) whose first and third rows are nearest to the directions of two given rows."""
    size = 0.5 * (np.linalg.norm(across) + np.linalg.norm(up)) + 1e-12
    rows = np.stack([across, size * np.cross(up, across) / (np.linalg.norm(np.cross(up, across)) + 1e-12), up])
    u, _, v = np.linalg.svd(rows)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v


def _measures(points: np.ndarray) -> np.ndarray:
    """(T, 4): how open the mouth, how wide it, how high the brows, how open the lids are, in parts of the face."""
    gap = lambda pairs: np.mean([points[..., b, 1] - points[..., a, 1] for a, b in pairs], 0)  # noqa: E731
    tall = np.linalg.norm(points[..., 56, :] - points[..., 50, :], axis=-1) + 1e-9
    wide = np.linalg.norm(points[..., 68, :] - points[..., 59, :], axis=-1) + 1e-9
    mouth = np.linalg.norm(points[..., _WIDTH[1], :] - points[..., _WIDTH[0], :], axis=-1)
    return np.stack([gap(_OPEN) / tall, mouth / wide, gap(_BROWS) / tall, gap(_LIDS) / tall], -1)


class ReplayedFace:
    """Facial actions that move the signer's face as far as the driver's moved, each measured by its own rest.

    Args:
        points: driver's 133 points (T, 133, 2), pixels.
        seen: bool (T, 133).
    """

    def __init__(self, signer: Signer, view: View, points: np.ndarray, seen: np.ndarray) -> None:
        known = seen[:, FACE].sum(1) >= 60
        self._tracks: dict[str, np.ndarray] = {}
        if not known.any():
            return
        measured = _measures(points * (1.0 / view.camera.squeeze, 1.0))
        usual = np.array(
            [
                *np.quantile(measured[known, 0], [0.1]),
                *np.median(measured[known, 1:3], 0),
                *np.quantile(measured[known, 3], [0.75]),
            ]
        )
        change = smooth(continued(measured - usual, known), _SMOOTHING)
        gain = lambda face: _measures(rest_points(signer, face)[:, [0, 2]] * (1.0, -1.0))  # noqa: E731
        rest = gain({})
        paired = lambda name, size=1.0: {f"{name}{side}": size for side in ("Left", "Right")}  # noqa: E731
        raised = {"browInnerUp": 0.8, **paired("browOuterUp", 0.7)}
        for column, faces in (
            (0, ({"jawOpen": 1.0},)),
            (1, (paired("mouthStretch"), {"mouthPucker": 1.0})),
            (2, (raised, paired("browDown"))),
            (3, (paired("eyeBlink"),)),
        ):
            for face in faces:
                moved = (gain(face) - rest)[column]
                amount = np.clip(change[:, column] / moved if abs(moved) > 1e-4 else 0.0 * change[:, column], 0.0, 1.0)
                for name, size in face.items():
                    track = np.minimum(amount * size, _MOST.get(name, 1.0))
                    self._tracks[name] = np.where(track < _DEAD.get(name, 0.04), 0.0, track)

    def at(self, times: np.ndarray) -> list[dict[str, float]]:
        """Facial actions at instants (N,), frames."""
        tracks = {name: np.interp(times, np.arange(len(v)), v) for name, v in self._tracks.items()}
        return [{name: float(v[i]) for name, v in tracks.items() if v[i] > 0.01} for i in range(len(times))]


_DEAD = {"eyeBlinkLeft": 0.25, "eyeBlinkRight": 0.25, "browDownLeft": 0.15, "browDownRight": 0.15}
