"""The one folder that the page reads from and writes to."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType

from signgen.errors import InputError

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
