"""Writing video files and folders of PNG frames, whole or not at all, in constant memory."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from signgen.errors import BadValue, NotWritable, RunError, Unsupported
from signgen.files import Staging, check_replaceable, check_target
from signgen.signals import held
from signgen.video.encoder import Encoder

VIDEO_SUFFIXES = (".mp4", ".webm")
_FRAME_NAMES = r"images\d+\.png"
_TV_RATES = (24, 30, 48, 60, 120)


def exact_rate(fps: float | Fraction) -> Fraction:
    """The fraction that a rounded rate stands for: 25 -> 25/1, 29.97 -> 30000/1001, 12.5 -> 25/2.

    Raises:
        BadValue: not above 0 or over 1000.
    """
    if not 0 < fps <= 1000:
        raise BadValue("fps", f"got {fps}", "frames per second must be above 0 and at most 1000")
    for whole in _TV_RATES:
        if abs(fps - whole * 1000 / 1001) < 0.006:  # 29.97, 23.976, 23.98 and 59.94 are all in use
            return Fraction(whole * 1000, 1001)
    return Fraction(fps).limit_denominator(10_000)


def is_folder(path: str | Path) -> bool:
    """Whether an output path means a folder of frames: no suffix, a closing slash, or a folder that is there."""
    return str(path).endswith(("/", os.sep)) or Path(path).suffix == "" or Path(path).is_dir()


def check_writable(path: str | Path) -> None:
    """Raises `InputError` if an output cannot be put at ``path``: to be called before any work is done."""
    target = Path(path)
    if target.name in ("", ".."):
        raise BadValue(path, "got no name", "give the name of a file or of a folder of its own")
    if target.is_dir() and target.suffix.lower() in VIDEO_SUFFIXES:
        raise NotWritable(path, "is a folder", "choose another name for the video")
    check_target(target, "folder" if is_folder(path) else "file")
    if is_folder(path):
        check_replaceable(target, _FRAME_NAMES)
    elif target.exists() and not os.access(target, os.W_OK):
        raise NotWritable(path, "is write-protected", "choose another name")


class VideoWriter:
    """Writes frames one by one; the output appears when the ``with`` block ends well, else nothing stays.

    ``.mp4`` is H.264 (yuv420p, constant quality, index in front), ``.webm`` VP9; both tagged BT.709, frames of exactly
    ``size`` at exactly ``fps``. A path without suffix, or a folder, gets ``images0001.png``, ``images0002.png``, ...

    Args:
        path: output; its folder must exist.
        size: (width, height).
        fps: frames per second, see `exact_rate`; a folder of PNG has none.
        metadata: text for the container, such as title and comment; PNG files get it too.
        staging: outputs that this one shall appear together with; None: it appears alone.
        alpha: frames are RGBA, (H, W, 4): for ``.webm`` and folders.

    Attributes:
        frames: number written so far.
        warnings: what the user should know about this output.

    Raises:
        InputError: for an output that cannot be written, before anything is written.
        RunError: when the encoder or the disk fails.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float | Fraction,
        metadata: dict[str, str] | None = None,
        staging: Staging | None = None,
        alpha: bool = False,
    ) -> None:
        self.path, self.size, self.rate = Path(path), (int(size[0]), int(size[1])), exact_rate(fps)
        self.metadata = dict(metadata or {})
        self.frames, self.alpha = 0, alpha
        self.warnings: list[str] = []
        self._staging, self._stack = staging, ExitStack()
        self._sink: Encoder | _PngFolder | None = None
        if min(self.size) < 1:
            raise BadValue(path, f"got frames of {size[0]}x{size[1]}", "both sides must be at least 1 pixel")
        self.is_folder = is_folder(path)
        self._check_kind()
        check_writable(path)

    def _check_kind(self) -> None:
        suffix = self.path.suffix.lower()
        if self.is_folder:
            return
        if suffix not in VIDEO_SUFFIXES:
            got = f"got suffix {suffix}"
            raise Unsupported(self.path, got, "use .mp4, .webm, or a name without suffix for PNG frames")
        if suffix == ".mp4" and self.alpha:
            raise Unsupported(self.path, "MP4 has no transparency", "use .webm or a name without suffix for PNG frames")
        if suffix == ".mp4" and (self.size[0] % 2 or self.size[1] % 2):
            got = f"{self.size[0]}x{self.size[1]} has an odd side, so {self.path.name} is H.264 4:4:4"
            self.warnings.append(f"{got}, which not every player shows; use .webm or even sides if it matters")

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            with held():  # nothing begins of which the stack does not know
                staging = self._staging or stack.enter_context(Staging())
                temporary = staging.place(self.path)
                if self.is_folder:
                    self._sink = _PngFolder(temporary, self.metadata)
                else:
                    encoder = Encoder(temporary, self.path, self.size, self.rate, self.metadata, self.alpha)
                    self._sink = stack.enter_context(encoder)
                stack.push(self._check_complete)
            self._stack = stack.pop_all()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame, (H, W, 3) uint8 RGB of the writer's size, or (H, W, 4) with ``alpha``.

        Raises:
            ValueError: another shape or type.
        """
        if self._sink is None:
            raise ValueError("VideoWriter writes inside its with block only")
        shape = (self.size[1], self.size[0], 4 if self.alpha else 3)
        if not isinstance(frame, np.ndarray) or frame.shape != shape or frame.dtype != np.uint8:
            got = f"{getattr(frame, 'dtype', type(frame).__name__)} {getattr(frame, 'shape', '')}"
            raise ValueError(f"a frame must be uint8 {shape}, got {got}")
        self._sink.write(np.ascontiguousarray(frame))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink = None
        self._stack.__exit__(kind, error, trace)

    def _check_complete(self, kind: type[BaseException] | None, *_: object) -> None:
        """Before the output is put in place: it must hold a frame, and an older folder only what may be replaced."""
        if kind is None and self.frames == 0:
            raise RunError(self.path, "no frame was written", "a video needs at least one frame")
        if kind is None and self.is_folder:
            check_replaceable(self.path, _FRAME_NAMES)


class _PngFolder:
    """``images0001.png`` ... with the metadata as text chunks."""

    def __init__(self, folder: Path, metadata: dict[str, str]) -> None:
        from PIL.PngImagePlugin import PngInfo

        folder.mkdir()
        self.folder, self.count, self.text = folder, 0, PngInfo()
        for key, value in metadata.items():
            self.text.add_itxt(key.title(), value)

    def write(self, frame: np.ndarray) -> None:
        from PIL import Image

        self.count += 1
        file = self.folder / f"images{self.count:04d}.png"
        try:
            Image.fromarray(frame).save(file, pnginfo=self.text, compress_level=4)
        except OSError as error:
            raise RunError(
                file.name, f"cannot be written ({error.strerror or error})", "check the free space"
            ) from None
