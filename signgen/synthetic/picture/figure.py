"""Draw a posed signer in the studio: the picture, the exact 133 keypoints and how well each is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from signgen.errors import BadValue, Empty
from signgen.synthetic.body.template import bone_index, vertex_normals
from signgen.synthetic.dress.complexion import paint_of
from signgen.synthetic.dress.folds import crease, creased_look
from signgen.synthetic.motion.posture import Pose
from signgen.synthetic.picture.camera import NATIVE, Camera
from signgen.synthetic.picture.landmarks import confidences, keypoints_3d
from signgen.synthetic.picture.raster import rasterise
from signgen.synthetic.picture.shade import shade
from signgen.synthetic.picture.shadows import Shadow, occlusion, shadow_map, studio_light
from signgen.synthetic.signer import Signer

GAMMA = 0.80  # displayed = linear ** GAMMA
FINISH_BLUR = 0.45  # native pixels, standard deviation
MANY_POSES = 4  # from this many sub-frames on each gives one sample a pixel, at its own place within the pixel
FULL_BLUR = 25.0  # native pixels of travel in one exposure that take the most from a keypoint's confidence
BLUR_COST = 0.35


@dataclass(frozen=True)
class Frame:
    """One drawn frame: image uint8 (H, W, 3) RGB, xy float32 (133, 2) pixels, confidence float32 (133,) in 0..1."""

    image: np.ndarray
    xy: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class _Posed:
    vertices: np.ndarray
    keypoints: np.ndarray  # (133, 3) world


def _gaussian_taps(sigma: float) -> np.ndarray:
    reach = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W, 3) float32 with edges repeated; sigma in pixels."""
    taps = _gaussian_taps(sigma)
    reach = len(taps) // 2
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        wide, n = np.pad(image, pad, mode="edge"), image.shape[axis]
        image = sum(tap * wide[(slice(None),) * axis + (slice(k, k + n),)] for k, tap in enumerate(taps))
    return image


