"""What all requests to one server share: its folder of files, its limits, its queue, its model."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from signgen.app.jobs import Job, JobQueue
from signgen.app.live import LiveStream
from signgen.errors import BadValue, Damaged, RunError, TooLarge, Untrusted
from signgen.files import temporary_folder
from signgen.package import UNFINISHED
from signgen.processes import Apart, Bounds

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline
    from signgen.rendering.source import Source

T = TypeVar("T")
MIB = 1 << 20
LONGEST_NAME = 60
TIMES = 10  # the frames of a render: what a clip may have, of which a part is rendered
OWN = "own"  # stands for the person that the model has learned, where it has
COOKIE = "signgen-visitor"  # holds the key by which a visitor's files are found
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Visitor:
    """The files of one browser, and of nobody else: what it has sent, and what was made for it.

    Attributes:
        uploads: the folder of all of them.
    """

    def __init__(self, uploads: Path) -> None:
        self.uploads = uploads

    def owns(self, path: str | Path) -> bool:
        """Whether it is an ordinary file of this visitor; links out of the folder count as outside."""
        given = Path(path)
        try:
            real = given.resolve(strict=True)
            return real.is_relative_to(self.uploads) and real.is_file() and not given.is_symlink()
        except (OSError, ValueError, RuntimeError):
            return False

    def accept(self, path: str | Path) -> Path:
        """The path of an upload, if that is what it is.

        Raises:
            Untrusted: it is not this visitor's.
        """
        if not self.owns(path):
            raise Untrusted(Path(path).name or "upload", "is no file that was sent to this page", "send it again")
        return Path(path).resolve()

    def keep(self) -> None:
        """What this visitor has sent is not swept for a while: a job that needs it waits for its turn."""
        for folder in _inside(self.uploads):
            with suppress(OSError):  # gone meanwhile
                os.utime(folder)

    def folder(self, name: str | None = None) -> Path:
        """A new empty folder for an upload or a job; the same each time for a job that knows its own ``name``."""
        self.uploads.mkdir(exist_ok=True)
        if name is None:
            return Path(tempfile.mkdtemp(dir=self.uploads))
        place = self.uploads / safe_name(name)
        place.mkdir(mode=0o700, exist_ok=True)
        return place


class Workspace:
    """The one folder that the page reads from and writes to.

    Attributes:
        root: the folder, without links in its path.
        uploads: where each visitor has a folder, which holds a folder for each upload and each job.

    Args:
        kept_seconds: after which time such a folder is swept, counted from its last change.
        clock: the time in seconds, as files have it.
    """

    def __init__(self, root: Path, kept_seconds: float = 3600, clock: Callable[[], float] = time.time) -> None:
        self.root, self._kept, self._clock = root, kept_seconds, clock
        self.uploads = root / "uploads"
        self.uploads.mkdir()
        self._coming = 0  # bytes that are on their way

    def visitor(self, key: str) -> Visitor:
        """The visitor with this secret key, which no path tells."""
        return Visitor(self.uploads / hashlib.sha256(key.encode()).hexdigest()[:32])

    def used(self) -> int:
        """Bytes of all files but of those that lessons work with, which are bounded by their number (`spare`)."""
        work = sum(_last_change(folder)[1] for folder in self._unfinished())
        return sum(_last_change(folder)[1] for folder in self._folders()) - work

    @contextmanager
    def coming(self, size: int) -> Iterator[int]:
        """Counts ``size`` bytes that are on their way; gives those of all requests, these with them.

        Used bytes are looked up only afterwards: what arrives meanwhile is in one of the two, if not in both.
        """
        self._coming += size
        try:
            yield self._coming
        finally:
            self._coming -= size

    def spare(self, work: Path, most: int) -> None:
        """Leaves what the lesson that goes on works with, and of those that were broken off ``most``, the newest."""
        others = [folder for folder in self._unfinished() if folder != work]
        for folder in sorted(others, key=lambda folder: _last_change(folder)[0], reverse=True)[most:]:
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        """Of each upload and each job."""
        return (folder for visitor in _inside(self.uploads) for folder in _inside(visitor))

    def _unfinished(self) -> Iterator[Path]:
        inner = (place for folder in self._folders() for place in _inside(folder))
        return (place for place in inner if place.name.endswith(UNFINISHED))

    def sweep(self) -> None:
        """Removes what is older than it is kept: results, uploads, and what was left of those that were broken off."""
        oldest = self._clock() - self._kept
        for folder in self._folders():
            if _last_change(folder)[0] < oldest:
                shutil.rmtree(folder, ignore_errors=True)
        for visitor in _inside(self.uploads):
            with suppress(OSError):  # not empty, or gone
                visitor.rmdir()


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is a file, or gone meanwhile: other requests come and go."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _last_change(folder: Path) -> tuple[float, int]:
    """When anything in a folder was changed last, and how many bytes it holds."""
    latest, size = 0.0, 0
    inner = (os.path.join(at, name) for at, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in (str(folder), *inner):
        with suppress(OSError):  # gone meanwhile
            found = os.lstat(path)
            latest, size = max(latest, found.st_mtime), size + found.st_size
    return latest, size


@contextmanager
def open_workspace(kept_seconds: float = 3600, clock: Callable[[], float] = time.time) -> Iterator[Workspace]:
    """A new folder that this user alone can read, removed with all that is in it at the end of the block."""
    with temporary_folder() as root:
        yield Workspace(root.resolve(), kept_seconds, clock)


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
        total_bytes: of all files of all visitors together.
        files: of a clip that comes as one file per frame.
        frames: of a render or of a video that is scored. A clip of which a part is rendered may have `TIMES` as many.
        side: longest side of a video, pixels.
        waiting: jobs that may wait for the device.
        kept_seconds: how long uploads and results stay on the server's disk.
        reading, watching, scoring: what the process may take that reads keypoints or a picture, decodes a video, or
            scores two.
        readers: files that are read at the same time.
    """

    keypoint_bytes: int = 64 * MIB
    picture_bytes: int = 20 * MIB
    video_bytes: int = 200 * MIB
    total_bytes: int = 2048 * MIB
    files: int = 3000
    frames: int = 1500
    side: int = 1920
    waiting: int = 20
    kept_seconds: int = 3600
    reading: Bounds = Bounds(20.0, 1024 * MIB)
    watching: Bounds = Bounds(60.0, 1024 * MIB)
    scoring: Bounds = Bounds(1800.0, 4096 * MIB)
    readers: int = 2

    def check_files(self, files: Sequence[Path], most: int) -> None:
        """`TooLarge` for too many files of a clip, or for more than ``most`` bytes of all together."""
        if len(files) > self.files:
            raise TooLarge("upload", f"{len(files)} files", f"up to {self.files} files make one clip; send fewer")
        size = sum(file.stat().st_size for file in files)
        if files and size > most:
            advice = f"up to {most / MIB:.0f} MiB are taken; cut the file or use the command line"
            raise TooLarge(files[0].name, f"is {size / MIB:.1f} MiB", advice)

    def check_frames(self, name: str, frames: int) -> None:
        """`TooLarge` for too long a clip."""
        if frames > self.frames:
            advice = f"up to {self.frames} are made at a time; give a part of them as A:B"
            raise TooLarge(name, f"{frames} frames are asked for", advice)

    def check_clip(self, name: str, frames: int) -> None:
        """`TooLarge` for a clip that is too long even for a part of it to be rendered: all of it is held and shown."""
        if frames > TIMES * self.frames:
            raise TooLarge(name, f"has {frames} frames", f"clips of up to {TIMES * self.frames} are taken; cut it")

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """`TooLarge` for too large a frame."""
        if max(size) > self.side:
            raise TooLarge(name, f"its frame is {size[0]}x{size[1]}", f"sides of up to {self.side} pixels are taken")

    def check_video(self, path: Path, frames: int | None = None) -> None:
        """`InputError` for a video that is no video, too long (more than ``frames``) or too large, or of which a frame
        cannot be decoded."""
        from signgen.video import probe, read_frames

        self.check_files([path], self.video_bytes)
        info = probe(path)
        self.check_size(path.name, info.size)
        most = frames or self.frames
        if info.frames > most:
            raise TooLarge(path.name, f"has {info.frames} frames", f"up to {most} are taken; cut it")
        for _ in read_frames(path):
            pass


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
    readers: whose turn it is to have a file read.
    processes: where files are read.
    composes: whether the model can put another background behind the person.
    own: pictures of the person that the model has learned, if it has.
    streams, reports: what browsers fetch beside the page, each with the visitor's folder.
    """

    workspace: Workspace
    model: Future[SignGenPipeline]
    limits: Limits
    jobs: JobQueue
    readers: JobQueue
    processes: Apart
    composes: bool = False
    own: tuple[Source, ...] = ()
    streams: Recent[tuple[Path, LiveStream]] = field(default_factory=lambda: Recent(16))
    reports: Recent[tuple[Path, Path]] = field(default_factory=lambda: Recent(64))

    @property
    def signers(self) -> tuple[str, ...]:
        """Names of whom can be shown without a picture: whom the model has learned, and the built-in signers."""
        from signgen.rendering.source import builtin_names

        return (*([OWN] if self.own else []), *builtin_names())

    def signer(self, name: str, field: str = "signer") -> list[Source]:
        """The pictures of one of the `signers`; ``field``: where the name was given, for the error.

        Raises:
            BadValue: there is no such name; one from outside must never be taken for a path.
        """
        from signgen.rendering.source import load_source

        if name not in self.signers:
            raise BadValue(field, f"got {name!r}", f"choose one of {', '.join(self.signers)}, or send a picture")
        return list(self.own) if name == OWN else [load_source(name)]

    def check_room(self) -> None:
        """`RunError` where the space for files is used up: a job that is to write waits until some were swept."""
        if self.workspace.used() > self.limits.total_bytes:
            raise RunError("disk", "the space for files is used up", "try again in some minutes")

    def apart(
        self, job: Job, subject: str, bounds: Bounds, action: Callable[..., T], *given: Any,
        report: Callable[..., None] | None = None, check: Callable[[], None] | None = None,
    ) -> T:  # fmt: skip
        """``action(*given)`` in a process of its own, which ends with the job; ``action(report, *given)`` to report.

        ``check`` is called meanwhile, again and again; None: the job's.

        Raises:
            TooLarge, Damaged: the process passed its bounds, or died of what it was given; ``subject`` is to blame.
        """
        try:
            if report is None:
                return self.processes.run(_silent, (action, *given), bounds, check or job.check)
            return self.processes.run(action, given, bounds, check or job.check, report)
        except TimeoutError:
            raise TooLarge(subject, f"takes more than {bounds.seconds:g} s to read", "send a smaller file") from None
        except MemoryError:
            got = f"takes more than {bounds.memory // MIB} MiB of memory"
            raise TooLarge(subject, got, "send a smaller file") from None
        except ChildProcessError:
            raise Damaged(subject, "ended the program that read it", "write it again, or send another") from None


def _silent(report: Callable[..., None], action: Callable[..., T], *given: Any) -> T:
    return action(*given)


@contextmanager
def open_context(
    workspace: Workspace, model: Future[SignGenPipeline], limits: Limits | None = None, composes: bool = False,
    own: Sequence[Source] = (),
) -> Iterator[Context]:  # fmt: skip
    """What all requests share; at the end of the block all jobs are cancelled, and no process is left."""
    limits = limits or Limits()
    processes = Apart(("signgen.app.clips", "signgen.keypoints", "signgen.rendering.several"))
    queues = JobQueue(limits.waiting), JobQueue(limits.waiting, limits.readers)
    try:
        yield Context(workspace, model, limits, *queues, processes, composes, tuple(own))
    finally:
        for jobs in queues:
            jobs.close()
        processes.close()
