"""Pictures onto the canvas, the canvas back into the output frame, and frames side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from signgen.keypoints import Keypoints
from signgen.keypoints.pieces import Pieces
from signgen.pose_image.shapes import Window, same_shape
from signgen.rendering.backdrop import Backdrop
from signgen.rendering.framing import Framing, Size

BORDER = 4  # px of the source's border that are averaged before they are extended
UNLIKE_BACKDROP = 40  # grey levels by which a person differs from the backdrop
FEATHER = 12  # px of the canvas, and at least of the output, over which a painted frame fades into its surroundings
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G and B, as JPEG has it
MOST_ROWS = 256  # looked at to tell a person from the backdrop


def resized(image: np.ndarray, size: Size, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """uint8 (H,W,3) -> uint8 of ``size``; ``box`` (left, top, right, bottom) is the part to be taken."""
    from PIL import Image

    if box is None and (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, box=box))


def placed(image: np.ndarray, size: Size, place: tuple[int, int, int, int]) -> np.ndarray:
    """The picture in the middle of a place (x, y, width, height), as large as fits, on black of ``size`` (W,H)."""
    x, y, *sides = place
    if not same_shape((image.shape[1], image.shape[0]), (sides[0], sides[1])):
        scale = min(sides[0] / image.shape[1], sides[1] / image.shape[0])
        inner = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
        x, y, sides = x + (sides[0] - inner[0]) // 2, y + (sides[1] - inner[1]) // 2, list(inner)
    picture = resized(image, (sides[0], sides[1]))
    if (x, y, *sides) == (0, 0, *size):
        return picture
    out = np.zeros((size[1], size[0], 3), np.uint8)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + sides[0], size[0]), min(y + sides[1], size[1])
    out[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]
    return out


def lift(image: np.ndarray, framing: Framing) -> np.ndarray:
    """The picture under the framing's rectangle as a canvas; beyond its border the border is repeated.

    Args:
        image: uint8 (H,W,3) of the framing's output size.
        framing: which rectangle of it the canvas covers.

    Returns:
        uint8 (H,W,3) of the canvas's size.
    """
    rows = np.clip(np.arange(framing.y, framing.y + framing.height), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(framing.x, framing.x + framing.width), 0, image.shape[1] - 1)
    return resized(image[rows][:, columns], framing.canvas)


class Compositor:
    """Puts painted canvases into output frames.

    The surroundings are made once, from the source: its outermost columns and rows, averaged over a few pixels and
    repeated outward. A studio backdrop is nearly constant along a row, so this looks like more backdrop, and it
    stands still.
    """

    def __init__(
        self,
        source: np.ndarray,
        framing: Framing,
        surroundings: np.ndarray | None = None,
        grey: bool = False,
        backdrop: Backdrop | None = None,
    ) -> None:
        """Args:
        source: uint8 (H,W,3) of the canvas's size.
        framing: where the canvas lies in the output.
        surroundings: uint8 (H,W,3) of the output's size, to be seen around the canvas instead of the border.
        grey: the source has no colours, and nothing that is painted may have any.
        backdrop: the source's, put behind frames of which the pose is known; None: what is painted stays.
        """
        self.framing, self._grey, self._backdrop = framing, grey, backdrop
        if framing.identity:
            return
        self.left, self.top = max(framing.x, 0), max(framing.y, 0)
        self.right = min(framing.x + framing.width, framing.output[0])
        self.bottom = min(framing.y + framing.height, framing.output[1])
        if surroundings is not None:
            self._surroundings = surroundings
        elif backdrop is not None and backdrop.rough:
            self._surroundings = self._continued(
                self._visible(_bytes(backdrop.plate)), self._visible(backdrop.standing)
            )
        else:
            self._surroundings = self._extended(self._visible(source))
        self._alpha = self._fade()

    def compose(self, frame: np.ndarray, pose: Keypoints | None = None) -> np.ndarray:
        """uint8 (H,W,3) of the canvas's size -> uint8 (H,W,3) of the output's size.

        ``pose``: where the person is on the canvas, one frame.
        """
        if self._backdrop is not None and pose is not None:
            frame = self._backdrop.behind(frame, pose.xy[0], pose.confidence[0])
        if self._grey:
            frame = np.repeat(_bytes(frame.astype(np.float32) @ LUMA)[..., None], 3, axis=-1)
        if self.framing.identity:
            return frame
        out = self._surroundings.copy()
        inside = out[self.top : self.bottom, self.left : self.right]
        mixed = inside + self._alpha * (self._visible(frame).astype(np.float32) - inside)
        inside[:] = _bytes(mixed)
        return out

    def place_matte(self, matte: np.ndarray, around: np.ndarray) -> np.ndarray:
        """How far the output's pixels are the person, float32 (H,W).

        Args:
            matte: uint8 (H,W) of the canvas. around: float32 (H,W) of the output, what is seen beside it.
        """
        if self.framing.identity:
            return matte.astype(np.float32) / 255
        share = around.copy()
        inside = share[self.top : self.bottom, self.left : self.right]
        inside += self._alpha[..., 0] * (self._visible(matte).astype(np.float32) / 255 - inside)
        return share

    def matte_below(self, matte: np.ndarray) -> np.ndarray:
        """float32 (H,W): the person of a canvas's matte (H,W) goes on below it, as `_below` has their clothes."""
        width, height = self.framing.output
        around = np.zeros((height, width), np.float32)
        if not self.framing.identity and self.bottom < height:
            last = self._visible(matte)[-BORDER:].astype(np.float32).mean(0) / 255
            rows = np.arange(height - self.bottom, dtype=np.float32)
            around[self.bottom :, self.left : self.right] = last * (1 - _gone(rows, self.bottom - self.top))[:, None]
        return around

    def _visible(self, canvas: np.ndarray) -> np.ndarray:
        """The part of the canvas that lies inside the output, at the output's scale."""
        f = self.framing
        sx, sy = f.canvas[0] / f.width, f.canvas[1] / f.height
        box = ((self.left - f.x) * sx, (self.top - f.y) * sy, (self.right - f.x) * sx, (self.bottom - f.y) * sy)
        return resized(canvas, (self.right - self.left, self.bottom - self.top), box)

    def _extended(self, visible: np.ndarray) -> np.ndarray:
        """The visible source with its border drawn out to the output's edges."""
        width, height = self.framing.output
        out = np.empty((height, width, 3), np.uint8)
        middle = out[self.top : self.bottom]
        middle[:, self.left : self.right] = visible
        middle[:, : self.left] = _backdrop(_mean(visible[:, :BORDER], axis=1)[:, 0])[:, None]
        middle[:, self.right :] = _backdrop(_mean(visible[:, -BORDER:], axis=1)[:, 0])[:, None]
        out[: self.top] = _backdrop(_mean(middle[:BORDER], axis=0)[0])[None]
        out[self.bottom :] = _below(middle, height - self.bottom, self.bottom - self.top)
        return out

    def _continued(self, plate: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """A patterned backdrop drawn out to the output's edges: reflected, and ever more like its mean colour there."""
        width, height = self.framing.output
        before, after = (self.top, self.left), (height - self.bottom, width - self.right)
        sides = [(a, b) for a, b in zip(before, after, strict=True)]
        reflected = np.pad(plate, [*sides, (0, 0)], mode="symmetric").astype(np.float32)
        down = _mean_line(plate, 1)[np.clip(np.arange(height) - self.top, 0, len(plate) - 1)]
        rows, columns = np.arange(height)[:, None], np.arange(width)[None]
        away = [np.maximum(np.maximum(low - at, at - high + 1), 0) for at, low, high in
                ((rows, self.top, self.bottom), (columns, self.left, self.right))]  # fmt: skip
        share = np.clip(np.hypot(*np.broadcast_arrays(*away)) / (0.35 * max(plate.shape[:2])), 0, 1)[..., None]
        out = _bytes(reflected + share * (down[:, None] - reflected))
        out[self.top : self.bottom, self.left : self.right] = visible
        out[self.bottom :] = _below(out[self.top : self.bottom], height - self.bottom, self.bottom - self.top)
        return out

    def _fade(self) -> np.ndarray:
        """float32 (h,w,1): 1 inside, falling to 0 at those sides that do not lie on the output's edge."""
        width, height = self.framing.output
        f = self.framing
        across = _ramp(self.right - self.left, self.left > 0, self.right < width, f.width / f.canvas[0])
        down = _ramp(self.bottom - self.top, self.top > 0, self.bottom < height, f.height / f.canvas[1])
        return (down[:, None] * across[None, :])[..., None]


class CompareSheet:
    """Puts the panels of one frame in a row.

    Args:
        source: uint8 (H,W,3), the source in the output's frame.
        driving: keypoints on the canvas, all frames of the clip.
        framing: canvas and output.
        style: style of the pose drawing.
        original: frames of the true video from the first rendered one on, or None.
        window: what the output shows of the driving frame, which is the true video's, too; None: all of it.
    """

    def __init__(
        self,
        source: np.ndarray,
        driving: Keypoints | Pieces,
        framing: Framing,
        style: str,
        original: Iterator[np.ndarray] | None = None,
        window: Window | None = None,
    ) -> None:
        self._source = source
        self._driving, self._framing, self._style, self._original = driving, framing, style, original
        self._place = (0, 0, *framing.output) if window is None else window.place(framing.output)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the sheet."""
        width, height = self._framing.output
        return width * (3 if self._original is None else 4), height

    def frame(self, index: int, generated: np.ndarray) -> np.ndarray:
        """uint8 (H, panels*W, 3) for frame ``index`` of the clip; frames must come in order."""
        panels = [self._source, self._pose(index), generated]
        if self._original is not None:
            panels.append(placed(next(self._original), self._framing.output, self._place))
        return np.concatenate(panels, axis=1)

    def _pose(self, index: int) -> np.ndarray:
        from signgen.pose_image import draw_frame

        frame = self._framing.to_output(self._driving[index : index + 1])
        return draw_frame(frame.xy[0], frame.confidence[0], self._framing.output, self._style)


def _below(picture: np.ndarray, rows: int, painted: int) -> np.ndarray:
    """What goes on below a picture (H,W,3): uint8 (rows,W,3), its last rows, but clothes where the person is.

    Hands often rest on the lower edge, and drawn out they would become pillars of skin. Where the last rows differ
    from the backdrop at their ends, the middle colour of the lowest third is taken, which is cloth. A figure that is
    shown down to its feet would become a pillar of cloth: farther down than half of the height ``painted``, it fades
    into the backdrop within as much again.
    """
    last = _mean(picture[-BORDER:], axis=0).astype(np.float32)
    ends = np.stack([last[:, 0], last[:, -1]], axis=1)  # (1,2,3)
    person = np.abs(last[:, :, None] - ends[:, None]).max(axis=-1).min(axis=-1) > UNLIKE_BACKDROP  # (1,W)
    if not person.any():
        return np.repeat(_bytes(last), rows, axis=0)
    cloth = np.median(picture[-(len(picture) // 3 + 1) :], axis=0)[None]
    cloth = np.where(person[..., None], np.median(cloth[person], axis=0), last)
    across = np.linspace(0, 1, last.shape[1], dtype=np.float32)[None, :, None]
    backdrop = np.where(person[..., None], (1 - across) * ends[:, :1] + across * ends[:, 1:], last)
    share = _gone(np.arange(rows, dtype=np.float32), painted)[:, None, None]
    return _bytes(cloth + share * (backdrop - cloth))


def _gone(rows: np.ndarray, painted: int) -> np.ndarray:
    """How far a body has faded so many rows below a picture of ``painted`` rows, 0 to 1."""
    half = max(painted / 2, 1)
    return np.clip((rows - half) / half, 0, 1)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)


def _backdrop(line: np.ndarray) -> np.ndarray:
    """A border (N,3) of the source without the parts where the person reaches it: those are filled from beside them.

    An elbow at the edge would become a bar across the whole frame. A part is no backdrop where it differs from the
    middle colour of the half of the line around it.
    """
    step = -(-len(line) // MOST_ROWS)
    coarse = line[::step].astype(np.float32)
    reach = len(coarse) // 4
    if reach < 2:
        return line
    medians = np.median(np.lib.stride_tricks.sliding_window_view(coarse, 2 * reach + 1, axis=0), axis=-1)
    rows = np.arange(len(coarse))
    centres = np.clip(rows, reach, len(coarse) - 1 - reach)  # at the ends the half lies to one side: a gradient's due
    allowed = UNLIKE_BACKDROP * (1 + 0.75 * np.abs(rows - centres) / reach)
    strange = np.abs(coarse - medians[centres - reach]).max(axis=-1) > allowed
    if not strange.any() or strange.all():
        return line
    strange = np.convolve(strange, np.ones(2 * BORDER + 1), "same") > 0  # the soft outline belongs to it
    strange = np.repeat(strange, step)[: len(line)]
    if strange.all():
        return line
    rows = np.arange(len(line))
    filled = [np.interp(rows, rows[~strange], line[~strange, channel]) for channel in range(3)]
    return _bytes(np.stack(filled, axis=-1))


def _mean_line(plate: np.ndarray, axis: int) -> np.ndarray:
    """float32 (N,3): mean colours along an axis, without their pattern."""
    import cv2

    line = np.ascontiguousarray(plate.astype(np.float32).mean(axis=axis, keepdims=True))
    return cv2.GaussianBlur(line, (0, 0), len(plate) / 40, borderType=cv2.BORDER_REPLICATE).reshape(-1, 3)


def _mean(band: np.ndarray, axis: int) -> np.ndarray:
    return _bytes(band.astype(np.float32).mean(axis=axis, keepdims=True))


def _ramp(length: int, fade_start: bool, fade_end: bool, scale: float) -> np.ndarray:
    """float32 (length,): 1, or rising from / falling to 0 over `FEATHER` pixels x scale where asked."""
    feather = FEATHER * max(scale, 1.0)
    steps = np.arange(length, dtype=np.float32)
    rise = np.minimum((steps + 0.5) / feather, 1) if fade_start else np.ones_like(steps)
    fall = np.minimum((length - steps - 0.5) / feather, 1) if fade_end else np.ones_like(steps)
    return np.minimum(rise, fall)
