"""How the driving frame, the model's canvas and the output frame lie on one another.

The model paints one canvas size only (210x260 for `mini`), with the person where the source person stands. Driving
frames come in any size. A `Framing` says which rectangle of the output the canvas covers:

* a driving frame of the canvas's own shape is taken as it is, so that places in it stay the same;
* any other is laid so that the driving shoulders and nose meet the source's. Width and height are scaled apart,
  because broadcast frames such as PHOENIX14T's are squeezed sideways and camera frames are not.

What the canvas does not cover is filled from the source's border, see `compositing.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from signgen.keypoints.repair.proportions import facing_width
from signgen.keypoints.skeleton import BOTH_HANDS, CONFIDENT, NOSE, SHOULDERS
from signgen.pose_image.shapes import Size, Window, same_shape

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints

STRETCH = (0.7, 1.4)  # allowed x scale / y scale
ZOOM = (0.1, 8.0)  # allowed side of the canvas / side of the output
NARROW = 4.0  # px; shoulders closer than this give no scale
WIDTH_MISFIT, PLACE_MISFIT = 0.12, 0.15  # relative width, shoulder widths; beyond these the source shines through
SMALL, LARGE = 0.5, 3.0  # canvas / output below, output / canvas above which the picture disappoints
HANDS_OUT = 0.05  # share of hand points outside the canvas worth a warning


@dataclass(frozen=True)
class Stance:
    """Where a person stands in a frame: medians over the clip, in pixels.

    Attributes:
        x, y: the point midway between the shoulders.
        width: distance of the shoulders.
        head: height of the nose above the shoulders, or None if no nose was seen.
    """

    x: float
    y: float
    width: float
    head: float | None

    def zoomed_out(self, zoom: float, canvas: Size) -> Stance:
        """The same stance on a canvas that shows ``zoom`` times as much to both sides and above."""
        x, y = canvas[0] / 2 + (self.x - canvas[0] / 2) / zoom, canvas[1] - (canvas[1] - self.y) / zoom
        return Stance(x, y, self.width / zoom, None if self.head is None else self.head / zoom)

    def scaled(self, sx: float, sy: float) -> Stance:
        """The same stance in a frame resized by ``sx``, ``sy``."""
        return Stance(self.x * sx, self.y * sy, self.width * sx, None if self.head is None else self.head * sy)


def typical_stance(canvas: Size) -> Stance:
    """Where signers stand in news-studio frames, the pictures that the models are trained on."""
    return Stance(0.52 * canvas[0], 0.47 * canvas[1], 0.42 * canvas[0], 0.215 * canvas[1])


def find_stance(keypoints: Keypoints, facing: bool = False) -> Stance | None:
    """The person's stance, or None where no frame shows two shoulders some pixels apart.

    ``facing``: shoulders as wide as they would be seen from the front, see `facing_width`.
    """
    sure = keypoints.confidence >= CONFIDENT
    both = sure[:, SHOULDERS].all(axis=1)
    if not both.any():
        both = (keypoints.confidence[:, SHOULDERS] > 0).all(axis=1)
        sure = keypoints.confidence > 0
    if not both.any():
        return None
    shoulders = keypoints.xy[both][:, SHOULDERS]
    x, y = np.median(shoulders.mean(axis=1), axis=0)
    width = float(np.median(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1)))
    nose = both & sure[:, NOSE]
    heights = keypoints.xy[nose][:, SHOULDERS, 1].mean(axis=1) - keypoints.xy[nose, NOSE, 1]
    head = float(np.median(heights)) if nose.any() else None
    head = head if head is not None and head >= NARROW else None
    width = facing_width(width, head) if facing else width
    return Stance(float(x), float(y), width, head) if width >= NARROW else None


@dataclass(frozen=True)
class Framing:
    """The canvas as a rectangle of the output.

    Attributes:
        driving: size of the frames that the keypoints are given in.
        canvas: size of the model's frames.
        output: size of the frames to be written.
        x, y, width, height: the canvas in output pixels; may reach beyond the output.
    """

    driving: Size
    canvas: Size
    output: Size
    x: int
    y: int
    width: int
    height: int

    @property
    def identity(self) -> bool:
        """True if the model's frames are the output as they are."""
        return (self.x, self.y, self.width, self.height) == (0, 0, *self.canvas) and self.output == self.canvas

    def onto(self, output: Size) -> Framing:
        """The same framing for an output of another size."""
        sx, sy = output[0] / self.output[0], output[1] / self.output[1]
        x, y, width, height = self.x * sx, self.y * sy, self.width * sx, self.height * sy
        sides = max(round(width), 1), max(round(height), 1)
        return Framing(self.driving, self.canvas, output, round(x), round(y), *sides)

    def seen_through(self, window: Window, output: Size) -> Framing:
        """A framing of the whole frame, in an output that shows a window of it."""
        x, y, *sides = window.place(output)
        inner = self.onto((sides[0], sides[1]))
        return replace(inner, driving=(window.width, window.height), output=output, x=inner.x + x, y=inner.y + y)

    def zoomed_out(self, zoom: float) -> Framing:
        """A canvas ``zoom`` times as large, with the same lower edge: a body may not end above it."""
        width, height = round(self.width * zoom), round(self.height * zoom)
        x, y = self.x - (width - self.width) // 2, self.y + self.height - height
        return Framing(self.driving, self.canvas, self.output, x, y, width, height)

    def to_canvas(self, keypoints: Keypoints) -> Keypoints:
        """Keypoints of the driving frame in canvas pixels."""
        to_output = self.output[0] / self.driving[0], self.output[1] / self.driving[1]
        on_canvas = self.canvas[0] / self.width, self.canvas[1] / self.height
        scale = to_output[0] * on_canvas[0], to_output[1] * on_canvas[1]
        return _affine(keypoints, scale, (-self.x * on_canvas[0], -self.y * on_canvas[1])).with_size(*self.canvas)

    def to_output(self, keypoints: Keypoints) -> Keypoints:
        """Keypoints of the canvas in output pixels."""
        scale = self.width / self.canvas[0], self.height / self.canvas[1]
        return _affine(keypoints, scale, (self.x, self.y)).with_size(*self.output)


