"""Draw a posed signer in the studio: the picture, the exact 133 keypoints and how well each is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from signgen.errors import BadValue, Empty
from signgen.synthetic.body.mesh import STRAND
from signgen.synthetic.body.template import bone_index, vertex_normals
from signgen.synthetic.dress.complexion import paint_of
from signgen.synthetic.dress.folds import crease, creased_look
from signgen.synthetic.motion.posture import Pose
from signgen.synthetic.picture.backdrop import drawn_backdrop
from signgen.synthetic.picture.camera import NATIVE, Camera
from signgen.synthetic.picture.finish import LENS_GROWTH, Finish, blurred
from signgen.synthetic.picture.landmarks import confidences, keypoints_3d
from signgen.synthetic.picture.raster import rasterise
from signgen.synthetic.picture.shade import shade
from signgen.synthetic.picture.shadows import Shadow, Studio, aimed, drawn_studio, occlusion, shadow_map, studio_light
from signgen.synthetic.signer import Signer

GAMMA = 0.80  # displayed = linear ** GAMMA
FINISH_BLUR = 0.45  # native pixels, standard deviation
SAMPLES = 12  # a pixel at least, from content version 5 on, where `supersample` is 2
MANY_POSES = 4  # from this many sub-frames on each gives one sample a pixel, at its own place within the pixel
FULL_BLUR = 25.0  # native pixels of travel in one exposure that take the most from a keypoint's confidence
BLUR_COST = 0.35
SHOULDER, HEADROOM = 0.65, 0.42  # linear light that is shown as it is, and what is left for all brighter light
HAIR_EDGES = ((STRAND, 330.0, 70.0), (0.009, 1150.0, 130.0))  # before and from content version 5 on, see `rasterise`


@dataclass(frozen=True)
class Frame:
    """One drawn frame: image uint8 (H, W, 3) RGB, xy float32 (133, 2) pixels, confidence float32 (133,) in 0..1.

    `matte` uint8 (H, W) is the share of each pixel that the signer covers while the shutter is open, 255 all of it.
    """

    image: np.ndarray
    xy: np.ndarray
    confidence: np.ndarray
    matte: np.ndarray

    def keypoints(self) -> np.ndarray:
        """x, y and confidence of the keypoints, float32 (133, 3)."""
        return np.concatenate([self.xy, self.confidence[:, None]], 1).astype(np.float32)


@dataclass(frozen=True)
class _Posed:
    vertices: np.ndarray
    keypoints: np.ndarray  # (133, 3) world


@dataclass(frozen=True)
class _Surface:
    """A sub-frame's surface, ready to be drawn from any place within a pixel."""

    vertices: np.ndarray
    points: np.ndarray  # (n, 3) projected
    normals: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class _Sample:
    """One pass over the picture: of which sub-frame, with `factor` samples a pixel's side, from which place within the
    pixel (2,), with a new shadow map from which place of the light's area (None: the map before)."""

    pose: int
    factor: int
    place: np.ndarray | None
    light: tuple[float, float] | None


