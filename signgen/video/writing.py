"""Writing video files and folders of PNG frames, whole or not at all, in constant memory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from signgen.errors import InputError, RunError
from signgen.video.encoder import Encoder

VIDEO_SUFFIXES = (".mp4", ".webm")
_TV_RATES = (24, 30, 48, 60, 120)


def exact_rate(fps: float | Fraction) -> Fraction:
    """The fraction that a rounded rate stands for: 25 -> 25/1, 29.97 -> 30000/1001, 12.5 -> 25/2.

    Raises:
        InputError: not above 0 or over 1000.
    """
    if not 0 < fps <= 1000:
        raise InputError("fps", f"got {fps}", "frames per second must be above 0 and at most 1000")
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
    parent = target.absolute().parent
    if target.name in ("", ".."):
        raise InputError(path, "got no name", "give the name of a file or of a folder of its own")
    if not parent.is_dir():
        raise InputError(path, f"there is no folder {parent}", "make the folder first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(path, f"the folder {parent} cannot be written to", "choose another folder")
    if target.is_dir():
        if target.suffix.lower() in VIDEO_SUFFIXES:
            raise InputError(path, "is a folder", "choose another name for the video")
        _check_replaceable(target)
    elif target.is_file() and is_folder(path):
        raise InputError(path, "is a file, and a name without suffix means a folder", "choose another name")
    elif target.exists() and not target.is_file():
        raise InputError(path, "is neither a file nor a folder", "choose another name")
    elif target.exists() and not os.access(target, os.W_OK):
        raise InputError(path, "is write-protected", "choose another name")


def _check_replaceable(folder: Path) -> None:
    strange = [f.name for f in folder.iterdir() if not re.fullmatch(r"images\d+\.png", f.name)]
    if strange:
        got = f"the folder holds other files, such as {sorted(strange)[0]}"
        raise InputError(folder, got, "choose a new or empty folder")


class VideoWriter:
    """Writes frames one by one; the output appears when the ``with`` block ends well, else nothing stays.

    ``.mp4`` is H.264 (yuv420p, constant quality, index in front), ``.webm`` VP9; both tagged BT.709, frames of exactly
    ``size`` at exactly ``fps``. A path without suffix, or a folder, gets ``images0001.png``, ``images0002.png``, ...

    Args:
        path: output; its folder must exist.
        size: (width, height).
        fps: frames per second, see `exact_rate`; a folder of PNG has none.
        metadata: words for the container, such as title and comment. PNG files get them as text.

    Attributes:
        frames: number written so far.
        warnings: what the user should know about this output.

    Raises:
        InputError: for an output that cannot be written, before anything is written.
        RunError: when the encoder or the disk fails.
    """

    def __init__(
        self, path: str | Path, size: tuple[int, int], fps: float | Fraction, metadata: dict[str, str] | None = None
    ) -> None:
        self.path, self.size, self.rate = Path(path), (int(size[0]), int(size[1])), exact_rate(fps)
        self.metadata = dict(metadata or {})
        self.frames = 0
        self.warnings: list[str] = []
        self._sink: Encoder | _PngFolder | None = None
        if min(self.size) < 1:
            raise InputError(path, f"got frames of {size[0]}x{size[1]}", "both sides must be at least 1 pixel")
        self.is_folder = is_folder(path)
        self._check_kind()
        check_writable(path)

    def _check_kind(self) -> None:
        suffix = self.path.suffix.lower()
        if self.is_folder:
            return
        if suffix not in VIDEO_SUFFIXES:
            raise InputError(
                self.path, f"got suffix {suffix}", "use .mp4, .webm, or a name without suffix for PNG frames"
            )
        if suffix == ".mp4" and (self.size[0] % 2 or self.size[1] % 2):
            got = f"{self.size[0]}x{self.size[1]} has an odd side, so {self.path.name} is H.264 4:4:4"
            self.warnings.append(f"{got}, which not every player shows; use .webm or even sides if it matters")

    def __enter__(self) -> VideoWriter:
        self._temporary = _temporary_beside(self.path, self.is_folder)
        if self.is_folder:
            self._sink = _PngFolder(self._temporary, self.metadata)
        else:
            self._sink = Encoder(self._temporary, self.path, self.size, self.rate, self.metadata)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame, (H, W, 3) uint8 RGB of the writer's size.

        Raises:
            ValueError: another shape or type.
        """
        if self._sink is None:
            raise ValueError("VideoWriter writes inside its with block only")
        shape = (self.size[1], self.size[0], 3)
        if not isinstance(frame, np.ndarray) or frame.shape != shape or frame.dtype != np.uint8:
            got = f"{getattr(frame, 'dtype', type(frame).__name__)} {getattr(frame, 'shape', '')}"
            raise ValueError(f"a frame must be uint8 {shape}, got {got}")
        self._sink.write(np.ascontiguousarray(frame))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None, "a with block ends once"
        try:
            if kind is None:
                self._finish(sink)
            else:
                sink.abandon()
        finally:
            _remove(self._temporary)

    def _finish(self, sink: Encoder | _PngFolder) -> None:
        if self.frames == 0:
            sink.abandon()
            raise RunError(self.path, "no frame was written", "a video needs at least one frame")
        sink.close()
        _replace(self._temporary, self.path)


class _PngFolder:
    """``images0001.png`` ... with the metadata as text chunks."""

    def __init__(self, folder: Path, metadata: dict[str, str]) -> None:
        from PIL.PngImagePlugin import PngInfo

        self.folder, self.count, self.words = folder, 0, PngInfo()
        for key, value in metadata.items():
            self.words.add_itxt(key.title(), value)

    def write(self, frame: np.ndarray) -> None:
        from PIL import Image

        self.count += 1
        file = self.folder / f"images{self.count:04d}.png"
        try:
            Image.fromarray(frame).save(file, pnginfo=self.words, compress_level=4)
        except OSError as error:
            raise RunError(
                file.name, f"cannot be written ({error.strerror or error})", "check the free space"
            ) from None

    def close(self) -> None:
        """Every file is whole once it is written."""

    def abandon(self) -> None:
        """The writer removes the folder."""


def _temporary_beside(path: Path, folder: bool) -> Path:
    """A new empty file or folder with a hidden name in the target's own folder, so that a rename is atomic."""
    parent, prefix = path.absolute().parent, f".{path.stem}."
    try:
        if folder:
            made = Path(tempfile.mkdtemp(prefix=prefix, suffix=".partial", dir=parent))
            made.chmod(0o777 & ~_umask())
            return made
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=f".partial{path.suffix.lower()}", dir=parent)
        os.close(handle)
        Path(name).chmod(0o666 & ~_umask())  # mkstemp's files are private, an ordinary output is not
        return Path(name)
    except OSError as error:
        raise InputError(path, f"cannot be written ({error.strerror})", "choose another folder") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _replace(temporary: Path, target: Path) -> None:
    """Moves the finished output to its name; an older folder of frames makes room only when the new one is there."""
    try:
        if not target.is_dir():
            os.replace(temporary, target)
            return
        _check_replaceable(target)
        aside = temporary.with_suffix(".old")
        os.replace(target, aside)
        try:
            os.replace(temporary, target)
        except OSError:
            os.replace(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise RunError(target, f"cannot be put in place ({error.strerror})", "check the folder's permissions") from None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