def _affine(keypoints: Keypoints, scale: tuple[float, float], shift: tuple[float, float]) -> Keypoints:
    """x -> x scale + shift, measured from the picture's corner: (0,0) is the centre of a pixel, half a pixel inside."""
    if scale == (1, 1) and shift == (0, 0):
        return keypoints
    return keypoints.shifted(0.5, 0.5).scaled(*scale).shifted(shift[0] - 0.5, shift[1] - 0.5)


def choose_framing(
    driving: Keypoints,
    reference: Stance,
    canvas: Size,
    output: Size,
    pixel_aspect: float,
    known: bool = True,
    window: Window | None = None,
) -> tuple[Framing, list[str]]:
    """Lays the canvas over the output so that the driving person stands where the source person does.

    Args:
        driving: the clip's keypoints.
        reference: the source person's stance on the canvas.
        canvas: (W,H) of the model's frames.
        output: (W,H) of the frames to be written.
        pixel_aspect: shown width / true width of things on the canvas (.81 for squeezed broadcast frames).
        known: whether ``reference`` comes from the source's keypoints, or is only where signers usually stand.
        window: what ``driving`` and the output show of the clip's own frame; None: all of it.

    Returns:
        The framing, and warnings about what will not look right.
    """
    size = (driving.width, driving.height)
    if window is not None and same_shape(window.frame, canvas):
        whole = Framing(window.frame, canvas, window.frame, 0, 0, *window.frame)
        return whole.seen_through(window, output), misfit(window.back(driving), reference, canvas, known)
    if window is None and same_shape(size, canvas):
        return Framing(size, canvas, output, 0, 0, *output), misfit(driving, reference, canvas, known)
    stance = find_stance(driving)
    framing = None if stance is None else fitted(size, stance, reference, canvas, output, pixel_aspect)
    if framing is None:
        framing = _whole(size, canvas, output, pixel_aspect)
        return framing, ["no usable shoulders in the keypoints: the whole frame was laid on the model's canvas"]
    return framing, [*_wrong_scale(framing), *_hands_outside(driving, framing)]