class Figure:
    """A signer before a camera; draws frames of `size` (W, H).

    `supersample` samples a pixel and side are taken; `seed` fixes camera (unless one is given), light and noise.
    `noise` is the standard deviation of luminance grain (0..1), none by default. Sizes other than 210x260
    scale the same picture.
    """

    def __init__(
        self,
        signer: Signer,
        size: tuple[int, int] = NATIVE,
        supersample: int = 2,
        seed: int = 0,
        camera: Camera | None = None,
        noise: float = 0.0,
    ) -> None:
        if min(size) < 32 or supersample < 1:
            raise BadValue(
                "figure", f"size {size}, supersample {supersample}", "use at least 32x32 pixels and 1 sample"
            )
        self.signer, self.supersample, self.noise = signer, supersample, noise
        self.size: tuple[int, int] = (int(size[0]), int(size[1]))
        self.camera = camera or Camera.drawn(seed)
        self._light, self._paint = studio_light(seed), paint_of(signer.look)
        self._backdrop = self.camera.background(self.size) ** np.float32(1 / GAMMA)
        self._grain = np.random.default_rng([seed, 53])
        self._buffers: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def draw(self, poses: Sequence[Pose]) -> Frame:
        """Draw one exposure of one or more sub-frames, evenly spread in time; keypoints come from the middle one."""
        if not poses:
            raise Empty("poses", "none", "give at least one pose")
        posed = [self._pose(pose) for pose in poses]
        middle = len(poses) // 2
        width, height = self.size
        image = np.repeat(self._backdrop[:, None], width, 1)
        factor = 1 if len(poses) >= MANY_POSES else self.supersample
        shadow = None
        for number, one in enumerate(posed):
            offset = number if factor < self.supersample else None
            # neighbouring sub-frames differ by less than the shadow map's bias, so two of them share one map
            depth, shadow = self._expose(image, one, factor, offset, len(poses), None if number % 2 == 0 else shadow)
            if number == middle:
                projected = self._project(one.keypoints)
                confidence = confidences(
                    projected * np.array([factor, factor, 1]), depth, factor * max(1, height // NATIVE[1])
                )
        return Frame(self._finished(image), projected[:, :2].copy(), confidence * self._sharpness(posed))

    def _pose(self, pose: Pose) -> _Posed:
        vertices, turn, place = self.signer.posed(pose.rotations, pose.face)
        keypoints = keypoints_3d(self.signer, vertices, turn, place)
        shift = np.asarray(pose.root_shift, np.float64)
        return _Posed(vertices + shift.astype(np.float32), keypoints + shift)

    def _project(self, points: np.ndarray) -> np.ndarray:
        return self.camera.project(points, self.signer.head_top, self.size)

    def _buffer(self, factor: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if factor not in self._buffers:
            shape = (self.size[1] * factor, self.size[0] * factor)
            self._buffers[factor] = (
                np.empty(shape, np.float32),
                np.empty(shape, np.int32),
                np.empty((*shape, 2), np.float32),
            )
        return self._buffers[factor]

    def _offset(self, number: int | None) -> np.ndarray:
        """Shift (2,) within a pixel of a sub-frame with one sample a pixel: it walks over the supersampling grid."""
        if number is None:
            return np.zeros(2, np.float32)
        side = self.supersample
        cell = np.array([number % side, number // side % side])
        return (0.5 - (cell + 0.5) / side).astype(np.float32)

    def _expose(
        self, image: np.ndarray, posed: _Posed, factor: int, number: int | None, exposures: int, shadow: Shadow | None
    ) -> tuple[np.ndarray, Shadow]:
        """Add one sub-frame, whose cloth it creases, to the linear image.

        Returns its depth buffer and its shadow map, which is the one given if one is.
        """
        surface, folds = self.signer.surface, self.signer.folds
        vertices, start = posed.vertices, self.signer.clothes_start
        smooth, light = crease(folds, vertices[start:])
        points = self._project(vertices)
        points[:, :2] = (points[:, :2] + self._offset(number)) * factor
        depth, face, weights = self._buffer(factor)
        rasterise(points, surface.faces, surface.material, surface.cut, surface.canonical, depth, face, weights)
        normals = vertex_normals(vertices, surface.faces)
        colour = creased_look(normals, surface.bump, surface.colour, start, smooth, light)
        sky = occlusion(depth, factor * self.size[1] / NATIVE[1])
        shadow = shadow or shadow_map(vertices, self.signer.casting, self._light)
        shade(
            image,
            self._backdrop,
            face,
            weights,
            surface.faces,
            surface.material,
            colour,
            surface.canonical,
            surface.trim,
            vertices,
            normals,
            sky,
            self._paint,
            self._light,
            shadow,
            factor,
            1 / (factor**2 * exposures),
        )
        return depth, shadow

    def _finished(self, image: np.ndarray) -> np.ndarray:
        """Displayed uint8 image of a linear one: tone curve, blur, grain."""
        shown = np.clip(image * self.camera.gains(), 0, 1.2) ** np.float32(GAMMA)
        shown = blurred(shown, FINISH_BLUR * self.size[1] / NATIVE[1])
        if self.noise > 0:
            shown = shown + self._grain.normal(0, self.noise, shown.shape[:2]).astype(np.float32)[..., None]
        return np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8)

    def _sharpness(self, posed: list[_Posed]) -> np.ndarray:
        """Factor (133,) of confidence: motion blur makes a keypoint harder to see."""
        if len(posed) == 1:
            return np.ones(133, np.float32)
        travel = self._project(posed[-1].keypoints)[:, :2] - self._project(posed[0].keypoints)[:, :2]
        length = np.hypot(travel[:, 0], travel[:, 1]) * NATIVE[1] / self.size[1]
        return (1 - BLUR_COST * np.clip(length / FULL_BLUR, 0, 1)).astype(np.float32)


def rest_pose() -> Pose:
    """The rest pose, arms 45 degrees down: identity rotations, a neutral face, no shift."""
    return Pose(np.tile(np.eye(3, dtype=np.float32), (len(bone_index), 1, 1)))
