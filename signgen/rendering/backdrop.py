"""The source's own backdrop around the person, where a model paints another one.

Models learn before studio backdrops. Before a wall with a pattern, or of a strong colour, they paint something between
the two, which shows as a rectangle around the person. Where keypoints say that somebody is, what was painted stays; far
from there the source is seen. In between, colours decide: a pixel stays where it is nearer to one of the colours that
the source shows of the person than to the backdrop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import ARMS, CONFIDENT, FACE, HEAD, SHOULDERS

LIKE, UNLIKE = 6.0, 10.0  # grey levels between painted and true backdrop: below nothing is done, above all of it
ROUGH = 2.5  # grey levels by which a patterned backdrop differs from its own blur
_NEAR, _WIDE = 8.0, 24.0  # px of the canvas: widths of blurs
_COLOURS = 8  # that tell a person
_INSIDE, _AROUND = 0.4, 1.25  # how thick a body is drawn: what is inside of it for sure, and all it may ever cover
_APART = 24.0  # grey levels between person and backdrop from which colours tell them apart


@dataclass(frozen=True)
class Silhouette:
    """Where somebody is for sure, and where they may be; both bool (H,W)."""

    core: np.ndarray
    around: np.ndarray


def silhouette(xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> Silhouette | None:
    """Of one pose: (133,2) pixels and (133,) in a picture of ``size`` (W,H); None where no shoulders are seen."""
    seen = confidence > min(CONFIDENT, float(confidence.max())) / 2
    if not seen[[*SHOULDERS]].all():
        return None
    left, right = xy[SHOULDERS[0]], xy[SHOULDERS[1]]
    head = [*range(HEAD.start, HEAD.stop), *range(FACE.start, FACE.stop)]
    head = [joint for joint in head if seen[joint]]
    width = float(np.linalg.norm(left - right))
    if head:  # somebody from the side has narrow shoulders
        width = max(width, 1.2 * float(np.linalg.norm(xy[head].mean(0) - (left + right) / 2)))
    core, around = (_drawn(xy, seen, head, size, width, thick) for thick in (_INSIDE, _AROUND))
    return Silhouette(core, around | core)


def _drawn(
    xy: np.ndarray, seen: np.ndarray, head: list[int], size: tuple[int, int], width: float, thick: float
) -> np.ndarray:
    """bool (H,W): a body around the points; ``thick``: 1 with room for clothes and hair, less for what is inside."""
    from PIL import Image, ImageDraw

    image = Image.new("L", size)
    pen = ImageDraw.Draw(image)

    def disc(place: np.ndarray, rx: float, ry: float | None = None) -> None:
        ry = rx if ry is None else ry
        pen.ellipse((place[0] - rx, place[1] - ry, place[0] + rx, place[1] + ry), fill=1)

    def limb(a: np.ndarray, b: np.ndarray, half: float) -> None:
        pen.line([tuple(a), tuple(b)], fill=1, width=max(round(2 * half), 1))
        disc(a, half)
        disc(b, half)

    left, right = sorted((xy[SHOULDERS[0]], xy[SHOULDERS[1]]), key=lambda place: place[0])
    more = thick - _INSIDE
    out, below = more * 0.3 * width, size[1] + width
    rise = np.array([0.0, more * 0.4 * width])
    slim = 0.12 * width * (1 - thick)
    pen.polygon(
        [tuple(left - rise - [out, 0]), tuple(right - rise + [out, 0]), (right[0] + out - slim, below),
         (left[0] - out + slim, below)], fill=1,
    )  # fmt: skip
    if head:
        points = xy[head]
        middle = (points.min(0) + points.max(0)) / 2
        reach = max(float(np.abs(points - middle).max()), 0.2 * width)
        disc(middle - [0, more * 1.15 * reach], reach * (0.45 + 1.1 * thick), reach * (0.4 + 1.4 * thick))
        limb(middle, (left + right) / 2, width * (0.36 * thick - 0.06))
    for arm in ARMS:
        joints = [joint for joint in (arm.shoulder, arm.elbow, arm.wrist) if seen[joint]]
        for a, b in zip(joints[:-1], joints[1:], strict=True):
            limb(xy[a], xy[b], 0.22 * width * thick)
        for joint in range(arm.hand.start, arm.hand.stop):
            if seen[joint]:
                disc(xy[joint], 0.11 * width * thick)
    return np.asarray(image, bool)


def without_person(image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """float32 (H,W,3): the picture (H,W,3) with a smooth filling where ``person`` (H,W) is."""
    plate: np.ndarray = np.array(image, np.float32)
    if person.all() or not person.any():
        return plate
    filled = np.zeros_like(plate)
    missing = person.copy()
    for sigma in (_NEAR, _WIDE, 4 * _WIDE):  # the nearest surroundings first, farther ones where there are none
        colours, weight = _blurred(plate, ~person, sigma)
        use = missing & (weight > 0.02)
        filled[use] = colours[use]
        missing &= ~use
    filled[missing] = plate[~person].mean(0)
    plate[person] = filled[person]
    soft, _ = _blurred(plate, np.ones_like(person), _NEAR / 2)  # without the seams between them
    plate[person] = soft[person]
    return plate


def _blurred(image: np.ndarray, where: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours (H,W,3) of the pixels ``where`` (H,W), near each place, and how much of them lies near (H,W)."""
    import cv2

    both = np.concatenate([np.where(where[..., None], image, 0), where[..., None]], -1).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(both, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
    return soft[..., :-1] / np.maximum(soft[..., -1:], 1e-6), soft[..., -1]


class Backdrop:
    """The source's backdrop on the canvas, and what puts it behind painted frames.

    Args:
        source: uint8 (H,W,3) of the canvas's size.
        person: keypoints of the source person on the canvas, one frame.

    Attributes:
        plate: float32 (H,W,3), the backdrop without anybody.
        standing: uint8 (H,W,3), the inside of the source person's body before it.
    """

    def __init__(self, source: np.ndarray, person: Keypoints) -> None:
        self._size = source.shape[1], source.shape[0]
        found = silhouette(person.xy[0], person.confidence[0], self._size)
        self._person = found.around if found is not None else None
        if found is not None and self._person is not None:
            self.plate = without_person(source, self._person)
            self.standing = np.where(found.core[..., None], source, np.rint(self.plate).astype(np.uint8))
            self._colours = _colours(source, found, self.plate)

    @property
    def known(self) -> bool:
        """Whether it could be told from the person, and enough of it is seen."""
        return self._person is not None and float((~self._person).mean()) > 0.1

    @property
    def rough(self) -> bool:
        """Whether it has a pattern, which drawn out beyond the picture would become streaks."""
        if not self.known or self._person is None:
            return False
        smooth, _ = _blurred(self.plate, ~self._person, _NEAR)
        return float(np.abs(self.plate - smooth)[~self._person].mean()) > ROUGH

    def behind(self, frame: np.ndarray, xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """A painted frame, uint8 (H,W,3), before the source's own backdrop; as it is where it shows that already."""
        found = silhouette(xy, confidence, self._size)
        if not self.known or self._person is None or found is None:
            return frame
        free = ~found.around & ~self._person
        if not free.any():
            return frame
        painted = frame.astype(np.float32)
        unlike = float(np.abs(painted - self.plate)[free].mean())
        strength = float(np.clip((unlike - LIKE) / (UNLIKE - LIKE), 0, 1))
        if strength == 0:
            return frame
        theirs = strength * (1 - _matte(painted, found, self._colours))[..., None]
        return np.rint(painted + theirs * (self.plate - painted)).astype(np.uint8)


def _colours(source: np.ndarray, found: Silhouette, plate: np.ndarray) -> np.ndarray:
    """float32 (K,3): the colours that the source shows of the person, hair and clothes among them."""
    import cv2

    unlike = np.abs(source.astype(np.float32) - plate).max(-1) > 2 * _APART
    pixels = source[found.core | (found.around & unlike)].astype(np.float32)
    count = min(_COLOURS, len(pixels))
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    return cv2.kmeans(pixels, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)[2]  # type: ignore[call-overload]


def _matte(painted: np.ndarray, found: Silhouette, colours: np.ndarray) -> np.ndarray:
    """Share of the person in each pixel (H,W): 1 inside of the body, 0 far from it, and by colour in between."""
    backdrop, near = _blurred(painted, ~found.around, _NEAR)
    wide, _ = _blurred(painted, ~found.around, _WIDE)
    backdrop = np.where((near > 0.01)[..., None], backdrop, wide)
    theirs = np.linalg.norm(painted - backdrop, axis=-1)
    own = np.min([np.linalg.norm(painted - colour, axis=-1) for colour in colours], axis=0)
    alpha = np.clip((theirs / np.maximum(own + theirs, 1e-3) - 0.4) / 0.2, 0, 1)
    shape, _ = _blurred(found.core[..., None], np.ones_like(found.core), _NEAR / 2)
    told = np.clip((own + theirs) / _APART, 0, 1)  # person and backdrop of one colour: the shape alone says it
    alpha = told * alpha + (1 - told) * np.clip(2 * shape[..., 0], 0, 1)
    alpha = np.where(found.core, 1, np.where(found.around, alpha, 0))
    return _blurred(alpha[..., None], np.ones_like(found.core), 0.8)[0][..., 0]
