"""The person to be shown: an image, the first frame of a video, or a built-in signer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import BadValue, Empty, Mismatch, Missing, NotFound
from signgen.package import SIGNERS
from signgen.video.reading import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints

SMALLEST_SIDE = 32  # px; below that no person can be seen, let alone copied
LARGEST_SIDE = 8192


@dataclass(frozen=True)
class Source:
    """One picture of the person to be shown.

    Attributes:
        image: uint8 (H,W,3), RGB.
        keypoints: where the person stands in ``image``, one frame of (H,W), or None if that is not known.
        name: a signer's name, or the file as it was given.
        kind: ``"signer"``, ``"image"``, or ``"video"`` also for a folder of frames.
    """

    image: np.ndarray
    keypoints: Keypoints | None
    name: str
    kind: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


def builtin_names() -> list[str]:
    """The built-in signers, in order; the first is the default."""
    return sorted(path.stem for path in SIGNERS.glob("*.png"))


def load_source(spec: str | Path | None = None, keypoints: str | Path | None = None) -> Source:
    """Finds the source: a file's path, a built-in signer's name, or None for the default signer.

    Args:
        spec: what the user wrote.
        keypoints: file with the person's keypoints in that image; its first frame is taken.

    Raises:
        InputError: no such file or signer, no picture in it, or a picture with sides below 32 pixels.

    Example:
        >>> from signgen import load_source
        >>> signer = load_source("bela")
        >>> signer.kind, signer.size, signer.keypoints.xy.shape
        ('signer', (210, 260), (1, 133, 2))
    """
    source = _load(spec)
    width, height = source.size
    if min(width, height) < SMALLEST_SIDE or max(width, height) > LARGEST_SIDE:
        advice = f"a source needs sides of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels and a person in it"
        raise BadValue(source.name, f"the picture is {width}x{height}", advice)
    return source if keypoints is None else with_keypoints(source, keypoints)


def with_keypoints(source: Source, path: str | Path) -> Source:
    """The source with its person's place read from the first frame of a keypoint file.

    Keypoints of another frame size are scaled to the picture if the shape is the same, and refused if not.
    """
    from signgen.keypoints import read_keypoints

    result = read_keypoints(path)
    if not result.size_known:
        result = read_keypoints(path, frame_size=source.size)
    first = result.keypoints[0:1]
    if not first.confidence.any():
        raise Empty(path, "nobody is found in its first frame", "give keypoints of the source image")
    width, height = source.size
    if abs(first.width * height - first.height * width) > 0.01 * first.width * height:
        got = f"its frame is {first.width}x{first.height}, the source {width}x{height}"
        raise Mismatch(path, got, "give keypoints of the source image itself")
    return replace(source, keypoints=first.resized(width, height))


def _load(spec: str | Path | None) -> Source:
    from signgen.video import read_frame, read_image

    names = builtin_names()
    if spec is None:
        if not names:
            raise Missing("--source", "this installation has no built-in signers", "give an image of the person")
        return _builtin(names[0])
    if str(spec) in names:
        return _builtin(str(spec))
    path = Path(spec)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES):
        return Source(read_frame(path, 0), None, str(path), "video")
    if path.is_file():
        return Source(read_image(path), None, str(path), "image")
    listed = ", ".join(names) or "(no built-in signers are installed)"
    raise NotFound(spec, "no such file and no such signer", f"give an image, a video, or one of: {listed}")


def _builtin(name: str) -> Source:
    """A signer of the package: ``<name>.png`` and ``<name>.npz`` with the keypoints (1,133,3) in its pixels."""
    from signgen.keypoints import Keypoints
    from signgen.video import read_image

    image = read_image(SIGNERS / f"{name}.png")
    with np.load(SIGNERS / f"{name}.npz", allow_pickle=False) as archive:
        points = np.asarray(archive["keypoints"], dtype=np.float32)
    height, width = image.shape[:2]
    keypoints = Keypoints(points[..., :2], points[..., 2], width=width, height=height, fps=25.0, name=name)
    return Source(image, keypoints, name, "signer")
