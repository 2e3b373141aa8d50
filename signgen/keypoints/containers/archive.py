"""Zip and tar archives of frames. Nothing is unpacked to the disk: a member's name is a name and no path."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from signgen.errors import TooLarge, Unsupported, Untrusted, damage
from signgen.keypoints.budget import Budget

_LONGEST_READ = 8 << 20  # bytes of a list of files, or of a header between them
_MEMBER = 6000  # bytes that a member counts as: about a hundred thousand of them are read
_ADVICE = "write or download it again"
_TAR_FAULTS = (tarfile.TarError, EOFError, ValueError, OSError, LookupError, OverflowError, RuntimeError)


class Sips(io.BufferedReader):
    """A file that gives little at a time: libraries read an archive's lists of files at once, however long they are."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(_LONGEST_READ + 1 if size is None or size < 0 else min(size, _LONGEST_READ + 1))
        if len(data) > _LONGEST_READ:
            raise zipfile.BadZipFile("its list of files is too long")
        return data

    def close(self) -> None:
        """Lets the file go. It is closed by who opened it, or with the last one who reads from it."""
        with suppress(ValueError):  # it was let go before
            self.detach()


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: with the folders before it.
        size: bytes, unpacked.
        open: gives its content from the start.
    """

    name: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def is_tar(head: bytes) -> bool:
    """First 512 bytes of a file."""
    return head[257:262] == b"ustar"


def zip_members(archive: zipfile.ZipFile, subject: str) -> list[Member]:
    """The plain files of a zip archive.

    Raises:
        Untrusted: a name that leads out of it, or a link.
    """
    found = []
    for item in archive.infolist():
        link = stat.S_ISLNK(item.external_attr >> 16)
        if not item.is_dir():
            name = _checked(item.filename, link, subject)
            found.append(Member(name, item.file_size, partial(archive.open, item)))
    return _visible(found)


def tar_members(stream: BinaryIO, subject: str, budget: Budget) -> list[Member]:
    """The plain files of a tar archive, which is not compressed.

    Raises:
        Untrusted: a name that leads out of it, a link, or a device.
        TooLarge: very many members.
    """
    found = []
    with damage(subject, "a damaged tar archive", _ADVICE, *_TAR_FAULTS, zipfile.BadZipFile):
        stream.seek(0)
        for item in tarfile.TarFile(fileobj=Sips(stream)):  # type: ignore[arg-type]
            budget.spend("bytes", _MEMBER + len(item.name))
            if item.isdir():
                continue
            name = _checked(item.name, not item.isreg(), subject)
            if item.issparse():
                raise Unsupported(subject, f"a sparse file in it ({str(name)[:80]})", "pack it without --sparse")
            found.append(Member(name, item.size, _part(stream, item.offset_data, item.size)))
    return _visible(found)


def _part(stream: BinaryIO, start: int, size: int) -> Callable[[], BinaryIO]:
    def read() -> BinaryIO:
        stream.seek(start)
        return io.BytesIO(stream.read(size))

    return read


def _checked(name: str, link: bool, subject: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if link:
        raise Untrusted(subject, f"a link or a device in it ({name[:80]})", "pack plain files only")
    if path.is_absolute() or ".." in path.parts or path.parts[:1] and path.parts[0].endswith(":"):
        raise Untrusted(subject, f"a name that leads out of it ({name[:80]})", "pack files by plain names")
    return path


def _visible(members: list[Member]) -> list[Member]:
    """Without what systems add: hidden files and __MACOSX."""
    return [one for one in members if not any(part.startswith((".", "__")) for part in one.name.parts)]


def check_total(members: list[Member], most: int, subject: str) -> None:
    """Raises TooLarge for more than ``most`` bytes, unpacked."""
    if sum(member.size for member in members) > most:
        raise TooLarge(subject, f"unpacks to more than {most >> 30} GiB", "split it into files of fewer clips")
