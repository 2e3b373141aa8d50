"""Single images, and folders of numbered images that stand for a video."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import Damaged, Empty, InputError, NotFound, TooLarge, Unsupported

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_EXIF_ORIENTATION = 0x0112
SMALLEST_SIDE = 16
MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class Picture:
    """A single image and what was done to it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        turned: by how many degrees clockwise it was turned as its EXIF tag says; 0 where that also mirrors it.
        notes: what was done, one phrase each.
    """

    pixels: np.ndarray
    turned: int = 0
    notes: tuple[str, ...] = ()


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF tag says, 16 bits cut to 8, transparency laid over white.

    Raises:
        InputError: not there, not an image, damaged, animated, a side under 16 pixels or over 100 megapixels.
    """
    return read_picture(path).pixels


def read_picture(path: str | Path) -> Picture:
    """As `read_image`, and what was done to the picture."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not Path(path).is_file():
        raise NotFound(path, "no such file", "check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check below has its own limit
            with Image.open(path) as image:
                _check(image, path)
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
                pixels, clear = _as_rgb(ImageOps.exif_transpose(image))
                turned = {3: 180, 6: 90, 8: 270}.get(orientation, 0)
                notes = [f"turned by {turned} degrees clockwise, as its EXIF tag says"] if turned else []
                if orientation in (2, 4, 5, 7):
                    notes = ["flipped, as its EXIF tag says"]
                if clear:
                    notes.append(f"transparent in {clear:.0%} of its pixels: laid over white")
                return Picture(pixels, turned, tuple(notes))
    except UnidentifiedImageError:
        raise Unsupported(path, "is not an image", "give a PNG or JPEG file") from None
    except Image.DecompressionBombError:
        raise TooLarge(path, "has more than 100 megapixels", "scale it down first") from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise Damaged(path, f"is a damaged image ({error})", "save it again as PNG or JPEG") from None


def _check(image: Image.Image, path: str | Path) -> None:
    width, height = image.size
    if min(width, height) < SMALLEST_SIDE:
        raise Unsupported(path, f"is {width}x{height} pixels", f"both sides must be at least {SMALLEST_SIDE} pixels")
    if width * height > MOST_PIXELS:
        raise TooLarge(path, f"is {width}x{height} pixels", "scale it down to at most 100 megapixels")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a photo with an embedded preview
        raise Unsupported(path, f"is animated ({frames} frames)", "save one of its frames as PNG")


def _as_rgb(image: Image.Image) -> tuple[np.ndarray, float]:
    """(H, W, 3) uint8, and the share of the pixels that were transparent, at least in part."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        deep = image.mode.startswith("I")
        grey = np.clip(values >> 8 if deep and values.max(initial=0) > 255 else values, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1), 0.0
    clear = 0.0
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        clear = float((np.asarray(image.getchannel("A")) < 255).mean())
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB")), clear


def frame_files(folder: str | Path) -> list[Path]:
    """The frames of a folder in their natural order (2 before 10).

    PHOENIX14T's own names ``images*.png`` go first; otherwise the largest set of files that differ only in one number.
    Hidden files and everything else is ignored.

    Raises:
        InputError: no images in the folder.
    """
    files = [f for f in Path(folder).iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
    if not files:
        raise Empty(folder, "holds no images", "give a folder of numbered PNG or JPEG frames")
    phoenix = [f for f in files if re.fullmatch(r"images\d+.*\.png", f.name)]
    return sorted(phoenix or _largest_series(files), key=natural_key)


def missing_number(files: list[Path]) -> int | None:
    """The first number that is left out among `frame_files`; None where they count on, in whatever steps."""
    columns = zip(*(map(int, re.findall(r"\d+", file.stem)) for file in files), strict=False)
    numbers = next((column for column in columns if len(set(column)) == len(files)), ())
    steps = [after - before for before, after in pairwise(numbers)]
    return next((number + min(steps) for number, step in zip(numbers, steps, strict=False) if step > min(steps)), None)


def _largest_series(files: list[Path]) -> list[Path]:
    """The largest set of files whose names are the same but for one number: the last one, where several change."""
    alike = _largest(files, lambda file: re.sub(r"\d+", "#", file.stem) + file.suffix.lower())
    changing = [set(numbers) for numbers in zip(*(re.findall(r"\d+", file.stem) for file in alike), strict=True)]
    if sum(len(numbers) > 1 for numbers in changing) == 1:
        return alike
    return _largest(files, lambda file: re.sub(r"\d+(?=\D*$)", "#", file.stem) + file.suffix.lower())


def _largest(files: list[Path], series: Callable[[Path], str]) -> list[Path]:
    counts = Counter(map(series, files))
    name, _ = max(counts.items(), key=lambda item: (item[1], "#" in item[0], item[0]))
    return [f for f in files if series(f) == name]


def natural_key(path: Path | str) -> list[tuple[int, int | str]]:
    """Sorts numbers in names by value."""
    name = path if isinstance(path, str) else path.name
    return [
        (1, int(part)) if part.isascii() and part.isdigit() else (0, part.lower())
        for part in re.split(r"([0-9]+)", name)
    ]