def fitted(
    driving: Size, stance: Stance, reference: Stance, canvas: Size, output: Size, pixel_aspect: float
) -> Framing | None:
    """The framing that brings ``stance`` onto ``reference``; None if it would be absurdly large, small or aside."""
    sx, sy = _scales(stance, reference, pixel_aspect)
    to_output = output[0] / driving[0], output[1] / driving[1]
    width, height = round(canvas[0] / sx * to_output[0]), round(canvas[1] / sy * to_output[1])
    x = round((stance.x - reference.x / sx) * to_output[0])
    y = round((stance.y - reference.y / sy) * to_output[1])
    sensible = all(ZOOM[0] <= side / whole <= ZOOM[1] for side, whole in zip((width, height), output, strict=True))
    overlaps = -width < x < output[0] and -height < y < output[1]
    return Framing(driving, canvas, output, x, y, width, height) if sensible and overlaps else None


def _scales(stance: Stance, reference: Stance, pixel_aspect: float) -> tuple[float, float]:
    """Canvas pixels per driving pixel, along x and y."""
    sx = reference.width / stance.width
    if stance.head is None or reference.head is None:
        return sx, sx / pixel_aspect
    sy = reference.head / stance.head
    if sx > sy * STRETCH[1]:  # shoulders this narrow are turned away: the head gives the scale
        return sy * STRETCH[1], sy
    return sx, min(sy, sx / STRETCH[0])  # a nose this low is bent forwards: the shoulders give it


def _whole(driving: Size, canvas: Size, output: Size, pixel_aspect: float) -> Framing:
    """The canvas as high as the output, in the middle, with things on it as wide as they are."""
    height = output[1]
    width = max(1, round(height * canvas[0] / (canvas[1] * pixel_aspect)))
    return Framing(driving, canvas, output, (output[0] - width) // 2, 0, width, height)


def misfit(driving: Keypoints, reference: Stance, canvas: Size, known: bool = True) -> list[str]:
    """A warning with figures where the driving person is not about as large, or not about where, the source is."""
    stance = find_stance(driving)
    if stance is None:
        return ["no usable shoulders in the keypoints: cannot tell whether the person fits the source"]
    stance = stance.scaled(canvas[0] / driving.width, canvas[1] / driving.height)
    ratio = stance.width / reference.width
    aside = math.hypot(stance.x - reference.x, stance.y - reference.y) / reference.width
    if abs(math.log(ratio)) <= math.log1p(WIDTH_MISFIT) and aside <= PLACE_MISFIT:
        return []
    whose = "the source's" if known else "a usual signer's"
    advice = "try --align" if known else "give --source-keypoints and --align"
    return [f"shoulders are {ratio:.2f} x as wide as {whose} and {aside:.2f} shoulder widths off: {advice}"]


def _wrong_scale(framing: Framing) -> list[str]:
    """A warning if the signer takes so little of the frame, or so much, that the picture will not look right."""
    painted = f"{framing.width}x{framing.height} of {framing.output[0]}x{framing.output[1]} pixels"
    if framing.height < SMALL * framing.output[1] and framing.y + framing.height < framing.output[1]:
        return [f"the signer is small: {painted} are painted, what lies below is made up; try --crop signer"]
    if framing.width > LARGE * framing.canvas[0]:
        canvas = f"{framing.canvas[0]}x{framing.canvas[1]}"
        return [f"the model paints {canvas}, shown at {painted}: the signer will look soft; see --size"]
    return []


def hands_outside(driving: Keypoints, framing: Framing) -> float:
    """Share of the hand points shown in the driving frame that leave the canvas, where nothing can be painted."""
    shown = (driving.confidence[:, BOTH_HANDS] > 0) & _inside(driving)
    return float((shown & ~_inside(framing.to_canvas(driving))).sum() / max(int(shown.sum()), 1))


def _hands_outside(driving: Keypoints, framing: Framing) -> list[str]:
    """A warning if more than a few do."""
    share = hands_outside(driving, framing)
    if share <= HANDS_OUT:
        return []
    canvas = f"{framing.canvas[0]}x{framing.canvas[1]}"
    return [f"{share:.0%} of the hand points lie outside the model's {canvas} canvas and cannot be shown"]


def _inside(keypoints: Keypoints) -> np.ndarray:
    """bool (T, 42): hand points that lie in the frame."""
    xy = keypoints.xy[:, BOTH_HANDS]
    return np.all((xy >= 0) & (xy < np.array([keypoints.width, keypoints.height])), axis=-1)
