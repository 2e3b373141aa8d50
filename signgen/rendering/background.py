"""Another background than the source's own, or none at all: ``--background``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.errors import BadValue, NotFound
from signgen.rendering.compositing import Compositor, resized
from signgen.rendering.framing import Framing, Size

SOURCE, NONE = "source", "none"
ALLOWED = "give source, none, a colour such as #00b140, or an image"
EMPTY = np.uint8(128)  # grey that stands for nothing where a video cannot be transparent
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LEAST = 1 / 32  # share of the person in a pixel from which on their own colour can be told


@dataclass(frozen=True)
class Background:
    """What is wanted behind the person.

    Attributes:
        name: as it was given: ``source``, ``none``, ``#rrggbb`` or an image's path.
        picture: uint8 (h,w,3), of any size; None: the source's own, or nothing.
    """

    name: str = SOURCE
    picture: np.ndarray | None = None

    @property
    def own(self) -> bool:
        """Whether the source's stays."""
        return self.name == SOURCE

    @property
    def transparent(self) -> bool:
        """Whether there is none."""
        return self.name == NONE

    def of_size(self, size: Size) -> np.ndarray | None:
        """uint8 (H,W,3) of ``size`` (W,H), filled by the middle of the picture."""
        if self.picture is None:
            return None
        height, width = self.picture.shape[:2]
        scale = min(width / size[0], height / size[1])
        across, down = (width - scale * size[0]) / 2, (height - scale * size[1]) / 2
        return resized(self.picture, size, (across, down, width - across, height - down))


def load_background(name: str | Path) -> Background:
    """Reads what ``--background`` says.

    Raises:
        InputError: no colour and no image.
    """
    from signgen.video.images import read_image

    given = str(name)
    if given in (SOURCE, NONE):
        return Background(given)
    if given.startswith("#") and not Path(given).is_file():
        if not _COLOUR.fullmatch(given):
            raise BadValue("--background", f"got {given}", "give a colour as # and six hexadecimal digits")
        return Background(given, np.array(list(bytes.fromhex(given[1:])), np.uint8)[None, None])
    if not Path(given).is_file():
        raise NotFound("--background", f"got {given}, and there is no such file", ALLOWED)
    return Background(given, read_image(given))


class Cutout:
    """Takes output frames from before the source's backdrop and puts them before another one.

    Args:
        background: what is wanted.
        image: uint8 (H,W,3), the source on the canvas. plate: uint8 (H,W,3), the same without anybody.
        matte: uint8 (H,W), how far the source's pixels are the person.
        framing: where the canvas lies in the output.

    Attributes:
        surroundings: uint8 (H,W,3) of the output's size, what `Compositor` must put around the canvas.
    """

    def __init__(
        self, background: Background, image: np.ndarray, plate: np.ndarray, matte: np.ndarray, framing: Framing
    ) -> None:
        behind = Compositor(plate, framing).compose(plate)
        source = Compositor(image, framing)
        self.surroundings = behind.copy()
        bottom = framing.output[1] if framing.identity else source.bottom
        if bottom < framing.output[1]:  # the person goes on below the canvas
            self.surroundings[bottom:] = source.compose(image)[bottom:]
        self._behind = behind.astype(np.float32)
        self._wanted = background.of_size(framing.output)
        self._placed = source
        self._around = source.matte_below(matte)

    def cut(self, frame: np.ndarray, matte: np.ndarray) -> np.ndarray:
        """A frame of the output, uint8 (H,W,3), before the wanted picture, or with alpha uint8 (H,W,4).

        ``matte``: uint8 (H,W) of the canvas's size.
        """
        share = self._placed.place_matte(matte, self._around)[..., None]
        own = frame - (1 - share) * self._behind  # the person's part of the light
        if self._wanted is not None:
            return np.clip(np.rint(own + (1 - share) * self._wanted), 0, 255).astype(np.uint8)
        colour = np.where(share < _LEAST, 0, own / np.maximum(share, _LEAST))
        return np.clip(np.rint(np.concatenate([colour, 255 * share], -1)), 0, 255).astype(np.uint8)


def opaque(frame: np.ndarray) -> np.ndarray:
    """A frame uint8 (H,W,3 or 4) without transparency, for videos that know none."""
    if frame.shape[-1] == 3:
        return frame
    share = frame[..., 3:].astype(np.float32) / 255
    return np.rint(frame[..., :3] * share + EMPTY * (1 - share)).astype(np.uint8)
