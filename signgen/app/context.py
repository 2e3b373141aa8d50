"""What all requests to one server share."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from signgen.app.feed import Feeds
from signgen.app.job import Turns
from signgen.app.model import Model
from signgen.errors import InputError

# The one folder that the page reads from and writes to.


_NAME = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_NAME = 60


class Workplace:
    """A new private folder, removed at the end of the ``with`` block.

    Attributes:
        root: the folder, without links in its path.
        uploads: where the web server puts what users send, and copies of what they fetch.
    """

    def __init__(self, kept_seconds: float = 3600) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="signgen-app-")).resolve()  # readable by this user alone
        self.uploads = self.root / "uploads"
        self._jobs = self.root / "jobs"
        self._kept = kept_seconds
        for folder in (self.uploads, self._jobs):
            folder.mkdir()

    def accept(self, path: str | Path) -> Path:
        """The path of an upload, if that is what it is.

        Raises:
            InputError: it is no ordinary file inside `uploads`; links out of it count as outside.
        """
        given = Path(path)
        try:
            real = given.resolve(strict=True)
            fine = real.is_relative_to(self.uploads) and real.is_file() and not given.is_symlink()
        except (OSError, ValueError, RuntimeError):
            fine = False
        if not fine:
            raise InputError(given.name or "upload", "is no file that was sent to this page", "send it again")
        return real

    def folder(self) -> Path:
        """A new empty folder for one job; folders of jobs long past are removed."""
        self._sweep()
        return Path(tempfile.mkdtemp(dir=self._jobs))

    def _sweep(self) -> None:
        oldest = time.time() - self._kept
        for folder in self._jobs.iterdir():
            try:
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:  # another request was faster
                continue

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Workplace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def safe_name(name: str, otherwise: str = "clip") -> str:
    """Letters, digits, ``_`` and ``-`` of a name, which make a file name everywhere."""
    return _NAME.sub("-", name).strip("-_")[:LONGEST_NAME] or otherwise


# What the page takes in: sizes of files, lengths of clips, people waiting.


MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Upper limits of one request.

    Attributes:
        keypoint_bytes: of a keypoint file, or of all files of a clip together.
        picture_bytes: of a picture of a signer.
        video_bytes: of a video, and of any upload at all.
        files: of a clip that comes as one file per frame.
        frames: of a render or of a video that is scored.
        side: longest side of a video, pixels.
        waiting: jobs that may wait for the device.
        kept_seconds: how long uploads and results stay on the server's disk.
    """

    keypoint_bytes: int = 64 * MIB
    picture_bytes: int = 20 * MIB
    video_bytes: int = 200 * MIB
    files: int = 3000
    frames: int = 1500
    side: int = 1920
    waiting: int = 20
    kept_seconds: int = 3600

    def check_bytes(self, name: str, size: int, most: int) -> None:
        """`InputError` for a file of ``size`` bytes where ``most`` are allowed."""
        if size > most:
            got = f"is {size / MIB:.1f} MiB"
            raise InputError(name, got, f"up to {most / MIB:.0f} MiB are taken; cut the file or use the command line")

    def check_files(self, count: int) -> None:
        """`InputError` for a clip of too many files."""
        if count > self.files:
            raise InputError("upload", f"{count} files", f"up to {self.files} files make one clip; send fewer")

    def check_frames(self, name: str, frames: int) -> None:
        """`InputError` for too long a clip."""
        if frames > self.frames:
            got = f"{frames} frames are asked for"
            raise InputError(name, got, f"up to {self.frames} are made at a time; give a part of them as A:B")

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """`InputError` for too large a frame."""
        if max(size) > self.side:
            raise InputError(name, f"its frame is {size[0]}x{size[1]}", f"sides of up to {self.side} pixels are taken")

    def check_video(self, path: Path, name: str) -> None:
        """`InputError` for a video that is no video, too long or too large; decodes one frame."""
        from signgen.video import probe

        info = probe(path)
        self.check_size(name, info.size)
        if info.frames > self.frames:
            raise InputError(name, f"has {info.frames} frames", f"up to {self.frames} are taken; cut it")


MOST_REPORTS = 64


class Reports:
    """Reports that browsers may ask for, under addresses that nobody can guess; the oldest are forgotten."""

    def __init__(self, most: int = MOST_REPORTS) -> None:
        self._most = most
        self._paths: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, path: Path) -> str:
        """The key of a report."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._paths[key] = path
            while len(self._paths) > self._most:
                self._paths.popitem(last=False)
        return key

    def get(self, key: str) -> Path | None:
        """The report of a key, if it is still there."""
        with self._lock:
            path = self._paths.get(key)
        return path if path is not None and path.is_file() else None


@dataclass(frozen=True)
class Context:
    """Attributes:
    workplace: where files are.
    model: what renders.
    limits: what may come in.
    turns: who has the device.
    feeds, reports: what browsers fetch beside the page.
    """

    workplace: Workplace
    model: Model
    limits: Limits
    turns: Turns
    feeds: Feeds = field(default_factory=Feeds)
    reports: Reports = field(default_factory=Reports)
