"""A driver's keypoints brought onto a signer's picture, and the way back from pixels at a depth into the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.errors import Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import EYES, SHOULDERS
from signgen.synthetic.motion.score import FPS
from signgen.synthetic.picture.camera import NATIVE, Camera
from signgen.synthetic.picture.landmarks import rest_points
from signgen.synthetic.signer import Signer

LEAST = 0.2  # confidence below which a point counts as missing
EYE_CORNERS = (59, 68)  # the outer ones, among the points of the face
_SQUEEZE_BOUNDS = (0.85, 1.5)  # vertical over horizontal scale: 1.23 leads from square pixels to the studio's
_CUT = 8.0  # Hz, above which estimators' noise outweighs hands


@dataclass(frozen=True)
class View:
    """The studio's camera on one signer, in native pixels. Points of view are (x', y', z): along the picture's columns,
    away from the camera and up, metres."""

    camera: Camera
    head_top: float

    @property
    def scale(self) -> np.ndarray:
        """(2,) pixels a metre along columns and rows at the signer's depth."""
        return np.array([self.camera.squeeze, 1.0]) * 1000.0 / self.camera.mm

    def turned(self, points: np.ndarray) -> np.ndarray:
        """World points or vectors (..., 3) in the view's axes."""
        angle = np.radians(self.camera.turn)
        x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
        return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle), z], -1)

    def back(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `turned`."""
        angle = np.radians(self.camera.turn)
        x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
        return np.stack([x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle), z], -1)

    def near(self, depth: np.ndarray) -> np.ndarray:
        """How much larger things appear at a depth y' (...,)."""
        return self.camera.distance / (self.camera.distance + depth)

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) -> native pixels (..., 2)."""
        flat = self.camera.project(np.reshape(points, (-1, 3)), self.head_top, NATIVE)
        return flat[:, :2].reshape(*np.shape(points)[:-1], 2).astype(float)

    def at_depth(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Native pixels (..., 2) at depths y' (...,) -> points of view (..., 3)."""
        middle, near = self.head_top - 0.33, self.near(depth)
        x = (pixels[..., 0] - self.camera.x) / (near * self.scale[0])
        z = middle - ((pixels[..., 1] - self.camera.top) / self.scale[1] - (self.head_top - middle)) / near
        return np.stack([x, depth, z], -1)


def onto_signer(keypoints: Keypoints, signer: Signer, view: View) -> tuple[np.ndarray, np.ndarray]:
    """The driver's points with the signer's shoulder width and height of head over shoulders, at the signer's place.

    Columns and rows are scaled apart, since some recordings are squeezed like the studio's and others are not.

    Returns:
        float64 (T, 133, 2) native pixels at 25 frames a second, and bool (T, 133): which of them were seen.
    """
    keypoints = keypoints.fill_gaps(3).smooth(_CUT).resample(FPS)
    xy, seen = keypoints.xy.astype(float), keypoints.confidence >= 0.5 * LEAST
    reference = view.project(rest_points(signer))  # (133, 2) native pixels
    both = seen[:, SHOULDERS].all(1)
    if not both.any():
        raise Missing(keypoints.name or "motion", "no frame shows both shoulders", "use keypoints of the upper body")
    shoulders = xy[both][:, SHOULDERS]
    width = np.median(np.abs(shoulders[:, 0, 0] - shoulders[:, 1, 0]))
    goal = reference[list(SHOULDERS)]
    across = abs(goal[0, 0] - goal[1, 0]) / max(width, 1e-3)
    down = across / view.camera.squeeze
    for pair in (EYE_CORNERS, EYES):
        shown = both & seen[:, pair].all(1)
        if shown.any():
            height = np.median(xy[shown][:, SHOULDERS, 1].mean(1) - xy[shown][:, pair, 1].mean(1))
            mine = goal[:, 1].mean() - reference[list(pair), 1].mean()
            down = across * float(np.clip(mine / max(height, 1e-3) / across, *_SQUEEZE_BOUNDS))
            break
    factors = np.array([across, down])
    moved = (xy - np.median(shoulders.mean(1), 0)) * factors + goal.mean(0)
    return moved, seen


def continued(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Channels (T, ...) with frames that are not `known` (T,) interpolated; the ends hold the nearest value."""
    if known.all() or not known.any():
        return values
    times, flat = np.arange(len(values)), values.reshape(len(values), -1)
    filled = np.stack([np.interp(times, times[known], column[known]) for column in flat.T], -1)
    return filled.reshape(values.shape)
