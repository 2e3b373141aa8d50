"""Clips and pictures that the page can work with: uploads of its users, and the examples of the package."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from signgen import package
from signgen.app.context import Limits, Visitor, safe_name
from signgen.errors import BadValue, Mismatch, Missing
from signgen.files import whole

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints
    from signgen.rendering.source import Source

_SIZE = re.compile(r"\s*(\d{1,5})\s*[x×X, ]\s*(\d{1,5})\s*")
_COLOUR = re.compile(r"\s*rgba?\(([\d.]+),\s*([\d.]+),\s*([\d.]+)(?:,\s*[\d.]+)?\)\s*")
_PART = re.compile(r"\s*(\d{0,9})\s*:\s*(\d{0,9})\s*")


@dataclass(frozen=True)
class Clip:
    """Keypoints that were read.

    Attributes:
        name: what files made from it are called; safe as a file name.
        keypoints: all frames.
        format: of the file.
        warnings: what was assumed while reading.
        signer: who is to show it if the user has not chosen; None: no preference.
        placed: whether the file says where the signer stands; else the skeleton has to be fitted to somebody.
    """

    name: str
    keypoints: Keypoints
    format: str
    warnings: tuple[str, ...] = ()
    signer: str | None = None
    placed: bool = True


def open_clip(
    paths: Sequence[str | Path],
    visitor: Visitor,
    limits: Limits,
    clip: str = "",
    frame_size: str = "",
    fps: float | None = None,
) -> Clip:
    """Reads one uploaded keypoint file, or several that are the frames of one clip.

    Args:
        paths: uploads.
        clip, frame_size, fps: what the user typed; empty, None and 0 mean: as the file says.

    Raises:
        InputError: too large, not the visitor's, or nothing that `read_keypoints` reads.
    """
    files = [visitor.accept(path) for path in paths]
    if not files:
        raise Missing("upload", "no file", "choose a keypoint file or an example")
    limits.check_files(files, limits.keypoint_bytes)
    if len(files) == 1:
        return _read(files[0], limits, clip, frame_size, fps)
    folder = visitor.folder() / safe_name(files[0].stem)
    folder.mkdir()
    for file in files:
        if (folder / file.name).exists():
            raise Mismatch(file.name, "was sent twice", "send the files of one clip, each once")
        shutil.copyfile(file, folder / file.name)
    try:
        return _read(folder, limits, clip, frame_size, fps)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


@dataclass(frozen=True)
class Example:
    """A clip that comes with the package. Its signing is invented, by `signgen.synthetic`; nobody was recorded.

    Attributes:
        title: what it is called on the page.
        file: in the package's folder of examples.
        signer: who signs it.
    """

    title: str
    file: str
    signer: str

    @property
    def path(self) -> Path:
        return package.EXAMPLES / self.file

    def open(self) -> Clip:
        """Reads it."""
        return replace(_read(self.path, Limits()), signer=self.signer)


EXAMPLES = (
    Example("Weather", "weather.pose", "alma"),
    Example("Fog at the border", "fog.npz", "dara"),
    Example("House in the rain", "house.npz", "femi"),
)


def _read(path: Path, limits: Limits, clip: str = "", frame_size: str = "", fps: float | None = None) -> Clip:
    from signgen.keypoints import read_keypoints

    result = read_keypoints(
        path, clip=clip.strip() or None, frame_size=parse_size(frame_size), fps=fps or None, first=True
    )
    limits.check_size(path.name, result.keypoints.size)
    limits.check_clip(path.name, len(result.keypoints))
    name = safe_name(Path(result.keypoints.name or path.stem).name)
    return Clip(name, result.keypoints, result.format, tuple(result.warnings), placed=result.placed)


def parse_size(text: str) -> tuple[int, int] | None:
    """``210x260`` as (210, 260); None for an empty text."""
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise BadValue("--frame-size", f"got {text!r}", "write width and height in pixels, such as 210x260")
    return int(found[1]), int(found[2])


def parse_part(text: str) -> slice | None:
    """``A:B`` as a slice of frames; None for an empty text."""
    if not text.strip():
        return None
    found = _PART.fullmatch(text)
    if found is None:
        raise BadValue("--frames", f"got {text!r}", "write frames as A:B, such as 0:100")
    return slice(int(found[1]) if found[1] else None, int(found[2]) if found[2] else None)


def parse_colour(text: str) -> str:
    """A colour as browsers write it, ``#00b140`` or ``rgba(0, 177, 64, 1)``, as ``#rrggbb``."""
    found = _COLOUR.fullmatch(text)
    if found is None:
        return text.strip()
    return "#" + bytes(min(round(float(part)), 255) for part in found.groups()).hex()


def open_background(path: str | Path, visitor: Visitor, limits: Limits) -> Path:
    """Reads an uploaded picture that is to be behind the person, and writes it as PNG for the render; once for each
    upload, however often it is rendered.

    Raises:
        InputError: too large, not the visitor's, or no picture.
    """
    from PIL import Image

    from signgen.video.images import read_image

    file = visitor.accept(path)
    limits.check_files([file], limits.picture_bytes)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:32]
    target = visitor.folder(f"background-{digest}") / f"{safe_name(file.stem, 'background')}.png"
    if target.exists():
        os.utime(target)  # it is not swept before the render has read it
        return target
    with whole(target) as place:
        Image.fromarray(read_image(file)).save(place, "PNG", compress_level=1)
    return target


def open_pictures(
    paths: Sequence[str | Path], keypoints: Sequence[str | Path], visitor: Visitor, limits: Limits, frames: int = 1
) -> list[Source]:
    """Uploaded pictures of one signer, or videos, and where the person stands in them; the first is the main one.

    Args:
        keypoints: of the pictures: those of the same name, or as many as there are pictures, in their order.
        frames: of a video, how many are taken, see `signgen.rendering.several.load_sources`.

    Raises:
        InputError: too large, not the visitor's, no picture, or keypoints of something else.
    """
    from signgen.rendering.several import load_sources
    from signgen.video.reading import VIDEO_SUFFIXES

    files, places = ([visitor.accept(path) for path in some] for some in (paths, keypoints))
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    limits.check_files(videos, limits.video_bytes)
    limits.check_files([file for file in files if file not in videos], limits.picture_bytes)
    limits.check_files(places, limits.keypoint_bytes)
    named = {place.stem: place for place in places}
    if len(files) > 1 and places and all(file.stem in named for file in files):
        places = [named[file.stem] for file in files]
    elif len(files) > 1 and 0 < len(places) < len(files):
        got = f"got {len(places)} files for {len(files)} pictures"
        raise Mismatch("--source-keypoints", got, "send one for each, with the picture's name or in the same order")
    sources = load_sources(files, places, frames)
    return [replace(source, name=Path(source.name).name) for source in sources]
