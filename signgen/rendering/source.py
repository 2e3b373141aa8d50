"""The person to be shown: an image, the first frame of a video, or a built-in signer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import BadValue, Empty, Mismatch, Missing, NotFound
from signgen.keypoints.orientation import Advice, View, find_turns, turn_warnings
from signgen.keypoints.repair.proportions import turned_away
from signgen.package import SIGNERS
from signgen.pose_image.shapes import Size, same_shape
from signgen.video.reading import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints

SMALLEST_SIDE = 32  # px; below that no person can be seen, let alone copied
LARGEST_SIDE = 8192
TRACES = 8  # levels between the channels of a grey picture
_ADVICE = Advice(
    "--source-rotate {} turns picture and keypoints upright", "give keypoints of the picture as it is seen",
    "give keypoints of the picture as it is seen", "give keypoints of the picture with the hands at their arms",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One picture of the person to be shown.

    Attributes:
        image: uint8 (H,W,3), RGB.
        keypoints: where the person stands in ``image``, one frame of (H,W), or None if that is not known.
        name: a signer's name, or the file as it was given.
        kind: ``"signer"``, ``"image"``, or ``"video"`` also for a folder of frames.
        notes: what was done to the picture, and what is wrong with it, one line each.
        turned: by how many degrees clockwise its EXIF tag had it turned.
        video: the video, or folder of frames, that it is a frame of; None for a picture.
    """

    image: np.ndarray
    keypoints: Keypoints | None
    name: str
    kind: str
    notes: tuple[str, ...] = ()
    turned: int = 0
    video: str | None = None

    @property
    def grey(self) -> bool:
        """Whether the picture has no colours, but for traces that compression leaves."""
        apart = self.image.max(-1).astype(np.int16) - self.image.min(-1)
        return float((apart > TRACES).mean()) < 0.001

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


def builtin_names() -> list[str]:
    """The built-in signers, in order; the first is the default."""
    return sorted(path.stem for path in SIGNERS.glob("*.png"))


