"""What all requests to one server share: its folder of files, its limits, its queue, its model."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from signgen.app.jobs import JobQueue
from signgen.app.live import LiveStream
from signgen.errors import TooLarge, Untrusted

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

T = TypeVar("T")
MIB = 1 << 20
LONGEST_NAME = 60
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Workspace:
    """The one folder that the page reads from and writes to.

    Attributes:
        root: the folder, without links in its path.
        uploads: where the web server puts what users send, and copies of what they fetch.
    """

    def __init__(self, root: Path, kept_seconds: float) -> None:
        self.root, self._kept = root, kept_seconds
        self.uploads, self._jobs = root / "uploads", root / "jobs"
        for folder in (self.uploads, self._jobs):
            folder.mkdir()

    def accept(self, path: str | Path) -> Path:
        """The path of an upload, if that is what it is.

        Raises:
            Untrusted: it is no ordinary file inside `uploads`; links out of it count as outside.
        """
        given = Path(path)
        try:
            real = given.resolve(strict=True)
            fine = real.is_relative_to(self.uploads) and real.is_file() and not given.is_symlink()
        except (OSError, ValueError, RuntimeError):
            fine = False
        if not fine:
            raise Untrusted(given.name or "upload", "is no file that was sent to this page", "send it again")
        return real

    def folder(self) -> Path:
        """A new empty folder for one job; folders of jobs long past are removed."""
        oldest = time.time() - self._kept
        for folder in self._jobs.iterdir():
            try:
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:  # another request was faster
                continue
        return Path(tempfile.mkdtemp(dir=self._jobs))


@contextmanager
def open_workspace(kept_seconds: float = 3600) -> Iterator[Workspace]:
    """A new folder that this user alone can read, removed with all that is in it at the end of the block.

    Args:
        kept_seconds: how long folders of jobs are kept.
    """
    with tempfile.TemporaryDirectory(prefix="signgen-app-", ignore_cleanup_errors=True) as root:
        yield Workspace(Path(root).resolve(), kept_seconds)


def safe_name(name: str, otherwise: str = "clip") -> str:
    """Letters, digits, ``_`` and ``-`` of a name, which make a file name everywhere."""
    return _NAME.sub("-", name).strip("-_")[:LONGEST_NAME] or otherwise


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

    def check_files(self, files: Sequence[Path], most: int) -> None:
        """`TooLarge` for too many files of a clip, or for more than ``most`` bytes of all together."""
        if len(files) > self.files:
            raise TooLarge("upload", f"{len(files)} files", f"up to {self.files} files make one clip; send fewer")
        size = sum(file.stat().st_size for file in files)
        if size > most:
            advice = f"up to {most / MIB:.0f} MiB are taken; cut the file or use the command line"
            raise TooLarge(files[0].name, f"is {size / MIB:.1f} MiB", advice)

    def check_frames(self, name: str, frames: int) -> None:
        """`TooLarge` for too long a clip."""
        if frames > self.frames:
            advice = f"up to {self.frames} are made at a time; give a part of them as A:B"
            raise TooLarge(name, f"{frames} frames are asked for", advice)

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """`TooLarge` for too large a frame."""
        if max(size) > self.side:
            raise TooLarge(name, f"its frame is {size[0]}x{size[1]}", f"sides of up to {self.side} pixels are taken")

    def check_video(self, path: Path) -> None:
        """`InputError` for a video that is no video, too long or too large; decodes one frame."""
        from signgen.video import probe

        info = probe(path)
        self.check_size(path.name, info.size)
        if info.frames > self.frames:
            raise TooLarge(path.name, f"has {info.frames} frames", f"up to {self.frames} are taken; cut it")


class Recent(Generic[T]):
    """The newest things that browsers may ask for, under keys that nobody can guess; older ones are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[str, T] = {}
        self._lock = threading.Lock()

    def add(self, thing: T) -> str:
        """The key of a thing."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._things[key] = thing
            while len(self._things) > self._most:
                del self._things[next(iter(self._things))]
        return key

    def get(self, key: str) -> T | None:
        """The thing of a key, unless it was never there or is forgotten."""
        return self._things.get(key)


@dataclass(frozen=True)
class Context:
    """Attributes:
    workspace: where files are.
    model: what renders, as soon as it is loaded.
    limits: what may come in.
    jobs: who has the device.
    streams, reports: what browsers fetch beside the page.
    """

    workspace: Workspace
    model: Future[SignGenPipeline]
    limits: Limits
    jobs: JobQueue
    streams: Recent[LiveStream] = field(default_factory=lambda: Recent(16))
    reports: Recent[Path] = field(default_factory=lambda: Recent(64))
