"""Where a new clip's files lie, and how they get there whole.

    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/<split>/<clip>/[1/]images0001.png ...
                                       both with and without 1/ where 1 is a link to the clip's own folder
    OUT/videos/<split>/<clip>.mp4      instead, with media mp4
    OUT/keypoints/<clip>.npz           what was rendered, in pixels of the frames
    OUT/augment.json, OUT/manifest/    how it was made

A clip's keypoints are put in place before its frames, and its line in the manifest comes last.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signgen.augment.settings import Settings
from signgen.errors import InputError, RunError

RELEASE = Path("PHOENIX-2014-T-release-v3", "PHOENIX-2014-T")
FRAMES = RELEASE / "features" / "fullFrame-210x260px"
ANNOTATIONS = RELEASE / "annotations" / "manual"
KEYPOINTS = Path("keypoints")
_WORK = ".work"


@dataclass(frozen=True)
class Store:
    """The places of an augmented data set.

    Attributes:
        out: its folder.
        media: ``png``, ``mp4`` or ``none``.
        nested: frames are found in a folder ``1`` inside the clip's own.
        flat: they are found in the clip's own folder as well.
    """

    out: Path
    media: str = "png"
    nested: bool = False
    flat: bool = False

    def keypoints(self, name: str) -> Path:
        """The clip's keypoint file."""
        return self.out / KEYPOINTS / f"{name}.npz"

    def clip(self, split: str, name: str) -> Path:
        """What appears by one rename: the clip's folder, or its video."""
        if self.media == "mp4":
            return self.out / "videos" / split / f"{name}.mp4"
        return self.out / FRAMES / split / name

    def frames(self, split: str, name: str) -> Path:
        """What a reader of frames is given: the folder of PNG files, or the video."""
        place = self.clip(split, name)
        return place / "1" if self.nested and not self.flat and self.media == "png" else place

    def link_inner(self, folder: Path) -> None:
        """Lets ``1`` lead to ``folder`` itself, where readers of both kinds are to find its frames."""
        if not self.flat:
            return
        try:
            (folder / "1").symlink_to(".", target_is_directory=True)
        except OSError as error:
            got = f"phoenix14t and corrnet in one folder need links, which cannot be made there ({error.strerror})"
            raise InputError("--layout", got, "give one of them, or another disk") from None

    @contextmanager
    def work(self, name: str) -> Iterator[Path]:
        """A folder of one's own, on the same disk as the places, that is gone afterwards."""
        place = self.out / _WORK
        try:
            place.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="clip-", dir=place))
        except OSError as error:
            raise RunError(place, f"cannot be written ({error.strerror})", "see to space and permissions") from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, work: Path, made: Path, target: Path) -> None:
        """Renames a finished file or folder to its place; what a killed run left there makes room."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                os.replace(target, Path(tempfile.mkdtemp(dir=work)))
            os.replace(made, target)
        except OSError as error:
            raise RunError(target, f"cannot be put in place ({error.strerror})", "see to its folder") from None

    def clear(self) -> None:
        """Removes what killed processes left unfinished. To be called when nobody is at work."""
        shutil.rmtree(self.out / _WORK, ignore_errors=True)


def store_of(out: Path, settings: Settings) -> Store:
    """The places of a set that is made with these settings."""
    return Store(out, settings.media, settings.nested, settings.nested and settings.flat)


def content_of(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, or of a folder's files in order of their names."""
    digest, size = hashlib.sha256(), 0
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        data = file.read_bytes()
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()