class Figure:
    """A signer before a camera; draws frames of `size` (W, H).

    `supersample` samples a pixel and side are taken; `seed` fixes camera (unless one is given), light, backdrop and
    finish. `noise` is the standard deviation of luminance grain (0..1) before content version 5, none by default; from
    then on what the camera does to the picture is part of the seed, and ``finished=False`` leaves it out; `studio` has
    other lights than the seed's, `backdrop` is another one, displayed float32 (H, W, 3). Sizes other than 210x260 scale
    the same picture.
    """

    def __init__(
        self,
        signer: Signer,
        size: tuple[int, int] = NATIVE,
        supersample: int = 2,
        seed: int = 0,
        camera: Camera | None = None,
        noise: float = 0.0,
        finished: bool = True,
        studio: Studio | None = None,
        backdrop: np.ndarray | None = None,
    ) -> None:
        if min(size) < 32 or supersample < 1:
            raise BadValue(
                "figure", f"size {size}, supersample {supersample}", "use at least 32x32 pixels and 1 sample"
            )
        self.signer, self.supersample = signer, supersample
        self.size: tuple[int, int] = (int(size[0]), int(size[1]))
        self.camera = camera or Camera.drawn(seed, signer.look.version)
        self._light, self._paint, self._studio = studio_light(seed), paint_of(signer.look), None
        self._finish = Finish(FINISH_BLUR, noise=noise)
        if signer.look.version < 5:
            backdrop = np.repeat(self.camera.background(self.size)[:, None], self.size[0], 1)
        else:
            self._studio = studio or drawn_studio(seed)
            self._finish = Finish.drawn(seed) if finished else Finish(FINISH_BLUR, LENS_GROWTH)
            backdrop = drawn_backdrop(seed, self.size) if backdrop is None else backdrop
        self._backdrop = backdrop ** np.float32(1 / GAMMA)
        self._grain = np.random.default_rng([seed, 53])
        self._buffers: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def draw(self, poses: Sequence[Pose]) -> Frame:
        """Draw one exposure of one or more sub-frames, evenly spread in time; keypoints come from the middle one."""
        if not poses:
            raise Empty("poses", "none", "give at least one pose")
        posed = [self._pose(pose) for pose in poses]
        middle = len(poses) // 2
        width, height = self.size
        image, alpha = self._backdrop.copy(), np.zeros((height, width), np.float32)
        samples = self._samples(len(poses))
        share = 1 / sum(sample.factor**2 for sample in samples)
        surface, shadow, seen = None, None, False
        for number, sample in enumerate(samples):
            one = posed[sample.pose]
            if surface is None or sample.pose != samples[number - 1].pose:
                surface = self._surface(one)
            if sample.light is not None:
                light = self._light if self._studio is None else aimed(self._studio, sample.light)
                shadow = shadow_map(one.vertices, self.signer.casting, light)
            depth = self._expose(image, alpha, surface, sample, shadow, share)
            if sample.pose == middle and not seen:
                projected, factor, seen = self._project(one.keypoints), sample.factor, True
                confidence = confidences(
                    projected * np.array([factor, factor, 1]), depth, factor * max(1, height // NATIVE[1])
                )
        matte = blurred(alpha[..., None], self._finish.sigma(height / NATIVE[1]))[..., 0]
        return Frame(
            self._finish.applied(self._shown(image), height / NATIVE[1], self._grain),
            projected[:, :2].copy(),
            confidence * self._sharpness(posed),
            np.clip(matte * 255 + 0.5, 0, 255).astype(np.uint8),
        )

    def plate(self) -> np.ndarray:
        """The backdrop without the signer, grain and compression: uint8 (H, W, 3)."""
        return self._finish.clean().applied(self._shown(self._backdrop), self.size[1] / NATIVE[1], self._grain)

    def _samples(self, poses: int) -> list[_Sample]:
        """What is drawn for an exposure of so many sub-frames: pose, samples a pixel's side, place in the pixel."""
        side = self.supersample
        if self._studio is None:
            fine = poses >= MANY_POSES or side == 1
            out = []
            for number in range(poses):
                cell = np.array([number % side, number // side % side]) if poses >= MANY_POSES and side > 1 else None
                place = None if cell is None else (0.5 - (cell + 0.5) / side).astype(np.float32)
                # neighbouring sub-frames differ by less than the shadow map's bias, so two of them share one map
                light = (0.0, 0.0) if number % 2 == 0 else None
                out.append(_Sample(number, 1 if fine else side, place, light))
            return out
        each = 1 if side == 1 else max(1, round(SAMPLES * (side / 2) ** 2 / poses))
        order = np.arange(poses * each)
        spread = np.stack([order * 0.7548776662 + 0.5, order * 0.5698402910 + 0.5], 1) % 1  # evenly filling sequences
        round_light = np.stack([order * 0.8191725134 + 0.5, order * 0.6710436067 + 0.5], 1) % 1 * 2 - 1
        if len(order) == 1:
            spread, round_light = np.full((1, 2), 0.5), np.zeros((1, 2))
        return [
            _Sample(
                int(number) // each,
                1,
                (0.5 - spread[number]).astype(np.float32),
                (float(round_light[number, 0]), float(round_light[number, 1])),
            )
            for number in order
        ]

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

    def _surface(self, posed: _Posed) -> _Surface:
        """What all samples of one sub-frame share; creases its cloth."""
        surface, folds = self.signer.surface, self.signer.folds
        vertices, start = posed.vertices, self.signer.clothes_start
        smooth, light = crease(folds, vertices[start:])
        points = self._project(vertices)
        normals = vertex_normals(vertices, surface.faces)
        colour = creased_look(normals, surface.bump, surface.colour, start, smooth, light)
        return _Surface(vertices, points, normals, colour)

    def _expose(
        self,
        image: np.ndarray,
        alpha: np.ndarray,
        posed: _Surface,
        sample: _Sample,
        shadow: Shadow | None,
        share: float,
    ) -> np.ndarray:
        """Add one sample to the linear image and to the person's share of it; returns its depth buffer."""
        surface, factor = self.signer.surface, sample.factor
        points = posed.points.copy()
        points[:, :2] = (points[:, :2] + (np.zeros(2, np.float32) if sample.place is None else sample.place)) * factor
        depth, face, weights = self._buffer(factor)
        strand = HAIR_EDGES[self._studio is not None]
        rasterise(points, surface.faces, surface.material, surface.cut, surface.canonical, strand, depth, face, weights)
        sky = occlusion(depth, factor * self.size[1] / NATIVE[1])
        shade(
            image,
            self._backdrop,
            face,
            weights,
            surface.faces,
            surface.material,
            posed.colour,
            surface.canonical,
            surface.trim,
            posed.vertices,
            posed.normals,
            sky,
            self._paint,
            self._light,
            shadow,
            self._studio,
            factor,
            share,
            alpha,
        )
        return depth

    def _shown(self, image: np.ndarray) -> np.ndarray:
        """Displayed values (H, W, 3) of a linear image, 0 to a little over 1; film's shoulder keeps highlights."""
        light = image * self.camera.gains()
        if self._studio is not None:
            over = np.maximum(light - SHOULDER, 0)
            light = np.minimum(light, SHOULDER) + HEADROOM * (1 - np.exp(-over / HEADROOM))
        return np.clip(light, 0, 1.2) ** np.float32(GAMMA)

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