def load_source(
    spec: str | Path | None = None, keypoints: str | Path | None = None, rotate: int = 0, estimate: bool = False
) -> Source:
    """Finds the source: a file's path, a built-in signer's name, or None for the default signer.

    Args:
        spec: what the user wrote.
        keypoints: file with the person's keypoints in that image; its first frame is taken.
        rotate: picture and keypoints are turned clockwise by 0, 90, 180 or 270 degrees.
        estimate: find the keypoints where none are given and an estimator that needs no file is installed.

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
    if keypoints is not None:
        source = with_keypoints(source, keypoints)
    elif estimate and source.keypoints is None:
        source = estimated(_rotated(source, rotate))
        rotate = 0
    return upright(source, rotate)


def upright(source: Source, degrees: int) -> Source:
    """Picture and keypoints turned clockwise, and a note of what the keypoints say is wrong."""
    source = _rotated(source, degrees)
    return replace(source, notes=(*source.notes, *_doubts(source)))


def _rotated(source: Source, degrees: int) -> Source:
    view = View(degrees)
    if not degrees:
        return source
    points = None if source.keypoints is None else view.of(source.keypoints)[0]
    return replace(source, image=np.ascontiguousarray(np.rot90(source.image, -degrees // 90)), keypoints=points)


def _doubts(source: Source) -> list[str]:
    """What the keypoints say is wrong with the picture."""
    if source.keypoints is None or source.kind == "signer":
        return []
    whose = f"the person in {source.name}"
    lines = [line.replace(" in 100% of frames", "") for line in turn_warnings(source.keypoints, whose, _ADVICE)]
    return lines or turned_away(source.keypoints, whose)


def estimated(source: Source) -> Source:
    """The source with keypoints that MediaPipe finds, which brings its models along; else as it is, and a note."""
    from signgen.errors import NotInstalled
    from signgen.extraction.estimator import whole_frame
    from signgen.extraction.loading import EstimatorSettings, load_estimator
    from signgen.keypoints import Keypoints

    try:
        estimator = load_estimator(EstimatorSettings("mediapipe"))
    except NotInstalled:
        return source
    width, height = source.size
    found = estimator.look(source.image[None], whole_frame(width, height), follows=False)
    if not (found[..., 2] > 0).any():
        return replace(source, notes=(*source.notes, f"nobody is found in {source.name} by {estimator.signature}"))
    points, _ = Keypoints.clean(found[..., :2], found[..., 2], width, height, 25.0, source.name)
    note = f"the person in {source.name} was found by {estimator.signature}; --source-keypoints says it better"
    return replace(source, keypoints=points, notes=(*source.notes, note))


def with_keypoints(source: Source, path: str | Path) -> Source:
    """The source with its person's place read from the first frame of a keypoint file.

    Keypoints of another frame size are scaled to the picture if the shape is the same, and refused if not.
    """
    from signgen.keypoints import read_keypoints
    from signgen.keypoints.units import check_placed

    result = read_keypoints(path)
    check_placed(result, str(path), "the source's")
    size_known = result.size_known
    if not size_known:
        result = read_keypoints(path, frame_size=source.size)
    first, notes = result.keypoints[0:1], source.notes
    if source.turned:
        first, notes = _turned_along(first, source, path, size_known)
    if not first.confidence.any():
        raise Empty(path, "nobody is found in its first frame", "give keypoints of the source image")
    return replace(source, keypoints=in_pixels_of(source.size, first, path), notes=notes)


def in_pixels_of(size: Size, clip: Keypoints, path: str | Path, owner: str = "source") -> Keypoints:
    """Keypoints of a file in pixels of a picture or video of ``size`` (W,H).

    Raises:
        Mismatch: their frame has another shape than its ``owner``'s.
    """
    if not same_shape(clip.size, size):
        got = f"its frame is {clip.width}x{clip.height}, the {owner} {size[0]}x{size[1]}"
        raise Mismatch(path, got, f"give keypoints of the {owner} itself")
    return clip.resized(*size)


def _turned_along(
    first: Keypoints, source: Source, path: str | Path, size_known: bool
) -> tuple[Keypoints, tuple[str, ...]]:
    """Keypoints that were found in the picture as it is stored, turned as its EXIF tag turns it."""
    from signgen.keypoints import read_keypoints

    sideways = source.turned != 180
    stored = source.size[::-1] if sideways else source.size
    if size_known and sideways and first.size == source.size:
        return first, source.notes  # of the picture as it is seen
    first_stored = first if size_known else read_keypoints(path, frame_size=stored).keypoints[0:1]
    turned, _ = View(source.turned).of(first_stored)
    lies = find_turns(first_stored.xy, first_stored.confidence).quarter
    if lies == 0 or find_turns(turned.xy, turned.confidence).quarter != 0:
        return first, source.notes
    return turned, (*source.notes, f"{path} is of the picture as it is stored: its points were turned with it")


def _load(spec: str | Path | None) -> Source:
    from signgen.video import read_frame
    from signgen.video.images import read_picture

    names = builtin_names()
    if spec is None:
        if not names:
            raise Missing("--source", "this installation has no built-in signers", "give an image of the person")
        return stored_signer(SIGNERS, names[0])
    if str(spec) in names:
        return stored_signer(SIGNERS, str(spec))
    path = Path(spec)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES):
        return Source(read_frame(path, 0), None, str(path), "video", video=str(path))
    if path.is_file():
        picture = read_picture(path)
        notes = tuple(f"{path} is {note}" for note in picture.notes)
        return Source(picture.pixels, None, str(path), "image", notes, picture.turned)
    listed = ", ".join(names) or "(no built-in signers are installed)"
    raise NotFound(spec, "no such file and no such signer", f"give an image, a video, or one of: {listed}")


def stored_signer(folder: Path, name: str) -> Source:
    """A signer of the package, or of such a folder: ``<name>.png``, and ``<name>.npz`` with the keypoints (1,133,3)."""
    from signgen.keypoints import Keypoints
    from signgen.video import read_image

    image = read_image(folder / f"{name}.png")
    with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
        points = np.asarray(archive["keypoints"], dtype=np.float32)
    height, width = image.shape[:2]
    keypoints = Keypoints(points[..., :2], points[..., 2], width=width, height=height, fps=25.0, name=name)
    return Source(image, keypoints, name, "signer")
